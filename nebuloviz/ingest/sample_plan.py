"""Where in time the sample stands: a year of real supermarket sales, moved by whole weeks so that it goes on now.

What lies before the first start is history, what lies behind it is live. Both are numbered in an order that follows from the file
and from the one decision stored here, so a restart continues where the sink stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select

from nebuloviz.db import Database
from nebuloviz.ingest.sources import Partition
from nebuloviz.models import Installation

HISTORY: Final = Partition("sample:history", 0)
LIVE: Final = Partition("sample:live", 0)
NAME: Final = "The Complete Journey"
CURRENCY: Final = "USD"

DAY_SECONDS: Final = 86_400
WEEK_SECONDS: Final = 7 * DAY_SECONDS
#: The first 44 weeks end here; a week of the file begins on Monday at this time.
HISTORY_END: Final = int(datetime(2017, 10, 30, 4, tzinfo=UTC).timestamp())
PLAN_KEY: Final = "sample"


@dataclass(frozen=True)
class Plan:
    """The decision taken at the first start: by how many weeks the file is moved, and the moment of the file that was then 'now'."""

    weeks: int
    cut: int

    @property
    def shift_seconds(self) -> int:
        return self.weeks * WEEK_SECONDS


def plan_at(now: datetime) -> Plan:
    """Move the file by the whole weeks that bring the end of its 44th week to at most a week before `now`."""
    weeks = (int(now.timestamp()) - HISTORY_END) // WEEK_SECONDS
    return Plan(weeks, int(now.timestamp()) - weeks * WEEK_SECONDS)


def settled_plan(database: Database, now: datetime) -> Plan:
    """The stored plan; made and stored at the first call."""
    with database.transaction() as session:
        stored = session.execute(select(Installation.value).where(Installation.key == PLAN_KEY)).scalar_one_or_none()
        if stored is not None:
            return Plan(**json.loads(stored))
        plan = plan_at(now)
        session.add(Installation(key=PLAN_KEY, value=json.dumps({"weeks": plan.weeks, "cut": plan.cut})))
        return plan


#: What helps where sales of one's own would be counted together with the sample's.
OWN_DATABASE: Final = "Sales of your own belong in another one: NEBULOVIZ_DATA_DIR=FOLDER, and serve --no-demo."


def is_started(database: Database) -> bool:
    """Whether this installation shows the sample already."""
    with database.session() as session:
        return session.get(Installation, PLAN_KEY) is not None
