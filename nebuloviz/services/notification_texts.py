"""What messages about alerts say: as e-mail, for a chat, and for a program. In the language, zone and forms that are in force."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from nebuloviz.detection.alerts import Severity
from nebuloviz.i18n import _, moment_range, ngettext, number
from nebuloviz.services.interfaces import AlertView, InstallationSettings, Mail
from nebuloviz.services.mail_texts import html_button, html_page, html_paragraph
from nebuloviz.services.wording import alert_words, series_words, severity_word

MAX_SHOWN = 20
_ORDER = [str(severity) for severity in Severity]
_COLORS = {"low": "#5b6375", "medium": "#8a5a00", "high": "#be2642", "critical": "#be2642"}
_OVER_COLOR = "#0f766e"
_ALERT = (
    '<div style="margin:0 0 16px;padding:0 0 16px;border-bottom:1px solid #e2e5ec">'
    '<p style="margin:0;font-size:13px;font-weight:600;color:{color}">{severity}</p>'
    '<p style="margin:2px 0 0;font-size:16px;font-weight:600">{words}</p>'
    '<p style="margin:2px 0 0;color:#5b6375;font-size:13px"><bdi>{series}</bdi> · {when}</p>{picture}{link}</div>'
)
_PICTURE = (
    '<img src="cid:picture{number}" width="520" height="120" alt="{words}" '
    'style="display:block;width:100%;max-width:520px;height:auto;margin:10px 0 0">'
    '<p style="margin:2px 0 0;color:#5b6375;font-size:12px">{caption}</p>'
)
_LINK = '<p style="margin:8px 0 0;font-size:13px"><a href="{address}" style="color:#4b4fd6">{words}</a></p>'


@dataclass(frozen=True)
class Told:
    """An alert to be told of, `again` where it was opened again, or (`over`) its end.

    `picture`: a PNG of its course, `course` what that shows; both may be missing.
    """

    alert: AlertView
    over: bool
    picture: bytes = b""
    course: str = ""
    again: bool = False


def by_weight(told: Sequence[Told]) -> list[Told]:
    """The worst first, those that are over last."""
    return sorted(told, key=lambda item: (item.over, -_ORDER.index(item.alert.severity), item.alert.id))


@dataclass(frozen=True)
class AlertNews:
    """A message about alerts, which stand in the order of `by_weight`."""

    key: str
    told: Sequence[Told]
    settings: InstallationSettings
    at: datetime

    def mail(self, to: str) -> Mail:
        shown = self.told[:MAX_SHOWN]
        numbers = itertools.count()
        lines = [_text(item, self.settings) for item in shown]
        parts = [_html(item, next(numbers) if item.picture else 0, self.settings) for item in shown]
        if self._more:
            lines.append(self._more)
            parts.append(html_paragraph(self._more))
        if self.settings.origin:
            lines.append(_("All alerts") + f": {self.settings.origin}/alerts")
            parts.append(html_button(_("All alerts"), f"{self.settings.origin}/alerts"))
        why = _(
            "You receive this through a channel of {name}; its rules are on the Notifications page.",
            name=self.settings.name,
        )
        lines.append(why)
        parts.append(f'<p style="margin:0;color:#5b6375;font-size:12px">{escape(why)}</p>')
        html = html_page("".join(parts), self.settings)
        pictures = tuple(item.picture for item in shown if item.picture)
        return Mail(to, headline(self.told), "\n\n".join(lines) + "\n", html, pictures, self.key)

    def slack(self) -> bytes:
        """For a Slack-compatible webhook. Names are literal: no mention, link or channel can be made of one."""
        lines = [f"*{_literal(self.settings.name)}*", *(_chat(item, self.settings) for item in self.told[:MAX_SHOWN])]
        return _json({"text": "\n\n".join([*lines, *filter(None, [_literal(self._more)])])})

    def webhook(self) -> bytes:
        """For a program: figures in the metric's unit, times in UTC, and the sentences for people."""
        alerts = [_fields(item, self.settings) for item in self.told]
        return _body(self.key, "alerts", headline(self.told), alerts, self.settings, self.at)

    @property
    def _more(self) -> str:
        count = len(self.told) - MAX_SHOWN
        return ngettext("and {count} more", "and {count} more", count, count=number(count)) if count > 0 else ""


@dataclass(frozen=True)
class Trial:
    """For 'send a test'."""

    key: str
    settings: InstallationSettings
    at: datetime

    @property
    def _words(self) -> str:
        return _("Notifications from {name} work: this one arrived.", name=self.settings.name)

    def mail(self, to: str) -> Mail:
        html = html_page(html_paragraph(self._words), self.settings)
        return Mail(to, _("A test of {name}", name=self.settings.name), self._words + "\n", html, key=self.key)

    def slack(self) -> bytes:
        return _json({"text": _literal(self._words)})

    def webhook(self) -> bytes:
        return _body(self.key, "test", self._words, [], self.settings, self.at)


def headline(told: Sequence[Told]) -> str:
    """All of it in a line, the worst named."""
    first = told[0]
    line = f"{_kind(first)}: {alert_words(first.alert)} ({series_words(first.alert)})"
    if len(told) == 1:
        return line
    rest = len(told) - 1
    return ngettext(
        "{line}, and {count} more alert", "{line}, and {count} more alerts", rest, line=line, count=number(rest)
    )


def _kind(item: Told) -> str:
    if item.over:
        return _("Resolved")
    severity = severity_word(item.alert.severity)
    return _("{severity}, open again", severity=severity) if item.again else severity


def _when(item: Told) -> str:
    return moment_range(item.alert.bucket_start, item.alert.bucket_end)


def address_of(alert: AlertView, settings: InstallationSettings) -> str:
    """Of the alert's page; '' where nobody has said what the program's own address is."""
    return f"{settings.origin}/alerts/{alert.id}" if settings.origin else ""


def _text(item: Told, settings: InstallationSettings) -> str:
    lines = [f"{_kind(item)}: {alert_words(item.alert)}", f"{series_words(item.alert)} · {_when(item)}"]
    return "\n".join([*lines, *filter(None, [address_of(item.alert, settings)])])


def _html(item: Told, picture_number: int, settings: InstallationSettings) -> str:
    address = address_of(item.alert, settings)
    words = escape(alert_words(item.alert))
    picture = _PICTURE.format(number=picture_number, words=words, caption=escape(item.course)) if item.picture else ""
    return _ALERT.format(
        color=_OVER_COLOR if item.over else _COLORS[item.alert.severity],
        severity=escape(_kind(item)),
        words=words,
        series=escape(series_words(item.alert)),
        when=escape(_when(item)),
        picture=picture,
        link=_LINK.format(address=escape(address), words=escape(_("Open the alert"))) if address else "",
    )


def _chat(item: Told, settings: InstallationSettings) -> str:
    address = address_of(item.alert, settings)
    open_it = _literal(_("Open the alert"))
    link = f" <{address}|{open_it}>" if address else ""
    words = f"*{_literal(_kind(item))}* {_literal(alert_words(item.alert))}"
    return f"{words}\n{_literal(series_words(item.alert))} · {_literal(_when(item))}{link}"


def _literal(text: str) -> str:
    """As a chat's own escapes make it: what it would take for a mention, a link or a channel is text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _body(
    key: str,
    kind: str,
    line: str,
    alerts: Sequence[dict[str, object]],
    settings: InstallationSettings,
    at: datetime,
) -> bytes:
    head = {"id": key, "kind": kind, "installation": settings.name, "created_at": at.isoformat()}
    return _json({**head, "currency": settings.currency, "headline": line, "alerts": list(alerts)})


def _fields(item: Told, settings: InstallationSettings) -> dict[str, object]:
    alert = item.alert
    return {
        "id": alert.id,
        "told": "over" if item.over else "reopened" if item.again else "open",
        "severity": alert.severity,
        "state": alert.state,
        "detector": alert.detector,
        "metric": alert.metric,
        "dimensions": dict(alert.dimensions),
        "start": alert.bucket_start.isoformat(),
        "end": alert.bucket_end.isoformat(),
        "observed": alert.observed,
        "expected": alert.expected,
        "expected_low": alert.expected_low,
        "expected_high": alert.expected_high,
        "text": f"{alert_words(alert)} ({series_words(alert)})",
        "url": address_of(alert, settings) or None,
    }


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
