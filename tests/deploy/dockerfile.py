"""A Dockerfile as data: its stages, and in each what is done, in order."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_CONTINUED = re.compile(r"\\\n")
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)
_OPTION = re.compile(r"--([\w-]+)=(\S+)\s+")
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
#: What says how a container is run; the last one counts, and a stage inherits it.
RUNTIME = ("USER", "WORKDIR", "ENTRYPOINT", "CMD", "HEALTHCHECK", "EXPOSE")


@dataclass(frozen=True)
class Step:
    """One instruction, with its `--options` apart from the rest."""

    word: str
    options: tuple[tuple[str, str], ...]
    text: str

    def option(self, name: str) -> str:
        return dict(self.options).get(name, "")

    @property
    def words(self) -> list[str]:
        """The rest as a list: JSON where it is written so, else as a shell would split it."""
        return list(json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)


@dataclass
class Stage:
    name: str
    base: str
    steps: list[Step] = field(default_factory=list)


def parse(path: Path) -> list[Stage]:
    """The stages in order.

    Raises:
        ValueError: an instruction that this does not know, and whoever carries the file out would therefore leave out.
    """
    text = _CONTINUED.sub(" ", _COMMENT.sub("", path.read_text(encoding="utf-8")))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in filter(str.strip, text.splitlines()):
        word, _space, rest = line.strip().partition(" ")
        step = _step(word, rest.strip())
        if word == "ARG" and not stages:
            name, _equals, value = step.text.partition("=")
            arguments[name] = value
        elif word == "FROM":
            base, *alias = _filled(step.text, arguments).split()
            stages.append(Stage(alias[1] if alias else "", base))
        elif word in {"RUN", "COPY", "ENV", *RUNTIME}:
            stages[-1].steps.append(step)
        else:
            message = f"{path.name}: {word} is not carried out"
            raise ValueError(message)
    return stages


def _step(word: str, rest: str) -> Step:
    options = []
    while (found := _OPTION.match(rest)) is not None:
        options.append((found[1], found[2]))
        rest = rest[found.end() :]
    return Step(word, tuple(options), rest.strip())


def _filled(text: str, arguments: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda found: arguments[found[1] or found[2]], text)
