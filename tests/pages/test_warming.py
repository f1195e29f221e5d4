import logging
from typing import Any

import pytest

from nebuloviz.db import Database
from nebuloviz.errors import Unavailable
from nebuloviz.settings import Settings
from nebuloviz.web import warming
from tests.pages.conftest import Shop

Dashboard = tuple[Any, Settings, Database]


@pytest.fixture
def many(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many lines are many now: all that there are."""
    monkeypatch.setattr(warming, "MANY_LINES", len(shop.data.lines))
    return len(shop.data.lines)


@pytest.mark.usefixtures("many")
def test_overview_is_drawn_before_anybody_asks(dashboard: Dashboard, shop: Shop) -> None:
    warming.warm_up(dashboard[0].server)
    asked = {(query.metrics, query.dimensions, query.filters) for query in shop.data.asked}
    assert (("revenue",), ("category",), ()) in asked
    assert (("revenue",), (), ()) in asked
    assert not any(view.readers for view in dashboard[0].server.extensions["nebuloviz"].live._views.values()), (
        "nobody looks at it"
    )


def test_few_sales_need_none_of_that(dashboard: Dashboard, shop: Shop, many: int) -> None:
    shop.data.lines = shop.data.lines.iloc[: many - 1]
    warming.warm_up(dashboard[0].server)
    assert not shop.data.asked


@pytest.mark.usefixtures("many")
def test_a_database_that_does_not_answer_stops_nothing(
    dashboard: Dashboard, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.data.failure = Unavailable("away")
    with caplog.at_level(logging.INFO, "nebuloviz.web.warming"):
        warming.warm_up(dashboard[0].server)
    assert [record.getMessage() for record in caplog.records] == [
        "The first page could not be drawn ahead: Unavailable"
    ]
