"""What several pages show: frames cut to what has happened, anomalies on charts, downloads, tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, format_date, local, ngettext, number
from nebuloviz.metrics.comparison import reaches_back
from nebuloviz.metrics.query import Filter, Grain, Query
from nebuloviz.metrics.registry import Metric, dimension, metric
from nebuloviz.services.interfaces import OTHER, AlertView, Frame, Freshness
from nebuloviz.services.shown import Matrix, Shape
from nebuloviz.web.components import alert_words, data_table, empty_state, judged_hours, link_button, nothing_matches
from nebuloviz.web.components.cards import download_link
from nebuloviz.web.figures import AnomalyMark, Click, JudgedWindow, Style, value_text
from nebuloviz.web.question import BY_WORDS, bucket_end, comparison_words, filter_words
from nebuloviz.web.state import PageState
from nebuloviz.web.theme import mix
from nebuloviz.web.views.grids import frame_grid

_PALE = 0.28
#: So many sale lines a file holds, the first in the order of their table.
MAX_LINES = 20_000
#: Longer tables are grids, which draw only the rows that are seen.
MAX_PLAIN_ROWS = 40


def with_expected(data: pd.DataFrame, expected: pd.DataFrame | None, slug: str) -> pd.DataFrame:
    """`data` with the columns `<metric>:low` and `<metric>:high` that a trend draws as a band."""
    if expected is None or expected.empty or "bucket" not in data:
        return data
    band = expected.set_index("bucket").reindex(data["bucket"])
    sides = {"low": band["expected_low"], "high": band["expected_high"]}
    return data.assign(**{f"{slug}:{side}": values.to_numpy() for side, values in sides.items()})


def is_about(alert: AlertView, slug: str, filters: Iterable[Filter]) -> bool:
    """Whether `alert` is about the metric `slug` of exactly what `filters` leave."""
    chosen = {item.dimension: item.values for item in filters}
    narrow = all(item.op == "in" and len(item.values) == 1 for item in filters)
    return narrow and alert.metric == slug and chosen == {name: (value,) for name, value in alert.dimensions.items()}


def anomaly_marks(
    data: pd.DataFrame, alerts: Iterable[AlertView], slug: str, grain: str | None = None
) -> list[AnomalyMark]:
    """A mark for each alert, on the point of `data` whose bucket holds the beginning of what was judged; the gravest of a bucket wins.

    Where `grain` is the hour or a quarter of one, several that were judged together are marked together.
    """
    if data.empty or "bucket" not in data:
        return []
    starts = data["bucket"].sort_values(ignore_index=True)
    found: dict[datetime, AnomalyMark] = {}
    for alert in sorted(alerts, key=lambda item: item.score):
        place = int(starts.searchsorted(pd.Timestamp(alert.judged[0]), side="right")) - 1
        value = float(data.loc[data["bucket"] == starts[max(place, 0)], slug].iloc[0])
        if place >= 0 and not np.isnan(value):
            bucket = starts[place].to_pydatetime()
            window = _window(alert) if grain in {"hour", "quarter_hour"} else None
            found[bucket] = AnomalyMark(
                bucket,
                window.observed if window else value,
                alert.severity,  # type: ignore[arg-type]  # one of these words
                alert.id,
                alert_words(alert),
                window,
            )
    return list(found.values())


def marks_about(
    data: pd.DataFrame, alerts: Iterable[AlertView], state: PageState, grain: str | None
) -> list[AnomalyMark]:
    """The marks of those alerts that are about exactly what a trend of the state's metric shows."""
    about = [alert for alert in alerts if is_about(alert, state.metric, state.filters)]
    return anomaly_marks(data, about, state.metric, grain)


def _window(alert: AlertView) -> JudgedWindow | None:
    """The hours that were judged together, where they are several and add up to what is said of them."""
    hours = judged_hours(alert)
    if hours < 2 or alert.expected_low is None or alert.expected_high is None:
        return None
    means = (value / hours for value in (alert.observed, alert.expected_low, alert.expected_high))
    return JudgedWindow(*alert.judged, *means)


def after_click(state: PageState, click: Click | None, grain: Grain | None) -> PageState:
    """The state after a click on a chart: a bucket becomes the range, values become filters, the same click again undoes it.

    A bucket that is the whole range already gives way to the range before.
    """
    if click is None:
        return state
    for slug, value in click.filters:
        if value != OTHER:
            state = state.toggled(slug, value)
    if click.bucket is None or grain is None:
        return state
    narrowed = state.within(click.bucket, bucket_end(click.bucket, grain, state))
    return state.with_(span=None) if narrowed.span == state.span else narrowed


def without_dwarfing_rest(data: pd.DataFrame, slug: str, measured: str) -> tuple[pd.DataFrame, float | None]:
    """Without 'Other' of the dimension `slug` where it would press all else to the floor; then what it comes to is told apart."""
    sums = data.groupby(slug, observed=True)[measured].sum()
    if OTHER not in sums or len(sums) == 1:
        return data, None
    rest, most = float(sums[OTHER]), float(sums.drop(OTHER).max())
    return (data[data[slug] != OTHER], rest) if rest > 2 * most else (data, None)


def pale_others(figure: go.Figure, chosen: Sequence[str], style: Style) -> go.Figure:
    """Bars and areas that the filter leaves out, drawn pale so that they can still be compared and clicked."""
    if not chosen:
        return figure
    for trace in figure.data:
        if trace.type == "bar" and trace.orientation == "h":
            trace.marker.opacity = [1.0 if value in chosen else _PALE for value in trace.y]
        elif trace.type == "treemap":
            _pale_areas(trace, chosen, style)
    return figure


def _pale_areas(trace: Any, chosen: Sequence[str], style: Style) -> None:
    """Areas have no opacity of their own, so they are mixed with the ground, and their text is that of the ground."""
    tokens = style.tokens
    left_out = [{value for _slug, value in mark[1]}.isdisjoint(chosen) for mark in trace.customdata]
    colors, texts = trace.marker.colors, trace.insidetextfont.color
    trace.marker.colors = [
        mix(color, tokens.raised, 1 - _PALE) if pale else color for color, pale in zip(colors, left_out, strict=True)
    ]
    inks = [tokens.text if pale else color for color, pale in zip(texts, left_out, strict=True)]
    trace.insidetextfont.color = trace.outsidetextfont.color = inks


def downloads(
    query: Query, title: str, shape: Shape | None = None, top: int | None = None, beside: Sequence[str] = ()
) -> list[Component]:
    """Links to exactly what is shown, as CSV and XLSX; of a heat map its `shape`, and how many values of each dimension it has.

    `beside` says what else the table tells (of `sheets.BESIDE`). The order that a reader gives it is added in the browser.
    """
    drawn = {"shape": [shape], "top": [str(top)] if top else []} if shape else {"with": list(beside)}
    params = urlencode({**query.to_params(), **drawn}, doseq=True)
    return [download_link(kind, title, f"/export/{kind.lower()}?{params}") for kind in ("CSV", "XLSX")]


def line_downloads(query: Query) -> list[Component]:
    """Links to the sale lines behind `query`, as CSV and XLSX."""
    params = urlencode(query.to_params(), doseq=True)
    return [download_link(kind, _("Sale lines"), f"/export/lines/{kind.lower()}?{params}") for kind in ("CSV", "XLSX")]


def table_of(frame: Frame, data: pd.DataFrame, title: str) -> Callable[[], Component]:
    """Makes the table behind a chart: the same rows in the same order."""
    query = frame.query
    if len(data) > MAX_PLAIN_ROWS:
        return lambda: frame_grid(frame, data)
    return lambda: data_table(
        data,
        metrics_of(query),
        dimensions=query.dimensions,
        grain=query.grain,
        comparison=comparison_words(query.comparison),
        caption=title,
    )


def matrix_table(matrix: Matrix, shown: Metric, title: str) -> Component:
    """A heat map as a table, in its own order."""
    names = [html.Th(words, scope="col", className="nv-num") for words in matrix.column_words]
    rows = [
        html.Tr(
            [
                html.Th(html.Bdi(words), scope="row"),
                *(html.Td(value_text(shown, value), className="nv-num") for value in values),
            ]
        )
        for words, values in zip(matrix.row_words, matrix.cells.tolist(), strict=True)
    ]
    caption = html.Caption(title, className="visually-hidden")
    head = html.Thead(html.Tr([html.Td(), *names]))
    return html.Div(html.Table([caption, head, html.Tbody(rows)], className="nv-table"), className="nv-table-wrap")


def metrics_of(query: Query) -> list[Metric]:
    return [metric(slug) for slug in query.metrics]


def is_empty(frame: Frame) -> bool:
    """Whether there were no sales at all in what the frame asked for."""
    columns = (frame.data[slug].tolist() for slug in frame.query.metrics)
    return not any(value and not math.isnan(value) for values in columns for value in values)


def nothing(state: PageState, path: str = "/") -> Component:
    """Which filter leaves nothing, and the way back."""
    clear = link_button(_("Show everything"), state.reset().with_(preset="all").to_url(path), icon_name="x-lg")
    return nothing_matches(filter_words(state.filters), clear=clear)


def no_sales_yet() -> Component:
    """What stands in the place of figures while there is not a single sale."""
    return empty_state(
        _("No sales yet"),
        link_button(_("Import a file or watch the stream"), "/data", icon_name="database", kind="primary"),
        icon_name="inbox",
        hint=_("This page shows sales as soon as the first one is stored."),
    )


def nothing_known(shown: Metric) -> Component:
    """Why sales that there are have nothing to show of a metric, and what would change that."""
    data = link_button(_("Import a file or watch the stream"), "/data", icon_name="database")
    why: dict[str, tuple[str, str, Component | None]] = {
        "margin": (
            _("None of these sales has a cost"),
            _("The margin is known for lines with a cost, in a column or field called “cost”."),
            data,
        ),
        "returns": (_("No returns among these sales"), _("A line with a negative quantity is a return."), None),
        "customers": (
            _("None of these sales has a customer"),
            _("Customers are counted from lines that name one, in a column or field called “customer_id”."),
            data,
        ),
    }
    usual = (_("Nothing to show for these sales"), _("Choose another metric."), None)
    title, hint, action = why.get(shown.slug, usual)
    return empty_state(title, action, icon_name="bar-chart", hint=hint)


def by_words(grain: Grain) -> str:
    """The grain as a subtitle says it: "by day"."""
    return str(BY_WORDS[grain])


def lines_words(total: int) -> str:
    """How many lines there are, and how many of them a file holds where that is not all."""
    words = ngettext("{count} sale line", "{count} sale lines", total, count=number(total))
    return (
        _("{lines}; downloads contain the first {count} in the table's order", lines=words, count=number(MAX_LINES))
        if total > MAX_LINES
        else words
    )


def dimension_words(slug: str) -> str:
    return str(dimension(slug).label)


def missing_comparison(query: Query, freshness: Freshness) -> str:
    """Why figures are not compared: sales of a part of what they would be compared with say nothing about its whole."""
    if not query.comparison or freshness.first_sale is None or reaches_back(query, freshness.first_sale):
        return ""
    return _("no sales before {date}", date=format_date(local(freshness.first_sale)))
