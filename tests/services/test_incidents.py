"""Which alerts are one incident, as they are raised and grow."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nebuloviz.db import Database
from nebuloviz.detection.alerts import Finding, OpenAlert, Severity
from nebuloviz.detection.series import SeriesKey
from nebuloviz.models import Alert
from nebuloviz.services.alert_store import apply, open_alerts, raise_alert

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALL: dict[str, str] = {}
NORTH, SOUTH, WEB = {"region": "north"}, {"region": "south"}, {"channel": "web"}


def finding(where: dict[str, str], start: int, end: int, metric: str = "orders") -> Finding:
    """From `start` to `end` hours after noon."""
    key = SeriesKey.of(metric, **where)
    return Finding(key, NOON + start * HOUR, NOON + end * HOUR, 1.0, 9.0, 5.0, 13.0, 1.0, Severity.LOW, "series")


def raised(session: Session, where: dict[str, str], start: int, end: int, sale_id: str = "") -> int:
    found = finding(where, start, end, "unit_price" if sale_id else "orders")
    number = raise_alert(session, OpenAlert(found, found.bucket_start, found.bucket_end), NOON, None, sale_id)
    assert number is not None
    return number


def groups(session: Session) -> list[list[dict[str, str]]]:
    """What the alerts of each incident are about."""
    rows = session.execute(select(Alert.incident_id, Alert.dimensions).order_by(Alert.id)).all()
    numbers = dict.fromkeys(number for number, _about in rows)
    return [[json.loads(about) for number, about in rows if number == each] for each in numbers]


@pytest.mark.parametrize(
    ("alerts", "together"),
    [
        ([(ALL, 0, 2), (NORTH, 0, 2), (WEB, 1, 3), (SOUTH, 2, 4)], [[ALL, NORTH, WEB, SOUTH]]),
        ([(NORTH, 0, 2), (WEB, 0, 2), (ALL, 1, 3)], [[NORTH, WEB, ALL]]),
        ([(NORTH, 0, 2), (SOUTH, 0, 2)], [[NORTH], [SOUTH]]),
        ([(NORTH, 0, 2), (NORTH | WEB, 1, 2)], [[NORTH, NORTH | WEB]]),
        ([(ALL, 0, 2), (NORTH, 3, 4)], [[ALL], [NORTH]]),
        ([(ALL, 0, 2), ({"product": "p1"}, 1, 2, "s1")], [[ALL], [{"product": "p1"}]]),
        ([(NORTH, 0, 2), (NORTH | {"product": "p1"}, 1, 2, "s1")], [[NORTH, NORTH | {"product": "p1"}]]),
    ],
    ids=["company-wide", "joined later", "apart", "a part", "one after the other", "a line", "a line of the segment"],
)
def test_those_at_the_same_time_about_the_same_are_one(
    database: Database, alerts: list[tuple[dict[str, str], int, int]], together: list[list[dict[str, str]]]
) -> None:
    with database.transaction() as session:
        held = [session.get_one(Alert, raised(session, *alert)) for alert in alerts]  # and see what becomes of them
        assert groups(session) == together
        assert held[0].incident_id == held[0].id
        assert len({each.incident_id for each in held}) == len(together)


def test_an_alert_that_grows_meets_those_that_it_reaches(database: Database) -> None:
    with database.transaction() as session:
        raised(session, ALL, 0, 1)
        raised(session, NORTH, 2, 4)
        assert len(groups(session)) == 2
        going_on = open_alerts(session, "series", NOON)
        grown = replace(finding(ALL, 0, 3), score=2.0)
        apply(session, going_on, {grown.key: grown}, NOON + 3 * HOUR)
        assert len(groups(session)) == 1
