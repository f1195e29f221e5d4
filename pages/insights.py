"""Insights: in words what changed, by how much and why: the day before, the week to it, and the range of the filters."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.metrics.calendar import day_of
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import card, page, page_header, skeleton_feed
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import REFRESH, URL_ID, stay_on_page
from nebuloviz.web.question import range_words, zone_of_state
from nebuloviz.web.reading import Asking, asking
from nebuloviz.web.views import common
from nebuloviz.web.views import insights as views


def layout(**_query: str) -> Component:
    stay_on_page()
    waiting: list[Component] = [card(_("Insights"), skeleton_feed(4), span=span) for span in (6, 6, 12)]
    return page(
        [
            html.Div(page_header(_("Insights"), subtitle=html.Span(id="insights-subtitle")), className="nv-span-12"),
            html.Div(waiting[:2], id="insights-digest", className="nv-grid nv-span-12"),
            html.Div(waiting[2:], id="insights-range", className="nv-grid nv-span-12"),
        ]
    )


@protected_callback(
    Permission.DATA_READ,
    Output("insights-digest", "children"),
    Output("insights-subtitle", "children"),
    Input(URL_ID, "search"),
)
def show_digest(search: str | None) -> tuple[Any, Any]:
    """Of days that are over: what arrives meanwhile is no news of them, so they are asked for once."""
    with asking(search) as asked:
        answer = part_answer(lambda: digest(asked))
        return answer if isinstance(answer, tuple) else (html.Div(answer, className="nv-span-12"), "")


def digest(asked: Asking) -> tuple[list[Component], str]:
    """The cards, and the line below the page's title; without a sale, the place of the range says so for all of them."""
    zone = zone_of_state(asked.state)
    insights = services().insights
    found = insights.reworded(ask(insights.digest, time_zone=zone.key, filters=asked.state.filters))
    if not found.of_week and not _begun():
        return [], ""
    return views.digest_cards(found), views.subtitle(found, day_of(asked.now, zone))


@protected_callback(Permission.DATA_READ, Output("insights-range", "children"), *REFRESH)
def show_range(search: str | None, _stamp: str, _theme: str) -> Any:
    with asking(search) as asked:
        return part_answer(lambda: told(asked))


def told(asked: Asking) -> Component:
    """The card of the range that the filters ask for."""
    query = asked.query(comparison=asked.state.comparison or "previous")
    found = ask(services().insights.insights, query, views.FINDINGS)
    if not found and not _begun():
        return html.Div(common.no_sales_yet(), className="nv-span-12")
    return views.range_card(range_words(asked.state, asked.now), asked.state, found)


def _begun() -> bool:
    return ask(services().data.freshness).lines > 0


register_page(
    __name__, path="/insights", permission=Permission.DATA_READ, name=lazy("Insights"), icon="lightbulb", shortcut="g i", order=2.5,
)  # fmt: skip
