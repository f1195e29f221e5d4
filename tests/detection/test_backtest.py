import json
from dataclasses import replace
from datetime import timedelta

from nebuloviz.detection.alerts import Finding, Severity
from nebuloviz.detection.backtest import AlertBook, as_json_line
from nebuloviz.detection.series import SeriesKey
from tests.detection.shop import MONDAY

HOUR = timedelta(hours=1)


def _finding(metric: str, hour: int, **dimensions: str) -> Finding:
    start = MONDAY + hour * HOUR
    key = SeriesKey.of(metric, **dimensions)
    return Finding(key, start, start + HOUR, 0.0, 9.0, 4.0, 15.0, 1.23456, Severity.HIGH, "series")


class TestTheAlertBook:
    def test_raises_once_for_an_anomaly_that_goes_on(self) -> None:
        book = AlertBook({})
        raised = [book.close([_finding("orders", hour)], MONDAY + (hour + 1) * HOUR) for hour in range(5)]
        assert [len(each) for each in raised] == [1, 0, 0, 0, 0]

    def test_raises_again_after_a_quiet_time(self) -> None:
        book = AlertBook({})
        book.close([_finding("orders", 0)], MONDAY + HOUR)
        for hour in range(1, 12):
            book.close([], MONDAY + (hour + 1) * HOUR)
        assert book.close([_finding("orders", 12)], MONDAY + 13 * HOUR)

    def test_metrics_of_one_segment_speak_for_each_other(self) -> None:
        book = AlertBook({})
        found = [_finding("orders", 0), _finding("revenue", 0), _finding("revenue", 0, region="north")]
        assert [str(f.key) for f in book.close(found, MONDAY + HOUR)] == ["orders", "revenue|region=north"]

    def test_the_metric_that_stands_out_most_speaks_for_its_segment(self) -> None:
        found = [_finding("lines", 0), replace(_finding("units", 0), score=5.0), _finding("orders", 0)]
        assert [str(f.key) for f in AlertBook({}).close(found, MONDAY + HOUR)] == ["units"]


class TestTheWrittenLine:
    def test_has_what_outsiders_read(self) -> None:
        assert json.loads(as_json_line(_finding("orders", 15, region="Europe"))) == {
            "ts": "2024-01-01T16:00:00",
            "series": "orders|region=Europe",
            "score": 1.2346,
            "severity": "high",
            "start": "2024-01-01T15:00:00",
            "observed": 0.0,
            "expected": 9.0,
        }

    def test_is_never_before_the_last_row_it_used(self) -> None:
        late = replace(_finding("orders", 15), raised_at=MONDAY + timedelta(seconds=10, microseconds=1))
        assert json.loads(as_json_line(late))["ts"] == "2024-01-01T00:00:11"
