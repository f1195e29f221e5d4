"""The business calendar: closures, promotions, public holidays, opening hours, which the detectors go by."""

from __future__ import annotations

from datetime import date
from typing import Any

from dash import ALL, Input, Output, State, ctx, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy, local
from nebuloviz.metrics.calendar import ONE_DAY, add_months, month_floor
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal
from nebuloviz.web.components import card, link_button, page, page_header, skeleton_table, toast
from nebuloviz.web.components.basic import button, given
from nebuloviz.web.context import act, ask, may, services
from nebuloviz.web.navigation import stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import calendar as views

_STEP, _EARLIER, _LATER = "calendar-step", "calendar-earlier", "calendar-later"
_MONTHS, _FURTHEST = 3, 40  # shown at once; so many steps back or ahead


def layout(**_query: str) -> Component:
    stay_on_page()
    actions = []
    if may(Permission.ALERTS_MANAGE):
        actions.append(link_button(_("New entry"), f"/calendar/{views.NEW}", icon_name="plus-lg", kind="primary"))
    about = _("Special days and opening hours. The detectors take them into account within seconds.")
    turning = [
        button(_("Earlier"), id=_EARLIER),
        button(_("Later"), id=_LATER),
    ]
    return page(
        [
            dcc.Store(id=_STEP, data=0),
            html.Div(page_header(_("Calendar"), subtitle=about, actions=actions), className="nv-span-12"),
            card(
                _("Planned"),
                html.Div(skeleton_table(5, 4), id="calendar-agenda", **given(aria_live="polite")),
                actions=turning,
                span=7,
                flush=True,
            ),
            card(_("Opening hours"), html.Div(skeleton_table(7, 3), id="calendar-hours"), span=5),
            card(_("Entries"), html.Div(skeleton_table(4, 5), id="calendar-entries"), flush=True),
            card(
                _("Alerts marked as expected"),
                html.Div(skeleton_table(2, 5), id="calendar-expected"),
                actions=[link_button(_("Feedback"), "/lessons", icon_name="mortarboard")],
                flush=True,
            ),
        ],
        filtered=False,
    )


@protected_callback(
    Permission.ALERTS_READ,
    Output("calendar-agenda", "children"),
    Output(_STEP, "data"),
    Input(_EARLIER, "n_clicks"),
    Input(_LATER, "n_clicks"),
    State(_STEP, "data"),
)
def show_agenda(_earlier: Any, _later: Any, step: Any) -> tuple[Any, Any]:
    """Three months: from this one on, or some quarters of a year before or after it."""
    moved = {_EARLIER: -1, _LATER: 1}.get(str(ctx.triggered_id), 0)
    there = (step if isinstance(step, int) else 0) + moved
    there = min(max(there, -_FURTHEST), _FURTHEST)
    with asking(None) as asked:
        first = _month_after(local(asked.now).date(), _MONTHS * there)
        last = _month_after(first, _MONTHS) - ONE_DAY
        return part_answer(lambda: views.agenda_table(ask(services().calendar.agenda, first, last))), there


def _month_after(day: date, months: int) -> date:
    return add_months(month_floor(day), months)


@protected_callback(
    Permission.ALERTS_READ,
    Output("calendar-entries", "children"),
    Output("calendar-hours", "children"),
    Output("calendar-expected", "children"),
    Input("calendar-entries", "id"),
)
def show_rest(_id: str) -> tuple[Any, Any, Any]:
    manageable = may(Permission.ALERTS_MANAGE)
    service = services().calendar
    with asking(None) as asked:
        today = local(asked.now).date()
        entries = part_answer(
            lambda: views.entry_table(ask(service.entries), service.countries(), manageable=manageable, today=today)
        )
        hours = part_answer(lambda: views.hours_form(ask(service.hours), manageable=manageable))
        return entries, hours, part_answer(lambda: views.expected_table(ask(services().alerts.taught)))


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("calendar-hours-message", "children"),
    Input("calendar-save-hours", "n_clicks"),
    State("calendar-said", "value"),
    State(views.hour_id(ALL, ALL), "id"),
    State(views.hour_id(ALL, ALL), "value"),
    prevent_initial_call=True,
)
def save_hours(clicks: Any, said: Any, ids: Any, values: Any) -> Any:
    if not clicks:
        raise PreventUpdate
    try:
        act(services().calendar.set_hours, views.hours_of(ids, values) if said else ())
    except NebuloVizError as error:
        return refusal(error)
    return toast(_("Saved. The detectors take it into account from now on."), "good")


register_page(
    __name__, path="/calendar", permission=Permission.ALERTS_READ, name=lazy("Calendar"), icon="calendar3", order=3.2,
)  # fmt: skip
