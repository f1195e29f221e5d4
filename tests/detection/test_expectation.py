import numpy as np

from nebuloviz.detection.expectation import DayHistory, expect_day, trimmed_mean
from nebuloviz.detection.series import FloatArray


def _history(observed: FloatArray) -> DayHistory:
    """A past of known days without growth, in which every day brought what its profile said."""
    days, _, series = observed.shape
    return DayHistory(observed, observed.sum(axis=1), np.ones((days, series)), np.ones((days, series), bool))


def _weeks(n: int) -> FloatArray:
    """Days of a company (and its one segment, a quarter of it) that sells weekday x hour."""
    weekday = np.arange(n * 7) % 7 + 1.0
    company = weekday[:, None] * np.arange(24.0)
    return np.stack([company, company / 4], axis=2)


class TestADay:
    def test_brings_what_its_weekday_brought(self) -> None:
        day = expect_day(_history(_weeks(6)), closed=False)
        assert np.allclose(day.expected[:, 0], np.arange(24.0))
        assert np.allclose(day.expected[:, 1], np.arange(24.0) / 4)

    def test_of_one_odd_week_is_not_thrown_off(self) -> None:
        observed = _weeks(6)
        observed[14] *= 20
        assert np.allclose(expect_day(_history(observed), closed=False).expected[:, 0], np.arange(24.0))

    def test_follows_growth_that_stays(self) -> None:
        history = _history(_weeks(6))
        history.observed[-10:] *= 1.5
        assert np.allclose(expect_day(history, closed=False).level, 1.5)

    def test_hardly_notices_a_decay_of_three_days(self) -> None:
        history = _history(_weeks(6))
        history.observed[-3:] *= 0.5
        assert np.allclose(expect_day(history, closed=False).level, 1.0)

    def test_closed_as_planned_expects_nothing(self) -> None:
        assert not expect_day(_history(_weeks(6)), closed=True).expected.any()

    def test_before_the_first_such_weekday_expects_nobody_knows_what(self) -> None:
        assert np.isnan(expect_day(_history(_weeks(1)[:5]), closed=False).expected).all()

    def test_with_more_returns_than_sales_expects_none(self) -> None:
        assert (expect_day(_history(-_weeks(6)), closed=False).expected == 0).all()


def test_a_segment_that_sold_little_leans_on_its_share_of_the_company() -> None:
    observed = _weeks(6)
    observed[:, :, 1] = 0.0
    observed[7::7, 10, 1] = 4.0  # all its sales fell into one hour, by chance
    expected = expect_day(_history(observed), closed=False).expected[:, 1]
    assert 0 < expected[11] < expected[10] < 4.0


def test_trimmed_mean_leaves_out_extremes_of_four_or_more() -> None:
    values = np.array([[1.0, 1.0, np.nan], [2.0, 9.0, np.nan], [3.0, np.nan, np.nan], [100.0, np.nan, np.nan]])
    got = trimmed_mean(values)
    assert got[:2].tolist() == [2.5, 5.0]
    assert np.isnan(got[2])
