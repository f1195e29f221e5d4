from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event

from nebuloviz.db import Database
from nebuloviz.ingest.recount import rebuild
from nebuloviz.metrics import registry
from nebuloviz.metrics.calendar import ONE_DAY, midnight
from nebuloviz.metrics.customer_sets import HOURS, build
from nebuloviz.metrics.query import COMPARISONS, Filter, Grain, Query
from nebuloviz.metrics.registry import DIMENSIONS, METRICS
from nebuloviz.models import SaleRow
from nebuloviz.services.frames import build_frame
from tests.metrics import recount, shop
from tests.metrics.shop import FIRST, NOW

UTC_ZONE = ZoneInfo("UTC")
ZONES = ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe")
VALUES = {
    "region": ("north", "south", ""),
    "category": ("category 0", "category 1"),
    "product": ("p1", "p2", "p3"),
    "channel": ("web",),
}
#: The longest range that is tried at each grain.
LONGEST: dict[Grain | None, timedelta] = {
    None: timedelta(days=300),
    "minute": timedelta(minutes=40),
    "quarter_hour": timedelta(hours=8),
    "hour": timedelta(hours=40),
    "day": timedelta(days=33),
    "week": timedelta(days=90),
    "month": timedelta(days=200),
    "quarter": timedelta(days=300),
    "year": timedelta(days=400),
}


@st.composite
def queries(draw: st.DrawFn) -> Query:
    grain = draw(st.sampled_from(list(LONGEST)))
    zone = draw(st.sampled_from(ZONES))
    start, length = draw(_starts(zone)), draw(st.floats(0.02, 1)) * LONGEST[grain]
    end = draw(_rounded(start + length, zone))
    metrics = draw(st.lists(st.sampled_from([entry.slug for entry in METRICS]), min_size=1, max_size=4))
    dimensions = draw(st.lists(st.sampled_from([entry.slug for entry in DIMENSIONS]), max_size=2))
    limit = draw(st.none() | st.integers(1, 4)) if dimensions else None
    return Query(
        metrics=tuple(metrics),
        start=start,
        end=end if start < end <= start + 2 * LONGEST[grain] else start + length,
        dimensions=tuple(dimensions),
        grain=grain,
        filters=tuple(draw(st.lists(_filters(), max_size=2))),
        time_zone=zone,
        week_start=draw(st.sampled_from([0, 6])),
        comparison=draw(st.none() | st.sampled_from(COMPARISONS)),
        order=draw(st.sampled_from([None, *metrics, *(f"-{slug}" for slug in metrics)])),
        limit=limit,
        other=draw(st.booleans()),
    )


def _starts(zone: str) -> st.SearchStrategy[datetime]:
    """Moments with sales after them, some on midnights, some around a change of clocks."""
    changes = [
        datetime(2026, 3, 7, 9, tzinfo=UTC),
        datetime(2026, 10, 31, 9, tzinfo=UTC),
        datetime(2026, 4, 3, 16, tzinfo=UTC),
    ]
    free = st.datetimes(
        FIRST.replace(tzinfo=None), (NOW - timedelta(hours=6)).replace(tzinfo=None), timezones=st.just(UTC)
    )
    return (free | st.sampled_from(changes)).flatmap(lambda moment: _rounded(moment, zone))


def _rounded(moment: datetime, zone: str) -> st.SearchStrategy[datetime]:
    """The moment itself, or the whole hour, day or month of the zone before it (or after, lest a range be empty)."""
    local = moment.astimezone(ZoneInfo(zone))
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    later = (day + timedelta(days=32)).replace(day=1)
    return st.sampled_from([moment, local.replace(minute=0, second=0, microsecond=0), day, day.replace(day=1), later])


def _filters() -> st.SearchStrategy[Filter]:
    def of(slug: str) -> st.SearchStrategy[Filter]:
        values = st.lists(st.sampled_from(VALUES[slug]), min_size=1, max_size=2)
        return st.builds(Filter, st.just(slug), st.sampled_from(["in", "not_in"]), values.map(tuple))

    return st.sampled_from(sorted(VALUES)).flatmap(of)


def found_in(frame: pd.DataFrame, query: Query) -> dict[tuple[Any, ...], dict[str, float]]:
    """A frame as the recount gives it: (bucket in UTC or None, *values) -> figures."""
    rows = frame.to_dict(orient="records")
    names = [*query.metrics, *(f"{slug}:comparison" for slug in query.metrics if query.comparison)]
    return {
        (
            row["bucket"].to_pydatetime().astimezone(UTC) if query.grain else None,
            *(row[slug] for slug in query.dimensions),
        ): {name: row[name] for name in names}
        for row in rows
    }


def assert_equal(
    found: dict[tuple[Any, ...], dict[str, float]], wanted: dict[tuple[Any, ...], dict[str, float]]
) -> None:
    assert found.keys() == wanted.keys()
    for key, figures in found.items():
        assert figures == pytest.approx(
            {name: wanted[key][name] for name in figures}, rel=1e-9, abs=1e-9, nan_ok=True
        ), key


def build_sets(database: Database, zone: ZoneInfo, of: int = 2) -> None:
    """The sets of customers of every other (third ..) fortnight, so that answers mix them with facts."""
    days = [(FIRST + timedelta(days=day)).date() for day in range(421) if day // 14 % of]
    with database.transaction() as session:
        for column in ("", HOURS, "region", "category", "store"):
            build(session, column, days, zone)


class TestAFrame:
    @pytest.mark.parametrize("installation", ["UTC", "Asia/Kolkata", "America/New_York"])
    def test_equals_a_recount_of_the_lines_whatever_answers_it(self, database: Database, installation: str) -> None:
        zone, sales = ZoneInfo(installation), shop.lines(515, seed=7)
        shop.store(database, sales[:400], zone)
        build_sets(database, zone)
        shop.store(database, sales[400:460], zone, offset=400)  # of many days: what some of the sets lack is not known
        shop.store_one_by_one(database, sales[460:485], zone, offset=460)  # and of others it is
        build_sets(database, zone, of=3)
        shop.store_one_by_one(database, sales[485:], zone, offset=485)
        table = shop.table(sales)

        @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
        @given(queries().filter(lambda query: query.start < NOW))
        def check(query: Query) -> None:
            with database.session() as session:
                frame, _ = build_frame(session, query, NOW, zone)
            note(query.key)
            assert_equal(found_in(frame.data, query), recount.recount(table, query, NOW))

        check()

    def test_is_the_same_whoever_ranks(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """Few values are all read, and ranked here; of many the database ranks first."""
        shop.store(database, shop.lines(300, seed=11), UTC_ZONE)
        month = (NOW - timedelta(days=28), NOW)
        asked = [
            Query(("revenue", "units"), *month, (slug,), limit=limit, other=other, order=order, comparison=comparison)
            for slug in ("category", "region")
            for limit in (1, 2, 5)
            for other in (False, True)
            for order in (None, "units", "-revenue")
            for comparison in (None, "previous")
        ]

        def frames() -> list[pd.DataFrame]:
            with database.session() as session:
                return [build_frame(session, query, NOW, UTC_ZONE)[0].data for query in asked]

        here = frames()
        monkeypatch.setattr(registry, "DIMENSIONS", [replace(entry, few=False) for entry in DIMENSIONS])
        for query, one, other in zip(asked, here, frames(), strict=True):
            pd.testing.assert_frame_equal(one, other, obj=query.key)

    def test_in_order_of_a_metric_has_what_was_sold_before_at_hours_still_to_come(self, database: Database) -> None:
        day = datetime(2026, 11, 22, tzinfo=UTC)
        moments = {"now": day, "then": day - ONE_DAY, "later then": day - ONE_DAY + timedelta(hours=20)}
        sales = [
            line._replace(sold_at=moment, region=region)
            for line, (region, moment) in zip(shop.lines(3, seed=1), moments.items(), strict=True)
        ]
        shop.store(database, sales, UTC_ZONE)
        query = Query(
            ("revenue",), day, day + ONE_DAY, ("region",), grain="hour", order="-revenue", comparison="previous"
        )
        with database.session() as session:
            frame, _ = build_frame(session, query, NOW, UTC_ZONE)
        assert frame.data["region"].tolist() == ["now", "then", "later then"]

    def test_asks_once_where_there_are_few_values(self, database: Database) -> None:
        shop.store(database, shop.lines(50, seed=11), UTC_ZONE)
        statements: list[str] = []
        event.listen(database.engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
        for slug in ("region", "store"):
            with database.session() as session:
                build_frame(session, Query(("revenue",), FIRST, NOW, (slug,), limit=2), NOW, UTC_ZONE)
        read = [sum(f"FROM rollup_day_{slug}" in text for text in statements) for slug in ("region", "store")]
        assert read == [1, 2]

    @pytest.mark.parametrize("column", ["", HOURS, "category"])
    def test_looks_only_for_customers_who_may_be_new(self, database: Database, column: str) -> None:
        """Nobody could count again what is no longer there: the lines of the morning are deleted behind its back."""
        day = datetime(2026, 11, 20, tzinfo=UTC)
        sales = [
            line._replace(sold_at=day + timedelta(hours=8 + place), customer_id=f"c{place}", category="all")
            for place, line in enumerate(shop.lines(10, seed=3))
        ]
        shop.store(database, sales[:5], UTC_ZONE)
        with database.transaction() as session:
            build(session, column, [day.date()], UTC_ZONE)
            session.execute(delete(SaleRow))
        shop.store_one_by_one(database, sales[5:8], UTC_ZONE, offset=5)
        asked = Query(
            ("customers",),
            day,
            day + timedelta(hours=20) if column == HOURS else day + timedelta(days=1),
            dimensions=("category",) if column == "category" else (),
        )
        with database.session() as session:
            frame, missing = build_frame(session, asked, NOW, UTC_ZONE)
        assert (frame.data["customers"].tolist(), missing) == ([8.0], {(column, day.date())})
        with database.transaction() as session:
            build(session, column, [day.date()], UTC_ZONE)
            session.execute(delete(SaleRow))
        shop.store_one_by_one(database, sales[8:], UTC_ZONE, offset=8)
        with database.session() as session:
            frame, missing = build_frame(session, asked, NOW, UTC_ZONE)
        assert frame.data["customers"].tolist() == [10.0]

    def test_looks_for_all_customers_where_it_is_not_known_who_is_new(self, database: Database) -> None:
        day = datetime(2026, 11, 20, tzinfo=UTC)
        known, *others = [
            line._replace(sold_at=day - timedelta(days=max(place - 1, 0)), customer_id=f"c{place}")
            for place, line in enumerate(shop.lines(7, seed=3))
        ]
        shop.store(database, [known], UTC_ZONE)
        with database.transaction() as session:
            build(session, "", [day.date()], UTC_ZONE)
        shop.store(database, others, UTC_ZONE, offset=1)  # of six days, the first of which is that of the set
        with database.session() as session:
            frame, _ = build_frame(session, Query(("customers",), day, day + timedelta(days=1)), NOW, UTC_ZONE)
        assert frame.data["customers"].tolist() == [2.0]

    def test_a_day_of_another_zone_is_another_day(self, database: Database) -> None:
        elsewhere, day = ZoneInfo("America/New_York"), date(2026, 11, 20)
        early, late = (
            line._replace(sold_at=datetime(2026, 11, 20, hour, tzinfo=UTC), customer_id=f"at {hour}")
            for hour, line in zip((2, 12), shop.lines(2, seed=1), strict=True)
        )
        asked = Query(("customers",), midnight(day, elsewhere), midnight(day + ONE_DAY, elsewhere))
        shop.store(database, [early], UTC_ZONE)
        rebuild(database, "UTC")  # that is its zone
        with database.transaction() as session:
            build(session, "", [day], UTC_ZONE)
        rebuild(database, elsewhere.key)  # there it is still the evening before
        with database.session() as session:
            assert build_frame(session, asked, NOW, elsewhere)[0].data["customers"].tolist() == [0.0]
        shop.store(database, [late], elsewhere, offset=1)
        with database.transaction() as session:
            build(session, "", [day], elsewhere)
        with database.session() as session:
            assert build_frame(session, asked, NOW, elsewhere)[0].data["customers"].tolist() == [1.0]

    def test_counts_an_order_once_that_lies_on_two_days_of_one_utc_hour(self, database: Database) -> None:
        zone = ZoneInfo("Asia/Kolkata")  # its days begin at half past
        midnight = datetime(2026, 11, 19, 18, 30, tzinfo=UTC)
        first, second = shop.lines(2, seed=1)
        minutes = timedelta(minutes=10)
        where: dict[str, Any] = {"order_id": "o", "region": "", "channel": "web", "store": "1"}
        sales = [
            first._replace(sold_at=midnight - minutes, **where),
            second._replace(sold_at=midnight + minutes, **where),
        ]
        shop.store(database, sales, zone)
        query = Query(("orders",), midnight - timedelta(days=1), midnight + timedelta(days=1), time_zone=zone.key)
        with database.session() as session:
            frame, _ = build_frame(session, query, NOW, zone)
        assert frame.data["orders"].tolist() == [1.0]
