"""Written insights from figures alone: no model, no network, and never a number that a tile would contradict."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.detection.causes import causes
from nebuloviz.detection.series import COMPANY
from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import _, current
from nebuloviz.metrics.calendar import ONE_DAY, day_of, midnight, moved
from nebuloviz.metrics.comparison import reaches_back
from nebuloviz.metrics.query import Filter, Grain, Query
from nebuloviz.metrics.registry import dimension as dimension_of
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services import insight_texts as texts
from nebuloviz.services.explaining import SegmentReader, contribution
from nebuloviz.services.insight_periods import days_in, lasts_a_day, periods_before, weeks_of, whole_days
from nebuloviz.services.interfaces import (
    OTHER,
    AIInsights,
    AlertFilter,
    AlertService,
    AlertView,
    Contribution,
    DataService,
    Digest,
    ForecastService,
    Insight,
    Made,
)

_MAX_VALUES = 50
#: What is usual is what so many like periods before came to; with fewer than that nothing is said of it.
_USUAL_PERIODS, _MIN_USUAL = 8, 4
#: Segments are held against so many like periods before, two at least. Pairs of dimensions are looked at in short ranges.
_CAUSE_PERIODS, _MIN_CAUSE, _PAIRED_DAYS = 4, 2, 8
_UNSCANNED = ("product",)  # too many values to look at each; the largest are among the movers
_DIGEST_FINDINGS = 6
_PACES: dict[Grain, int] = {"month": 1, "quarter": 3}
_LONG_AGO = timedelta(days=7)  # sales that ended so long ago are history, and their last day is what is told of
_WEEK = 7


@dataclass(frozen=True)
class _Asked:
    """A question that is looked into: what it asks, its figures beside those of its comparison, since when there are sales."""

    session: Session
    actor: Actor
    query: Query
    figures: pd.Series[float]
    first_sale: datetime | None

    @property
    def revenue(self) -> float:
        return float(self.figures["revenue"])

    @property
    def before(self) -> float:
        return float(self.figures["revenue:comparison"])

    def changed(self, slug: str) -> float | None:
        return texts.relative(self.figures[slug], self.figures[f"{slug}:comparison"])


class _Moved(NamedTuple):
    """A value of a dimension, what it is called, and its revenue now and in the comparison."""

    value: str
    name: str
    now: float
    before: float

    @property
    def by(self) -> float:
        """Nothing where nobody knows what it is now; what was not there before has moved by all it is."""
        return 0.0 if math.isnan(self.now) else self.now - (0.0 if math.isnan(self.before) else self.before)


class FigureInsights(AIInsights):
    """Reads the same figures as the tiles and says what stands out: the change, whether it is usual, what moved it, open alerts."""

    def __init__(
        self,
        data: DataService,
        alerts: AlertService,
        forecasts: ForecastService,
        now: Callable[[], datetime] = utc_now,
        *,
        reword: Callable[[Digest], Digest] | None = None,
    ) -> None:
        self._data = data
        self._alerts = alerts
        self._reword = reword
        self._forecasts = forecasts
        self._now = now

    def reworded(self, found: Digest) -> Digest:
        return found if self._reword is None else self._reword(found)

    @require(Permission.DATA_READ)
    def insights(self, session: Session, actor: Actor, query: Query, limit: int = 5) -> Sequence[Insight]:
        asked = self._asked(session, actor, query)
        found = list(self._open_alerts(asked))
        # against a part of a period, such as while sales are still being loaded, everything would seem to have risen
        if reaches_back(asked.query, asked.first_sale):
            found = [*self._change(asked), *self._parts(asked), *found]
        return sorted(found, key=lambda insight: -insight.weight)[:limit]

    @require(Permission.DATA_READ)
    def digest(
        self,
        session: Session,
        actor: Actor,
        *,
        day: date | None = None,
        time_zone: str = "UTC",
        filters: tuple[Filter, ...] = (),
    ) -> Digest:
        now = self._now()
        of_now = Query(("revenue",), now - ONE_DAY, now, time_zone=time_zone, filters=filters)
        told = day or self._day_to_tell_of(session, actor, of_now.zone)
        try:
            week, start, end = (midnight(told + ONE_DAY * n, of_now.zone) for n in (1 - _WEEK, 0, 1))
        except OverflowError:
            raise InvalidQuery(_("The range or its comparison leaves the years 1 to 9999.")) from None
        of_day = of_now.with_(start=start, end=end, comparison="weekdays")
        of_week = of_now.with_(start=week, end=end, comparison="previous")
        return Digest(
            told,
            self.insights(session, actor, of_day, _DIGEST_FINDINGS),
            self.insights(session, actor, of_week, _DIGEST_FINDINGS),
            list(self._paces(session, actor, of_now)),
        )

    def _paces(self, session: Session, actor: Actor, of_now: Query) -> Iterator[Insight]:
        """Where the month and the quarter will end that are under way, against the ones before."""
        of_now = of_now.with_(year_start=current().year_start)
        first_sale = self._data.freshness(session, actor).first_sale
        for grain, months in _PACES.items():
            coming = self._forecasts.forecast(session, actor, of_now.with_(grain=grain), 1)
            if coming is None:
                continue
            point = coming.points[0]
            start = moved(point.start, of_now.zone, months=-months)
            before = math.nan
            if first_sale is not None and first_sale <= start:
                then = of_now.with_(start=start, end=point.start)
                before = float(self._data.frame(session, actor, then).data["revenue"].iloc[0])
            change = texts.relative(point.value, before)
            text = texts.pace_text(grain, point, change)
            fell = change is not None and change <= -texts.NOTABLE_CHANGE
            asked = of_now.with_(start=start, end=point.end, grain=grain)
            yield Insight(text, "medium" if fell else "low", asked, point.value, kind="pace")

    def _day_to_tell_of(self, session: Session, actor: Actor, zone: ZoneInfo) -> date:
        """Yesterday, sales or none; of sales that ended long ago their last day."""
        yesterday = day_of(self._now(), zone) - ONE_DAY
        last = self._data.freshness(session, actor).last_sale
        if last is None or day_of(last, zone) > yesterday - _LONG_AGO:
            return yesterday
        return day_of(last, zone)

    def _asked(self, session: Session, actor: Actor, query: Query) -> _Asked:
        asked = replace(
            query,
            metrics=("revenue", "orders", "average_order_value"),
            dimensions=(),
            grain=None,
            comparison=query.comparison or "previous",
            order=None,
            limit=None,
            other=False,
        )
        figures = self._data.frame(session, actor, asked).data.iloc[0]
        return _Asked(session, actor, asked, figures, self._data.freshness(session, actor).first_sale)

    def _change(self, asked: _Asked) -> Iterator[Insight]:
        change = asked.changed("revenue")
        if change is None:
            return
        fell = change <= -texts.NOTABLE_CHANGE
        text = texts.change_text(asked.revenue, asked.before, change)
        yield Insight(text, "medium" if fell else "low", asked.query, math.inf)
        yield from self._usual(asked)
        driver = texts.driver_of(asked.changed("orders"), asked.changed("average_order_value"))
        if driver and abs(change) >= texts.NOTABLE_CHANGE:
            text, backed_by = texts.driver_text(driver, asked.changed(driver)), asked.query.with_(metrics=(driver,))
            yield Insight(text, "low", backed_by, abs(asked.revenue - asked.before), kind="driver")

    def _usual(self, asked: _Asked) -> Iterator[Insight]:
        """Whether the days that are over brought what such days do."""
        periods = self._like_periods(asked, _USUAL_PERIODS)
        if len(periods) <= _MIN_USUAL:
            return
        whole, earliest = periods[0], periods[-1]
        own, *past = self._of_closed(
            asked, "revenues", periods, lambda: [self._revenue(asked, each) for each in periods]
        )
        backed_by = whole.with_(start=earliest.start, grain="day" if days_in(whole) < _WEEK else "week")
        text = texts.usual_text(own, past, of_a_day=lasts_a_day(whole))
        yield Insight(text, "high" if own < min(past) else "low", backed_by, math.inf, kind="usual")

    def _like_periods(self, asked: _Asked, most: int) -> list[Query]:
        """The days of the range that are over, and the like ranges before them, the latest first; empty where no day is over."""
        whole = whole_days(asked.query.with_(metrics=("revenue",), comparison=None), self._now())
        return [whole, *periods_before(whole, weeks_of(asked.query), most, asked.first_sale)] if whole else []

    def _parts(self, asked: _Asked) -> Iterator[Insight]:
        """Which parts of the sales moved: those that explain the whole's move, and the value of each dimension that moved most."""
        explained: set[tuple[str, str]] = set()
        for cause in self._causes(asked):
            explained.update(cause.dimensions.items())
            yield from self._cause(asked, cause)
        yield from self._movers(asked, explained)

    def _causes(self, asked: _Asked) -> Sequence[Contribution]:
        """The segments that explain why the days that are over brought more or less than the like days before."""
        change = asked.changed("revenue")
        periods = self._like_periods(asked, _CAUSE_PERIODS)
        if change is None or abs(change) < texts.NOTABLE_CHANGE or len(periods) <= _MIN_CAUSE:
            return ()
        rising = change > 0
        name = f"causes of a {'rise' if rising else 'fall'}"
        return self._of_closed(asked, name, periods, lambda: self._causes_between(asked, periods, rising=rising))

    def _causes_between(self, asked: _Asked, periods: Sequence[Query], *, rising: bool) -> Sequence[Contribution]:
        reader = SegmentReader(asked.session, asked.actor, self._data, periods)
        fixed = {item.dimension for item in asked.query.filters}
        levels = reader.levels(COMPANY, leave_out={*fixed, *_UNSCANNED}, paired=days_in(periods[0]) <= _PAIRED_DAYS)
        if not levels or COMPANY not in levels[0].segments:
            return ()
        found = causes(COMPANY, levels, rising=rising, counted=False)
        # against several weeks before, the whole may have gone the other way than against the one that it is compared with
        same_way = (levels[0].observed[0] > levels[0].expected[0]) == rising
        return [contribution(each, reader.names) for each in found] if same_way else ()

    def _of_closed(self, asked: _Asked, name: str, periods: Sequence[Query], derive: Callable[[], Made]) -> Made:
        """What is made of days that are over, which a sale of today does not change."""
        return self._data.derived(asked.session, asked.actor, name, periods, derive)

    def _cause(self, asked: _Asked, cause: Contribution) -> Iterator[Insight]:
        """A sentence on a segment, in the figures that its own tile shows."""
        total = asked.revenue - asked.before
        if not cause.segment:
            yield Insight(texts.spread_text(rose=total > 0), "low", asked.query, abs(total), kind="driver")
            return
        own = tuple(Filter(name, "in", (value,)) for name, value in cause.dimensions.items())
        query = asked.query.with_(metrics=("revenue",), filters=(*asked.query.filters, *own))
        figures = self._data.frame(asked.session, asked.actor, query).data.iloc[0]
        now, before = float(figures["revenue"]), float(figures["revenue:comparison"])
        if (now - before) * total <= 0:
            return
        text = texts.cause_text(cause.segment, now, before, total)
        weight = abs(now - before) * max(1.0, math.log(max(cause.surprise, 1.0)))
        yield Insight(text, "low" if total > 0 else "medium", query, weight, kind="segment")

    def _movers(self, asked: _Asked, explained: Collection[tuple[str, str]]) -> Iterator[Insight]:
        """The value of each dimension whose revenue moved most, in either direction, but for those `explained` already."""
        in_use = self._data.dimensions_in_use(asked.session, asked.actor)
        for slug in (each for each in in_use if dimension_of(each).rolled):
            query = asked.query.with_(metrics=("revenue",), dimensions=(slug,), order="-revenue", limit=_MAX_VALUES)
            data = self._data.frame(asked.session, asked.actor, query).data
            if len(data) < 2:  # it would only repeat what is said of the whole
                continue
            names = data[f"{slug}:name"] if f"{slug}:name" in data else data[slug]
            columns = (column.tolist() for column in (data[slug], names, data["revenue"], data["revenue:comparison"]))
            moved = max(
                (_Moved(*row) for row in zip(*columns, strict=True) if row[0] not in {OTHER, ""}),
                key=lambda each: abs(each.by),
                default=None,
            )
            if moved and moved.by and (slug, moved.value) not in explained:
                text = texts.moved_text(slug, moved.name, moved.now, moved.before)
                yield Insight(text, "low", query, abs(moved.by), kind="segment")

    def _open_alerts(self, asked: _Asked) -> Iterator[Insight]:
        query = asked.query
        if not asked.actor.may(Permission.ALERTS_READ):
            return
        which = AlertFilter(states=("open", "acknowledged"), start=query.start, end=query.end, filters=query.filters)
        items = self._alerts.list(asked.session, asked.actor, which, limit=500).items
        if not items:
            return
        worst = max(items, key=lambda alert: alert.score)
        stake = sum(_stake(alert, asked.figures["average_order_value"]) for alert in items)
        yield Insight(texts.alerts_text(len(items)), worst.severity, query, stake, worst.id, "alert")

    def _revenue(self, asked: _Asked, query: Query) -> float:
        return float(self._data.frame(asked.session, asked.actor, query).data["revenue"].iloc[0])


def _stake(alert: AlertView, order_value: float) -> float:
    """The money in an alert's deviation, roughly, times how surprising it is."""
    deviation = abs(alert.observed - (alert.expected or 0.0))
    in_money = deviation * order_value if alert.metric == "orders" and math.isfinite(order_value) else deviation
    return in_money * max(1.0, alert.score)
