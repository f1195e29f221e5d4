"""What each built-in detector of rules finds, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from nebuloviz.detection.registry import series_detector
from nebuloviz.detection.series import FloatArray
from nebuloviz.detection.series_detector import Course, Judgement, SeriesDetector

HOURS, WEEKS = 168, 24
OPEN = np.isin(np.arange(HOURS) % 24, range(8, 20))


def shop(spoiled: dict[int, float] | None = None, *, growth: float = 0.0) -> Course:
    """Hours of a shop that is shut at night and sells 30 an hour; `spoiled` are hours counted from the end, by what they came to."""
    count = WEEKS * HOURS
    slots = np.arange(count) % HOURS
    due = np.where(OPEN[slots], 30.0, 0.0) * (1 + growth) ** (np.arange(count) // HOURS)
    values = np.random.default_rng(7).poisson(due).astype(float)
    for back, value in (spoiled or {}).items():
        values[-back] = value
    return Course(HOURS * 2000, HOURS, slots, values, asked=count - HOURS)


def found(detector: SeriesDetector, course: Course) -> list[int]:
    """The hours of the last week with a finding, counted from the end."""
    judged = detector.judge(course)
    return [len(course) - int(place) for place in np.flatnonzero(judged.score) if place >= len(course) - HOURS]


def made(name: str, **parameters: float) -> SeriesDetector:
    return series_detector(name)(parameters=parameters)


class TestWhatIsFound:
    @pytest.mark.parametrize(
        ("detector", "spoiled"),
        [
            (made("threshold", below=3.0, above=200.0), {38: 900.0}),
            (made("same_weekday", fall=95.0, rise=300.0), {35: 0.0, 38: 150.0}),
            (made("forecast_interval", percent=99.99), {35: 0.0, 38: 150.0}),
            (made("isolation_forest", false_alerts=0.05), {35: 0.0, 38: 150.0}),
            (made("largest_deviation", false_alerts=0.05), {35: 0.0, 38: 150.0}),
            (made("silence", buckets=2.0), {34: 0.0, 35: 0.0}),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_is_what_was_spoiled(self, detector: SeriesDetector, spoiled: dict[int, float]) -> None:
        hits = set(found(detector, shop(spoiled)))
        if detector.name == "threshold":  # a plain number knows no nights
            hits &= set(spoiled)
        assert hits & set(spoiled)
        assert hits <= {hour - step for hour in spoiled for step in range(8)}

    @pytest.mark.parametrize("name", ["same_weekday", "forecast_interval", "silence"])
    def test_is_nothing_in_an_ordinary_week_of_a_growing_shop(self, name: str) -> None:
        wide = {"same_weekday": {"fall": 90.0, "rise": 200.0}, "forecast_interval": {"percent": 99.99}}
        assert len(found(made(name, **wide.get(name, {})), shop(growth=0.03))) <= 1


class TestClosedHours:
    @pytest.mark.parametrize("name", ["forecast_interval", "isolation_forest", "largest_deviation"])
    def test_hide_nothing_of_what_the_open_ones_bring(self, name: str) -> None:
        """A calendar with opening hours says nothing of nights, which sold nothing before it was known."""
        course = shop({35: 0.0, 38: 150.0})
        closed = ~OPEN[course.slots]
        known = replace(course, values=np.where(closed, np.nan, course.values), closed=closed)
        hits = found(made(name), known)
        assert {35, 38} <= set(hits)
        assert set(hits) <= set(found(made(name), course))

    def test_on_one_day_of_each_week_leave_the_other_six_to_be_judged(self) -> None:
        days, sunday = 24 * 7, 6
        slots = np.arange(days) % 7
        values = np.random.default_rng(7).poisson(200.0, days).astype(float)
        values[-4] = 20.0
        values[slots == sunday] = np.nan
        judged = made("isolation_forest").judge(Course(7 * 2000, 7, slots, values, days - 7, slots == sunday))
        assert np.flatnonzero(judged.score[-7:]).tolist() == [3]


class TestARange:
    @pytest.mark.parametrize("name", ["forecast_interval", "isolation_forest"])
    def test_stays_in_the_size_of_what_is_sold_where_nights_bring_next_to_nothing(self, name: str) -> None:
        course = shop(dict.fromkeys(range(400, 1400, 37), 1.0))
        high = made(name).judge(course).high[course.asked :]
        assert np.nanmax(high) < 200


class TestSilence:
    def test_waits_for_the_hours_that_were_chosen_and_not_at_night(self) -> None:
        quiet = dict.fromkeys(range(30, 40), 0.0)
        last_open = max(place for place in quiet if OPEN[(-place) % HOURS])
        hits = found(made("silence", buckets=3.0), shop(quiet))
        assert max(hits) == last_open - 2
        assert all(OPEN[(-hour) % HOURS] for hour in hits)


class TestAThreshold:
    def test_says_how_far_beyond_it_a_value_lies(self) -> None:
        judged = made("threshold", below=100.0).judge(Course(0, 7, np.arange(3), np.array([100.0, 60.0, 0.0])))
        assert judged.score.tolist() == pytest.approx([0.0, 0.4, 1.0])

    def test_finds_nothing_where_no_bound_is_given(self) -> None:
        assert found(made("threshold"), shop({1: 1e9})) == []


class TestAJudgement:
    @pytest.mark.parametrize(
        ("value", "score"), [(15.0, 0.0), (20.0, 0.0), (25.0, 0.5), (0.0, 1.0), (np.nan, 0.0), (1e9, 100.0)]
    )
    def test_counts_in_distances_of_the_bound(self, value: float, score: float) -> None:
        one: list[FloatArray] = [np.array([each]) for each in (value, 10.0, 5.0, 20.0)]
        assert Judgement.of_range(*one).score[0] == pytest.approx(score)


class TestParameters:
    def test_that_there_are_not_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no parameter 'colour'"):
            made("threshold", colour=1.0)
