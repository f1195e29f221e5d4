"""What administrators have decided of the installation."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from nebuloviz.models.base import Base


class StoredSetting(Base):
    """One setting that differs from its default, as JSON."""

    __tablename__ = "stored_setting"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class SettingsVersion(Base):
    """The only row counts the changes of settings; whoever counts it up may change them, until the transaction ends."""

    __tablename__ = "settings_version"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # always 1
    version: Mapped[int] = mapped_column(BigInteger)
