"""Secrets that are kept in the database and needed again: sealed by a key that is derived from the installation's secret."""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nebuloviz.services.tokens import derived_key

_NONCE_BYTES = 12


class Seal:
    """Seals text for one purpose (AES-256-GCM); what was sealed for another purpose, or is damaged, does not open."""

    def __init__(self, secret: str, purpose: str) -> None:
        self._cipher = AESGCM(derived_key(secret, f"sealed {purpose}"))

    def close(self, text: str) -> str:
        """`text` sealed, in letters and digits; another result each time."""
        nonce = os.urandom(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), None)).decode("ascii")

    def open(self, sealed: str) -> str | None:
        """The text; None where it was not sealed by this key."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None).decode()
        except (ValueError, InvalidTag):
            return None
