"""Overview: tiles, the trend with what was expected, breakdowns, the newest sales and alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from dash import ALL, MATCH, Input, Output, State, ctx, dcc, html, no_update, set_props
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.metrics.registry import dimension, metric
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AlertFilter, ImportView
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import (
    ChartView,
    Failures,
    Outline,
    chart_answer,
    chart_outline,
    chart_outputs,
    chart_slot,
    is_looked_at,
    part_answer,
    part_id,
    table_input,
)
from nebuloviz.web.components import (
    card,
    page,
    page_header,
    skeleton_feed,
    skeleton_table,
    skeleton_tile,
    ticker_parts,
)
from nebuloviz.web.components.basic import Children, given
from nebuloviz.web.context import ask, may, services
from nebuloviz.web.figures import clicked, title_of
from nebuloviz.web.navigation import REFRESH, STAMP_ID, THEME_ID, URL_ID, go, stay_on_page
from nebuloviz.web.question import bounds, comparison_words, range_words
from nebuloviz.web.reading import Asking, NotWhole, as_json, asking
from nebuloviz.web.state import PageState
from nebuloviz.web.views import common
from nebuloviz.web.views import insights as insight_views
from nebuloviz.web.views import overview as views
from nebuloviz.web.warming import shown_first

#: The name of all charts here; `of` in their ids says which one: a key of `CHARTS`, or a dimension behind `_BY`.
CHART = "overview"
_BY = "by-"
_BODY_ID, _FILLED_ID = "overview-content", "overview-filled"
#: Dimensions with more values than bars can show have their own chart of the largest.
_OWN_CHART = "product"
_TILES = 5

Place = tuple[str, str, int, int, Outline]  # of a chart: which, title, span, height, outline


def layout(**_query: str) -> Component:
    """The outline of the page; `fill` puts the page itself there at once, which spares the browser most of its work."""
    stay_on_page()
    charts = [
        chart_outline(title, span=span, height=height, outline=outline)
        for _of, title, span, height, outline in places()
    ]
    cards = [card(title, skeleton, span=span) for title, skeleton, span in _live_outlines()]
    parts = [
        html.Div(page_header(_("Overview")), className="nv-span-12"),
        html.Div([skeleton_tile() for _tile in range(_TILES)], className="nv-tiles nv-span-12"),
        charts[0],
        card(_("What stands out"), skeleton_feed(3), span=4),
        *charts[1:],
        *cards,
    ]
    # an unseen chart has the browser fetch Plotly while the server makes the page
    plotly = html.Div(dcc.Graph(), hidden=True)
    return page([html.Div([*parts, plotly], id=_BODY_ID, className="nv-grid"), dcc.Store(id=_FILLED_ID)])


def places() -> list[Place]:
    """Where the charts stand, the trend first; there is one for each dimension that the data has."""
    in_use = ask(services().data.dimensions_in_use)
    used = [slug for slug in in_use if slug != _OWN_CHART and dimension(slug).rolled]
    revenue = metric("revenue")
    *by, products_span, shares_span, heat_span = views.spans(len(used))
    return [
        ("trend", title_of(revenue), 8, 320, "columns"),
        *((_BY + slug, title_of(revenue, slug), span, 280, "bars") for slug, span in zip(used, by, strict=True)),
        ("products", title_of(revenue, _OWN_CHART), products_span, 280, "bars"),
        ("shares", title_of(revenue), shares_span, 300, "grid"),
        ("heat", title_of(revenue), heat_span, 300, "grid"),
    ]


def _live_outlines() -> list[tuple[str, Component, int]]:
    """Title, skeleton and span of the newest sales and alerts, for those who may see them."""
    cards: list[tuple[str, Component, int]] = []
    if may(Permission.SALES_READ):
        cards.append((_("Newest sales"), skeleton_table(8, 1), 7))
    if may(Permission.ALERTS_READ):
        cards.append((_("Alerts"), skeleton_feed(4), 5))
    return cards


@protected_callback(
    Permission.DATA_READ,
    Output(_BODY_ID, "children"),
    Output(_FILLED_ID, "data"),
    Input(_BODY_ID, "id"),
    State(URL_ID, "search"),
    State(STAMP_ID, "data"),
    State(THEME_ID, "data"),
)
def fill(_id: str, search: str | None, stamp: str, theme: str) -> tuple[Any, list[Any]]:
    """The whole page as `search` asks for it, and what it was made for."""
    with asking(search, theme) as asked:
        subtitle, first = head(asked)
        whole = shown(asked)
        trend, *charts = [whole.get(_slot_name(place)) or slot(place, {}) for place in places()]
        content = [
            html.Div(
                page_header(_("Overview"), subtitle=html.Span(subtitle, id="overview-subtitle")), className="nv-span-12"
            ),
            html.Div(first, id="overview-first", className="nv-first nv-span-12"),
            html.Div(whole["tiles"], id="overview-tiles", className="nv-tiles nv-span-12"),
            trend,
            card(_("What stands out"), html.Div(whole["findings"], id="overview-findings"), span=4),
            *charts,
            *_live_cards(search),
        ]
        return as_json(content), [search, stamp, theme]


shown_first(partial(fill, _BODY_ID, "", "", "light"))


def slot(place: Place, whole: Mapping[str, Any]) -> Component:
    """Where a chart stands, filled with what there is of it in `whole`."""
    of, title, span, height, outline = place
    return chart_slot(CHART, title, of=of, span=span, height=height, outline=outline, answer=chart_of(whole, of))


def _slot_name(place: Place) -> str:
    return f"{place[0]} slot"


def _live_cards(search: str | None) -> list[Component]:
    """The newest sales and alerts, for those who may see them."""
    cards: list[Component] = []
    if may(Permission.SALES_READ):
        rows, newest = newest_sales("", search, None)
        shown = html.Div(rows, id="overview-ticker", **given(data_newest="" if newest is no_update else newest))
        cards.append(card(_("Newest sales"), shown, span=7))
    if may(Permission.ALERTS_READ):
        cards.append(card(_("Alerts"), html.Div(newest_alerts("", search), id="overview-feed"), span=5))
    return cards


@protected_callback(
    Permission.DATA_READ,
    *REFRESH,
    Input(_FILLED_ID, "data"),
    State(part_id(CHART, "view", ALL), "n_clicks"),
    State(part_id(CHART, "view", ALL), "id"),
    output={
        "subtitle": Output("overview-subtitle", "children"),
        "first": Output("overview-first", "children"),
        "tiles": Output("overview-tiles", "children"),
        "findings": Output("overview-findings", "children"),
        **chart_outputs(CHART, ALL),
    },
    prevent_initial_call=True,
)
def refresh(
    search: str | None, stamp: str, theme: str, filled: Any, views_clicked: list[int | None], ids: list[dict[str, str]]
) -> dict[str, Any]:
    """All figures anew, in one answer, when question, data or colours have changed since the page was filled."""
    if set(ctx.triggered_prop_ids) == {f"{_FILLED_ID}.data"} and filled == [search, stamp, theme]:
        raise PreventUpdate
    with asking(search, theme) as asked:
        whole = shown(asked)
        answers = [
            chart_of(whole, id["of"])
            if f"{id['of']} body" in whole and not is_looked_at(clicks)
            else chart_answer(partial(chart, asked, id["of"]), clicks)
            for id, clicks in zip(ids, views_clicked, strict=True)
        ]
        subtitle, first = head(asked)
        charts = {part: [answer[part] for answer in answers] for part in chart_outputs(CHART, ALL)}
        return {"subtitle": subtitle, "first": first, "tiles": whole["tiles"], "findings": whole["findings"], **charts}


@protected_callback(
    Permission.DATA_READ,
    table_input(CHART, MATCH),
    State(URL_ID, "search"),
    State(THEME_ID, "data"),
    State(part_id(CHART, "view", MATCH), "id"),
    output=Output(part_id(CHART, "table", MATCH), "children", allow_duplicate=True),
    prevent_initial_call=True,
)
def show_table(table_clicks: int | None, search: str | None, theme: str, id: dict[str, str]) -> Any:
    """The table behind a chart, once somebody looks at it."""
    with asking(search, theme) as asked:
        return chart_answer(partial(chart, asked, id["of"]), table_clicks)["table"]


def head(asked: Asking) -> tuple[str, Any]:
    """The line below the title, and what to say before there is data."""
    words = [range_words(asked.state, asked.now), comparison_words(asked.state.comparison)]
    said = _("{range} vs {comparison}", range=words[0], comparison=words[1]) if words[1] else words[0]
    return said, part_answer(lambda: views.first_load(ask(services().data.freshness), running()))


def running() -> Sequence[ImportView]:
    """The newest imports, for those who may see them."""
    return ask(services().ingest.imports, 5) if may(Permission.STREAM_READ) else ()


def shown(asked: Asking) -> dict[str, Any]:
    """What the page shows of figures, drawn once for all who read alike: tiles, findings, each chart, and of each chart its parts."""

    def draw(asked: Asking) -> dict[str, Any]:
        failures: Failures = []
        whole = {name: part_answer(partial(build, asked), failures) for name, build in PARTS.items()}
        try:
            for place in places():
                of = place[0]
                answer = chart_answer(partial(chart, asked, of), failures=failures)
                parts = {f"{of} {part}": as_json(value) for part, value in answer.items() if value is not no_update}
                whole |= parts | {_slot_name(place): slot(place, parts)}
        except NebuloVizError as error:  # which charts there are cannot be said; those that stand say it for themselves
            failures.append(error)
        if failures:
            raise NotWhole(whole)
        return whole

    return asked.kept("overview", draw)


def chart_of(whole: Mapping[str, Any], of: str) -> dict[str, Any]:
    """What fills the chart `of` that name, of what `shown` gives."""
    return {part: whole.get(f"{of} {part}", no_update) for part in chart_outputs(CHART)}


def tiles(asked: Asking) -> list[Component]:
    total = asked.frame(asked.query(metrics=views.tile_metrics()))
    series = asked.frame(asked.query(metrics=views.tile_metrics(), grain="fitting", comparison=None))
    expected = {slug: asked.expected(series.query.with_(metrics=(slug,))) for slug in series.query.metrics}
    return views.tiles(total, series, expected, asked.state, asked.style(), ask(services().data.freshness), asked.now)


def findings(asked: Asking) -> Children:
    query = asked.query(comparison=asked.state.comparison or "previous")
    return insight_views.findings(ask(services().insights.insights, query, views.FINDINGS))


PARTS: dict[str, Callable[[Asking], Children]] = {"tiles": tiles, "findings": findings}


def chart(asked: Asking, of: str) -> ChartView:
    """The chart `of` that name.

    Raises:
        InvalidQuery: there is none.
    """
    build = CHARTS.get(of)
    return build(asked) if build else breakdown(asked, of.removeprefix(_BY))


def trend(asked: Asking) -> ChartView:
    query = asked.query(grain="fitting")
    frame, expected, alerts = asked.frame(query), asked.expected(query), asked.alerts(query)
    coming = asked.forecast(query)
    planned = asked.planned(query, coming)
    return views.trend_view(frame, expected, alerts, asked.state, asked.style(), coming=coming, planned=planned)


def breakdown(asked: Asking, slug: str) -> ChartView:
    frame = asked.frame(asked.parts(slug, views.TOP_VALUES))
    return views.breakdown_view(frame, slug, asked.state, asked.style(slug))


def products(asked: Asking) -> ChartView:
    frame = asked.frame(asked.parts(_OWN_CHART, views.TOP_PRODUCTS, other=False))
    return views.breakdown_view(frame, _OWN_CHART, asked.state, asked.style())


def shares(asked: Asking) -> ChartView:
    slug = views.shares_dimension(ask(services().data.dimensions_in_use))
    shown = asked.state.metric if metric(asked.state.metric).additive else "revenue"
    query = asked.parts(slug, 40).with_(metrics=(shown,), order=f"-{shown}", comparison=None)
    return views.treemap_view(asked.frame(query), slug, asked.state, asked.style(slug))


def heat(asked: Asking) -> ChartView:
    return views.heat_view(asked.frame(asked.hours()), asked.state, asked.style())


CHARTS: dict[str, Callable[[Asking], ChartView]] = {
    "trend": trend,
    "products": products,
    "shares": shares,
    "heat": heat,
}


def _newest_of(asked: Asking) -> object:
    """What the newest sales and alerts go by: not by a range that runs up to now, for they are in it, or older ones go on."""
    return asked.state.filters, asked.over()


@protected_callback(
    Permission.SALES_READ,
    Output("overview-ticker", "children"),
    Output("overview-ticker", "data-newest"),
    Input(STAMP_ID, "data"),
    Input(URL_ID, "search"),
    State("overview-ticker", "data-newest"),
    prevent_initial_call=True,
)
def newest_sales(_stamp: str, search: str | None, known: str | None) -> tuple[Any, Any]:
    with asking(search) as asked:

        def draw(asked: Asking) -> dict[str, Any]:
            lines = ask(services().data.sales, asked.lately(), None, views.TICKER_LINES).lines
            return {line.sale_id: ticker_parts(line, asked.now) for line in lines}

        def build() -> Any:
            rows = asked.kept("newest sales", draw, of=_newest_of(asked))
            return views.latest_sales(rows, known), next(iter(rows), "")

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, no_update)


@protected_callback(
    Permission.ALERTS_READ,
    Output("overview-feed", "children"),
    Input(STAMP_ID, "data"),
    Input(URL_ID, "search"),
    prevent_initial_call=True,
)
def newest_alerts(_stamp: str, search: str | None) -> Any:
    with asking(search) as asked:

        def newest(asked: Asking) -> dict[str, Any]:
            start, end = asked.over() or (None, None)
            active = AlertFilter(("open", "acknowledged"), start=start, end=end, filters=asked.state.filters)
            found = ask(services().alerts.list, active, None, views.FEED_ITEMS).items
            return {"feed": views.alert_feed(found, asked.now)} if found else {}

        def nothing(asked: Asking) -> dict[str, Any]:
            start, end = bounds(asked.state, asked.now)
            which = AlertFilter(start=start, end=end, filters=asked.state.filters)
            resolved = ask(services().alerts.counts, which)["resolved"]
            return {"feed": views.no_alerts(asked.state, resolved, ask(services().alerts.detectors), running())}

        def build() -> Any:
            found = asked.kept("newest alerts", newest, of=_newest_of(asked))
            return (found or asked.kept("no alerts", nothing))["feed"]

        return part_answer(build)


@protected_callback(
    Permission.DATA_READ,
    Input(part_id(CHART, "figure", ALL), "clickData"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def click(_clicked: Any, search: str | None) -> None:
    """A click on a bar, an area or a point filters everything; on a ring it opens the alert."""
    source = ctx.triggered_id
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
