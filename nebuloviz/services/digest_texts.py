"""The daily digest as an e-mail: what is to be said of yesterday, of the week and of what is ahead, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape

from nebuloviz.i18n import bucket_label, date_range
from nebuloviz.i18n import gettext as _
from nebuloviz.services.interfaces import Digest, Insight, InstallationSettings, Mail
from nebuloviz.services.mail_texts import html_button, html_page, html_paragraph

_TITLE = '<p style="margin:0 0 4px;font-weight:600">{words}</p><p style="margin:0 0 8px;color:#5b6375;font-size:12px">{about}</p>'
_LIST = '<ul style="margin:0 0 16px;padding:0;padding-inline-start:20px">{items}</ul>'
_FOOT = '<p style="margin:0;color:#5b6375;font-size:12px">{words}</p>'


@dataclass(frozen=True)
class DigestNews:
    """One digest, written once for its reader."""

    key: str
    digest: Digest
    settings: InstallationSettings

    def mail(self, to: str) -> Mail:
        day = bucket_label(self.digest.day, "day")
        sections = [section for section in self._sections() if section[2]]
        lines = [
            f"{title} ({about})\n" + "\n".join(f"- {item.text}" for item in said) for title, about, said in sections
        ]
        parts = [_section(*section) for section in sections]
        if not sections:
            lines.append(_("Nothing stands out"))
            parts.append(html_paragraph(lines[-1]))
        if self.settings.origin:
            address = f"{self.settings.origin}/insights"
            lines.append(_("Insights") + f": {address}")
            parts.append(html_button(_("Insights"), address))
        why = _(
            "You receive this through a channel of {name}; its rules are on the Notifications page.",
            name=self.settings.name,
        )
        lines.append(why)
        parts.append(_FOOT.format(words=escape(why)))
        subject = _("Daily digest: {day}", day=day)
        return Mail(to, subject, "\n\n".join(lines) + "\n", html_page("".join(parts), self.settings), key=self.key)

    def _sections(self) -> list[tuple[str, str, Sequence[Insight]]]:
        """Title, against what, and what is said; as on the page Insights."""
        found = self.digest
        week = date_range(found.day - timedelta(days=6), found.day)
        return [
            (bucket_label(found.day, "day"), _("compared with the same weekday a week earlier"), found.of_day),
            (week, _("compared with the previous seven days"), found.of_week),
            (_("Outlook"), _("this month and this quarter"), found.ahead),
        ]


def _section(title: str, about: str, said: Sequence[Insight]) -> str:
    items = "".join(f'<li style="margin:0 0 6px">{escape(item.text)}</li>' for item in said)
    return _TITLE.format(words=escape(title), about=escape(about)) + _LIST.format(items=items)
