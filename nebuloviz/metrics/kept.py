"""Since when sale lines are kept. Of what is older there are sums, sets of customers, and the lines of orders that do not add up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import format_date
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.planner import Piece
from nebuloviz.models import Installation

FACTS_SINCE = "facts_since"


def facts_since(where: Session | Connection) -> datetime | None:
    """The beginning of a month in UTC before which lines may be gone; None where all are kept."""
    found = where.execute(select(Installation.value).where(Installation.key == FACTS_SINCE)).scalar_one_or_none()
    return datetime.fromisoformat(found) if found else None


def demand_facts(session: Session, pieces: Iterable[Piece]) -> None:
    """Raise InvalidQuery if any of the pieces, which only facts can answer, lies where they may be gone."""
    first = min((piece.start for piece in pieces), default=None)
    if first is None:
        return
    since = facts_since(session)
    if since is not None and first < since:
        raise InvalidQuery(
            _(
                "Sale lines before {date} have been deleted. Choose a later range, or whole days and fewer dimensions.",
                date=format_date(since),
            )
        )
