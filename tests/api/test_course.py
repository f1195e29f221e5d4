"""What charts show beside a course over HTTP: the range that was to be expected, and how old the data is."""

from __future__ import annotations

from datetime import timedelta

from nebuloviz.models import Expectation
from tests.api.conftest import BUCKET, Api
from tests.api.test_data import sale

EXPECTED, FRESHNESS = "/api/v1/series/expected", "/api/v1/freshness"


def test_what_was_to_be_expected(api: Api) -> None:
    with api.database.transaction() as session:
        for hour in range(2):
            about = {"expected": 5.0 + hour, "low": 2.0, "high": 9.0}
            session.add(Expectation(series="orders", bucket=BUCKET + timedelta(hours=hour), **about))
    asked = {"metric": "orders", "grain": "hour", "start": "2026-03-02", "end": "2026-03-03"}
    with api.client("viewer") as client:
        found = client.get(EXPECTED, params=asked).json()
        assert {name: found[name] for name in ("metric", "unit", "grain", "time_zone")} == {
            "metric": "orders", "unit": "count", "grain": "hour", "time_zone": "UTC",
        }  # fmt: skip
        assert found["points"] == [
            {"start": "2026-03-02T13:00:00Z", "expected": 5.0, "low": 2.0, "high": 9.0},
            {"start": "2026-03-02T14:00:00Z", "expected": 6.0, "low": 2.0, "high": 9.0},
        ]
        assert client.get(EXPECTED, params=asked | {"filter": "region=nowhere"}).json()["points"] == []
        for wrong in ({"metric": "nope"}, {"end": "9000-01-01"}, {"filter": "region"}, {"grain": "eon"}):
            assert client.get(EXPECTED, params=asked | wrong).status_code == 422, wrong


def test_how_old_the_data_is(api: Api) -> None:
    with api.client("data_scientist") as client:
        before = client.get(FRESHNESS).json()
        assert client.post("/api/v1/sales", json=[sale(1)]).json()["accepted"] == 1
        after = client.get(FRESHNESS).json()
    assert (before["lines"], before["last_sale"], after["lines"]) == (0, None, 1)
    assert (after["last_sale"], after["currency"]) == ("2026-03-03T10:30:00Z", "USD")
