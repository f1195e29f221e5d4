"""What stands of an installation, what does not, and what to do about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nebuloviz.permissions import Actor


class Level(StrEnum):
    """How it is with one part, the worst last. A note is nothing that hinders anybody now."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """What was found of one part: `name` never changes; `title` and `detail` are the reader's own words, and say what to do."""

    name: str
    title: str
    level: Level
    detail: str


class StatusService(ABC):
    """Looks at every part of the installation, from the process that is asked."""

    @abstractmethod
    def findings(self, actor: Actor) -> Sequence[Finding]:
        """Each part's finding, in the order in which one stands on the other. May wait some seconds for a server that is away.

        Opens what it needs by itself: a database that does not answer is a finding too.
        """
