"""Passwords: how they are kept, and which are good enough."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from functools import cache

import bcrypt

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _

MIN_LENGTH = 8
MAX_LENGTH = 128
ROUNDS = 12
_PROGRAM = "nebuloviz"


class Passwords:
    """Hashes and verifies with bcrypt. Its input is the SHA-256 of the password, because bcrypt takes 72 bytes and no NUL."""

    def __init__(self, rounds: int = ROUNDS) -> None:
        self._rounds = rounds
        # Well-formed, of the same cost, and matching no password: verifying against it takes as long as against a real one.
        self._nobody = f"$2b${rounds:02d}${'.' * 22}{'.' * 31}"

    def hashed(self, password: str) -> str:
        return bcrypt.hashpw(_prepared(password), bcrypt.gensalt(self._rounds)).decode("ascii")

    def verify(self, password: str, stored: str | None) -> bool:
        """Whether `password` is the one behind `stored`; without one, False after the same time."""
        matches = bcrypt.checkpw(_prepared(password), (stored or self._nobody).encode("ascii"))
        return matches and stored is not None


def _prepared(password: str) -> bytes:
    return base64.b64encode(hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest())


def name_key(username: str) -> str:
    """What makes two usernames the same: their NFKC form without regard to case.

    >>> name_key("Ａnna") == name_key("anna")
    True
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold())


def check_password(password: str, username: str) -> None:
    """Refuse a password that is easily guessed; there are no rules on what characters it is made of.

    Raises:
        InvalidInput: says what is wrong with it.
    """
    if len(password) < MIN_LENGTH:
        raise InvalidInput(_("The password needs at least {count} characters.", count=MIN_LENGTH))
    if len(password) > MAX_LENGTH:
        raise InvalidInput(_("The password can have at most {count} characters.", count=MAX_LENGTH))
    if not _encodable(password):
        raise InvalidInput(_("The password contains characters that are not valid text."))
    folded = name_key(password)
    for name in (name_key(username), _PROGRAM):
        if name in folded and len(folded.replace(name, "")) < MIN_LENGTH - 2:
            raise InvalidInput(_("The password must be more than the name of the user or of this program."))
    if folded in _common_passwords() or len(set(folded)) < 2:
        raise InvalidInput(_("This password is among the most common ones. Please choose another."))


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _common_passwords() -> frozenset[str]:
    """The 30,000 most common ones of leaks that are long enough to be tried here."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - large, and only needed when a password is set

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_LENGTH)


def check_username(username: str) -> str:
    """The name as it will be stored: its NFKC form.

    Raises:
        InvalidInput: it is empty, too long, or has other characters than letters, digits and . _ - @ +
    """
    name = unicodedata.normalize("NFKC", username)
    if not 0 < len(name) <= 64 or not all(letter.isalnum() or letter in "._-@+" for letter in name):
        words = _("A username has 1 to 64 letters, digits or any of . _ - @ +, and no spaces.")
        raise InvalidInput(words, field="username")
    return name
