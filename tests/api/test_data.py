"""Queries, series, alerts and sales as other programs see them."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.conftest import PASSWORD, Api

START, END = "2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z"


def sale(number: int, **changes: Any) -> dict[str, Any]:
    """The first eight are in the days of `START` to `END`, the others long before."""
    usual = {
        "sale_id": f"S{number}",
        "order_id": f"O{number // 2}",
        "sold_at": f"2026-03-0{2 + number % 2}T10:30:00+00:00" if number < 8 else "2025-06-01T10:30:00+00:00",
        "product_id": "P1",
        "category": ["Dairy", "<b>Deli</b>"][number % 2],
        "quantity": 2,
        "unit_price": 1.25,
        "currency": "USD",
    }
    return usual | changes


@pytest.fixture(scope="module")
def filled(api: Api) -> Api:
    """The API with eight sales in it, four a day."""
    with api.client("data_scientist") as client:
        answer = client.post("/api/v1/sales", json=[sale(number) for number in range(8)])
    assert answer.json()["accepted"] == 8, answer.text
    return api


@pytest.fixture(scope="module")
def nepali(filled: Api) -> Iterator[httpx.Client]:
    """Somebody whose days are Kathmandu's, and whose weeks begin on Saturdays."""
    with filled.database.transaction() as session:
        filled.services.auth.create_user(session, "tara", PASSWORD, "data_scientist")
    with filled.client("tara") as client:
        assert client.patch("/api/v1/me", json={"time_zone": "Asia/Kathmandu", "week_start": 5}).status_code == 200
        yield client


class TestSales:
    def test_each_item_gets_its_own_answer(self, filled: Api) -> None:
        items: list[Any] = [sale(100), sale(0), {"sale_id": "S101"}, 5, None, sale(102, quantity="NaN"), sale(103)]
        with filled.client("data_scientist") as client:
            answer = client.post("/api/v1/sales", json=items).json()
        assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (2, 1, 4)
        statuses = [result["status"] for result in answer["results"]]
        assert statuses == ["accepted", "duplicate", *["rejected"] * 4, "accepted"]
        assert [result["index"] for result in answer["results"]] == list(range(7))
        assert all(bool(result.get("reason")) == (result["status"] == "rejected") for result in answer["results"])
        assert all(("reason" in result) == (result["status"] == "rejected") for result in answer["results"])

    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize("form", ["list", "single", "lines"])
    def test_come_in_every_form(self, filled: Api, form: str, compressed: bool) -> None:
        number = 200 + 10 * ["list", "single", "lines"].index(form) + compressed
        text = {
            "list": json.dumps([sale(number)]),
            "single": json.dumps(sale(number)),
            "lines": json.dumps(sale(number)) + "\n\n",
        }[form].encode()
        headers = {"content-type": "application/x-ndjson" if form == "lines" else "application/json"}
        if compressed:
            headers["content-encoding"] = "gzip"
        with filled.client("data_scientist") as client:
            answer = client.post("/api/v1/sales", content=gzip.compress(text) if compressed else text, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"] == [{"index": 0, "status": "accepted"}]

    def test_nonsense_in_one_item_leaves_its_neighbours_alone(self, filled: Api) -> None:
        bad = [
            b'{"sale_id": "B1", "quantity": NaN}',
            b'{"sale_id": "B2", "amount": 1e999}',
            b'{"sale_id": "B3", "amount": ' + b"9" * 5000 + b"}",
            b'{"sale_id": "\\ud800"}',
            b'{"sale_id": "a\\u0000b"}',
            b"[]",
            b"true",
        ]
        good = json.dumps(sale(300)).encode()
        with filled.client("data_scientist") as client:
            answer = client.post(
                "/api/v1/sales",
                content=b"[" + b",".join([*bad, good]) + b"]",
                headers={"content-type": "application/json"},
            ).json()
        assert (answer["accepted"], answer["rejected"]) == (1, len(bad))

    @pytest.mark.parametrize(
        ("content", "headers", "status"),
        [
            (b"[", {}, 400),
            (b"[{}", {}, 400),
            (b"\xff", {}, 400),
            (b"[" * 100_000, {}, 400),
            (b"x", {"content-encoding": "gzip"}, 400),
            (gzip.compress(b"[]")[:-4], {"content-encoding": "gzip"}, 400),
            (gzip.compress(b"[" + b" " * (21 * 1024 * 1024) + b"]"), {"content-encoding": "gzip"}, 413),
            (gzip.compress(b" " * 15_000_000) * 2, {"content-encoding": "gzip"}, 413),
            (b" " * (20 * 1024 * 1024 + 1), {}, 413),
            (b"[" + b"1," * 200_000 + b"1]", {}, 413),
            (b"1\n" * 200_001, {"content-type": "application/x-ndjson"}, 413),
            (b"[]", {"content-encoding": "deflate"}, 415),
            (b"[]", {"content-type": "text/plain"}, 415),
            (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415),
        ],
    )
    def test_what_cannot_be_read_is_refused_as_a_whole(
        self, filled: Api, content: bytes, headers: dict[str, str], status: int
    ) -> None:
        with filled.client("data_scientist") as client:
            answer = client.post(
                "/api/v1/sales", content=content, headers={"content-type": "application/json"} | headers
            )
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


class TestQuery:
    def ask(self, api: Api, **changes: Any) -> Any:
        body = {"metrics": ["lines", "revenue"], "start": START, "end": END, "filters": first_sales()} | changes
        with api.client("viewer") as client:
            return client.post("/api/v1/query", json=body)

    def test_gives_columns_and_rows(self, filled: Api) -> None:
        answer = self.ask(filled, dimensions=["category"], order="-category").json()
        assert answer == {
            "columns": [
                {"name": "category", "type": "text", "unit": ""},
                {"name": "lines", "type": "number", "unit": "count"},
                {"name": "revenue", "type": "number", "unit": "money"},
            ],
            "rows": [["Dairy", 4, 10.0], ["<b>Deli</b>", 4, 10.0]],
        }

    def test_buckets_are_in_the_zone_that_is_asked_for(self, filled: Api) -> None:
        answer = self.ask(filled, grain="day", time_zone="Asia/Kathmandu", start="2026-03-02", end="2026-03-04").json()
        assert [row[0] for row in answer["rows"]] == ["2026-03-02T00:00:00+05:45", "2026-03-03T00:00:00+05:45"]
        assert [row[1] for row in answer["rows"]] == [4, 4]

    @pytest.mark.parametrize(
        ("asked", "first"),
        [
            ({}, "2026-02-28T00:00:00+05:45"),
            ({"time_zone": "UTC", "week_start": 0}, "2026-02-23T00:00:00+00:00"),
        ],
    )
    def test_buckets_are_else_in_the_users_own_zone_and_weeks(
        self, filled: Api, nepali: httpx.Client, asked: dict[str, Any], first: str
    ) -> None:
        which = {"grain": "week", "start": "2026-03-01", "end": "2026-03-08"} | asked
        by_body = nepali.post("/api/v1/query", json={"metrics": ["lines"]} | which).json()
        by_address = nepali.get("/api/v1/query", params={"metrics": "lines"} | which).json()
        assert by_body["rows"][0][0] == by_address["rows"][0][0] == first

    def test_lines_are_else_of_the_users_own_days(self, filled: Api, nepali: httpx.Client) -> None:
        which = {"start": "2026-03-02T16:15", "end": "2026-03-02T16:16"}  # when it was half past ten in London
        assert nepali.get("/api/v1/sales", params=which).json()["total"] == 4
        assert nepali.get("/api/v1/sales", params=which | {"time_zone": "UTC"}).json()["total"] == 0
        assert nepali.get("/api/v1/series", params=which | {"metric": "lines"}).json()["time_zone"] == "Asia/Kathmandu"

    def test_missing_figures_are_null(self, filled: Api) -> None:
        answer = self.ask(filled, metrics=["margin"]).json()
        assert answer["rows"] == [[None]]

    @pytest.mark.parametrize(
        "changes",
        [
            {"metrics": []},
            {"metrics": ["nope"]},
            {"metrics": ["revenue; DROP TABLE sale"]},
            {"metrics": "revenue"},
            {"metrics": None},
            {"metrics": [None]},
            {"metrics": ["revenue"] * 21},
            {"dimensions": ["1=1"]},
            {"dimensions": [{"a": 1}]},
            {"grain": "fortnight"},
            {"grain": "minute", "start": "0001-01-01", "end": "9999-12-31"},
            {"start": "yesterday"},
            {"start": 0},
            {"start": END, "end": START},
            {"start": "0001-01-01T00:00:00+14:00"},
            {"end": "9999-12-31T23:59:59-14:00"},
            {"start": "2026-13-45"},
            {"time_zone": "Mars/Olympus"},
            {"time_zone": "../../etc/passwd"},
            {"time_zone": "/etc/passwd"},
            {"time_zone": "Europe"},
            {"time_zone": ""},
            {"time_zone": "\x00"},
            {"filters": {}},
            {"filters": [{"dimension": "category"}]},
            {"filters": [{"dimension": "category", "op": "like", "values": ["%"]}]},
            {"filters": [{"dimension": "category", "op": "in", "values": []}]},
            {"filters": [{"dimension": "category", "op": "in", "values": ["a\x00"]}]},
            {"filters": [{"dimension": "category", "op": "in", "values": [1]}]},
            {"filters": [{"dimension": "category", "op": "in", "values": ["x"] * 1001}]},
            {"filters": [{"dimension": "category", "op": "in", "values": ["x" * 501]}]},
            {"order": "password_hash"},
            {"order": "revenue desc"},
            {"order": "--revenue"},
            {"order": ""},
            {"limit": 0},
            {"limit": -1},
            {"limit": 10_001},
            {"limit": 2**70},
            {"limit": 1.5},
            {"limit": "10"},
            {"limit": True},
            {"scope": {"region": ["all"]}},
            {"actor": {"role": "admin"}},
        ],
    )
    def test_what_cannot_be_asked_is_refused_with_a_reason(self, filled: Api, changes: dict[str, Any]) -> None:
        answer = self.ask(filled, **changes)
        assert answer.status_code == 422
        assert answer.json()["code"] in {"invalid_query", "invalid_input"}
        assert answer.json()["detail"]

    @pytest.mark.parametrize(
        "value", ["' OR '1'='1", "Dairy'--", "%", "_", "\\", '"; DROP TABLE sale; --', "Ｄairy", "dairy"]
    )
    def test_filters_match_literally(self, filled: Api, value: str) -> None:
        answer = self.ask(filled, filters=[{"dimension": "category", "op": "in", "values": [value]}]).json()
        assert answer["rows"] == [[0, 0.0]]


def first_sales() -> list[dict[str, Any]]:
    return [{"dimension": "category", "op": "in", "values": ["Dairy", "<b>Deli</b>"]}]


class TestSeries:
    def test_has_a_point_for_every_bucket(self, filled: Api) -> None:
        params = {
            "metric": "lines",
            "start": "2026-02-28",
            "end": "2026-03-02",
            "filter": ["category=Dairy", "store!=x"],
        }
        with filled.client("viewer") as client:
            answer = client.get("/api/v1/series", params=params).json()
        assert (answer["metric"], answer["unit"], answer["grain"], answer["time_zone"]) == (
            "lines",
            "count",
            "day",
            "UTC",
        )
        assert answer["points"] == [
            {"start": f"2026-{day}T00:00:00Z", "value": 0, "unfinished": False} for day in ("02-28", "03-01")
        ]

    @pytest.mark.parametrize(
        "params",
        [
            {"metric": "nope"},
            {"metric": "revenue", "filter": "category"},
            {"metric": "revenue", "filter": "nope=1"},
            {"metric": "revenue", "grain": "eon"},
            {"metric": "revenue", "start": "x"},
            {"metric": "revenue", "time_zone": "X"},
            {},
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, filled: Api, params: dict[str, str]) -> None:
        with filled.client("viewer") as client:
            answer = client.get("/api/v1/series", params={"start": START, "end": END} | params)
        assert answer.status_code == 422


class TestAlerts:
    def test_have_the_agreed_fields(self, api: Api) -> None:
        with api.client("viewer") as client:
            answer = client.get("/api/v1/alerts", params={"series": "Part 3"}).json()
        assert set(answer) == {"items", "next"}
        assert answer["next"] is None
        [item] = answer["items"]
        assert item == {
            "id": item["id"],
            "series": "revenue|category=Part 3",
            "metric": "revenue",
            "dimensions": {"category": "Part 3"},
            "bucket_start": "2026-03-02T13:00:00Z",
            "bucket_end": "2026-03-02T14:00:00Z",
            "judged": ["2026-03-02T13:00:00Z", "2026-03-02T14:00:00Z"],
            "observed": 12.5,
            "expected": 40.0,
            "expected_low": 25.0,
            "expected_high": 60.0,
            "score": 0.8,
            "severity": "high",
            "state": "open",
            "owner": "",
            "snoozed_until": None,
            "verdict": "",
            "incident_id": 4,
            "created_at": "2026-03-02T14:00:00Z",
        }
        with api.client("viewer") as client:
            assert client.get(f"/api/v1/alerts/{item['id']}").json() == item

    def test_pages_hold_each_alert_once(self, api: Api) -> None:
        seen, cursor = [], None
        with api.client("viewer") as client:
            while True:
                params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
                page = client.get("/api/v1/alerts", params=params).json()
                seen += [item["id"] for item in page["items"]]
                cursor = page["next"]
                if cursor is None:
                    break
        assert len(seen) == len(set(seen)) == 7

    @pytest.mark.parametrize(
        ("params", "count"),
        [
            ({"state": "open"}, 7),
            ({"state": "resolved"}, 0),
            ({"state": ["open", "resolved"]}, 7),
            ({"severity": "low"}, 0),
            ({"metric": "orders"}, 0),
            ({"series": "%"}, 0),
            ({"series": "_"}, 0),
            ({"series": "' OR 1=1 --"}, 0),
            ({"start": "2026-03-02T13:00:00Z", "end": "2026-03-02T13:00:01Z"}, 7),
            ({"end": "2026-03-02"}, 0),
        ],
    )
    def test_filters(self, api: Api, params: dict[str, Any], count: int) -> None:
        with api.client("viewer") as client:
            assert len(client.get("/api/v1/alerts", params=params).json()["items"]) == count

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/999999", 404),
            ("/0", 422),
            ("/-1", 422),
            ("/9223372036854775808", 422),
            ("/1e3", 422),
            ("/x", 422),
            ("?limit=0", 422),
            ("?limit=501", 422),
            ("?limit=x", 422),
            ("?cursor=x", 422),
            ("?cursor=-1", 422),
            ("?cursor=%27%3B--", 422),
            ("?cursor=" + "9" * 150, 422),
            ("?state=gone", 422),
            ("?start=x", 422),
            ("?start=0001-01-01T00:00:00%2B14:00", 422),
        ],
    )
    def test_what_is_not_there_or_not_valid_is_refused(self, api: Api, path: str, status: int) -> None:
        with api.client("viewer") as client:
            assert client.get(f"/api/v1/alerts{path}").status_code == status


class TestInsights:
    def test_a_range_and_a_day_are_told_of_with_the_questions_that_back_them(self, filled: Api) -> None:
        with filled.client("viewer") as client:
            found = client.get("/api/v1/insights", params={"start": START, "end": END}).json()
            digest = client.get("/api/v1/insights/digest", params={"day": "2026-03-03", "time_zone": "UTC"}).json()
        assert set(found) == {"items"}
        assert digest["day"] == "2026-03-03"
        assert all(item["text"] and item["query"]["m"] for item in (*digest["of_day"], *digest["of_week"]))

    @pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "0001-01-01"])
    def test_what_is_no_day_is_refused(self, filled: Api, day: str) -> None:
        with filled.client("viewer") as client:
            assert client.get("/api/v1/insights/digest", params={"day": day}).status_code == 422

    def test_a_forecast_is_empty_where_too_little_is_known_and_refused_where_it_cannot_be(self, filled: Api) -> None:
        with filled.client("viewer") as client:
            answers = [
                client.get("/api/v1/forecast", params={"metric": slug}) for slug in ("orders", "average_order_value")
            ]
        assert [answer.status_code for answer in answers] == [200, 422]
        assert answers[0].json()["points"] == []
