from datetime import date
from pathlib import Path

import numpy as np
import pytest

from nebuloviz.detection.calendar import Calendar, open_hours, read_closures


def _hours(text: str, n: int) -> np.ndarray:
    return np.datetime64(text, "h").astype(np.int64) + np.arange(n)


def _shown(wall: np.ndarray) -> list[str]:
    return [str(hour) for hour in wall.astype("datetime64[h]")]


class TestWallHours:
    def test_are_utc_hours_in_utc(self) -> None:
        hours = _hours("2024-03-31T00", 5)
        assert (Calendar().wall_hours(hours) == hours).all()

    @pytest.mark.parametrize(
        ("zone", "utc", "expected"),
        [
            ("Europe/Berlin", "2024-03-31T00", ["2024-03-31T01", "2024-03-31T03", "2024-03-31T04"]),
            ("Europe/Berlin", "2024-10-27T00", ["2024-10-27T02", "2024-10-27T02", "2024-10-27T03"]),
            ("Asia/Kolkata", "2024-01-01T18", ["2024-01-01T23", "2024-01-02T00", "2024-01-02T01"]),
        ],
    )
    def test_follow_the_clock_on_the_wall(self, zone: str, utc: str, expected: list[str]) -> None:
        assert _shown(Calendar(zone).wall_hours(_hours(utc, 3))) == expected

    def test_lead_back_to_the_utc_hours_of_a_day(self) -> None:
        day = int(np.datetime64("2024-03-31", "D").astype(np.int64))
        hours, places = Calendar("Europe/Berlin").utc_hours(day * 24, day * 24 + 24)
        assert len(hours) == 23
        assert 2 not in places


class TestClosures:
    def test_are_read_from_the_column_date(self, tmp_path: Path) -> None:
        file = tmp_path / "closed.csv"
        file.write_text("date,what\n2024-04-16,closed\n 2024-12-25 ,holiday\n")
        closed = read_closures(file)
        assert closed == {date(2024, 4, 16), date(2024, 12, 25)}
        first = (date(2024, 4, 15) - date(1970, 1, 1)).days
        assert Calendar("UTC", closed).is_closed(first, 3).tolist() == [False, True, False]

    def test_without_a_file_there_are_none(self) -> None:
        assert read_closures(None) == frozenset()

    @pytest.mark.parametrize(
        ("text", "reason"), [("day\n2024-01-01\n", "no column `date`"), ("date\n2024-02-30\n", "line 2: '2024-02-30'")]
    )
    def test_that_cannot_be_read_are_named(self, tmp_path: Path, text: str, reason: str) -> None:
        file = tmp_path / "closed.csv"
        file.write_text(text)
        with pytest.raises(ValueError, match=reason):
            read_closures(file)


def test_hours_with_little_due_count_as_closed() -> None:
    expected = np.array([[100.0], [4.0], [np.nan], [6.0]])
    assert open_hours(expected, np.array([100.0]))[:, 0].tolist() == [True, False, False, True]
