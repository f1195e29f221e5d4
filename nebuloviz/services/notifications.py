"""Channels of notification and their delivery log, in the database."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.errors import Conflict, InvalidInput, NotFound, NotSent, StaleVersion, TooManyRequests, Unavailable
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number
from nebuloviz.models import MAX_ID, NotificationChannel, NotificationItem, NotificationMessage, User
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services import notification_rules
from nebuloviz.services.channel_messages import channel_message, notification_seal
from nebuloviz.services.interfaces import (
    AuditAction,
    AuditService,
    ChannelDraft,
    ChannelKind,
    ChannelView,
    Hook,
    MailService,
    MessagePage,
    MessageView,
    NewChannel,
    NotificationService,
    OutgoingMessage,
)
from nebuloviz.services.interfaces.installation import Live
from nebuloviz.services.notification_texts import Trial
from nebuloviz.services.outgoing import Outgoing, target_of
from nebuloviz.services.paging import last_id, page_size
from nebuloviz.services.setting_entries import email_form
from nebuloviz.settings import Settings

MAX_CHANNELS = 20  # of one user, and of the installation
MAX_NAME_LENGTH = 80
MAX_GROUP_MINUTES = 24 * 60
MAX_PER_HOUR = 60
BETWEEN_TRIALS = timedelta(seconds=10)


class DatabaseNotifications(NotificationService):
    """The `NotificationService` over our own tables. URLs and keys are sealed: a chat's URL lets whoever has it write there."""

    def __init__(
        self,
        settings: Settings,
        mail: MailService,
        audit: AuditService,
        live: Live,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._seal = notification_seal(settings)
        self._mail = mail
        self._audit = audit
        self._live = live
        self._outgoing = Outgoing(lambda: private_hosts(live().webhook_private_hosts))
        self._now = now

    @require(Permission.ALERTS_READ)
    def channels(self, session: Session, actor: Actor) -> Sequence[ChannelView]:
        rows = session.scalars(select(NotificationChannel).where(_seen_by(actor)).order_by(NotificationChannel.name))
        return [self._view(row) for row in rows]

    @require(Permission.ALERTS_READ)
    def channel(self, session: Session, actor: Actor, channel_id: int) -> ChannelView:
        return self._view(_row(session, actor, channel_id))

    @require(Permission.ALERTS_READ)
    def create(
        self, session: Session, actor: Actor, kind: ChannelKind, draft: ChannelDraft, *, shared: bool = False
    ) -> NewChannel:
        if shared:
            actor.demand(Permission.SETTINGS_MANAGE)
        owner = None if shared else actor.user_id
        same = NotificationChannel.user_id.is_(None) if shared else NotificationChannel.user_id == owner
        count = select(func.count()).select_from(NotificationChannel).where(same)
        if (session.scalar(count) or 0) >= MAX_CHANNELS:
            raise Conflict(_("There are {limit} channels already; delete one first.", limit=number(MAX_CHANNELS)))
        secret = secrets.token_hex(32) if kind == "webhook" else ""
        row = NotificationChannel(user_id=owner, kind=kind, target="", version=1, created_at=self._now())
        row.secret = self._seal.close(secret) if secret else ""
        self._fill(session, row, draft)
        session.add(row)
        session.flush()
        self._record(session, actor, AuditAction.CHANNEL_CREATED, row, after=self._told(row))
        return NewChannel(self._view(row), secret)

    @require(Permission.ALERTS_READ)
    def change(self, session: Session, actor: Actor, channel_id: int, version: int, draft: ChannelDraft) -> ChannelView:
        row = _row(session, actor, channel_id, locked=True)
        if row.version != version:
            raise StaleVersion(_("This channel was changed in the meantime; look at it as it is now, then decide."))
        before = self._told(row)
        self._fill(session, row, draft)
        row.version = version + 1
        session.flush()
        self._record(session, actor, AuditAction.CHANNEL_CHANGED, row, before=before, after=self._told(row))
        return self._view(row)

    @require(Permission.ALERTS_READ)
    def delete(self, session: Session, actor: Actor, channel_id: int) -> None:
        row = _row(session, actor, channel_id)
        self._record(session, actor, AuditAction.CHANNEL_DELETED, row, before=self._told(row))
        session.delete(row)

    @require(Permission.ALERTS_READ)
    def messages(self, session: Session, actor: Actor, cursor: str | None = None, limit: int = 50) -> MessagePage:
        limit = page_size(limit)
        found = _messages(actor).order_by(NotificationMessage.id.desc()).limit(limit + 1)
        if cursor is not None:
            found = found.where(NotificationMessage.id < last_id(cursor))
        rows = session.execute(found).all()
        views = tuple(_message(message, channel, alerts) for message, channel, alerts in rows[:limit])
        return MessagePage(views, str(views[-1].id) if len(rows) > limit else None)

    @require(Permission.ALERTS_READ)
    def trial(self, session: Session, actor: Actor, channel_id: int) -> OutgoingMessage:
        row, now = _row(session, actor, channel_id, locked=True), self._now()
        wait = (row.tried_at or now - BETWEEN_TRIALS) + BETWEEN_TRIALS - now
        if wait > timedelta():
            raise TooManyRequests(_("A test was sent just now. Try again in some seconds."), wait.seconds + 1)
        owner = "" if row.user_id is None else address_of(session, row.user_id)
        sent = channel_message(self._seal, row, owner, Trial(new_key(), self._live(), now))
        row.tried_at = now
        self._record(session, actor, AuditAction.CHANNEL_TRIED, row)
        return sent

    def send(self, message: OutgoingMessage) -> None:
        if isinstance(message, Hook):
            self._outgoing.post(message)
            return
        try:
            self._mail.send(message)
        except Conflict as error:
            raise NotSent(error.message, "no_server") from error
        except InvalidInput as error:
            raise NotSent(error.message, "mail_address", again=False) from error
        except Unavailable as error:
            raise NotSent(error.message, "mail_server") from error

    def _fill(self, session: Session, row: NotificationChannel, draft: ChannelDraft) -> None:
        """Raises InvalidInput where something of `draft` does not fit."""
        name, target = draft.name.strip(), draft.target.strip()
        if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
            raise InvalidInput(
                _("A channel needs a name of at most {limit} characters.", limit=number(MAX_NAME_LENGTH))
            )
        if not 0 <= draft.group_minutes <= MAX_GROUP_MINUTES:
            raise InvalidInput(_("Messages are grouped for at most a day."))
        if not 1 <= draft.most_per_hour <= MAX_PER_HOUR:
            raise InvalidInput(_("From 1 to {limit} messages an hour.", limit=number(MAX_PER_HOUR)))
        if draft.digest_at is not None and not (
            row.kind == "mail" and 0 <= draft.digest_at < notification_rules.DAY_MINUTES
        ):
            raise InvalidInput(_("A digest comes by e-mail, at a time of the day."))
        row.name, row.enabled, row.digest_at = name, draft.enabled, draft.digest_at
        row.target = self._target(session, row, target)
        row.rules = notification_rules.to_json(notification_rules.checked(draft.rules, needed=draft.digest_at is None))
        row.group_minutes, row.most_per_hour = draft.group_minutes, draft.most_per_hour

    def _target(self, session: Session, row: NotificationChannel, target: str) -> str:
        """As it is stored. Raises InvalidInput."""
        if row.kind == "mail":
            problem = email_form(target) if target or row.user_id is None else ""
            if row.user_id is not None:
                if target:
                    problem = _("E-mails of your own go to the address of your account.")
                elif not address_of(session, row.user_id):
                    problem = _("Your account has no e-mail address. Ask an administrator to enter it.")
            if problem:
                raise InvalidInput(problem)
            return target
        if not target and row.target:
            return row.target
        target_of(target)
        return self._seal.close(target)

    def _record(
        self,
        session: Session,
        actor: Actor,
        action: AuditAction,
        row: NotificationChannel,
        *,
        before: dict[str, object] | None = None,
        after: dict[str, object] | None = None,
    ) -> None:
        self._audit.record(session, actor, action, f"channel {row.name}", before=before, after=after)

    def _told(self, row: NotificationChannel) -> dict[str, object]:
        """What the audit log tells of a channel."""
        view = self._view(row)
        own = {"kind": view.kind, "shared": view.shared, "target": view.target}
        return own | {name: value for name, value in asdict(view.draft).items() if name != "target"}

    def _view(self, row: NotificationChannel) -> ChannelView:
        draft = ChannelDraft(
            row.name,
            row.target if row.kind == "mail" else "",
            notification_rules.from_json(row.rules),
            row.enabled,
            row.group_minutes,
            row.most_per_hour,
            row.digest_at,
        )
        shown = row.target if row.kind == "mail" else self._host(row)
        return ChannelView(row.id, cast("ChannelKind", row.kind), row.user_id is None, shown, draft, row.version)

    def _host(self, row: NotificationChannel) -> str:
        url = self._seal.open(row.target)
        return "" if url is None else target_of(url).authority


def private_hosts(text: str) -> frozenset[str]:
    """The hosts that the setting names, apart by commas or spaces."""
    return frozenset(text.lower().replace(",", " ").split())


def new_key() -> str:
    return secrets.token_hex(16)


def address_of(session: Session, user_id: int) -> str:
    """The user's e-mail address; '' where there is none."""
    return session.scalar(select(User.email).where(User.id == user_id)) or ""


def _seen_by(actor: Actor) -> ColumnElement[bool]:
    own = NotificationChannel.user_id == actor.user_id
    return own | NotificationChannel.user_id.is_(None) if actor.may(Permission.SETTINGS_MANAGE) else own


def _row(session: Session, actor: Actor, channel_id: int, *, locked: bool = False) -> NotificationChannel:
    found = select(NotificationChannel).where(NotificationChannel.id == channel_id, _seen_by(actor))
    row = session.scalar(found.with_for_update() if locked else found) if 0 < channel_id <= MAX_ID else None
    if row is None:
        raise NotFound(_("There is no such channel."))
    return row


def _messages(actor: Actor) -> Select[NotificationMessage, NotificationChannel, int]:
    alerts = select(func.count(NotificationItem.alert_id.distinct()))
    alerts = alerts.where(NotificationItem.message_id == NotificationMessage.id)
    return (
        select(NotificationMessage, NotificationChannel, alerts.scalar_subquery())
        .join(NotificationChannel, NotificationChannel.id == NotificationMessage.channel_id)
        .where(_seen_by(actor))
    )


def _message(row: NotificationMessage, channel: NotificationChannel, alerts: int) -> MessageView:
    return MessageView(
        id=row.id,
        channel=channel.name,
        kind=cast("ChannelKind", channel.kind),
        shared=channel.user_id is None,
        key=row.key,
        state=row.state,
        alerts=alerts,
        attempts=row.attempts,
        created_at=row.created_at,
        next_at=row.next_at,
        done_at=row.done_at,
        reason=row.reason,
        status=row.status,
        about=row.about,
    )
