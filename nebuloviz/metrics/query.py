"""A question about sales as one frozen value: it is the page's URL, the cache's key and the input of the SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.registry import dimension, metric

Grain = Literal["minute", "quarter_hour", "hour", "day", "week", "month", "quarter", "year"]
Comparison = Literal["previous", "weekdays", "year"]
FilterOperator = Literal["in", "not_in"]

GRAINS: tuple[Grain, ...] = get_args(Grain)
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)
REST = "\uffff other"  # the value of the row that stands for all values beyond a query's limit; no real value equals it
MAX_LIMIT = 10_000
MAX_FILTER_VALUES = 1_000
_NUL = "\x00"


@dataclass(frozen=True, slots=True, order=True)
class Filter:
    """Keep the sales whose `dimension` is one of `values` (or, with `not_in`, is none of them). '' means not given."""

    dimension: str
    op: FilterOperator = "in"
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimension", dimension(self.dimension).slug)
        if self.op not in get_args(FilterOperator):
            raise InvalidQuery(
                _one_of(_("A filter's operator is one of {known}, not {given}."), get_args(FilterOperator), self.op)
            )
        if not 0 < len(self.values) <= MAX_FILTER_VALUES:
            raise InvalidQuery(
                _(
                    "A filter names 1 to {limit} values; {name} has {count}.",
                    limit=MAX_FILTER_VALUES,
                    name=self.dimension,
                    count=len(self.values),
                )
            )
        if any(_NUL in value for value in self.values):
            raise InvalidQuery(_("A value of the filter on {name} contains a NUL character.", name=self.dimension))
        object.__setattr__(self, "values", tuple(sorted(set(self.values))))


@dataclass(frozen=True, slots=True)
class Query:
    """`metrics` by `dimensions` and `grain`, over [`start`, `end`).

    `start` and `end` are aware moments; buckets are those of `time_zone`, weeks begin on `week_start` (0 = Monday),
    quarters and years are counted from the month `year_start`.
    `order` is a metric, a dimension or 'bucket', with '-' in front for descending; `limit` keeps the first so many
    combinations of dimension values, and `other` adds the rest as one row named by `REST`. All `filters` must hold. Two equal
    questions are equal values whatever the order of their filters, and whichever of its names a dimension is called by.

    Raises:
        InvalidQuery: says what is wrong and what would be right.
    """

    metrics: tuple[str, ...]
    start: datetime
    end: datetime
    dimensions: tuple[str, ...] = ()
    grain: Grain | None = None
    filters: tuple[Filter, ...] = ()
    time_zone: str = "UTC"
    week_start: int = 0
    year_start: int = 1
    comparison: Comparison | None = None
    order: str | None = None
    limit: int | None = None
    other: bool = False
    zone: ZoneInfo = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "metrics", _unique(self.metrics))
        set_(self, "dimensions", _unique(dimension(name).slug for name in self.dimensions))
        set_(self, "filters", _merged(self.filters))
        set_(self, "zone", _zone(self.time_zone))
        set_(self, "start", _moment(self.start, self.zone))
        set_(self, "end", _moment(self.end, self.zone))
        set_(self, "order", _by_slug(self.order, self.dimensions))
        self._check()

    def _check(self) -> None:
        if not self.metrics:
            raise InvalidQuery(_("A query names at least one metric."))
        for slug in self.metrics:
            metric(slug)
        if self.end <= self.start:
            raise InvalidQuery(_("The range is empty: its end must be later than its start."))
        if self.grain is not None and self.grain not in GRAINS:
            raise InvalidQuery(_one_of(_("A grain is one of {known}, not {given}."), GRAINS, self.grain))
        if self.comparison is not None and self.comparison not in COMPARISONS:
            raise InvalidQuery(_one_of(_("A comparison is one of {known}, not {given}."), COMPARISONS, self.comparison))
        self._check_starts()
        if self.limit is not None and not 0 < self.limit <= MAX_LIMIT:
            raise InvalidQuery(_("The limit is from 1 to {limit}.", limit=MAX_LIMIT))
        allowed = {*self.metrics, *self.dimensions, *(["bucket"] if self.grain else [])}
        if self.order is not None and self.order.removeprefix("-") not in allowed:
            raise InvalidQuery(
                _("Order by one of {known}, with '-' in front for descending.", known=", ".join(sorted(allowed)))
            )

    def _check_starts(self) -> None:
        if self.week_start not in range(7):
            raise InvalidQuery(_("The week starts on a day from 0 (Monday) to 6 (Sunday)."))
        if self.year_start not in range(1, 13):
            raise InvalidQuery(_("The year starts with a month from 1 to 12."))

    def with_(self, **changes: object) -> Query:
        """The same question but for `changes`."""
        return replace(self, **changes)  # type: ignore[arg-type]  # checked by __post_init__

    @property
    def key(self) -> str:
        """Canonical text of the question: equal for equal questions, different for different ones."""
        return json.dumps(sorted(self.to_params().items()), separators=(",", ":"), ensure_ascii=False)

    def to_params(self) -> dict[str, list[str]]:
        """As URL parameters; `from_params` reads them back to an equal value."""
        params: dict[str, list[str]] = {"m": list(self.metrics), "from": [_iso(self.start)], "to": [_iso(self.end)]}
        optional: dict[str, list[str]] = {
            "by": list(self.dimensions),
            "grain": [str(self.grain)] if self.grain else [],
            "tz": [self.time_zone] if self.time_zone != "UTC" else [],
            "week": [str(self.week_start)] if self.week_start else [],
            "year": [str(self.year_start)] if self.year_start != 1 else [],
            "vs": [str(self.comparison)] if self.comparison else [],
            "order": [self.order] if self.order else [],
            "limit": [str(self.limit)] if self.limit else [],
            "other": ["1"] if self.other else [],
        }
        params.update({name: values for name, values in optional.items() if values})
        params.update(filter_params(self.filters))
        return params

    @classmethod
    def from_params(cls, params: Mapping[str, list[str]]) -> Query:
        """Read what `to_params` wrote.

        Raises:
            InvalidQuery: a parameter is missing or cannot be read.
        """
        one = {name: values[0] for name, values in params.items() if values}
        try:
            return cls(
                metrics=tuple(params.get("m", ())),
                start=datetime.fromisoformat(one["from"]),
                end=datetime.fromisoformat(one["to"]),
                dimensions=tuple(params.get("by", ())),
                grain=cast("Grain | None", one.get("grain")),
                filters=filters_from_params(params),
                time_zone=one.get("tz", "UTC"),
                week_start=int(one.get("week", "0")),
                year_start=int(one.get("year", "1")),
                comparison=cast("Comparison | None", one.get("vs")),
                order=one.get("order"),
                limit=int(one["limit"]) if "limit" in one else None,
                other=one.get("other") == "1",
            )
        except KeyError as error:
            raise InvalidQuery(_("The parameter {name} is missing.", name=repr(error.args[0]))) from None
        except (ValueError, OverflowError) as error:
            raise InvalidQuery(_("A parameter cannot be read: {reason}.", reason=error)) from None


def filter_params(filters: Iterable[Filter]) -> dict[str, list[str]]:
    """`f.category=Dairy`, or `f.category!=Dairy` for the negated one; one entry a value."""
    params: dict[str, list[str]] = {}
    for item in filters:
        params.setdefault(f"f.{item.dimension}{'!' if item.op == 'not_in' else ''}", []).extend(item.values)
    return params


def filters_from_params(params: Mapping[str, list[str]]) -> tuple[Filter, ...]:
    """The filters among URL parameters; what is not named `f.` is left alone.

    Raises:
        InvalidQuery: an unknown dimension, for which whatever is no name of one is taken as well.
    """
    named = [(name.removeprefix("f."), values) for name, values in params.items() if name.startswith("f.")]
    return tuple(
        Filter(name.removesuffix("!"), "not_in" if name.endswith("!") else "in", tuple(values))
        for name, values in named
    )


def _merged(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    """At most one filter per dimension and operator, with the same meaning: all of the given ones must hold."""
    merged: dict[tuple[str, FilterOperator], set[str]] = {}
    for item in filters:
        values = merged.setdefault((item.dimension, item.op), set(item.values))
        merged[item.dimension, item.op] = values & set(item.values) if item.op == "in" else values | set(item.values)
    nothing = (REST,)  # no sale has this value
    return tuple(sorted(Filter(slug, op, tuple(values) or nothing) for (slug, op), values in merged.items()))


def _one_of(words: str, known: Iterable[str], given: object) -> str:
    return words.format(known=", ".join(known), given=repr(given))


def _by_slug(order: str | None, dimensions: Iterable[str]) -> str | None:
    """The order with an alias of one of `dimensions` replaced by its slug."""
    if order is None:
        return None
    name = order.removeprefix("-")
    slug = next((slug for slug in dimensions if name in dimension(slug).aliases), name)
    return f"-{slug}" if order.startswith("-") else slug


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise InvalidQuery(_("{name} is no IANA time zone; try Europe/Berlin or UTC.", name=repr(name))) from None


def _moment(moment: datetime, zone: tzinfo) -> datetime:
    """In UTC; a naive moment is taken as one of the query's zone."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    try:
        return aware.astimezone(UTC)
    except OverflowError:
        raise InvalidQuery(_("The range or its comparison leaves the years 1 to 9999.")) from None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
