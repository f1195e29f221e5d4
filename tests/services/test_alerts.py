import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select

from nebuloviz.errors import Conflict, PermissionDenied
from nebuloviz.metrics.query import Filter, Grain, Query
from nebuloviz.models import Alert, Expectation, Product
from nebuloviz.permissions import ROLES, SYSTEM, Actor, Permission, required_permission
from nebuloviz.services.alert_life import Snoozes
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.interfaces import AlertService, Contribution, RevenueSplit
from tests.services.conftest import on_both_databases
from tests.services.watched_shop import LEARNED, Shop, payloads, write

DAY = timedelta(days=1)
Row = tuple[datetime, float, float, float]  # bucket, expected, low, high
Ask = Callable[[Query], list[Row]]
Hours = dict[datetime, Expectation]


def actor(role: str) -> Actor:
    return Actor(1, "somebody", role, ROLES[role])


def raise_alert(shop: Shop, **fields: object) -> int:
    """An alert about Monday from noon to three, as the detector writes it."""
    usual: dict[str, object] = {
        "detector": "series",
        "series": "orders",
        "metric": "orders",
        "dimensions": "{}",
        "bucket_start": LEARNED + timedelta(hours=12),
        "bucket_end": LEARNED + timedelta(hours=15),
        "observed": 40.0,
        "expected": 70.0,
        "score": 2.0,
        "severity": "high",
        "created_at": shop.now,
        "updated_at": shop.now,
    }
    with shop.database.transaction() as session:
        alert = Alert(**{**usual, **fields})
        session.add(alert)
        session.flush()
        return alert.id


def causes(shop: Shop, alert_id: int, limit: int = 3) -> list[Contribution]:
    with shop.database.session() as session:
        return list(shop.alerts.explanation(session, SYSTEM, alert_id, limit).causes)


class TestPermissions:
    def test_every_method_asks_for_one(self) -> None:
        names = AlertService.__abstractmethods__
        asked = {name: required_permission(getattr(DatabaseAlerts, name)) for name in names}
        changing = {name for name, permission in asked.items() if permission is Permission.ALERTS_MANAGE}
        assert changing == {
            "acknowledge", "assign", "assignable", "comment", "judge", "reopen", "resolve", "snooze", "unjudge",
        }  # fmt: skip
        assert all(asked[name] is Permission.ALERTS_READ for name in names - changing)

    def test_who_may_only_look_changes_nothing(self, shop: Shop) -> None:
        alert = raise_alert(shop)
        with shop.database.transaction() as session:
            assert shop.alerts.get(session, actor("viewer"), alert).state == "open"
            with pytest.raises(PermissionDenied):
                shop.alerts.resolve(session, actor("viewer"), alert)
            assert shop.alerts.resolve(session, actor("analyst"), alert).state == "resolved"


@on_both_databases
def test_of_two_who_decide_at_the_same_moment_one_is_told(shop: Shop) -> None:
    alert = raise_alert(shop)
    outcomes: list[str] = []

    def resolve() -> None:
        try:
            with shop.database.transaction() as session:
                everybody_has_read.wait()
                shop.alerts.resolve(session, SYSTEM, alert)
            outcomes.append("resolved")
        except Conflict:
            outcomes.append("told")

    # SQLite lets one writer in at a time, so the second could not have read yet
    everybody_has_read = threading.Barrier(1 if shop.database.is_sqlite else 2)
    both = [threading.Thread(target=resolve) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(outcomes) == ["resolved", "told"]


class TestExplanation:
    @on_both_databases
    @pytest.mark.parametrize(
        ("without", "dimension"), [("south", "region"), ("web", "channel"), ("north", "region"), ("shop", "channel")]
    )
    def test_names_the_segment_that_went_missing(self, shop: Shop, without: str, dimension: str) -> None:
        shop.sell(LEARNED + timedelta(hours=12))
        shop.sell_hours(3, [without])
        first = causes(shop, raise_alert(shop))[0]
        assert (first.dimensions, first.observed) == ({dimension: without}, 0.0)
        assert first.expected > 10
        assert first.share > 0.7

    @pytest.mark.parametrize(("segment", "value"), [("channel", "web"), ("category", "food")])
    def test_of_a_part_that_moved_with_all_names_all(self, shop: Shop, segment: str, value: str) -> None:
        shop.sell(LEARNED + timedelta(hours=12))
        shop.sell_hours(3, ["north", "south"])
        series = {"series": f"orders|{segment}={value}", "dimensions": json.dumps({segment: value}), "observed": 0.0}
        (first,) = causes(shop, raise_alert(shop, **series))
        assert (first.dimensions, first.observed) == ({}, 0.0)
        assert first.share == pytest.approx(1.0)

    def test_says_of_the_judged_hours_what_the_alert_says(self, shop: Shop) -> None:
        shop.sell(LEARNED + timedelta(hours=12))
        shop.sell_hours(3, ["north", "south"])
        judged = {"judged_start": LEARNED + timedelta(hours=13), "judged_end": LEARNED + timedelta(hours=14)}
        (first,) = causes(shop, raise_alert(shop, observed=0.0, expected=17.5, **judged))
        assert not first.dimensions
        assert first.observed == 0.0
        assert first.expected == pytest.approx(17.5)

    def test_of_a_segment_names_its_part_that_moved(self, shop: Shop) -> None:
        shop.sell(LEARNED + timedelta(hours=12))
        shop.sell_hours(3, ["web"])
        alert = raise_alert(shop, series="orders|region=north", dimensions='{"region": "north"}')
        assert causes(shop, alert)[0].dimensions in ({"channel": "web"}, {"channel": "web", "region": "north"})

    def test_segments_do_not_overlap_and_leave_the_rest(self, shop: Shop) -> None:
        shop.sell(LEARNED + timedelta(hours=12))
        shop.sell_hours(3, ["south"])
        alert = raise_alert(shop, metric="revenue", series="revenue", observed=1270.0, expected=2100.0)
        with shop.database.session() as session:
            found = shop.alerts.explanation(session, SYSTEM, alert)
        assert found.causes[0].dimensions == {"region": "south"}
        assert not any("south" in cause.dimensions.values() for cause in found.causes[1:])
        assert found.unexplained == pytest.approx(max(0.0, 1 - sum(cause.share for cause in found.causes)))

    @on_both_databases
    def test_says_what_a_product_is_called(self, shop: Shop) -> None:
        shop.sell(LEARNED + timedelta(hours=15))
        milk = {"sold_at": f"{LEARNED:%Y-%m-%dT}12:30:00Z", "product_id": "p7", "category": "food", "quantity": 1}
        milk |= {"unit_price": 12, "currency": "EUR", "region": "north", "channel": "shop"}
        more = [json.dumps(milk | {"sale_id": f"more-{n}", "order_id": f"more-{n}"}).encode() for n in range(200)]
        write(shop.database, more, shop.now)
        with shop.database.transaction() as session:
            session.merge(Product(product_id="p7", name="Milk", category="food"))
        (first,) = causes(shop, raise_alert(shop, observed=270.0), limit=1)
        assert [(part.dimension, part.value, part.name) for part in first.segment] == [("product", "p7", "Milk")]

    def test_names_at_most_as_many_as_asked_for(self, shop: Shop) -> None:
        shop.sell_hours(15, ["south"])
        assert len(causes(shop, raise_alert(shop), limit=1)) == 1

    @pytest.mark.parametrize("metric", ["unit_price", "repeated_orders", "average_order_value"])
    def test_is_none_of_what_does_not_add_up(self, shop: Shop, metric: str) -> None:
        shop.sell_hours(15)
        assert causes(shop, raise_alert(shop, metric=metric)) == []


class TestTheSplitOfRevenue:
    """Twelve to three o'clock of a Monday, against four Mondays of the same sales."""

    def split(self, shop: Shop, alert: int) -> RevenueSplit:
        with shop.database.session() as session:
            found = shop.alerts.split(session, SYSTEM, alert)
            times = [shop.sold_until - timedelta(hours=3) - week * timedelta(weeks=1) for week in range(5)]
            spans = [Query(metrics=("units", "revenue"), start=at, end=at + timedelta(hours=3)) for at in times]
            now, *before = (shop.data.frame(session, SYSTEM, span).data.iloc[0] for span in spans)
        assert found is not None
        assert (found.units, found.revenue) == (now["units"], now["revenue"])
        assert found.before == pytest.approx(sum(each["revenue"] for each in before) / 4)
        assert found.volume + found.price + found.mix == pytest.approx(found.revenue - found.before)
        return found

    @on_both_databases
    def test_of_an_outage_is_volume(self, shop: Shop) -> None:
        shop.sell(LEARNED + timedelta(hours=12))
        shop.sell_hours(3, ["south"])
        found = self.split(shop, raise_alert(shop))
        assert found.price == pytest.approx(0.0)  # each product costs what it did
        assert found.volume < -0.25 * found.before
        assert abs(found.mix) < abs(found.volume) / 2

    def test_of_half_prices_is_price(self, shop: Shop) -> None:
        shop.sell(LEARNED + timedelta(hours=12))
        lines = [json.loads(line) for line in payloads(shop.sold_until, shop.sold_until + timedelta(hours=3))]
        half = [json.dumps({**line, "unit_price": line["unit_price"] / 2}).encode() for line in lines]
        shop.sold_until += timedelta(hours=3)
        write(shop.database, half, shop.sold_until)
        found = self.split(shop, raise_alert(shop))
        assert found.price == pytest.approx(-found.revenue)

    @pytest.mark.parametrize("detector", ["lines", "rule by hour 3"])
    def test_is_none_of_a_single_line_and_of_the_stream(self, shop: Shop, detector: str) -> None:
        shop.sell_hours(15)
        alert = raise_alert(shop, detector=detector, metric="records")
        with shop.database.session() as session:
            assert shop.alerts.split(session, SYSTEM, alert) is None

    def test_is_none_where_nothing_was_sold_before(self, shop: Shop) -> None:
        shop.sell_hours(15)
        night = {"bucket_start": LEARNED, "bucket_end": LEARNED + timedelta(hours=2)}
        with shop.database.session() as session:
            assert shop.alerts.split(session, SYSTEM, raise_alert(shop, **night)) is None


@on_both_databases
def test_a_snooze_ends_by_itself_once_its_time_has_come(shop: Shop) -> None:
    number, until = raise_alert(shop), shop.now + DAY
    with shop.database.transaction() as session:
        shop.alerts.snooze(session, SYSTEM, number, until, "It can wait.")
    for moment, state in ((until - timedelta(seconds=1), "snoozed"), (until, "open"), (until + DAY, "open")):
        Snoozes(shop.database, lambda at=moment: at).step()  # type: ignore[misc]  # mypy knows no defaults of lambdas
        with shop.database.session() as session:
            found = shop.alerts.get(session, SYSTEM, number)
            kinds = [entry.kind for entry in shop.alerts.history(session, SYSTEM, number)]
        assert found.state == state
    assert (found.snoozed_until, kinds) == (None, ["snoozed", "woke"])


class TestExpected:
    """Against the sums of the stored hours, whatever the buckets."""

    week = Query(("orders",), LEARNED - timedelta(days=14), LEARNED, grain="day")

    @pytest.fixture
    def hours(self, shop: Shop) -> Hours:
        with shop.database.session() as session:
            rows = session.scalars(select(Expectation).where(Expectation.series == "orders")).all()
        return {row.bucket: row for row in rows}

    @pytest.fixture
    def ask(self, shop: Shop) -> Ask:
        def expected(query: Query) -> list[Row]:
            with shop.database.session() as session:
                frame = shop.alerts.expected(session, SYSTEM, query)
            assert frame is not None
            return [(row[0].to_pydatetime(), *row[1:]) for row in frame.itertuples(index=False, name=None)]

        return expected

    @pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
    @pytest.mark.parametrize(("grain", "rows"), [("hour", 336), ("day", (14, 15)), ("week", (2, 3)), ("month", (1, 2))])
    def test_adds_hours_up(self, hours: Hours, ask: Ask, zone: str, grain: Grain, rows: int | tuple[int, int]) -> None:
        query = self.week.with_(grain=grain, time_zone=zone)
        found = ask(query)
        assert len(found) in (rows if isinstance(rows, tuple) else (rows,))
        edges = [bucket for bucket, *_ in found] + [datetime(2030, 1, 1, tzinfo=UTC)]
        for (bucket, expected, low, high), following in zip(found, edges[1:], strict=True):
            assert bucket.utcoffset() == bucket.astimezone(query.zone).utcoffset()
            inside = [row for at, row in hours.items() if max(bucket, query.start) <= at < min(following, query.end)]
            assert expected == pytest.approx(sum(row.expected for row in inside))
            if grain == "hour":
                assert [(low, high)] == [(row.low, row.high) for row in inside]
            elif low > 0:  # centred on the scale of roots, on which sums spread evenly
                assert high**0.5 - expected**0.5 == pytest.approx(expected**0.5 - low**0.5)

    @pytest.mark.parametrize("region", [(), ("south",)])
    def test_holds_nearly_all_days_and_no_more_than_it_must(
        self, shop: Shop, ask: Ask, region: tuple[str, ...]
    ) -> None:
        filters = (Filter("region", "in", region),) if region else ()
        query = self.week.with_(start=LEARNED - timedelta(days=35), filters=filters)
        with shop.database.session() as session:
            sold = shop.data.frame(session, SYSTEM, query).data["orders"].tolist()
        inside = [low <= day <= high for day, (_bucket, _expected, low, high) in zip(sold, ask(query), strict=True)]
        assert sum(inside) >= 33  # of 35: three standard deviations of chance
        reach = [(high - low) / expected**0.5 for _bucket, expected, low, high in ask(query)]
        assert max(reach) < 2 * 6  # counts spread by the root of their mean: six of these from end to end

    def test_is_not_drawn_where_too_few_days_say_how_wide_it_is(self, shop: Shop) -> None:
        early = Expectation.bucket < LEARNED - timedelta(days=13)
        with shop.database.transaction() as session:
            session.execute(delete(Expectation).where(early))
        with shop.database.session() as session:
            assert shop.alerts.expected(session, SYSTEM, self.week) is None
            assert shop.alerts.expected(session, SYSTEM, self.week.with_(grain="hour")) is not None

    @on_both_databases
    def test_leaves_out_a_first_bucket_that_was_watched_in_part(self, hours: Hours, ask: Ask) -> None:
        query = self.week.with_(start=LEARNED - timedelta(days=60), grain="month")
        assert min(hours) == LEARNED - timedelta(days=35)  # in the midst of May
        assert [bucket.month for bucket, *_ in ask(query)] == [6]

    @on_both_databases
    def test_knows_segments_by_names_that_need_escaping(self, shop: Shop) -> None:
        row = {"bucket": LEARNED, "expected": 5.0, "low": 1.0, "high": 9.0}
        with shop.database.transaction() as session:
            session.add(Expectation(series="orders|region=50%25 %7C a%2Cb", **row))
        query = Query(
            ("orders",), LEARNED, LEARNED + DAY, grain="hour", filters=(Filter("region", "in", ("50% | a,b",)),)
        )
        with shop.database.session() as session:
            frame = shop.alerts.expected(session, SYSTEM, query)
        assert frame is not None
        assert frame["expected"].tolist() == [5.0]


@on_both_databases
def test_many_alerts_are_listed_and_counted_within_a_scope(shop: Shop) -> None:
    for number in range(60):
        region = "south" if number % 3 else "north"
        raise_alert(
            shop,
            series=f"orders|region={region}",
            dimensions=f'{{"region": "{region}"}}',
            bucket_start=LEARNED + number * DAY,
        )
    south = replace(SYSTEM, scope=(("region", ("south",)),))
    with shop.database.session() as session:
        page = shop.alerts.list(session, south, None, None, 30)
        rest = shop.alerts.list(session, south, None, page.next_cursor, 30)
        assert shop.alerts.counts(session, south)["open"] == 40
    assert (len(page.items), len(rest.items), rest.next_cursor) == (30, 10, None)
    assert {view.dimensions["region"] for view in (*page.items, *rest.items)} == {"south"}
