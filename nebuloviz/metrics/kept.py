"""Since when sale lines are kept, and whether there are orders that do not add up: what every answer depends on.

Of what is older there are sums, sets of customers, and the lines of orders that do not add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection, exists, select
from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import format_date
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.planner import Piece
from nebuloviz.models import Installation, SpreadOrder

FACTS_SINCE = "facts_since"

_SINCE = select(Installation.value).where(Installation.key == FACTS_SINCE)
_STANDING = select(_SINCE.scalar_subquery(), exists(select(SpreadOrder.order_id)))


class Standing:
    """What is so while one question is answered; read once, and only if it matters."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def facts_since(self) -> datetime | None:
        """As the function of that name."""
        return _moment(self._read[0])

    @property
    def orders_spread(self) -> bool:
        """Whether there are orders that do not add up."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[str | None, bool]:
        since, spread = self._session.connection().execute(_STANDING).one()
        return since, spread


def facts_since(where: Session | Connection) -> datetime | None:
    """The beginning of a month in UTC before which lines may be gone; None where all are kept."""
    return _moment(where.execute(_SINCE).scalar_one_or_none())


def _moment(found: str | None) -> datetime | None:
    return datetime.fromisoformat(found) if found else None


def demand_facts(standing: Standing, pieces: Iterable[Piece]) -> None:
    """Raise InvalidQuery if any of the pieces, which only facts can answer, lies where they may be gone."""
    first = min((piece.start for piece in pieces), default=None)
    if first is None:
        return
    since = standing.facts_since
    if since is not None and first < since:
        raise InvalidQuery(
            _(
                "Sale lines before {date} have been deleted. Choose a later range, or whole days and fewer dimensions.",
                date=format_date(since),
            )
        )
