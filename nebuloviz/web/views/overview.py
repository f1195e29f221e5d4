"""Overview: what is going on, at a glance. Each function makes one part of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, format_date, format_datetime, listed, local, mid_sentence, relative
from nebuloviz.metrics.registry import METRICS, Metric, dimension, metric
from nebuloviz.services.interfaces import (
    AlertView,
    DetectorView,
    Forecast,
    Frame,
    Freshness,
    ImportView,
    PlannedTime,
)
from nebuloviz.services.shown import happened, matrix_of
from nebuloviz.web.charts import ChartView
from nebuloviz.web.components import empty_state, feed, feed_item, link_button, ticker, ticker_row, tile, tile_age
from nebuloviz.web.components.spark import sparkline
from nebuloviz.web.components.tiles import figure_letters
from nebuloviz.web.figures import (
    Style,
    bars,
    heat_map,
    title_of,
    treemap,
    trend,
    value_text,
    with_planned,
    with_unit,
)
from nebuloviz.web.question import comparison_words, filter_words
from nebuloviz.web.state import PageState
from nebuloviz.web.views import ahead, calendar, common
from nebuloviz.web.views.alerts import resolved_words
from nebuloviz.web.views.imports import running_imports

#: The age of figures in words, and whether it grows.
Age = tuple[str, bool]
#: Tiles in their order; those of the second row appear where the data has something to say about them.
ALWAYS = ("revenue", "orders", "average_order_value", "units", "customers")
#: Those that have a tile whatever they are; of customers there may be none in the data.
EVEN_AT_ZERO = ALWAYS[:-1]
TOP_VALUES, TOP_PRODUCTS, TICKER_LINES, FEED_ITEMS, FINDINGS = 8, 10, 12, 6, 4


def spans(breakdowns: int) -> list[int]:
    """How many of twelve columns the breakdowns, products, shares and heat map take, so that every row is full.

    >>> spans(2), spans(3)
    ([4, 4, 4, 6, 6], [4, 4, 4, 4, 4, 4])
    """
    parts = breakdowns + 1
    by_three = [4] * parts
    if parts % 3 == 1:
        return [*by_three, 4, 4]
    if parts % 3 == 2:
        by_three[-2:] = [6, 6]
    return [*by_three, 6, 6]


def tile_metrics() -> tuple[str, ...]:
    """Every metric that may have a tile."""
    usual = [slug for slug in ALWAYS if any(item.slug == slug for item in METRICS)]
    return (*usual, *(item.slug for item in METRICS if item.slug not in ALWAYS and item.slug != "lines"))


def has_something(row: pd.Series[Any], slug: str) -> bool:
    """Whether a tile for the metric says anything: now, or in what it is compared with."""
    values = (row.get(slug, math.nan), row.get(f"{slug}:comparison", math.nan))
    return any(math.isfinite(value) and value != 0 for value in map(float, values))


def tiles(
    total: Frame,
    series: Frame,
    expected: Mapping[str, pd.DataFrame | None],
    state: PageState,
    style: Style,
    freshness: Freshness,
    now: datetime,
) -> list[Component]:
    """A tile per metric: `total` has one row of figures and what they are compared with, `series` their course.

    `expected` is, by metric, what was to be expected of that course.
    """
    row = total.data.iloc[0]
    data = happened(series)
    unfinished = total.query.start < total.as_of < total.query.end
    shown = [slug for slug in total.query.metrics if slug in EVEN_AT_ZERO or has_something(row, slug)]
    missing = common.missing_comparison(total.query, freshness)
    if not any(has_something(row, slug) for slug in total.query.metrics):  # which is not known to be zero
        row, missing = row.mask(row.index.isin(total.query.metrics), math.nan), missing or _("no sales")
    notes = (_("so far") if unfinished else None, age_of(total.query.end, freshness, now), missing)
    letters = max(figure_letters(metric(slug), float(row[slug])) for slug in shown)
    courses = {slug: common.with_expected(data, expected.get(slug), slug) for slug in shown}
    return [_tile(metric(slug), row, courses[slug], state, style, notes, letters) for slug in shown]


def age_of(end: datetime, freshness: Freshness, now: datetime) -> Age:
    """How old the figures of a range until `end` are: those of one that is over, when sales of later have been seen, stand."""
    if freshness.last_sale is not None and end <= min(freshness.last_sale, now):
        until = local(end)
        words = format_date(until - timedelta(days=1)) if until.time() == time() else format_datetime(end)
        return _("up to {time}", time=words), False
    if freshness.last_arrival is None:
        return "", False
    return relative((now - freshness.last_arrival) / timedelta(seconds=1)), True


def _tile(
    shown: Metric,
    row: pd.Series[Any],
    data: pd.DataFrame,
    state: PageState,
    style: Style,
    notes: tuple[str | None, Age, str],
    letters: int,
) -> Component:
    note, (age, grows), missing = notes
    before = None if missing else row.get(f"{shown.slug}:comparison")
    return tile(
        shown,
        float(row[shown.slug]),
        href=state.with_(metrics=(shown.slug,)).to_url("/explore"),
        before=None if before is None else float(before),
        comparison=comparison_words(state.comparison),
        missing=missing,
        spark=sparkline(data, shown, style=style) if math.isfinite(row[shown.slug]) else None,
        note=note,
        age=tile_age(shown, age, grows=grows),
        selected=shown.slug == state.metric,
        letters=letters,
    )


def trend_view(
    frame: Frame,
    expected: pd.DataFrame | None,
    alerts: Sequence[AlertView],
    state: PageState,
    style: Style,
    *,
    coming: Forecast | None = None,
    planned: Sequence[PlannedTime] = (),
) -> ChartView:
    """The metric over time, with what was expected of it, what was unusual or planned, what is not over yet, and what is `coming`."""
    slug, grain = state.metric, frame.query.grain or "day"
    title = title_of(metric(slug))
    if common.is_empty(frame):
        return ChartView(title, instead=common.nothing(state))
    data = happened(frame)
    marks = common.marks_about(data, alerts, state, grain)
    banded = common.with_expected(data, expected, slug)
    query, now, days = frame.query, frame.as_of, calendar.marks(planned)
    return ChartView(
        title,
        trend(banded, metric(slug), grain, anomalies=marks, ahead=ahead.frame_of(coming), planned=days, style=style),
        ahead.with_forecast(common.table_of(frame, with_planned(banded, days, grain), title), coming),
        ahead.subtitle(query, state, coming, "/", now),
        common.downloads(query, title, beside=["expected", "calendar", *(["forecast"] if coming else [])]),
    )


def breakdown_view(frame: Frame, slug: str, state: PageState, style: Style) -> ChartView:
    """The metric by the dimension `slug` as bars; those that a filter on it leaves out are pale."""
    shown = metric(state.metric)
    title = title_of(shown, slug)
    if common.is_empty(frame):
        return ChartView(title, instead=common.nothing(state))
    drawn, rest = common.without_dwarfing_rest(frame.data, slug, shown.slug)
    figure = common.pale_others(bars(drawn, shown, slug, style=style), state.values_of(slug), style)
    note = _("plus {amount} in all others", amount=value_text(shown, rest)) if rest is not None else None
    return ChartView(
        title, figure, common.table_of(frame, frame.data, title), note, common.downloads(frame.query, title)
    )


def treemap_view(frame: Frame, slug: str, state: PageState, style: Style) -> ChartView:
    """Shares of the whole; of revenue where the metric itself has no parts that add up."""
    shown = metric(frame.query.metrics[0])
    title = _("{metric}: share of each {dimension}", metric=shown.label, dimension=mid_sentence(dimension(slug).label))
    if common.is_empty(frame):
        return ChartView(title, instead=common.nothing(state))
    return ChartView(
        title,
        common.pale_others(treemap(frame.data, shown, [slug], style=style), state.values_of(slug), style),
        common.table_of(frame, frame.data, title),
        None,
        common.downloads(frame.query, title),
    )


def shares_dimension(used: Sequence[str]) -> str:
    """The dimension whose shares are worth a treemap: the first in use, or else the products."""
    return next((slug for slug in used if slug != "product" and dimension(slug).rolled), "product")


def heat_view(frame: Frame, state: PageState, style: Style) -> ChartView:
    """When the week is busy."""
    shown = metric(state.metric)
    title = title_of(shown)
    if common.is_empty(frame):
        return ChartView(title, instead=common.nothing(state))
    week = matrix_of(frame, "week", state.top)
    title = with_unit(week.title, shown)
    return ChartView(
        title,
        heat_map(happened(frame), shown, style=style),
        lambda: common.matrix_table(week, shown, title),
        _("Average over the range"),
        common.downloads(frame.query, title, "week"),
    )


def latest_sales(rows: Mapping[str, Any], known: str | None) -> Component:
    """The newest sales, by id what their rows say; those since `known`, the id of the newest one shown before, fade in."""
    ids = list(rows)
    new = ids.index(known) if known in ids else 0
    return ticker([ticker_row(id, parts, fresh=index < new) for index, (id, parts) in enumerate(rows.items())])


def alert_feed(alerts: Sequence[AlertView], now: datetime) -> list[Component]:
    """The newest alerts that are not resolved, and the way to all of them."""
    items = [feed_item(alert, href=f"/alerts/{alert.id}", now=now) for alert in alerts]
    return [feed(items), link_button(_("All alerts"), "/alerts", icon_name="bell", kind="quiet")]


def no_alerts(
    state: PageState, resolved: int, detectors: Sequence[DetectorView], imports: Sequence[ImportView]
) -> list[Component]:
    """Why there is no alert to show: nobody watches yet, those there were are resolved, none passes, or nothing was unusual."""
    every = link_button(_("All alerts"), "/alerts", icon_name="bell", kind="quiet")
    if not any(detector.version for detector in detectors):
        later = (
            _("Monitoring starts once the history has loaded.")
            if running_imports(imports)
            else _("Monitoring starts once four weeks of sales show what is normal.")
        )
        return [empty_state(_("Not monitored yet"), icon_name="hourglass-split", hint=later), every]
    if not resolved and state.filters:
        title = _("No alerts match {filters}", filters=listed(filter_words(state.filters)))
        hint = _("Remove a filter or choose a longer range.")
        return [empty_state(title, icon_name="check2-circle", hint=hint), every]
    if not resolved:
        return [feed([]), every]
    words = resolved_words(resolved)
    closed = link_button(
        _("Show resolved alerts"), state.with_(alert_states=("resolved",)).to_url("/alerts"), icon_name="bell"
    )
    return [empty_state(_("Nothing open"), closed, icon_name="check2-circle", hint=words)]


def first_load(freshness: Freshness, imports: Sequence[ImportView]) -> Component | None:
    """Imports under way; or what to do while there is not a single sale. None when all is well."""
    running = running_imports(imports)
    if running:
        return html.Div(running, className="nv-card nv-running")
    if freshness.lines:
        return None
    return common.no_sales_yet()
