"""Settings of a rule tried on the past over HTTP, in the process that really carries it out."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import httpx

from nebuloviz.clock import utc_now
from tests.api.conftest import Api

BACKTESTS = "/api/v1/backtests"
BELOW: dict[str, Any] = {
    "name": "Hardly any orders",
    "detector": "threshold",
    "metric": "orders",
    "grain": "day",
    "dimension": "",
    "value": None,
    "parameters": {"below": 2.0, "above": None},
    "enabled": True,
}
OFTENER = BELOW | {"parameters": {"below": 4.0, "above": None}}
WRONG: tuple[dict[str, Any], ...] = (
    {"settings": []},
    {"settings": [BELOW] * 3},
    {"settings": [BELOW], "weeks": 3},
    {"settings": [BELOW | {"detector": "oracle"}]},
    {"settings": [BELOW, OFTENER | {"metric": "revenue"}]},
)


def sell(client: httpx.Client) -> None:
    """One order on the one day, three on the next."""
    day = utc_now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=8)
    sales = [
        {
            "sale_id": f"tried {number}",
            "order_id": f"tried {number}",
            "sold_at": (day + timedelta(days=number > 0)).isoformat(),
            "product_id": "p1",
            "quantity": 1,
            "unit_price": 5,
            "currency": "EUR",
        }
        for number in range(4)
    ]
    assert client.post("/api/v1/sales", json=sales).json()["accepted"] == 4


def finished(client: httpx.Client, backtest: int) -> Any:
    deadline = time.monotonic() + 120
    while (found := client.get(f"{BACKTESTS}/{backtest}", params={"courses": True}).json())["state"] == "running":
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def test_a_setting_from_its_trial_to_a_live_rule(api: Api) -> None:
    with api.client("data_scientist") as seller:
        sell(seller)
    with api.client("analyst") as client:
        assert client.get(f"{BACKTESTS}/latest").status_code == 404
        for wrong in WRONG:
            assert client.post(BACKTESTS, json=wrong).status_code == 422, wrong
        started = client.post(BACKTESTS, json={"settings": [BELOW, OFTENER], "weeks": 2})
        assert (started.status_code, started.json()["state"]) == (201, "running"), started.text
        path = f"{BACKTESTS}/{started.json()['id']}"
        done = finished(client, started.json()["id"])
        assert (done["state"], done["message"], done["done"]) == ("done", "", done["total"])
        few, many = done["sides"]
        assert (few["setting"], many["setting"]) == (BELOW, OFTENER)
        assert 0 < many["count"] == len(many["alerts"])
        assert {1.0, 3.0} <= set(few["courses"][0]["values"])
        _label(client, path, few["alerts"][-1])
        assert client.get(f"{BACKTESTS}/latest").json()["sides"][0]["courses"] is None
        made = client.post("/api/v1/rules", json=few["setting"])
        assert made.status_code == 201, made.text
        assert client.delete(f"/api/v1/rules/{made.json()['id']}").status_code == 204
        assert client.post(f"{path}/stop").json()["state"] == "done"
    with api.client("admin") as other:
        assert other.get(path).status_code == other.post(f"{path}/stop").status_code == 404


def _label(client: httpx.Client, path: str, alert: dict[str, Any]) -> None:
    named = {name: alert[name] for name in ("series", "start", "end")}
    for verdict in ("false_alarm", None):
        assert client.put(f"{path}/labels", json={**named, "verdict": verdict}).status_code == 204
        told = client.get(path).json()["sides"][0]["alerts"][-1]
        assert told == alert | {"label": verdict or ""}
    elsewhere = {**named, "start": "2020-01-01T00:00:00Z", "verdict": "real"}
    assert client.put(f"{path}/labels", json=elsewhere).status_code == 404
    assert client.put(f"{path}/labels", json={**named, "verdict": "nonsense"}).status_code == 422
