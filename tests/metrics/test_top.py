"""What a limit keeps: closed days are read once, and the open day's sales are put into their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from nebuloviz.db import Database
from nebuloviz.metrics import top
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.calendar import day_floor
from nebuloviz.metrics.closed import ClosedDays
from nebuloviz.metrics.planner import Slice
from nebuloviz.metrics.registry import metric
from nebuloviz.metrics.top import Amounts, ranked
from tests.metrics import shop
from tests.metrics.shop import NOW

ZONE = ZoneInfo("Asia/Kolkata")
TODAY = day_floor(NOW, ZONE)
SPAN = Bucket(NOW - timedelta(days=20), NOW + timedelta(days=1))


class Memory:
    """Keeps for ever what it has read of closed days, and knows how often it has."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.kept: dict[str, Amounts | None] = {}

    def __call__(self, key: str, span: Bucket, read: Callable[[Session], Amounts | None]) -> Amounts | None:
        if span.end > TODAY:
            return read(self.session)
        if key not in self.kept:
            self.kept[key] = read(self.session)
        return self.kept[key]


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    shop.store(database, shop.lines(200, seed=3, first=NOW - timedelta(days=25)), ZONE)
    with database.session() as session:
        yield session


def first(
    session: Session, memory: Memory | None, slug: str = "revenue", span: Bucket = SPAN, limit: int = 3
) -> list[tuple[str, ...]]:
    asked = Slice((span,), ("product",), (), frozenset())
    closed = ClosedDays(TODAY, memory) if memory else None
    return ranked(session, asked, metric(slug), ZONE, limit, descending=True, closed=closed)


def test_closed_days_are_read_once_and_sales_of_today_are_added(database: Database, session: Session) -> None:
    memory = Memory(session)
    assert first(session, memory) == first(session, None)
    session.rollback()
    (best,) = shop.lines(1, seed=9)
    best = best._replace(sale_id="best", key=b"b" * 16, product_id="new", revenue=10**12, sold_at=NOW)
    shop.store(database, [best], ZONE, offset=200)
    found = first(session, memory, limit=9)
    assert (found, found[0], len(memory.kept)) == (first(session, None, limit=9), ("new",), 1)


@pytest.mark.parametrize(
    ("slug", "span"),
    [
        ("revenue", SPAN._replace(start=TODAY)),
        ("discount_rate", SPAN),
        ("orders", SPAN),
        ("customers", SPAN),
    ],
)
def test_what_is_of_today_or_does_not_add_up_is_not_kept(session: Session, slug: str, span: Bucket) -> None:
    memory = Memory(session)
    assert first(session, memory, slug, span) == first(session, None, slug, span)
    assert not memory.kept


@pytest.mark.parametrize("end", [TODAY, TODAY - timedelta(days=3, minutes=7)])
def test_what_is_over_is_kept_whole(session: Session, end: datetime) -> None:
    memory = Memory(session)
    over = SPAN._replace(end=end)
    assert [first(session, memory, span=over) for _ in range(2)] == [first(session, None, span=over)] * 2
    assert len(memory.kept) == 1


def test_too_many_are_not_kept(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "_MAX_KEPT", 2)
    memory = Memory(session)
    assert first(session, memory) == first(session, None)
    assert list(memory.kept.values()) == [None]
