"""Rules of notifications, and what became of a message, in the reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from nebuloviz.errors import NotSent
from nebuloviz.i18n import LazyText, current, format_time, lazy, listed, weekday_name, zone
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.line_figures import figure
from nebuloviz.services.interfaces import NotificationRule
from nebuloviz.services.wording import severity_word

#: Slug of a reason, as it is stored -> what it says to whoever looks after the channel.
REASONS: Mapping[str, LazyText] = {
    "answer": lazy("It answered with the status {status}."),
    "broken": lazy("It closed the connection, or does not support TLS."),
    "certificate": lazy("Its certificate is not valid."),
    "gone": lazy("The recipient may no longer see any of it."),
    "mail_address": lazy("This is not an e-mail address."),
    "mail_server": lazy("The mail server refused it."),
    "no_address": lazy("The user has no e-mail address. An administrator enters it on the user's page."),
    "no_answer": lazy("The server there does not speak HTTP."),
    "no_server": lazy("No mail server is set up. An administrator does so in the settings."),
    "private": lazy("The address is in a private network, which an administrator must allow by name."),
    "redirect": lazy("It answered with a redirect, which is not followed."),
    "sealed": lazy("What is stored can no longer be read; enter the URL again."),
    "timeout": lazy("It did not respond in time."),
    "unforeseen": lazy("It failed unexpectedly; see the program's log."),
    "unknown_host": lazy("There is no host of this name."),
    "unreachable": lazy("It cannot be reached."),
    "url": lazy("The URL cannot be used."),
}
#: Another try would come to the same.
_FINAL = frozenset({"gone", "mail_address", "private", "redirect", "sealed", "url"})


def reason_words(reason: str, status: int) -> str:
    return _(REASONS[reason].message, status=status) if reason in REASONS else ""


def not_sent(reason: str, status: int = 0, *, again: bool | None = None) -> NotSent:
    """The error that says so."""
    return NotSent(reason_words(reason, status), reason, status, again=reason not in _FINAL if again is None else again)


def rule_words(rule: NotificationRule) -> str:
    """A rule in a line: "High and above · Revenue · north · Mon to Fri 08:00 – 18:00"."""
    level = severity_word(rule.least)
    parts = [_("All severities") if rule.least == "low" else _("{severity} and above", severity=level)]
    parts += [str(figure(slug).label) for slug in rule.metrics]
    parts += [listed(values) for _name, values in rule.segment]
    if len(rule.days) < 7:
        parts.append(listed(weekday_name(day) for day in week_days() if day in rule.days))
    if rule.begin != rule.end:
        parts.append(f"{clock_words(rule.begin)} – {clock_words(rule.end)}")
    return " · ".join(parts)


def week_days() -> list[int]:
    """The days from the reader's first."""
    return [(current().week_start + step) % 7 for step in range(7)]


def clock_words(minutes: int) -> str:
    """A time of the day in the reader's form."""
    moment = datetime(2000, 1, 1, minutes // 60, minutes % 60, tzinfo=zone(current().time_zone))
    return format_time(moment)
