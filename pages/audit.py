"""Audit log: who did what, when and from where."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, State, ctx, dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AuditFilter
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import dropdown_texts, page, page_header, skeleton_table
from nebuloviz.web.components.basic import given, turning_buttons
from nebuloviz.web.components.cards import download_link
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import URL_ID, stay_on_page, turned
from nebuloviz.web.question import bounds
from nebuloviz.web.reading import Asking, asking
from nebuloviz.web.views import audit as views

_SEARCH, _ACTION, _TRAIL, _NEXT = "audit-search", "audit-action", "audit-trail", "audit-next"
_OLDER, _NEWER = "audit-older", "audit-newer"


def layout(**_query: str) -> Component:
    stay_on_page()
    return page(
        [
            dcc.Store(id=_TRAIL, data=[]),
            dcc.Store(id=_NEXT),
            html.Div(page_header(_("Audit log"), actions=[html.Div(id="audit-download")]), className="nv-span-12"),
            html.Div(_bar(), className="nv-alert-bar nv-span-12"),
            html.Div(
                html.Div(skeleton_table(10, 6), id="audit-entries", **given(aria_live="polite")),
                className="nv-card nv-span-12",
            ),
            turning_buttons((_NEWER, _("Newer")), (_OLDER, _("Older")), id="audit-pages"),
        ],
        filtered=False,
        ranged=True,
    )


def _bar() -> list[Component]:
    search = dcc.Input(
        id=_SEARCH,
        type="search",
        debounce=0.4,
        placeholder=_("Who, object or address"),
        className="nv-input nv-search",
        maxLength=100,
    )
    action = dcc.Dropdown(
        id=_ACTION,
        options=views.action_options(),
        value=views.ALL_ACTIONS,
        clearable=False,
        labels=dropdown_texts(),
        className="nv-select nv-select-comparison",
    )
    words = html.Span(_("Search the audit log"), className="visually-hidden")
    return [
        html.Label([words, search], **given(data_nv_search="")),
        html.Div(action, role="group", **given(aria_label=_("Action"))),
    ]


def filter_of(asked: Asking, search: object, action: object) -> AuditFilter:
    """Which entries the URL's range and the page's controls leave."""
    start, end = bounds(asked.state, asked.now)
    whole = asked.state.preset == "all" and asked.state.span is None
    return AuditFilter(
        search=search.strip() if isinstance(search, str) else "",
        action=action if isinstance(action, str) and action != views.ALL_ACTIONS else "",
        start=None if whole else start,
        end=None if whole else end,
    )


@protected_callback(
    Permission.AUDIT_READ,
    Output("audit-entries", "children"),
    Output(_TRAIL, "data"),
    Output(_NEXT, "data"),
    Output(_NEWER, "disabled"),
    Output(_OLDER, "disabled"),
    Output("audit-download", "children"),
    Input(URL_ID, "search"),
    Input(_SEARCH, "value"),
    Input(_ACTION, "value"),
    Input(_OLDER, "n_clicks"),
    Input(_NEWER, "n_clicks"),
    State(_TRAIL, "data"),
    State(_NEXT, "data"),
)
def show(
    search: str | None, text: Any, action: Any, _older: Any, _newer: Any, trail: Any, following: Any
) -> tuple[Any, ...]:
    """One page of the log; another filter begins with the newest again."""
    with asking(search) as asked:
        which = filter_of(asked, text, action)
        trail = turned(trail, following, older=ctx.triggered_id == _OLDER, newer=ctx.triggered_id == _NEWER)
        link = download_link("CSV", _("Audit log"), views.download_address(which))

        def build() -> tuple[Any, ...]:
            found = ask(services().audit.entries, which, trail[-1] if trail else None, views.PAGE)
            last = found.next_cursor is None
            return views.audit_table(found.items), trail, found.next_cursor, not trail, last, link

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, [], None, True, True, link)


register_page(
    __name__, path="/audit", permission=Permission.AUDIT_READ, name=lazy("Audit log"), icon="journal-text", order=9,
)  # fmt: skip
