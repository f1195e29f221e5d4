"""What the time ahead will bring."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.questions import FilterTexts, ZoneName, calendar_of, filters_of
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Slug
from nebuloviz.api.schemas.forecasts import Forecast, ForecastPoint
from nebuloviz.clock import utc_now
from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import _
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import metric as metric_of
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import can_be_forecast

router = APIRouter(tags=["data"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.DATA_READ))]


@router.get("/forecast", summary="One metric in the time ahead")
async def forecast(
    asker: Reader,
    metric: Slug,
    filter: FilterTexts,
    grain: Literal["day", "week", "month", "quarter"] = "day",
    time_zone: ZoneName = None,
    buckets: Annotated[int, Parameter(ge=1, le=60, description="That of now included.")] = 15,
) -> Forecast:
    """What is expected of the bucket under way and those after it, with ranges that hold as often as they say."""
    shown, now = metric_of(metric), utc_now()
    if not can_be_forecast(shown, grain):
        raise InvalidQuery(
            _("{metric} cannot be forecast by {grain}: days do not add up to it.", metric=metric, grain=grain)
        )
    filters = filters_of(filter)
    asked = Query((metric,), now - timedelta(days=1), now, grain=grain, filters=filters, **calendar_of(time_zone))
    found = await asker.ask(asker.services.forecasts.forecast, asked, buckets)
    points = [
        ForecastPoint(**vars(point) | {name: getattr(point, name).astimezone(asked.zone) for name in ("start", "end")})
        for point in (found.points if found else ())
    ]
    days = found.days if found else 0
    return Forecast(metric=metric, unit=shown.unit, grain=grain, time_zone=asked.time_zone, days=days, points=points)
