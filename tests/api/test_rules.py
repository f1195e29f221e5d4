"""Rules of one's own over HTTP."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

RULES = "/api/v1/rules"
BODY: dict[str, Any] = {
    "name": "Hardly any orders",
    "detector": "threshold",
    "metric": "orders",
    "grain": "day",
    "dimension": "category",
    "value": "Dairy",
    "parameters": {"below": 3, "above": None},
    "enabled": True,
}
WRONG: tuple[dict[str, Any], ...] = (
    {"detector": "oracle"},
    {"metric": "customers"},
    {"grain": "week"},
    {"dimension": "product"},
    {"parameters": {}},
    {"parameters": {"below": 1e300}},
    {"parameters": {"sideways": 1}},
    {"made_by": "admin"},
)


def test_a_rule_from_its_making_to_its_end(api: Api) -> None:
    with api.client("viewer") as reader:
        assert reader.post(RULES, json=BODY).status_code == 403
    with api.client("analyst") as client:
        created = client.post(RULES, json=BODY)
        assert created.status_code == 201, created.text
        item = created.json()
        path = f"{RULES}/{item['id']}"
        assert item | BODY == item
        assert (item["made_by"], item["version"], item["alerts"], item["problem"]) == ("analyst", 1, 0, "")
        assert item in client.get(RULES).json()["items"]
        tag = {"If-Match": created.headers["ETag"]}
        assert client.put(path, json={**BODY, "enabled": False}, headers=tag).json()["version"] == 2
        assert client.put(path, json=BODY, headers=tag).status_code == 412
        for wrong in WRONG:
            assert client.put(path, json={**BODY, **wrong}).status_code == 422, wrong
        assert client.get(path).json()["enabled"] is False
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == client.delete(path).status_code == 404


def test_detectors_say_what_they_take_in_the_callers_language(api: Api) -> None:
    with api.client("viewer") as client:
        told = client.get(f"{RULES}/detectors").json()
        german = client.get(f"{RULES}/detectors", headers={"Accept-Language": "de"}).json()
    items, german_items = ({item["name"]: item for item in answer["items"]} for answer in (told, german))
    assert [each["name"] for each in items["threshold"]["parameters"]] == ["below", "above"]
    assert [name for name in items if items[name]["label"] == german_items[name]["label"]] == []
    assert "orders" in told["metrics"]
