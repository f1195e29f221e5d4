import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nebuloviz.detection.score_series import FIRST_SCORE, debounced, score_series, score_values, series_features

N = 1_400


def _times(n: int = N, minutes: int = 30) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=n, freq=f"{minutes}min", tz="UTC")


def _daily(n: int = N) -> np.ndarray:
    random = np.random.default_rng(5)
    return 100 + 20 * np.sin(np.arange(n) * 2 * np.pi / 48) + random.normal(0, 2, n)


class TestScores:
    def test_are_highest_where_the_series_breaks(self) -> None:
        values = _daily()
        values[1_200] = 400.0
        scores = score_values(_times(), values)
        assert scores.argmax() == 1_200
        assert 0.5 < scores[1_200] <= 1.0

    def test_lie_between_0_and_1_and_begin_after_a_while(self) -> None:
        scores = score_values(_times(), _daily())
        assert ((scores >= 0) & (scores <= 1)).all()
        assert not scores[:FIRST_SCORE].any()

    @pytest.mark.parametrize("cut", [150, 777, 1_300])
    def test_do_not_depend_on_later_values(self, cut: int) -> None:
        values = _daily()
        values[cut - 20] += 60
        whole = score_values(_times(), values)
        changed = values.copy()
        changed[cut:] = np.nan
        assert (score_values(_times()[:cut], values[:cut]) == whole[:cut]).all()
        assert (score_values(_times(), changed)[:cut] == whole[:cut]).all()

    def test_are_the_same_every_time(self) -> None:
        assert (score_values(_times(), _daily()) == score_values(_times(), _daily())).all()

    def test_of_a_constant_are_nothing_until_it_changes(self) -> None:
        values = np.full(600, 7.0)
        values[500] = 8.0
        scores = score_values(_times(600), values)
        assert scores[501:].max(initial=0) <= scores[500]
        assert scores.argmax() == 500

    def test_of_gaps_are_zero_and_harm_no_neighbour(self) -> None:
        values = _daily()
        values[::7] = np.nan
        values[1_201] = 400.0
        scores = score_values(_times(), values)
        assert not scores[::7].any()
        assert scores[1_201] >= np.sort(scores)[-3]

    def test_need_no_regular_times(self) -> None:
        steps = np.random.default_rng(1).integers(1, 5_000, N)
        times = pd.DatetimeIndex(pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.cumsum(steps), unit="s"))
        values = _daily()
        values[1_000] = -300.0
        assert score_values(times, values).argmax() == 1_000
        assert score_values(pd.DatetimeIndex([pd.NaT] * N, tz="UTC"), values).argmax() == 1_000

    @pytest.mark.parametrize("n", [0, 1, 5, FIRST_SCORE + 1])
    def test_of_short_series_exist(self, n: int) -> None:
        assert len(score_values(_times(n), np.arange(n, dtype=float))) == n


def test_features_are_finite_whatever_comes() -> None:
    values = np.array([np.nan, 1e300, -1e300, 0.0, 5e-324, np.inf] * 50)
    assert np.isfinite(series_features(_times(300), values)).all()


def test_features_say_how_far_a_value_is_outside_of_all_before() -> None:
    values = np.tile([1.0, 2.0, 3.0], 100)
    values[250] = 3.5
    of_value = np.expm1(series_features(_times(300), values)[:, 0]) / 100
    assert np.flatnonzero(of_value).tolist() == [250]
    assert of_value[250] == pytest.approx(0.25)


class TestDebounced:
    def test_keeps_new_peaks(self) -> None:
        assert debounced(np.array([0.1, 0.3, 0.2, 0.3, 0.4])).tolist() == [0.1, 0.3, 0.0, 0.0, 0.4]

    @pytest.mark.parametrize("n", [1, 100, 101, 2_500])
    def test_compares_with_a_hundred_before_and_later_with_the_last_tenth(self, n: int) -> None:
        scores = np.random.default_rng(n).random(n)
        kept = [s if s > scores[max(0, i - max(100, i // 10)) : i].max(initial=0) else 0 for i, s in enumerate(scores)]
        assert debounced(scores).tolist() == kept


class TestFiles:
    def test_get_a_row_for_each_row(self, tmp_path: Path) -> None:
        source, output = tmp_path / "series.csv.gz", tmp_path / "scores.csv"
        rows = [f"2024-01-01 00:{i % 60:02d}:00,{'' if i == 3 else i % 5}" for i in range(200)]
        source.write_bytes(gzip.compress("\n".join(["timestamp,value", *rows, "no time,no number"]).encode()))
        score_series(source, output)
        written = output.read_text().splitlines()
        assert written[0] == "timestamp,value,anomaly_score"
        assert [line.rsplit(",", 1)[0] for line in written[1:]] == [*rows, "no time,no number"]
        assert all(0 <= float(line.rsplit(",", 1)[1]) <= 1 for line in written[1:])

    def test_without_their_columns_are_refused(self, tmp_path: Path) -> None:
        source = tmp_path / "series.csv"
        source.write_text("time,value\n1,2\n")
        with pytest.raises(ValueError, match="timestamp and value"):
            score_series(source, tmp_path / "scores.csv")
