"""What stands out, in words."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.questions import FilterTexts, ZoneName, calendar_of, filters_of, query_moment, question_of
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Moment
from nebuloviz.api.schemas.data import QueryBody
from nebuloviz.api.schemas.insights import DailyDigest, InsightList
from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import _
from nebuloviz.metrics.query import Comparison, Query
from nebuloviz.permissions import Permission

router = APIRouter(prefix="/insights", tags=["insights"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.DATA_READ))]
Limit = Annotated[int, Parameter(ge=1, le=20)]


@router.post("", summary="What stands out")
async def insights(asker: Reader, body: QueryBody, limit: Limit = 5) -> InsightList:
    """The most telling findings about the question's range against its comparison, in the caller's language."""
    return InsightList.of(await asker.ask(asker.services.insights.insights, question_of(body).query, limit))


@router.get("", summary="The same, asked by address")
async def insights_of_range(
    asker: Reader,
    start: Moment,
    end: Moment,
    filter: FilterTexts,
    comparison: Comparison = "previous",
    time_zone: ZoneName = None,
    limit: Limit = 5,
) -> InsightList:
    asked = Query(
        metrics=("revenue",),
        start=query_moment("start", start),
        end=query_moment("end", end),
        filters=filters_of(filter),
        comparison=comparison,
        **calendar_of(time_zone),
    )
    return InsightList.of(await asker.ask(asker.services.insights.insights, asked, limit))


@router.get("/digest", summary="What is to be said of a day and of its week")
async def digest(
    asker: Reader,
    filter: FilterTexts,
    day: Annotated[
        str | None,
        Parameter(
            max_length=10, description="Such as 2026-11-22; by default yesterday.", json_schema_extra={"format": "date"}
        ),
    ] = None,
    time_zone: ZoneName = None,
) -> DailyDigest:
    """Of yesterday where no day is named, or of the last day with sales if these ended long ago."""
    found = await asker.ask(
        asker.services.insights.digest,
        day=_day_of(day),
        time_zone=calendar_of(time_zone)["time_zone"],
        filters=filters_of(filter),
    )
    return DailyDigest.of_findings(await asker.in_thread(asker.services.insights.reworded, found))


def _day_of(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise InvalidQuery(_("{name} is no ISO 8601 day; write it like 2026-11-22.", name="day")) from None
