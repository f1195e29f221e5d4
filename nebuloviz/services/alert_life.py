"""What people do with an alert, each step with its history and its entry in the audit log; and snoozes that end by themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import Database, rows_changed
from nebuloviz.errors import Conflict, InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.models import Alert, AlertEvent, User
from nebuloviz.permissions import Actor, Permission
from nebuloviz.services import outbox
from nebuloviz.services.alert_rows import STATES, changed_meanwhile, passes
from nebuloviz.services.interfaces import AuditAction, AuditService
from nebuloviz.services.role_rows import all_roles, granted
from nebuloviz.services.scope import scope_filters, scope_from_json

MAX_NOTE = 2_000
FURTHEST = timedelta(days=90)
GOING_ON = tuple(state for state in STATES if state != "resolved")


@dataclass(frozen=True)
class Step:
    """A decision: what the history calls it, what the audit log does, and the columns of the alert that it sets.

    `of`: the states in which it can be taken.
    """

    kind: str
    action: AuditAction
    values: Mapping[str, object]
    note: str = ""
    until: datetime | None = None
    of: Collection[str] = GOING_ON


def acknowledged(alert: Alert, actor: Actor, note: str) -> Step:
    values = {"state": "acknowledged", "owner": alert.owner or actor.username, "snoozed_until": None}
    return Step("acknowledged", AuditAction.ALERT_ACKNOWLEDGED, values, note)


def resolved(note: str) -> Step:
    return Step("resolved", AuditAction.ALERT_RESOLVED, {"state": "resolved", "snoozed_until": None}, note)


def reopened(note: str) -> Step:
    return Step("reopened", AuditAction.ALERT_REOPENED, {"state": "open"}, note, of=("resolved",))


def snoozed(until: datetime, reason: str, now: datetime) -> Step:
    """Raises InvalidInput: there is no reason, or the time is past or too far away."""
    if not reason.strip():
        raise InvalidInput(_("Say why it can wait, for whoever looks at it next."))
    if not now < until <= now + FURTHEST:
        raise InvalidInput(_("An alert is snoozed for at most {days} days from now.", days=FURTHEST.days))
    values = {"state": "snoozed", "snoozed_until": until}
    return Step("snoozed", AuditAction.ALERT_SNOOZED, values, reason, until)


def assigned(session: Session, alert: Alert, owner: str) -> Step:
    """Raises InvalidInput: nobody of that name may decide on it."""
    if owner and owner not in assignable(session, alert):
        raise InvalidInput(_("Nobody called {name} can be assigned this alert.", name=owner[:64]))
    return Step("assigned" if owner else "released", AuditAction.ALERT_ASSIGNED, {"owner": owner}, owner)


def assignable(session: Session, alert: Alert) -> list[str]:
    """The usernames of all who may decide on the alert and see it."""
    deciding = [slug for slug, permissions in all_roles(session).items() if Permission.ALERTS_MANAGE in permissions]
    able = select(User).where(User.role.in_(deciding), ~User.disabled).order_by(User.name_key)
    return [user.username for user in session.scalars(able) if passes(alert.dimensions, scope_filters(_actor(user)))]


def _actor(user: User) -> Actor:
    return Actor(user.id, user.username, user.role, granted(user), scope_from_json(user.scope))


class AlertLife:
    """Takes stored alerts from one state to the next."""

    def __init__(self, now: Callable[[], datetime], audit: AuditService) -> None:
        self._now = now
        self._audit = audit

    def take(self, session: Session, actor: Actor, alert: Alert, step: Step, version: int | None) -> None:
        """Raises StaleVersion, Conflict, InvalidInput; see `AlertService.acknowledge`."""
        _check_note(step.note)
        if version not in {None, alert.version}:
            raise changed_meanwhile()
        if alert.state not in step.of:
            raise Conflict(changed_meanwhile().message)
        before = {name: getattr(alert, name) for name in step.values}
        values = {**step.values, "version": alert.version + 1, "updated_at": self._now()}
        unchanged = (Alert.id == alert.id) & (Alert.version == alert.version)
        if rows_changed(session.execute(update(Alert).where(unchanged).values(values))) != 1:
            raise changed_meanwhile()  # somebody else was faster by a hair
        self._note(session, actor, alert, step)
        if step.values.get("state") == "resolved" != before["state"]:
            outbox.note(session, alert.id, "over")
        if step.values.get("state") == "open":
            outbox.note(session, alert.id, "reopened")
        differ = [name for name in step.values if before[name] != step.values[name]]
        self._audit.record(
            session,
            actor,
            step.action,
            f"alert {alert.id}",
            before={name: before[name] for name in differ},
            after={name: step.values[name] for name in differ},
        )
        session.refresh(alert)

    def comment(self, session: Session, actor: Actor, alert: Alert, text: str) -> None:
        """Raises InvalidInput."""
        if not text.strip():
            raise InvalidInput(_("There is nothing to add yet: write a comment first."))
        _check_note(text)
        session.execute(update(Alert).where(Alert.id == alert.id).values(updated_at=self._now()))
        self._note(session, actor, alert, Step("commented", AuditAction.ALERT_COMMENTED, {}, text))
        self._audit.record(session, actor, AuditAction.ALERT_COMMENTED, f"alert {alert.id}")
        session.refresh(alert)

    def _note(self, session: Session, actor: Actor, alert: Alert, step: Step) -> None:
        who, at = actor.username, self._now()
        session.add(
            AlertEvent(alert_id=alert.id, at=at, kind=step.kind, username=who, note=step.note, until=step.until)
        )


def _check_note(note: str) -> None:
    if len(note) > MAX_NOTE or "\x00" in note:
        raise InvalidInput(_("A note has at most {limit} characters and no NUL.", limit=MAX_NOTE))


class Snoozes:
    """Opens alerts again whose snooze is over. Several processes may do so at once. `step` is for a `Repeater`."""

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now

    def step(self) -> bool:
        """All that are due; there are no more."""
        now = self._now()
        due = (Alert.state == "snoozed") & (Alert.snoozed_until <= now)
        with self._database.session() as reading:
            if reading.scalar(select(Alert.id).where(due).limit(1)) is None:  # the usual case takes no write lock
                return False
        opened = {"state": "open", "snoozed_until": None, "version": Alert.version + 1, "updated_at": now}
        with self._database.transaction() as session:
            for woken in session.scalars(update(Alert).where(due).values(opened).returning(Alert.id)).all():
                session.add(AlertEvent(alert_id=woken, at=now, kind="woke", note=""))
                outbox.note(session, woken, "reopened")
        return False
