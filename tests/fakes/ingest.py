"""One partition, dead letters and imports in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidInput, NebuloVizError
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import (
    DeadLetterPage,
    DeadLetterView,
    FilePreview,
    ImportView,
    IngestService,
    PartitionStatus,
    PostResult,
    RowResult,
    StreamStatus,
)
from tests.fakes.sales import NOW


@dataclass
class FakeIngestService(IngestService):
    """Shows one partition, and keeps dead letters and imports in memory."""

    letters: dict[int, DeadLetterView] = field(default_factory=dict)
    running: list[ImportView] = field(default_factory=list)
    previews: dict[str, FilePreview] = field(default_factory=dict)
    started: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    read_as: list[tuple[str, str]] = field(default_factory=list)
    corrected: dict[int, bytes] = field(default_factory=dict)
    halted: str = ""
    resumed: list[tuple[str, int, int | None]] = field(default_factory=list)
    failure: NebuloVizError | None = None

    def post(self, session: Session, actor: Actor, items: Iterable[bytes]) -> PostResult:
        return PostResult(len(list(items)), 0, 0)

    def post_rows(self, session: Session, actor: Actor, table: Path, mapping: Mapping[str, str]) -> PostResult:
        return PostResult(len(table.read_bytes().splitlines()) - 1, 0, 0)

    def status(self, session: Session, actor: Actor) -> StreamStatus:
        if self.failure:
            raise self.failure
        partition = PartitionStatus("demo", 0, 1200, 3, 1190, 8, 2, NOW - timedelta(seconds=3), self.halted)
        minutes = tuple(
            (NOW.replace(second=0) - timedelta(minutes=59 - i), 20 + i % 7, i % 3, int(i == 30), 2) for i in range(60)
        )
        return StreamStatus((partition,), minutes)

    def resume(
        self, session: Session, actor: Actor, topic: str, partition: int, skip_to: int | None = None
    ) -> PartitionStatus:
        if not self.halted:
            raise InvalidInput("This partition is not halted.")
        self.halted = ""
        self.resumed.append((topic, partition, skip_to))
        return PartitionStatus(topic, partition, skip_to or 1200, None, 1190, 8, 2, NOW, "")

    def dead_letters(
        self,
        session: Session,
        actor: Actor,
        state: str = "open",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeadLetterPage:
        if self.failure:
            raise self.failure
        kept = [item for item in self.letters.values() if item.state == state and reason in {"", item.reason}]
        reasons = Counter(item.reason for item in self.letters.values() if item.state == "open")
        return DeadLetterPage(tuple(kept[:limit]), None, reasons)

    def dead_letter(self, session: Session, actor: Actor, letter_id: int) -> DeadLetterView:
        return self.letters[letter_id]

    def retry(
        self, session: Session, actor: Actor, ids: Sequence[int], corrected: Mapping[int, bytes] | None = None
    ) -> PostResult:
        """Whatever is corrected becomes a sale."""
        rows = [
            RowResult(place, "accepted")
            if number in (corrected or {})
            else RowResult(place, "rejected", "empty: no value")
            for place, number in enumerate(ids)
        ]
        self.corrected.update(corrected or {})
        accepted = sum(row.status == "accepted" for row in rows)
        return PostResult(accepted, 0, len(rows) - accepted, tuple(rows))

    def discard(self, session: Session, actor: Actor, ids: Sequence[int]) -> int:
        for number in ids:
            self.letters[number] = replace(self.letters[number], state="discarded")
        return len(ids)

    def imports(
        self, session: Session, actor: Actor, limit: int = 20, cursor: str | None = None
    ) -> Sequence[ImportView]:
        if self.failure:
            raise self.failure
        return [view for view in self.running if cursor is None or view.id < int(cursor)][:limit]

    def import_of(self, session: Session, actor: Actor, import_id: int) -> ImportView:
        return next(view for view in self.running if view.id == import_id)

    def store_upload(self, name: str, chunks: Iterable[bytes], owner: int = 0) -> str:
        self.previews["1" * 32] = FilePreview(name, ("line",), ((str(sum(map(len, chunks))),),), {}, ())
        return "1" * 32

    def preview(self, session: Session, actor: Actor, upload_id: str) -> FilePreview:
        if upload_id not in self.previews:
            raise InvalidInput("This file is not there any more. Please upload it again.")
        return self.previews[upload_id]

    def start_import(
        self,
        session: Session,
        actor: Actor,
        upload_id: str,
        mapping: Mapping[str, str],
        time_zone: str = "",
        date_order: str = "",
    ) -> ImportView:
        self.read_as.append((time_zone, date_order))
        self.started.append((upload_id, mapping))
        name = self.previews[upload_id].name if upload_id in self.previews else ""
        return ImportView(len(self.started), name, "running", "", None, 0, 0, 0, 0, actor.username, NOW, NOW, None)


def dead_letter(number: int = 1, **changes: object) -> DeadLetterView:
    """An open dead letter whose bytes are no JSON."""
    usual = DeadLetterView(
        number, "sales", 0, 40 + number, "malformed", "not JSON", b'{"sale_id": \x00', 13, "open", NOW
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # the fields' own types hold
