"""What people say of alerts makes the next ones fewer: shown on streams that are replayed with the verdict and without it."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest

from nebuloviz.detection.alerts import Finding, Severity
from nebuloviz.detection.backtest import AlertBook
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.lessons import Aside, Lesson, Verdict, lets_pass, without
from nebuloviz.detection.residuals import Scale
from nebuloviz.detection.series import Buckets, SeriesKey, hour_of_time, time_of_hour
from nebuloviz.detection.series_model import Watched, WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch
from tests.detection.shop import NORTH, SOUTH, START, TOTAL, WEEK, orders

WEEKS = 9
MONDAY = 6 * WEEK  # of the seventh week, in hours since the shop's first
TUESDAY = MONDAY + 24
Judge = Callable[[Finding], Lesson | None]


def lesson(verdict: Verdict, alert: Finding, *, hours: int = 0, number: int = 1) -> Lesson:
    """Given in the hour after the alert was raised; what is expected goes on for `hours` from where the alert began."""
    start, end = hour_of_time(alert.bucket_start), hour_of_time(alert.bucket_end)
    return Lesson(number, verdict, alert.key, start, max(end, start + hours), end, alert.severity)


def replayed(buckets: Buckets, judge: Judge = lambda _alert: None) -> tuple[SeriesWatch, list[Finding]]:
    """Hour by hour past a new watch; the alerts. What `judge` says of one is known from the next hour on."""
    settings = WatchSettings(watched=(Watched("orders", Scale.COUNT, 1.0),), detector=LargestDeviation)
    watch, book, raised = SeriesWatch(settings), AlertBook({}), []
    for hour in range(buckets.start, buckets.end):
        found = book.close(watch.feed(buckets.between(hour, hour + 1)), time_of_hour(hour + 1))
        raised += found
        watch.lessons += tuple(said for alert in found if (said := judge(alert)) is not None)
        if (hour + 1 - START) % 24 == 0 and watch.fit_due:
            watch.train()
    return watch, raised


def once(verdict: Verdict, after: int = TUESDAY, **said: Any) -> Judge:
    """A verdict on the first alert after so many hours, and on no other."""
    given: list[Lesson] = []

    def judge(alert: Finding) -> Lesson | None:
        if given or hour_of_time(alert.bucket_end) - START <= after:
            return None
        given.append(lesson(verdict, alert, **said))
        return given[0]

    return judge


def since(raised: list[Finding], hours: int = TUESDAY, until: int = WEEKS * WEEK) -> list[Finding]:
    return [alert for alert in raised if hours < hour_of_time(alert.bucket_end) - START <= until]


def expected(watch: SeriesWatch, key: SeriesKey, days: int) -> float:
    """What was expected of the last days."""
    band = watch.band(key, days)
    assert band is not None
    return float(np.nansum(band.expected))


@cache
def promotion() -> Buckets:
    """Twice as much in the north, from Tuesday to Thursday."""
    calm = orders(WEEKS)
    calm.values[TUESDAY : TUESDAY + 72, 1] *= 2.0
    calm.values[:, 0] = calm.values[:, 1] + calm.values[:, 2]
    return calm


class TestExpected:
    def test_neither_alerts_again_nor_teaches(self) -> None:
        sold = promotion()
        plain, before = replayed(sold)
        told, after = replayed(sold, once(Verdict.EXPECTED, hours=96))
        week = MONDAY + 5 * 24
        assert (len(since(before, until=week)), len(since(after, until=week))) == (4, 1)
        calm, _raised = replayed(orders(WEEKS))
        for key in (NORTH, TOTAL):
            usual = expected(calm, key, 2 * 7)
            assert abs(expected(told, key, 2 * 7) / usual - 1) < abs(expected(plain, key, 2 * 7) / usual - 1)
            assert expected(told, key, 2 * 7) == pytest.approx(usual, rel=0.03)

    def test_hides_nothing_else(self) -> None:
        sold = promotion()
        outage = slice(MONDAY + 48 + 10, MONDAY + 48 + 15)
        values = sold.values.copy()
        values[outage, 2] = 0.0
        values[:, 0] = values[:, 1] + values[:, 2]
        north = lesson(Verdict.EXPECTED, _alert(NORTH, MONDAY + 33), hours=96)
        _watch, raised = replayed(Buckets(sold.start, sold.keys, values), _said(north))
        assert [alert.key for alert in since(raised, MONDAY + 40)] == [SOUTH]


def _alert(key: SeriesKey, hour: int, **fields: Any) -> Finding:
    end = time_of_hour(START + hour + 1)
    usual = {"observed": 50.0, "expected": 25.0, "expected_low": 15.0, "expected_high": 35.0, "score": 1.0}
    named = {"severity": Severity.LOW, "detector": "series", "bucket_start": end - timedelta(hours=1)}
    return Finding(key=key, bucket_end=end, **{**usual, **named, **fields})


def _said(*taught: Lesson) -> Judge:
    """Said before anything was found."""
    left = list(taught)
    return lambda _alert: left.pop() if left else None


def test_a_false_alarm_raises_the_bar_of_its_segment_until_it_is_taken_back() -> None:
    restless = {(MONDAY + day * 24 + 10, MONDAY + day * 24 + 13): 1.9 for day in (1, 3, 8, 10, 15)}
    sold = orders(WEEKS, events=restless)
    _watch, before = replayed(sold)
    watch, after = replayed(sold, once(Verdict.FALSE_ALARM))
    assert len(since(after)) < len(since(before)), "the same stream, but for one verdict"
    assert len(since(before)) >= 4
    watch.lessons = ()
    outage = orders(1, events={(9, 18): 0.0})
    shut = watch.feed(Buckets(watch.next_bucket or 0, outage.keys, outage.values[:24]))
    assert shut, "what is far beyond any bar is found all the same"


CHANGE = TUESDAY + 11


@cache
def grown() -> Buckets:
    return orders(WEEKS, events={(CHANGE, WEEKS * WEEK): 1.7})


class TestNewNormal:
    def test_is_expected_from_the_next_hour_on(self) -> None:
        sold = grown()
        _watch, before = replayed(sold)
        watch, after = replayed(sold, once(Verdict.NEW_NORMAL))
        fortnight = MONDAY + 2 * WEEK
        assert (len(since(before, until=fortnight)), len(since(after, until=fortnight))) == (6, 1)
        rebased = watch.history.rebased[0]
        assert rebased.factors[0][1][0] == pytest.approx(1.7, rel=0.25)

    def test_levels_start_from_after_the_change(self) -> None:
        """Two days after it, what is expected is what comes; without the verdict it takes a week."""
        sold = grown()
        days = sold.between(sold.start, START + MONDAY + 4 * 24)
        came = sold.values[MONDAY + 3 * 24 : MONDAY + 4 * 24, 0].sum()
        plain, _raised = replayed(days)
        told, _raised = replayed(days, once(Verdict.NEW_NORMAL))
        assert expected(plain, TOTAL, 1) < 0.75 * came
        assert expected(told, TOTAL, 1) == pytest.approx(came, rel=0.1)

    def test_taken_back_the_same_day_leaves_no_trace(self) -> None:
        sold = grown()
        days = sold.between(sold.start, START + CHANGE + 3)
        watch, _raised = replayed(days, once(Verdict.NEW_NORMAL))
        plain, _raised = replayed(days)
        watch.lessons = ()
        for each in (watch, plain):
            each.feed(sold.between(START + CHANGE + 3, START + CHANGE + 4))
        assert np.allclose(watch.history.of["orders"].expected, plain.history.of["orders"].expected, equal_nan=True)
        assert np.allclose(watch.history.of["orders"].level, plain.history.of["orders"].level)


def test_nothing_depends_on_a_verdict_before_it_was_given() -> None:
    sold = orders(WEEKS, events={(TUESDAY, WEEKS * WEEK): 1.6})
    later = [
        lesson(verdict, _alert(TOTAL, MONDAY + 34), hours=400, number=n)
        for n, verdict in enumerate(Verdict)
    ]  # fmt: skip
    known_from = START + MONDAY + 35
    _plain, before = replayed(sold.between(sold.start, known_from))
    settings = WatchSettings(watched=(Watched("orders", Scale.COUNT, 1.0),), detector=LargestDeviation)
    watch, found = SeriesWatch(settings, lessons=tuple(later)), []
    for start in range(sold.start, sold.end, 24):
        found += watch.feed(sold.between(start, start + 24))
        if watch.fit_due:
            watch.train()
    soon = [each for each in found if hour_of_time(each.bucket_end) <= known_from and each.novel]
    assert [each for each in before if each in soon] == before
    assert watch.history.rebased, "and everything does afterwards"


class TestSaleLines:
    price = SeriesKey.of("unit_price", product="p1")

    def finding(self, **fields: Any) -> Finding:
        return _alert(self.price, 100, **fields)

    @pytest.mark.parametrize(
        ("taught", "found", "passes"),
        [
            ((Verdict.FALSE_ALARM, {}), {"score": 1.2}, False),
            ((Verdict.FALSE_ALARM, {}), {"score": 1.6}, True),
            ((Verdict.REAL, {}), {}, True),
            ((Verdict.EXPECTED, {"end": START + 101}), {}, False),
            ((Verdict.EXPECTED, {"end": START + 100}), {}, True),
            ((Verdict.NEW_NORMAL, {"ratio": 2.0}), {}, False),
            ((Verdict.NEW_NORMAL, {"ratio": 2.0}), {"observed": 80.0}, True),
            ((Verdict.NEW_NORMAL, {"ratio": 0.5}), {}, True),
            ((Verdict.NEW_NORMAL, {"ratio": 2.0, "key": SeriesKey.of("unit_price", product="p2")}), {}, True),
        ],
        ids=str,
    )
    def test_pass_or_not(self, taught: tuple[Verdict, dict[str, Any]], found: dict[str, Any], passes: bool) -> None:
        verdict, fields = taught
        known = Lesson(**{
            "number": 1, "verdict": verdict, "key": self.price, "start": START + 90, "end": START + 95, "known_from": START,
            **fields,
        })  # fmt: skip
        assert lets_pass([known], self.finding(**found), threshold=1.0) is passes


def test_what_is_set_aside_is_taken_out_once_of_all_that_may_contain_it() -> None:
    segments = [(), (("region", "north"),), (("region", "south"),), (("channel", "web"),), (("store", "1"),)]
    due = np.array([[100.0, 60.0, 40.0, 50.0, 10.0]])
    observed = due + np.array([45.0, 30.0, 10.0, 25.0, 4.5])
    asides = [Aside(segments[k], 7, 8, silent=True) for k in (1, 2, 3)]
    kept = without(observed, due, segments, 7, asides)
    assert kept[0, 0] == 105.0, "the regions' 40, of which the channel's 25 are a part"
    assert np.isnan(kept[0, 1:4]).all()
    assert kept[0, 4] == 10.5
