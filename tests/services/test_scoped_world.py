"""Whoever sees some rows sees what a shop with only those rows would show: every answer is compared with that shop's own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from nebuloviz import migrate
from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.ingest.sale import Sale
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import DIMENSIONS, METRICS
from nebuloviz.permissions import SYSTEM, Actor, RowScope
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.customer_sets import CustomerSetBuilder
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.export import sheet_of_frame
from nebuloviz.services.forecasts import DayForecasts
from nebuloviz.services.insights import FigureInsights
from nebuloviz.services.interfaces import OTHER
from tests.metrics import shop
from tests.metrics.shop import NOW

ZONE = ZoneInfo("Europe/Berlin")
#: One dimension; several values, one of them 'not given'; two dimensions at once.
SCOPES: dict[str, RowScope] = {
    "north": (("region", ("north",)),),
    "two stores": (("store", ("Berlin", "北京")),),
    "not given": (("region", ("", "south")),),
    "two dimensions": (("region", ("north", "south")), ("category", ("category 1",))),
}
ALL = tuple(metric.slug for metric in METRICS)
MONTH = Query(ALL, NOW - timedelta(days=28), NOW + timedelta(hours=1), time_zone=ZONE.key)
TOP = MONTH.with_(metrics=("revenue", "customers", "orders"), order="-revenue", limit=2, other=True)
QUESTIONS: dict[str, Query] = {
    "tiles": MONTH.with_(comparison="previous"),
    "last year": MONTH.with_(comparison="year"),
    "sparkline": MONTH.with_(grain="day"),
    "hours": MONTH.with_(grain="hour", start=NOW - timedelta(days=2)),
    "weeks compared": MONTH.with_(grain="week", comparison="previous"),
    "months": MONTH.with_(grain="month", start=NOW - timedelta(days=400)),
    "by product": MONTH.with_(dimensions=("product",)),
    "by two": MONTH.with_(dimensions=("category", "channel")),
    "top and other": TOP.with_(dimensions=("product",)),
    "top compared": TOP.with_(dimensions=("product",), comparison="previous"),
    "top by day": TOP.with_(dimensions=("category",), grain="day", limit=1),
    **{f"by {entry.slug}": MONTH.with_(dimensions=(entry.slug,)) for entry in DIMENSIONS if entry.rolled},
}


@dataclass(frozen=True)
class World:
    """A reader, and the data, findings and lines that this reader is answered with."""

    database: Database
    data: SalesDataService
    insights: FigureInsights
    actor: Actor

    def frame(self, query: Query) -> pd.DataFrame:
        with self.database.session() as session:
            return self.data.frame(session, self.actor, query).data


def _world(path: Path, sales: list[Sale], actor: Actor) -> World:
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    shop.store(database, sales, ZONE)
    data = SalesDataService(Cache(secret="s" * 40), ZONE, now=lambda: NOW, sets=CustomerSetBuilder(database, ZONE))
    return World(
        database,
        data,
        FigureInsights(data, DatabaseAlerts(data, lambda: NOW), DayForecasts(data, lambda: NOW), lambda: NOW),
        actor,
    )


@pytest.fixture(scope="module")
def _sales() -> list[Sale]:
    return shop.lines(900, seed=11, first=NOW - timedelta(days=420))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, _sales: list[Sale]) -> Iterator[World]:
    world = _world(tmp_path_factory.mktemp("whole") / "whole.sqlite3", _sales, SYSTEM)
    yield world
    world.database.dispose()


@pytest.fixture(scope="module", params=SCOPES)
def worlds(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, everything: World, _sales: list[Sale]
) -> Iterator[tuple[World, World]]:
    """The reader with the scope in the whole shop, and one without in a shop that has only those rows."""
    scope = SCOPES[request.param]
    seen = [sale for sale in _sales if all(getattr(sale, name) in values for name, values in scope)]
    assert 50 < len(seen) < len(_sales)
    small = _world(tmp_path_factory.mktemp("small") / "small.sqlite3", seen, SYSTEM)
    yield replace(everything, actor=replace(SYSTEM, username="scoped", scope=scope)), small
    small.database.dispose()


Worlds = tuple[World, World]


@pytest.mark.parametrize("name", QUESTIONS)
def test_figures_are_those_of_the_rows_alone(worlds: Worlds, everything: World, name: str) -> None:
    scoped, small = worlds
    query = QUESTIONS[name]
    everything.frame(query)  # asked first, so that an answer of everybody's is in the cache
    for _again in range(2):
        found, expected = (world.frame(query).reset_index(drop=True) for world in (scoped, small))
        order = [column for column in found.columns if found[column].dtype == object or column == "bucket"]
        if order and not query.limit:
            found, expected = (frame.sort_values(order, ignore_index=True) for frame in (found, expected))
        pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-12)


def test_the_rest_is_what_is_left_of_the_rows(worlds: Worlds) -> None:
    scoped, _small = worlds
    top = scoped.frame(QUESTIONS["top and other"])
    assert OTHER in set(top["product"])
    total = scoped.frame(MONTH.with_(metrics=("revenue",)))["revenue"][0]
    assert top["revenue"].sum() == pytest.approx(total)


@pytest.mark.parametrize("dimension", [entry.slug for entry in DIMENSIONS])
@pytest.mark.parametrize("search", ["", "o", "1"])
def test_values_offered_are_those_of_the_rows_alone(worlds: Worlds, dimension: str, search: str) -> None:
    found = []
    for world in worlds:
        with world.database.session() as session:
            found.append(sorted(world.data.values(session, world.actor, dimension, search, 1_000)))
    assert found[0] == found[1]


def test_lines_freshness_and_downloads_are_of_the_rows_alone(worlds: Worlds) -> None:
    answers = []
    for world in worlds:
        with world.database.session() as session:
            lines = world.data.sales(session, world.actor, MONTH.with_(metrics=("lines",)), limit=500)
            fresh = world.data.freshness(session, world.actor)
            sheet = sheet_of_frame(world.data.frame(session, world.actor, QUESTIONS["by category"]))
        told = [(line.sale_id, line.region, line.category, line.store) for line in lines.lines]
        answers.append((told, lines.total, fresh.lines, fresh.first_sale, fresh.last_sale, sorted(sheet.rows, key=str)))
    assert answers[0] == answers[1]


def test_findings_speak_of_the_rows_alone(worlds: Worlds) -> None:
    texts = []
    for world in worlds:
        with world.database.session() as session:
            found = list(world.insights.insights(session, world.actor, MONTH.with_(comparison="previous")))
            digest = world.insights.digest(session, world.actor, time_zone=ZONE.key)
        texts.append([finding.text for finding in (*found, *digest.of_day, *digest.of_week, *digest.ahead)])
    assert texts[0] == texts[1]
    assert json.dumps(texts[0])
