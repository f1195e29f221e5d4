"""How findings become alerts in production, held against what a backtest makes of the same findings."""

from datetime import timedelta
from itertools import product

import numpy as np
from sqlalchemy import select

from nebuloviz.db import Database
from nebuloviz.detection.alerts import HOURS, Finding, Severity
from nebuloviz.detection.backtest import AlertBook
from nebuloviz.detection.series import SeriesKey
from nebuloviz.models import Alert
from nebuloviz.services.alert_store import OpenAlerts, apply
from tests.detection.shop import MONDAY

_HOUR = timedelta(hours=1)
_KEYS = [
    SeriesKey.of(metric, **dimensions)
    for metric, dimensions in product(
        ("lines", "orders", "revenue", "units"), ({}, {"region": "north"}, {"region": "south"})
    )
]


def _finding(key: SeriesKey, hour: int, score: float = 1.0, *, novel: bool = True) -> Finding:
    start = MONDAY + hour * _HOUR
    return Finding(key, start, start + _HOUR, 0.0, 9.0, 4.0, 15.0, score, Severity.LOW, HOURS, novel=novel)


def _found_at_random(hours: int, seed: int) -> list[list[Finding]]:
    """Hour by hour: mostly nothing, at times several metrics of several segments at once, many of them with equal scores."""
    random = np.random.default_rng(seed)
    found = []
    for hour in range(hours):
        busy = random.random() < 0.3
        found.append(
            [
                _finding(key, hour, float(random.integers(1, 4)), novel=bool(random.random() < 0.7))
                for key in random.permutation(np.array(_KEYS, dtype=object))
                if busy and random.random() < 0.4
            ]
        )
    return found


class TestAnAlertOfOneBucket:
    def test_is_of_the_metric_that_stands_out_most_in_production_as_in_a_backtest(self, database: Database) -> None:
        found = [
            _finding(SeriesKey("lines"), 0),
            _finding(SeriesKey("units"), 0, 5.0),
            _finding(SeriesKey("orders"), 0),
        ]
        with database.transaction() as session:
            apply(session, {}, {each.key: each for each in found}, MONDAY + _HOUR)
            assert [alert.series for alert in session.scalars(select(Alert))] == ["units"]
        assert [str(each.key) for each in AlertBook({}).close(found, MONDAY + _HOUR)] == ["units"]

    def test_is_raised_and_resolved_with_the_same_series_in_both_however_findings_are_ordered(
        self, database: Database
    ) -> None:
        book, raised = AlertBook({}), set()
        going_on: OpenAlerts = {}
        with database.transaction() as session:
            for hour, found in enumerate(_found_at_random(300, seed=5)):
                end = MONDAY + (hour + 1) * _HOUR
                raised |= {(each.moment, str(each.key)) for each in book.close(found, end)}
                apply(session, going_on, {each.key: each for each in reversed(found)}, end)
                assert {key for _detector, key in book.going_on} == set(going_on)
            stored = {(alert.created_at, alert.series) for alert in session.scalars(select(Alert))}
        assert len(raised) > 30
        assert stored == raised
