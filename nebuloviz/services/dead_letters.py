"""Rejected records: listed, corrected, tried again, discarded. The bytes that came are never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidInput, NotFound
from nebuloviz.i18n import gettext as _
from nebuloviz.ingest.jobs import FILE_TOPICS
from nebuloviz.models import MAX_ID, DeadLetter, ImportJob
from nebuloviz.services.interfaces import DeadLetterPage, DeadLetterView, RowResult
from nebuloviz.services.paging import MAX_PAGE, last_id, page_size


def dead_letter_page(session: Session, state: str, reason: str, cursor: str | None, limit: int) -> DeadLetterPage:
    """Dead letters in `state`, newest first, and how many are open, by reason (whatever the filters)."""
    limit = page_size(limit)
    found = select(DeadLetter).where(DeadLetter.state == state).order_by(DeadLetter.id.desc()).limit(limit + 1)
    if reason:
        found = found.where(DeadLetter.reason == reason)
    if cursor:
        found = found.where(DeadLetter.id < last_id(cursor))
    rows = list(session.scalars(found))
    counts = select(DeadLetter.reason, func.count()).where(DeadLetter.state == "open").group_by(DeadLetter.reason)
    by_reason = {name: int(number) for name, number in session.execute(counts)}
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    files = _files(session, rows)
    return DeadLetterPage(tuple(_view(row, files) for row in rows[:limit]), following, by_reason)


def dead_letter_view(session: Session, letter_id: int) -> DeadLetterView:
    """One dead letter. Raises NotFound."""
    row = session.get(DeadLetter, letter_id) if 0 < letter_id <= MAX_ID else None
    if row is None:
        raise NotFound(_("This record is not there."))
    return _view(row, _files(session, [row]))


def open_letters(session: Session, ids: Sequence[int]) -> list[DeadLetter]:
    """Those of `ids` that are open, locked until the transaction ends. Raises InvalidInput for more than a page of them."""
    if len(ids) > MAX_PAGE:
        raise InvalidInput(_("At most {limit} records at once.", limit=MAX_PAGE))
    known = [each for each in ids if 0 < each <= MAX_ID]  # a database cannot be asked for others
    query = select(DeadLetter).where(DeadLetter.id.in_(known), DeadLetter.state == "open").order_by(DeadLetter.id)
    return list(session.scalars(query.with_for_update()))


def record_to_retry(letter: DeadLetter, corrected: Mapping[int, bytes]) -> bytes | None:
    """The JSON to parse again: the correction given now, else the one before (or a file's row as JSON), else the bytes that came.

    None where no whole record was kept: a file's row that could not be read, or a record too large to be stored.
    """
    known = corrected.get(letter.id) or letter.record
    if known:
        return known
    whole = letter.payload_size == len(letter.payload) and letter.payload.lstrip().startswith(b"{")
    return letter.payload if whole else None


def settle(letter: DeadLetter, tried: bytes, row: RowResult, now: datetime, by: str) -> None:
    """Close a letter whose retry succeeded; of one rejected again, note the new reason and the JSON that was tried."""
    if tried != letter.payload:
        letter.record = tried
    if row.status == "rejected":
        letter.reason, _sep, letter.detail = row.reason.partition(": ")
    else:
        letter.state, letter.closed_at, letter.closed_by = "retried", now, by


def _files(session: Session, rows: Sequence[DeadLetter]) -> Mapping[str, str]:
    """Topic -> name of the file, for those rows that came from one."""
    topics = {row.topic for row in rows if row.topic.startswith(FILE_TOPICS)}
    named = select(ImportJob.topic, ImportJob.name).where(ImportJob.topic.in_(topics))
    return {row.topic: row.name for row in session.execute(named)} if topics else {}


def _view(row: DeadLetter, files: Mapping[str, str]) -> DeadLetterView:
    return DeadLetterView(
        id=row.id,
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        reason=row.reason,
        detail=row.detail,
        payload=row.payload,
        payload_size=row.payload_size,
        state=row.state,
        received_at=row.received_at,
        record=row.record,
        file=files.get(row.topic, ""),
    )
