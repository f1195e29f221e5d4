"""What the detectors ask about imports: whether history is still being loaded, and whether some was since they learned."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from nebuloviz.models import ImportJob, IngestOffset

_SILENCE = timedelta(minutes=10)  # an import that has not moved for so long was killed


def under_way(session: Session, now: datetime) -> bool:
    """Whether a file or the sample's history is being loaded: learned now, it would have holes."""
    alive = now - _SILENCE
    progress = exists().where(IngestOffset.topic == ImportJob.topic, IngestOffset.updated_at > alive)
    moving = (ImportJob.updated_at > alive) | progress
    return bool(session.scalar(select(exists().where(ImportJob.state == "running", moving))))


def ended_since(session: Session, moment: datetime) -> bool:
    """Whether there is history that somebody who learned at `moment` cannot know."""
    finished = session.scalar(select(func.max(ImportJob.finished_at)))
    return finished is not None and finished > moment
