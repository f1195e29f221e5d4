"""How long the buckets are that a watch judges, and over which windows of them: all that differs between hours and quarter hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Grain:
    """Buckets of `minutes`, numbered from 1970-01-01T00:00 UTC; `name` is what a query calls them, `windows` are in buckets.

    `weighs_morning`: what a window is due to bring, going by the day before it, is the less sure the less of a day there was.

    >>> QUARTER_HOUR.per_day, QUARTER_HOUR.of_hour(2), QUARTER_HOUR.hour_of(11)
    (96, 8, 2)
    """

    name: str
    minutes: int
    windows: tuple[int, ...]
    weighs_morning: bool = False

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=self.minutes)

    @property
    def per_hour(self) -> int:
        return 60 // self.minutes

    @property
    def per_day(self) -> int:
        return 24 * self.per_hour

    @property
    def per_week(self) -> int:
        return 7 * self.per_day

    def of_hour(self, hour: int) -> int:
        """The first bucket of an hour."""
        return hour * self.per_hour

    def hour_of(self, bucket: int) -> int:
        """The hour that holds a bucket."""
        return bucket // self.per_hour

    def time_of(self, bucket: int) -> datetime:
        """The UTC moment at which a bucket starts."""
        return _EPOCH + int(bucket) * self.length

    def bucket_of(self, moment: datetime) -> int:
        """The bucket that holds an aware `moment`."""
        return (moment - _EPOCH) // self.length


# Both look back over eight hours, so that neither misses what only shows slowly.
HOUR = Grain("hour", 60, (1, 2, 4, 8))
QUARTER_HOUR = Grain("quarter_hour", 15, (1, 2, 4, 8, 16, 32), weighs_morning=True)
