"""The catalogue, queries and series."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, cast

import pandas as pd
from fastapi import APIRouter, Depends
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas import (
    Catalogue,
    Column,
    DimensionCatalogue,
    DimensionEntry,
    MetricEntry,
    Moment,
    Point,
    QueryAnswer,
    QueryBody,
    Series,
    Slug,
    Text,
)
from nebuloviz.errors import InvalidQuery
from nebuloviz.metrics.query import Filter, Grain, Query
from nebuloviz.metrics.registry import DIMENSIONS, METRICS, metric
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import Frame

router = APIRouter(tags=["data"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.DATA_READ))]
_COUNTED = {"count"}


@router.get("/metrics", summary="What can be measured")
async def metrics(_asker: Reader) -> Catalogue:
    entries = [
        MetricEntry(
            name=entry.slug,
            label=str(entry.label),
            unit=entry.unit,
            description=str(entry.description or ""),
            up_is_good=entry.up_is_good,
        )
        for entry in METRICS
    ]
    return Catalogue(items=entries)


@router.get("/dimensions", summary="What sales can be told apart by")
async def dimensions(_asker: Reader) -> DimensionCatalogue:
    return DimensionCatalogue(items=[DimensionEntry(name=entry.slug, label=str(entry.label)) for entry in DIMENSIONS])


@router.post("/query", summary="Metrics by dimensions and time")
async def query(asker: Reader, body: QueryBody) -> QueryAnswer:
    """The answer is the one that the dashboard shows for the same question."""
    return answer_of(await asker.ask(asker.parts.services.data.frame, query_of(body)))


@router.get("/series", summary="One metric over time")
async def series(
    asker: Reader,
    metric: Slug,
    start: Moment,
    end: Moment,
    filter: Annotated[
        list[Text],
        Parameter(
            default_factory=list,
            max_length=20,
            description="`dimension=value`, or `dimension!=value`; may be repeated.",
        ),
    ],
    grain: Grain = "day",
    time_zone: Annotated[str, Parameter(max_length=64)] = "UTC",
) -> Series:
    """Every bucket of the range, those without sales included."""
    asked = Query(
        metrics=(metric,),
        start=_moment("start", start),
        end=_moment("end", end),
        grain=grain,
        filters=_filters(filter),
        time_zone=time_zone,
    )
    return _series_of(await asker.ask(asker.parts.services.data.frame, asked))


def query_of(body: QueryBody) -> Query:
    """The question that a body asks.

    Raises:
        InvalidQuery: it cannot be asked.
    """
    return Query(
        metrics=tuple(body.metrics),
        start=_moment("start", body.start),
        end=_moment("end", body.end),
        dimensions=tuple(body.dimensions),
        grain=body.grain,
        filters=tuple(Filter(item.dimension, item.op, tuple(item.values)) for item in body.filters),
        time_zone=body.time_zone,
        week_start=body.week_start,
        comparison=body.comparison,
        order=body.order,
        limit=body.limit,
        other=body.other,
    )


def _moment(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidQuery(f"{name} is no ISO 8601 time; write it like 2026-11-22T15:00:00Z.") from None


def _filters(texts: Iterable[str]) -> tuple[Filter, ...]:
    """`category=Dairy` keeps, `category!=Dairy` leaves out; several of one dimension are alternatives."""
    chosen: dict[tuple[str, bool], list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidQuery("A filter is written dimension=value or dimension!=value.")
        chosen.setdefault((name.removesuffix("!"), name.endswith("!")), []).append(value)
    return tuple(
        Filter(name, "not_in" if negated else "in", tuple(values)) for (name, negated), values in chosen.items()
    )


def answer_of(frame: Frame) -> QueryAnswer:
    """A frame as columns and rows: times in ISO 8601, counts as integers, what is missing as null."""
    columns = [Column(name=column.name, type=column.type, unit=column.unit) for column in frame.columns]
    values = [_values(frame.data[column.name], column) for column in columns]
    return QueryAnswer(columns=columns, rows=[list(row) for row in zip(*values, strict=True)])


def _values(data: pd.Series[Any], column: Column) -> Sequence[Any]:
    if column.type == "time":
        return [cast("datetime", moment).isoformat() for moment in data]
    if column.type == "number":
        return [_number(float(value), column.unit) for value in data]
    return [bool(value) for value in data] if column.type == "boolean" else [str(value) for value in data]


def _number(value: float, unit: str) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if unit in _COUNTED and value.is_integer() else value


def _series_of(frame: Frame) -> Series:
    asked = frame.query
    name = asked.metrics[0]
    unfinished = frame.data["unfinished"] if "unfinished" in frame.data else [False] * len(frame.data)
    points = [
        Point(start=start, value=_number(float(value), metric(name).unit), unfinished=bool(open_))
        for start, value, open_ in zip(frame.data["bucket"], frame.data[name], unfinished, strict=True)
    ]
    return Series(
        metric=name, unit=metric(name).unit, grain=cast("Grain", asked.grain), time_zone=asked.time_zone, points=points
    )
