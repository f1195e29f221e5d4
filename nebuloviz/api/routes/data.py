"""The catalogue, queries and series."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, cast

import pandas as pd
from fastapi import APIRouter, Depends, Header, Path, Response
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.formats import FORMS, in_form
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Moment, Slug, Text
from nebuloviz.api.schemas.data import (
    Catalogue,
    Column,
    DimensionCatalogue,
    DimensionEntry,
    InsightItem,
    InsightList,
    MetricEntry,
    Point,
    QueryAnswer,
    QueryBody,
    Series,
    Value,
    ValueList,
)
from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import _
from nebuloviz.metrics.query import Filter, Grain, Query
from nebuloviz.metrics.registry import DIMENSIONS, METRICS, metric
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import Frame

router = APIRouter(tags=["data"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.DATA_READ))]
_COUNTED = {"count"}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
FilterTexts = Annotated[
    list[Text],
    Parameter(
        default_factory=list,
        max_length=20,
        description="`dimension=value`, or `dimension!=value`; may be repeated.",
    ),
]


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


@router.get("/dimensions/{name}/values", summary="The values of a dimension")
async def values(
    asker: Reader,
    name: Annotated[Slug, Path()],
    search: Annotated[Text, Parameter(description="Any part of the value, taken literally.")] = "",
    limit: Annotated[int, Parameter(ge=1, le=500)] = 50,
) -> ValueList:
    found = await asker.ask(asker.services.data.values, name, search, limit)
    return ValueList(items=[Value(value=value, label=label) for value, label in found])


@router.post(
    "/query",
    summary="Metrics by dimensions and time",
    response_model=QueryAnswer,
    responses={200: {"content": dict.fromkeys(FORMS, _BINARY)}},
)
async def query(
    asker: Reader, body: QueryBody, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response | QueryAnswer:
    """The answer is the one that the dashboard shows for the same question. `Accept` may ask for CSV, Arrow or Parquet."""
    frame = await asker.ask(asker.services.data.frame, query_of(body))
    return in_form(frame, accept) or answer_of(frame)


@router.post("/insights", summary="What stands out")
async def insights(asker: Reader, body: QueryBody, limit: Annotated[int, Parameter(ge=1, le=20)] = 5) -> InsightList:
    """The most telling findings about the question's range against its comparison, in the caller's language."""
    found = await asker.ask(asker.services.insights.insights, query_of(body), limit)
    return InsightList(
        items=[
            InsightItem(
                text=item.text,
                severity=item.severity,
                weight=item.weight,
                alert_id=item.alert_id,
                query=item.query.to_params(),
            )
            for item in found
        ]
    )


@router.get("/series", summary="One metric over time")
async def series(
    asker: Reader,
    metric: Slug,
    start: Moment,
    end: Moment,
    filter: FilterTexts,
    grain: Grain = "day",
    time_zone: Annotated[str, Parameter(max_length=64)] = "UTC",
) -> Series:
    """Every bucket of the range, those without sales included."""
    asked = Query(
        metrics=(metric,),
        start=query_moment("start", start),
        end=query_moment("end", end),
        grain=grain,
        filters=filters_of(filter),
        time_zone=time_zone,
    )
    return _series_of(await asker.ask(asker.services.data.frame, asked))


def query_of(body: QueryBody) -> Query:
    """The question that a body asks.

    Raises:
        InvalidQuery: it cannot be asked.
    """
    return Query(
        metrics=tuple(body.metrics),
        start=query_moment("start", body.start),
        end=query_moment("end", body.end),
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
