"""Rejected records: how they are listed, tried again, corrected and put away. Their bytes stay as they came, whatever is done."""

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


def letters_page(session: Session, state: str, reason: str, cursor: str | None, limit: int) -> DeadLetterPage:
    """Dead letters in `state`, newest first, and how many are open by reason."""
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


def letter_view(session: Session, letter_id: int) -> DeadLetterView:
    """One of them. Raises NotFound."""
    row = session.get(DeadLetter, letter_id) if 0 < letter_id <= MAX_ID else None
    if row is None:
        raise NotFound(_("This record is not there."))
    return _view(row, _files(session, [row]))


def open_letters(session: Session, ids: Sequence[int]) -> list[DeadLetter]:
    """Those of `ids` that are open, locked until the transaction ends."""
    if len(ids) > MAX_PAGE:
        raise InvalidInput(_("At most {limit} records at once.", limit=MAX_PAGE))
    known = [each for each in ids if 0 < each <= MAX_ID]  # a database cannot be asked for others
    query = select(DeadLetter).where(DeadLetter.id.in_(known), DeadLetter.state == "open").order_by(DeadLetter.id)
    return list(session.scalars(query.with_for_update()))


def to_try(letter: DeadLetter, corrected: Mapping[int, bytes]) -> bytes | None:
    """The record to be read: the correction now, the one before, what was made of a file's row, or the whole record as it came.

    None where there is no whole record in JSON: of a row that could not be taken apart, or that was too large to be kept.
    """
    known = corrected.get(letter.id) or letter.record
    if known:
        return known
    whole = letter.payload_size == len(letter.payload) and letter.payload.lstrip().startswith(b"{")
    return letter.payload if whole else None


def settle(letter: DeadLetter, tried: bytes, row: RowResult, now: datetime, by: str) -> None:
    """Close a letter that has become a sale; of another keep the new reason and what was tried, beside its bytes."""
    if tried != letter.payload:
        letter.record = tried
    if row.status == "rejected":
        letter.reason, _sep, letter.detail = row.reason.partition(": ")
    else:
        letter.state, letter.closed_at, letter.closed_by = "retried", now, by


def _files(session: Session, rows: Sequence[DeadLetter]) -> Mapping[str, str]:
    """By topic, the names of the files that these came from."""
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
