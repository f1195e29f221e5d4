"""E-mails by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import cast
from unicodedata import category

from nebuloviz.errors import Conflict, InvalidInput, NotSent, Unavailable
from nebuloviz.i18n import LazyText, lazy
from nebuloviz.i18n import gettext as _
from nebuloviz.services.interfaces import Mail, MailService
from nebuloviz.services.interfaces.installation import InstallationSettings, Live
from nebuloviz.services.outgoing import is_private, is_public, resolved
from nebuloviz.services.sealing import Seal
from nebuloviz.services.setting_entries import email_form

TIMEOUT_SECONDS = 10.0  # of each step of the talk with the server


class SmtpMail(MailService):
    """The `MailService` over the server of the settings, as they are when a mail is sent. `seal` opens the stored password."""

    def __init__(self, live: Live, seal: Seal, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._live = live
        self._seal = seal
        self._timeout_seconds = timeout_seconds

    @property
    def is_set_up(self) -> bool:
        return bool(self._live().smtp_host)

    def send(self, mail: Mail) -> None:
        settings = self._live()
        if not settings.smtp_host:
            raise Conflict(_("No mail server is set up. An administrator does so in the settings."))
        message = composed(mail, settings)
        try:
            with self._connected(settings) as client:
                self._greet(client, settings)
                client.send_message(message)
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            reason = _reason(error)
            raise Unavailable(_("The mail server {host}: {reason}", host=settings.smtp_host, reason=reason)) from error

    def _connected(self, settings: InstallationSettings) -> smtplib.SMTP:
        _refuse_link_local(settings, self._timeout_seconds)
        own_name = settings.smtp_from.rpartition("@")[2]  # asking the system for one may take long
        host, port, timeout = settings.smtp_host, settings.smtp_port, self._timeout_seconds
        if settings.smtp_encryption == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, local_hostname=own_name, timeout=timeout, context=context)
        return smtplib.SMTP(host, port, local_hostname=own_name, timeout=timeout)

    def _greet(self, client: smtplib.SMTP, settings: InstallationSettings) -> None:
        if settings.smtp_encryption == "starttls":
            client.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            password = self._seal.open(settings.smtp_password) if settings.smtp_password else ""
            if password is None:
                raise Conflict(_("The stored password can no longer be read; enter it again in the settings."))
            client.login(settings.smtp_user, password)


class _NoMailServer(OSError):
    """What is at its address cannot be one."""


def _refuse_link_local(settings: InstallationSettings, timeout_seconds: float) -> None:
    """A mail server may be public or in a private network, and nowhere else: clouds tell their secrets at link-local addresses."""
    try:
        found = resolved(settings.smtp_host, settings.smtp_port, timeout_seconds)
    except NotSent as error:
        raise OSError from error
    if not all(is_public(address) or is_private(address) for address in found):
        raise _NoMailServer


def composed(mail: Mail, settings: InstallationSettings) -> EmailMessage:
    """The message as it is sent. No text of it can add a header.

    Raises:
        InvalidInput: the address is none.
    """
    problem = email_form(mail.to)
    if problem:
        raise InvalidInput(problem)
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(_one_line(settings.name), addr_spec=settings.smtp_from)
        message["To"] = Address(addr_spec=mail.to)
    except (ValueError, MessageError):
        raise InvalidInput(_("This is not an e-mail address: {text}", text=mail.to[:80])) from None
    message["Subject"] = _one_line(mail.subject)
    message["Date"] = formatdate(usegmt=True)
    domain = settings.smtp_from.rpartition("@")[2]
    message["Message-ID"] = f"<{mail.key}@{domain}>" if mail.key else make_msgid(domain=domain)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    for number, picture in enumerate(mail.pictures):
        _html_of(message).add_related(picture, "image", "png", cid=f"<picture{number}>", disposition="inline")
    return message


def _html_of(message: EmailMessage) -> EmailMessage:
    """Its last part, which the pictures belong to."""
    *_text, html = message.iter_parts()
    return cast("EmailMessage", html)


def _one_line(text: str) -> str:
    """Without what cannot be seen; marks of direction leave no gap."""
    seen = ("" if category(letter) == "Cf" else letter if letter.isprintable() else " " for letter in text)
    return " ".join("".join(seen).split())


#: The first that fits says what went wrong, for the administrator who reads it.
_REASONS: tuple[tuple[type[Exception], LazyText], ...] = (
    (smtplib.SMTPAuthenticationError, lazy("it refuses the user or the password.")),
    (UnicodeError, lazy("it refuses the user or the password.")),
    (smtplib.SMTPRecipientsRefused, lazy("it refuses mail to this address.")),
    (smtplib.SMTPSenderRefused, lazy("it refuses mail from this sender.")),
    (smtplib.SMTPNotSupportedError, lazy("it does not support the encryption or sign-in asked for.")),
    (smtplib.SMTPException, lazy("it closed the connection.")),
    (ssl.SSLCertVerificationError, lazy("its certificate is not valid.")),
    (ssl.SSLError, lazy("it does not speak TLS on this port.")),
    (TimeoutError, lazy("it did not respond in time.")),
    (_NoMailServer, lazy("its address cannot be that of a mail server.")),
    (OSError, lazy("it cannot be reached.")),
)


def _reason(error: Exception) -> LazyText:
    return next(words for kind, words in _REASONS if isinstance(error, kind))
