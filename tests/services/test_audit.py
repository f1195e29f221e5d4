"""The audit log in the database: what it keeps, from where, and that nobody can change it afterwards; and who writes to it."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.errors import Conflict, NotSignedIn
from nebuloviz.models import Alert, IngestOffset
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.audit import DatabaseAudit, set_address
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.ingest import SalesIngestService
from nebuloviz.services.interfaces import AuditAction, AuditEntryView, UserView
from nebuloviz.settings import Settings, load

PASSWORD, OTHER = "correct horse battery", "another long password"
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path / "data")


@pytest.fixture
def auth(settings: Settings) -> DatabaseAuth:
    return DatabaseAuth(settings, rounds=4)


@pytest.fixture
def anna(auth: DatabaseAuth, database: Database) -> UserView:
    with database.transaction() as session:
        return auth.create_user(session, "anna", PASSWORD, "analyst")


def log(database: Database) -> list[AuditEntryView]:
    """All entries, the oldest first."""
    with database.session() as session:
        return list(reversed(DatabaseAudit().entries(session, SYSTEM, None, None, 500).items))


def acts(database: Database) -> list[tuple[str, str, str]]:
    return [(entry.username, entry.action, entry.subject) for entry in log(database)]


class TestKeeping:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE audit_entry SET username = 'somebody else'",
            "DELETE FROM audit_entry",
            "DELETE FROM audit_entry WHERE id = 1",
        ],
    )
    def test_nothing_is_changed_or_taken_away(self, database: Database, statement: str) -> None:
        with database.transaction() as session:
            DatabaseAudit().record(session, SYSTEM, AuditAction.SIGN_IN)
        with pytest.raises(DBAPIError, match="append-only"), database.transaction() as session:
            session.execute(text(statement))
        assert acts(database) == [("system", "session:start", "")]

    def test_what_is_rolled_back_was_not_done(self, database: Database) -> None:
        with database.transaction() as session:
            DatabaseAudit().record(session, SYSTEM, AuditAction.SIGN_IN)
            session.rollback()
        assert log(database) == []

    @pytest.mark.parametrize(
        ("address", "kept"),
        [("192.0.2.7", "192.0.2.7"), ("1.2.3.4\r\nX: y", "1.2.3.4X: y"), ("9" * 900, "9" * 64), ("", "")],
    )
    def test_says_from_where(self, database: Database, address: str, kept: str) -> None:
        set_address(address)
        with database.transaction() as session:
            DatabaseAudit().record(session, SYSTEM, AuditAction.SIGN_IN)
        set_address("")
        assert [entry.address for entry in log(database)] == [kept]

    def test_keeps_the_beginning_of_what_is_too_long(self, database: Database) -> None:
        after = {
            "state": "open",
            "ids": list(range(9_000)),
            "filters": {"f.store": ["y" * 60_000] * 400, "z" * 60_000: 1},
        }
        with database.transaction() as session:
            DatabaseAudit().record(
                session, SYSTEM, AuditAction.SIGN_IN, "x" * 60_000, before={"state": "z"}, after=after
            )
        (entry,) = log(database)
        assert len(entry.subject) == 1_000
        assert 5_000 < len(str(entry.after)) < 20_000
        assert (entry.before, entry.after["state"], entry.after["cut"]) == ({"state": "z"}, "open", True)
        assert entry.after["ids"][:3] == [0, 1, 2]
        assert entry.after["filters"]["f.store"][0].startswith("yy")

    def test_keeps_all_of_what_is_not(self, database: Database) -> None:
        after = {"scope": {"store": [str(number) for number in range(1_000)]}}
        with database.transaction() as session:
            DatabaseAudit().record(session, SYSTEM, AuditAction.USER_CREATED, after=after)
        assert [entry.after for entry in log(database)] == [after]


class TestSignIns:
    def test_from_the_first_to_the_last_are_noted(self, auth: DatabaseAuth, database: Database, anna: UserView) -> None:
        with database.transaction() as session:
            token = auth.start_session(session, anna)
            auth.issue_tokens(session, anna)
            auth.change_password(session, anna.id, PASSWORD, OTHER)
            auth.end_session(session, token)  # ended by the change already
            auth.end_session(session, auth.start_session(session, auth.users(session)[0]))
            auth.set_password(session, "anna", PASSWORD)
        assert acts(database) == [
            ("system", "user:create", "user anna"),
            ("anna", "session:start", ""),
            ("anna", "session:start", ""),
            ("anna", "password:change", "user anna"),
            ("anna", "session:start", ""),
            ("anna", "session:end", ""),
            ("system", "password:set", "user anna"),
        ]

    @pytest.mark.parametrize(
        ("name", "subject"),
        [("anna", "user anna"), ("ANNA", "user anna"), (PASSWORD, ""), ("nobody", ""), ("a\x00", "")],
    )
    def test_that_were_refused_name_nobody_who_is_not_known(
        self, auth: DatabaseAuth, database: Database, anna: UserView, name: str, subject: str
    ) -> None:
        with database.transaction() as session:
            auth.sign_in_refused(session, name)
        assert acts(database)[1:] == [("", "session:refuse", subject)]

    def test_leave_no_secret_behind(self, auth: DatabaseAuth, database: Database, anna: UserView) -> None:
        with database.transaction() as session:
            secrets = [auth.start_session(session, anna), auth.issue_tokens(session, anna).refresh_token]
            auth.change_password(session, anna.id, PASSWORD, OTHER)
        with pytest.raises(NotSignedIn), database.transaction() as session:
            auth.change_password(session, anna.id, "something wrong", PASSWORD)
        kept = repr(log(database))
        assert not [secret for secret in [*secrets, PASSWORD, OTHER, "something wrong"] if secret in kept]


class TestOthers:
    def test_decisions_on_alerts_are_noted(self, database: Database) -> None:
        alerts = DatabaseAlerts(SalesDataService(Cache(secret="of no importance here"), ZoneInfo("UTC")), lambda: NOW)
        with database.transaction() as session:
            session.add(_alert())
            session.flush()
            alerts.acknowledge(session, SYSTEM, 1, "my note")
            alerts.resolve(session, SYSTEM, 1)
            with pytest.raises(Conflict):
                alerts.resolve(session, SYSTEM, 1)
        assert acts(database) == [("system", "alert:acknowledge", "alert 1"), ("system", "alert:resolve", "alert 1")]
        assert log(database)[1].before == {"state": "acknowledged"}
        assert log(database)[1].after == {"state": "resolved"}

    def test_rejected_records_put_away_or_tried_again_are_noted(self, database: Database, settings: Settings) -> None:
        ingest = SalesIngestService(database, settings)
        with database.transaction() as session:
            ingest.post(session, SYSTEM, [b"{}", b"{}"])
            ids = sorted(item.id for item in ingest.dead_letters(session, SYSTEM).items)
            ingest.retry(session, SYSTEM, ids[:1])
            ingest.discard(session, SYSTEM, ids)
        assert [(entry.action, entry.after) for entry in log(database)] == [
            ("records:retry", {"accepted": 0, "duplicates": 0, "rejected": 1}),
            ("records:discard", {"ids": ids}),
        ]

    def test_a_partition_that_goes_on_is_noted(self, database: Database, settings: Settings) -> None:
        with database.transaction() as session:
            session.add(IngestOffset(topic="sales", partition=0, next_offset=7, updated_at=NOW, halted_reason="full"))
            session.flush()
            SalesIngestService(database, settings).resume(session, SYSTEM, "sales", 0, 9)
        assert acts(database) == [("system", "stream:resume", "sales 0")]
        assert log(database)[0].after == {"skip_to": 9}

    def test_an_import_is_noted_with_its_name(self, database: Database, settings: Settings) -> None:
        ingest = SalesIngestService(database, settings)
        upload = ingest.store_upload("may.csv", [b"sale_id,order_id,product_id,quantity,unit_price,sold_at\n"])
        with database.session() as session:
            ingest.start_import(session, SYSTEM, upload, {"sale_id": "sale_id"})
        ingest.stop()
        assert acts(database) == [("system", "import:start", "may.csv")]


def _alert() -> Alert:
    return Alert(
        id=1, detector="series", series="revenue", metric="revenue", dimensions="{}", bucket_start=NOW, bucket_end=NOW,
        observed=1.0, expected=2.0, expected_low=1.5, expected_high=3.0, score=0.9, severity="high",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip
