"""Files in and out over HTTP: sales as CSV, imports and their progress, exports; and bodies that break off half-way."""

import csv
import gzip
import io
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import openpyxl
import pytest
from sqlalchemy import func, select

from nebuloviz.models import DetectorState, ImportJob, IngestOffset, SaleRow, WatchedSeries
from tests.api.conftest import Api
from tests.api.test_data import sale

DAY = {"start": "2026-04-01", "end": "2026-04-02"}


def line(number: int, **changes: Any) -> dict[str, Any]:
    return sale(number, sold_at="2026-04-01T10:30:00+00:00") | changes


def table(sales: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(sales[0]))
    writer.writeheader()
    writer.writerows(sales)
    return out.getvalue().encode()


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client("data_scientist") as client:
        yield client


def post_csv(client: httpx.Client, content: bytes, **params: Any) -> httpx.Response:
    return client.post("/api/v1/sales", content=content, params=params, headers={"content-type": "text/csv"})


class TestSalesAsCsv:
    def test_each_row_gets_its_own_answer(self, client: httpx.Client) -> None:
        content = table([line(1), line(2, quantity="many"), line(3), line(1)])
        answer = post_csv(client, content).json()
        statuses = [result["status"] for result in answer["results"]]
        assert statuses == ["accepted", "rejected", "accepted", "duplicate"]
        assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (2, 1, 1)
        assert post_csv(client, content).json()["duplicates"] == 3

    def test_a_rejected_row_is_kept_as_it_came(self, api: Api, client: httpx.Client) -> None:
        post_csv(client, table([line(4, product_id="")]))
        with api.client("analyst") as analyst:
            (letter, *_) = analyst.get("/api/v1/dead-letters").json()["items"]
        assert (letter["reason"], letter["topic"]) == ("missing_field", "api")

    def test_columns_are_recognised_or_named(self, client: httpx.Client) -> None:
        content = b"Receipt;Wann;SKU;Menge;Preis\nR1;2026-04-01T09:00:00Z;P7;2;1,50\n"
        refused = post_csv(client, content)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
        assert "sold_at" in refused.json()["detail"]
        assert post_csv(client, content, mapping=["sold_at=Wann"]).json()["accepted"] == 1

    @pytest.mark.parametrize(
        ("content", "status"),
        [
            (b"", 422),
            (b"\n\n", 422),
            (b"a,b\n1,2\n", 422),
            (b'{"sale_id": "x"}', 422),
            (gzip.compress(b"a,b\n"), 422),
            (b"PK\x03\x04 is no table", 422),
            (b"PAR1", 422),
            (b"\x00\x01\x02", 422),
            (b"order_id\n" + b"1\n" * 200_001, 413),
            (b"x," * 1_500, 422),
        ],
    )
    def test_what_is_no_table_of_sales_is_refused(self, client: httpx.Client, content: bytes, status: int) -> None:
        answer = post_csv(client, content)
        assert answer.status_code == status, answer.text
        assert "nebuloviz-" not in answer.text

    @pytest.mark.parametrize("mapping", ["sold_at", "nothing=a", "sold_at=nothing", "=", "\x00=a"])
    def test_a_mapping_that_names_nothing_is_refused(self, client: httpx.Client, mapping: str) -> None:
        assert post_csv(client, table([line(5)]), mapping=mapping).status_code in {400, 422}


class TestBodiesThatBreakOff:
    """However far a body has come when the connection ends: all of it counts, or none."""

    def counts(self, api: Api) -> tuple[int, int]:
        with api.database.session() as session:
            offset = session.scalar(select(IngestOffset.next_offset).where(IngestOffset.topic == "api"))
            return session.scalar(select(func.count()).select_from(SaleRow)) or 0, offset or 0

    @pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/csv"])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_count_nothing(self, api: Api, kind: str, chunked: bool) -> None:
        sales = [line(1000 + number) for number in range(3000)]
        body = {
            "application/json": json.dumps(sales).encode(),
            "application/x-ndjson": b"\n".join(json.dumps(item).encode() for item in sales),
            "text/csv": table(sales),
        }[kind]
        length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
        head = b"\r\n".join(
            [
                b"POST /api/v1/sales HTTP/1.1",
                b"Host: x",
                b"Authorization: Bearer " + api.token("data_scientist").encode(),
                b"Content-Type: " + kind.encode(),
                length,
                b"",
                b"",
            ]
        )
        half = body[: len(body) * 2 // 3]
        sent = b"%x\r\n%s\r\n" % (len(half), half) if chunked else half
        before = self.counts(api)
        host, port = api.served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head + sent)
            time.sleep(0.2)
        time.sleep(0.5)
        assert self.counts(api) == before

    def test_nor_does_a_list_that_is_damaged_at_its_end(self, api: Api, client: httpx.Client) -> None:
        before = self.counts(api)
        body = json.dumps([line(5000 + number) for number in range(7000)]).encode()[:-1]
        answer = client.post("/api/v1/sales", content=body + b"}", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
        assert self.counts(api) == before

    def test_a_whole_one_of_many_parts_counts_once(self, api: Api, client: httpx.Client) -> None:
        lines, _offset = self.counts(api)
        sales = [line(20_000 + number) for number in range(12_000)]
        first, second = (client.post("/api/v1/sales", json=sales).json() for _ in range(2))
        assert (first["accepted"], second["accepted"], second["duplicates"]) == (12_000, 0, 12_000)
        assert [result["index"] for result in first["results"]] == list(range(12_000))
        assert self.counts(api)[0] == lines + 12_000


FILE = {"content-type": "application/octet-stream"}


class TestImports:
    def finished(self, client: httpx.Client, path: str) -> Any:
        deadline = time.monotonic() + 60
        while (item := client.get(path).json())["state"] == "running" and time.monotonic() < deadline:
            time.sleep(0.1)
        return item

    def test_a_file_is_imported_in_the_background_and_followed(self, client: httpx.Client) -> None:
        content = table([line(100_000 + number) for number in range(50)] + [line(0, quantity="x")])
        started = client.post("/api/v1/imports", content=content, params={"name": "april.csv"}, headers=FILE)
        assert started.status_code == 202, started.text
        assert started.json()["name"] == "april.csv"
        path = started.headers["location"]
        assert path == f"/api/v1/imports/{started.json()['id']}"
        item = self.finished(client, path)
        assert (item["state"], item["accepted"], item["rejected"]) == ("done", 50, 1)
        assert client.get("/api/v1/imports").json()["items"][0]["id"] == item["id"]
        deadline = time.monotonic() + 20
        while (again := client.post("/api/v1/imports", content=content, headers=FILE)).status_code == 422:
            assert time.monotonic() < deadline, again.text  # the process that has imported it is about to end
            time.sleep(0.1)
        assert (again.headers["location"], self.finished(client, path)["accepted"]) == (path, 50)

    def test_a_file_is_looked_into_first(self, client: httpx.Client) -> None:
        content = gzip.compress(b"Vorgang,Wann,SKU,Menge,Preis\nR9,2026-04-01T09:00:00Z,P9,2,1.5\n")
        seen = client.post("/api/v1/uploads", content=content, params={"name": "kasse.csv.gz"}, headers=FILE)
        assert seen.status_code == 201, seen.text
        answer = seen.json()
        assert answer["columns"] == ["Vorgang", "Wann", "SKU", "Menge", "Preis"]
        assert answer["rows"] == [["R9", "2026-04-01T09:00:00Z", "P9", "2", "1.5"]]
        assert answer["mapping"]["product_id"] == "SKU"
        assert set(answer["missing"]) == {"order_id", "sold_at"}
        path = f"/api/v1/uploads/{answer['upload_id']}/import"
        assert client.post(path, json={}).status_code == 422
        started = client.post(path, json={"mapping": {"order_id": "Vorgang", "sold_at": "Wann"}})
        assert self.finished(client, started.headers["location"])["accepted"] == 1

    def test_its_moments_are_read_as_the_caller_says(self, client: httpx.Client) -> None:
        content = b"Order,Date,SKU,Qty,Price\nRd9,1/4/2026 09:00,P9,2,1.5\n"
        seen = client.post("/api/v1/uploads", content=content, headers=FILE).json()
        assert (seen["date_orders"], seen["is_json"]) == ({"Date": None}, False)
        path = f"/api/v1/uploads/{seen['upload_id']}/import"
        assert client.post(path, json={"date_order": "ydm"}).status_code == 422
        assert client.post(path, json={"time_zone": "Mars/Olympus"}).status_code == 422
        started = client.post(path, json={"date_order": "dmy", "time_zone": "Europe/Berlin"})
        assert self.finished(client, started.headers["location"])["accepted"] == 1
        at_once = client.post(
            "/api/v1/imports",
            content=content.replace(b"Rd9", b"Rd8"),
            params={"date_order": "dmy", "time_zone": "Europe/Berlin"},
            headers=FILE,
        )
        assert self.finished(client, at_once.headers["location"])["accepted"] == 1
        minute = {"start": "2026-04-01T07:00:00Z", "end": "2026-04-01T07:01:00Z"}
        orders = {item["order_id"] for item in client.get("/api/v1/sales", params=minute).json()["items"]}
        assert {"Rd8", "Rd9"} <= orders

    @pytest.mark.parametrize(
        ("content", "headers", "status"),
        [
            (b"", FILE, 422),
            (b"\x00" * 100, FILE, 422),
            (b"a,b\n1,2\n", FILE, 422),
            (b"a,b\n", {"content-type": "multipart/form-data; boundary=x"}, 415),
            (b"a,b\n", {"content-type": "text/csv"}, 415),
            (b"x", FILE | {"content-encoding": "gzip"}, 400),
            (b"x", FILE | {"content-encoding": "br"}, 415),
        ],
    )
    def test_what_cannot_be_imported_is_refused(
        self, client: httpx.Client, content: bytes, headers: dict[str, str], status: int
    ) -> None:
        assert client.post("/api/v1/imports", content=content, headers=headers).status_code == status

    def test_are_listed_in_pages(self, api: Api, client: httpx.Client) -> None:
        with api.database.transaction() as session:
            now = datetime.now(UTC)
            session.add_all(
                ImportJob(topic=f"file:{n}", name=f"{n}.csv", state="done", started_at=now, updated_at=now)
                for n in range(5)
            )
        seen, cursor = [], None
        while True:
            page = client.get("/api/v1/imports", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
            seen += [item["id"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) >= 5
        assert seen == sorted(seen, reverse=True)


class TestExports:
    @pytest.fixture(autouse=True)
    def _filled(self, client: httpx.Client) -> None:
        client.post("/api/v1/sales", json=[line(30, category="=1+1"), line(31), line(32, product="Milch, ö")])

    def test_figures_are_a_file_in_words(self, api: Api) -> None:
        asked = {**DAY, "metrics": "revenue", "dimensions": "category", "filter": "category==1+1"}
        with api.client("viewer") as viewer:
            answer = viewer.get("/api/v1/exports/figures", params=asked, headers={"Accept-Language": "de"})
        assert answer.headers["content-disposition"] == (
            'attachment; filename="revenue-by-category-2026-04-01-2026-04-01.csv"'
        )
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))) == [
            ["Kategorie", "Umsatz"],
            ["'=1+1", "2.5"],
        ]

    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_sale_lines_are_all_in_the_file(self, api: Api, kind: str) -> None:
        with api.client("analyst") as analyst:
            total = analyst.get("/api/v1/sales", params={**DAY, "limit": 1}).json()["total"]
            answer = analyst.get("/api/v1/exports/sales", params={**DAY, "format": kind, "time_zone": "Asia/Tokyo"})
        if kind == "csv":
            rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
        else:
            book = openpyxl.load_workbook(io.BytesIO(answer.content), read_only=True)
            rows = [[str(value) for value in row] for row in book.active.iter_rows(values_only=True)]
        heading, *lines = rows
        assert heading[2] == "Sold at (Asia/Tokyo)"
        assert len(lines) == total > 2
        assert all(row[2].startswith("2026-04-0") for row in lines)

    def test_stand_in_the_audit_log(self, api: Api) -> None:
        with api.client("analyst") as analyst:
            analyst.get("/api/v1/exports/sales", params={**DAY, "filter": "category=Audited"})
        with api.client("admin") as admin:
            (entry, *_) = admin.get("/api/v1/audit", params={"action": "data:export"}).json()["items"]
        assert (entry["username"], entry["after"]["filters"]["f.category"]) == ("analyst", ["Audited"])

    @pytest.mark.parametrize("kind", ["csv", "ndjson"])
    def test_of_the_audit_log_have_what_the_list_has(self, api: Api, kind: str) -> None:
        which = {"action": "user:create", "search": "kim"}
        with api.client("admin") as admin:
            admin.post("/api/v1/users", json={"username": f"kim {kind}", "role": "viewer"})
            listed = admin.get("/api/v1/audit", params=which).json()["items"]
            answer = admin.get("/api/v1/exports/audit", params=which | {"format": kind, "start": "2026-01-01"})
            (told, *_) = admin.get("/api/v1/audit", params={"action": "audit:export"}).json()["items"]
        assert answer.headers["content-disposition"] == f'attachment; filename="audit-log.{kind}"'
        if kind == "ndjson":
            assert [json.loads(row) for row in answer.content.splitlines()] == listed
        else:
            heading, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
            assert heading[:4] == ["When", "Who", "What", "Object"]
            assert [row[1:4] for row in rows] == [["admin", "Created a user", item["subject"]] for item in listed]
        assert told["after"]["filters"] == which | {"from": "2026-01-01T00:00:00+00:00"}

    def test_of_what_cannot_be_asked_are_problems(self, api: Api) -> None:
        with api.client("analyst") as analyst:
            for params in ({"format": "pdf"}, {"metrics": "nope"}, {"start": "x"}):
                answer = analyst.get("/api/v1/exports/figures", params={**DAY, "metrics": "revenue"} | params)
                assert answer.status_code == 422
                assert answer.headers["content-type"] == "application/problem+json"


class TestDetectors:
    def test_are_told_with_what_they_watch(self, api: Api) -> None:
        now = datetime(2026, 4, 1, 12, tzinfo=UTC)
        names = ["orders", "revenue", "revenue|category=Dairy", "revenue|store=7"]
        with api.client("viewer") as client:
            fresh = client.get("/api/v1/detectors").json()["items"]
            assert [(item["name"], item["version"], item["watched"]) for item in fresh] == [
                ("series", "", 0),
                ("days", "", 0),
                ("lines", "", 0),
            ]
            with api.database.transaction() as session:
                session.add_all(
                    DetectorState(detector=name, version="f-1", trained_at=now, scored_until=now, state=b"")
                    for name in ("series", "days", "lines")
                )
                session.add_all(
                    WatchedSeries(detector="series", series=name, grain="hour", since=now) for name in names
                )
                session.add(WatchedSeries(detector="days", series="margin", grain="day", since=now))
            (series, days, lines) = client.get("/api/v1/detectors").json()["items"]
            assert (series["version"], series["watched"], series["trained_at"]) == ("f-1", 4, "2026-04-01T12:00:00Z")
            assert (days["version"], days["watched"]) == ("f-1", 1)
            assert (lines["version"], lines["watched"], lines["judged_until"]) == ("f-1", 0, None)
            by_day = client.get("/api/v1/detectors/days/series").json()["items"]
            assert by_day == [{"series": "margin", "grain": "day", "since": "2026-04-01T12:00:00Z"}]
            first = client.get("/api/v1/detectors/series/series", params={"limit": 3}).json()
            rest = client.get("/api/v1/detectors/series/series", params={"limit": 3, "cursor": first["next"]}).json()
        assert [item["series"] for item in first["items"] + rest["items"]] == names
        assert rest["next"] is None

    def test_tell_a_scoped_reader_of_nothing_else(self, api: Api) -> None:
        with api.database.transaction() as session:
            session.add_all(
                WatchedSeries(detector="series", series=name, grain="hour", since=datetime(2026, 4, 1, tzinfo=UTC))
                for name in ("units", "units|category=Dairy", "units|category=Bread")
            )
        with api.client("admin") as admin:
            (viewer,) = admin.get("/api/v1/users", params={"search": "viewer"}).json()["items"]
            path = f"/api/v1/users/{viewer['id']}"
            assert admin.put(path, json={"role": "viewer", "scope": {"category": ["Dairy"]}}).status_code == 200
            with api.client("viewer") as client:
                seen = client.get("/api/v1/detectors/series/series").json()["items"]
            assert admin.put(path, json={"role": "viewer", "scope": {}}).status_code == 200
        names = [item["series"] for item in seen]
        assert "units|category=Dairy" in names
        assert all("|category=Dairy" in name for name in names)
