"""What users say of themselves, and where they are signed in, in the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Unpack
from zoneinfo import available_timezones

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.errors import InvalidInput, NotFound, NotSignedIn
from nebuloviz.i18n import format_regions
from nebuloviz.i18n import gettext as _
from nebuloviz.models import BrowserSession, RefreshToken, User
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import (
    AuditAction,
    AuditService,
    ProfileChanges,
    ProfileService,
    SessionView,
    UserView,
    user_subject,
)
from nebuloviz.services.interfaces.installation import Live, as_environment
from nebuloviz.services.sign_ins import session_id_of
from nebuloviz.services.user_rows import subject_of, view_of
from nebuloviz.settings import SUPPORTED_LANGUAGES, Settings

THEMES = ("auto", "light", "dark")
_MAX_NAME_LENGTH = 80
_PATH = re.compile(r"/([a-z0-9][a-z0-9/_-]{0,99})?")


class DatabaseProfiles(ProfileService):
    """The `ProfileService` over our own tables."""

    def __init__(
        self,
        settings: Settings,
        audit: AuditService,
        now: Callable[[], datetime] = utc_now,
        *,
        live: Live | None = None,
    ) -> None:
        self._live = live or as_environment(settings)
        self._refresh_life = timedelta(days=settings.refresh_token_days)
        self._audit = audit
        self._now = now

    def change(self, session: Session, actor: Actor, **changes: Unpack[ProfileChanges]) -> UserView:
        user = _own(session, actor)
        wanted = {name: _CHECKS[name](value) for name, value in changes.items()}
        offered = self._live().languages
        if wanted.get("language") and wanted["language"] not in offered:
            raise InvalidInput(_("The language is one of {known}.", known=", ".join(offered)))
        before = {name: getattr(user, name) for name in wanted if getattr(user, name) != wanted[name]}
        for name in before:
            setattr(user, name, wanted[name])
        session.flush()
        told = [name for name in before if name != "theme"]  # which is switched by the way, and concerns nobody else
        if told:
            self._audit.record(
                session,
                actor,
                AuditAction.PROFILE_CHANGED,
                subject_of(user),
                before={name: before[name] for name in told},
                after={name: wanted[name] for name in told},
            )
        return view_of(user)

    def sessions(self, session: Session, actor: Actor) -> Sequence[SessionView]:
        found = [
            *(_of_browser(row) for row in self._browsers(session, actor)),
            *(self._of_program(row) for row in self._programs(session, actor)),
        ]
        return sorted(found, key=attrgetter("last_used_at"), reverse=True)

    def end_session(self, session: Session, actor: Actor, session_id: str) -> None:
        if not self._end(session, actor, lambda id: id == session_id):
            raise NotFound(_("There is no such session any more."))

    def end_other_sessions(self, session: Session, actor: Actor, own_id: str) -> int:
        return self._end(session, actor, lambda id: id != own_id)

    def _end(self, session: Session, actor: Actor, chosen: Callable[[str], bool]) -> int:
        """End those sessions of the actor whose ids are chosen; how many these were."""
        browsers = [row for row in self._browsers(session, actor) if chosen(session_id_of(row.token_hash))]
        programs = [row for row in self._programs(session, actor) if chosen(session_id_of(row.family))]
        hashes, families = [row.token_hash for row in browsers], [row.family for row in programs]
        session.execute(delete(BrowserSession).where(BrowserSession.token_hash.in_(hashes)))
        session.execute(update(RefreshToken).where(RefreshToken.family.in_(families)).values(revoked=True))
        for view in [*map(_of_browser, browsers), *map(self._of_program, programs)]:
            told = {"by": view.kind, "address": view.address, "user_agent": view.user_agent}
            self._audit.record(session, actor, AuditAction.SESSION_ENDED, user_subject(actor.username), before=told)
        return len(hashes) + len(families)

    def _browsers(self, session: Session, actor: Actor) -> Sequence[BrowserSession]:
        statement = (
            select(BrowserSession)
            .join(User, User.id == BrowserSession.user_id)
            .where(
                User.id == actor.user_id,
                BrowserSession.epoch == User.sign_in_epoch,
                BrowserSession.expires_at > self._now(),
            )
        )
        return session.scalars(statement).all()

    def _programs(self, session: Session, actor: Actor) -> Sequence[RefreshToken]:
        """The newest token of each sign-in through the API."""
        statement = select(RefreshToken).where(
            RefreshToken.user_id == actor.user_id,
            RefreshToken.used.is_(False),
            RefreshToken.revoked.is_(False),
            RefreshToken.expires_at > self._now(),
        )
        return session.scalars(statement).all()

    def _of_program(self, row: RefreshToken) -> SessionView:
        issued = row.issued_at or row.expires_at - self._refresh_life
        return SessionView(
            session_id_of(row.family), "api", row.address, row.user_agent, row.started_at or issued, issued
        )


def _of_browser(row: BrowserSession) -> SessionView:
    used = row.last_used_at or row.created_at
    return SessionView(session_id_of(row.token_hash), "browser", row.address, row.user_agent, row.created_at, used)


def _own(session: Session, actor: Actor) -> User:
    user = session.get(User, actor.user_id, populate_existing=True)
    if user is None or user.disabled:
        raise NotSignedIn(_("Please sign in."))
    return user


# ---------------------------------------------------------------- what can be


def _display_name(value: Any) -> str:
    name = str(value).strip()
    if len(name) > _MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidInput(_("A name has at most {limit} characters, all of them on one line.", limit=_MAX_NAME_LENGTH))
    return name


def _time_zone(value: Any) -> str:
    if value and value not in available_timezones():
        raise InvalidInput(_("There is no time zone called {name}.", name=str(value)[:64]))
    return str(value)


def _format_region(value: Any) -> str:
    if value and not any(value in format_regions(language) for language in SUPPORTED_LANGUAGES):
        raise InvalidInput(_("The form of numbers and dates is that of a country, such as DE or US."))
    return str(value)


def _week_start(value: Any) -> int | None:
    if value is not None and value not in range(7):
        raise InvalidInput(_("A week begins on a day from 0, Monday, to 6, Sunday."))
    return None if value is None else int(value)


def _theme(value: Any) -> str:
    if value not in THEMES:
        raise InvalidInput(_("The theme is one of {known}.", known=", ".join(THEMES)))
    return str(value)


def _landing_page(value: Any) -> str:
    if value and not _PATH.fullmatch(str(value)):
        raise InvalidInput(_("The first page is a path of this program, such as /alerts."))
    return str(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "display_name": _display_name,
    "language": str,
    "time_zone": _time_zone,
    "format_region": _format_region,
    "week_start": _week_start,
    "theme": _theme,
    "landing_page": _landing_page,
}
