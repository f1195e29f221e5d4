"""From a page's state to the questions it asks: ranges, the grain that fits, and queries. Pure; the time is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from nebuloviz.i18n import _, current, date_range, lazy, moment_range, use
from nebuloviz.i18n import zone as zone_of
from nebuloviz.metrics.buckets import SHORTEST, automatic_grain, buckets
from nebuloviz.metrics.calendar import ONE_DAY, day_of, month_floor, week_floor
from nebuloviz.metrics.query import Comparison, Filter, Grain, Query
from nebuloviz.metrics.registry import dimension, metric
from nebuloviz.services.interfaces import can_be_forecast
from nebuloviz.web.figures import value_label
from nebuloviz.web.state import PRESETS, PageState, Span

PRESET_WORDS = {
    "today": lazy("Today"),
    "yesterday": lazy("Yesterday"),
    "7d": lazy("Last 7 days"),
    "28d": lazy("Last 28 days"),
    "90d": lazy("Last 90 days"),
    "week": lazy("This week"),
    "month": lazy("This month"),
    "quarter": lazy("This quarter"),
    "year": lazy("This year"),
    "365d": lazy("Last 365 days"),
    "all": lazy("All time"),
}
COMPARISON_WORDS: dict[Comparison, object] = {
    "previous": lazy("previous period"),
    "weekdays": lazy("same days last week"),
    "year": lazy("last year"),
}
GRAIN_WORDS: dict[Grain, object] = {
    "minute": lazy("Minute"),
    "quarter_hour": lazy("Quarter hour"),
    "hour": lazy("Hour"),
    "day": lazy("Day"),
    "week": lazy("Week"),
    "month": lazy("Month"),
    "quarter": lazy("Quarter"),
    "year": lazy("Year"),
}
#: The same inside a sentence: "Revenue, by day".
BY_WORDS: dict[Grain, object] = {
    "minute": lazy("by minute"),
    "quarter_hour": lazy("by quarter hour"),
    "hour": lazy("by hour"),
    "day": lazy("by day"),
    "week": lazy("by week"),
    "month": lazy("by month"),
    "quarter": lazy("by quarter"),
    "year": lazy("by year"),
}
#: So many buckets a forecast shows, that of now included.
AHEAD: dict[Grain, int] = {"day": 15, "week": 13, "month": 4, "quarter": 2}
#: A chart with more points than this is neither readable nor quick.
MAX_POINTS = 1_500


def zone_of_state(state: PageState) -> ZoneInfo:
    """The zone whose days and hours the page shows."""
    return zone_of(state.zone or current().time_zone)


def bounds(state: PageState, now: datetime, first_sale: datetime | None = None) -> tuple[datetime, datetime]:
    """The state's range as [start, end), on the clock of its zone. Days are whole: the rest of today holds no sales yet.

    `first_sale` is where 'all' begins; without it that is a year ago.
    """
    zone = zone_of_state(state)
    if state.span is not None:
        return state.span.bounds(zone)
    today = day_of(now, zone)
    first = day_of(first_sale, zone) if first_sale else today - timedelta(days=364)
    last = today - ONE_DAY if state.preset == "yesterday" else today
    return Span(min(_first_day(state.preset, today, first), last), last).bounds(zone)


def _first_day(preset: str, today: date, first: date) -> date:
    days = {
        "today": today,
        "yesterday": today - ONE_DAY,
        "week": week_floor(today, current().week_start),
        "month": month_floor(today),
        "quarter": month_floor(today, 3, current().year_start),
        "year": month_floor(today, 12, current().year_start),
        "all": first,
    }
    return days[preset] if preset in days else today - timedelta(days=int(preset.removesuffix("d")) - 1)


def grains_for(start: datetime, end: datetime) -> tuple[Grain, ...]:
    """The grains of which [start, end) holds at least one bucket and not too many, finest first."""
    length = end - start
    fits = tuple(grain for grain, size in SHORTEST.items() if size <= length and length / size <= MAX_POINTS)
    return fits or (automatic_grain(start, end),)


def grain_of(state: PageState, start: datetime, end: datetime) -> Grain:
    """The chosen grain where the range allows it, else the one that fits by itself."""
    return state.grain if state.grain in grains_for(start, end) else automatic_grain(start, end)


def bucket_end(bucket: datetime, grain: Grain, state: PageState) -> datetime:
    """Where the bucket of `grain` that starts at `bucket` ends, by the clocks of the state's zone."""
    zone, reader = zone_of_state(state).key, current()
    end = bucket + timedelta(microseconds=1)
    asked = Query(("revenue",), bucket, end, grain=grain, time_zone=zone, week_start=reader.week_start)
    asked = asked.with_(year_start=reader.year_start)
    return buckets(asked)[0].end


def query_of(state: PageState, now: datetime, *, first_sale: datetime | None = None, **changes: object) -> Query:
    """The state's metric over its range and filters, compared as it says; `changes` are fields of `Query`.

    A `grain` of 'fitting' stands for the state's own, or the fitting one.
    """
    start, end = bounds(state, now, first_sale)
    if changes.get("grain") == "fitting":
        changes["grain"] = grain_of(state, start, end)
    base = Query(
        metrics=state.metrics[:1],
        start=start,
        end=end,
        filters=state.filters,
        time_zone=zone_of_state(state).key,
        week_start=current().week_start,
        year_start=current().year_start,
        comparison=state.comparison,
    )
    return base.with_(**changes)


def looks_ahead(query: Query, now: datetime) -> bool:
    """Whether the chart of `query` is one line up to now, of a metric that can be forecast."""
    reaches = query.start < now <= query.end
    return reaches and not query.dimensions and can_be_forecast(metric(query.metrics[0]), query.grain)


def without_own_filter(filters: tuple[Filter, ...], slug: str) -> tuple[Filter, ...]:
    """The filters but for the values chosen of `slug`: a chart by `slug` shows its other values too, only paler."""
    return tuple(item for item in filters if (item.dimension, item.op) != (slug, "in"))


def range_words(state: PageState, now: datetime) -> str:
    """The range as the reader names it: a preset's name, days, or moments."""
    if state.span is None:
        return str(PRESET_WORDS[state.preset])
    if state.span.exact:
        with use(replace(current(), time_zone=zone_of_state(state).key)):
            return moment_range(*bounds(state, now))
    return date_range(state.span.first, state.span.last)


def comparison_words(comparison: Comparison | None) -> str:
    """What figures are compared with, to stand after 'vs'; '' where nothing."""
    return str(COMPARISON_WORDS[comparison]) if comparison else ""


def filter_words(filters: tuple[Filter, ...]) -> list[str]:
    """Each filter in words: "Category: Dairy, Meat"."""
    said = []
    for item in filters:
        values = ", ".join(value_label(value) for value in item.values)
        name = dimension(item.dimension).label
        said.append(
            _("{name}: {values}", name=name, values=values)
            if item.op == "in"
            else _("{name}: not {values}", name=name, values=values)
        )
    return said


def preset_choices() -> list[tuple[str, str]]:
    """(slug, words) of every preset, in the order in which they are offered."""
    return [(slug, str(PRESET_WORDS[slug])) for slug in PRESETS]
