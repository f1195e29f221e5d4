from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import orjson
import pytest
from sqlalchemy import select

from nebuloviz.detection import registry
from nebuloviz.detection.alerts import rule_of
from nebuloviz.detection.calendar import Calendar, Plan
from nebuloviz.detection.series_detector import Course, Judgement
from nebuloviz.detection.series_detectors import Threshold
from nebuloviz.models import Alert, AlertOutbox, AlertRule, IngestMinute
from nebuloviz.permissions import SYSTEM
from nebuloviz.services import lease
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.interfaces import AlertVerdict, RuleDraft
from nebuloviz.services.rule_series import GRACE
from nebuloviz.services.rule_watch import RuleWatcher
from nebuloviz.services.rules import DatabaseRules
from nebuloviz.services.watch_process import LEASE_LIFE, SERIES_TASK
from tests.services.conftest import on_both_databases
from tests.services.watched_shop import LEARNED, Shop, payloads, write

HOUR = timedelta(hours=1)
NOON = LEARNED + timedelta(hours=12)
SOUTH = RuleDraft("South", "threshold", "orders", "hour", "region", "south", (("below", 2.0),))
SILENT = RuleDraft("Silent", "silence", "orders", "hour", "region", None, (("buckets", 2.0),))


def make(shop: Shop, draft: RuleDraft) -> int:
    with shop.database.transaction() as session:
        return DatabaseRules(DatabaseAudit(shop.clock), shop.clock).create(session, SYSTEM, draft).id


def watch(shop: Shop, calendar: Calendar | None = None) -> None:
    RuleWatcher(shop.database, calendar or Calendar(), "holder").step(shop.now)


def raised(shop: Shop, rule_id: int | None = None) -> list[Alert]:
    with shop.database.session() as session:
        rows = session.scalars(select(Alert).order_by(Alert.id))
        return [row for row in rows if rule_of(row.detector) and rule_id in {None, rule_of(row.detector)}]


def rule(shop: Shop, rule_id: int) -> AlertRule:
    with shop.database.session() as session:
        return session.get_one(AlertRule, rule_id)


def sell_and_watch(shop: Shop, hours: int, without: str = "") -> None:
    for _ in range(hours):
        shop.sell_hours(1, [without])
        watch(shop)


def schema(metric: str, dimension: str = "", **parameters: float) -> RuleDraft:
    return replace(SOUTH, metric=metric, dimension=dimension, value=None, parameters=tuple(parameters.items()))


class TestWhatSalesCarry:
    @on_both_databases
    @pytest.mark.parametrize(("column", "field"), [("region", "region"), ("customer", "customer_id")])
    def test_a_share_without_a_value_is_watched(self, shop: Shop, column: str, field: str) -> None:
        shop.sell(NOON)
        made = make(shop, schema(f"without_{column}", above=0.5))
        lines = [orjson.loads(line) | {"region": "north", "customer_id": "c"} for line in payloads(NOON, NOON + HOUR)]
        emptied = [line | {field: ""} if number % 3 else line for number, line in enumerate(lines)]
        for n, kept in enumerate((lines, emptied)):
            sold = [line | {"sale_id": f"{n}-{place}", "order_id": f"{n}-{place}"} for place, line in enumerate(kept)]
            moved = [line | {"sold_at": datetime.fromisoformat(line["sold_at"]) + n * HOUR} for line in sold]
            shop.now = NOON + (n + 1) * HOUR + GRACE
            write(shop.database, [orjson.dumps(line) for line in moved], shop.now)
            watch(shop)
            assert len(raised(shop, made)) == n
        (alert,) = raised(shop, made)
        assert alert.observed == pytest.approx(2 / 3, abs=0.1)

    @on_both_databases
    def test_a_value_never_seen_before_is_named_and_then_it_is_known(self, shop: Shop) -> None:
        shop.sell(NOON)
        made = make(shop, schema("new_values", "region", above=0.0))
        watch(shop)
        assert raised(shop, made) == []
        line = orjson.loads(payloads(NOON, NOON + HOUR)[0]) | {"region": "atlantis"}
        write(shop.database, [orjson.dumps(line)], NOON + HOUR)
        for _ in range(8):
            shop.sell_hours(1, ["south", "north", "web"])
            watch(shop)
        (alert,) = raised(shop, made)
        assert (alert.dimensions, alert.bucket_start, alert.state) == ('{"region": "atlantis"}', NOON, "resolved")


class TestTheCalendar:
    @pytest.mark.parametrize(
        ("calendar", "quiet"),
        [
            (Calendar(closed_days=frozenset({NOON.date()})), True),
            (Calendar(plans=(Plan(NOON.date(), NOON.date(), (("region", "south"),)),)), True),
            (Calendar(plans=(Plan(NOON.date(), NOON.date(), (("region", "south"),), promotion=True),)), False),
            (Calendar(hours=((0, 720),) * 7), True),
            (Calendar(plans=(Plan(NOON.date(), NOON.date(), (("region", "north"),)),)), False),
        ],
        ids=["closed", "the segment is closed", "it sells less in a promotion", "after hours", "another is closed"],
    )
    def test_no_rule_alerts_of_what_is_closed(self, shop: Shop, calendar: Calendar, quiet: bool) -> None:
        shop.sell(NOON)
        for draft in (SOUTH, SILENT):
            make(shop, draft)
        for _ in range(2):
            shop.sell_hours(1, ["south"])
            watch(shop, calendar)
        assert (raised(shop) == []) == quiet

    def test_selling_more_in_a_promotion_is_no_finding(self, shop: Shop) -> None:
        shop.sell(NOON)
        made = make(shop, replace(SOUTH, parameters=(("above", 2.0),)))
        shop.sell_hours(1)
        watch(shop, Calendar(plans=(Plan(NOON.date(), NOON.date(), promotion=True),)))
        assert raised(shop) == []
        shop.sell_hours(1)
        watch(shop)
        assert len(raised(shop, made)) == 1


class TestARule:
    @on_both_databases
    def test_raises_one_alert_for_one_anomaly_and_lets_it_end(self, shop: Shop) -> None:
        shop.sell(NOON)
        made = make(shop, SOUTH)
        watch(shop)
        assert raised(shop) == []
        sell_and_watch(shop, 3, without="south")
        watch(shop)  # nothing has closed since
        (alert,) = raised(shop)
        assert (alert.series, alert.state, rule_of(alert.detector)) == ("orders|region=south", "open", made)
        assert (alert.bucket_start, alert.bucket_end) == (NOON, NOON + timedelta(hours=3))
        assert (alert.observed, alert.expected_low, alert.expected_high) == (0, 2, None)
        with shop.database.session() as session:
            told = session.scalars(select(AlertOutbox.event).where(AlertOutbox.alert_id == alert.id)).all()
        assert told == ["raised"]

    def test_begins_with_the_hour_that_closed_last(self, shop: Shop) -> None:
        shop.sell(NOON)
        shop.sell_hours(3, ["south"])
        make(shop, SOUTH)
        watch(shop)
        assert [alert.bucket_start for alert in raised(shop)] == [NOON + timedelta(hours=2)]

    @on_both_databases
    def test_is_watched_by_the_elected_process_alone(self, shop: Shop) -> None:
        shop.sell(NOON)
        shop.sell_hours(1, ["south"])
        make(shop, SOUTH)
        with shop.database.transaction() as session:
            assert lease.hold(session, SERIES_TASK, "another", shop.now, LEASE_LIFE)
        watch(shop)
        assert raised(shop) == []
        shop.now += LEASE_LIFE
        watch(shop)
        assert len(raised(shop)) == 1

    def test_has_alerts_beside_those_of_another_rule_of_the_same_series(self, shop: Shop) -> None:
        shop.sell(NOON)
        both = [make(shop, draft) for draft in (SOUTH, replace(SOUTH, name="Again"))]
        sell_and_watch(shop, 1, without="south")
        assert [rule_of(alert.detector) for alert in raised(shop)] == both
        assert len({alert.incident_id for alert in raised(shop)}) == 1

    @on_both_databases
    def test_of_each_value_finds_the_one_that_is_missing(self, shop: Shop) -> None:
        shop.sell(NOON)
        make(shop, SILENT)
        sell_and_watch(shop, 3, without="south")
        assert [alert.series for alert in raised(shop)] == ["orders|region=south"]

    @on_both_databases
    def test_by_the_day_judges_a_day_once_it_is_over(self, shop: Shop) -> None:
        make(shop, replace(SOUTH, grain="day", parameters=(("below", 1e6),)))
        shop.now += LEASE_LIFE  # of whoever had the shop learned
        watch(shop)
        (first,) = raised(shop)
        assert (first.bucket_start, first.bucket_end) == (LEARNED - timedelta(days=1), LEARNED)
        shop.sell_hours(23)
        watch(shop)
        assert [alert.bucket_end for alert in raised(shop)] == [LEARNED]
        shop.sell_hours(1)
        watch(shop)
        assert [alert.bucket_end for alert in raised(shop)] == [LEARNED + timedelta(days=1)]

    @pytest.mark.parametrize("detector", [each.name for each in registry.series_detectors()])
    def test_watches_with_any_detector(self, shop: Shop, detector: str) -> None:
        shop.sell(NOON)
        parameters = SOUTH.parameters if detector == "threshold" else ()
        made = make(shop, replace(SOUTH, detector=detector, parameters=parameters))
        watch(shop)
        assert (rule(shop, made).problem, rule(shop, made).judged_until) == ("", NOON)


class TestARuleThatIsOff:
    def test_raises_nothing_and_its_alerts_are_resolved(self, shop: Shop) -> None:
        shop.sell(NOON)
        made = make(shop, SOUTH)
        sell_and_watch(shop, 1, without="south")
        rules = DatabaseRules(DatabaseAudit(shop.clock), shop.clock)
        with shop.database.transaction() as session:
            rules.change(session, SYSTEM, made, 1, replace(SOUTH, enabled=False))
        assert [alert.state for alert in raised(shop)] == ["resolved"]
        sell_and_watch(shop, 1, without="south")
        assert len(raised(shop)) == 1


class TestAVerdict:
    @on_both_databases
    def test_of_a_false_alarm_raises_the_bar_of_its_rule(self, shop: Shop) -> None:
        shop.sell(NOON)
        make(shop, replace(SOUTH, parameters=(("below", 1e6),)))
        watch(shop)
        (alert,) = raised(shop)
        with shop.database.transaction() as session:
            shop.alerts.judge(session, SYSTEM, alert.id, AlertVerdict("false_alarm"))
        shop.sell_hours(6)
        watch(shop)
        assert len(raised(shop)) == 1


class _Broken(Threshold):
    name = "broken"

    def judge(self, course: Course) -> Judgement:
        raise ZeroDivisionError(str(len(course)))


@pytest.fixture
def _broken() -> Iterator[None]:
    registry.add_detector(_Broken)
    yield
    registry.SERIES_DETECTORS.remove(_Broken)


@pytest.mark.usefixtures("_broken")
class TestADetectorThatFails:
    def test_says_so_and_holds_no_other_rule_up(self, shop: Shop) -> None:
        shop.sell(NOON)
        broken, sound = (make(shop, replace(SOUTH, detector=name)) for name in ("broken", "threshold"))
        sell_and_watch(shop, 1, without="south")
        assert rule(shop, broken).problem.startswith("ZeroDivisionError")
        assert len(raised(shop, sound)) == 1


class TestTheStream:
    @on_both_databases
    def test_is_watched_for_records_that_come_twice(self, shop: Shop) -> None:
        shop.sell(NOON)
        make(shop, RuleDraft("Twice", "threshold", "repeated_records", parameters=(("above", 0.2),)))
        with shop.database.transaction() as session:
            minute = NOON - timedelta(minutes=30)
            session.add(IngestMinute(minute=minute, topic="sales", accepted=60, duplicate=40, rejected=0))
        watch(shop)
        (alert,) = raised(shop)
        assert (alert.series, alert.observed, alert.expected_high) == ("repeated_records", 0.4, 0.2)
