"""Old sale lines go and every figure that their sums tell stays as it was; what sums do not tell is refused, not guessed."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import delete, func, select, text

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.errors import InvalidInput, InvalidQuery
from nebuloviz.ingest.recount import differences, rebuild
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.metrics.customer_sets import build
from nebuloviz.metrics.kept import facts_since
from nebuloviz.metrics.query import Grain, Query
from nebuloviz.models import DayArrival, DeadLetter, IngestOffset, SaleRow, SpreadOrder
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.interfaces import InstallationSettings
from nebuloviz.services.roll_off import RollOff
from tests.ingest.support import NOW, shop, write

ZONE = ZoneInfo("Europe/Berlin")
FIRST_KEPT = datetime(2026, 2, 1, tzinfo=UTC)
SOLD = [orjson.dumps(sale) for sale in shop(400, seed=5, days=120)]  # from December on
START, CUT, END = (datetime(*day, tzinfo=ZONE) for day in ((2025, 12, 5), (2026, 2, 2), (2026, 3, 28)))


@pytest.fixture
def filled(database: Database) -> Database:
    write(DatabaseSink(database, ZONE), SOLD)
    return database


def roll_off(database: Database, months: int = 1) -> RollOff:
    """One that keeps March and February."""
    settings = InstallationSettings(facts_months=months)
    return RollOff(database, lambda: settings, ZONE, lambda: NOW)


def finish(job: RollOff) -> None:
    """It says what will go, then lets those end who have begun before, then deletes."""
    assert [job.step(), job.step()] == [False, False]
    while job.step():
        pass


def query(
    start: datetime, end: datetime, *metrics: str, by: tuple[str, ...] = (), grain: Grain | None = "day"
) -> Query:
    return Query(metrics=metrics, dimensions=by, start=start, end=end, grain=grain, time_zone="Europe/Berlin")


QUERIES = [
    query(START, END, "revenue", "units", "orders", "customers", "returns"),
    query(START, END, "orders", "customers", grain=None),
    query(START, END, "orders", "customers", grain="month"),
    query(START, END, "revenue", "orders", "customers", by=("region",), grain=None),
    query(START, END, "revenue", by=("product",), grain=None),
    query(START, END, "revenue", "units", by=("region", "store"), grain="week"),
]


def answers(database: Database, questions: list[Query] = QUERIES) -> list[list[Any]]:
    service = SalesDataService(Cache(None, secret="of this test"), ZONE, lambda: NOW)
    with database.session() as session:
        frames = [service.frame(session, SYSTEM, question).data for question in questions]
    return [frame.to_dict("records") for frame in frames]


def count(database: Database, condition: Any) -> int:
    with database.session() as session:
        return session.scalar(select(func.count()).select_from(SaleRow).where(condition)) or 0


def test_figures_stay_and_lines_go(filled: Database) -> None:
    before, recent = answers(filled), count(filled, SaleRow.sold_at >= FIRST_KEPT)
    finish(roll_off(filled))
    assert answers(filled) == before
    spread = select(SpreadOrder.order_id)
    assert count(filled, (SaleRow.sold_at < FIRST_KEPT) & SaleRow.order_id.not_in(spread)) == 0
    assert count(filled, SaleRow.sold_at < FIRST_KEPT) > 0, "orders that do not add up are counted by their lines"
    assert count(filled, SaleRow.sold_at >= FIRST_KEPT) == recent
    assert differences(filled, str(ZONE)) == []


@pytest.mark.parametrize(
    "question",
    [
        query(START, END, "orders", by=("region", "store"), grain=None),
        query(START, END, "revenue", by=("product", "region"), grain=None),
        query(START + timedelta(minutes=20), END, "revenue", grain=None),
        query(START, END, "customers", by=("region", "store"), grain=None),
    ],
    ids=["of what does not add up", "finer than any sum", "of parts of an hour", "of sets that nobody keeps"],
)
def test_what_only_the_lines_told_is_refused_until_the_range_is_later(filled: Database, question: Query) -> None:
    answers(filled, [question])
    later = query(CUT, END, *question.metrics, by=question.dimensions, grain=None)
    before = answers(filled, [later])
    finish(roll_off(filled))
    with pytest.raises(InvalidQuery, match="Feb 1, 2026"):
        answers(filled, [question])
    assert answers(filled, [later]) == before


def test_lines_are_shown_from_where_they_are_kept(filled: Database) -> None:
    service = SalesDataService(Cache(None, secret="of this test"), ZONE, lambda: NOW)
    finish(roll_off(filled))
    with filled.session() as session:
        with pytest.raises(InvalidQuery, match="have been deleted"):
            service.sales(session, SYSTEM, query(START, END, "revenue"))
        assert service.sales(session, SYSTEM, query(CUT, END, "revenue")).total > 0
        freshness = service.freshness(session, SYSTEM)
    assert freshness.lines == len(SOLD)
    assert freshness.first_sale is not None
    assert freshness.first_sale.astimezone(ZONE).date() == date(2025, 12, 1)


def test_nothing_goes_before_everybody_could_know_and_nothing_goes_by_default(filled: Database) -> None:
    lines = count(filled, text("1 = 1"))
    assert not roll_off(filled, months=0).step()
    with filled.session() as session:
        assert facts_since(session) is None
    assert not roll_off(filled).step()
    with filled.session() as session:
        assert facts_since(session) == FIRST_KEPT
    assert not roll_off(filled).step(), "another process has just learned of it"
    assert count(filled, text("1 = 1")) == lines


def test_known_sales_are_still_known_and_new_ones_come_too_late(filled: Database) -> None:
    finish(roll_off(filled))
    before = answers(filled)
    late = orjson.loads(SOLD[0]) | {"sale_id": "late", "order_id": "late", "sold_at": "2026-01-31T12:00:00Z"}
    write(DatabaseSink(filled, ZONE), [*SOLD[:50], orjson.dumps(late)])
    with filled.session() as session:
        offset = session.scalars(select(IngestOffset)).one()
        assert (offset.n_duplicate, offset.n_rejected) == (50, 1)
        assert session.scalars(select(DeadLetter.reason)).one() == "too_late"
    assert answers(filled) == before


def test_who_bought_on_a_day_that_was_cut_through_is_not_counted_from_the_rest_of_it(filled: Database) -> None:
    """A late sale of that day is stored, and by the time somebody asks it is not known any more from when on it is new."""
    finish(roll_off(filled))
    late = {"sale_id": "late", "order_id": "late", "customer_id": "late", "sold_at": "2026-02-01T10:00:00Z"}
    write(DatabaseSink(filled, ZONE), [orjson.dumps({**orjson.loads(SOLD[0]), **late})])
    with filled.transaction() as session:
        session.execute(delete(DayArrival))
    day = datetime(2026, 2, 1, tzinfo=ZONE)  # which begins an hour before the lines that are kept
    question = query(day, day + timedelta(days=1), "customers")
    for _ in range(2):
        with pytest.raises(InvalidQuery):
            answers(filled, [question])
        with filled.transaction() as session:
            build(session, "", [day.date()], ZONE)


def test_a_rebuild_leaves_what_it_cannot_make_anew(filled: Database) -> None:
    finish(roll_off(filled))
    before = answers(filled)
    rebuild(filled, str(ZONE))
    assert answers(filled) == before
    with pytest.raises(InvalidInput, match="time zone"):
        rebuild(filled, "Asia/Tokyo")


def test_the_next_month_goes_as_well(filled: Database) -> None:
    finish(roll_off(filled, months=2))
    before = answers(filled)
    finish(roll_off(filled))
    with filled.session() as session:
        assert facts_since(session) == FIRST_KEPT
    assert answers(filled) == before
