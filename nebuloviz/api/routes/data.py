"""The catalogue, queries and series."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Response
from fastapi import Query as Parameter

from nebuloviz.api.answers import FORMS, JSON, answered, series_json
from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.questions import Asked, FilterTexts, ZoneName, calendar_of, filters_of, query_moment, question_of
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Moment, Slug, Text
from nebuloviz.api.schemas.data import (
    Catalogue,
    DimensionCatalogue,
    DimensionEntry,
    ExpectedPoint,
    ExpectedSeries,
    FreshnessItem,
    MetricEntry,
    QueryAnswer,
    QueryBody,
    Series,
    Value,
    ValueList,
)
from nebuloviz.metrics.query import Grain, Query
from nebuloviz.metrics.registry import DIMENSIONS, METRICS
from nebuloviz.metrics.registry import metric as metric_of
from nebuloviz.permissions import Permission

router = APIRouter(tags=["data"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.DATA_READ))]
AlertReader = Annotated[Asker, Depends(needs(Permission.ALERTS_READ))]
_BINARY = {"schema": {"type": "string", "format": "binary"}}


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
    entries = [
        DimensionEntry(name=entry.slug, label=str(entry.label), aliases=list(entry.aliases)) for entry in DIMENSIONS
    ]
    return DimensionCatalogue(items=entries)


@router.get("/dimensions/{name}/values", summary="The values of a dimension")
async def values(
    asker: Reader,
    name: Annotated[Slug, Path()],
    search: Annotated[Text, Parameter(description="Any part of the value, taken literally.")] = "",
    limit: Annotated[int, Parameter(ge=1, le=500)] = 50,
) -> ValueList:
    found = await asker.ask(asker.services.data.values, name, search, limit)
    return ValueList(items=[Value(value=value, label=label) for value, label in found])


_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"content": dict.fromkeys(FORMS, _BINARY)}}


@router.post("/query", summary="Metrics by dimensions and time", response_model=QueryAnswer, responses=_ANSWERS)
async def query(
    asker: Reader, body: QueryBody, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """The answer is the one that the dashboard shows for the same question. `Accept` may ask for CSV, Arrow or Parquet."""
    return await answered(asker, question_of(body), accept)


@router.get("/query", summary="The same, asked by address", response_model=QueryAnswer, responses=_ANSWERS)
async def query_again(
    asker: Reader, asked: Asked, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """For what is asked again and again: while nothing has changed, 304 to the `ETag` of the last answer."""
    return await answered(asker, asked, accept)


@router.get("/freshness", summary="How old and how large the data is")
async def freshness(asker: Reader) -> FreshnessItem:
    """`stamp` changes when sales or alerts have changed: ask for it rather than for all figures again."""
    found = await asker.ask(asker.services.data.freshness)
    stamp = await asker.ask(asker.services.data.stamp)
    return FreshnessItem.model_validate({**vars(found), "stamp": stamp})


def course_of(
    metric: Slug,
    start: Moment,
    end: Moment,
    filter: FilterTexts,
    grain: Grain = "day",
    time_zone: ZoneName = None,
) -> Query:
    """One metric over time, as an address asks for it."""
    return Query(
        metrics=(metric,),
        start=query_moment("start", start),
        end=query_moment("end", end),
        grain=grain,
        filters=filters_of(filter),
        **calendar_of(time_zone),
    )


Course = Annotated[Query, Depends(course_of)]


@router.get("/series", summary="One metric over time", response_model=Series)
async def series(asker: Reader, asked: Course) -> Response:
    """Every bucket of the range, those without sales included."""
    content = await asker.ask(asker.services.data.rendered, asked, "series", series_json)
    return Response(content, media_type=JSON)


@router.get("/series/expected", summary="What would be normal for a metric over time")
async def expected_series(asker: AlertReader, asked: Course) -> ExpectedSeries:
    """The band of the dashboard's charts; no points where no detector watches that series, or has not learned it yet."""
    unit = metric_of(asked.metrics[0]).unit
    found = await asker.ask(asker.services.alerts.expected, asked)
    rows = [] if found is None else found.itertuples(index=False)
    points = [
        ExpectedPoint(start=row.bucket, expected=row.expected, low=row.expected_low, high=row.expected_high)
        for row in rows
    ]
    about = {"metric": asked.metrics[0], "unit": unit, "grain": asked.grain, "time_zone": asked.time_zone}
    return ExpectedSeries.model_validate(about | {"points": points})
