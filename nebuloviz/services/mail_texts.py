"""What the program's e-mails say, in their reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nebuloviz.i18n import Preferences, current, format_datetime, is_rtl, use
from nebuloviz.i18n import gettext as _
from nebuloviz.services.interfaces import InstallationSettings, Mail, PasswordOffer

_PAGE = (
    '<!DOCTYPE html><html lang="{language}" dir="{direction}"><body style="margin:0;padding:24px;background:#f6f7f9;'
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:15px;line-height:1.5;color:#1c2130\">"
    '<div style="max-width:520px;margin:0 auto;padding:24px;background:#ffffff;border:1px solid #e2e5ec;border-radius:8px">'
    '<p style="margin:0 0 16px;font-size:18px;font-weight:600">{name}</p>{body}</div></body></html>'
)
_PARAGRAPH = '<p style="margin:0 0 16px">{words}</p>'
_BUTTON = (
    '<p style="margin:0 0 16px"><a href="{address}" style="display:inline-block;padding:10px 16px;border-radius:6px;'
    'background:#4b4fd6;color:#ffffff;text-decoration:none;font-weight:600">{words}</a></p>'
)


def password_mail(offer: PasswordOffer, origin: str, settings: InstallationSettings) -> Mail:
    """The one-time link for the user of `offer`; `origin` is what the program's addresses begin with."""
    user = offer.user
    with use(_reader(user.language, user.time_zone, settings)):
        when = format_datetime(offer.expires_at)
        named = {"name": settings.name, "username": user.username}
        if user.state == "invited":
            subject = _("Your access to {name}", name=settings.name)
            first = _("You have been invited to {name}. Your username is {username}.", **named)
        else:
            subject = _("Set a new password for {name}", name=settings.name)
            first = _("Use this link to set a new password for {name}. Your username is {username}.", **named)
        last = _("The link works once, until {when}. If you did not expect this e-mail, ignore it.", when=when)
        return _mail(user.email, subject, [first], (_("Set a password"), origin + offer.path), [last], settings)


def trial_mail(to: str, language: str, settings: InstallationSettings) -> Mail:
    """For 'send a test'."""
    with use(_reader(language, "", settings)):
        words = _("E-mail from {name} works: this message arrived.", name=settings.name)
        return _mail(to, _("A test of {name}", name=settings.name), [words], None, [], settings)


def _reader(language: str, time_zone: str, settings: InstallationSettings) -> Preferences:
    chosen = language if language in settings.languages else settings.language
    return Preferences(chosen, time_zone or settings.time_zone, settings.currency, settings.week_start)


def _mail(
    to: str,
    subject: str,
    before: Sequence[str],
    link: tuple[str, str] | None,
    after: Sequence[str],
    settings: InstallationSettings,
) -> Mail:
    text = "\n\n".join([*before, *([f"{link[0]}: {link[1]}"] if link else []), *after]) + "\n"
    button = [html_button(*link)] if link else []
    parts = [*map(html_paragraph, before), *button, *map(html_paragraph, after)]
    return Mail(to, subject, text, html_page("".join(parts), settings))


def html_page(body: str, settings: InstallationSettings) -> str:
    """A whole mail around `body`, in the reader's direction."""
    language = current().language
    direction = "rtl" if is_rtl(language) else "ltr"
    return _PAGE.format(language=language, direction=direction, name=escape(settings.name), body=body)


def html_button(words: str, address: str) -> str:
    return _BUTTON.format(words=escape(words), address=escape(address))


def html_paragraph(words: str) -> str:
    return _PARAGRAPH.format(words=escape(words))
