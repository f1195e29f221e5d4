"""Watches series in the grain that they sell enough for: quarter hours for the largest, hours for all others.

An empty quarter of an hour says something only where twenty orders are due in it. So both watches are one: a segment is judged
by one of them, what is news is news for both, and they divide what may be raised falsely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from nebuloviz.detection.alerts import Finding
from nebuloviz.detection.calendar import Calendar, open_hours
from nebuloviz.detection.grain import HOUR, QUARTER_HOUR
from nebuloviz.detection.lessons import Lesson
from nebuloviz.detection.series import COMPANY, HOURS_PER_DAY, Buckets, Segment, Watching, runs
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.series_watch import RECENT_WEEKS, News, SeriesWatch

QUARTER_ORDERS = 20.0  # due in the middle one of the open quarter hours: from so many on, a segment is judged by them
_STAYS = 0.75  # of these; near the bar a segment stays in the grain that it is in
_HALF = 0.5


@dataclass(frozen=True)
class Closed:
    """Buckets that have closed; quarter hours of the segments that are watched by them, None where none are."""

    hours: Buckets
    quarters: Buckets | None = None

    def by_day(self, calendar: Calendar) -> Iterator[Closed]:
        """What lies in one local day at a time, in order of time: between two of them is when models are trained."""
        first, last = self.hours.start, self.hours.end
        if self.quarters is not None:
            first = min(first, QUARTER_HOUR.hour_of(self.quarters.start))
            last = max(last, QUARTER_HOUR.hour_of(self.quarters.end - 1) + 1)
        days = calendar.wall_hours(np.arange(first, last)) // HOURS_PER_DAY
        for start, end in ((first + begin, first + over) for begin, over in runs(days)):
            of_hour = QUARTER_HOUR.of_hour
            quarters = None if self.quarters is None else self.quarters.between(of_hour(start), of_hour(end))
            yield Closed(self.hours.between(start, end), quarters)


@dataclass
class GrainedWatch:
    """Findings from closed hours, and from quarter hours of `large` segments. As causal and picklable as `SeriesWatch`.

    Which are large is decided whenever hours are trained. While `quarters_wanted`, whoever feeds it calls `begin_quarters` and
    feeds their past; until they have caught up and are trained, hours judge everything.
    """

    settings: WatchSettings = field(default_factory=WatchSettings)
    hours: SeriesWatch = field(init=False)
    quarters: SeriesWatch | None = None
    large: frozenset[Segment] = frozenset()
    news: News = field(default_factory=News)

    def __post_init__(self) -> None:
        self.hours = SeriesWatch(self.settings)

    def feed(self, closed: Closed) -> list[Finding]:
        """Findings in order of time. Raises ValueError where buckets are missing since the last ones fed."""
        found = self.hours.judge(closed.hours)
        if self.quarters is not None and closed.quarters is not None:
            found += self.quarters.judge(closed.quarters)
        return self.news.marked(found)

    def heed(self, lessons: tuple[Lesson, ...]) -> None:
        """All that people have taught, about alerts of either grain."""
        for watch in self.watches:
            watch.lessons = lessons

    @property
    def watches(self) -> tuple[SeriesWatch, ...]:
        return (self.hours,) if self.quarters is None else (self.hours, self.quarters)

    @property
    def active(self) -> SeriesWatch | None:
        """The watch over quarter hours, once it judges."""
        return None if self.quarters is None or self.quarters.model is None else self.quarters

    @property
    def judged_until(self) -> datetime:
        """The moment up to which all buckets have been fed of what is judged."""
        watch = self.active or self.hours
        return watch.grain.time_of(watch.next_bucket or 0)

    @property
    def catching_up(self) -> bool:
        """Whether quarter hours of the past are still to be fed, before they are judged."""
        return self.quarters is not None and self.active is None and not self._level

    @property
    def _level(self) -> bool:
        """Whether quarter hours have been fed as far as hours."""
        if self.quarters is None or self.quarters.next_bucket is None or self.hours.next_bucket is None:
            return False
        return self.quarters.next_bucket >= QUARTER_HOUR.of_hour(self.hours.next_bucket)

    @property
    def rebased(self) -> frozenset[tuple[int, int]]:
        """What was said to be the new normal, and the local day from which on."""
        history = self.hours.history
        return frozenset((each.number, each.first // HOURS_PER_DAY) for each in history.rebased)

    @property
    def quarters_wanted(self) -> bool:
        """Whether there are segments to be judged by quarter hours, of which nothing is known yet."""
        return bool(self.large) and self.quarters is None

    def begin_quarters(self, day: int) -> None:
        """Watch the large segments by quarter hours, which are fed from local day `day` on; no earlier than hours are remembered."""
        first = QUARTER_HOUR.per_day * max(day, self.hours.history.first_day)
        buckets, _places = self.settings.calendar.utc_buckets(first, first + QUARTER_HOUR.per_day, QUARTER_HOUR)
        self.quarters = SeriesWatch(
            self.settings, QUARTER_HOUR, next_bucket=int(buckets[0]), lessons=self.hours.lessons
        )

    @property
    def fit_due(self) -> bool:
        return self.hours.fit_due or self._quarters_due

    @property
    def _quarters_due(self) -> bool:
        return self.quarters is not None and self._level and self.quarters.fit_due

    def train(self) -> None:
        """Fit what is due on what was fed so far, and adopt the result, here and now."""
        if self.hours.fit_due:
            self.hours.train()
            self.large = self._chosen()
            if self.quarters is not None and not self._keeps_up():
                self.quarters = None
        if self.quarters is not None and self._quarters_due:
            self.quarters.train()
        self._share_out()

    def _keeps_up(self) -> bool:
        """Whether the quarter hours that are fed are those of all large segments, and of no others."""
        known = set() if self.quarters is None else set(self.quarters.history.segments)
        return bool(self.large) and known == self.large

    def _chosen(self) -> frozenset[Segment]:
        """The segments that sell enough to be judged by quarter hours; none without the company, which they are compared with."""
        model, metric = self.hours.model, self.settings.watched[0].metric
        if model is None:
            return frozenset()
        columns = [self.hours.history.segments.index(segment) for segment in model.segments]
        due = self.hours.history.of[metric].expected[-RECENT_WEEKS * HOUR.per_week :, columns]
        is_open = open_hours(due, model.of[metric].busiest)
        chosen = set()
        for k, segment in enumerate(model.segments):
            middle = np.median(due[is_open[:, k], k]) / QUARTER_HOUR.per_hour if is_open[:, k].any() else 0.0
            if middle >= QUARTER_ORDERS * (_STAYS if segment in self.large else 1.0):
                chosen.add(segment)
        return frozenset(chosen) if COMPANY in chosen else frozenset()

    def _share_out(self) -> None:
        """Each segment is judged by one watch; what may be raised falsely is halved where both have some to judge."""
        judged = frozenset() if self.active is None or self.active.model is None else self.active.model.segments
        self.hours.elsewhere = frozenset(judged)
        by_hour = set(self.hours.model.segments if self.hours.model else ()) - self.hours.elsewhere
        self.hours.budget_part = _HALF if judged else 1.0
        if self.quarters is not None:
            self.quarters.budget_part = _HALF if by_hour else 1.0

    @property
    def version(self) -> str:
        """What the models were made of, by name; '' where there is none yet."""
        return "+".join(watch.model.version for watch in self.watches if watch.model is not None)

    def watched(self) -> list[Watching]:
        """The series that are judged, each in its grain."""
        return [each for watch in self.watches for each in watch.watched()]
