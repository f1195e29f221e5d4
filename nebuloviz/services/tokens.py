"""API tokens: signed claims, and what must be true of them to be believed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import jwt

from nebuloviz.errors import NotSignedIn
from nebuloviz.i18n import gettext as _
from nebuloviz.models import MAX_ID

ISSUER = "nebuloviz"
AUDIENCE = "nebuloviz-api"
_ALGORITHM = "HS256"
_REQUIRED = ["exp", "iat", "nbf", "sub", "aud", "iss", "jti", "type", "epoch", "family"]
_MAX_TOKEN_LENGTH = 4096

TokenType = Literal["access", "refresh", "second step"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `epoch` is the user's when it was issued; `family` descends from one sign-in.

    `viewed_user_id`: through whose eyes its user looks, if not through the own ones.
    """

    token_id: str
    user_id: int
    epoch: int
    family: str
    expires_at: datetime
    viewed_user_id: int | None = None


class TokenSigner:
    """Signs and verifies tokens; each type has its own key, derived from the installation's secret."""

    def __init__(self, secret: str) -> None:
        self._keys = {kind: derived_key(secret, f"api token {kind}") for kind in get_args(TokenType)}

    def sign(
        self,
        kind: TokenType,
        *,
        user_id: int,
        epoch: int,
        family: str,
        now: datetime,
        life: timedelta,
        viewed_user_id: int | None = None,
    ) -> tuple[str, str]:
        """The token and its id."""
        token_id = secrets.token_hex(16)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "jti": token_id,
            "iat": now,
            "nbf": now,
            "exp": now + life,
            "type": kind,
            "epoch": epoch,
            "family": family,
        } | ({} if viewed_user_id is None else {"viewed": viewed_user_id})
        return jwt.encode(claims, self._keys[kind], algorithm=_ALGORITHM), token_id

    def verify(self, kind: TokenType, token: str) -> Claims:
        """The claims of a token that we signed as `kind`, for us, and that is valid now by the clock.

        Raises:
            NotSignedIn: it is not.
        """
        try:
            return self._claims(kind, token)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise invalid_token() from None

    def _claims(self, kind: TokenType, token: str) -> Claims:
        if len(token) > _MAX_TOKEN_LENGTH:
            raise ValueError("too long")
        found: dict[str, Any] = jwt.decode(
            token,
            self._keys[kind],
            algorithms=[_ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": _REQUIRED, "strict_aud": True},
        )
        texts = [found[name] for name in ("sub", "jti", "family", "iss", "aud")]
        if found["type"] != kind or not all(isinstance(text, str) and text.isprintable() for text in texts):
            raise ValueError("another type")
        user_id, epoch = int(found["sub"]), int(found["epoch"])
        if not 0 < user_id <= MAX_ID:
            raise ValueError("no user's id")
        viewed = int(found["viewed"]) if "viewed" in found else None
        expires_at = datetime.fromtimestamp(found["exp"], tz=UTC)
        return Claims(found["jti"], user_id, epoch, found["family"], expires_at, viewed)


def invalid_token() -> NotSignedIn:
    """The error for whoever shows a token that is not believed, whatever the reason."""
    return NotSignedIn(_("The token is not valid or has expired."))


def derived_key(secret: str, purpose: str) -> bytes:
    """A key for one purpose, from which neither the secret nor another purpose's key can be told."""
    return hmac.new(secret.encode(), f"nebuloviz {purpose}".encode(), hashlib.sha256).digest()
