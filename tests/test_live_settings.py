"""Settings that administrators decide, taken up by running processes."""

from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nebuloviz import migrate
from nebuloviz.bootstrap.core import prepare_database
from nebuloviz.bootstrap.storage import database
from nebuloviz.bootstrap.watches import _Decided, series_watcher, start_watching, watch_sales
from nebuloviz.child import Child
from nebuloviz.db import Database
from nebuloviz.ingest.announce import OnWritten
from nebuloviz.ingest.installation import CURRENCY, settled
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.business_calendar import DatabaseCalendar
from nebuloviz.services.interfaces import CalendarDraft
from nebuloviz.services.stored_settings import DatabaseSettings
from nebuloviz.services.watch_process import Judged
from nebuloviz.settings import Settings, load


@pytest.fixture
def loaded(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path)


@pytest.fixture
def stored(loaded: Settings) -> Database:
    found = database(loaded)
    migrate.upgrade(found)
    return found


def decide(loaded: Settings, stored: Database, **changes: Any) -> None:
    service = DatabaseSettings(loaded)
    with stored.session() as session:
        version = service.get(session, SYSTEM).version
    with stored.transaction() as session:
        service.change(session, SYSTEM, version, changes)


class TestTheProcessThatWatches:
    def test_is_left_to_others_where_the_environment_says_so(self, loaded: Settings) -> None:
        listeners: list[OnWritten] = []
        assert start_watching(loaded.model_copy(update={"watch": "off"}), listeners) is None
        assert listeners == []

    def test_takes_up_what_is_decided(self, loaded: Settings, stored: Database) -> None:
        decide(loaded, stored, detector="largest_deviation", time_zone="Asia/Kolkata")
        decided = _Decided(loaded, stored)
        assert decided.watching
        assert (decided.settings.detector, decided.settings.time_zone) == ("largest_deviation", "UTC")
        decide(loaded, stored, name="Acme")
        assert not decided.changed()
        decide(loaded, stored, watched_series=3)
        assert decided.changed()

    def test_takes_up_what_is_entered_in_the_calendar(self, loaded: Settings, stored: Database) -> None:
        decided = _Decided(loaded, stored)
        assert not decided.changed()
        with stored.transaction() as session:
            draft = CalendarDraft("closure", "Stocktaking", date(2026, 11, 30))
            DatabaseCalendar(DatabaseAudit(), ZoneInfo("UTC")).add(session, SYSTEM, draft)
        assert decided.changed()
        watcher = series_watcher(loaded, stored)
        assert watcher._settings.calendar.closed_days == {date(2026, 11, 30)}

    def test_judges_nothing_while_it_is_off_and_ends_when_it_is_on_so_that_another_begins(
        self, loaded: Settings, stored: Database
    ) -> None:
        decide(loaded, stored, detection=False)
        with Child(watch_sales, loaded, "test") as child:
            child.send([])
            told = child.messages()
            assert next(told) == Judged(0)
            decide(loaded, stored, detection=True)
            assert list(told) == []  # ended, and not because it failed


class TestTheCurrency:
    def test_that_is_decided_is_that_of_the_first_sale_after_a_restart_too(
        self, loaded: Settings, stored: Database
    ) -> None:
        decide(loaded, stored, currency="EUR")
        assert prepare_database(loaded, stored) == ""
        with stored.transaction() as session:
            assert settled(session, CURRENCY, "USD") == "EUR"
