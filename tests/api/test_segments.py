"""The segments that an alert comes from, over HTTP."""

from datetime import timedelta
from typing import Any

from tests.api.conftest import BUCKET, Api
from tests.api.test_data import sale

SOLD = [(week, part, n) for week in range(5) for part in (3, 4, 5) for n in range(9) if (week, part) != (0, 4)]


def _sold(week: int, part: int, number: int) -> dict[str, Any]:
    """A sale in the hour of the alerts, so many weeks before."""
    name, sold_at = f"{week}-{part}-{number}", BUCKET - timedelta(weeks=week) + timedelta(minutes=number)
    changed = {"sale_id": name, "order_id": name, "sold_at": sold_at.isoformat(), "category": f"Part {part}"}
    return sale(number, **changed, quantity=1, unit_price=10 + number % 3)


def test_are_named_with_what_each_explains_and_what_is_left(api: Api) -> None:
    with api.client("data_scientist") as client:
        assert client.post("/api/v1/sales", json=[_sold(*each) for each in SOLD]).json()["accepted"] == len(SOLD)
    with api.client("viewer") as client:
        found = client.get("/api/v1/alerts/5/segments", params={"limit": 2}).json()
        few = client.get("/api/v1/alerts/5/segments", params={"limit": 0})
    first = found["items"][0]
    assert (first["dimensions"], first["observed"], first["expected"]) == (
        {"category": "Part 4"},
        0.0,
        40.0,
    )  # as the alert expects
    assert (first["share"], found["unexplained"]) == (1.0, 0.0)
    assert few.status_code == 422
