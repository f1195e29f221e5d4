"""What is noted with an alert's change, in the same transaction, so that whoever is to be told of it will be."""

from __future__ import annotations

from typing import Literal

from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.ingest import failpoints
from nebuloviz.models import AlertOutbox

AlertNews = Literal["raised", "worsened", "over", "reopened"]


def note(session: Session, alert_id: int, event: AlertNews) -> None:
    """Somebody may want to hear of it. The caller's transaction commits it, with the alert's change or not at all."""
    failpoints.reach("before_outbox")
    session.add(AlertOutbox(alert_id=alert_id, event=event, created_at=utc_now()))
    session.flush()
    failpoints.reach("after_outbox")
