"""Delivery: from the outbox to those who want to know, each message once.

One elected process at a time collects and sends. What `collect` finds is stored in one transaction, so an alert is in one message
of a channel, whatever crashes. A message is claimed before it is sent and marked after. Whoever dies in between has perhaps sent
it, and it is sent once more with the same key, by which its receiver knows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import Database, insert, rows_changed
from nebuloviz.errors import NotFound, NotSent, PermissionDenied
from nebuloviz.i18n import Preferences, use, zone
from nebuloviz.ingest import failpoints
from nebuloviz.models import (
    AlertEvent,
    AlertOutbox,
    NotificationChannel,
    NotificationItem,
    NotificationMessage,
    User,
)
from nebuloviz.observability import NOTIFICATIONS, log_context
from nebuloviz.permissions import SYSTEM, Actor
from nebuloviz.services import lease
from nebuloviz.services.alert_picture import alert_picture
from nebuloviz.services.channel_messages import addressee, channel_message
from nebuloviz.services.digest_texts import DigestNews
from nebuloviz.services.interfaces import AlertView, NotificationRule, OutgoingMessage, Services
from nebuloviz.services.notification_rules import from_json, told_at, wants
from nebuloviz.services.notification_texts import AlertNews, Told, by_weight
from nebuloviz.services.notifications import new_key
from nebuloviz.services.reader import preferences_of
from nebuloviz.services.sealing import Seal
from nebuloviz.services.user_rows import view_of

TASK = "notifications"
LEASE_LIFE = timedelta(seconds=30)
HISTORY = timedelta(days=1)  # what is found only so long after it happened is history, and nobody is told of it
CLAIMED = timedelta(minutes=3)  # longer than handing over takes at worst; after it another process takes a message up
FIRST_PAUSE, MAX_PAUSE = timedelta(seconds=30), timedelta(hours=1)
MAX_ATTEMPTS = 10  # over some three hours
MAX_PICTURES = 3
_EVENTS, _ITEMS = 200, 500  # at a time

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Recipient:
    """Who reads what a channel brings, as that is now."""

    channel: NotificationChannel
    rules: tuple[NotificationRule, ...]
    actor: Actor
    preferences: Preferences
    address: str


class Deliverer:
    """`collect` and `deliver` are steps for a `Repeater`; `deliver` may be called by several threads at once."""

    def __init__(
        self,
        database: Database,
        services: Services,
        seal: Seal,
        *,
        now: Callable[[], datetime] = utc_now,
        holder: str = "",
    ) -> None:
        self._database = database
        self._services = services
        self._seal = seal
        self._now = now
        self._holder = holder or lease.own_name()

    # ------------------------------------------------------------ what is to be sent

    def collect(self) -> bool:
        """See whom the outbox's alerts are for, and make messages of what may be told by now. Whether there is more."""
        now = self._now()
        if not self._elected(now):
            return False
        with self._database.session() as session:
            news = session.scalar(select(exists().where(AlertOutbox.id > 0)))
        more = self._as_elected(now, self._fan_out) if news else False
        with self._database.session() as session:
            ready = _ready(session, now)
            digested = session.scalar(select(exists().where(_HAS_DIGEST)))
        if ready:
            self._as_elected(now, self._gather)
        if digested:
            self._as_elected(now, self._digest)
        return more

    def stop(self) -> None:
        """Let another process take over at once."""
        with self._database.transaction() as session:
            lease.release(session, TASK, self._holder, self._now())

    def _elected(self, now: datetime) -> bool:
        return lease.keep(self._database, TASK, self._holder, now, LEASE_LIFE)

    def _as_elected(self, now: datetime, step: Callable[[Session, datetime], bool]) -> bool:
        """Do a step in one transaction; nothing where another process was elected meanwhile."""
        with self._database.transaction() as session:
            done = lease.hold(session, TASK, self._holder, now, LEASE_LIFE) and step(session, now)
        failpoints.reach("after_fan_out" if step == self._fan_out else "after_gather")
        return done

    def _fan_out(self, session: Session, now: datetime) -> bool:
        events = session.scalars(select(AlertOutbox).order_by(AlertOutbox.id).limit(_EVENTS)).all()
        channels = session.scalars(select(NotificationChannel).where(NotificationChannel.enabled)).all()
        recipients = [found for channel in channels if (found := self._recipient(session, channel))]
        for event in events:
            for recipient in recipients:
                alert = self._visible(session, recipient, event.alert_id)
                late = alert is not None and event.created_at - alert.bucket_end > HISTORY
                if alert is not None and not (late and event.event in {"raised", "worsened"}):
                    self._note(session, recipient, alert, event.event, now)
            session.delete(event)
        return len(events) == _EVENTS

    def _note(self, session: Session, recipient: _Recipient, alert: AlertView, event: str, now: datetime) -> None:
        """What the recipient is to be told of `alert`: that it is there, or again; that it is over only to whom that was told."""
        over = event == "over"
        rules = [rule for rule in recipient.rules if wants(rule, alert) and (rule.over or not over)]
        known = (NotificationItem.channel_id == recipient.channel.id) & (NotificationItem.alert_id == alert.id)
        if not rules or (over and not session.scalar(select(exists().where(known)))):
            return
        due = min(told_at(rule, alert.severity, now, zone(recipient.preferences.time_zone)) for rule in rules)
        row = {
            "channel_id": recipient.channel.id,
            "alert_id": alert.id,
            "told": _telling(session, alert.id, event),
            "due_at": due,
        }
        session.execute(insert(session, NotificationItem).values(row).on_conflict_do_nothing())

    def _gather(self, session: Session, now: datetime) -> bool:
        """One message for all that a channel may be told of now."""
        for channel in _ready(session, now):
            mine = _is_due(now) & (NotificationItem.channel_id == channel.id)
            if not channel.enabled:
                session.execute(delete(NotificationItem).where(mine))
                continue
            message = _new_message(session, channel, now, "alerts")
            ids = session.scalars(select(NotificationItem.id).where(mine).order_by(NotificationItem.id).limit(_ITEMS))
            told = update(NotificationItem).where(NotificationItem.id.in_(ids.all()))
            session.execute(told.values(message_id=message.id))
        return False

    def _digest(self, session: Session, now: datetime) -> bool:
        """A message for each channel whose recipient's day has come to the minute of the digest, once a day."""
        for channel in session.scalars(select(NotificationChannel).where(_HAS_DIGEST)):
            recipient = self._recipient(session, channel)
            if recipient is None or channel.digest_at is None:
                continue
            here = now.astimezone(zone(recipient.preferences.time_zone))
            if channel.digest_day != here.date() and here.hour * 60 + here.minute >= channel.digest_at:
                channel.digest_day = here.date()
                _new_message(session, channel, now, "digest")
        return False

    # ------------------------------------------------------------ sending

    def deliver(self) -> bool:
        """Send one message that is due. Whether there was one."""
        now = self._now()
        if not self._elected(now):
            return False
        claimed = self._claim(now)
        if claimed is None:
            return False
        message, reader = claimed
        with log_context(request_id=message.key, user_id=str(reader or "")):
            self._try(message, now)
        return True

    def _try(self, message: NotificationMessage, now: datetime) -> None:
        if message.attempts > MAX_ATTEMPTS:  # each of them ended in a way that nobody foresaw
            self._mark(message, "failed", "unforeseen")
            return
        try:
            sent = self._message_to_send(message.id, now)
            failpoints.reach("before_send")
            if sent is not None:
                self._services.notifications.send(sent)
        except NotSent as error:
            self._mark_failed(message, error)
            return
        failpoints.reach("after_send")
        self._mark(message, "sent" if sent else "dropped", "" if sent else "gone")
        failpoints.reach("after_mark")

    def _claim(self, now: datetime) -> tuple[NotificationMessage, int | None] | None:
        """A message that is due, which nobody else takes up before `CLAIMED` has passed, and whom it is for."""
        waiting = (NotificationMessage.state == "waiting") & (NotificationMessage.next_at <= now)
        whose = NotificationChannel.id == NotificationMessage.channel_id
        due = select(NotificationMessage, NotificationChannel.user_id).join(NotificationChannel, whose).where(waiting)
        with self._database.session() as session:
            row = session.execute(due.order_by(NotificationMessage.next_at).limit(1)).one_or_none()
        if row is None:
            return None
        found, reader = row
        values = {"attempts": found.attempts + 1, "next_at": now + CLAIMED}
        with self._database.transaction() as session:
            if not rows_changed(session.execute(update(NotificationMessage).where(_same(found)).values(values))):
                return None
        found.attempts += 1
        return found, reader

    def _message_to_send(self, message_id: int, now: datetime) -> OutgoingMessage | None:
        """What is sent, as its recipient may see it now; None where that is nothing."""
        with self._database.session() as session:
            items = session.scalars(select(NotificationItem).where(NotificationItem.message_id == message_id)).all()
            message = session.get_one(NotificationMessage, message_id)
            channel = session.get_one(NotificationChannel, message.channel_id)
            recipient = self._recipient(session, channel) if channel.enabled else None
            if recipient is None:
                return None
            with use(recipient.preferences):
                if message.about == "digest":
                    return self._digest_mail(session, recipient, message.key)
                told = self._told(session, recipient, items, now)
                if not told:
                    return None
                news = AlertNews(message.key, told, self._services.settings.current, now)
                return channel_message(self._seal, channel, recipient.address, news)

    def _digest_mail(self, session: Session, recipient: _Recipient, key: str) -> OutgoingMessage | None:
        """Of yesterday, as the recipient sees it; None for whoever may not read figures any more."""
        to, services = addressee(recipient.channel, recipient.address), self._services
        try:
            found = services.insights.digest(
                session, recipient.actor, time_zone=recipient.preferences.time_zone or "UTC"
            )
        except PermissionDenied:
            return None
        return DigestNews(key, found, services.settings.current).mail(to)

    def _told(
        self, session: Session, recipient: _Recipient, items: Iterable[NotificationItem], now: datetime
    ) -> list[Told]:
        """Of an alert the last that is to be told: where it is over by now, that alone."""
        last = {item.alert_id: item.told.split()[0] for item in sorted(items, key=lambda item: item.id)}
        views = {number: self._visible(session, recipient, number) for number in last}
        told = by_weight(
            [Told(view, last[view.id] == "over", again=last[view.id] == "reopened") for view in views.values() if view]
        )
        if recipient.channel.kind != "mail":
            return told
        pictured = [
            Told(
                item.alert,
                item.over,
                *alert_picture(session, recipient.actor, self._services, item.alert, now),
                item.again,
            )
            for item in told[:MAX_PICTURES]
        ]
        return pictured + told[MAX_PICTURES:]

    def _mark_failed(self, message: NotificationMessage, error: NotSent) -> None:
        again = error.again and message.attempts < MAX_ATTEMPTS
        if again:
            pause = min(FIRST_PAUSE * 2 ** (message.attempts - 1), MAX_PAUSE)
            self._mark(message, "waiting", error.reason, error.answer, self._now() + pause)
        else:
            self._mark(message, "failed", error.reason, error.answer)

    def _mark(
        self, message: NotificationMessage, state: str, reason: str, status: int = 0, next_at: datetime | None = None
    ) -> None:
        now = self._now()
        values = {"state": state, "reason": reason, "status": status, "next_at": next_at or now}
        with self._database.transaction() as session:
            done = {**values, "done_at": None if next_at else now}
            session.execute(update(NotificationMessage).where(_same(message)).values(done))
            kind = session.scalar(select(NotificationChannel.kind).where(NotificationChannel.id == message.channel_id))
            mine = NotificationItem.message_id == message.id
            alerts = session.scalars(
                select(NotificationItem.alert_id).where(mine).distinct().order_by(NotificationItem.alert_id)
            )
            told = {"channel": kind or "gone", "alerts": list(alerts)}
        outcome = "again" if next_at else state
        NOTIFICATIONS.labels(told["channel"], outcome).inc()
        level = logging.WARNING if outcome in {"again", "failed"} else logging.INFO
        _log.log(level, "notification %s: %s %s %s", message.key, outcome, reason, status or "", extra=told)

    # ------------------------------------------------------------ who reads it

    def _recipient(self, session: Session, channel: NotificationChannel) -> _Recipient | None:
        """The owner of a channel, as the owner's role and scope are now; None who is disabled. The installation sees all."""
        settings, rules = self._services.settings.current, from_json(channel.rules)
        if channel.user_id is None:
            return _Recipient(channel, rules, SYSTEM, preferences_of(None, settings), channel.target)
        user = session.get(User, channel.user_id)
        if user is None or user.disabled:
            return None
        view = view_of(user)
        return _Recipient(channel, rules, self._services.auth.actor(view), preferences_of(view, settings), user.email)

    def _visible(self, session: Session, recipient: _Recipient, alert_id: int) -> AlertView | None:
        try:
            return self._services.alerts.get(session, recipient.actor, alert_id)
        except (NotFound, PermissionDenied):
            return None


def _telling(session: Session, alert_id: int, event: str) -> str:
    """What a channel is told once: since the alert was last opened again, if it was."""
    told = {"over": "over", "reopened": "reopened"}.get(event, "open")
    again = (AlertEvent.alert_id == alert_id) & AlertEvent.kind.in_(("reopened", "woke"))
    times = session.scalar(select(func.count()).select_from(AlertEvent).where(again)) or 0
    return f"{told} {times}" if times and told != "open" else told


def _same(message: NotificationMessage) -> ColumnElement[bool]:
    """The message as it was claimed, or found: whoever has claimed it since has counted a further attempt."""
    return (
        (NotificationMessage.id == message.id)
        & (NotificationMessage.attempts == message.attempts)
        & (NotificationMessage.state == "waiting")
    )


_HAS_DIGEST = (
    NotificationChannel.digest_at.is_not(None) & NotificationChannel.enabled & (NotificationChannel.kind == "mail")
)


def _new_message(session: Session, channel: NotificationChannel, now: datetime, about: str) -> NotificationMessage:
    message = NotificationMessage(
        channel_id=channel.id, key=new_key(), state="waiting", attempts=0, next_at=now, created_at=now,
        about=about, reason="", status=0,
    )  # fmt: skip
    session.add(message)
    session.flush()
    return message


def _is_due(now: datetime) -> ColumnElement[bool]:
    return NotificationItem.message_id.is_(None) & (NotificationItem.due_at <= now)


def _ready(session: Session, now: datetime) -> list[NotificationChannel]:
    """The channels that have something to tell, and may now: their period is over, and the hour's messages are not used up."""
    due = select(NotificationItem.channel_id).where(_is_due(now)).distinct()
    channels = session.scalars(select(NotificationChannel).where(NotificationChannel.id.in_(due)))
    return [channel for channel in channels if _may_send(session, channel, now)]


def _may_send(session: Session, channel: NotificationChannel, now: datetime) -> bool:
    created, mine = NotificationMessage.created_at, NotificationMessage.channel_id == channel.id
    last_hour = select(func.count()).select_from(NotificationMessage).where(mine, created > now - timedelta(hours=1))
    newest = session.scalar(select(func.max(created)).where(mine))
    over = newest is None or newest + timedelta(minutes=channel.group_minutes) <= now
    return over and (session.scalar(last_hour) or 0) < channel.most_per_hour
