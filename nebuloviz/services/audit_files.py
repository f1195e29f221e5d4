"""The audit log as files: a table for people, lines of JSON for programs. Pages and API give the same ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import IO

from sqlalchemy.orm import Session

from nebuloviz.i18n import _, local
from nebuloviz.permissions import Actor
from nebuloviz.services.audit_words import action_words, change_lines, subject_words, who_words
from nebuloviz.services.export import Column, Sheet, write_csv
from nebuloviz.services.interfaces import AuditEntryView, AuditFilter, AuditService

_AT_ONCE, _MAX_PAGES = 500, 200


def every_entry(audit: AuditService, session: Session, actor: Actor, which: AuditFilter) -> Iterator[AuditEntryView]:
    """The entries that `which` leaves, newest first: at most the newest hundred thousand.

    Raises:
        PermissionDenied: the actor may not read the audit log.
    """
    cursor = None
    for _page in range(_MAX_PAGES):
        found = audit.entries(session, actor, which, cursor, _AT_ONCE)
        yield from found.items
        cursor = found.next_cursor
        if cursor is None:
            return


def filters_told(which: AuditFilter) -> dict[str, str]:
    """What `which` restricts: as the log tells of a download, and as the page's address has it."""
    ends = {"from": which.start, "to": which.end}
    named = {name: moment.isoformat() for name, moment in ends.items() if moment}
    texts = {"search": which.search, "action": which.action}
    return named | {name: text for name, text in texts.items() if text}


def audit_sheet(entries: Iterable[AuditEntryView]) -> Sheet:
    """Entries for a spreadsheet, with times on the reader's clock."""
    heads = (_("Who"), _("What"), _("Object"), _("Change"), _("Address"))
    columns = (Column(_("When"), "time"), *(Column(words, "text") for words in heads))
    rows = (
        [
            local(entry.at).replace(tzinfo=None),
            who_words(entry),
            action_words(entry.action),
            subject_words(entry),
            "\n".join(change_lines(entry.before, entry.after)),
            entry.address,
        ]
        for entry in entries
    )
    return Sheet(columns, rows)


def write_lines(entries: Iterable[AuditEntryView], out: IO[bytes]) -> None:
    """An object a line, with the fields and values that `GET /audit` gives."""
    for entry in entries:
        fields = asdict(entry) | {"at": entry.at.isoformat().replace("+00:00", "Z")}
        out.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")


#: Form -> its content type, and what writes it.
FORMS: dict[str, tuple[str, Callable[[Iterable[AuditEntryView], IO[bytes]], None]]] = {
    "csv": ("text/csv; charset=utf-8", lambda entries, out: write_csv(audit_sheet(entries), out)),
    "ndjson": ("application/x-ndjson", write_lines),
}
