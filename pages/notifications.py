"""Notifications: by which channels alerts come to somebody, and what became of each message."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, State, ctx, dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import card, link_button, page, page_header, skeleton_table
from nebuloviz.web.components.basic import button, given
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import INTERVAL_ID, stay_on_page, turned
from nebuloviz.web.reading import asking
from nebuloviz.web.views import notifications as views

_TRAIL, _NEXT = "notifications-trail", "notifications-next"
_OLDER, _NEWER = "notifications-older", "notifications-newer"


def layout(**_query: str) -> Component:
    stay_on_page()
    new = link_button(_("New channel"), f"/notifications/{views.NEW}", icon_name="plus-lg", kind="primary")
    turning = [
        button(_("Newer"), id=_NEWER, kind="quiet", disabled=True),
        button(_("Older"), id=_OLDER, kind="quiet", disabled=True),
    ]
    subtitle = _("Get alerts wherever you are.")
    return page(
        [
            dcc.Store(id=_TRAIL, data=[]),
            dcc.Store(id=_NEXT),
            html.Div(page_header(_("Notifications"), subtitle=subtitle, actions=[new]), className="nv-span-12"),
            card(_("Channels"), html.Div(skeleton_table(3, 5), id="notifications-channels"), flush=True),
            card(
                _("Delivery log"),
                html.Div(skeleton_table(6, 6), id="notifications-messages", **given(aria_live="polite")),
                actions=turning,
                flush=True,
            ),
        ],
        filtered=False,
    )


@protected_callback(
    Permission.ALERTS_READ, Output("notifications-channels", "children"), Input("notifications-channels", "id")
)
def show_channels(_id: str) -> Any:
    with asking(None):
        return part_answer(lambda: views.channel_table(ask(services().notifications.channels)))


@protected_callback(
    Permission.ALERTS_READ,
    Output("notifications-messages", "children"),
    Output(_TRAIL, "data"),
    Output(_NEXT, "data"),
    Output(_NEWER, "disabled"),
    Output(_OLDER, "disabled"),
    Input(_OLDER, "n_clicks"),
    Input(_NEWER, "n_clicks"),
    Input(INTERVAL_ID, "n_intervals"),
    State(_TRAIL, "data"),
    State(_NEXT, "data"),
)
def show_messages(_older: Any, _newer: Any, _ticks: Any, trail: Any, following: Any) -> tuple[Any, ...]:
    """One page of the log, as it is by now."""
    asked = ctx.triggered_id
    if asked in {_OLDER, _NEWER} or not trail:
        trail = turned(trail, following, older=asked == _OLDER, newer=asked == _NEWER)
    with asking(None):

        def build() -> tuple[Any, ...]:
            found = ask(services().notifications.messages, trail[-1] if trail else None, views.PAGE)
            return views.message_table(found.items), trail, found.next_cursor, not trail, found.next_cursor is None

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, [], None, True, True)


register_page(
    __name__, path="/notifications", permission=Permission.ALERTS_READ, name=lazy("Notifications"), icon="send", order=3.5,
)  # fmt: skip
