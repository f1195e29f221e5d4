"""One entry of the business calendar. `/calendar/new` makes one."""

from __future__ import annotations

from typing import Any

import dash
from dash import Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import CalendarDraft
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal
from nebuloviz.web.components import card, link_button, page, page_header, skeleton_table
from nebuloviz.web.context import act, ask, current_actor, services
from nebuloviz.web.navigation import URL_ID, number_of, stay_on_page
from nebuloviz.web.reading import asking, segments_to_choose
from nebuloviz.web.views import calendar as views

_STORE, _VERSION = "calendar-id", "calendar-version"


def layout(entry_id: str = "", **_query: str) -> Component:
    stay_on_page()
    new = entry_id == views.NEW
    known = number_of(entry_id)
    title = _("New entry") if new else _("Entry")
    back = link_button(_("Calendar"), "/calendar", icon_name="calendar3")
    return page(
        [
            dcc.Store(id=_STORE, data=views.NEW if new else known),
            dcc.Store(id=_VERSION),
            html.Div(page_header(title, actions=[back]), className="nv-span-12"),
            html.Div(id="calendar-message", className="nv-span-12", role="status"),
            card(_("What, where and when"), html.Div(skeleton_table(4, 2), id="calendar-form"), span=12),
            html.Div(id="calendar-rest", className="nv-span-12"),
        ],
        filtered=False,
    )


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("calendar-form", "children"),
    Output("calendar-rest", "children"),
    Output(_VERSION, "data"),
    Input(_STORE, "data"),
)
def show(number: Any) -> tuple[Any, ...]:
    with asking(None):

        def build() -> tuple[Any, ...]:
            service, new = services().calendar, number == views.NEW
            view = None if new else ask(service.entry, number_of(number))
            draft = CalendarDraft("closure") if view is None else view.draft
            segments = segments_to_choose(watched=True)
            countries = service.countries()
            form = views.entry_form(draft, segments, countries, confined=bool(current_actor().scope), new=new)
            rest = None if new else views.removal(views.name_of(draft, countries))
            return form, rest, None if view is None else view.version

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, None, None)


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("calendar-fields", "children"),
    Input("calendar-kind", "value"),
    State("calendar-name", "value"),
    State("calendar-days", "start_date"),
    State("calendar-days", "end_date"),
    State("calendar-country", "value"),
    prevent_initial_call=True,
)
def show_fields(kind: Any, *said: Any) -> Any:
    """Another kind asks for something else; what was typed stays."""
    draft = views.draft_of(kind, "", *said)
    return views.kind_fields(draft, services().calendar.countries())


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("calendar-message", "children"),
    Input("calendar-save", "n_clicks"),
    State("calendar-kind", "value"),
    State("calendar-segment", "value"),
    State("calendar-name", "value"),
    State("calendar-days", "start_date"),
    State("calendar-days", "end_date"),
    State("calendar-country", "value"),
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def save(clicks: Any, *said: Any) -> Any:
    """Enter it, or store what has been changed; what somebody else changed meanwhile is not overwritten."""
    if not clicks:
        raise PreventUpdate
    *fields, number, version = said
    draft, service = views.draft_of(*fields), services().calendar
    try:
        if number == views.NEW:
            act(service.add, draft)
        else:
            act(service.change, *_which(number, version), draft)
    except NebuloVizError as error:
        return refusal(error)
    return _back()


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("calendar-message", "children", allow_duplicate=True),
    Input("calendar-remove", "submit_n_clicks"),
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def remove(clicks: Any, number: Any, version: Any) -> Any:
    if not clicks:
        raise PreventUpdate
    try:
        act(services().calendar.remove, *_which(number, version))
    except NebuloVizError as error:
        return refusal(error)
    return _back()


def _which(number: object, version: object) -> tuple[int, int]:
    return number_of(number), (version if isinstance(version, int) else -1)


def _back() -> Any:
    """To the calendar, where what was done is seen."""
    dash.set_props(URL_ID, {"pathname": "/calendar"})
    return no_update


register_page(
    __name__, path_template="/calendar/<entry_id>", permission=Permission.ALERTS_MANAGE, name=lazy("Entry")
)  # fmt: skip
