"""Rules of notification: what they may say, how they are stored, which alerts they want, and when these may be told."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from nebuloviz.detection.alerts import Severity
from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number
from nebuloviz.metrics.line_figures import figure
from nebuloviz.metrics.registry import dimension
from nebuloviz.services.interfaces import AlertView, NotificationRule

SEVERITIES = tuple(str(severity) for severity in Severity)
MAX_RULES = 10
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
DAY_MINUTES = 24 * 60
_MAX_METRICS, _MAX_VALUES, _MAX_VALUE_LENGTH = 50, 100, 256


def wants(rule: NotificationRule, alert: AlertView) -> bool:
    """Whether a channel of this rule is told of `alert`."""
    return (
        SEVERITIES.index(alert.severity) >= SEVERITIES.index(rule.least)
        and (not rule.metrics or alert.metric in rule.metrics)
        and all(alert.dimensions.get(name) in values for name, values in rule.segment)
    )


def told_at(rule: NotificationRule, severity: str, now: datetime, zone: ZoneInfo) -> datetime:
    """When an alert of `now` may be told by the rule's hours on the clock of `zone`: at once, or when the next of them begin."""
    if rule.critical_always and severity == Severity.CRITICAL:
        return now
    spans = [(begin, end) for begin, end in _spans(rule, now, zone) if end > now]
    return max(now, min(begin for begin, _end in spans))


def _spans(rule: NotificationRule, now: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """The times of the days around `now` in which messages are sent, in UTC."""
    begin, end = (0, DAY_MINUTES) if rule.begin == rule.end else (rule.begin, rule.end)
    today = now.astimezone(zone).date()
    for step in range(-1, 8):
        day = today + timedelta(days=step)
        if day.weekday() in rule.days:
            last = day + timedelta(days=1) if end <= begin else day
            yield _moment(day, begin, zone), _moment(last, end, zone)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    days, rest = divmod(minutes, DAY_MINUTES)
    local = datetime.combine(day, time(rest // 60, rest % 60), tzinfo=zone) + timedelta(days=days)
    return local.astimezone(UTC)


def minutes_of(clock: str) -> int:
    """Minutes since midnight. Raises InvalidInput for what is no time of the day.

    >>> minutes_of("08:30"), clock_of(510)
    (510, '08:30')
    """
    if not _CLOCK.fullmatch(clock):
        raise InvalidInput(_("Write times of the day like 08:30."))
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def clock_of(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def checked(rules: Sequence[NotificationRule], *, needed: bool = True) -> tuple[NotificationRule, ...]:
    """The rules in the one form that they are kept in. Where none are `needed`, the channel sends something else.

    Raises:
        InvalidInput: says what cannot be.
    """
    if len(rules) > MAX_RULES or (needed and not rules):
        raise InvalidInput(_("A channel has 1 to {limit} rules, or none and a digest.", limit=number(MAX_RULES)))
    return tuple(_checked(rule) for rule in rules)


def _checked(rule: NotificationRule) -> NotificationRule:
    if rule.least not in SEVERITIES:
        raise InvalidInput(_("A severity is one of {known}.", known=", ".join(SEVERITIES)))
    if not rule.days or not set(rule.days) <= set(range(7)):
        raise InvalidInput(_("Choose at least one day of the week."))
    if not all(0 <= minutes < DAY_MINUTES for minutes in (rule.begin, rule.end)):
        raise InvalidInput(_("Write times of the day like 08:30."))
    if len(rule.metrics) > _MAX_METRICS or len(rule.segment) > _MAX_METRICS:
        raise InvalidInput(_("At most {limit} of each.", limit=number(_MAX_METRICS)))
    for slug in rule.metrics:
        figure(slug)  # raises for one that there is not
    segment = {dimension(name).slug: _values(values) for name, values in rule.segment if values}
    return replace(
        rule, metrics=_once(rule.metrics), days=tuple(sorted(set(rule.days))), segment=tuple(sorted(segment.items()))
    )


def _values(values: Collection[str]) -> tuple[str, ...]:
    if len(values) > _MAX_VALUES or not all(
        len(value) <= _MAX_VALUE_LENGTH and "\x00" not in value for value in values
    ):
        raise InvalidInput(_("Choose at most {limit} values of those that there are.", limit=_MAX_VALUES))
    return _once(values)


def _once(texts: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def to_json(rules: Sequence[NotificationRule]) -> str:
    return json.dumps([asdict(rule) for rule in rules], ensure_ascii=False)


def from_json(text: str) -> tuple[NotificationRule, ...]:
    """The rules that `to_json` wrote."""
    return from_values(json.loads(text))


def from_values(found: Sequence[Mapping[str, Any]]) -> tuple[NotificationRule, ...]:
    """The same, of decoded JSON."""
    return tuple(_from_values(dict(rule)) for rule in found)


def _from_values(found: dict[str, Any]) -> NotificationRule:
    segment = tuple((name, tuple(values)) for name, values in found.pop("segment"))
    return NotificationRule(
        segment=segment, metrics=tuple(found.pop("metrics")), days=tuple(found.pop("days")), **found
    )
