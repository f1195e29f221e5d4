"""Imports on the record: what was loaded, how far it is, and how it ended. The counts are the offset's, so they are always exact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from nebuloviz.db import Database
from nebuloviz.ingest.sample_plan import HISTORY
from nebuloviz.models import ImportJob, IngestOffset

FILE_TOPICS = "file:"  # how the topic of every file begins
STALE_MESSAGE = "The process ended before the import did. Import the same file again: it goes on where it stopped."


class Job(NamedTuple):
    """An entry in the list of imports."""

    id: int
    state: str


class Progress(NamedTuple):
    """How far a topic is stored: its next offset, what became of the records before it, and when the last ones were stored."""

    rows_done: int
    accepted: int
    duplicate: int
    rejected: int
    stored_at: datetime


def open_job(
    database: Database,
    topic: str,
    name: str,
    rows_total: int | None,
    mapping: Mapping[str, str],
    started_by: str,
    now: datetime,
) -> Job:
    """Enter an import, or find the one that it continues. A finished one stays as it is.

    Until it ends, the entry holds how far it was when it began or went on, and when that was.
    """
    with database.transaction() as session:
        job = session.execute(select(ImportJob).where(ImportJob.topic == topic)).scalar_one_or_none()
        if job is None:
            job = ImportJob(
                topic=topic,
                name=name,
                mapping=json.dumps(dict(mapping), ensure_ascii=False),
                rows_total=rows_total,
                started_by=started_by,
                started_at=now,
                updated_at=now,
            )
            session.add(job)
            session.flush()
        elif job.state != "done":
            job.state, job.message, job.finished_at, job.updated_at = "running", "", None, now
            stored = progress_of(session, [topic]).get(topic)
            job.rows_done = stored.rows_done if stored else 0
            job.rows_total = rows_total if rows_total is not None else job.rows_total
        return Job(job.id, job.state or "running")


def finish_job(database: Database, job_id: int, state: str, message: str, now: datetime) -> Progress:
    """Enter how it ended: 'done' or 'failed', with a message for people."""
    with database.transaction() as session:
        job = session.get_one(ImportJob, job_id)
        progress = progress_of(session, [job.topic]).get(job.topic, Progress(0, 0, 0, 0, now))
        job.state, job.message, job.updated_at, job.finished_at = state, message, now, now
        job.rows_done, job.accepted, job.duplicate, job.rejected, _stored_at = progress
        if state == "done":
            job.rows_total = progress.rows_done
        return progress


def progress_of(session: Session, topics: Sequence[str]) -> dict[str, Progress]:
    """By topic; topics of which nothing is stored yet are missing."""
    columns = (
        IngestOffset.topic,
        IngestOffset.next_offset,
        IngestOffset.n_ok,
        IngestOffset.n_duplicate,
        IngestOffset.n_rejected,
        IngestOffset.updated_at,
    )
    rows = session.execute(select(*columns).where(IngestOffset.topic.in_(topics), IngestOffset.partition == 0))
    return {row.topic: Progress(*row[1:]) for row in rows}


def mark_interrupted(database: Database, topic: str, now: datetime) -> None:
    """The process that ran this import has ended without a word."""
    cut_off = (ImportJob.topic == topic) & (ImportJob.state == "running")
    with database.transaction() as session:
        session.execute(update(ImportJob).where(cut_off).values(state="failed", message=STALE_MESSAGE, updated_at=now))


def stream_topics(topic: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """What is read once to its end is shown as an import: it says nothing of the stream's pace and lateness."""
    return ~topic.startswith(FILE_TOPICS) & (topic != HISTORY.topic)
