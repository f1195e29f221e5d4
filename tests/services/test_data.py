import base64
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.orm import Session

from nebuloviz.cache import SALES, Cache, day_node
from nebuloviz.db import Database
from nebuloviz.errors import InvalidInput, InvalidQuery, PermissionDenied
from nebuloviz.ingest.sample_plan import HISTORY, NAME, settled_plan
from nebuloviz.metrics.calendar import day_floor, day_of
from nebuloviz.metrics.planner import FACTS
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.models import IngestOffset
from nebuloviz.permissions import SYSTEM, Actor, Permission
from nebuloviz.services.customer_sets import CustomerSetBuilder
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.frames import build_frame
from nebuloviz.services.interfaces import SaleLine
from nebuloviz.services.sale_pages import SORTABLE
from nebuloviz.services.scope import within_scope
from tests.figures import Growth
from tests.metrics import shop
from tests.metrics.shop import NOW

ZONE = ZoneInfo("UTC")
WEEK = Query(("revenue", "customers"), NOW - timedelta(days=7), NOW + timedelta(hours=1))
NORTHERNER = replace(SYSTEM, username="nora", scope=(("region", ("north",)),))
NOBODY = Actor(9, "nobody", "none", frozenset())


@pytest.fixture
def service() -> SalesDataService:
    return SalesDataService(Cache(secret="s" * 40), ZONE, now=lambda: NOW)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with 300 lines, for all who only read."""
    if request.param == "sqlite":
        template, path = request.getfixturevalue("_sqlite_template"), tmp_path_factory.mktemp("kept") / "kept.sqlite3"
        url = f"sqlite:///{shutil.copy(template, path)}"
    else:
        server = request.getfixturevalue("postgres")
        server.start()
        url = server.database_url(server.create_database(request.getfixturevalue("_postgres_template")))
    database = Database(url)
    _sell(database)
    yield database
    database.dispose()


@pytest.fixture
def session(kept: Database) -> Iterator[Session]:
    with kept.session() as session:
        yield session


@pytest.fixture
def own_session(database: Database) -> Iterator[Session]:
    """The same lines in a database that the test may write to."""
    _sell(database)
    with database.session() as session:
        yield session


def _sell(database: Database) -> None:
    shop.store(database, shop.lines(300, seed=5, first=NOW - timedelta(days=20)), ZONE)


class TestTheFigures:
    def test_tell_queries_by_the_rollup_that_answered_and_none_that_was_kept(
        self, service: SalesDataService, session: Session
    ) -> None:
        last = NOW.replace(minute=0, second=0)
        asked = [
            (Query(("revenue",), last - timedelta(days=7), last, grain="day"), "rollup_day"),
            (Query(("orders",), last - timedelta(days=7), last, grain="day"), "rollup_day"),
            (Query(("revenue",), last - timedelta(days=7), last, grain="hour"), "rollup_hour"),
            (Query(("revenue",), last - timedelta(days=7), last, dimensions=("region",)), "rollup_day_region"),
            (Query(("revenue",), last - timedelta(hours=3), last, grain="minute"), FACTS),
        ]
        since = Growth()
        began = time.monotonic()
        for query, _source in asked:
            service.frame(session, SYSTEM, query)
        took = time.monotonic() - began
        assert since.of("query_seconds_count") == Counter((source,) for _query, source in asked)
        seconds = since.of("query_seconds_sum")
        assert seconds.keys() == {(source,) for _query, source in asked}
        assert 0 < sum(seconds.values()) <= took
        since = Growth()
        for query, _source in asked:
            service.frame(session, SYSTEM, query)
        assert (since.of("query_seconds_count"), since.of("cache_requests_total")) == (
            {},
            {("sales", "hit"): len(asked)},
        )


class TestPermission:
    @pytest.mark.parametrize("method", ["frame", "sales", "values", "dimensions_in_use", "freshness", "stamp"])
    def test_is_needed_for_everything(self, service: SalesDataService, session: Session, method: str) -> None:
        arguments = {"frame": (WEEK,), "sales": (WEEK,), "values": ("store",)}.get(method, ())
        with pytest.raises(PermissionDenied):
            getattr(service, method)(session, NOBODY, *arguments)

    def test_to_read_figures_is_not_one_to_read_sale_lines(self, service: SalesDataService, session: Session) -> None:
        viewer = Actor(1, "v", "viewer", frozenset({Permission.DATA_READ}))
        assert service.frame(session, viewer, WEEK).data["revenue"].notna().all()
        with pytest.raises(PermissionDenied):
            service.sales(session, viewer, WEEK)


def test_the_samples_history_is_no_arrival_and_the_sample_is_named(
    service: SalesDataService, database: Database, own_session: Session
) -> None:
    before = service.freshness(own_session, SYSTEM)
    settled_plan(database, NOW)
    with database.transaction() as writing:
        later = NOW + timedelta(hours=1)
        writing.add(IngestOffset(topic=HISTORY.topic, partition=0, next_offset=1, updated_at=later))
    after = SalesDataService(Cache(secret="t" * 40), ZONE, now=lambda: NOW).freshness(own_session, SYSTEM)
    assert (before.sample, after.sample, after.last_arrival) == ("", NAME, before.last_arrival)


class TestScope:
    def test_is_all_that_is_counted(self, service: SalesDataService, session: Session) -> None:
        north = WEEK.with_(filters=(Filter("region", "in", ("north",)),))
        assert service.frame(session, NORTHERNER, WEEK).data.equals(service.frame(session, SYSTEM, north).data)

    def test_divides_what_is_cached(self, service: SalesDataService, session: Session) -> None:
        everything = service.frame(session, SYSTEM, WEEK).data["revenue"][0]
        assert service.frame(session, NORTHERNER, WEEK).data["revenue"][0] < everything

    def test_is_not_widened_by_a_filter_on_the_same_dimension(
        self, service: SalesDataService, session: Session
    ) -> None:
        wide = WEEK.with_(metrics=("lines",), filters=(Filter("region", "in", ("north", "south")),))
        service.frame(session, SYSTEM, wide)
        south = WEEK.with_(metrics=("lines",), filters=(Filter("region", "in", ("south",)),))
        assert service.frame(session, NORTHERNER, south).data["lines"].tolist() == [0.0]
        assert service.frame(session, NORTHERNER, wide).data.equals(
            service.frame(session, NORTHERNER, WEEK.with_(metrics=("lines",))).data
        )

    def test_of_nothing_shows_nothing(self, service: SalesDataService, session: Session) -> None:
        nothing = replace(SYSTEM, scope=(("store", ()),))
        assert service.frame(session, nothing, WEEK).data["revenue"].tolist() == [0.0]
        assert service.sales(session, nothing, WEEK).lines == ()
        assert service.freshness(session, nothing).lines == 0

    def test_holds_for_lines_values_and_freshness(self, service: SalesDataService, session: Session) -> None:
        assert {line.region for line in service.sales(session, NORTHERNER, WEEK).lines} == {"north"}
        assert [value for value, _ in service.values(session, NORTHERNER, "region")] == ["north"]
        assert "region" not in service.dimensions_in_use(session, NORTHERNER)
        assert 0 < service.freshness(session, NORTHERNER).lines < service.freshness(session, SYSTEM).lines


class TestTheCache:
    def test_keeps_an_answer_until_its_days_change(self, service: SalesDataService, database: Database) -> None:
        sales = shop.lines(200, seed=5, first=NOW - timedelta(days=5))
        shop.store(database, sales[:100], ZONE)
        with database.session() as session:
            before = service.frame(session, SYSTEM, WEEK).data
            shop.store(database, sales[100:], ZONE, offset=100)
            assert service.frame(session, SYSTEM, WEEK).data.equals(before)
            service._cache.invalidate(SALES)
            assert not service.frame(session, SYSTEM, WEEK).data.equals(before)

    def test_hears_with_the_next_news_of_what_another_process_has_stored(self, database: Database) -> None:
        clock = [NOW]
        service = SalesDataService(Cache(secret="s" * 40), ZONE, now=lambda: clock[0])
        sales = shop.lines(200, seed=5, first=NOW - timedelta(days=5))
        shop.store(database, sales[:100], ZONE)
        with database.session() as session:
            heard, before = service.stamp(session, SYSTEM), service.frame(session, SYSTEM, WEEK).data
        shop.store(database, sales[100:], ZONE, offset=100)
        clock[0] += timedelta(seconds=1)
        with database.session() as session:
            assert service.frame(session, SYSTEM, WEEK).data.equals(before)
            assert service.stamp(session, SYSTEM) != heard
            assert not service.frame(session, SYSTEM, WEEK).data.equals(before)

    def test_believes_no_answer_for_more_than_a_minute_however_it_was_made_of_others(self, database: Database) -> None:
        """Without Redis nobody tells of what other processes store, such as sales that are late, of days that are over."""
        seconds = [0.0]
        cache = Cache(secret="s" * 40, clock=lambda: seconds[0])
        service = SalesDataService(cache, ZONE, now=lambda: NOW + timedelta(seconds=seconds[0]))
        sales = shop.lines(200, seed=5, first=NOW - timedelta(days=5))

        def lines(form: str) -> bytes:
            query = WEEK.with_(metrics=("lines",), end=day_floor(NOW, ZONE))
            with database.session() as session:
                return service.rendered(session, SYSTEM, query, form, lambda frame: b"%d" % frame.data["lines"].iloc[0])

        shop.store(database, sales[:100], ZONE)
        before = lines("first")
        shop.store(database, sales[100:], ZONE, offset=100)
        seconds[0] = 59
        assert lines("second") == before, "made of what is kept of the days that are over"
        seconds[0] = 60
        assert lines("second") == lines("third") != before

    def test_never_keeps_an_answer_from_before_the_last_arrival(
        self, service: SalesDataService, database: Database
    ) -> None:
        sales = shop.lines(200, seed=5, first=NOW - timedelta(days=5))
        shop.store(database, sales[:100], ZONE)
        with database.session() as session:
            service.stamp(session, SYSTEM)  # on SQLite, the session sees the database as of now
            shop.store(database, sales[100:], ZONE, offset=100)
            service._cache.invalidate(SALES)
            kept = service.frame(session, SYSTEM, WEEK).data
        with database.session() as session:
            fresh = SalesDataService(Cache(secret="s" * 40), ZONE, now=lambda: NOW).frame(session, SYSTEM, WEEK).data
        assert kept.equals(fresh)

    def test_forgets_what_is_not_over_as_time_passes(self, session: Session) -> None:
        clock = [NOW]
        service = SalesDataService(Cache(secret="s" * 40), ZONE, now=lambda: clock[0])
        today = Query(("revenue",), NOW.replace(hour=0, minute=0), NOW.replace(hour=0, minute=0) + timedelta(days=1))
        first = service.frame(session, SYSTEM, today)
        clock[0] += timedelta(minutes=2)
        assert service.frame(session, SYSTEM, today).as_of > first.as_of


def test_news_of_today_leaves_what_is_kept_of_closed_days_and_news_of_theirs_does_not(
    service: SalesDataService, database: Database, own_session: Session
) -> None:
    best = WEEK.with_(metrics=("revenue",), dimensions=("product",), order="-revenue", limit=1)
    before = service.frame(own_session, SYSTEM, best).data["product"].tolist()
    own_session.rollback()
    (late,) = shop.lines(1, seed=9)
    late = late._replace(key=b"l" * 16, product_id="late", revenue=10**12, sold_at=NOW - timedelta(days=3))
    shop.store(database, [late], ZONE, offset=300)
    service._cache.invalidate(day_node(NOW.date()))
    assert service.frame(own_session, SYSTEM, best).data["product"].tolist() == before != ["late"]
    service._cache.invalidate(day_node(late.sold_at.date()))
    assert service.frame(own_session, SYSTEM, best).data["product"].tolist() == ["late"]


@st.composite
def rankings(draw: st.DrawFn) -> Query:
    """Questions for the first products or stores of a range that ends today; of few kinds, so that the same come again."""
    zone = ZoneInfo("Asia/Kathmandu")  # three quarters of an hour beside UTC
    start = draw(
        st.sampled_from(
            [NOW - timedelta(days=9), NOW - timedelta(days=9, hours=3), day_floor(NOW, zone) - timedelta(28)]
        )
    )
    order = draw(st.sampled_from(["revenue", "-revenue", "-units"]))
    return Query(
        (order.removeprefix("-"),),
        start,
        draw(st.sampled_from([NOW, day_floor(NOW, zone) + timedelta(days=1)])),
        dimensions=draw(st.sampled_from([("product",), ("store", "product")])),
        filters=draw(st.sampled_from([(), (Filter("channel", "in", ("web",)),)])),
        time_zone=zone.key,
        week_start=draw(st.sampled_from([0, 6])),
        grain=draw(st.sampled_from([None, "week"])),
        comparison=draw(st.sampled_from([None, "previous"])),
        order=order,
        limit=draw(st.integers(1, 5)),
        other=draw(st.booleans()),
    )


@pytest.mark.parametrize("installation", ["Asia/Kolkata", "America/New_York"])
def test_what_is_kept_of_closed_days_and_the_open_one_are_the_whole_whatever_arrives(
    database: Database, installation: str
) -> None:
    cache, zone = Cache(secret="s" * 40), ZoneInfo(installation)
    service = SalesDataService(cache, zone, now=lambda: NOW)
    sales, arrived = shop.lines(600, seed=11, first=NOW - timedelta(days=40)), [0]

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
    @given(st.lists(rankings(), min_size=5, max_size=5), st.sampled_from([SYSTEM, NORTHERNER]), st.integers(1, 40))
    def check(queries: list[Query], actor: Actor, count: int) -> None:
        late = sales[arrived[0] : arrived[0] + count]
        shop.store(database, late, zone, offset=arrived[0])
        arrived[0] += count
        cache.invalidate(*{day_node(day_of(sale.sold_at, zone)) for sale in late})
        with database.session() as session:
            for query in queries:
                whole, _ = build_frame(session, within_scope(query, actor), NOW, zone)
                note(query.key)
                assert service.frame(session, actor, query).data.equals(whole.data)

    check()


class TestSetsOfCustomers:
    def test_are_made_after_they_were_missed_and_change_no_figure(self, database: Database) -> None:
        _sell(database)
        sets = CustomerSetBuilder(database, ZONE)
        query = WEEK.with_(metrics=("customers",), grain="day")
        answers = []
        for _ in range(2):
            service = SalesDataService(Cache(secret="s" * 40), ZONE, now=lambda: NOW, sets=sets)
            with database.session() as fresh:
                answers.append(service.frame(fresh, SYSTEM, query).data)
            sets._executor.submit(int).result(30)  # after all that was asked for
        sets.close()
        assert answers[0].equals(answers[1])
        with database.session() as fresh:
            made = fresh.connection().exec_driver_sql("SELECT count(DISTINCT day) FROM day_members").scalar()
        assert made is not None
        assert made >= 6

    def test_are_not_made_again_at_once(self, database: Database) -> None:
        clock = [0.0]
        sets = CustomerSetBuilder(database, ZONE, clock=lambda: clock[0])
        asked: list[list[object]] = []
        sets._build = lambda column, days: asked.append([column, *days])  # type: ignore[method-assign]  # counts only
        missing = {("", NOW.date())}
        for moment in (0.0, 1.0, 59.0, 61.0):
            clock[0] = moment
            sets.want(missing)
        sets._executor.submit(int).result(30)
        sets.close()
        assert asked == [["", NOW.date()]] * 2


class TestSaleLines:
    @pytest.mark.parametrize("direction", ["", "-"])
    @pytest.mark.parametrize("field", list(SORTABLE))
    def test_can_be_ordered_by_every_column_and_each_comes_once(
        self, service: SalesDataService, session: Session, field: str, direction: str
    ) -> None:
        found: list[SaleLine] = []
        cursor = None
        while True:
            page = service.sales(session, SYSTEM, WEEK, cursor, limit=40, order=direction + field)
            found += page.lines
            cursor = page.next_cursor
            if cursor is None:
                break
        values = [getattr(line, field) for line in found]
        assert len({line.sale_id for line in found}) == len(found) == page.total > 80
        if not isinstance(values[0], str):  # texts are ordered as the database's language does
            assert values == sorted(values, reverse=direction == "-")

    @pytest.mark.parametrize("cursor", ["x", "e30=", "WzEsMiwzLDRd", "é", "=", "WyItc29sZF9hdCIsICJ4IiwgMSwgImFiIl0="])
    def test_with_a_made_up_cursor_are_refused(self, service: SalesDataService, session: Session, cursor: str) -> None:
        with pytest.raises(InvalidInput):
            service.sales(session, SYSTEM, WEEK, cursor)

    @pytest.mark.parametrize(
        ("order", "value"),
        [
            ("product", "a\ud800"),
            ("product", "a\x00"),
            ("product", 5),
            ("-revenue", 2**63),
            ("-revenue", -(2**64)),
            ("-revenue", 1.5),
            ("-revenue", None),
            ("-sold_at", 2**63),
        ],
    )
    def test_behind_a_value_that_no_line_has_are_refused(
        self, service: SalesDataService, session: Session, order: str, value: object
    ) -> None:
        cursor = base64.urlsafe_b64encode(json.dumps([order, value, 0, "00"]).encode()).decode()
        with pytest.raises(InvalidInput):
            service.sales(session, SYSTEM, WEEK, cursor, order=order)

    @pytest.mark.parametrize(
        ("limit", "order"), [(0, "-sold_at"), (1001, "-sold_at"), (10, "key"), (10, "--store"), (10, "")]
    )
    def test_of_an_impossible_page_are_refused(
        self, service: SalesDataService, session: Session, limit: int, order: str
    ) -> None:
        with pytest.raises(InvalidInput):
            service.sales(session, SYSTEM, WEEK, None, limit, order)


class TestLimits:
    def test_too_many_buckets_name_the_grain_that_would_do(self, service: SalesDataService, session: Session) -> None:
        query = Query(("revenue",), datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), grain="hour")
        with pytest.raises(InvalidQuery, match="day"):
            service.frame(session, SYSTEM, query)

    def test_too_many_rows_are_refused(self, service: SalesDataService, session: Session) -> None:
        query = WEEK.with_(dimensions=("product",), grain="minute", limit=100, start=NOW - timedelta(days=2), end=NOW)
        with pytest.raises(InvalidQuery, match="rows"):
            service.frame(session, SYSTEM, query)

    @pytest.mark.parametrize("year", [1, 9999])
    def test_ranges_at_the_ends_of_time_are_answered_or_refused(
        self, service: SalesDataService, session: Session, year: int
    ) -> None:
        start = datetime(year, 1, 1, tzinfo=UTC)
        for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
            for comparison in (None, "previous", "year"):
                end = start + timedelta(days=300)
                try:
                    asked = Query(("revenue",), start, end, grain="month", time_zone=zone, comparison=comparison)
                    data = service.frame(session, SYSTEM, asked).data
                except InvalidQuery:
                    continue
                assert data["revenue"].fillna(0.0).sum() == 0.0

    def test_all_of_time_is_one_bucket_without_a_grain(self, service: SalesDataService, session: Session) -> None:
        query = Query(("lines",), datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
        assert service.frame(session, SYSTEM, query).data["lines"].tolist() == [300.0]


class TestProducts:
    @pytest.mark.parametrize(("search", "count"), [("product 3", 1), ("PRODUCT", 8), ("p3", 1), ("%", 0), ("_", 0)])
    def test_are_found_by_name_or_number(
        self, service: SalesDataService, session: Session, search: str, count: int
    ) -> None:
        found = service.values(session, SYSTEM, "product", search)
        assert len(found) == count
        assert all(label.startswith("Product") for _, label in found)


@pytest.mark.parametrize("actor", [SYSTEM, NORTHERNER], ids=["all", "some"])
def test_how_many_lines_there_are_is_added_up_from_days(
    service: SalesDataService, session: Session, kept: Database, actor: Actor
) -> None:
    """It is asked with every batch: the lines of an hour that has just begun are too many to be counted."""
    said: list[str] = []

    def note_down(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(" ".join(statement.split()))

    event.listen(kept.engine, "before_cursor_execute", note_down)
    try:
        lines = service.freshness(session, actor).lines
    finally:
        event.remove(kept.engine, "before_cursor_execute", note_down)
    everything = Query(("lines",), NOW - timedelta(days=900), NOW + timedelta(days=2))
    assert lines == service.frame(session, actor, everything).data["lines"].iloc[0] > 0
    counting = [statement for statement in said if "AS lines" in statement]
    assert counting
    assert not [statement for statement in counting if "sale.sold_at" in statement]
