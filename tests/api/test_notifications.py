"""Channels over HTTP: made, looked at, changed, tried and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nebuloviz.models import User
from nebuloviz.permissions import SYSTEM
from tests.api.conftest import Api
from tests.api.test_tokens import bearing, made
from tests.receivers import Hooked, hook

CHANNELS = "/api/v1/notifications/channels"
RULE = {
    "least": "high",
    "metrics": ["orders", "revenue"],
    "segment": {"region": ["north", "south"]},
    "over": False,
    "days": [0, 4],
    "begin": "08:30",
    "end": "18:00",
    "critical_always": False,
}


@pytest.fixture(scope="module")
def taken(api: Api) -> Iterator[Hooked]:
    with api.database.transaction() as session:
        settings = api.services.settings
        settings.change(session, SYSTEM, settings.get(session, SYSTEM).version, {"webhook_private_hosts": "127.0.0.1"})
    with hook() as opened:
        yield opened


def test_a_channel_from_its_making_to_its_end(api: Api, taken: Hooked) -> None:
    with api.client("viewer") as client:
        body: dict[str, Any] = {
            "kind": "webhook",
            "name": "Mine",
            "target": taken.url,
            "rules": [RULE],
            "group_minutes": 15,
        }
        created = client.post(CHANNELS, json=body)
        assert created.status_code == 201, created.text
        item = created.json()["item"]
        assert (item["rules"], item["target"], len(created.json()["secret"])) == ([RULE], taken.url[7:], 64)
        path = f"{CHANNELS}/{item['id']}"
        assert client.get(path).json() == item
        assert client.get(CHANNELS).json()["items"] == [item]
        assert client.post(f"{path}/test").status_code == 204
        assert taken.requests[-1][1]["X-NebuloViz-Signature"]
        again = client.post(f"{path}/test")
        assert (again.status_code, int(again.headers["Retry-After"]) > 0) == (429, True)
        changed = client.put(path, json={"name": "Other"}, headers={"If-Match": created.headers["ETag"]})
        assert (changed.json()["name"], changed.json()["version"], changed.json()["target"]) == (
            "Other",
            2,
            item["target"],
        )
        stale = client.put(path, json={"name": "Late"}, headers={"If-Match": created.headers["ETag"]})
        assert stale.status_code == 412
        assert client.get("/api/v1/notifications/messages").json() == {"items": [], "next": None}
    with api.client("analyst") as other:
        assert [other.get(path).status_code, other.delete(path).status_code] == [404, 404]
    with api.client("viewer") as client:
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == 404


def test_a_test_that_is_not_taken_says_why(api: Api, taken: Hooked) -> None:
    with api.client("viewer") as client:
        body = {"kind": "slack", "name": "Chat", "target": "http://10.0.0.1/"}
        number = client.post(CHANNELS, json=body).json()["item"]["id"]
        answer = client.post(f"{CHANNELS}/{number}/test")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_sent")
    assert "private network" in answer.json()["detail"]


def test_shared_ones_are_for_who_manages_settings(api: Api) -> None:
    body = {"kind": "mail", "name": "Team", "target": "team@example.com", "shared": True}
    with api.client("analyst") as client:
        assert client.post(CHANNELS, json=body).status_code == 403
    with api.client("admin") as client:
        assert client.post(CHANNELS, json=body).status_code == 201
    with api.client("analyst") as client:
        assert client.get(CHANNELS).json()["items"] == []


def test_a_personal_token_makes_none(api: Api) -> None:
    """One that leaked would go on telling what it was taken away for."""
    with bearing(api, made(api, "viewer", "leaked", "alerts:read")["token"]) as client:
        assert client.get(CHANNELS).status_code == 200
        assert (
            client.post(CHANNELS, json={"kind": "slack", "name": "x", "target": "https://a.example/"}).status_code
            == 403
        )


def test_mails_of_one_s_own_need_an_address(api: Api) -> None:
    with api.client("data_scientist") as client:
        assert client.post(CHANNELS, json={"kind": "mail", "name": "Me"}).status_code == 422
        with api.database.transaction() as session:
            session.query(User).filter_by(username="data_scientist").one().email = "d@example.com"
        assert client.post(CHANNELS, json={"kind": "mail", "name": "Me"}).status_code == 201
