"""What a stored batch leaves behind, on both databases."""

import random
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from nebuloviz.db import Database
from nebuloviz.ingest.products import ProductNames
from nebuloviz.ingest.recount import differences, rebuild
from nebuloviz.ingest.sale import Reason
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.models import (
    ROLLUPS,
    DayVersion,
    DeadLetter,
    IngestGap,
    IngestMinute,
    IngestOffset,
    Installation,
    Product,
    SaleRow,
    SpreadOrder,
)
from tests.ingest.support import NOW, TOPIC, Ledger, assert_kept_exactly_once, batch, encoded, shop, write

ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia"]


def sink_of(database: Database, zone: str = "UTC", currency: str = "") -> DatabaseSink:
    return DatabaseSink(database, ZoneInfo(zone), currency, now=lambda: NOW)


def in_batches(values: list[bytes], seed: int) -> list[list[bytes]]:
    chance = random.Random(seed)
    parts, at = [], 0
    while at < len(values):
        size = chance.randint(1, 150)
        parts.append(values[at : at + size])
        at += size
    return parts


class TestRollups:
    @pytest.mark.parametrize("zone", ZONES)
    def test_they_equal_a_recount_in_every_cell(self, database: Database, zone: str) -> None:
        sales = shop(150, seed=1)
        random.Random(2).shuffle(sales)  # lines of an order arrive apart, and late
        ledger = Ledger()
        ledger.add(sales)
        sink = sink_of(database, zone)
        for part in in_batches([orjson.dumps(item) for item in sales], seed=3):
            write(sink, part)
        assert_kept_exactly_once(database, ledger, zone)

    def test_delivered_three_times_in_other_batches_they_stay_the_same(self, database: Database) -> None:
        sales = shop(60, seed=4)
        ledger = Ledger()
        ledger.add(sales)
        for round_ in range(3):
            random.Random(round_).shuffle(sales)
            for part in in_batches([orjson.dumps(item) for item in sales], seed=round_):
                write(sink_of(database), part, partition=round_)
        ledger.sent = {(TOPIC, number): len(sales) for number in range(3)}
        assert_kept_exactly_once(database, ledger)

    def test_an_order_counts_once_in_a_cell_however_its_lines_arrive(self, database: Database) -> None:
        sink = sink_of(database)
        write(sink, [encoded(sale_id="1"), encoded(sale_id="2")])
        write(sink, [encoded(sale_id="3"), encoded(sale_id="4", order_id="o2")])
        write(sink, [encoded(sale_id="5", category="Bakery")])
        with database.session() as session:
            assert session.scalar(text("SELECT orders FROM rollup_hour")) == 2
            by_category = session.execute(text("SELECT category, orders FROM rollup_day_category ORDER BY 1"))
            assert [tuple(row) for row in by_category] == [("Bakery", 1), ("Drinks", 2)]

    @pytest.mark.parametrize(
        ("second", "spread"),
        [
            ({}, False),
            ({"category": "Bakery", "product_id": "p2"}, False),
            ({"sold_at": "2026-03-30T08:59:59Z"}, False),
            ({"sold_at": "2026-03-30T09:00:00Z"}, True),
            ({"region": "South"}, True),
            ({"country": None}, True),
            ({"channel": "store"}, True),
            ({"store": "8"}, True),
        ],
    )
    @pytest.mark.parametrize("split", [True, False], ids=["in two batches", "in one batch"])
    def test_an_order_in_several_hours_or_places_is_noted(
        self, database: Database, second: dict[str, str | None], *, spread: bool, split: bool
    ) -> None:
        values = [encoded(sale_id="1"), encoded(sale_id="2", **second)]
        for part in [[value] for value in values] if split else [values]:
            write(sink_of(database), part)
        with database.session() as session:
            assert list(session.scalars(select(SpreadOrder.order_id))) == (["o1"] if spread else [])

    def test_a_recount_finds_what_was_tampered_with_and_a_rebuild_repairs_it(self, database: Database) -> None:
        write(sink_of(database), [orjson.dumps(item) for item in shop(20, seed=5)])
        with database.transaction() as session:
            session.execute(text("UPDATE rollup_hour SET revenue = revenue + 1"))
            session.execute(text("DELETE FROM rollup_day_store"))
        found = {difference.rollup for difference in differences(database, "UTC")}
        assert found == {"rollup_hour", "rollup_day_store"}
        rebuild(database, "UTC")
        assert differences(database, "UTC") == []

    def test_rows_without_facts_are_differences(self, database: Database) -> None:
        with database.transaction() as session:
            session.execute(ROLLUPS[0].table.insert().values(bucket=NOW, **dict.fromkeys(_MEASURES, 1)))
        assert [difference.only_in for difference in differences(database, "UTC")] == ["rollup"]

    def test_a_rebuild_takes_them_to_another_zone(self, database: Database) -> None:
        write(sink_of(database), [orjson.dumps(item) for item in shop(30, seed=6)])
        assert differences(database, "Asia/Kathmandu")
        rebuild(database, "Asia/Kathmandu")
        assert differences(database, "Asia/Kathmandu") == []

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 4),  # order
                st.integers(0, 2),  # product
                st.sampled_from(["", "a", "b"]),  # store
                st.integers(0, 30),  # hours back
                st.integers(-3, 3),  # quantity
                st.integers(0, 3),  # batch
            ),
            max_size=25,
        )
    )
    def test_any_lines_in_any_batches(
        self, migrated_sqlite_url: str, lines: list[tuple[int, int, str, int, int, int]]
    ) -> None:
        database = Database(migrated_sqlite_url)
        parts: dict[int, list[bytes]] = {}
        for number, (order, product, store, hours, quantity, part) in enumerate(lines):
            moment = (NOW - timedelta(hours=hours)).isoformat()
            fields = {"order_id": f"o{order}", "product_id": f"p{product}", "store": store, "sold_at": moment}
            value = encoded(sale_id=f"{number}{lines}"[:200], quantity=quantity, **fields)
            parts.setdefault(part, []).append(value)
        sink = sink_of(database)
        for values in parts.values():
            write(sink, values)
        assert differences(database, "UTC") == []
        database.dispose()


_MEASURES = [column.name for column in ROLLUPS[0].table.columns if column.name != "bucket"]


class TestDeadLetters:
    def test_they_keep_place_reason_and_bytes(self, database: Database) -> None:
        write(sink_of(database), [b"first", encoded(), b"x" * 100_000])
        with database.session() as session:
            letters = list(session.scalars(select(DeadLetter).order_by(DeadLetter.offset)))
        assert [(letter.topic, letter.partition, letter.offset) for letter in letters] == [(TOPIC, 0, 0), (TOPIC, 0, 2)]
        assert letters[0].reason == "malformed"
        assert (letters[0].payload, letters[0].state, letters[0].received_at) == (b"first", "open", NOW)
        assert (len(letters[1].payload), letters[1].payload_size) == (65_536, 100_000)

    def test_a_detail_with_odd_characters_is_kept(self, database: Database) -> None:
        write(sink_of(database), [encoded(sold_at="\x00\u202e<b>")])
        with database.session() as session:
            assert "<b>" in (session.scalar(select(DeadLetter.detail)) or "")

    def test_another_currency_is_refused(self, database: Database) -> None:
        sink = sink_of(database)
        write(sink, [encoded(sale_id="1"), encoded(sale_id="2", currency="EUR")])
        written = write(
            sink, [encoded(sale_id="3", currency="USD"), encoded(sale_id="4"), encoded(sale_id="5", currency="EUR")]
        )
        assert [outcome.status for outcome in written.outcomes] == ["rejected", "accepted", "accepted"]
        assert written.outcomes[0].rejected is not None
        assert written.outcomes[0].rejected.reason == Reason.CURRENCY
        with database.session() as session:
            assert session.get_one(Installation, "currency").value == "EUR"

    def test_the_settings_currency_goes_before_that_of_the_first_sale(self, database: Database) -> None:
        sink = sink_of(database, currency="CHF")
        assert write(sink, [encoded(sale_id="1", currency="EUR")]).rejected == 1
        assert write(sink, [encoded(sale_id="2", currency="CHF")]).accepted == 1

    def test_what_the_database_cannot_hold_is_one_dead_letter(self, database: Database) -> None:
        """Bisected: a refused record, somewhere among good ones, is the only one that is lost."""
        with database.transaction() as session:
            session.execute(text(_REFUSE[database.is_sqlite]))
            if not database.is_sqlite:
                session.execute(
                    text("CREATE TRIGGER refuse BEFORE INSERT ON sale FOR EACH ROW EXECUTE FUNCTION refuse()")
                )
        values = [encoded(sale_id=f"s{number}", store="cursed" if number == 13 else "7") for number in range(40)]
        written = write(sink_of(database), values)
        assert [place for place, outcome in enumerate(written.outcomes) if outcome.status == "rejected"] == [13]
        assert written.outcomes[13].rejected is not None
        assert written.outcomes[13].rejected.reason == Reason.DATABASE
        assert differences(database, "UTC") == []
        with database.session() as session:
            assert session.scalar(select(func.count()).select_from(SaleRow)) == 39


_REFUSE = {
    True: "CREATE TRIGGER refuse BEFORE INSERT ON sale WHEN NEW.store = 'cursed' BEGIN SELECT RAISE(ABORT, 'no'); END",
    False: "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.store = 'cursed' THEN"
    " RAISE EXCEPTION 'no' USING ERRCODE = '22003'; END IF; RETURN NEW; END $$",
}


class TestBesides:
    def test_counts_and_pace_agree_with_the_outcomes(self, database: Database) -> None:
        sink = sink_of(database)
        write(sink, [encoded(), encoded(), b"{"])
        write(sink, [encoded(sale_id="2", sold_at="2026-03-31T11:00:00Z")])
        with database.session() as session:
            offset = session.get_one(IngestOffset, (TOPIC, 0))
            assert (offset.next_offset, offset.n_ok, offset.n_duplicate, offset.n_rejected) == (4, 2, 1, 1)
            minute = session.get_one(IngestMinute, (NOW, TOPIC))
            assert (minute.accepted, minute.duplicate, minute.rejected) == (2, 1, 1)
            assert minute.late_seconds == 27 * 3600 + 45 * 60

    def test_a_day_has_a_new_version_with_every_batch_that_touched_it(self, database: Database) -> None:
        sink = sink_of(database, "Asia/Tokyo")
        write(sink, [encoded(sale_id="1", sold_at="2026-03-30T16:00:00Z")])
        write(sink, [encoded(sale_id="1", sold_at="2026-03-30T16:00:00Z")])
        write(
            sink,
            [
                encoded(sale_id="2", sold_at="2026-03-30T16:00:00Z"),
                encoded(sale_id="3", sold_at="2026-03-30T00:00:00Z"),
            ],
        )
        with database.session() as session:
            versions = session.execute(select(DayVersion.day, DayVersion.version).order_by(DayVersion.day)).all()
        assert [(day.isoformat(), version) for day, version in versions] == [("2026-03-30", 1), ("2026-03-31", 2)]

    def test_a_product_has_its_latest_name_and_keeps_it_where_none_is_given(self, database: Database) -> None:
        sink = sink_of(database)
        for number, (name, category) in enumerate([("Tea", "Drinks"), ("Green tea", "Drinks"), (None, None)]):
            write(sink, [encoded(sale_id=str(number), product=name, category=category)])
        write(sink, [encoded(sale_id="9", product_id="p9", product=None)])
        with database.session() as session:
            assert session.get_one(Product, "p1").name == "Green tea"
            assert session.get_one(Product, "p1").category == "Drinks"
            assert session.get_one(Product, "p9").name == "p9"

    def test_the_latest_name_counts_whichever_writer_stored_the_one_before(self, database: Database) -> None:
        one, other = sink_of(database), sink_of(database)
        for number, (sink, name) in enumerate([(one, "Tea"), (other, "Green tea"), (one, "Tea")]):
            write(sink, [encoded(sale_id=str(number), product=name)])
        with database.session() as session:
            assert session.get_one(Product, "p1").name == "Tea"

    def test_a_name_that_was_rolled_back_is_not_remembered(self, database: Database) -> None:
        names, named = ProductNames(), {"product_id": ["p1"], "product": ["Tea"], "category": ["Drinks"]}
        for kept in (False, True):
            with database.engine.connect() as connection:
                names.store(connection, named)
                if kept:
                    connection.commit()
        with database.session() as session:
            assert session.get_one(Product, "p1").name == "Tea"

    def test_text_is_stored_as_it_came(self, database: Database) -> None:
        odd = "a\\b\\N \u2028<b>'\"$1%s ünï 🫖 شاي"
        write(sink_of(database), [encoded(sale_id=odd, store=odd, product=odd)])
        with database.session() as session:
            row = session.scalars(select(SaleRow)).one()
            assert (row.sale_id, row.store, session.get_one(Product, "p1").name) == (odd, odd, odd)

    def test_facts_are_kept_whole(self, database: Database) -> None:
        write(sink_of(database), [encoded(cost=0.4, quantity=0.125), encoded(sale_id="2", amount=7, region=None)])
        with database.session() as session:
            second, first = session.scalars(select(SaleRow).order_by(SaleRow.sale_id))
        assert first.sold_at == datetime(2026, 3, 30, 8, 15, tzinfo=UTC)
        assert (first.quantity, first.unit_price, first.discount, first.revenue, first.cost) == (
            125,
            25_000,
            5_000,
            -1_875,
            4_000,
        )
        assert (second.revenue, second.cost, second.region, second.received_at) == (70_000, None, "", NOW)

    def test_months_of_any_age_have_their_partition(self, database: Database) -> None:
        moments = [
            "2019-12-31T23:59:59Z",
            "2026-01-31T23:59:59.999999Z",
            "2026-02-01T00:00:00Z",
            "2024-12-31T12:00:00-12:00",
        ]
        values = [encoded(sale_id=moment, sold_at=moment) for moment in moments]
        assert write(sink_of(database), values).accepted == 4
        assert write(sink_of(database), [encoded(sale_id="more", sold_at=moments[0])]).accepted == 1
        assert differences(database, "UTC") == []

    def test_a_gap_is_on_the_record(self, database: Database) -> None:
        sink = sink_of(database)
        sink.begin(TOPIC, 0, 5)
        sink.skip(TOPIC, 0, 5, 90)
        with database.session() as session:
            gap = session.scalars(select(IngestGap)).one()
        assert (gap.first_offset, gap.next_offset, gap.noticed_at) == (5, 90, NOW)

    def test_an_order_written_by_two_processes_at_once_counts_once(self, migrated_postgres_url: str) -> None:
        """Neither sees the other's uncommitted line, so they must take turns."""

        databases = [Database(migrated_postgres_url) for _ in range(4)]
        sinks = [sink_of(database) for database in databases]
        start = threading.Barrier(len(sinks))

        def run(number: int) -> None:
            for part in range(10):
                values = [encoded(sale_id=f"{number}-{part}-{n}", order_id=f"o{n}") for n in range(20)]
                if part == 0:
                    sinks[number].begin(TOPIC, number, 0)
                    start.wait()
                sinks[number].write(batch(values, part * 20, partition=number))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(len(sinks))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with databases[0].session() as session:
            assert session.scalar(text("SELECT orders FROM rollup_hour")) == 20
        assert differences(databases[0], "UTC") == []
        for database in databases:
            database.dispose()
