"""When a rule lets an alert be told, on the clock of its reader."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from nebuloviz.services.interfaces import NotificationRule
from nebuloviz.services.line_picture import HEIGHT, WIDTH, Course, png
from nebuloviz.services.notification_rules import from_json, to_json, told_at, wants
from tests.fakes import alert

WORK = NotificationRule(days=(0, 1, 2, 3, 4), begin=8 * 60, end=18 * 60)
NIGHT = NotificationRule(begin=22 * 60, end=6 * 60)
FRIDAY_NIGHT = NotificationRule(days=(4,), begin=22 * 60, end=6 * 60)


@pytest.mark.parametrize(
    ("rule", "now", "told"),
    [
        (NotificationRule(), "2026-11-29 03:00", "2026-11-29 03:00"),
        (WORK, "2026-11-27 12:00", "2026-11-27 12:00"),  # a Friday
        (WORK, "2026-11-27 07:59", "2026-11-27 08:00"),
        (WORK, "2026-11-27 18:00", "2026-11-30 08:00"),  # the end is outside
        (WORK, "2026-11-28 12:00", "2026-11-30 08:00"),
        (NIGHT, "2026-11-29 05:00", "2026-11-29 05:00"),
        (NIGHT, "2026-11-29 12:00", "2026-11-29 22:00"),
        (FRIDAY_NIGHT, "2026-11-28 05:59", "2026-11-28 05:59"),  # Friday's night lasts into Saturday
        (FRIDAY_NIGHT, "2026-11-28 06:00", "2026-12-04 22:00"),
        (WORK, "2026-03-27 20:00", "2026-03-30 08:00"),  # the clocks change in between
        (NotificationRule(begin=150, end=165), "2026-03-29 00:00", "2026-03-29 03:30"),  # half past two is not there
    ],
)
def test_is_at_once_or_when_its_hours_begin(rule: NotificationRule, now: str, told: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    at = datetime.fromisoformat(now).replace(tzinfo=zone)
    assert told_at(rule, "high", at, zone) == datetime.fromisoformat(told).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (NotificationRule(), True),
        (NotificationRule(least="critical"), False),
        (NotificationRule(metrics=("orders",)), False),
        (NotificationRule(metrics=("orders", "revenue"), segment=(("region", ("north", "east")),)), True),
        (NotificationRule(segment=(("region", ("south",)),)), False),
        (NotificationRule(segment=(("country", ("DE",)),)), False),
    ],
)
def test_chooses_by_severity_metric_and_segment(rule: NotificationRule, wanted: bool) -> None:
    assert wants(rule, alert(1, severity="high", metric="revenue", dimensions={"region": "north"})) == wanted


def test_critical_alerts_need_not_wait() -> None:
    zone = ZoneInfo("UTC")
    at = datetime(2026, 11, 28, 12, tzinfo=zone)
    assert told_at(WORK, "critical", at, zone) == at
    assert told_at(NotificationRule(days=(0,), critical_always=False), "critical", at, zone) > at


def test_rules_survive_being_stored() -> None:
    rules = (NotificationRule("high", ("orders",), (("region", ("a=b", "ü")),), over=False), WORK)
    assert from_json(to_json(rules)) == rules


@pytest.mark.parametrize(
    "observed", [[], [5.0], [np.nan, np.nan], [0.0, 0.0], [1e300, -1e300], [3.0, np.nan, 4.0]], ids=repr
)
def test_a_picture_is_drawn_of_any_course(observed: list[float]) -> None:
    values = np.array(observed)
    picture = png(Course(values, values - 1, values + 1, range(len(observed))))
    assert picture.startswith(b"\x89PNG")
    assert picture[16:24] == WIDTH.to_bytes(4) + HEIGHT.to_bytes(4)
