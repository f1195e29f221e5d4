import numpy as np
import pytest

from nebuloviz.detection.tail import HOURS_FIT, LINES_FIT, Tail, tail_from_daily_maxima


class TestSurprise:
    @pytest.mark.parametrize("quantiles", [HOURS_FIT, LINES_FIT])
    def test_is_minus_the_logarithm_of_false_alerts_a_week(self, quantiles: tuple[float, float]) -> None:
        maxima = np.random.default_rng(1).gumbel(3.0, 0.5, 4_000)
        tail = tail_from_daily_maxima(maxima, 6.0, quantiles)
        assert tail is not None
        for days in (7, 70, 700):  # the score that a day in so many passes
            score = 3.0 - 0.5 * np.log(-np.log(1 - 1 / days))
            assert tail.surprise(np.array([score]))[0] == pytest.approx(-np.log10(6.0 / days), abs=0.2)

    def test_is_not_taught_by_past_anomalies(self) -> None:
        maxima = np.random.default_rng(1).gumbel(3.0, 0.5, 48)
        disturbed = np.where(np.arange(48) % 5 == 0, 30.0, maxima)
        calm, wild = tail_from_daily_maxima(maxima, 6.0), tail_from_daily_maxima(disturbed, 6.0)
        assert calm is not None
        assert wild is not None
        assert wild.surprise(np.array([8.0]))[0] > 0.4 * calm.surprise(np.array([8.0]))[0] > 1.0

    def test_grows_with_the_score_without_overflow(self) -> None:
        got = Tail(0.0, 1.0, 7.0).surprise(np.array([-1e9, -5.0, 0.0, 5.0, 40.0, 1e9, np.nan]))
        assert (np.diff(got[:6]) >= 0).all()
        assert got[5] == 300.0
        assert np.isnan(got[6])

    def test_cannot_be_told_from_a_few_days(self) -> None:
        assert tail_from_daily_maxima(np.array([1.0, 2.0, 3.0]), 6.0) is None

    def test_days_without_anything_odd_do_not_make_the_first_oddity_rare(self) -> None:
        tail = tail_from_daily_maxima(np.zeros(30), 7.0, LINES_FIT, (1.0, 2.0))
        assert tail is not None
        little, much = tail.surprise(np.array([0.1, 6.0]))
        assert little < 0
        assert much > 2

    def test_of_scores_that_never_differ_is_finite(self) -> None:
        tail = tail_from_daily_maxima(np.full(30, 2.0), 7.0)
        assert tail is not None
        assert np.isfinite(tail.surprise(np.array([0.0, 2.0, 4.0]))).all()
