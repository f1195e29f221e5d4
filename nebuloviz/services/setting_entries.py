"""What a setting that administrators decide can be: text, a number, a choice, a secret, a picture. Each kind knows what fits it.

A kind's `checked` takes decoded JSON of any shape, and gives the value to keep or raises InvalidInput with words for the reader.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import LazyText, lazy, number
from nebuloviz.i18n import gettext as _

Value = str | int | float | bool | tuple[str, ...]
#: What can be chosen, with its words; asked for when it is shown, because extensions add to some and words have a language.
Options = Callable[[], Mapping[Any, str]]

_EMAIL = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+")
MAX_EMAIL_LENGTH = 254


class Kind(ABC):
    """What values an entry takes."""

    #: The type of the value in JSON.
    json_type: Any = str

    @abstractmethod
    def checked(self, value: Any) -> Value:
        """The value to keep. Raises InvalidInput."""

    @property
    def rule(self) -> str:
        """What is allowed, in a few words for the documentation; '' where the type says it all."""
        return ""


def _no() -> InvalidInput:
    return InvalidInput(_("This value is not valid."))


@dataclass(frozen=True)
class Text(Kind):
    """One line of at most `longest` characters. `form` says what is wrong with it, '' if nothing is."""

    longest: int = 200
    required: bool = False
    form: Callable[[str], str] = lambda _text: ""

    def checked(self, value: Any) -> Value:
        if not isinstance(value, str):
            raise _no()
        text = value.strip()
        if self.required and not text:
            raise InvalidInput(_("This must not be empty."))
        if len(text) > self.longest:
            raise InvalidInput(_("At most {count} characters.", count=number(self.longest)))
        if not text.isprintable():
            raise InvalidInput(_("Use only visible letters, digits and symbols."))
        problem = self.form(text) if text else ""
        if problem:
            raise InvalidInput(problem)
        return text


def email_form(text: str) -> str:
    if len(text) <= MAX_EMAIL_LENGTH and text.isprintable() and _EMAIL.fullmatch(text):
        return ""
    return _("This is not an e-mail address: {text}", text=text[:80])


def host_form(text: str) -> str:
    return "" if _HOST.fullmatch(text) else _("This is not a host name or address.")


def hosts_form(text: str) -> str:
    """Several, apart by commas or spaces."""
    fit = all(_HOST.fullmatch(host) for host in text.replace(",", " ").split())
    return "" if fit else _("Write host names or addresses, separated by commas.")


def address_form(text: str) -> str:
    """Of the installation itself: scheme and host, without a path."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return _("Write it like https://sales.example.com.")
    rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    return "" if fits and not rest and not re.search(r"[\s\\]", text) else _("Write it like https://sales.example.com.")


@dataclass(frozen=True)
class Number(Kind):
    """From `least` to `most`; whole, unless `fractions` are allowed."""

    least: float
    most: float
    fractions: bool = False

    @property
    def json_type(self) -> Any:
        return float if self.fractions else int

    def checked(self, value: Any) -> Value:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _no()
        whole = isinstance(value, int) or value.is_integer()
        if not self.least <= value <= self.most or not (whole or self.fractions):
            words = (
                _("A number from {least} to {most}.") if self.fractions else _("A whole number from {least} to {most}.")
            )
            digits = 2 if self.fractions else 0
            raise InvalidInput(words.format(least=number(self.least, digits), most=number(self.most, digits)))
        return float(value) if self.fractions else int(value)

    @property
    def rule(self) -> str:
        return f"{self.least:g} to {self.most:g}"


@dataclass(frozen=True)
class Switch(Kind):
    """On or off."""

    json_type = bool

    def checked(self, value: Any) -> Value:
        if not isinstance(value, bool):
            raise _no()
        return value

    @property
    def rule(self) -> str:
        return "`true` or `false`"


@dataclass(frozen=True)
class Choice(Kind):
    """One of the `options`, whose keys are all texts or all whole numbers. `many`: too many to list."""

    options: Options
    whole: bool = False
    many: bool = False

    @property
    def json_type(self) -> Any:
        return int if self.whole else str

    def checked(self, value: Any) -> Value:
        if type(value) is not self.json_type or value not in self.options():
            raise InvalidInput(_("Choose one from the list."))
        chosen: Value = value
        return chosen

    @property
    def rule(self) -> str:
        return "" if self.many else ", ".join(f"`{key}`" for key in self.options())


@dataclass(frozen=True)
class Choices(Kind):
    """At least one of the `options`, kept in their order."""

    options: Options
    json_type = list[str]

    def checked(self, value: Any) -> Value:
        known = self.options()
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one in known for one in value):
            raise InvalidInput(_("Choose from the list."))
        if not value:
            raise InvalidInput(_("Choose at least one."))
        return tuple(option for option in known if option in value)

    @property
    def rule(self) -> str:
        return "some of " + ", ".join(f"`{key}`" for key in self.options())


@dataclass(frozen=True)
class Secret(Kind):
    """Text that is kept sealed, and never shown again."""

    longest: int = 500

    def checked(self, value: Any) -> Value:
        if not isinstance(value, str) or "\x00" in value or "\n" in value or "\r" in value:
            raise _no()
        if len(value) > self.longest:
            raise InvalidInput(_("At most {count} characters.", count=number(self.longest)))
        return value


_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture(Kind):
    """A small PNG, as base64 of its bytes; '' for none. Other forms are refused: an SVG can carry scripts."""

    most_bytes: int = 200_000
    most_pixels: int = 1024  # each way

    def checked(self, value: Any) -> Value:
        if not isinstance(value, str):
            raise _no()
        if not value:
            return ""
        if len(value) > self.most_bytes * 4 / 3 + 4:
            raise InvalidInput(_("At most {count} kB.", count=number(self.most_bytes // 1000)))
        try:
            content = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput(_("The picture must be a PNG file.")) from None
        self._check(content)
        return base64.b64encode(content).decode("ascii")

    def _check(self, content: bytes) -> None:
        size = _png_size(content)
        if size is None:
            raise InvalidInput(_("The picture must be a PNG file."))
        if not all(0 < length <= self.most_pixels for length in size):
            raise InvalidInput(_("At most {count} by {count} pixels.", count=number(self.most_pixels)))

    @property
    def rule(self) -> str:
        return f"a PNG of at most {self.most_bytes // 1000} kB and {self.most_pixels} pixels each way"


def _png_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG whose parts are whole and which nothing follows; None for anything else."""
    if not content.startswith(_PNG):
        return None
    place, size, name = len(_PNG), None, b""
    while name != b"IEND":
        head = content[place : place + 8]
        if len(head) < 8:
            return None
        length, name = struct.unpack(">I4s", head)
        body, end = content[place + 8 : place + 8 + length], place + 8 + length
        if content[end : end + 4] != struct.pack(">I", zlib.crc32(name + body)):
            return None
        if (name == b"IHDR") != (size is None):  # it comes first, and once
            return None
        if name == b"IHDR" and length == 13:
            size = struct.unpack(">II", body[:8])
        place = end + 4
    return size if place == len(content) else None


@dataclass(frozen=True)
class Entry:
    """One thing that administrators decide. `unit` stands behind a number; `default` is what holds where nobody decides."""

    section: str
    kind: Kind
    label: LazyText
    help: LazyText
    default: Value
    unit: LazyText | None = None
    name: str = field(default="", compare=False)


#: Slug -> title of the sections, in the order in which they are shown.
SECTIONS: Mapping[str, LazyText] = {
    "installation": lazy("Installation"),
    "calendar": lazy("Languages and calendar"),
    "security": lazy("Security and limits"),
    "mail": lazy("E-mail"),
    "notifications": lazy("Notifications"),
    "detection": lazy("Detection"),
    "retention": lazy("Retention"),
}
