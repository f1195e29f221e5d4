"""The business calendar over HTTP."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

ENTRIES, AGENDA, HOURS = (f"/api/v1/calendar/{name}" for name in ("entries", "agenda", "hours"))


def test_an_entry_from_its_making_to_its_end(api: Api) -> None:
    body: dict[str, Any] = {"kind": "closure", "name": "Stocktaking", "first": "2027-01-04", "last": "2027-01-05"}
    with api.client("viewer") as reader:
        assert reader.post(ENTRIES, json=body).status_code == 403
        german = reader.get("/api/v1/calendar/countries", headers={"Accept-Language": "de"}).json()["items"]
        assert {"code": "DE", "name": "Deutschland"} in german
    with api.client("analyst") as client:
        created = client.post(ENTRIES, json=body)
        assert created.status_code == 201, created.text
        item = created.json()
        path = f"{ENTRIES}/{item['id']}"
        assert item == {
            **body,
            "id": item["id"],
            "country": "",
            "dimension": "",
            "value": "",
            "created_by": "analyst",
            "version": 1,
        }
        assert item in client.get(ENTRIES).json()["items"]
        days = {"first": "2027-01-01", "last": "2027-01-31"}
        assert [each["name"] for each in client.get(AGENDA, params=days).json()["items"]] == ["Stocktaking"]
        tag = {"If-Match": created.headers["ETag"]}
        assert client.put(path, json={**body, "name": "Inventory"}, headers=tag).json()["version"] == 2
        assert client.put(path, json=body, headers=tag).status_code == 412
        for wrong in ({"first": "2027-02-30"}, {"kind": "party"}, {"first": "soon"}, {"country": "de"}, {"more": 1}):
            assert client.put(path, json={**body, **wrong}).status_code == 422, wrong
        assert client.get(path).json()["name"] == "Inventory"
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == 404


def test_opening_hours(api: Api) -> None:
    week = [*[{"open": "09:00", "close": "18:30"}] * 6, {"open": "00:00", "close": "24:00"}]
    with api.client("analyst") as client:
        assert client.put(HOURS, json={"days": week}).json() == {"days": week}
        assert client.get(HOURS).json() == {"days": week}
        assert client.put(HOURS, json={"days": week[:3]}).status_code == 422
        assert client.put(HOURS, json={"days": []}).json() == {"days": []}
