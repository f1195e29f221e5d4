"""Questions about sales as a body and as parameters of an address: the same fields, the same `Query` as the pages'."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypedDict

from fastapi import Depends
from fastapi import Query as Parameter

from nebuloviz.api.schemas.base import MAX_COLUMNS, Moment, Slug, Text
from nebuloviz.api.schemas.data import WEEK_START, YEAR_START, QueryBody
from nebuloviz.errors import InvalidInput, InvalidQuery
from nebuloviz.i18n import _, current
from nebuloviz.metrics.query import MAX_LIMIT, Comparison, Filter, Grain, Query
from nebuloviz.metrics.registry import dimension


def none_of_them() -> list[str]:
    """A default. Of a function pydantic learns at once what it takes; of `list` it takes a tenth of a millisecond at each request."""
    return []


FilterTexts = Annotated[
    list[Text],
    Parameter(
        default_factory=none_of_them,
        max_length=20,
        description="`dimension=value`, or `dimension!=value`; may be repeated.",
    ),
]
Mappings = Annotated[
    list[Text],
    Parameter(
        default_factory=none_of_them,
        max_length=20,
        description="`field=column` of a table, where its columns' names do not say it; an empty column for none. May be repeated.",
    ),
]
ZoneName = Annotated[
    str | None,
    Parameter(max_length=64, description="An IANA name: whose days they are. Left out, it is the user's own."),
]


@dataclass(frozen=True)
class Question:
    """A query, and by what other name each of its dimensions was asked for."""

    query: Query
    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, query: Query, asked: Iterable[str]) -> Question:
        called = {dimension(name).slug: name for name in asked}
        return cls(query, tuple((slug, name) for slug, name in called.items() if slug != name))


def question_of(body: QueryBody) -> Question:
    """What a body asks.

    Raises:
        InvalidQuery: it cannot be asked.
    """
    query = Query(
        metrics=tuple(body.metrics),
        start=query_moment("start", body.start),
        end=query_moment("end", body.end),
        dimensions=tuple(body.dimensions),
        grain=body.grain,
        filters=tuple(Filter(item.dimension, item.op, tuple(item.values)) for item in body.filters),
        **calendar_of(body.time_zone, body.week_start, body.year_start),
        comparison=body.comparison,
        order=body.order,
        limit=body.limit,
        other=body.other,
    )
    return Question.of(query, body.dimensions)


async def _asked(  # noqa: PLR0913 - each is a parameter of the URL
    *,
    metrics: Annotated[list[Slug], Parameter(min_length=1, max_length=MAX_COLUMNS)],
    start: Moment,
    end: Moment,
    filter: FilterTexts,
    dimensions: Annotated[list[Slug], Parameter(default_factory=none_of_them, max_length=MAX_COLUMNS)],
    grain: Grain | None = None,
    time_zone: ZoneName = None,
    order: Annotated[
        str | None,
        Parameter(max_length=65, description="A metric, a dimension or `bucket`; with `-` in front for descending."),
    ] = None,
    limit: Annotated[int | None, Parameter(ge=1, le=MAX_LIMIT)] = None,
    other: Annotated[bool, Parameter(description="Add what is beyond `limit` as one row.")] = False,
    comparison: Comparison | None = None,
    week_start: Annotated[int | None, Parameter(ge=0, le=6, description=WEEK_START)] = None,
    year_start: Annotated[int | None, Parameter(ge=1, le=12, description=YEAR_START)] = None,
) -> Question:
    query = Query(
        metrics=tuple(metrics),
        start=query_moment("start", start),
        end=query_moment("end", end),
        dimensions=tuple(dimensions),
        grain=grain,
        filters=filters_of(filter),
        **calendar_of(time_zone, week_start, year_start),
        comparison=comparison,
        order=order,
        limit=limit,
        other=other,
    )
    return Question.of(query, dimensions)


#: What the parameters of the address ask; their names are those of `QueryBody`, but for `filter`. For routes that know who asks.
Asked = Annotated[Question, Depends(_asked)]


class Calendar(TypedDict):
    """The fields of a `Query` that say whose days, weeks and years they are."""

    time_zone: str
    week_start: int
    year_start: int


def calendar_of(time_zone: str | None = None, week_start: int | None = None, year_start: int | None = None) -> Calendar:
    """What was asked for, and where nothing was, as the user has it on the pages: zone, week, and the installation's year."""
    own = current()
    return Calendar(
        time_zone=own.time_zone if time_zone is None else time_zone,
        week_start=own.week_start if week_start is None else week_start,
        year_start=own.year_start if year_start is None else year_start,
    )


def query_moment(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidQuery(_("{name} is no ISO 8601 time; write it like 2026-11-22T15:00:00Z.", name=name)) from None


def filters_of(texts: Iterable[str]) -> tuple[Filter, ...]:
    """`category=Dairy` keeps, `category!=Dairy` leaves out; several of one dimension are alternatives."""
    chosen: dict[tuple[str, bool], list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidQuery(_("A filter is written dimension=value or dimension!=value."))
        chosen.setdefault((name.removesuffix("!"), name.endswith("!")), []).append(value)
    return tuple(
        Filter(name, "not_in" if negated else "in", tuple(values)) for (name, negated), values in chosen.items()
    )


def mapping_of(texts: Iterable[str]) -> dict[str, str]:
    """Field -> column, of texts as `order_id=InvoiceNo`."""
    pairs = [text.partition("=") for text in texts]
    if not all(equals for _field, equals, _column in pairs):
        raise InvalidInput(_("A mapping is written field=column."))
    return {field: column for field, _equals, column in pairs}
