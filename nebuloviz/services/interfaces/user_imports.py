"""Many users at once, from a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor, RowScope
from nebuloviz.services.interfaces.users import password_path


@dataclass(frozen=True)
class ImportedUser:
    """What a file's row comes to. `line` counts from 1, the heading included; `problem` says why it was refused, or is ''.

    `token` is the secret of the one-time link, told once; '' where no user was created.
    """

    line: int
    username: str
    email: str = ""
    role: str = ""
    role_name: str = ""
    scope: RowScope = ()
    problem: str = ""
    token: str = field(default="", repr=False)
    expires_at: datetime | None = None

    @property
    def path(self) -> str:
        """Where the link leads; '' where there is none."""
        return password_path(self.token) if self.token else ""


class UserImportService(ABC):
    """Creates the users of a CSV file, each as `UserService.create` does; needs `users:manage`. A bad row harms no other one."""

    @abstractmethod
    def preview(self, session: Session, actor: Actor, data: bytes) -> Sequence[ImportedUser]:
        """What `run` would answer now, without a user created.

        Raises:
            InvalidInput: the file is none of users; says what is wrong with it.
        """

    @abstractmethod
    def run(self, session: Session, actor: Actor, data: bytes) -> Sequence[ImportedUser]:
        """Create the users of all good rows; an answer for each row, in order. Raises what `preview` does."""
