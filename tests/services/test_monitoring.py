"""What the metrics tell of the installation."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from nebuloviz.db import Database
from nebuloviz.detection.alerts import Severity
from nebuloviz.migrate import head
from nebuloviz.models import Alert, Base, BrowserSession, DeadLetter, IngestGap, IngestMinute, User
from nebuloviz.services.interfaces import InstallationSettings
from nebuloviz.services.monitoring import InstallationFigures, certificate_end, sales_due
from tests.servers import HOST
from tests.servers.https import Https, https_server

NOW = datetime(2026, 11, 25, 10, 20, tzinfo=UTC)  # a Wednesday
BERLIN = ZoneInfo("Europe/Berlin")


def figure(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"nebuloviz_{name}", labels)


def an_alert(number: int, state: str, severity: str) -> Alert:
    moments = {
        name: NOW - timedelta(hours=number) for name in ("bucket_start", "bucket_end", "created_at", "updated_at")
    }
    return Alert(
        detector="series",
        series=f"revenue|store={number}",
        metric="revenue",
        observed=1.0,
        score=1.0,
        severity=severity,
        state=state,
        **moments,
    )


def a_letter(offset: int, state: str) -> DeadLetter:
    place = {"topic": "sales", "partition": 0, "offset": offset}
    return DeadLetter(**place, reason="not_json", payload=b"?", payload_size=1, state=state, received_at=NOW)


@pytest.fixture
def figures(database: Database, tmp_path: Path) -> InstallationFigures:
    return InstallationFigures(database, InstallationSettings, tmp_path, now=lambda: NOW)


def sold_at(database: Database, *moments: datetime) -> None:
    table = Base.metadata.tables["rollup_hour"]
    zeros = {column.name: 0 for column in table.columns if column.name != "bucket"}
    with database.transaction() as session:
        for moment in moments:
            session.execute(table.insert().values(bucket=moment, **zeros))


class TestTheDatabase:
    def test_tells_alerts_sessions_and_letters(self, database: Database, figures: InstallationFigures) -> None:
        with database.transaction() as session:
            session.add(User(id=1, username="a", name_key="a", password_hash="", role="viewer", created_at=NOW))
            session.flush()
            for hours, token in ((1, "lives"), (-1, "has ended")):
                end = NOW + timedelta(hours=hours)
                session.add(BrowserSession(token_hash=token, user_id=1, epoch=0, created_at=NOW, expires_at=end))
            session.add_all([an_alert(1, "open", "high"), an_alert(2, "open", "high"), an_alert(3, "resolved", "high")])
            session.add_all([a_letter(1, "open"), a_letter(2, "discarded")])
        figures.step()
        assert figure("alerts", state="open", severity="high") == 2
        assert figure("alerts", state="acknowledged", severity="low") == 0
        assert figure("sessions") == 1
        assert figure("dead_letters_open") == 1
        assert (figure("database_bytes") or 0) > 10_000

    def test_tells_what_was_lost_in_the_last_day(self, database: Database, figures: InstallationFigures) -> None:
        figures.step()
        assert figure("records_lost") == 0, "a rule asks for it before anything is lost"
        with database.transaction() as session:
            for partition, first, hours in ((0, 0, 23), (0, 90, 1), (1, 50, 25)):
                noticed = NOW - timedelta(hours=hours)
                gap = {"topic": "sales", "first_offset": first, "next_offset": first + 20, "noticed_at": noticed}
                session.add(IngestGap(partition=partition, **gap))
        figures.step()
        assert figure("records_lost") == 40

    def test_tells_its_revision(self, figures: InstallationFigures) -> None:
        figures.step()
        assert figure("database_revision", revision=head()) == 1

    def test_that_is_behind_is_told_as_such(self, database: Database, figures: InstallationFigures) -> None:
        figures.step()
        with database.transaction() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '0004'"))
        figures.step()
        assert figure("database_revision", revision="0004") == 0
        assert figure("database_revision", revision=head()) is None, "it is at one revision only"

    def test_that_has_no_tables_is_told_as_such(self, database_url: str, tmp_path: Path) -> None:
        empty = Database(database_url)
        InstallationFigures(empty, InstallationSettings, tmp_path, now=lambda: NOW).step()
        empty.dispose()
        assert figure("database_revision", revision="none") == 0
        assert figure("database_revision", revision=head()) is None

    def test_tells_every_state_and_severity(self, database: Database, figures: InstallationFigures) -> None:
        kinds = [(state, severity) for state in ("open", "acknowledged", "resolved") for severity in Severity]
        with database.transaction() as session:
            numbers = iter(range(1, 1000))
            for many, (state, severity) in enumerate(kinds):
                session.add_all([an_alert(next(numbers), state, severity) for _ in range(many)])
        figures.step()
        told = {(state, severity): figure("alerts", state=state, severity=severity) for state, severity in kinds}
        gone = ("resolved",)
        assert told == {kind: None if kind[0] in gone else float(many) for many, kind in enumerate(kinds)}

    def test_tells_when_a_sale_came_that_no_file_brought(
        self, database: Database, figures: InstallationFigures
    ) -> None:
        with database.transaction() as session:
            rows = [("sales", 9, 5), ("sales", 3, 0), ("file:abc", 1, 7)]
            for topic, minutes, accepted in rows:
                minute = NOW - timedelta(minutes=minutes)
                session.add(IngestMinute(minute=minute, topic=topic, accepted=accepted))
        figures.step()
        assert figure("last_sale_timestamp_seconds") == (NOW - timedelta(minutes=9)).timestamp()

    def test_that_does_not_answer_leaves_the_rest(self, tmp_path: Path) -> None:
        nowhere = Database(f"postgresql://x@{HOST}:1/x")
        assert InstallationFigures(nowhere, InstallationSettings, tmp_path, now=lambda: NOW).step() is False
        assert 0 < (figure("disk_free_bytes") or 0) <= (figure("disk_size_bytes") or 0)


class TestSalesAreDue:
    @pytest.mark.parametrize(
        ("weeks", "closed", "due"),
        [
            ((1, 2, 3, 4), (), True),
            ((1, 3, 4), (), True),  # a holiday is no closing time
            ((1, 2), (), False),
            ((), (), False),
            ((1, 2, 3, 4), (date(2026, 11, 25),), False),
        ],
    )
    def test_where_they_came_in_most_of_the_last_weeks(
        self, database: Database, weeks: tuple[int, ...], closed: tuple[date, ...], due: bool
    ) -> None:
        sold_at(database, *(NOW.replace(minute=0) - timedelta(weeks=week) for week in weeks))
        with database.session() as session:
            assert sales_due(session, NOW, ZoneInfo("UTC"), closed) is due
            assert not sales_due(session, NOW + timedelta(hours=1), ZoneInfo("UTC"), closed)

    def test_by_the_clock_on_the_wall(self, database: Database) -> None:
        now = datetime(2026, 10, 28, 9, 5, tzinfo=UTC)  # ten o'clock since last Sunday; eight in UTC before
        sold_at(database, *(datetime(2026, 10, day, 8, tzinfo=UTC) for day in (7, 14, 21)))
        with database.session() as session:
            assert sales_due(session, now, BERLIN, ())


@pytest.fixture
def https(tmp_path: Path) -> Iterator[Https]:
    with https_server(tmp_path) as server:
        yield server


class TestTheCertificate:
    def test_is_that_of_the_public_address_from_when_one_is_decided_on(
        self, database: Database, tmp_path: Path, https: Https, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
        decided = [InstallationSettings()]
        figures = InstallationFigures(database, lambda: decided[-1], tmp_path, now=lambda: NOW)
        for address in ("", f"{https.url}/", ""):
            decided.append(InstallationSettings(public_address=address))
            figures.step()
            end = figure("certificate_expiry_timestamp_seconds", url=https.url)
            assert bool(end) is bool(address)

    def test_that_is_trusted_tells_its_end(self, https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
        days = (certificate_end(https.url) - datetime.now(UTC).timestamp()) / 86_400
        assert 29 < days < 31

    def test_of_an_unknown_maker_counts_as_expired(self, https: Https) -> None:
        assert certificate_end(https.url) == 0

    def test_that_nobody_shows_counts_as_expired(self) -> None:
        assert certificate_end(f"https://{HOST}:1") == 0
