"""Who did what, when and from where."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor


class AuditAction(StrEnum):
    """What the audit log tells of: `subject:action`, alphabetical. The values are stored."""

    ALERT_ACKNOWLEDGED = "alert:acknowledge"
    ALERT_ASSIGNED = "alert:assign"
    ALERT_COMMENTED = "alert:comment"
    ALERT_JUDGED = "alert:judge"
    ALERT_REOPENED = "alert:reopen"
    ALERT_RESOLVED = "alert:resolve"
    ALERT_SNOOZED = "alert:snooze"
    ALERT_UNJUDGED = "alert:unjudge"
    AUDIT_EXPORTED = "audit:export"
    BACKTEST_LABELLED = "backtest:label"
    BACKUP_MADE = "backup:make"
    BACKUP_RESTORED = "backup:restore"
    CALENDAR_CHANGED = "calendar:change"
    CALENDAR_ENTERED = "calendar:create"
    CALENDAR_REMOVED = "calendar:delete"
    CHANNEL_CHANGED = "notifications:change"
    CHANNEL_CREATED = "notifications:create"
    CHANNEL_DELETED = "notifications:delete"
    CHANNEL_TRIED = "notifications:test"
    DATA_EXPORTED = "data:export"
    IMPORT_STARTED = "import:start"
    MAIL_TRIED = "mail:test"
    OPENING_HOURS_CHANGED = "calendar:hours"
    PASSWORD_CHANGED = "password:change"  # noqa: S105 - the name of an act
    PASSWORD_LINK_MADE = "password:link"  # noqa: S105 - as above
    PASSWORD_LINK_MAILED = "password:mail-link"  # noqa: S105 - as above
    PASSWORD_LINK_USED = "password:use-link"  # noqa: S105 - as above
    PASSWORD_SET = "password:set"  # noqa: S105 - as above
    PROFILE_CHANGED = "profile:change"
    RECORDS_DISCARDED = "records:discard"
    RECORDS_RETRIED = "records:retry"
    ROLE_CHANGED = "role:change"
    ROLE_CREATED = "role:create"
    ROLE_DELETED = "role:delete"
    RULE_CHANGED = "rule:change"
    RULE_CREATED = "rule:create"
    RULE_DELETED = "rule:delete"
    RECOVERY_CODE_USED = "second-factor:use-recovery-code"
    RECOVERY_CODES_MADE = "second-factor:renew-codes"
    SECOND_FACTOR_OFF = "second-factor:off"
    SECOND_FACTOR_ON = "second-factor:on"
    SECOND_FACTOR_REFUSED = "second-factor:refuse"
    SECOND_FACTOR_RESET = "second-factor:reset"
    SESSION_ENDED = "session:revoke"
    SESSIONS_ENDED = "user:end-sessions"
    SETTINGS_CHANGED = "settings:change"
    SIGN_IN = "session:start"
    SIGN_IN_REFUSED = "session:refuse"
    SIGN_OUT = "session:end"
    STREAM_RESUMED = "stream:resume"
    TOKEN_CREATED = "token:create"  # noqa: S105 - as above
    TOKEN_REVOKED = "token:revoke"  # noqa: S105 - as above
    USER_CHANGED = "user:change"
    USER_CREATED = "user:create"
    USER_DELETED = "user:delete"
    USER_DISABLED = "user:disable"
    USER_ENABLED = "user:enable"
    USER_UNLOCKED = "user:unlock"
    USERS_IMPORTED = "user:import"
    VIEW_ENDED = "view:end"
    VIEW_STARTED = "view:start"


def user_subject(username: str) -> str:
    """On whom it was done, as the log calls a user."""
    return f"user {username}"


@dataclass(frozen=True)
class AuditEntryView:
    """One act; `at` is UTC. `username` is '' where nobody known acted, `subject` what it was done to ('user anna')."""

    id: int
    at: datetime
    username: str
    address: str
    action: str
    subject: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class AuditFilter:
    """Which entries: empty fields do not restrict. `search` matches any part of who, on what, and from where."""

    search: str = ""
    action: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class AuditPage:
    """`next_cursor` continues with what is older; None at the end."""

    items: tuple[AuditEntryView, ...]
    next_cursor: str | None


class AuditService(ABC):
    """Remembers who did what. Nothing in it can be changed or taken away."""

    @abstractmethod
    def record(
        self,
        session: Session,
        actor: Actor,
        action: AuditAction,
        subject: str = "",
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an entry in the caller's transaction: what is rolled back was not done. Never give it a secret.

        What is too long for an entry is cut.

        Raises:
            ViewOnly: the actor only looks.
        """

    @abstractmethod
    def entries(
        self,
        session: Session,
        actor: Actor,
        which: AuditFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AuditPage:
        """Newest first, in pages of `limit` (at most 500).

        Raises:
            PermissionDenied: the actor may not read the audit log.
            InvalidInput: `cursor` is not one that a page gave.
        """
