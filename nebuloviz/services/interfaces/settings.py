"""What administrators decide of the installation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces.installation import InstallationSettings


@dataclass(frozen=True)
class SettingsRecord:
    """The settings as administrators see them. `fixed`: what the environment decides; `stored`: what differs by their decision.

    The currency is the settled one, if there is one. Of a secret, `values` tells `SECRET_IS_SET` where there is one, and nothing else.
    """

    version: int
    values: InstallationSettings
    fixed: frozenset[str]
    stored: frozenset[str]


SECRET_IS_SET = "••••••••"  # noqa: S105 - says that there is one


class SettingsService(ABC):
    """Keeps the values of `InstallationSettings`.

    What is changed holds in this process once it is committed, and in every other within seconds: each calls `refresh` all the time.
    """

    @property
    @abstractmethod
    def current(self) -> InstallationSettings:
        """What is in force. Costs nothing: ask each time, keep nothing of it."""

    @property
    @abstractmethod
    def is_first_run(self) -> bool:
        """Whether nobody has decided on anything yet, as far as this process knows."""

    def live(self) -> InstallationSettings:
        """`current`, for those who are given a function."""
        return self.current

    @abstractmethod
    def refresh(self, session: Session) -> bool:
        """Take up what others have changed; whether anything was. Asks for one number where nothing was."""

    @abstractmethod
    def get(self, session: Session, actor: Actor) -> SettingsRecord:
        """The settings as stored now; needs `settings:manage`."""

    @abstractmethod
    def change(self, session: Session, actor: Actor, version: int, changes: Mapping[str, Any]) -> SettingsRecord:
        """Store what `changes` says by the entries' names, None for what holds without a decision; needs `settings:manage`.

        All of it or nothing. The version goes up even if nothing differs: somebody has decided.

        Raises:
            InvalidSettings: there is no such entry, the environment decides it, or a value does not fit; tells it for each.
            StaleVersion: somebody else has changed settings since `version`.
        """
