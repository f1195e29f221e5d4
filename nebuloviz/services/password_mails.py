"""One-time links by e-mail, the same for pages and programs; no transaction is open while the mail server is waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nebuloviz.errors import Conflict, NebuloVizError
from nebuloviz.i18n import gettext as _
from nebuloviz.services.interfaces import AuditAction, PasswordOffer, Services, UserRecord, user_subject
from nebuloviz.services.mail_texts import password_mail

#: Calls a service's method (without session and actor) for whoever asks, in a transaction that it commits.
Act = Callable[..., Any]


@dataclass(frozen=True)
class MailedOffer:
    """The new link, and why the e-mail with it was not sent; None where the mail server has taken it."""

    offer: PasswordOffer
    failure: NebuloVizError | None = None


def mail_password_link(services: Services, act: Act, user_id: int, origin: str) -> MailedOffer:
    """A new link for the user, sent by e-mail and noted in the audit log. `origin`: what the program's addresses begin with.

    The link is good whether it could be sent or not.

    Raises:
        Conflict: there is no mail server, no address of the program, or the user has no e-mail or is disabled.
        NotFound, PermissionDenied: as `UserService.offer_password` does.
    """
    user: UserRecord = act(services.users.get, user_id)
    if not (services.mail.is_set_up and origin and user.email):
        raise Conflict(_("It takes a mail server and the public address in the settings, and the e-mail of the user."))
    offer: PasswordOffer = act(services.users.offer_password, user_id)
    try:
        services.mail.send(password_mail(offer, origin, services.settings.current))
    except NebuloVizError as failure:
        return MailedOffer(offer, failure)
    act(services.audit.record, AuditAction.PASSWORD_LINK_MAILED, user_subject(offer.user.username))
    return MailedOffer(offer)
