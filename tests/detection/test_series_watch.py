import pickle
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pytest

from nebuloviz.detection.alerts import Finding
from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.residuals import Scale
from nebuloviz.detection.series import Buckets, SeriesKey, time_of_hour
from nebuloviz.detection.series_model import Watched, WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch
from tests.detection.shop import NORTH, START, TOTAL, WEEK, orders

WEEKS = 8
OUTAGE = (6 * WEEK + 2 * 24 + 11, 6 * WEEK + 2 * 24 + 14)  # a Wednesday, 11 to 14
ORDERS = (Watched("orders", Scale.COUNT, 1.0),)


def _watch(**settings: Any) -> SeriesWatch:
    return SeriesWatch(WatchSettings(**{"watched": ORDERS, **settings}))


def _run(watch: SeriesWatch, buckets: Buckets, hours: int = 24) -> list[Finding]:
    """Feed in pieces, training at midnight whenever it is due."""
    found = []
    for start in range(buckets.start, buckets.end, hours):
        found += watch.feed(buckets.between(start, start + hours))
        if start + hours - START >= 24 and (start + hours - START) % 24 == 0 and watch.fit_due:
            watch.train()
    return found


@cache
def _outage() -> Buckets:
    return orders(WEEKS, events={OUTAGE: 0.0})


@cache
def _whole_run() -> list[Finding]:
    return _run(_watch(), _outage())


def _moments(found: list[Finding], key: SeriesKey = TOTAL) -> list[int]:
    return [int((f.bucket_end - time_of_hour(START)).total_seconds() // 3600) for f in found if f.key == key]


class TestAnOutage:
    def test_is_found_in_its_first_hours(self) -> None:
        assert OUTAGE[0] + 1 in _moments(_whole_run())

    def test_is_told_with_what_was_expected(self) -> None:
        finding = next(
            f for f in _whole_run() if f.key == TOTAL and f.bucket_end == time_of_hour(START + OUTAGE[0] + 1)
        )
        assert finding.observed < finding.expected_low < finding.expected < finding.expected_high
        assert finding.novel

    def test_is_the_worst_that_happened(self) -> None:
        worst = max(_whole_run(), key=lambda finding: finding.score)
        assert OUTAGE[0] < _moments([worst], worst.key)[0] <= OUTAGE[1] + 8


class TestCausality:
    def test_hours_to_come_change_nothing(self) -> None:
        cut = OUTAGE[0] + 2
        prefix = _run(_watch(), _outage().between(START, START + cut))
        assert prefix == [f for f in _whole_run() if f.bucket_end <= time_of_hour(START + cut)]
        assert prefix

    @pytest.mark.parametrize("hours", [1, 8, 72])
    def test_findings_do_not_depend_on_how_hours_are_fed(self, hours: int) -> None:
        buckets = _outage().between(START, START + 5 * WEEK)
        by_day = _watch(), _watch()
        _run(by_day[0], buckets)
        _run(by_day[1], buckets)
        rest = _outage().between(START + 5 * WEEK, START + 6 * WEEK - 24)
        pieces = [by_day[1].feed(rest.between(s, s + hours)) for s in range(rest.start, rest.end, hours)]
        assert [f for piece in pieces for f in piece] == by_day[0].feed(rest)

    def test_a_watch_goes_on_from_where_it_was_pickled(self) -> None:
        watch = _watch()
        _run(watch, _outage().between(START, START + 6 * WEEK))
        copy: SeriesWatch = pickle.loads(pickle.dumps(watch))  # noqa: S301 - made on the line itself
        rest = _outage().between(START + 6 * WEEK, START + 7 * WEEK)
        assert copy.feed(rest) == watch.feed(rest)
        assert copy.model is not None
        assert watch.model is not None
        assert copy.model.version == watch.model.version

    def test_hours_left_out_are_refused(self) -> None:
        watch = _watch()
        watch.feed(_outage().between(START, START + 24))
        with pytest.raises(ValueError, match=f"expected bucket {START + 24}"):
            watch.feed(_outage().between(START + 25, START + 48))


class TestWarmUp:
    def test_four_weeks_pass_before_anything_is_found(self) -> None:
        wild = orders(4, events={(2 * WEEK + 34, 2 * WEEK + 40): 9.0})
        watch = _watch()
        assert _run(watch, wild) == []
        assert watch.model is not None

    def test_a_new_segment_is_not_judged_before_it_is_four_weeks_old(self) -> None:
        late = orders(WEEKS)
        late.values[: 5 * WEEK, 1:] = 0.0
        watch = _watch()
        assert not [f for f in _run(watch, late) if f.key != TOTAL]
        first = START // 24
        since = {each.key: each.from_day for each in watch.watched()}
        assert (since[TOTAL], since[NORTH]) == (first + 28, first + 5 * 7 + 28)


class TestTheModel:
    def test_version_says_what_it_was_made_of(self) -> None:
        def version(seed: int, buckets: Buckets) -> str:
            watch = _watch(seed=seed)
            watch.feed(buckets)
            return watch.train().version

        calm = orders(4)
        assert version(0, calm) == version(0, calm)
        assert len({version(0, calm), version(1, calm), version(0, orders(4, seed=2))}) == 3

    def test_watches_no_more_series_than_it_may(self) -> None:
        watch = _watch(max_series=2)
        watch.feed(orders(4))
        assert watch.train().segments == ((), NORTH.dimensions)

    @pytest.mark.parametrize(("first", "due"), [(0, [28, 35, 42]), (2, [30, 35, 42]), (6, [34, 35, 42])])
    def test_is_due_after_four_weeks_and_when_a_week_begins(self, first: int, due: list[int]) -> None:
        watch, calm, trained = _watch(), orders(6), []
        for day in range(first, 6 * 7):  # of which the first is a Monday
            watch.feed(calm.between(START + day * 24, START + day * 24 + 24))
            if watch.fit_due:
                trained.append(day + 1)
                watch.train()
        assert trained == due


class TestPlannedClosures:
    CLOSED = 6 * 7 + 2  # the day, counted from the shop's first

    def _found(self, calendar: Calendar) -> list[Finding]:
        quiet = orders(WEEKS, events={(self.CLOSED * 24, self.CLOSED * 24 + 24): 0.0})
        return _run(_watch(calendar=calendar), quiet)

    def test_do_not_alert_and_teach_nothing(self) -> None:
        told = Calendar("UTC", frozenset({date(2024, 2, 14)}))
        day = range(self.CLOSED * 24, self.CLOSED * 24 + 32)
        assert set(_moments(self._found(Calendar()))) & set(day)
        assert not set(_moments(self._found(told))) & set(day)


class TestTheExpectedBand:
    def test_covers_the_last_days_and_the_rest_of_today(self) -> None:
        watch, calm = _watch(), orders(6)
        watch.feed(calm.between(START, START + 4 * WEEK))
        watch.train()
        watch.feed(calm.between(START + 4 * WEEK, START + 4 * WEEK + 10))
        band = watch.band(TOTAL, days=2)
        assert band is not None
        assert band.buckets.tolist() == list(range(START + 4 * WEEK - 24, START + 4 * WEEK + 24))
        noon = 24 + 12
        assert band.low[noon] < band.expected[noon] < band.high[noon]
        assert band.expected[noon] == pytest.approx(30, abs=8)

    def test_is_none_for_a_series_that_is_not_watched(self) -> None:
        watch = _watch()
        watch.feed(orders(4))
        watch.train()
        assert watch.band(SeriesKey.of("orders", region="west"), days=2) is None


def test_summer_time_moves_no_opening_hours() -> None:
    """Berlin's clocks go forward on 2024-03-31: from then on the shop opens an hour earlier in UTC."""
    calm = orders(16)
    change = int((np.datetime64("2024-03-31T01") - np.datetime64("2024-01-01T00")) / np.timedelta64(1, "h"))
    shifted = np.vstack([calm.values[:change], calm.values[change + 1 :]])
    found = _run(
        _watch(calendar=Calendar("Europe/Berlin"), detector=LargestDeviation), Buckets(START, calm.keys, shifted)
    )
    after = [moment for moment in _moments(found) if moment > change]
    assert (
        len(after)
        <= len([moment for moment in _moments(_run(_watch(detector=LargestDeviation), calm)) if moment > change]) + 6
    )
