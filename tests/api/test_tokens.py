"""Personal API tokens over HTTP: for what they name, while their owner may, until they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nebuloviz.models import ApiToken, User
from tests.api.conftest import PASSWORD, Api
from tests.api.test_permissions import QUERY


def made(api: Api, role: str, name: str, *permissions: str, days: int = 90) -> Any:
    with api.client(role) as client:
        answer = client.post("/api/v1/tokens", json={"name": name, "permissions": list(permissions), "days": days})
    assert answer.status_code == 201, answer.text
    return answer.json()


def bearing(api: Api, token: str) -> httpx.Client:
    return api.served.client(headers={"Authorization": f"Bearer {token}"})


def test_it_may_do_what_it_names_and_no_more(api: Api) -> None:
    with bearing(api, made(api, "admin", "reader", "data:read")["token"]) as client:
        assert client.post("/api/v1/query", json=QUERY).status_code == 200
        assert client.get("/api/v1/me").json()["permissions"] == ["data:read"]
        for method, path in (("GET", "/api/v1/alerts"), ("GET", "/api/v1/users"), ("POST", "/api/v1/sales")):
            assert client.request(method, path, json=[] if method == "POST" else None).status_code == 403


def test_it_may_do_no_more_than_its_owner(api: Api) -> None:
    with api.client("viewer") as client:
        body = {"name": "more", "permissions": ["data:read", "users:manage"]}
        answer = client.post("/api/v1/tokens", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        assert client.get("/api/v1/tokens").json()["items"] == []


def test_what_the_owner_loses_it_loses(api: Api) -> None:
    token = made(api, "analyst", "lines", "sales:read")["token"]

    def set_role(role: str) -> None:
        with api.database.transaction() as session:
            session.query(User).filter_by(username="analyst").one().role = role

    with bearing(api, token) as client:
        params = {"start": "2026-03-01", "end": "2026-03-02"}
        assert client.get("/api/v1/sales", params=params).status_code == 200
        set_role("viewer")
        assert client.get("/api/v1/sales", params=params).status_code == 403
        set_role("analyst")


def test_it_keeps_no_tokens_itself(api: Api) -> None:
    with bearing(api, made(api, "admin", "breeder", "users:manage")["token"]) as client:
        assert client.get("/api/v1/tokens").status_code == 403
        assert client.post("/api/v1/tokens", json={"name": "child", "permissions": ["data:read"]}).status_code == 403


def test_it_is_stored_as_a_hash_and_its_use_is_told(api: Api) -> None:
    token = made(api, "data_scientist", "notebook", "data:read")["token"]
    with bearing(api, token) as client:
        client.get("/api/v1/me")
    with api.database.session() as session:
        row = session.query(ApiToken).filter_by(name="notebook").one()
        assert token not in {row.token_hash, row.name, row.permissions}
    with api.client("data_scientist") as client:
        (item,) = client.get("/api/v1/tokens").json()["items"]
    assert (item["name"], item["permissions"]) == ("notebook", ["data:read"])
    assert datetime.now(UTC) - datetime.fromisoformat(item["last_used_at"]) < timedelta(minutes=1)


def test_revoked_it_is_worth_nothing(api: Api) -> None:
    token = made(api, "admin", "short", "data:read")
    with api.client("viewer") as other:
        assert other.delete(f"/api/v1/tokens/{token['item']['id']}").status_code == 404  # not that user's own
    with api.client("admin") as client:
        assert client.delete(f"/api/v1/tokens/{token['item']['id']}").status_code == 204
    with bearing(api, token["token"]) as client:
        answer = client.get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_it_expires(api: Api) -> None:
    token = made(api, "admin", "gone tomorrow", "data:read", days=1)["token"]
    with api.database.transaction() as session:
        session.query(ApiToken).filter_by(name="gone tomorrow").one().expires_at = datetime.now(UTC)
    with bearing(api, token) as client:
        assert client.get("/api/v1/me").status_code == 401


def test_a_new_password_ends_it(api: Api) -> None:
    with api.database.transaction() as session:
        api.services.auth.create_user(session, "tokened", PASSWORD, "viewer")
    token = made(api, "tokened", "old", "data:read")["token"]
    with api.database.transaction() as session:
        api.services.auth.set_password(session, "tokened", "another fine password")
    with bearing(api, token) as client:
        assert client.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("token", ["nvt_", "nvt_guess", "nvt_" + "x" * 5000, "nvt_\x7f"])
def test_a_guess_is_refused(api: Api, token: str) -> None:
    with bearing(api, token) as client:
        assert client.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"name": " ", "permissions": ["data:read"]},
        {"name": "line\nbreak", "permissions": ["data:read"]},
        {"name": "x", "permissions": []},
        {"name": "x", "permissions": ["data:read"], "days": 0},
        {"name": "x", "permissions": ["data:read"], "days": 367},
        {"name": "x", "permissions": ["data:read"], "user_id": 1},
    ],
)
def test_what_cannot_be_a_token_is_refused(api: Api, body: dict[str, Any]) -> None:
    with api.client("admin") as client:
        assert client.post("/api/v1/tokens", json=body).status_code == 422


def test_names_tell_them_apart(api: Api) -> None:
    made(api, "admin", "twice", "data:read")
    with api.client("admin") as client:
        answer = client.post("/api/v1/tokens", json={"name": "twice", "permissions": ["data:read"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_making_and_revoking_stand_in_the_audit_log(api: Api) -> None:
    item = made(api, "admin", "audited", "data:read")["item"]
    with api.client("admin") as client:
        client.delete(f"/api/v1/tokens/{item['id']}")
        found = client.get("/api/v1/audit", params={"search": "audited"}).json()["items"]
    assert [entry["action"] for entry in found] == ["token:revoke", "token:create"]
    assert found[1]["after"]["permissions"] == ["data:read"]
