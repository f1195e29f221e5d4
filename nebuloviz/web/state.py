"""What a page shows, as one frozen value: it is read from the URL, changed by the controls, and written back to it.

Every page uses the same codec, so a link made on one page means the same on another. Reading never fails: what a URL says
that cannot be understood is left out, because links are typed, shortened and mailed by people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, cast, get_args
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

from nebuloviz.errors import InvalidInput, InvalidQuery
from nebuloviz.i18n import zone as zone_of
from nebuloviz.metrics.query import (
    COMPARISONS,
    GRAINS,
    Comparison,
    Filter,
    FilterOperator,
    Grain,
    filter_params,
    filters_from_params,
)
from nebuloviz.metrics.registry import dimension, metric

AlertState = Literal["open", "acknowledged", "snoozed", "resolved"]
Severity = Literal["low", "medium", "high", "critical"]

ALERT_STATES: tuple[AlertState, ...] = get_args(AlertState)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
PRESETS = ("today", "yesterday", "7d", "28d", "90d", "week", "month", "quarter", "year", "365d", "all")
DEFAULT_PRESET = "28d"
TOPS = (5, 10, 20, 50)
DEFAULT_TOP = 10
MAX_PARAMETERS = 2_000
#: The names in a URL of what goes along to another page, besides the filters (`PageState.carried`).
CARRIED_PARAMS = ("range", "from", "to", "vs", "tz")
_MAX_SEARCH_LENGTH = 100
_NONE = "none"
_CHART = re.compile(r"[a-z][a-z_]{0,39}")


@dataclass(frozen=True, slots=True)
class Span:
    """A range chosen by hand. Days are those of the viewer and `last` is one of them; moments are UTC and `last` is excluded."""

    first: date
    last: date

    @property
    def exact(self) -> bool:
        """Whether the ends are moments rather than days."""
        return isinstance(self.first, datetime)

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """As [start, end) in `zone`."""
        if isinstance(self.first, datetime) and isinstance(self.last, datetime):
            return self.first.astimezone(zone), self.last.astimezone(zone)
        return _midnight(self.first, zone), _midnight(self.last + timedelta(days=1), zone)


@dataclass(frozen=True, slots=True)
class PageState:
    """What is asked for. `span` wins over `preset`, to which the page returns without it.

    `grain` None means the one that fits the range; `zone` '' the reader's own.

    `by` holds at most two dimensions: the first is told apart, the second splits it. Where Explore runs over time, `over_time`
    is true. `chart` is the slug of one of `chart_kinds.CHARTS`, or '' for the usual one; one that is not there counts as ''.
    `filters` holds at most one entry per dimension and operator. `ahead`: charts over time go on beyond now, with a forecast.
    """

    preset: str = DEFAULT_PRESET
    span: Span | None = None
    comparison: Comparison | None = "previous"
    filters: tuple[Filter, ...] = ()
    metrics: tuple[str, ...] = ("revenue",)
    by: tuple[str, ...] = ()
    grain: Grain | None = None
    over_time: bool = True
    chart: str = ""
    top: int = DEFAULT_TOP
    ahead: bool = False
    zone: str = ""
    alert_states: tuple[AlertState, ...] = ("open", "acknowledged")
    severities: tuple[Severity, ...] = ()
    search: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", _merged(self.filters))

    @property
    def metric(self) -> str:
        """The metric that the page is about."""
        return self.metrics[0]

    def with_(self, **changes: object) -> PageState:
        """The same but for `changes`."""
        return replace(self, **changes)  # type: ignore[arg-type]  # the fields' own types hold; this only saves an import

    def to_search(self) -> str:
        """The URL's query with its question mark; '' for the default state. Only what differs from it is named."""
        params = {**self._range_params(), **self._choice_params(), **filter_params(self.filters)}
        return f"?{urlencode(params, doseq=True)}" if params else ""

    def _range_params(self) -> dict[str, list[str]]:
        named = {"range": [self.preset]} if self.preset != DEFAULT_PRESET else {}
        if self.span is None:
            return named
        return named | {"from": [_text_of(self.span.first)], "to": [_text_of(self.span.last)]}

    def _choice_params(self) -> dict[str, list[str]]:
        default = _DEFAULT
        named: dict[str, tuple[object, object, list[str]]] = {
            "vs": (self.comparison, default.comparison, [self.comparison or _NONE]),
            "m": (self.metrics, default.metrics, list(self.metrics)),
            "by": (self.by, default.by, list(self.by)),
            "grain": (self.grain, default.grain, [self.grain or ""]),
            "axis": (self.over_time, default.over_time, ["value"]),
            "chart": (self.chart, default.chart, [self.chart]),
            "top": (self.top, default.top, [str(self.top)]),
            "ahead": (self.ahead, default.ahead, ["1"]),
            "tz": (self.zone, default.zone, [self.zone]),
            "state": (self.alert_states, default.alert_states, list(self.alert_states) or [_NONE]),
            "severity": (self.severities, default.severities, list(self.severities)),
            "q": (self.search, default.search, [self.search]),
        }
        return {name: shown for name, (value, normal, shown) in named.items() if value != normal}

    @classmethod
    def from_search(cls, search: str | None) -> PageState:
        """Read a URL's query. What is unknown or malformed counts as not said."""
        params = _parsed(search or "")
        one = {name: values[0] for name, values in params.items()}
        return cls(
            preset=one["range"] if one.get("range") in PRESETS else DEFAULT_PRESET,
            span=_span(one.get("from", ""), one.get("to", "")),
            comparison=_comparison(one.get("vs", "")),
            filters=_filters(params),
            metrics=_known(metric, params.get("m", ()), 2) or _DEFAULT_METRICS,
            by=_known(dimension, params.get("by", ()), 2),
            grain=cast("Grain", one["grain"]) if one.get("grain") in GRAINS else None,
            over_time=one.get("axis") != "value",
            chart=one["chart"] if _CHART.fullmatch(one.get("chart", "")) else "",
            top=int(one["top"]) if one.get("top") in {str(top) for top in TOPS} else DEFAULT_TOP,
            ahead=one.get("ahead") == "1",
            zone=_zone_name(one.get("tz", "")),
            alert_states=_alert_states(params.get("state", ())),
            severities=cast("tuple[Severity, ...]", _in_order(params.get("severity", ()), SEVERITIES)),
            search=one.get("q", "")[:_MAX_SEARCH_LENGTH].replace("\x00", ""),
        )

    def values_of(self, slug: str, op: FilterOperator = "in") -> tuple[str, ...]:
        """The values that the filter on `slug` names, () without one."""
        return next((item.values for item in self.filters if (item.dimension, item.op) == (slug, op)), ())

    def filtered(self, slug: str, values: Iterable[str], op: FilterOperator = "in") -> PageState:
        """With the filter on `slug` replaced by `values`; without any, it is gone. Page-independent."""
        kept = tuple(item for item in self.filters if (item.dimension, item.op) != (slug, op))
        chosen = tuple(value for value in dict.fromkeys(values) if "\x00" not in value)
        return self.with_(filters=(*kept, Filter(slug, op, chosen)) if chosen else kept)

    def toggled(self, slug: str, value: str) -> PageState:
        """As a click on `value` leaves it: only that value, or everything again if it was the only one."""
        return self.filtered(slug, () if self.values_of(slug) == (value,) else (value,))

    def without(self, slug: str, value: str, op: FilterOperator = "in") -> PageState:
        """With one value less in the filter on `slug`."""
        return self.filtered(slug, (kept for kept in self.values_of(slug, op) if kept != value), op)

    def within(self, start: datetime, end: datetime) -> PageState:
        """Over [`start`, `end`), two aware moments, as a click on a point in time leaves it."""
        return self.with_(span=Span(start.astimezone(UTC), end.astimezone(UTC)), grain=None)

    def reset(self) -> PageState:
        """Without filters, over the usual range; what the page shows of it stays."""
        return self.with_(preset=DEFAULT_PRESET, span=None, filters=(), comparison=_DEFAULT.comparison)

    def carried(self) -> PageState:
        """What goes along to another page: range, comparison, filters and zone, but not what only this page shows."""
        return PageState(self.preset, self.span, self.comparison, self.filters, zone=self.zone)

    def to_url(self, path: str) -> str:
        """A link to the page at `path` in this state."""
        return path + self.to_search()


_DEFAULT_METRICS = ("revenue",)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)


def _merged(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    """One filter per dimension and operator, in order: the form in which two equal sets of filters are equal."""
    values: dict[tuple[str, FilterOperator], tuple[str, ...]] = {}
    for item in filters:
        key = (item.dimension, item.op)
        values[key] = values.get(key, ()) + item.values
    return tuple(sorted(Filter(slug, op, found) for (slug, op), found in values.items()))


def _parsed(search: str) -> Mapping[str, list[str]]:
    try:
        return parse_qs(search.removeprefix("?"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:  # more parameters than any page writes
        return {}


def _filters(params: Mapping[str, list[str]]) -> tuple[Filter, ...]:
    """The filters that can be understood; a bad one does not take its neighbours along."""
    found: list[Filter] = []
    for name, values in params.items():
        try:
            found += filters_from_params({name: values})
        except InvalidQuery:
            continue
    return tuple(found)


def _known(look_up: object, slugs: Iterable[str], most: int) -> tuple[str, ...]:
    """The first `most` of `slugs` that `look_up` finds, each once."""
    found = []
    for slug in dict.fromkeys(slugs):
        try:
            look_up(slug)  # type: ignore[operator]  # `metric` or `dimension`
        except InvalidQuery:
            continue
        found.append(slug)
    return tuple(found[:most])


def _comparison(text: str) -> Comparison | None:
    if text == _NONE:
        return None
    return text if text in COMPARISONS else _DEFAULT.comparison


def _alert_states(values: Iterable[str]) -> tuple[AlertState, ...]:
    named = tuple(values)
    if named == (_NONE,):
        return ()
    return cast("tuple[AlertState, ...]", _in_order(named, ALERT_STATES)) or _DEFAULT.alert_states


def _in_order(values: Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = set(values)
    return tuple(value for value in known if value in chosen)


def _zone_name(text: str) -> str:
    try:
        return zone_of(text).key if text else ""
    except InvalidInput:
        return ""


def _text_of(end: date) -> str:
    return end.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(end, datetime) else end.isoformat()


def _span(first: str, last: str) -> Span | None:
    """Two days, or two moments with an offset; anything else is no range."""
    start, end = _end_of(first), _end_of(last)
    if start is None or end is None or isinstance(start, datetime) is not isinstance(end, datetime):
        return None
    too_small = start >= end if isinstance(start, datetime) else start > end
    return None if too_small else Span(start, end)


def _end_of(text: str) -> date | None:
    try:
        if len(text) == len("2026-11-22"):
            day = date.fromisoformat(text)
            return day if 1 < day.year < 9999 else None
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo and 1 < moment.year < 9999 else None
    except (ValueError, OverflowError):
        return None


_DEFAULT = PageState()
