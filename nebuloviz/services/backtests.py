"""Backtests of rules: started, followed, stopped, and what people say of what they found."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import delete, event, func, select, update
from sqlalchemy.orm import Session

from nebuloviz.child import Child, ChildLostError, Children
from nebuloviz.clock import utc_now
from nebuloviz.db import Database, insert
from nebuloviz.detection.lessons import Verdict
from nebuloviz.errors import Conflict, InvalidInput, NotFound
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.calendar import midnight
from nebuloviz.models import MAX_ID, Backtest, BucketLabel
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services import rule_backtest
from nebuloviz.services.interfaces import (
    BACKTEST_WEEKS,
    AuditAction,
    AuditService,
    BacktestService,
    BacktestSide,
    BacktestView,
    RuleDraft,
    WouldBeAlert,
)
from nebuloviz.services.rule_series import closed_until
from nebuloviz.services.rules import checked, visible

LABELS = (Verdict.REAL, Verdict.EXPECTED, Verdict.FALSE_ALARM)
MAX_RUNNING = 2  # at once in the installation
KEPT = 20  # of each user
_LOST = timedelta(minutes=2)  # without a sign of life
_log = logging.getLogger(__name__)


class RuleBacktests(BacktestService):
    """The `BacktestService` over our own table, each carried out in a process of its own."""

    def __init__(
        self,
        database: Database,
        zone: ZoneInfo,
        audit: AuditService,
        extensions_dir: Path | None = None,
        closed_days: frozenset[date] = frozenset(),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._zone = zone
        self._audit = audit
        self._extensions_dir = extensions_dir
        self._closed_days = closed_days
        self._now = now
        self._children = Children()

    @require(Permission.ALERTS_MANAGE)
    def start(self, session: Session, actor: Actor, drafts: Sequence[RuleDraft], weeks: int) -> BacktestView:
        if not 0 < len(drafts) < 3 or weeks not in BACKTEST_WEEKS:
            raise InvalidInput(_("Choose one of the ranges, and one or two settings."))
        asked = [checked(actor, replace(draft, name=draft.name.strip() or "-")) for draft in drafts]
        if any(_watched(each) != _watched(asked[0]) for each in asked):
            raise InvalidInput(_("Two settings are compared on the same series."))
        self._make_room(session, actor)
        end = closed_until(asked[0].grain, self._now(), self._zone)
        start = end - timedelta(weeks=weeks)
        if asked[0].grain == "day":
            start = midnight(start.astimezone(self._zone).date(), self._zone)
        now = self._now()
        row = Backtest(user_id=actor.user_id, start=start, end=end, state="running", made_at=now, updated_at=now)
        row.asked, row.result, row.message = json.dumps([asdict(each) for each in asked]), "[]", ""
        row.done = row.total = 0
        session.add(row)
        session.flush()
        begin = threading.Thread(target=self._run, args=(row.id,), name=f"backtest {row.id}", daemon=True)
        event.listen(session, "after_commit", lambda _session: begin.start(), once=True)
        return self._view(session, row)

    @require(Permission.ALERTS_MANAGE)
    def latest(self, session: Session, actor: Actor) -> BacktestView | None:
        own = select(Backtest).where(Backtest.user_id == actor.user_id).order_by(Backtest.id.desc()).limit(1)
        row = session.scalar(own)
        return self._view(session, row) if row is not None and _is_seen(actor, row) else None

    @require(Permission.ALERTS_MANAGE)
    def backtest(self, session: Session, actor: Actor, backtest_id: int) -> BacktestView:
        return self._view(session, _row(session, actor, backtest_id))

    @require(Permission.ALERTS_MANAGE)
    def stop(self, session: Session, actor: Actor, backtest_id: int) -> None:
        row = _row(session, actor, backtest_id)
        if row.state == "running":
            row.state, row.updated_at = "stopped", self._now()

    @require(Permission.ALERTS_MANAGE)
    def label(self, session: Session, actor: Actor, backtest_id: int, alert: WouldBeAlert, verdict: str) -> None:
        view = self._view(session, _row(session, actor, backtest_id))
        known = {(each.series, each.start, each.end) for side in view.sides for each in side.alerts}
        if verdict not in ("", *LABELS):
            raise InvalidInput(_("There is no such verdict."))
        if (alert.series, alert.start, alert.end) not in known:
            raise NotFound(_("There is no such alert in this backtest."))
        same = (BucketLabel.series == alert.series) & (BucketLabel.bucket_start == alert.start)
        session.execute(delete(BucketLabel).where(same))
        if verdict:
            values = {"series": alert.series, "bucket_start": alert.start, "bucket_end": alert.end, "verdict": verdict}
            about = {"username": actor.username, "at": self._now()}
            session.execute(insert(session, BucketLabel).values(**values, **about))
        subject = f"series {alert.series}"
        told = {"verdict": verdict, "start": alert.start.isoformat(), "end": alert.end.isoformat()}
        self._audit.record(session, actor, AuditAction.BACKTEST_LABELLED, subject, after=told)

    def close(self, timeout_seconds: float) -> None:
        """End what is running: the program ends."""
        self._children.stop()
        self._children.join(timeout_seconds)

    def _make_room(self, session: Session, actor: Actor) -> None:
        """Raises Conflict."""
        running = (Backtest.state == "running") & (Backtest.updated_at > self._now() - _LOST)
        mine = session.scalar(select(func.count()).where(running, Backtest.user_id == actor.user_id)) or 0
        if mine or (session.scalar(select(func.count()).where(running)) or 0) >= MAX_RUNNING:
            raise Conflict(_("Another backtest is running. Wait for it, or stop it."))
        own = select(Backtest.id).where(Backtest.user_id == actor.user_id).order_by(Backtest.id.desc())
        old = session.scalars(own.offset(KEPT - 1)).all()
        session.execute(delete(Backtest).where(Backtest.id.in_(old)))

    def _run(self, backtest_id: int) -> None:
        url = self._database.url.render_as_string(hide_password=False)
        child = Child(rule_backtest.run, url, str(self._zone), self._extensions_dir, self._closed_days, backtest_id)
        try:
            with self._children.running(child):
                for _message in child.messages():
                    pass
        except ChildLostError as error:
            _log.warning("backtest %d was lost: %s", backtest_id, error)
            with self._database.transaction() as session:
                lost = (Backtest.id == backtest_id) & (Backtest.state == "running")
                session.execute(update(Backtest).where(lost).values(state="failed", message="lost"))

    def _view(self, session: Session, row: Backtest) -> BacktestView:
        sides = rule_backtest.sides_of(row.result)
        labels = _labels(session, sides)
        labelled = tuple(
            replace(side, alerts=tuple(replace(a, label=labels.get((a.series, a.start), "")) for a in side.alerts))
            for side in sides
        )
        lost = row.state == "running" and row.updated_at < self._now() - _LOST
        state, message = ("failed", "lost") if lost else (row.state, row.message)
        return BacktestView(row.id, state, row.start, row.end, row.done, row.total, message, labelled)


def _labels(session: Session, sides: Sequence[BacktestSide]) -> dict[tuple[str, datetime], str]:
    series = {alert.series for side in sides for alert in side.alerts}
    columns = (BucketLabel.series, BucketLabel.bucket_start, BucketLabel.verdict)
    rows = session.execute(select(*columns).where(BucketLabel.series.in_(series)))
    return {(row.series, row.bucket_start): row.verdict for row in rows}


def _watched(draft: RuleDraft) -> tuple[str, str, str, str | None]:
    return draft.metric, draft.grain, draft.dimension, draft.value


def _row(session: Session, actor: Actor, backtest_id: int) -> Backtest:
    row = session.get(Backtest, backtest_id) if 0 < backtest_id <= MAX_ID else None
    if row is None or row.user_id != actor.user_id or not _is_seen(actor, row):
        raise NotFound(_("There is no such backtest."))
    return row


def _is_seen(actor: Actor, row: Backtest) -> bool:
    """Its maker may have been given a row scope since, beyond which it lies."""
    return all(visible(actor, draft) for draft in rule_backtest.drafts_of(row.asked))
