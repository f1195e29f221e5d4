"""Overview: tiles, the trend with what was expected, breakdowns, the newest sales and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import ALL, MATCH, Input, Output, State, ctx, html, no_update, set_props
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.metrics.registry import dimension, metric
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AlertFilter, ImportView
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import chart_answer, chart_outputs, chart_slot, part_answer, part_id, table_input
from nebuloviz.web.components import (
    card,
    page,
    page_header,
    skeleton_feed,
    skeleton_table,
    skeleton_tile,
)
from nebuloviz.web.context import ask, may, services
from nebuloviz.web.figures import clicked, title_of
from nebuloviz.web.navigation import REFRESH, STAMP_ID, URL_ID, go, stay_on_page
from nebuloviz.web.question import comparison_words, range_words
from nebuloviz.web.reading import asking
from nebuloviz.web.state import State as PageState
from nebuloviz.web.views import common
from nebuloviz.web.views import overview as views

TREND, HEAT, SHARES, PRODUCTS, BREAKDOWN = (
    "overview-trend",
    "overview-heat",
    "overview-shares",
    "overview-products",
    "overview-by",
)
#: Dimensions with more values than bars can show have their own chart of the largest.
_OWN_CHART = "product"


def layout(**_query: str) -> Component:
    stay_on_page()
    with asking(None):
        in_use = ask(services().data.dimensions_in_use)
    used = [slug for slug in in_use if slug != _OWN_CHART and dimension(slug).rolled]
    revenue = metric("revenue")
    *by, products_span, shares_span, heat_span = views.spans(len(used))
    parts = [
        chart_slot(BREAKDOWN, title_of(revenue, slug), of=slug, span=span, outline="bars")
        for slug, span in zip(used, by, strict=True)
    ]
    return page(
        [
            html.Div(page_header(_("Overview"), subtitle=html.Span(id="overview-subtitle")), className="nv-span-12"),
            html.Div(id="overview-first", className="nv-span-12"),
            html.Div([skeleton_tile() for _tile in range(5)], id="overview-tiles", className="nv-tiles nv-span-12"),
            chart_slot(TREND, title_of(revenue), span=8, height=320),
            card(_("What stands out"), html.Div(skeleton_feed(3), id="overview-findings"), span=4),
            *parts,
            chart_slot(PRODUCTS, title_of(revenue, _OWN_CHART), span=products_span, outline="bars"),
            chart_slot(SHARES, title_of(revenue), span=shares_span, height=300, outline="grid"),
            chart_slot(HEAT, title_of(revenue), span=heat_span, height=300, outline="grid"),
            *_live_cards(),
        ]
    )


def _live_cards() -> list[Component]:
    """The newest sales and alerts, for those who may see them."""
    cards: list[Component] = []
    if may(Permission.SALES_READ):
        cards.append(card(_("Newest sales"), html.Div(skeleton_table(8, 3), id="overview-ticker"), span=7))
    if may(Permission.ALERTS_READ):
        cards.append(card(_("Alerts"), html.Div(skeleton_feed(4), id="overview-feed"), span=5))
    return cards


@protected_callback(
    Permission.DATA_READ, Output("overview-subtitle", "children"), Output("overview-first", "children"), *REFRESH
)
def head(search: str | None, _stamp: str, theme: str) -> tuple[Any, Any]:
    with asking(search, theme) as asked:
        words = [range_words(asked.state, asked.now), comparison_words(asked.state.comparison)]
        said = _("{range}, compared with: {comparison}", range=words[0], comparison=words[1]) if words[1] else words[0]
        return said, part_answer(lambda: views.first_load(ask(services().data.freshness), running()))


def running() -> Sequence[ImportView]:
    """The newest imports, for those who may see them."""
    return ask(services().ingest.imports, 5) if may(Permission.STREAM_READ) else ()


@protected_callback(Permission.DATA_READ, Output("overview-tiles", "children"), *REFRESH)
def tiles(search: str | None, _stamp: str, theme: str) -> Any:
    with asking(search, theme) as asked:

        def build() -> list[Component]:
            total = asked.frame(asked.query(metrics=views.tile_metrics()))
            series = asked.frame(asked.query(metrics=views.tile_metrics(), grain="fitting", comparison=None))
            return views.tiles(total, series, asked.state, asked.style())

        return part_answer(build)


@protected_callback(Permission.DATA_READ, *REFRESH, table_input(TREND), output=chart_outputs(TREND))
def trend(search: str | None, _stamp: str, theme: str, table_clicks: int | None) -> dict[str, Any]:
    with asking(search, theme) as asked:

        def build() -> Any:
            query = asked.query(grain="fitting")
            about = AlertFilter(metrics=query.metrics, start=query.start, end=query.end)
            alerts = ask(services().alerts.list, about, None, 200).items if may(Permission.ALERTS_READ) else ()
            return views.trend_view(asked.frame(query), asked.expected(query), alerts, asked.state, asked.style())

        return chart_answer(build, table_clicks)


@protected_callback(
    Permission.DATA_READ,
    *REFRESH,
    table_input(BREAKDOWN, MATCH),
    State(part_id(BREAKDOWN, "figure", MATCH), "id"),
    output=chart_outputs(BREAKDOWN, MATCH),
)
def breakdown(
    search: str | None, _stamp: str, theme: str, table_clicks: int | None, id: dict[str, str]
) -> dict[str, Any]:
    with asking(search, theme) as asked:
        return chart_answer(
            lambda: views.breakdown_view(
                asked.frame(asked.parts(id["of"], views.TOP_VALUES)), id["of"], asked.state, asked.style(id["of"])
            ),
            table_clicks,
        )


@protected_callback(Permission.DATA_READ, *REFRESH, table_input(PRODUCTS), output=chart_outputs(PRODUCTS))
def products(search: str | None, _stamp: str, theme: str, table_clicks: int | None) -> dict[str, Any]:
    with asking(search, theme) as asked:
        return chart_answer(
            lambda: views.breakdown_view(
                asked.frame(asked.parts(_OWN_CHART, views.TOP_PRODUCTS, other=False)),
                _OWN_CHART,
                asked.state,
                asked.style(),
            ),
            table_clicks,
        )


@protected_callback(Permission.DATA_READ, *REFRESH, table_input(SHARES), output=chart_outputs(SHARES))
def shares(search: str | None, _stamp: str, theme: str, table_clicks: int | None) -> dict[str, Any]:
    with asking(search, theme) as asked:

        def build() -> Any:
            slug = views.shares_dimension(ask(services().data.dimensions_in_use))
            shown = asked.state.metric if metric(asked.state.metric).additive else "revenue"
            query = asked.parts(slug, 40, own_filter=True).with_(metrics=(shown,), order=f"-{shown}", comparison=None)
            return views.treemap_view(asked.frame(query), slug, asked.state, asked.style(slug))

        return chart_answer(build, table_clicks)


@protected_callback(Permission.DATA_READ, *REFRESH, table_input(HEAT), output=chart_outputs(HEAT))
def heat(search: str | None, _stamp: str, theme: str, table_clicks: int | None) -> dict[str, Any]:
    with asking(search, theme) as asked:
        return chart_answer(
            lambda: views.heat_view(asked.frame(asked.hours()), asked.state, asked.style()), table_clicks
        )


@protected_callback(Permission.DATA_READ, Output("overview-findings", "children"), *REFRESH)
def findings(search: str | None, _stamp: str, theme: str) -> Any:
    with asking(search, theme) as asked:
        query = asked.query(comparison=asked.state.comparison or "previous")
        return part_answer(lambda: views.findings(ask(services().insights.insights, query, views.FINDINGS)))


@protected_callback(
    Permission.SALES_READ,
    Output("overview-ticker", "children"),
    Output("overview-ticker", "data-newest"),
    Input(STAMP_ID, "data"),
    Input(URL_ID, "search"),
    State("overview-ticker", "data-newest"),
)
def newest_sales(_stamp: str, search: str | None, known: str | None) -> tuple[Any, Any]:
    with asking(search) as asked:

        def build() -> Any:
            lines = ask(services().data.sales, asked.lately(), None, views.TICKER_LINES).lines
            return views.latest_sales(lines, known), lines[0].sale_id if lines else ""

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, no_update)


@protected_callback(
    Permission.ALERTS_READ, Output("overview-feed", "children"), Input(STAMP_ID, "data"), Input(URL_ID, "search")
)
def newest_alerts(_stamp: str, search: str | None) -> Any:
    with asking(search) as asked:
        active = AlertFilter(states=("open", "acknowledged"))
        return part_answer(
            lambda: views.alert_feed(ask(services().alerts.list, active, None, views.FEED_ITEMS).items, asked.now)
        )


@protected_callback(
    Permission.DATA_READ,
    Input(part_id(TREND, "figure"), "clickData"),
    Input(part_id(SHARES, "figure"), "clickData"),
    Input(part_id(PRODUCTS, "figure"), "clickData"),
    Input(part_id(BREAKDOWN, "figure", ALL), "clickData"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def click(*given: Any) -> None:
    """A click on a bar, an area or a point filters everything; on a ring it opens the alert."""
    search, source = given[-1], ctx.triggered_id
    for item in ctx.triggered:
        found = clicked(item["value"])
        if found is None:
            continue
        set_props(source, {"clickData": None})  # so that a second click on the same bar is one
        if found.alert_id:
            set_props(URL_ID, {"pathname": f"/alerts/{found.alert_id}", "search": ""})
            return
        with asking(search) as asked:
            query = asked.query(grain="fitting")
            go(common.after_click(PageState.from_search(search), found, query.grain), search)


register_page(
    __name__, path="/", permission=Permission.DATA_READ, name=lazy("Overview"), icon="grid-1x2", shortcut="g o", order=1,
)  # fmt: skip
