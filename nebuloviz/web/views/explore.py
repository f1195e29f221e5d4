"""Explore: any metric by any dimension at any grain. Which charts suit a question, and what its page shows of the answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import pandas as pd
from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, number, percent
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import metric
from nebuloviz.services.interfaces import OTHER, AlertView, Forecast, Frame, Freshness, PlannedTime
from nebuloviz.services.shown import happened, matrix_of
from nebuloviz.web.chart_kinds import CHARTS, Chart, Drawing
from nebuloviz.web.charts import ChartView
from nebuloviz.web.components.basic import Children
from nebuloviz.web.components.tiles import change_line
from nebuloviz.web.figures import Style, value_text, with_planned
from nebuloviz.web.question import comparison_words
from nebuloviz.web.reading import Asking
from nebuloviz.web.state import PageState
from nebuloviz.web.views import ahead, calendar, common

_LEAST = 0.005  # below it, sums that are added up in another order may differ


def charts_for(state: PageState) -> tuple[Chart, ...]:
    """The charts that suit the question, the usual one first."""
    return tuple(chart for chart in CHARTS if chart.suits(state))


def chart_of(state: PageState) -> Chart:
    """The chosen chart where it suits, else the usual one."""
    suiting = charts_for(state)
    return next((chart for chart in suiting if chart.slug == state.chart), suiting[0])


def normal(state: PageState) -> PageState:
    """The state as Explore understands it: what is not over time has a dimension."""
    return state if state.over_time or state.by else state.with_(over_time=True)


def query_for(asked: Asking, state: PageState) -> Query:
    """The one question behind the chart, its table and its downloads."""
    return chart_of(state).ask(asked, state)


def expects(state: PageState) -> bool:
    """Whether the chart shows the range that is normal."""
    return state.over_time and not state.by and chart_of(state).expected


def chart_view(  # noqa: PLR0913 - each is something else to draw
    frame: Frame,
    expected: pd.DataFrame | None,
    alerts: Sequence[AlertView],
    state: PageState,
    style: Style,
    *,
    coming: Forecast | None = None,
    planned: Sequence[PlannedTime] = (),
    sold: bool = False,
    whole: float = math.nan,
) -> ChartView:
    """The chart, its table and its downloads, all of the same rows; `coming` is a forecast that goes on beyond them.

    `planned`: what the calendar says of that time.
    `sold`: there are sales, even where their figures are all zero or unknown. `whole`: what all of them come to.
    """
    chart, query = chart_of(state), frame.query
    title = chart.title(state)
    if common.is_empty(frame):
        instead = common.nothing_known(metric(state.metric)) if sold else common.nothing(state, "/explore")
        return ChartView(title, instead=instead)
    data, shape = happened(frame), chart.shape(state)
    beside = [*_beside(state), *(["forecast"] if coming else [])]
    links = common.downloads(query, title, shape, state.top if shape == "pairs" else None, beside)
    marks = common.marks_about(data, alerts, state, query.grain) if expects(state) else ()
    days = calendar.marks(planned)
    seen, rest = common.without_dwarfing_rest(data, state.by[0], state.metric) if _spares(state) else (data, None)
    drawn = chart.draw(Drawing(frame, seen, state, style, expected, marks, ahead.frame_of(coming), days))
    subtitle: Children = " · ".join(filter(None, [_grain_words(query), *_left_out(frame, state, rest, whole)])) or None
    if isinstance(drawn, Component):
        return ChartView(title, instead=drawn, subtitle=subtitle, links=links)
    banded = common.with_expected(data, expected, state.metric) if expects(state) else data
    told = with_planned(banded, days, query.grain) if query.grain else banded
    table = ahead.with_forecast(common.table_of(frame, told, title), coming)
    if expects(state):
        subtitle = ahead.subtitle(query, state, coming, "/explore", frame.as_of)
    if shape is not None:
        table = partial(common.matrix_table, matrix_of(frame, shape, state.top), metric(state.metric), title)
        subtitle = _("Average over the range") if shape == "week" else subtitle
    return ChartView(title, drawn, table, subtitle, links)


def _beside(state: PageState) -> list[str]:
    """What stands beside the figures in the table behind the chart."""
    return [*(["expected"] if expects(state) else []), *(["calendar"] if chart_of(state).expected else [])]


def total(found: Frame, freshness: Freshness) -> Component:
    """What the whole range comes to, whatever the chart tells apart, beside its comparison: the figure of the metric's tile."""
    query, row = found.query, found.data.iloc[0]
    shown = metric(query.metrics[0])
    value, before = float(row[shown.slug]), float(row.get(f"{shown.slug}:comparison", math.nan))
    missing = common.missing_comparison(query, freshness)
    parts: list[Component | None] = [
        html.Span(str(shown.label), className="nv-muted"),
        html.Strong(value_text(shown, value), className="nv-num"),
        html.Span(_("so far"), className="nv-muted") if query.start < found.as_of < query.end else None,
    ]
    if query.comparison:
        parts.append(change_line(shown, value, before, comparison_words(query.comparison), missing))
    if math.isfinite(before) and not missing:
        parts.append(html.Span(_("instead of {before}", before=value_text(shown, before)), className="nv-muted nv-num"))
    return html.Div([part for part in parts if part is not None], className="nv-total")


def _spares(state: PageState) -> bool:
    return bool(state.by) and chart_of(state).spares


def _grain_words(query: Query) -> str:
    return common.by_words(query.grain) if query.grain else ""


def _left_out(frame: Frame, state: PageState, rest: float | None, whole: float) -> Iterator[str]:
    """In words what there is but a chart of several values does not show: what they leave out, and a comparison that was chosen.

    `rest` is what 'Other' comes to where that is not drawn, `whole` what there is in all.
    """
    query, shown = frame.query, metric(state.metric)
    if rest is not None:
        yield _("plus {amount} in all others", amount=value_text(shown, rest))
    if chart_of(state).shape(state) == "pairs":
        yield from _other_pairs(frame, state, whole)
    elif len(query.dimensions) == 2 and OTHER in set(frame.data[query.dimensions[0]]):
        yield _("the largest {count} combinations, all others as “Other”", count=number(query.limit or 0))
    elif query.limit and not query.other and len(frame.data[list(query.dimensions)].drop_duplicates()) >= query.limit:
        yield _("the largest {count}, without the rest", count=number(query.limit))
    if query.grain and query.dimensions and state.comparison and not query.comparison:
        yield _("not compared, because it is split")


def _other_pairs(frame: Frame, state: PageState, whole: float) -> Iterator[str]:
    """What the pairs of values come to that have no cell in a heat map."""
    shown, data = metric(state.metric), frame.data
    cut = any(len(data[slug].unique()) >= state.top for slug in frame.query.dimensions)
    if cut and not shown.additive:
        yield _("combinations of the largest values ({count}), without the rest", count=number(len(data)))
    left = whole - float(data[state.metric].sum())
    if cut and shown.additive and whole and abs(left) >= _LEAST:
        words = {"count": number(len(data)), "amount": value_text(shown, left), "percent": percent(left / whole)}
        yield _(
            "combinations of the largest values ({count}); all others come to {amount}, {percent} of the total", **words
        )


def with_axis(state: PageState, axis: str) -> PageState:
    """The state after choosing what runs along the chart: 'time', or a dimension."""
    if axis == "time":
        return state.with_(over_time=True)
    rest = tuple(slug for slug in state.by if slug != axis)[: 1 if not state.over_time else 0]
    return state.with_(over_time=False, by=(axis, *rest))


def with_split(state: PageState, split: str) -> PageState:
    """The state after choosing the dimension that splits the chart; '' for none."""
    if state.over_time:
        return state.with_(by=(split,) if split else ())
    first = state.by[:1]
    return state.with_(by=first if split in {"", *first} else (*first, split))


def axis_of(state: PageState) -> str:
    return "time" if state.over_time else state.by[0]


def split_of(state: PageState) -> str:
    rest = state.by if state.over_time else state.by[1:]
    return rest[0] if rest else ""
