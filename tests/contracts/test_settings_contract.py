"""What every `SettingsService` promises, on both databases."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from nebuloviz.db import Database
from nebuloviz.errors import InvalidSettings, PermissionDenied, StaleVersion
from nebuloviz.models import AuditEntry, Installation, SaleKey
from nebuloviz.permissions import ROLES, SYSTEM, Actor
from nebuloviz.services.interfaces import SECRET_IS_SET, InstallationSettings, SettingsRecord, SettingsService
from nebuloviz.services.interfaces.installation import ENTRIES
from nebuloviz.services.stored_settings import DatabaseSettings, settings_seal
from nebuloviz.settings import Settings, load
from tests.services.pictures import encoded, png

PASSWORD = "smtp secret 1"


@pytest.fixture
def environment(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path / "data", session_hours=8)


@pytest.fixture(params=[DatabaseSettings])
def service(request: pytest.FixtureRequest, environment: Settings) -> SettingsService:
    made: SettingsService = request.param(environment)
    return made


@pytest.fixture
def elsewhere(environment: Settings) -> SettingsService:
    """The same in another process."""
    return DatabaseSettings(environment)


def got(service: SettingsService, database: Database) -> SettingsRecord:
    with database.session() as session:
        return service.get(session, SYSTEM)


def change(service: SettingsService, database: Database, **changes: Any) -> SettingsRecord:
    version = got(service, database).version
    with database.transaction() as session:
        return service.change(session, SYSTEM, version, changes)


def refreshed(service: SettingsService, database: Database) -> bool:
    with database.session() as session:
        return service.refresh(session)


class TestDefaults:
    def test_are_those_of_the_environment_and_the_entries(self, service: SettingsService, database: Database) -> None:
        record = got(service, database)
        assert (record.version, record.stored) == (1, frozenset())
        assert record.values == service.current == InstallationSettings(session_hours=8)

    def test_fit_their_own_entries(self) -> None:
        for name, entry in ENTRIES.items():
            if entry.default != "":
                assert entry.kind.checked(entry.default) == entry.default, name


class TestChanges:
    def test_hold_at_once_and_elsewhere_after_a_look(
        self, service: SettingsService, elsewhere: SettingsService, database: Database
    ) -> None:
        refreshed(elsewhere, database)
        record = change(service, database, week_start=6, name="Acme", require_second_factor=True)
        assert record.stored == {"week_start", "name", "require_second_factor"}
        assert record.version == 2
        assert (service.current.week_start, service.current.name) == (6, "Acme")
        assert elsewhere.current.week_start == 0
        assert refreshed(elsewhere, database)
        assert elsewhere.current == service.current
        assert not refreshed(elsewhere, database)

    def test_that_are_rolled_back_never_held(self, service: SettingsService, database: Database) -> None:
        with database.session() as session:
            service.change(session, SYSTEM, 1, {"week_start": 6})
            session.rollback()
        assert service.current.week_start == 0
        assert got(service, database).version == 1

    def test_are_taken_back_by_none_and_by_the_default(self, service: SettingsService, database: Database) -> None:
        change(service, database, week_start=6, name="Acme")
        record = change(service, database, week_start=None, name="NebuloViz")
        assert record.stored == frozenset()
        assert service.current == InstallationSettings(session_hours=8)

    def test_of_a_stale_version_are_refused(self, service: SettingsService, database: Database) -> None:
        change(service, database, name="Acme")
        with pytest.raises(StaleVersion), database.transaction() as session:
            service.change(session, SYSTEM, 1, {"name": "Other"})
        assert got(service, database).values.name == "Acme"

    def test_of_two_at_once_one_is_refused(self, service: SettingsService, database: Database) -> None:
        outcomes, start = [], threading.Barrier(2)

        def edit(name: str) -> None:
            start.wait()
            try:
                with database.transaction() as session:
                    service.change(session, SYSTEM, 1, {"name": name})
                outcomes.append("done")
            except StaleVersion:
                outcomes.append("stale")

        threads = [threading.Thread(target=edit, args=(name,)) for name in ("One", "Two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["done", "stale"]
        assert got(service, database).version == 2

    def test_of_several_are_stored_all_or_none(self, service: SettingsService, database: Database) -> None:
        with pytest.raises(InvalidSettings) as refused:
            change(service, database, name="Acme", week_start=9, nothing=1)
        assert set(refused.value.problems) == {"week_start", "nothing"}
        assert got(service, database) == SettingsRecord(1, service.current, frozenset({"session_hours"}), frozenset())

    def test_need_the_permission(self, service: SettingsService, database: Database) -> None:
        for role, permissions in ROLES.items():
            if role != "admin":
                with database.transaction() as session, pytest.raises(PermissionDenied):
                    service.change(session, Actor(1, role, role, permissions), 1, {})


class TestValues:
    @pytest.mark.parametrize(
        "changes",
        [
            {"session_hours": 9},  # the environment's
            {"languages": ["de"]},  # the default is English
            {"smtp_host": "mail.example.com"},  # needs a sender
            {"name": ""},
        ],
        ids=repr,
    )
    def test_that_do_not_fit_are_refused(
        self, service: SettingsService, database: Database, changes: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidSettings):
            change(service, database, **changes)

    def test_that_fit_are_the_same_everywhere(
        self, service: SettingsService, elsewhere: SettingsService, database: Database
    ) -> None:
        given = {"name": " Käse & Söhne", "languages": ["ar", "en"], "false_alerts_per_week": 2, "logo": encoded(png())}
        change(service, database, **given)
        refreshed(elsewhere, database)
        assert elsewhere.current == service.current
        assert service.current.name == "Käse & Söhne"
        assert service.current.languages == ("en", "ar")
        assert service.current.logo == given["logo"]

    def test_that_fit_no_longer_give_way_to_the_default(self, service: SettingsService, database: Database) -> None:
        change(service, database, detector="largest_deviation", name="Acme")
        with database.transaction() as session:
            session.execute(text("UPDATE stored_setting SET value = '\"gone\"' WHERE name = 'detector'"))
            session.execute(text("UPDATE settings_version SET version = 7"))
        assert refreshed(service, database)
        assert (service.current.detector, service.current.name) == ("forest", "Acme")

    def test_of_the_environment_win_over_stored_ones(self, database: Database, tmp_path: Path) -> None:
        change(DatabaseSettings(load(data_dir=tmp_path)), database, week_start=6)
        later = DatabaseSettings(load(data_dir=tmp_path, week_start=2))
        assert not refreshed(later, database)
        assert later.current.week_start == 2
        assert got(later, database).fixed == {"week_start"}


class TestCurrency:
    def test_of_stored_sales_stays(self, service: SettingsService, database: Database) -> None:
        with database.transaction() as session:
            session.add_all([Installation(key="currency", value="EUR"), SaleKey(key=b"1", fingerprint=1)])
        with pytest.raises(InvalidSettings) as refused:
            change(service, database, currency="USD")
        assert set(refused.value.problems) == {"currency"}
        change(service, database, currency="EUR")

    def test_is_the_settled_one_even_if_nobody_decided(self, service: SettingsService, database: Database) -> None:
        refreshed(service, database)
        with database.transaction() as session:
            session.add(Installation(key="currency", value="EUR"))
        assert refreshed(service, database)
        assert service.current.currency == got(service, database).values.currency == "EUR"

    def test_is_settled_by_the_decision_before_there_are_sales(
        self, service: SettingsService, database: Database
    ) -> None:
        for code in ("EUR", "JPY"):
            change(service, database, currency=code)
            with database.session() as session:
                assert session.get_one(Installation, "currency").value == code == service.current.currency


class TestSecrets:
    def test_are_kept_sealed_and_told_to_nobody(
        self, service: SettingsService, environment: Settings, database: Database
    ) -> None:
        record = change(service, database, smtp_password=PASSWORD)
        assert record.values.smtp_password == SECRET_IS_SET
        assert got(service, database).values.smtp_password == SECRET_IS_SET
        assert settings_seal(environment).open(service.current.smtp_password) == PASSWORD
        with database.engine.connect() as connection:
            for table in ("stored_setting", "audit_entry"):
                assert PASSWORD not in str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
        assert change(service, database, smtp_password="").values.smtp_password == ""

    def test_open_only_by_the_key_that_sealed_them(self, tmp_path: Path) -> None:
        one, other = (settings_seal(load(data_dir=tmp_path / name)) for name in ("one", "other"))
        sealed = one.close(PASSWORD)
        assert one.open(sealed) == PASSWORD
        assert other.open(sealed) is None
        assert one.open(sealed[:-8] + "AAAAAAA=") is None
        assert one.open("") is None
        assert one.open("no base64") is None


class TestAudit:
    def test_tells_before_and_after_of_what_was_changed(self, service: SettingsService, database: Database) -> None:
        change(service, database, name="Acme", logo=encoded(png()), smtp_password=PASSWORD)
        change(service, database, name="Bolt")
        change(service, database, name="Bolt")  # which it is already
        with database.session() as session:
            assert service.get(session, SYSTEM).version == 3
            rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [(row.action, row.subject) for row in rows] == [("settings:change", "settings")] * 2
        assert rows[0].before == '{"logo": false, "name": "NebuloViz", "smtp_password": false}'
        assert rows[0].after == '{"logo": true, "name": "Acme", "smtp_password": true}'
        assert (rows[1].before, rows[1].after) == ('{"name": "Acme"}', '{"name": "Bolt"}')
