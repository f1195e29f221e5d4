from dataclasses import replace

import numpy as np
import pytest

from nebuloviz.detection.grain import HOUR, QUARTER_HOUR
from nebuloviz.detection.residuals import Scale, residuals, rolling_sum
from nebuloviz.detection.series import FloatArray

PLAIN, SHARE, TODAY = slice(0, 4), slice(4, 8), slice(8, 12)


def _two_days() -> tuple[FloatArray, FloatArray]:
    """Expected and observed of a company and its half, open from 8 to 20, exactly as expected."""
    expected = np.zeros((48, 2))
    for day in (0, 24):
        expected[day + 8 : day + 20] = [100.0, 50.0]
    return expected.copy(), expected


@pytest.mark.parametrize("scale", Scale)
class TestResiduals:
    def test_are_zero_as_expected(self, scale: Scale) -> None:
        observed, expected = _two_days()
        got = residuals(observed, expected, np.ones(2), scale)
        assert got.shape == (48, 2, 3 * len(HOUR.windows))
        assert np.allclose(got, 0.0)

    def test_of_an_hour_do_not_depend_on_later_ones(self, scale: Scale) -> None:
        observed, expected = _two_days()
        before = residuals(observed, expected, np.ones(2), scale)[:36]
        observed[36:] *= 7
        assert np.allclose(residuals(observed, expected, np.ones(2), scale)[:36], before)

    def test_ignore_hours_that_are_not_known(self, scale: Scale) -> None:
        observed, expected = _two_days()
        observed[30] = np.nan
        expected[31] = np.nan
        assert np.allclose(residuals(observed, expected, np.ones(2), scale), 0.0)

    def test_of_a_bad_day_for_all_are_not_held_against_a_segment(self, scale: Scale) -> None:
        observed, expected = _two_days()
        observed[24:] *= 0.5
        got = residuals(observed, expected, np.ones(2), scale)[40, 1]
        assert (np.abs(got[SHARE]) < 0.5 * np.abs(got[PLAIN])).all()

    def test_within_a_slow_day_see_the_sudden_stop(self, scale: Scale) -> None:
        observed, expected = _two_days()
        observed[24:] *= 0.5
        steady = residuals(observed, expected, np.ones(2), scale)[38, 0, TODAY][0]
        observed[38] = 0.0
        stopped = residuals(observed, expected, np.ones(2), scale)[38, 0, TODAY][0]
        assert abs(steady) < 1.0 < abs(stopped)


def test_a_long_window_is_not_held_to_the_chance_of_one_early_quarter_hour() -> None:
    expected = np.zeros((200 * 96, 1))
    expected.reshape(200, 96)[:, 36:69] = 100.0
    observed = np.random.default_rng(0).poisson(expected).astype(float)
    last = slice(68, None, 96)  # whose eight hours leave but the first quarter of the day before them
    weighed = residuals(observed, expected, np.ones(1), Scale.COUNT, QUARTER_HOUR)[last, 0, -1]
    plain = residuals(observed, expected, np.ones(1), Scale.COUNT, replace(QUARTER_HOUR, weighs_morning=False))
    assert plain[last, 0, -1].std() > 4.0
    assert 0.8 < weighed.std() < 1.2


@pytest.mark.parametrize("window", HOUR.windows)
def test_rolling_sum_adds_up_the_last_hours(window: int) -> None:
    values = np.random.default_rng(0).random((30, 3))
    expected = [values[max(0, end - window) : end].sum(axis=0) for end in range(1, 31)]
    assert np.allclose(rolling_sum(values, window), expected)
