"""Access and refresh tokens of the API. All that descend from one sign-in are a family, which is revoked as a whole."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from nebuloviz.errors import TokenReused
from nebuloviz.i18n import gettext as _
from nebuloviz.models import RefreshToken, User
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import NOWHERE, AuditService, TokenPair, UserView, ViewToken, Visitor
from nebuloviz.services.sign_ins import note_sign_in, session_id_of, visitor_columns
from nebuloviz.services.tokens import Claims, TokenSigner, invalid_token
from nebuloviz.services.user_rows import seen_through, view_of


class BearerTokens:
    """What `AuthService` promises of API tokens. Tokens are issued by `now`, but their expiry is verified by the clock."""

    def __init__(
        self,
        signer: TokenSigner,
        audit: AuditService,
        now: Callable[[], datetime],
        *,
        access_life: timedelta,
        refresh_life: timedelta,
    ) -> None:
        self._signer = signer
        self._audit = audit
        self._now = now
        self._access_life = access_life
        self._refresh_life = refresh_life

    def issue(self, session: Session, user: UserView, visitor: Visitor = NOWHERE) -> TokenPair:
        """See `AuthService.issue_tokens`."""
        now = self._now()
        session.execute(delete(RefreshToken).where(RefreshToken.expires_at <= now))
        note_sign_in(session, self._audit, user, "api", now)
        return self._pair(session, user.id, user.epoch, secrets.token_hex(16), now, visitor)

    def refresh(self, session: Session, refresh_token: str, visitor: Visitor = NOWHERE) -> TokenPair:
        """See `AuthService.refresh_tokens`."""
        claims = self._signer.verify("refresh", refresh_token)
        user = self._user_of(session, claims)
        used = _mark_used(session, claims)
        if used is None:
            _revoke_family(session, claims.family)
            raise TokenReused(_("The token was used before. Please sign in again."))
        return self._pair(session, user.id, user.sign_in_epoch, claims.family, used.started_at, visitor)

    def user_of_access(self, session: Session, token: str) -> UserView:
        """See `AuthService.user_of_access_token`."""
        claims = self._signer.verify("access", token)
        own = replace(view_of(self._user_of(session, claims)), session_id=session_id_of(claims.family))
        if claims.viewed_user_id is None:
            return own
        # When the token was signed, at the latest: `exp` is in whole seconds
        signed_before = claims.expires_at - self._access_life + timedelta(seconds=1)
        user = seen_through(session, claims.viewed_user_id, own, created_before=signed_before)
        if user is None:
            raise invalid_token()
        return user

    def view(self, session: Session, actor: Actor, access_token: str, user_id: int) -> ViewToken:
        """An access token of the actor's own sign-in that sees what the user `user_id` sees.

        Raises:
            NotSignedIn: `access_token` is not the actor's own.
        """
        claims = self._signer.verify("access", access_token)
        if self._user_of(session, claims).id != actor.user_id or claims.viewed_user_id is not None:
            raise invalid_token()
        token, _token_id = self._signer.sign(
            "access",
            user_id=claims.user_id,
            epoch=claims.epoch,
            family=claims.family,
            now=self._now(),
            life=self._access_life,
            viewed_user_id=user_id,
        )
        return ViewToken(token, int(self._access_life.total_seconds()))

    def _user_of(self, session: Session, claims: Claims) -> User:
        """The user of verified claims. Raises NotSignedIn where the user or the token's family may no longer sign in."""
        valid_family = exists().where(
            RefreshToken.family == claims.family,
            RefreshToken.user_id == claims.user_id,
            RefreshToken.revoked.is_(False),
        )
        user = session.scalars(select(User).where(User.id == claims.user_id, valid_family)).first()
        if user is None or user.disabled or user.sign_in_epoch != claims.epoch:
            raise invalid_token()
        return user

    def _pair(
        self, session: Session, user_id: int, epoch: int, family: str, started_at: datetime | None, visitor: Visitor
    ) -> TokenPair:
        now = self._now()
        sign = partial(self._signer.sign, user_id=user_id, epoch=epoch, family=family, now=now)
        access, _token_id = sign("access", life=self._access_life)
        refresh, token_id = sign("refresh", life=self._refresh_life)
        row = RefreshToken(
            token_id=token_id,
            family=family,
            user_id=user_id,
            expires_at=now + self._refresh_life,
            started_at=started_at,
            issued_at=now,
            **visitor_columns(visitor),
        )
        session.add(row)
        session.flush()
        return TokenPair(access, refresh, int(self._access_life.total_seconds()))


def _mark_used(session: Session, claims: Claims) -> RefreshToken | None:
    """Mark a refresh token as used; None where it was before. One statement, so that of two at once only one wins."""
    return session.scalars(
        update(RefreshToken)
        .where(RefreshToken.token_id == claims.token_id, RefreshToken.used.is_(False))
        .values(used=True)
        .returning(RefreshToken)
    ).first()


def _revoke_family(session: Session, family: str) -> None:
    session.execute(update(RefreshToken).where(RefreshToken.family == family).values(revoked=True))
