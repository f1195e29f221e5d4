"""What the first sale settles, and what then contradicts it, on both databases."""

import pytest
from sqlalchemy import select

from nebuloviz.db import Database
from nebuloviz.ingest.installation import contradiction, settle
from nebuloviz.ingest.recount import differences, rebuild
from nebuloviz.models import SpreadOrder
from tests.ingest.support import encoded, write
from tests.ingest.test_writer import sink_of


def test_while_there_is_no_sale_the_settings_may_change(database: Database) -> None:
    assert settle(database, "UTC", "USD") == ""
    assert settle(database, "Europe/Berlin", "EUR") == ""
    assert settle(database, "Europe/Berlin", "") == ""


@pytest.mark.parametrize(
    ("time_zone", "currency", "named"),
    [
        ("UTC", "EUR", ""),
        ("UTC", "", ""),
        ("Europe/Berlin", "EUR", "NEBULOVIZ_TIME_ZONE"),
        ("UTC", "USD", "NEBULOVIZ_CURRENCY"),
    ],
)
def test_after_the_first_sale_they_may_not(database: Database, time_zone: str, currency: str, named: str) -> None:
    settle(database, "UTC", "")
    write(sink_of(database), [encoded(currency="EUR")])
    found = settle(database, time_zone, currency)
    assert named in found
    assert bool(found) is bool(named)


def test_a_configured_currency_is_settled_too(database: Database) -> None:
    settle(database, "UTC", "EUR")
    write(sink_of(database, currency="EUR"), [encoded()])
    assert "EUR" in settle(database, "UTC", "USD")


def test_a_database_from_before_is_taken_at_its_settings_word(database: Database) -> None:
    write(sink_of(database, "Europe/Berlin"), [encoded()])
    assert settle(database, "Europe/Berlin", "") == ""
    assert "Europe/Berlin" in settle(database, "UTC", "")


def test_a_rebuild_settles_another_zone(database: Database) -> None:
    settle(database, "UTC", "")
    lines = [encoded(sale_id=str(minute), sold_at=f"2026-03-20T18:{minute}:00Z") for minute in (10, 20)]
    write(sink_of(database), lines)  # in one hour, and on both sides of midnight in Kathmandu
    rebuild(database, "Asia/Kathmandu")
    assert settle(database, "Asia/Kathmandu", "") == ""
    assert differences(database, "Asia/Kathmandu") == []
    with database.session() as session:
        assert session.scalars(select(SpreadOrder.order_id)).all() == ["o1"], "its orders do not add up over the days"


def test_to_look_for_a_contradiction_waits_for_no_writer(database: Database) -> None:
    settle(database, "UTC", "EUR")
    with database.transaction() as session:
        session.add(SpreadOrder(order_id="o"))
        session.flush()
        assert "EUR" in contradiction(database, "UTC", "USD")
