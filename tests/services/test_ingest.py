"""The door for people and programs: posts, dead letters, uploads and imports, on both databases."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select, update

from nebuloviz.db import Database
from nebuloviz.errors import Conflict, InvalidInput, NotFound, PermissionDenied, Unavailable, ViewOnly
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.fields import FIELDS
from nebuloviz.ingest.jobs import open_job
from nebuloviz.ingest.recount import differences
from nebuloviz.models import AuditEntry, IngestGap, IngestMinute, IngestOffset, SaleRow
from nebuloviz.permissions import ROLES, SYSTEM, Actor
from nebuloviz.services import file_imports
from nebuloviz.services.ingest import SalesIngestService
from nebuloviz.services.interfaces import ImportView, PostResult
from nebuloviz.settings import load
from nebuloviz.web.views.imports import NO_COLUMN, chosen_mapping
from tests.ingest.support import line

NOW = datetime(2026, 3, 31, 12, 0, 30, tzinfo=UTC)
SHOP = (
    b"InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice\n1,A,2,2026-03-01 10:00,1.50\n1,A,2,2026-03-01 10:00,a lot\n"
)


@pytest.fixture
def told() -> list[Written]:
    return []


@pytest.fixture
def service(database: Database, tmp_path: Path, told: list[Written]) -> SalesIngestService:
    settings = load(data_dir=tmp_path, max_upload_mb=1, late_horizon_days=365)
    return SalesIngestService(database, settings, [told.append], now=lambda: NOW)


def post(service: SalesIngestService, database: Database, *values: bytes) -> PostResult:
    with database.transaction() as session:
        return service.post(session, SYSTEM, values)


def sale(**fields: object) -> bytes:
    return orjson.dumps(line(**fields))


class TestPost:
    def test_each_item_gets_its_own_answer(self, service: SalesIngestService, database: Database) -> None:
        result = post(service, database, sale(), sale(), b"{}", sale(quantity=9), sale(sale_id="s2"))
        assert [row.status for row in result.results] == ["accepted", "duplicate", "rejected", "rejected", "accepted"]
        assert (result.accepted, result.duplicates, result.rejected) == (2, 1, 2)
        assert result.results[2].reason == "missing_field: order_id is missing"
        assert differences(database, "UTC") == []

    def test_again_it_counts_nothing_twice(self, service: SalesIngestService, database: Database) -> None:
        post(service, database, sale())
        assert post(service, database, sale()).duplicates == 1

    def test_nothing_is_nothing(self, service: SalesIngestService, database: Database) -> None:
        assert post(service, database) == PostResult(0, 0, 0)

    def test_listeners_hear_of_it_once_it_is_committed(
        self, service: SalesIngestService, database: Database, told: list[Written]
    ) -> None:
        with database.transaction() as session:
            service.post(session, SYSTEM, [sale()])
            assert not told
        assert [written.accepted for written in told] == [1]

    def test_what_is_rolled_back_was_never_there(
        self, service: SalesIngestService, database: Database, told: list[Written]
    ) -> None:
        with database.session() as session:
            for number in range(2):  # the second finds the first one's month
                service.post(session, SYSTEM, [sale(sale_id=f"s{number}")])
        assert not told
        assert post(service, database, sale()).accepted == 1

    def test_the_stream_shows_it(self, service: SalesIngestService, database: Database) -> None:
        post(service, database, sale(), sale(), b"{")
        with database.session() as session:
            status = service.status(session, SYSTEM)
        assert [(row.topic, row.accepted, row.duplicate, row.rejected) for row in status.partitions] == [
            ("api", 1, 1, 1)
        ]
        assert len(status.minutes) == 60
        assert status.minutes[-1][:4] == (NOW.replace(second=0), 1, 1, 1)
        assert status.minutes[0][1:] == (0, 0, 0, 0)

    def test_what_is_imported_is_not_the_streams_pace(self, service: SalesIngestService, database: Database) -> None:
        with database.transaction() as session:
            for topic in ("sample:history", "file:abc", "sample:live"):
                session.add(IngestMinute(minute=NOW.replace(second=0), topic=topic, accepted=7, late_seconds=9))
        with database.session() as session:
            assert service.status(session, SYSTEM).minutes[-1][1:] == (7, 0, 0, 9)


class TestDeadLetters:
    def test_they_are_listed_newest_first_in_pages(self, service: SalesIngestService, database: Database) -> None:
        post(service, database, *(b"{" for _ in range(5)), sale(quantity="x"))
        with database.session() as session:
            first = service.dead_letters(session, SYSTEM, limit=4)
            second = service.dead_letters(session, SYSTEM, limit=4, cursor=first.next_cursor)
            only = service.dead_letters(session, SYSTEM, reason="invalid_number")
        assert [len(first.items), len(second.items), len(only.items)] == [4, 2, 1]
        assert second.next_cursor is None
        assert first.items[0].offset == 5
        assert first.open_by_reason == {"malformed": 5, "invalid_number": 1}

    @pytest.mark.parametrize("cursor", ["x", "-1", "٣", "9" * 30])
    def test_a_cursor_of_somebody_else_is_refused(
        self, service: SalesIngestService, database: Database, cursor: str
    ) -> None:
        with database.session() as session, pytest.raises(InvalidInput):
            service.dead_letters(session, SYSTEM, cursor=cursor)

    def test_retried_they_close_or_stay_with_their_new_reason(
        self, database: Database, tmp_path: Path, service: SalesIngestService
    ) -> None:
        old = sale(sold_at="2024-01-01T00:00:00Z")
        post(service, database, old, sale(sale_id="s9", quantity="x"))
        patient = SalesIngestService(database, load(data_dir=tmp_path, late_horizon_days=7300), now=lambda: NOW)
        with database.transaction() as session:
            ids = [letter.id for letter in patient.dead_letters(session, SYSTEM).items]
            result = patient.retry(session, SYSTEM, ids)
        assert (result.accepted, result.rejected) == (1, 1)
        with database.session() as session:
            page = patient.dead_letters(session, SYSTEM)
            assert page.open_by_reason == {"invalid_number": 1}
            assert [letter.payload for letter in patient.dead_letters(session, SYSTEM, state="retried").items] == [old]
        assert differences(database, "UTC") == []

    def test_what_is_no_record_in_json_has_to_be_corrected(
        self, service: SalesIngestService, database: Database
    ) -> None:
        post(service, database, b"536365,85123A,6,x", sale(quantity="x"))
        with database.transaction() as session:
            row, record = sorted(service.dead_letters(session, SYSTEM).items, key=lambda letter: letter.offset)
            with pytest.raises(InvalidInput, match="correct them"):
                service.retry(session, SYSTEM, [row.id])
            assert service.retry(session, SYSTEM, [row.id, record.id]).rejected == 1
            assert service.retry(session, SYSTEM, []) == PostResult(0, 0, 0)

    def test_a_bad_row_of_a_file_is_corrected_and_keeps_its_bytes(
        self, service: SalesIngestService, database: Database
    ) -> None:
        upload = service.store_upload("shop.csv", [SHOP])
        with database.session() as session:
            service.start_import(session, SYSTEM, upload, {})
        finished(service, database)
        with database.transaction() as session:
            (letter,) = service.dead_letters(session, SYSTEM).items
            assert (letter.file, letter.offset) == ("shop.csv", 1)
            made = orjson.loads(letter.record or b"")
            assert made["sale_id"] == "1:A:2"  # the second of two equal lines, not the first once more
            assert service.retry(session, SYSTEM, [letter.id]).results[0].reason.startswith("invalid_number")
            fixed = orjson.dumps(made | {"unit_price": 1.5})
            assert service.retry(session, SYSTEM, [letter.id], {letter.id: fixed}).accepted == 1
        with database.session() as session:
            (closed,) = service.dead_letters(session, SYSTEM, state="retried").items
            assert (closed.payload, closed.record) == (SHOP.splitlines(keepends=True)[2], fixed)
            assert service.dead_letter(session, SYSTEM, closed.id) == closed
            noted = session.scalars(select(AuditEntry.after).where(AuditEntry.action == "records:retry")).all()
        assert "1.5" in noted[-1]
        assert "corrected" in noted[-1]
        assert differences(database, "UTC") == []

    def test_a_correction_that_is_wrong_again_is_kept_for_the_next_try(
        self, service: SalesIngestService, database: Database
    ) -> None:
        post(service, database, b"junk")
        with database.transaction() as session:
            (letter,) = service.dead_letters(session, SYSTEM).items
            wrong = sale(quantity="many")
            assert service.retry(session, SYSTEM, [letter.id], {letter.id: wrong}).rejected == 1
            again = service.dead_letter(session, SYSTEM, letter.id)
            assert (again.reason, again.payload, again.record) == ("invalid_number", b"junk", wrong)
            with pytest.raises(NotFound):
                service.dead_letter(session, SYSTEM, 10_000)

    @pytest.mark.parametrize("beyond", [-(2**63) - 1, -1, 0, 2**63, 10**40])
    def test_none_has_an_id_that_no_database_has(
        self, service: SalesIngestService, database: Database, beyond: int
    ) -> None:
        with database.transaction() as session:
            with pytest.raises(NotFound):
                service.dead_letter(session, SYSTEM, beyond)
            assert service.retry(session, SYSTEM, [beyond]) == PostResult(0, 0, 0)
            assert service.discard(session, SYSTEM, [beyond]) == 0

    def test_discarded_they_keep_their_bytes(self, service: SalesIngestService, database: Database) -> None:
        post(service, database, b"junk")
        with database.transaction() as session:
            ids = [letter.id for letter in service.dead_letters(session, SYSTEM).items]
            assert service.discard(session, SYSTEM, ids) == 1
            assert service.discard(session, SYSTEM, ids) == 0
        with database.session() as session:
            assert service.dead_letters(session, SYSTEM, state="discarded").items[0].payload == b"junk"


def finished(service: SalesIngestService, database: Database) -> Sequence[ImportView]:
    deadline = time.monotonic() + 30
    while True:
        with database.session() as session:
            imports = service.imports(session, SYSTEM)
        if imports and imports[0].state != "running":
            return imports
        assert time.monotonic() < deadline
        time.sleep(0.05)


class TestImports:
    def test_a_file_is_looked_into_and_imported(
        self, service: SalesIngestService, database: Database, told: list[Written]
    ) -> None:
        upload = service.store_upload("shop.csv", [SHOP[:30], SHOP[30:]])
        with database.session() as session:
            preview = service.preview(session, SYSTEM, upload)
            assert (preview.name, preview.missing, preview.mapping["order_id"]) == ("shop.csv", (), "InvoiceNo")
            service.start_import(session, SYSTEM, upload, {})
        done = finished(service, database)[0]
        assert (done.name, done.state, done.rows_done, done.accepted, done.rejected) == ("shop.csv", "done", 2, 1, 1)
        assert sum(written.accepted for written in told) == 1
        service.stop()
        with database.session() as session, pytest.raises(NotFound):
            service.preview(session, SYSTEM, upload)

    def test_so_many_at_once_and_no_more(
        self, service: SalesIngestService, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each takes a process, and memory for one."""
        upload = service.store_upload("shop.csv", [SHOP])
        with database.session() as session:
            with monkeypatch.context() as patched:
                patched.setattr(file_imports, "MAX_IMPORTS", 0)
                with pytest.raises(Conflict):
                    service.start_import(session, SYSTEM, upload, {})
            service.start_import(session, SYSTEM, upload, {})
        assert finished(service, database)[0].state == "done"

    def test_what_cannot_be_put_on_the_record_does_not_go_on(
        self, service: SalesIngestService, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upload = service.store_upload("shop.csv", [SHOP])

        def fail(*_: object, **__: object) -> None:
            raise Unavailable("full")

        with monkeypatch.context() as patched:
            patched.setattr(service._audit, "record", fail)
            with pytest.raises(Unavailable), database.session() as session:
                service.start_import(session, SYSTEM, upload, {})
        assert not service._files._children._running
        with database.session() as session:
            service.start_import(session, SYSTEM, upload, {})
        assert finished(service, database)[0].state == "done"

    def test_the_rate_is_that_since_an_import_went_on(self, service: SalesIngestService, database: Database) -> None:
        stored = {"topic": "file:x", "partition": 0, "next_offset": 5_000, "updated_at": NOW + timedelta(days=1)}
        opened = partial(open_job, database, "file:x", "shop.csv", 9_000, {}, "ann")
        opened(NOW)
        with database.transaction() as session:
            session.add(IngestOffset(**stored))
        opened(NOW + timedelta(days=2))
        with database.transaction() as session:
            session.execute(
                update(IngestOffset).values(next_offset=7_000, updated_at=NOW + timedelta(days=2, seconds=4))
            )
        with database.session() as session:
            assert [entry.rate for entry in service.imports(session, SYSTEM)] == [500.0]

    def test_a_file_that_cannot_be_read_is_named_as_its_owner_knows_it(
        self, service: SalesIngestService, database: Database
    ) -> None:
        upload = service.store_upload("../../my shop\r\n.csv", [b"\x00\x01\x02\x03" * 50])
        with database.session() as session, pytest.raises(InvalidInput, match=r"my shop\.csv is not text"):
            service.preview(session, SYSTEM, upload)

    def test_a_file_that_unpacks_without_end_is_refused(
        self, service: SalesIngestService, database: Database, tmp_path: Path
    ) -> None:
        n_rows = 10_000
        same = pa.DictionaryArray.from_arrays(pa.array([0] * n_rows, pa.int32()), pa.array(["x" * 1_000_000]))
        pq.write_table(pa.table({"product": same}), tmp_path / "bomb", compression="zstd")
        upload = service.store_upload("bomb.parquet", [(tmp_path / "bomb").read_bytes()])
        too_large = r"bomb\.parquet cannot be read: it needs more memory"
        with database.session() as session, pytest.raises(InvalidInput, match=too_large):
            service.preview(session, SYSTEM, upload)

    def test_a_column_that_the_form_says_is_not_in_the_file_is_not_read(
        self, service: SalesIngestService, database: Database
    ) -> None:
        """Though its name speaks for the field."""
        rows = b"InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,Discount\n1,A,2,2026-03-01 10:00,1.50,1.00\n"
        upload = service.store_upload("shop.csv", [rows])
        with database.session() as session:
            guessed = service.preview(session, SYSTEM, upload).mapping
            assert guessed["discount"] == "Discount"
            chosen = [guessed.get(field, NO_COLUMN) if field != "discount" else NO_COLUMN for field in FIELDS]
            service.start_import(session, SYSTEM, upload, chosen_mapping(FIELDS, chosen))
        assert finished(service, database)[0].state == "done"
        with database.session() as session:
            (stored,) = session.scalars(select(SaleRow))
        assert (stored.revenue, stored.discount) == (30_000, 0)

    @pytest.mark.parametrize(
        ("zone", "order", "moment"),
        [
            ("", "", datetime(2026, 1, 3, 10, tzinfo=UTC)),
            ("", "dmy", datetime(2026, 3, 1, 10, tzinfo=UTC)),
            ("Asia/Kolkata", "dmy", datetime(2026, 3, 1, 4, 30, tzinfo=UTC)),
        ],
    )
    def test_moments_are_read_as_somebody_says(
        self, service: SalesIngestService, database: Database, zone: str, order: str, moment: datetime
    ) -> None:
        upload = service.store_upload("shop.csv", [SHOP.replace(b"2026-03-01", b"1/3/2026")])
        with database.session() as session:
            seen = service.preview(session, SYSTEM, upload)
            assert (seen.date_orders, seen.time_zone) == ({"InvoiceDate": None}, "UTC")
            service.start_import(session, SYSTEM, upload, {}, zone, order)
        finished(service, database)
        with database.session() as session:
            assert session.scalars(select(SaleRow.sold_at)).all() == [moment]
            noted = session.scalars(select(AuditEntry.after)).one()
        assert zone in noted
        assert order in noted

    @pytest.mark.parametrize(("zone", "order"), [("Mars/Olympus", ""), ("", "day")])
    def test_what_is_no_zone_or_order_starts_nothing(
        self, service: SalesIngestService, database: Database, zone: str, order: str
    ) -> None:
        upload = service.store_upload("shop.csv", [SHOP])
        with database.session() as session, pytest.raises(InvalidInput):
            service.start_import(session, SYSTEM, upload, {}, zone, order)

    def test_lines_of_json_need_no_mapping(self, service: SalesIngestService, database: Database) -> None:
        upload = service.store_upload("sales.ndjson", [sale(), b"\n", sale(sale_id="other")])
        with database.session() as session:
            seen = service.preview(session, SYSTEM, upload)
            assert (seen.is_json, seen.missing) == (True, ())
            service.start_import(session, SYSTEM, upload, {}, "UTC")
        assert finished(service, database)[0].accepted == 2

    def test_an_incomplete_mapping_starts_nothing(self, service: SalesIngestService, database: Database) -> None:
        upload = service.store_upload("t.csv", [b"a,b\n1,2\n"])
        with database.session() as session, pytest.raises(InvalidInput, match="order_id"):
            service.start_import(session, SYSTEM, upload, {})


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_who_may_not_write_is_refused(service: SalesIngestService, database: Database, role: str) -> None:
    actor = Actor(1, "somebody", role, ROLES[role])
    with database.session() as session:
        with pytest.raises(PermissionDenied):
            service.post(session, actor, [sale()])
        with pytest.raises(PermissionDenied):
            service.discard(session, actor, [1])


def test_who_only_looks_starts_no_import(service: SalesIngestService, database: Database) -> None:
    upload = service.store_upload("shop.csv", [SHOP])
    with database.session() as session:
        with pytest.raises(ViewOnly):
            service.start_import(session, replace(SYSTEM, looking=True), upload, {})
        assert not service.imports(session, SYSTEM)


class TestResume:
    @pytest.fixture
    def halted(self, database: Database) -> IngestOffset:
        with database.transaction() as session:
            here = IngestOffset(topic="sales", partition=1, next_offset=40, halted_reason="unreadable", updated_at=NOW)
            session.add(here)
        return here

    @pytest.mark.parametrize(("skip_to", "goes_on_at", "gaps"), [(None, 40, []), (40, 40, []), (45, 45, [(40, 45)])])
    def test_a_halted_partition_goes_on(
        self,
        service: SalesIngestService,
        database: Database,
        halted: IngestOffset,
        skip_to: int | None,
        goes_on_at: int,
        gaps: list[tuple[int, int]],
    ) -> None:
        with database.transaction() as session:
            status = service.resume(session, SYSTEM, halted.topic, halted.partition, skip_to)
        assert (status.next_offset, status.halted_reason) == (goes_on_at, "")
        with database.session() as session:
            assert session.get_one(IngestOffset, ("sales", 1)).halted_reason == ""
            assert [(gap.first_offset, gap.next_offset) for gap in session.scalars(select(IngestGap))] == gaps

    def test_what_makes_no_sense_is_refused(
        self, service: SalesIngestService, database: Database, halted: IngestOffset
    ) -> None:
        with database.session() as session:
            with pytest.raises(InvalidInput):
                service.resume(session, SYSTEM, halted.topic, halted.partition, skip_to=39)
            for topic, partition in ((halted.topic, 7), (halted.topic, 2**31), (halted.topic, -1), ("sales\x00", 1)):
                with pytest.raises(NotFound):
                    service.resume(session, SYSTEM, topic, partition)
            service.resume(session, SYSTEM, halted.topic, halted.partition)
            with pytest.raises(InvalidInput):
                service.resume(session, SYSTEM, halted.topic, halted.partition)

    def test_an_analyst_may_not(self, service: SalesIngestService, database: Database, halted: IngestOffset) -> None:
        analyst = Actor(1, "ana", "analyst", ROLES["analyst"])
        with database.session() as session, pytest.raises(PermissionDenied):
            service.resume(session, analyst, halted.topic, halted.partition)
