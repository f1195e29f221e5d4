import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import select, update

from nebuloviz import observability
from nebuloviz.cli import main
from nebuloviz.detection.calendar import Calendar, Plan
from nebuloviz.detection.registry import series_detector
from nebuloviz.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from nebuloviz.models import Alert, Backtest, BucketLabel, User
from nebuloviz.permissions import ROLES, SYSTEM, Actor
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.backtests import RuleBacktests
from nebuloviz.services.interfaces import BacktestView, RuleDraft, WouldBeAlert
from nebuloviz.services.rule_backtest import sides_of_past, try_settings
from nebuloviz.services.rule_series import watched_courses
from nebuloviz.services.rule_watch import RuleWatcher
from nebuloviz.services.rules import DatabaseRules
from tests.services.conftest import on_both_databases
from tests.services.watched_shop import LEARNED, Shop

ZONE = ZoneInfo("UTC")
NOON = LEARNED + timedelta(hours=12)
#: Nights are below it too, so there are many alerts.
BELOW = RuleDraft("", "threshold", "orders", "hour", "region", None, (("below", 4.0),))
CHANGE = replace(BELOW, detector="same_weekday", parameters=(("fall", 90.0), ("least", 5.0)))


@pytest.fixture
def anna(shop: Shop) -> Actor:
    with shop.database.transaction() as session:
        user = User(username="anna", name_key="anna", password_hash="", role="analyst", created_at=shop.now)
        session.add(user)
        session.flush()
        return Actor(user.id, "anna", "analyst", ROLES["analyst"])


@pytest.fixture
def service(shop: Shop) -> Iterator[RuleBacktests]:
    found = RuleBacktests(shop.database, ZONE, DatabaseAudit(shop.clock), now=shop.clock)
    yield found
    found.close(10)


def asked(shop: Shop, service: RuleBacktests, actor: Actor, *drafts: RuleDraft, weeks: int = 2) -> BacktestView:
    """Noted without being carried out: nothing is committed but the row itself."""
    with shop.database.session() as session:
        view = service.start(session, actor, drafts, weeks)
        row = session.get_one(Backtest, view.id)
        kept = {name: getattr(row, name) for name in (column.key for column in Backtest.__table__.c)}
    with shop.database.transaction() as session:
        session.add(Backtest(**kept))
    return view


def tried(shop: Shop, service: RuleBacktests, actor: Actor, *drafts: RuleDraft) -> BacktestView:
    view = asked(shop, service, actor, *drafts)
    try_settings(shop.database, ZONE, view.id)
    return latest(shop, service, actor)


def latest(shop: Shop, service: RuleBacktests, actor: Actor) -> BacktestView:
    with shop.database.session() as session:
        found = service.latest(session, actor)
    assert found is not None
    return found


def test_the_command_line_finds_the_same(
    shop: Shop, service: RuleBacktests, anna: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    view = tried(shop, service, anna, CHANGE)
    url = shop.database.url.render_as_string(hide_password=False)
    for name, value in (("DATABASE_URL", url), ("DATA_DIR", str(tmp_path)), ("TIME_ZONE", "UTC")):
        monkeypatch.setenv(f"NEBULOVIZ_{name}", value)
    monkeypatch.setattr(observability, "configure_logging", lambda _settings: None)
    first, last = view.start.date() + timedelta(days=1), view.end.date() - timedelta(days=1)
    said = ["--metric", "orders", "--segment", "region", "--detector", "same_weekday", "--set", "fall=90"]
    days = ["--set", "least=5", "--from", f"{first}", "--to", f"{last}", "--output", str(tmp_path / "found")]
    assert main(["backtest", *said, *days, "--save", "Live"]) == 0
    found = [json.loads(line) for line in (tmp_path / "found").read_text().splitlines()]
    whole = [alert for alert in view.sides[0].alerts if first <= alert.start.date() <= last]
    assert [(item["series"], datetime.fromisoformat(item["start"])) for item in found] == [
        (alert.series, alert.start) for alert in whole
    ]
    assert f"Would have alerted {len(whole)} times" in capsys.readouterr().out
    with shop.database.session() as session:
        (saved,) = DatabaseRules(DatabaseAudit(shop.clock), shop.clock).rules(session, SYSTEM)
    assert (saved.draft.name, dict(saved.draft.parameters)["fall"]) == ("Live", 90.0)


class TestABacktest:
    @on_both_databases
    @pytest.mark.parametrize("draft", [BELOW, CHANGE], ids=lambda draft: draft.detector)
    def test_finds_what_the_live_rule_raises(
        self, shop: Shop, service: RuleBacktests, anna: Actor, draft: RuleDraft
    ) -> None:
        with shop.database.transaction() as session:
            DatabaseRules(DatabaseAudit(shop.clock), shop.clock).create(session, anna, replace(draft, name="Live"))
        for hour in range(24):
            shop.sell_hours(1, ["south"] if 12 <= hour < 15 else [])
            RuleWatcher(shop.database, Calendar(), "holder").step(shop.now)
        with shop.database.session() as session:
            rows = session.scalars(select(Alert).where(Alert.detector.startswith("rule")))
            live = {
                (row.series, row.bucket_start, row.bucket_end, row.severity)
                for row in rows
                if row.bucket_start > LEARNED
            }
        (side,) = tried(shop, service, anna, draft).sides
        would = {(a.series, a.start, a.end, a.severity) for a in side.alerts if a.start > LEARNED}
        assert live
        assert would == live

    def test_compares_two_settings_and_draws_their_series(
        self, shop: Shop, service: RuleBacktests, anna: Actor
    ) -> None:
        shop.sell(NOON)
        shop.sell_hours(3, ["south"])
        view = tried(shop, service, anna, BELOW, CHANGE)
        below, change = view.sides
        assert (view.state, view.done, view.total) == ("done", 4, 4)
        assert below.count > change.count >= 1
        assert change.alerts[-1].series == "orders|region=south"
        assert {course.series for course in change.courses} == {"orders|region=north", "orders|region=south"}
        assert len(change.courses[0].starts) == len(change.courses[0].low) == 14 * 24

    @on_both_databases
    def test_is_carried_out_beside_the_program_and_outlives_its_page(
        self, shop: Shop, service: RuleBacktests, anna: Actor
    ) -> None:
        with shop.database.transaction() as session:
            service.start(session, anna, [BELOW], 2)
        with shop.database.transaction() as session, pytest.raises(Conflict):
            service.start(session, anna, [BELOW], 2)
        (thread,) = (each for each in threading.enumerate() if each.name.startswith("backtest"))
        thread.join(60)
        assert latest(shop, service, anna).state == "done"

    def test_ends_when_it_is_stopped(self, shop: Shop, service: RuleBacktests, anna: Actor) -> None:
        view = asked(shop, service, anna, BELOW)
        with shop.database.transaction() as session:
            service.stop(session, anna, view.id)
        try_settings(shop.database, ZONE, view.id)
        found = latest(shop, service, anna)
        assert (found.state, found.sides) == ("stopped", ())

    def test_that_was_lost_says_so(self, shop: Shop, service: RuleBacktests, anna: Actor) -> None:
        asked(shop, service, anna, BELOW)
        with shop.database.transaction() as session:
            session.execute(update(Backtest).values(updated_at=shop.now - timedelta(minutes=3)))
        assert (latest(shop, service, anna).state, latest(shop, service, anna).message) == ("failed", "lost")

    def test_needs_a_range_and_settings_of_one_series(self, shop: Shop, service: RuleBacktests, anna: Actor) -> None:
        other = replace(BELOW, metric="revenue")
        for drafts, weeks in (([], 2), ([BELOW] * 3, 2), ([BELOW], 3), ([BELOW, other], 2)):
            with shop.database.session() as session, pytest.raises(InvalidInput):
                service.start(session, anna, drafts, weeks)

    @on_both_databases
    def test_is_its_makers_alone(self, shop: Shop, service: RuleBacktests, anna: Actor) -> None:
        view = asked(shop, service, anna, BELOW)
        other = replace(anna, user_id=anna.user_id + 1)
        viewer = replace(anna, permissions=ROLES["viewer"])
        with shop.database.session() as session:
            assert service.latest(session, other) is None
            with pytest.raises(NotFound):
                service.stop(session, other, view.id)
            with pytest.raises(PermissionDenied):
                service.start(session, viewer, [BELOW], 2)

    def test_is_gone_for_a_maker_who_sees_less_since(self, shop: Shop, service: RuleBacktests, anna: Actor) -> None:
        view = asked(shop, service, anna, BELOW)
        confined = replace(anna, scope=(("region", ("north",)),))
        with shop.database.session() as session:
            assert service.latest(session, confined) is None
            with pytest.raises(NotFound):
                service.stop(session, confined, view.id)
        assert latest(shop, service, anna).id == view.id


class TestTheCalendar:
    @pytest.mark.parametrize(
        "draft",
        [
            replace(CHANGE, grain="day", parameters=(("fall", 20.0), ("rise", 20.0))),
            replace(CHANGE, grain="day", detector="isolation_forest", parameters=(("false_alerts", 5.0),)),
            replace(CHANGE, grain="hour", parameters=(("fall", 30.0), ("least", 5.0))),
        ],
        ids=["days", "days by a forest", "hours"],
    )
    def test_a_past_promotion_teaches_as_little_as_when_it_is_watched_live(self, shop: Shop, draft: RuleDraft) -> None:
        """In the range itself: whatever comes after it is judged as if it had been judged when it closed."""
        start, end = LEARNED - timedelta(weeks=2), LEARNED + timedelta(weeks=1)
        for day in range(7):
            shop.sell(LEARNED + timedelta(days=day, hours=14))
            shop.sell(LEARNED + timedelta(days=day, hours=20), ["south"] if day < 4 else [])
            shop.sell(LEARNED + timedelta(days=day + 1))
        first = start.date() + timedelta(days=3)
        plans = (
            Plan(first, first + timedelta(days=5), promotion=True),
            Plan(LEARNED.date(), LEARNED.date() + timedelta(days=1), (("region", "south"),), promotion=True),
        )
        calendar = Calendar(plans=plans)
        (side,) = sides_of_past(shop.database, calendar, [draft], (start, end), lambda _done, _total: None)
        shown = {(each.series, at): low for each in side.courses for at, low in zip(each.starts, each.low, strict=True)}
        detector = series_detector(draft.detector)(parameters=dict(draft.parameters))
        step = timedelta(days=1) if draft.grain == "day" else timedelta(hours=1)
        hours = [15] if draft.grain == "hour" else [0]
        buckets = [start + timedelta(days=day, hours=hour) for day in range((end - start).days) for hour in hours]
        live: dict[tuple[str, datetime], float | None] = {}
        found = set()
        with shop.database.session() as session:
            for bucket in buckets:
                span = bucket, bucket + step
                for each in watched_courses(session, draft, *span, calendar, detector.memory_weeks):
                    judged = each.judged_by(detector)
                    place = str(each.key), bucket
                    live[place] = round(float(judged.low[-1]), 4) if np.isfinite(judged.low[-1]) else None
                    found |= {place} if each.findings(judged, "rule") != [None] else set()
        assert found
        assert {place: shown[place] for place in live} == live
        starts = {(alert.series, alert.start) for alert in side.alerts}
        assert {place for place in starts if place in live} <= found


class TestALabel:
    @on_both_databases
    def test_is_seen_in_every_backtest_and_is_taken_back(self, shop: Shop, service: RuleBacktests, anna: Actor) -> None:
        shop.sell(NOON)
        shop.sell_hours(3, ["south"])
        view = tried(shop, service, anna, CHANGE)
        alert = view.sides[0].alerts[-1]
        self._label(shop, service, anna, view, alert, "real")
        assert tried(shop, service, anna, BELOW, CHANGE).sides[1].alerts[-1].label == "real"
        self._label(shop, service, anna, latest(shop, service, anna), alert, "")
        assert latest(shop, service, anna).sides[1].alerts[-1].label == ""
        with pytest.raises(NotFound):
            self._label(shop, service, anna, view, replace(alert, series="orders"), "real")
        with pytest.raises(InvalidInput):
            self._label(shop, service, anna, view, alert, "nonsense")

    def test_leaves_the_hours_out_of_what_a_live_rule_learns(
        self, shop: Shop, service: RuleBacktests, anna: Actor
    ) -> None:
        with shop.database.transaction() as session:
            draft = replace(CHANGE, name="Live", dimension="", value=None, parameters=(("rise", 50.0), ("fall", 50.0)))
            DatabaseRules(DatabaseAudit(shop.clock), shop.clock).create(session, anna, draft)
            # All Mondays at noon but the last were something else, so nothing is usual then
            for week in range(1, 5):
                start = NOON - timedelta(weeks=week)
                session.add(
                    BucketLabel(
                        series="orders", bucket_start=start, bucket_end=start + timedelta(hours=1), verdict="expected",
                        username="anna", at=shop.now,
                    )
                )  # fmt: skip
        shop.sell(NOON)
        shop.sell_hours(1, ["south", "north"])
        RuleWatcher(shop.database, Calendar(), "holder").step(shop.now)
        with shop.database.session() as session:
            rows = session.scalars(select(Alert).where(Alert.detector.startswith("rule"))).all()
        assert [row for row in rows if row.bucket_start == NOON] == []

    @staticmethod
    def _label(
        shop: Shop, service: RuleBacktests, actor: Actor, view: BacktestView, alert: WouldBeAlert, verdict: str
    ) -> None:
        with shop.database.transaction() as session:
            service.label(session, actor, view.id, alert, verdict)
