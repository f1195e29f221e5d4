"""The audit log in the reader's words, on the page and in files alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import LazyText, _, current, format_datetime, is_rtl, lazy, listed
from nebuloviz.metrics.line_figures import figure
from nebuloviz.metrics.registry import DIMENSIONS
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AuditAction, AuditEntryView
from nebuloviz.services.interfaces.installation import ENTRIES
from nebuloviz.services.notification_rules import from_values
from nebuloviz.services.notification_words import clock_words, rule_words
from nebuloviz.services.setting_entries import Choice, Choices
from nebuloviz.services.shown import permission_words, role_words

#: What was done, in the past tense of a log.
ACTION_WORDS = {
    AuditAction.ALERT_ACKNOWLEDGED: lazy("Acknowledged an alert"),
    AuditAction.ALERT_ASSIGNED: lazy("Assigned an alert"),
    AuditAction.ALERT_COMMENTED: lazy("Commented on an alert"),
    AuditAction.ALERT_JUDGED: lazy("Gave feedback on an alert"),
    AuditAction.ALERT_REOPENED: lazy("Reopened an alert"),
    AuditAction.ALERT_RESOLVED: lazy("Resolved an alert"),
    AuditAction.ALERT_SNOOZED: lazy("Snoozed an alert"),
    AuditAction.ALERT_UNJUDGED: lazy("Undid feedback on an alert"),
    AuditAction.AUDIT_EXPORTED: lazy("Exported the audit log"),
    AuditAction.BACKTEST_LABELLED: lazy("Gave feedback on a backtest"),
    AuditAction.BACKUP_MADE: lazy("Created a backup"),
    AuditAction.BACKUP_RESTORED: lazy("Restored a backup"),
    AuditAction.CALENDAR_CHANGED: lazy("Changed a calendar entry"),
    AuditAction.CALENDAR_ENTERED: lazy("Added a calendar entry"),
    AuditAction.CALENDAR_REMOVED: lazy("Removed a calendar entry"),
    AuditAction.CHANNEL_CHANGED: lazy("Changed a notification channel"),
    AuditAction.CHANNEL_CREATED: lazy("Created a notification channel"),
    AuditAction.CHANNEL_DELETED: lazy("Deleted a notification channel"),
    AuditAction.CHANNEL_TRIED: lazy("Sent a test to a channel"),
    AuditAction.DATA_EXPORTED: lazy("Exported figures"),
    AuditAction.IMPORT_STARTED: lazy("Started an import"),
    AuditAction.MAIL_TRIED: lazy("Sent a test e-mail"),
    AuditAction.OPENING_HOURS_CHANGED: lazy("Changed opening hours"),
    AuditAction.PASSWORD_CHANGED: lazy("Changed the password"),
    AuditAction.PASSWORD_LINK_MADE: lazy("Created a password link"),
    AuditAction.PASSWORD_LINK_MAILED: lazy("Sent a password link by e-mail"),
    AuditAction.PASSWORD_LINK_USED: lazy("Set a password with a link"),
    AuditAction.PASSWORD_SET: lazy("Password was set"),
    AuditAction.PROFILE_CHANGED: lazy("Changed their own profile"),
    AuditAction.RECORDS_DISCARDED: lazy("Discarded rejected records"),
    AuditAction.RECORDS_RETRIED: lazy("Retried rejected records"),
    AuditAction.ROLE_CHANGED: lazy("Changed a role"),
    AuditAction.ROLE_CREATED: lazy("Created a role"),
    AuditAction.ROLE_DELETED: lazy("Deleted a role"),
    AuditAction.RULE_CHANGED: lazy("Changed a detection rule"),
    AuditAction.RULE_CREATED: lazy("Created a detection rule"),
    AuditAction.RULE_DELETED: lazy("Deleted a detection rule"),
    AuditAction.RECOVERY_CODE_USED: lazy("Signed in with a recovery code"),
    AuditAction.RECOVERY_CODES_MADE: lazy("Created new recovery codes"),
    AuditAction.SECOND_FACTOR_OFF: lazy("Turned the second factor off"),
    AuditAction.SECOND_FACTOR_ON: lazy("Turned the second factor on"),
    AuditAction.SECOND_FACTOR_REFUSED: lazy("Second-factor code refused"),
    AuditAction.SECOND_FACTOR_RESET: lazy("Reset a second factor"),
    AuditAction.SESSION_ENDED: lazy("Ended a session"),
    AuditAction.SESSIONS_ENDED: lazy("Signed a user out everywhere"),
    AuditAction.SETTINGS_CHANGED: lazy("Changed settings"),
    AuditAction.SIGN_IN: lazy("Signed in"),
    AuditAction.SIGN_IN_REFUSED: lazy("Sign-in refused"),
    AuditAction.SIGN_OUT: lazy("Signed out"),
    AuditAction.STREAM_RESUMED: lazy("Resumed a halted partition"),
    AuditAction.TOKEN_CREATED: lazy("Created an API token"),
    AuditAction.TOKEN_REVOKED: lazy("Revoked an API token"),
    AuditAction.USER_CHANGED: lazy("Changed a user"),
    AuditAction.USER_CREATED: lazy("Created a user"),
    AuditAction.USER_DELETED: lazy("Deleted a user"),
    AuditAction.USER_DISABLED: lazy("Disabled a user"),
    AuditAction.USER_ENABLED: lazy("Enabled a user"),
    AuditAction.USER_UNLOCKED: lazy("Unlocked a user"),
    AuditAction.USERS_IMPORTED: lazy("Imported users"),
    AuditAction.VIEW_ENDED: lazy("Stopped viewing as a user"),
    AuditAction.VIEW_STARTED: lazy("Started viewing as a user"),
}
_FIELD_WORDS = {
    "accepted": lazy("Accepted"),
    "address": lazy("Address"),
    "by": lazy("Via"),
    "corrected": lazy("Corrected"),
    "country": lazy("Country"),
    "created": lazy("Created"),
    "cut": lazy("Cut short"),
    "description": lazy("Description"),
    "detector": lazy("Detector"),
    "dimension": lazy("Split by"),
    "digest_at": lazy("Daily digest, by e-mail"),
    "display_name": lazy("Display name"),
    "duplicates": lazy("Duplicate"),
    "email": lazy("E-mail"),
    "enabled": lazy("On"),
    "end": lazy("Until"),
    "expires_at": lazy("Valid until"),
    "filters": lazy("Filters"),
    "first": lazy("First day"),
    "format_region": lazy("Number and date format"),
    "grain": lazy("Interval"),
    "group_minutes": lazy("Minutes between messages"),
    "hours": lazy("Opening hours"),
    "ids": lazy("Records"),
    "kind": lazy("Kind"),
    "landing_page": lazy("First page after signing in"),
    "language": lazy("Language"),
    "last": lazy("Last day"),
    "left": lazy("Recovery codes left"),
    "mapping": lazy("Columns"),
    "metric": lazy("Metric"),
    "most_per_hour": lazy("Maximum messages per hour"),
    "name": lazy("Name"),
    "owner": lazy("Owner"),
    "parameters": lazy("Sensitivity"),
    "permissions": lazy("Permissions"),
    "refused": lazy("Refused"),
    "rejected": lazy("Rejected"),
    "role": lazy("Role"),
    "rules": lazy("Sends"),
    "scope": lazy("Sees only"),
    "shared": lazy("Shared"),
    "skip_to": lazy("Position"),
    "snoozed_until": lazy("Snoozed until"),
    "start": lazy("From"),
    "state": lazy("State"),
    "target": lazy("Sends to"),
    "time_zone": lazy("Time zone"),
    "user_agent": lazy("Browser or program"),
    "value": lazy("Value"),
    "version": lazy("Version"),
    "verdict": lazy("Verdict"),
    "week_start": lazy("Week starts on"),
}

#: What the first word of a subject says, and how the rest follows.
_SUBJECT_WORDS: Mapping[str, LazyText] = {
    "alert": lazy("alert {name}"),
    "calendar": lazy("calendar {name}"),
    "channel": lazy("channel {name}"),
    "role": lazy("role {name}"),
    "rule": lazy("rule {name}"),
    "settings": lazy("settings"),
    "token": lazy("token {name}"),
    "user": lazy("user {name}"),
}
_NAMED_AS_THEY_ARE = {AuditAction.DATA_EXPORTED, AuditAction.IMPORT_STARTED, AuditAction.STREAM_RESUMED}

#: What the values of a field mean.
_VALUE_WORDS: Mapping[str, Mapping[str, LazyText]] = {
    "by": {"api": lazy("API"), "browser": lazy("Browser")},
    "grain": {"hour": lazy("Hour"), "day": lazy("Day")},
    "kind": {
        "closure": lazy("Closed"),
        "holidays": lazy("Public holidays"),
        "mail": lazy("E-mail"),
        "open": lazy("Open on a holiday"),
        "promotion": lazy("Promotion"),
        "webhook": lazy("Webhook"),
    },
    "state": {
        "acknowledged": lazy("Acknowledged"),
        "open": lazy("Open"),
        "resolved": lazy("Resolved"),
        "snoozed": lazy("Snoozed"),
    },
    "verdict": {"expected": lazy("Expected"), "false_alarm": lazy("False alarm"), "real": lazy("Real")},
}
_MOMENTS = {"end", "expires_at", "snoozed_until", "start"}


def action_words(action: str) -> str:
    return str(ACTION_WORDS[AuditAction(action)]) if action in set(AuditAction) else action


def who_words(entry: AuditEntryView) -> str:
    if entry.username == "system":
        return _("Command line or program")
    return entry.username or _("Nobody signed in")


def subject_words(entry: AuditEntryView) -> str:
    """On what it was done: "user anna". Names of files and of the stream's partitions stand for themselves."""
    kind, _space, name = entry.subject.partition(" ")
    if entry.action in _NAMED_AS_THEY_ARE or kind not in _SUBJECT_WORDS:
        return entry.subject
    return str(_SUBJECT_WORDS[kind]).format(name=name)


def change_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What has changed, a line for each field: "Role: Viewer → Administrator".

    >>> change_lines({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": ["x", "y"]})
    ['b: 2 → 3', 'c: x, y']
    """
    fields = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [_line(name, before, after) for name in fields]


def _line(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    sides = [_words_of(name, side[name]) for side in (before, after) if name in side]
    words = _FIELD_WORDS.get(name) or (ENTRIES[name].label if name in ENTRIES else name)
    arrow = " ← " if is_rtl(current().language) else " → "
    return f"{words!s}: {arrow.join(sides)}"


def _words_of(field: str, value: Any) -> str:
    """The value of a field as the pages call it: roles, permissions, dimensions and languages by their words.

    What is not known any more, such as a role that was deleted, stands as it was noted.
    """
    if field == "permissions" and isinstance(value, list):
        known = set(Permission)
        return listed(permission_words(Permission(item)) if item in known else str(item) for item in value) or "–"
    if field == "scope" and isinstance(value, Mapping):
        return "; ".join(f"{_dimension_words(name)} = {value_words(part)}" for name, part in value.items()) or "–"
    if field == "rules" and isinstance(value, list):
        return "; ".join(map(rule_words, from_values(value)))
    if field == "digest_at" and isinstance(value, int):
        return clock_words(value)
    words = _text_words(field, value) if isinstance(value, str) and value else value_words(value)
    return _choice_words(field, value) or words


def _choice_words(field: str, value: Any) -> str:
    """What was chosen of a setting's list; '' where it is none of these."""
    kind = ENTRIES[field].kind if field in ENTRIES else None
    if not isinstance(kind, Choice | Choices):
        return ""
    options = kind.options()
    chosen = [options.get(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, int | str)]
    return "" if None in chosen else listed(chosen)


def _text_words(field: str, value: str) -> str:
    if field == "role":
        return role_words(value)
    if field in _MOMENTS:
        return _moment_words(value)
    if field == "metric":
        return _metric_words(value)
    if field == "dimension":
        return _dimension_words(value)
    known = _VALUE_WORDS.get(field, {})
    return str(known[value]) if value in known else value


def _moment_words(text: str) -> str:
    try:
        return format_datetime(datetime.fromisoformat(text))
    except ValueError:
        return text


def _metric_words(slug: str) -> str:
    try:
        return str(figure(slug).label)
    except InvalidQuery:
        return slug


def _dimension_words(slug: str) -> str:
    return next((str(item.label) for item in DIMENSIONS if item.slug == slug), slug)


def value_words(value: Any) -> str:
    """A value of the log as text: lists with commas, objects as pairs."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name} = {value_words(part)}" for name, part in value.items()) or "–"
    if isinstance(value, list):
        return listed(map(value_words, value)) or "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in {None, ""} else str(value)
