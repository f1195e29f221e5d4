"""People and their sign-ins."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, SmallInteger, Text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from nebuloviz.models.base import Base
from nebuloviz.models.types import BigKey, UtcDateTime


class CustomRole(Base):
    """A role that an administrator has made. Users have it by its slug, which stays when the name changes."""

    __tablename__ = "custom_role"

    slug: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Text, unique=True)  # as of users
    description: Mapped[str] = mapped_column(Text, default="")
    permissions: Mapped[str] = mapped_column(Text)  # by a space apart
    version: Mapped[int] = mapped_column(BigInteger, default=1)


class User(Base):
    """Somebody who can sign in. `name_key` is the NFKC-casefolded username, so that twins by case or form are one."""

    __tablename__ = "app_user"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    username: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str] = mapped_column(Text)  # '' until an invited user has set one, and matches nothing
    role: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text, default="")  # '' follows the installation's
    time_zone: Mapped[str] = mapped_column(Text, default="")
    theme: Mapped[str] = mapped_column(Text, default="auto")  # auto | light | dark
    disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    must_change_password: Mapped[bool] = mapped_column(Boolean, default=False)
    sign_in_epoch: Mapped[int] = mapped_column(BigInteger, default=0)  # counting it up ends all sessions and tokens
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    email: Mapped[str] = mapped_column(Text, default="")
    scope: Mapped[str] = mapped_column(Text, default="{}")  # JSON: dimension -> the values that the user may see
    version: Mapped[int] = mapped_column(BigInteger, default=1)  # counts what administrators change
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    custom_role: Mapped[CustomRole | None] = relationship(  # None: the role is a ready-made one
        primaryjoin=lambda: foreign(User.role) == CustomRole.slug, viewonly=True, lazy="joined"
    )
    display_name: Mapped[str] = mapped_column(Text, default="")
    format_region: Mapped[str] = mapped_column(Text, default="")  # ISO 3166-1 or UN M49; '' is the language's own
    week_start: Mapped[int | None] = mapped_column(SmallInteger)  # 0 = Monday; None follows the installation's
    landing_page: Mapped[str] = mapped_column(Text, default="")  # the path that signing in leads to; '' is Overview
    totp_secret: Mapped[str] = mapped_column(Text, default="")  # sealed; '' where there is no second factor
    totp_step: Mapped[int] = mapped_column(BigInteger, default=0)  # that of the newest code that was accepted
    second_factor_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # since when it is on


class BrowserSession(Base):
    """A signed-in browser. The cookie holds a random token; only its hash is stored."""

    __tablename__ = "browser_session"

    token_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(Text, default="")  # from where it was used last, and what said it was used
    user_agent: Mapped[str] = mapped_column(Text, default="")
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # to the minute; None of before it was kept
    viewed_user_id: Mapped[int | None] = mapped_column(BigInteger)  # whose eyes it looks through, changing nothing


class RefreshToken(Base):
    """One API refresh token. Using one twice revokes its whole family."""

    __tablename__ = "refresh_token"

    token_id: Mapped[str] = mapped_column(Text, primary_key=True)
    family: Mapped[str] = mapped_column(Text, index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used: Mapped[bool] = mapped_column(Boolean, default=False)
    revoked: Mapped[bool] = mapped_column(Boolean, default=False)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the family did; None of before it was kept
    issued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(Text, default="")
    user_agent: Mapped[str] = mapped_column(Text, default="")


class PasswordLink(Base):
    """A one-time link by which a user sets a password. Its address holds a random token; only its hash is stored."""

    __tablename__ = "password_link"

    token_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """A user's own token for programs; only its hash is stored."""

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    permissions: Mapped[str] = mapped_column(Text)  # at most these, by a space apart
    epoch: Mapped[int] = mapped_column(BigInteger)  # the user's `sign_in_epoch` when it was made
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RecoveryCode(Base):
    """What lets a user in once whose second factor is lost. It has 118 bits, so a plain hash hides it; using it deletes it."""

    __tablename__ = "recovery_code"

    code_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
