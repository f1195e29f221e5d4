"""Uploaded files, kept in a folder until they are imported or forgotten."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from nebuloviz.errors import NotFound, PayloadTooLarge
from nebuloviz.i18n import gettext as _

_ID = re.compile(r"^[0-9a-f]{32}$")
_LIFE = timedelta(days=1)
_MAX_NAME = 200
MAX_WAITING = 20


class Upload(NamedTuple):
    """An uploaded file, its owner's name for it, and the SHA-256 of its bytes."""

    path: Path
    name: str
    digest: str


class UploadStore:
    """Keeps uploads of at most `max_megabytes()` in `folder` until nobody has used them for a day, `MAX_WAITING` of an owner.

    Several processes may share the folder.
    """

    def __init__(self, folder: Path, max_megabytes: Callable[[], int], now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._max_megabytes = max_megabytes
        self._now = now

    def store(self, name: str, chunks: Iterable[bytes], owner: int = 0, in_use: Collection[str] = ()) -> str:
        """Keep a file and return its id. Chunks are written as they come, never held together.

        Beyond the most that may wait, the `owner`'s least recently used one gives way, if its digest is not `in_use`.

        Raises:
            PayloadTooLarge: it exceeds the limit; nothing is kept.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        upload_id = secrets.token_hex(16)
        path = self._folder / upload_id
        try:
            digest = self._write(path, chunks)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        shown = "".join(character for character in name if character.isprintable())[-_MAX_NAME:]
        about = {"name": shown or "upload", "digest": digest, "owner": owner}
        _about(path).write_text(json.dumps(about), encoding="utf-8")
        self._use(path)
        waiting = [upload for upload in self._of(owner) if upload.digest not in in_use]
        for upload in waiting[:-MAX_WAITING]:
            self.remove(upload)
        return upload_id

    def get(self, upload_id: str) -> Upload:
        """The upload of that id, which is used by this. Raises NotFound, for an id that this store never gave as well."""
        path = self._folder / upload_id
        if not _ID.match(upload_id) or not path.is_file():
            raise NotFound(_("This upload is not there any more. Please choose the file again."))
        about = json.loads(_about(path).read_text(encoding="utf-8"))
        self._use(path)
        return Upload(path, about["name"], about["digest"])

    def remove(self, upload: Upload) -> None:
        for path in (upload.path, _about(upload.path)):
            path.unlink(missing_ok=True)

    def _write(self, path: Path, chunks: Iterable[bytes]) -> str:
        limit = self._max_megabytes()
        left = limit * 1_000_000
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    raise PayloadTooLarge(_("The file is larger than {limit} MB.", limit=limit))
                file.write(chunk)
                digest.update(chunk)
        return digest.hexdigest()

    def _use(self, path: Path) -> None:
        """Note that the upload at `path` is used now, more exactly than file systems do by themselves."""
        moment = self._now().timestamp()
        with contextlib.suppress(OSError):  # another process removes it
            os.utime(path, (moment, moment))
            os.utime(_about(path), (moment, moment))

    def _of(self, owner: int) -> list[Upload]:
        """The owner's uploads, the most recently used one last."""
        found = []
        for about in self._folder.glob("*.json"):
            with contextlib.suppress(OSError, ValueError):  # another process removes it, or is just writing it
                said = json.loads(about.read_text(encoding="utf-8"))
                path = about.with_suffix("")
                if said.get("owner") == owner:
                    found.append((path.stat().st_mtime_ns, Upload(path, said["name"], said["digest"])))
        return [upload for _used, upload in sorted(found)]

    def _sweep(self) -> None:
        """Forget uploads that nobody has used for a day."""
        oldest = (self._now() - _LIFE).timestamp()
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):  # another process sweeps as well
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _about(path: Path) -> Path:
    """Where name and digest of the upload at `path` stand."""
    return path.with_suffix(".json")
