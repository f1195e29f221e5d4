"""What pages can do, programs can: alerts, users, the stream and the audit log over HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nebuloviz.client import ApiError, Client
from nebuloviz.settings import load
from tests.api.conftest import PASSWORD, Api, running_api
from tests.api.test_data import END, START, sale

QUERY = {"metrics": ["revenue", "lines"], "dimensions": ["category"], "start": START, "end": END, "order": "category"}


@pytest.fixture(scope="module", autouse=True)
def _filled(api: Api) -> None:
    with api.client("data_scientist") as client:
        assert client.post("/api/v1/sales", json=[sale(number) for number in range(8)]).status_code == 200


@pytest.fixture
def over_postgres(postgres_url: str) -> Iterator[Api]:
    """The same API over PostgreSQL."""
    secret = "a-secret-of-the-tests-0123456789abcdef"
    with running_api(load(database_url=postgres_url, secret_key=secret, requests_per_minute=0)) as running:
        yield running


@pytest.fixture
def admin(api: Api) -> Iterator[httpx.Client]:
    with api.client("admin") as client:
        yield client


class TestForms:
    def ask(self, api: Api, accept: str) -> httpx.Response:
        with api.client("viewer") as client:
            return client.post("/api/v1/query", json=QUERY, headers={"Accept": accept})

    def rows(self, api: Api) -> list[list[Any]]:
        rows: list[list[Any]] = self.ask(api, "application/json").json()["rows"]
        return rows

    def test_csv_has_the_rows_of_json(self, api: Api) -> None:
        answer = self.ask(api, "text/csv, application/json;q=0.5")
        assert answer.headers["content-type"].startswith("text/csv")
        frame = pd.read_csv(io.BytesIO(answer.content))
        assert frame[["category", "revenue", "lines"]].to_numpy().tolist() == self.rows(api)

    def test_parquet_has_the_rows_of_json(self, api: Api) -> None:
        frame = pq.read_table(pa.BufferReader(self.ask(api, "application/vnd.apache.parquet").content)).to_pandas()
        assert frame[["category", "revenue", "lines"]].to_numpy().tolist() == self.rows(api)

    def test_arrow_has_the_rows_of_json(self, api: Api) -> None:
        frame = pa.ipc.open_stream(self.ask(api, "application/vnd.apache.arrow.stream").content).read_pandas()
        assert frame[["category", "revenue", "lines"]].to_numpy().tolist() == self.rows(api)

    def test_texts_are_texts_where_there_are_none(self, api: Api) -> None:
        body = QUERY | {"start": "2001-01-01", "end": "2001-01-02", "dimensions": ["category"]}
        with api.client("viewer") as client:
            answer = client.post("/api/v1/query", json=body, headers={"Accept": "application/vnd.apache.parquet"})
        table = pq.read_table(pa.BufferReader(answer.content))
        assert table.num_rows == 0
        assert pa.types.is_string(table.schema.field("category").type)

    @pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json, text/csv"])
    def test_anything_else_is_json(self, api: Api, accept: str) -> None:
        assert self.ask(api, accept).json()["rows"]

    def test_csv_holds_no_formula(self, api: Api) -> None:
        with api.client("data_scientist") as client:
            client.post("/api/v1/sales", json=[sale(700, category="=1+1", sold_at="2025-01-01T00:00:00Z")])
        body = QUERY | {"start": "2025-01-01", "end": "2025-01-02"}
        with api.client("viewer") as client:
            answer = client.post("/api/v1/query", json=body, headers={"Accept": "text/csv"})
        assert "\r\n'=1+1," in answer.text


class TestSaleLines:
    def test_come_in_pages(self, api: Api) -> None:
        with api.client("analyst") as client:
            first = client.get("/api/v1/sales", params={"start": START, "end": END, "limit": 5}).json()
            rest = client.get("/api/v1/sales", params={"start": START, "end": END, "cursor": first["next"]}).json()
        lines = first["items"] + rest["items"]
        assert (len(first["items"]), rest["next"]) == (5, None)
        assert len({line["sale_id"] for line in lines}) == len(lines) == first["total"]

    def test_continue_behind_names_of_any_length(self, api: Api) -> None:
        day: dict[str, str | int] = {"start": "2024-01-01", "end": "2024-01-02", "order": "product", "limit": 1}
        items = [sale(number, product="🫖" * 500, sold_at="2024-01-01T00:00:00Z") for number in (710, 711)]
        with api.client("data_scientist") as client:
            assert client.post("/api/v1/sales", json=items).json()["accepted"] == 2
            first = client.get("/api/v1/sales", params=day).json()
            second = client.get("/api/v1/sales", params=day | {"cursor": first["next"]})
        assert second.status_code == 200, second.text
        assert (len(second.json()["items"]), second.json()["next"]) == (1, None)

    def test_can_be_filtered_and_ordered(self, api: Api) -> None:
        with api.client("analyst") as client:
            params = {"start": START, "end": END, "filter": "category=Dairy", "order": "sale_id"}
            lines = client.get("/api/v1/sales", params=params).json()["items"]
            refused = client.get("/api/v1/sales", params=params | {"order": "1; DROP TABLE sale"})
        assert {line["category"] for line in lines} == {"Dairy"}
        assert [line["sale_id"] for line in lines] == sorted(line["sale_id"] for line in lines)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")

    def test_a_parameter_that_there_is_not_is_refused_with_those_that_there_are(self, api: Api) -> None:
        with api.client("analyst") as client:
            answer = client.get("/api/v1/sales", params={"start": START, "end": END, "filtre": "category=Dairy"})
        assert answer.status_code == 422
        assert "filter" in answer.json()["detail"]

    @pytest.mark.parametrize("twice", ["limit=5&limit=6", "limit=5&limit=5", "order=sold_at&order=1"])
    def test_a_parameter_that_is_no_list_may_come_once(self, api: Api, twice: str) -> None:
        with api.client("analyst") as client:
            answer = client.get(f"/api/v1/sales?start={START}&end={END}&{twice}".replace("+", "%2B"))
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert twice.partition("=")[0] in answer.json()["detail"]

    def test_a_list_may_come_in_parts(self, api: Api) -> None:
        with api.client("analyst") as client:
            params = {"start": START, "end": END, "filter": ["category=Dairy", "region=North"]}
            assert client.get("/api/v1/sales", params=params).status_code == 200


class TestAlerts:
    def test_are_acknowledged_and_resolved_with_notes(self, api: Api) -> None:
        with api.client("analyst") as client:
            path = "/api/v1/alerts/1"
            assert client.post(f"{path}/acknowledge", json={"note": "Looking"}).json()["state"] == "acknowledged"
            assert client.post(f"{path}/resolve", json={"note": "A closed road"}).json()["state"] == "resolved"
            again = client.post(f"{path}/resolve", json={})
            assert client.post(f"{path}/reopen", json={"note": "Not yet"}).json()["state"] == "open"
            assert client.post(f"{path}/reopen", json={}).status_code == 409
            assert set(client.get(f"{path}/counted").json()) == {"counted"}
            assert client.post(f"{path}/comment", json={"text": "It is open again"}).status_code == 200
            kinds = [(entry["kind"], entry["note"]) for entry in client.get(f"{path}/history").json()["items"]]
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert kinds[-4:] == [
            ("acknowledged", "Looking"), ("resolved", "A closed road"), ("reopened", "Not yet"), ("commented", "It is open again")
        ]  # fmt: skip

    def test_are_snoozed_and_given_to_somebody(self, api: Api) -> None:
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        with api.client("analyst") as client:
            path = "/api/v1/alerts/4"
            snoozed = client.post(f"{path}/snooze", json={"until": until, "reason": "The carrier knows"}).json()
            assert (snoozed["state"], snoozed["snoozed_until"][:16]) == ("snoozed", until[:16])
            assert client.post(f"{path}/snooze", json={"until": "soon", "reason": "x"}).status_code == 422
            (one, *_others) = client.get(f"{path}/assignable").json()["items"]
            assert client.post(f"{path}/assign", json={"owner": one}).json()["owner"] == one
            assert client.post(f"{path}/assign", json={"owner": "nobody at all"}).status_code == 422

    def test_are_judged_and_the_verdict_taken_back(self, api: Api) -> None:
        with api.client("analyst") as client:
            path = "/api/v1/alerts/5"
            promotion = {"verdict": "expected", "reason": "promotion", "note": "Half price"}
            assert client.put(f"{path}/verdict", json=promotion).json()["verdict"] == "expected"
            (lesson,) = client.get("/api/v1/alerts/taught").json()["items"]
            assert (lesson["alert"]["id"], lesson["reason"], lesson["until"]) == (5, "promotion", None)
            assert client.put(f"{path}/verdict", json={"verdict": "expected"}).status_code == 422
            assert client.delete(f"{path}/verdict").json()["verdict"] == ""
            assert client.get("/api/v1/alerts/taught").json()["items"] == []
            assert client.delete(f"{path}/verdict").status_code == 409

    def test_are_told_by_incident(self, api: Api) -> None:
        with api.client("viewer") as client:
            page = client.get("/api/v1/alerts/incidents", params={"limit": 2}).json()
            first = page["items"][0]
            assert (len(page["items"]), first["lead"], len(first["alerts"])) == (2, first["id"], 1)
            assert client.get(f"/api/v1/alerts/incidents/{first['id']}").json() == first
            assert client.get("/api/v1/alerts/incidents/999999").status_code == 404

    def test_one_that_has_changed_since_it_was_read_is_left_alone(self, api: Api) -> None:
        with api.client("analyst") as client:
            seen = client.get("/api/v1/alerts/2").headers["etag"]
            changed = client.post("/api/v1/alerts/2/acknowledge", json={}, headers={"If-Match": seen})
            stale = client.post("/api/v1/alerts/2/resolve", json={}, headers={"If-Match": seen})
            assert (changed.status_code, stale.status_code, stale.json()["code"]) == (200, 412, "stale_version")
            now = {"If-Match": changed.headers["etag"]}
            assert client.post("/api/v1/alerts/2/resolve", json={}, headers=now).status_code == 200

    @pytest.mark.parametrize("tag", ["abc", 'W/"1"', '"-1"', "9" * 30, "١"])
    def test_a_tag_that_is_none_of_ours_is_refused(self, api: Api, tag: str) -> None:
        with api.client("analyst") as client:
            headers = [(b"If-Match", tag.encode())]
            assert client.post("/api/v1/alerts/3/acknowledge", json={}, headers=headers).status_code == 422


class TestUsers:
    def test_come_in_pages(self, admin: httpx.Client) -> None:
        names, which = [], {"limit": "2", "order": "role"}
        while which:
            page = admin.get("/api/v1/users", params=which).json()
            names += [user["username"] for user in page["items"]]
            which = which | {"cursor": page["next"]} if page["next"] else {}
        everybody = admin.get("/api/v1/users", params={"limit": 500, "order": "role"}).json()
        assert (names, everybody["next"]) == ([user["username"] for user in everybody["items"]], None)
        of_a_role = admin.get("/api/v1/users", params={"role": "analyst"}).json()["items"]
        assert [user["username"] for user in of_a_role] == ["analyst"]

    def create(self, admin: httpx.Client, name: str, **body: Any) -> Any:
        answer = admin.post("/api/v1/users", json={"username": name, "role": "viewer"} | body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def test_are_created_changed_shut_out_and_deleted(self, admin: httpx.Client) -> None:
        made = self.create(admin, "nina", scope={"category": ["Dairy"]})
        path = f"/api/v1/users/{made['user']['id']}"
        assert made["path"].startswith("/welcome/")
        assert made["user"]["scope"] == {"category": ["Dairy"]}
        assert made["user"]["state"] == "invited"
        assert admin.put(path, json={"role": "analyst"}).status_code == 422, "limits on rows fall only where it is said"
        nothing = admin.put(path, json={"role": "viewer", "scope": {"category": []}})
        assert (nothing.status_code, "at least one value of category" in nothing.json()["detail"]) == (422, True)
        assert admin.get(path).json()["scope"] == {"category": ["Dairy"]}
        assert admin.put(path, json={"role": "analyst", "scope": {}}).json()["role"] == "analyst"
        assert admin.get(path).json()["scope"] == {}
        assert admin.put(f"{path}/state", json={"disabled": True}).json()["state"] == "disabled"
        assert admin.delete(path).status_code == 204
        assert admin.get(path).status_code == 404

    def test_edits_of_a_stale_version_are_refused(self, admin: httpx.Client) -> None:
        path = f"/api/v1/users/{self.create(admin, 'stale')['user']['id']}"
        seen = {"If-Match": admin.get(path).headers["etag"]}
        assert admin.put(path, json={"role": "analyst", "scope": {}}, headers=seen).status_code == 200
        for late in (
            admin.put(path, json={"role": "admin", "scope": {}}, headers=seen),
            admin.put(f"{path}/state", json={"disabled": True}, headers=seen),
            admin.delete(path, headers=seen),
        ):
            assert (late.status_code, late.json()["code"]) == (412, "stale_version")
        assert admin.get(path).json()["role"] == "analyst"

    def test_fields_that_are_not_ones_to_set_are_refused(self, admin: httpx.Client) -> None:
        for extra in ({"id": 1}, {"password_hash": "x"}, {"version": 9}, {"disabled": False}):
            answer = admin.post("/api/v1/users", json={"username": "mass", "role": "viewer"} | extra)
            assert answer.status_code == 422

    def test_the_last_administrator_stays(self, admin: httpx.Client) -> None:
        (own,) = [user for user in admin.get("/api/v1/users").json()["items"] if user["role"] == "admin"]
        path = f"/api/v1/users/{own['id']}"
        for answer in (
            admin.put(path, json={"role": "viewer", "scope": {}}),
            admin.put(f"{path}/state", json={"disabled": True}),
            admin.delete(path),
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    def test_ending_sessions_ends_tokens(self, api: Api, admin: httpx.Client) -> None:
        (viewer,) = admin.get("/api/v1/users", params={"search": "viewer"}).json()["items"]
        with api.client("viewer") as client:
            assert client.get("/api/v1/me").status_code == 200
            assert admin.post(f"/api/v1/users/{viewer['id']}/end-sessions").status_code == 200
            assert client.get("/api/v1/me").status_code == 401

    def test_an_administrator_sees_what_one_sees_and_changes_nothing(self, api: Api, admin: httpx.Client) -> None:
        made = self.create(admin, "seen", role="analyst", scope={"category": ["Part 3"]})["user"]
        path = f"/api/v1/users/{made['id']}"
        answer = admin.post(f"{path}/view-token")
        assert answer.status_code == 201, answer.text
        with api.served.client(headers={"Authorization": f"Bearer {answer.json()['access_token']}"}) as client:
            me = client.get("/api/v1/me").json()
            assert (me["username"], me["role"]) == ("seen", "analyst")
            shown = client.get("/api/v1/alerts").json()["items"]
            assert {alert["dimensions"]["category"] for alert in shown} == {"Part 3"}
            assert client.get("/api/v1/users").status_code == 403
            for refused in (
                client.post("/api/v1/alerts/3/acknowledge", json={}),
                client.patch("/api/v1/me", json={"theme": "dark"}),
                client.post("/api/v1/tokens", json={"name": "more", "permissions": ["data:read"], "days": 1}),
                client.post(f"{path}/view-token"),
                client.get("/api/v1/exports/figures", params=QUERY),
            ):
                assert (refused.status_code, refused.json()["code"]) == (403, "view_only")
            assert admin.put(f"{path}/state", json={"disabled": True}).status_code == 200
            assert client.get("/api/v1/me").status_code == 401
        (entry,) = admin.get("/api/v1/audit", params={"action": "view:start"}).json()["items"]
        assert (entry["username"], entry["subject"]) == ("admin", "user seen")

    def test_are_not_looked_at_by_a_personal_token(self, api: Api, admin: httpx.Client) -> None:
        made = self.create(admin, "unseen")["user"]
        body = {"name": "helper", "permissions": ["users:manage"], "days": 1}
        token = admin.post("/api/v1/tokens", json=body).json()["token"]
        with api.served.client(headers={"Authorization": f"Bearer {token}"}) as client:
            assert client.get(f"/api/v1/users/{made['id']}").status_code == 200
            assert client.post(f"/api/v1/users/{made['id']}/view-token").status_code == 403

    def test_what_was_done_stands_in_the_audit_log(self, admin: httpx.Client) -> None:
        self.create(admin, "noted", role="analyst")
        (entry,) = admin.get("/api/v1/audit", params={"action": "user:create", "search": "noted"}).json()["items"]
        assert (entry["username"], entry["subject"], entry["after"]["role"]) == ("admin", "user noted", "analyst")


class TestUserImport:
    CSV = "username,role,category\nmia,viewer,Dairy|<b>Deli</b>\nviewer,viewer,\nroot2,boss,\nleo,viewer,Diary\n"

    def send(self, client: httpx.Client, content: str | bytes, **options: Any) -> httpx.Response:
        headers = {"Content-Type": "text/csv"} | options.pop("headers", {})
        return client.post("/api/v1/users/import", content=content, headers=headers, **options)

    def test_answers_each_row_and_can_be_tried_before(self, admin: httpx.Client) -> None:
        tried = self.send(admin, self.CSV, params={"dry_run": "true"}).json()
        assert (tried["created"], tried["refused"]) == (1, 3)
        assert all(item["path"] is None for item in tried["items"])
        assert admin.get("/api/v1/users", params={"search": "mia"}).json()["items"] == []
        answer = self.send(admin, self.CSV)
        mia, twin, boss, misspelt = answer.json()["items"]
        assert (mia["username"], mia["scope"], mia["problem"]) == ("mia", {"category": ["<b>Deli</b>", "Dairy"]}, None)
        assert mia["path"].startswith("/welcome/")
        assert "already" in twin["problem"]
        assert "boss" in boss["problem"]
        assert "there is no Diary" in misspelt["problem"]
        (user,) = admin.get("/api/v1/users", params={"search": "mia"}).json()["items"]
        assert (user["state"], user["scope"]) == ("invited", mia["scope"])
        assert admin.delete(f"/api/v1/users/{user['id']}").status_code == 204

    @pytest.mark.parametrize(
        ("content", "kind", "status"),
        [
            ("", "text/csv", 422),
            ("username,role,password\na,viewer,x\n", "text/csv", 422),
            (b"\x00", "text/csv", 422),
            ("username,role\na,viewer\n", "application/json", 415),
            ("username,role\na,viewer\n", "", 415),
            (b"x" * 600_000, "text/csv", 413),
        ],
    )
    def test_of_what_is_no_file_of_users_is_refused(
        self, admin: httpx.Client, content: str | bytes, kind: str, status: int
    ) -> None:
        assert self.send(admin, content, headers={"Content-Type": kind}).status_code == status


class TestRoles:
    BODY: ClassVar[dict[str, Any]] = {"name": "Region lead", "permissions": ["alerts:manage"]}

    def test_are_created_given_changed_and_deleted(self, api: Api, admin: httpx.Client) -> None:
        made = admin.post("/api/v1/roles", json=self.BODY)
        assert made.status_code == 201
        assert (made.json()["slug"], made.headers["ETag"]) == ("region_lead", '"1"')
        assert made.json()["permissions"] == ["alerts:manage", "alerts:read", "data:read"]
        path = "/api/v1/roles/region_lead"
        user = admin.post("/api/v1/users", json={"username": "lea", "role": "region_lead"}).json()["user"]
        with api.client("lea") as lea:
            assert lea.get("/api/v1/me").json()["permissions"] == made.json()["permissions"]
            assert lea.get("/api/v1/sales", params={"start": "2026-03-01", "end": "2026-03-02"}).status_code == 403
            changed = {"name": "Lead", "permissions": ["sales:read"]}
            assert admin.put(path, json=changed, headers={"If-Match": '"1"'}).headers["ETag"] == '"2"'
            assert lea.get("/api/v1/sales", params={"start": "2026-03-01", "end": "2026-03-02"}).status_code == 200
            assert lea.get("/api/v1/alerts").status_code == 403
        assert admin.get(path).json()["holders"] == 1
        assert admin.delete(path).status_code == 409
        assert admin.delete(f"/api/v1/users/{user['id']}").status_code == 204
        assert admin.delete(path).status_code == 204
        assert admin.get(path).status_code == 404

    def test_edits_of_a_stale_version_are_refused(self, admin: httpx.Client) -> None:
        path = f"/api/v1/roles/{admin.post('/api/v1/roles', json=self.BODY).json()['slug']}"
        stale = {"If-Match": '"7"'}
        assert admin.put(path, json=self.BODY, headers=stale).status_code == 412
        assert admin.delete(path, headers=stale).status_code == 412
        assert admin.delete(path, headers={"If-Match": '"1"'}).status_code == 204

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"name": "x", "permissions": ["no:such"]}, 422),
            ({"name": "x", "permissions": "data:read"}, 422),
            ({"name": "x" * 61, "permissions": []}, 422),
            ({"name": "", "permissions": []}, 422),
            ({"name": "x"}, 422),
            ({"name": "x", "permissions": [], "slug": "admin"}, 422),
            ({"name": "administrator", "permissions": []}, 409),
        ],
    )
    def test_of_what_cannot_be_are_refused(self, admin: httpx.Client, body: dict[str, Any], status: int) -> None:
        assert admin.post("/api/v1/roles", json=body).status_code == status

    def test_ready_made_ones_stay(self, admin: httpx.Client) -> None:
        for slug in ("viewer", "admin"):
            assert admin.put(f"/api/v1/roles/{slug}", json=self.BODY).status_code == 409
            assert admin.delete(f"/api/v1/roles/{slug}").status_code == 409


class TestStream:
    def test_rejected_records_are_shown_and_closed(self, api: Api, admin: httpx.Client) -> None:
        assert admin.get("/api/v1/stream").json()["partitions"] is not None
        assert admin.get("/api/v1/imports").json()["items"] == []
        letters = admin.get("/api/v1/dead-letters").json()
        assert letters["next"] is None
        ids = [letter["id"] for letter in letters["items"]] or [1]
        assert admin.post("/api/v1/dead-letters/discard", json={"ids": ids}).json()["discarded"] == len(
            letters["items"]
        )

    @pytest.mark.parametrize("kind", ["api", "over_postgres"])
    def test_a_rejected_record_is_corrected_and_read_again(self, kind: str, request: pytest.FixtureRequest) -> None:
        api: Api = request.getfixturevalue(kind)
        with api.client("admin") as admin:
            posted = admin.post("/api/v1/sales", json=[sale(77, quantity="x", sale_id=f"corrected-{kind}")])
            assert posted.json()["rejected"] == 1
            letter = admin.get("/api/v1/dead-letters").json()["items"][0]
            assert letter["record"] == ""
            again = {"ids": [letter["id"]], "corrected": [{"id": letter["id"], "record": "\0 no sale"}]}
            assert admin.post("/api/v1/dead-letters/retry", json=again).json()["rejected"] == 1
            assert admin.get(f"/api/v1/dead-letters/{letter['id']}").json()["record"] == "\0 no sale"
            again["corrected"][0]["record"] = json.dumps(sale(77, sale_id=f"corrected-{kind}"))
            assert admin.post("/api/v1/dead-letters/retry", json=again | {"ids": [letter["id"] + 1]}).status_code == 422
            assert admin.post("/api/v1/dead-letters/retry", json=again).json()["accepted"] == 1
            closed = admin.get(f"/api/v1/dead-letters/{letter['id']}").json()
            assert (closed["state"], closed["payload_base64"]) == ("retried", letter["payload_base64"])


class TestClient:
    """`nebuloviz.client` against the running server."""

    @pytest.fixture
    def client(self, api: Api) -> Iterator[Client]:
        with Client.sign_in(api.served.url, "data_scientist", PASSWORD) as client:
            yield client

    def test_a_query_becomes_a_frame(self, client: Client) -> None:
        frame = client.query(
            "revenue", by="category", grain="day", start=START, end=END, time_zone="Asia/Kolkata"
        ).to_frame()
        assert list(frame.columns[:2]) == ["bucket", "category"]
        assert str(frame["bucket"].dt.tz) in {"Asia/Kolkata", "UTC+05:30"}
        assert frame["revenue"].sum() == pytest.approx(8 * 2.5)

    def test_a_dimension_keeps_the_name_that_it_was_asked_by(self, client: Client) -> None:
        asked = client.query("revenue", by="department", grain="day", start=START, end=END, order="-department")
        frame = asked.to_frame()
        assert list(frame.columns) == ["bucket", "department", "revenue", "unfinished"]
        assert frame.equals(
            client.query("revenue", by="category", grain="day", start=START, end=END, order="-category")
            .to_frame()
            .rename(columns={"category": "department"})
        )
        assert client.query("lines", start=START, end=END, where={"department": "Dairy"}).rows == ((4,),)

    def test_filters_and_lists(self, client: Client) -> None:
        answer = client.query(["lines", "orders"], start=START, end=END, where={"category": "Dairy"})
        assert answer.rows[0][0] == 4
        assert {line["category"] for line in client.sales(start=START, end=END, where={"category": ["Dairy"]})} == {
            "Dairy"
        }

    def test_what_stands_out_and_what_is_ahead(self, api: Api, client: Client) -> None:
        with api.client("data_scientist") as plain:
            asked = {"start": START, "end": END, "filter": "category=Dairy", "time_zone": "Europe/Berlin"}
            items = plain.get("/api/v1/insights", params=asked).json()["items"]
        assert client.insights(start=START, end=END, time_zone="Europe/Berlin", where={"category": "Dairy"}) == items
        assert client.digest(date.fromisoformat(START[:10]), where={"category": "Dairy"})["day"] == START[:10]
        coming = client.forecast("revenue", grain="week", buckets=2, time_zone="UTC", where={"category": "Dairy"})
        assert list(coming.to_frame().columns) == ["start", "end", "value", "low_80", "high_80", "low_95", "high_95"]
        assert coming.rows == ()  # of eight sales nothing can be told

    def test_sales_are_written_once(self, client: Client) -> None:
        sales = [sale(900 + number) for number in range(3)]
        first, second = client.write([*sales, {"sale_id": "bad"}]), client.write(iter(sales))
        assert (first.accepted, first.duplicates, [place for place, _ in first.rejected]) == (3, 0, [3])
        assert (second.accepted, second.duplicates, second.rejected) == (0, 3, ())

    def test_alerts_come_page_after_page(self, client: Client) -> None:
        ids = [alert["id"] for alert in client.alerts()]
        assert len(ids) == len(set(ids)) == 7
        assert client.acknowledge(ids[0], "seen")["state"] == "acknowledged"

    def test_refusals_are_errors_with_a_code(self, client: Client) -> None:
        with pytest.raises(ApiError) as refused:
            client.query("no_such_metric", start=START, end=END)
        assert (refused.value.status, refused.value.code) == (422, "invalid_query")

    def test_a_wrong_password_is_told(self, api: Api) -> None:
        with pytest.raises(ApiError) as refused:
            Client.sign_in(api.served.url, "nobody-here", "wrong")
        assert refused.value.code == "not_signed_in"
