"""What a program shows of all its sales, in the API and on Overview's tiles, and what its database holds of them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import func, select

from nebuloviz.db import Database
from nebuloviz.metrics.registry import metric
from nebuloviz.models import MONEY_SCALE, QUANTITY_SCALE, SaleRow
from tests.dash_requests import ask, callbacks_of

METRICS = ("revenue", "orders", "units")
#: Before the first sale that a test of whole programs has made.
_WEEKS = timedelta(weeks=8)
_NO_NUMBER = re.compile(r"[^\d.-]")

Figures = dict[str, float]


def held(database: Database) -> Figures:
    """What the facts add up to."""
    revenue, orders, units = func.sum(SaleRow.revenue), SaleRow.order_id.distinct(), func.sum(SaleRow.quantity)
    with database.session() as session:
        row = session.execute(select(revenue, func.count(orders), units)).one()
    return {"revenue": round(float(row[0]) / MONEY_SCALE, 2), "orders": row[1], "units": float(row[2]) / QUANTITY_SCALE}


def in_api(client: httpx.Client) -> Figures:
    """What it answers to a program that is signed in."""
    first, last = _range()
    asked = {"metrics": METRICS, "start": first, "end": last}
    answer = client.post("/api/v1/query", json=asked).raise_for_status().json()
    revenue, orders, units = answer["rows"][0]
    return {"revenue": round(float(revenue), 2), "orders": orders, "units": units}


@dataclass
class Tiles:
    """Overview, at the process that has the address `url`, as the browser asks for it whose session `client` has."""

    client: httpx.Client
    url: str

    def __post_init__(self) -> None:
        self._callbacks = callbacks_of(self.client)

    def ask(self) -> httpx.Response:
        first, last = _range()
        values = {"overview-content": "overview-content", "shell-theme": "light"}
        return ask(
            self.client, self._callbacks, "overview-content", "id", self.url,
            _pages_location=f"?from={first}&to={last}", **values,
        )  # fmt: skip

    def __call__(self) -> Figures:
        """By metric, the whole number that a tile shows to whoever points at it."""
        labels = {str(metric(slug).label): slug for slug in METRICS}
        found = dict(_tiles(self.ask().raise_for_status().json()))
        return {slug: float(_NO_NUMBER.sub("", found[label])) for label, slug in labels.items()}


def all_show(database: Database, *shown: Callable[[], Figures]) -> bool:
    """Whether each of them shows what the database holds."""
    holds = held(database)
    return all(each() == holds for each in shown)


def _range() -> tuple[str, str]:
    """The first and the last day, which is tomorrow."""
    now = datetime.now(UTC)
    return (now - _WEEKS).date().isoformat(), (now + timedelta(days=1)).date().isoformat()


def _tiles(part: Any) -> Iterator[tuple[str, str]]:
    """Label and whole figure of each tile in the JSON of components."""
    if isinstance(part, list):
        for each in part:
            yield from _tiles(each)
    elif isinstance(part, dict):
        if str(part.get("className", "")).split()[:1] == ["nv-tile"]:
            label, figure = (child["props"] for child in part["children"][:2])
            yield label["children"], figure["title"]
        else:
            yield from _tiles(list(part.values()))
