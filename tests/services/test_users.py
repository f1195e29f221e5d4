"""Users over real connections: two administrators at once, and what the row scope that is kept with a user does everywhere."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.errors import NebuloVizError, NotFound, PermissionDenied
from nebuloviz.models import Alert
from nebuloviz.permissions import SYSTEM, Actor, Permission
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.forecasts import DayForecasts
from nebuloviz.services.ingest import SalesIngestService
from nebuloviz.services.insights import FigureInsights
from nebuloviz.services.interfaces import RoleDraft, UserDraft, UserRecord
from nebuloviz.services.roles import DatabaseRoles
from nebuloviz.services.users import DatabaseUsers
from nebuloviz.settings import Settings, load
from tests.metrics import shop
from tests.metrics.shop import NOW
from tests.services.test_data import WEEK

PASSWORD = "correct horse battery"
ZONE = ZoneInfo("UTC")
Change = Callable[[DatabaseUsers, Session, UserRecord], object]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path / "data")


@pytest.fixture
def auth(settings: Settings) -> DatabaseAuth:
    return DatabaseAuth(settings, rounds=4)


@pytest.fixture
def users(auth: DatabaseAuth) -> DatabaseUsers:
    return DatabaseUsers(auth, DatabaseAudit())


def administrator(users: DatabaseUsers, database: Database, name: str, role: str = "admin") -> UserRecord:
    with database.transaction() as session:
        offer = users.create(session, SYSTEM, name, UserDraft(role))
        users.accept_password(session, offer.token, PASSWORD)
    return offer.user


def demote(users: DatabaseUsers, session: Session, user: UserRecord) -> object:
    return users.change(session, SYSTEM, user.id, user.version, UserDraft("viewer"))


def disable(users: DatabaseUsers, session: Session, user: UserRecord) -> object:
    return users.set_disabled(session, SYSTEM, user.id, user.version, disabled=True)


def delete(users: DatabaseUsers, session: Session, user: UserRecord) -> object:
    users.delete(session, SYSTEM, user.id, user.version)
    return None


class Second:
    """A change in a transaction of its own, on a connection of its own."""

    def __init__(self, users: DatabaseUsers, database: Database, user: UserRecord, change: Change) -> None:
        self.refused = ""
        self._arguments = users, database, user, change
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        users, database, user, change = self._arguments
        try:
            with database.transaction() as session:
                change(users, session, user)
        except NebuloVizError as error:
            self.refused = error.message

    def waits(self) -> bool:
        self._thread.join(0.5)
        return self._thread.is_alive()

    def end(self) -> str:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.refused


class TestTwoAtOnce:
    @pytest.mark.parametrize("change", [demote, disable, delete])
    @pytest.mark.parametrize("other", [demote, disable, delete])
    def test_leave_one_administrator(
        self, users: DatabaseUsers, database: Database, change: Change, other: Change
    ) -> None:
        first, last = (administrator(users, database, name) for name in ("first", "last"))
        with database.transaction() as session:
            change(users, session, first)
            second = Second(users, database, last, other)
            assert second.waits()
        assert "last is the last administrator" in second.end()
        with database.session() as session:
            assert users.get(session, SYSTEM, last.id).role == "admin"

    def test_changes_of_one_user_do_not_overwrite_each_other(self, users: DatabaseUsers, database: Database) -> None:
        administrator(users, database, "root")
        with database.transaction() as session:
            anna = users.create(session, SYSTEM, "anna", UserDraft("viewer")).user
        with database.transaction() as session:
            users.change(session, SYSTEM, anna.id, anna.version, UserDraft("analyst"))
            second = Second(users, database, anna, disable)
            assert second.waits()
        assert "changed by somebody else" in second.end()
        with database.session() as session:
            found = users.get(session, SYSTEM, anna.id)
        assert (found.role, found.state) == ("analyst", "invited")


ROLES = DatabaseRoles(DatabaseAudit())


def strip(_users: DatabaseUsers, session: Session, _user: UserRecord) -> object:
    """Take from the role Helper what makes its holders administrators."""
    return ROLES.change(session, SYSTEM, "helper", 1, RoleDraft("Helper", []))


def drop(_users: DatabaseUsers, session: Session, _user: UserRecord) -> object:
    ROLES.delete(session, SYSTEM, "helper", 1)
    return None


def give(users: DatabaseUsers, session: Session, user: UserRecord) -> object:
    return users.change(session, SYSTEM, user.id, user.version, UserDraft("helper"))


class TestARoleAndItsHolders:
    @pytest.fixture(autouse=True)
    def _helper(self, database: Database) -> None:
        with database.transaction() as session:
            ROLES.create(session, SYSTEM, RoleDraft("Helper", [Permission.USERS_MANAGE]))

    @pytest.mark.parametrize("change", [demote, disable, delete])
    @pytest.mark.parametrize("role_first", [False, True])
    def test_leave_one_administrator(
        self, users: DatabaseUsers, database: Database, change: Change, role_first: bool
    ) -> None:
        root = administrator(users, database, "root")
        administrator(users, database, "hanna", "helper")
        first, then = (strip, change) if role_first else (change, strip)
        with database.transaction() as session:
            first(users, session, root)
            second = Second(users, database, root, then)
            assert second.waits()
        refused = "root is the last administrator" if role_first else "Nobody would be left to manage users"
        assert refused in second.end()

    @pytest.mark.parametrize(
        ("first", "then", "refused"), [(drop, give, "There is no role helper"), (give, drop, "have this role")]
    )
    def test_are_never_parted(
        self, users: DatabaseUsers, database: Database, first: Change, then: Change, refused: str
    ) -> None:
        administrator(users, database, "root")
        anna = administrator(users, database, "anna", "viewer")
        with database.transaction() as session:
            first(users, session, anna)
            second = Second(users, database, anna, then)
            assert second.waits()
        assert refused in second.end()


class Scoped:
    """A shop with regions, and users of the services who see all of it, the north, and the south."""

    def __init__(self, auth: DatabaseAuth, users: DatabaseUsers, database: Database, settings: Settings) -> None:
        shop.store(database, shop.lines(300, seed=5, first=NOW - timedelta(days=20)), ZONE)
        self.data = SalesDataService(Cache(secret="s" * 40), ZONE, now=lambda: NOW)
        self.alerts = DatabaseAlerts(self.data, lambda: NOW)
        self.ingest = SalesIngestService(database, settings)
        self._auth, self._users, self._database = auth, users, database

    def actor(self, name: str, role: str = "analyst", **scope: list[str]) -> Actor:
        """As the edges know the user: by the session of a browser."""
        with self._database.transaction() as session:
            offer = self._users.create(session, SYSTEM, name, UserDraft(role, scope=scope))
            token = self._auth.start_session(session, self._users.accept_password(session, offer.token, PASSWORD))
            user = self._auth.user_of_session(session, token)
        assert user is not None
        return self._auth.actor(user)


@pytest.fixture
def scoped(auth: DatabaseAuth, users: DatabaseUsers, database: Database, settings: Settings) -> Scoped:
    return Scoped(auth, users, database, settings)


class TestRowScope:
    def test_is_what_a_user_is_shown_of_figures_lines_and_values(self, scoped: Scoped, database: Database) -> None:
        everybody, north, south = (
            scoped.actor("all"), scoped.actor("nora", region=["north"]), scoped.actor("sue", region=["south"])
        )  # fmt: skip
        with database.session() as session:
            for _again in range(2):  # the second time from the cache
                whole, upper, lower = (
                    scoped.data.frame(session, actor, WEEK.with_(dimensions=("region",))).data.set_index("region")
                    for actor in (everybody, north, south)
                )
                assert list(upper.index) == ["north"]
                assert list(lower.index) == ["south"]
                assert upper["revenue"]["north"] == whole["revenue"]["north"]
                assert lower["revenue"]["south"] == whole["revenue"]["south"]
                total = [scoped.data.frame(session, actor, WEEK).data["revenue"][0] for actor in (north, south)]
                assert total == [whole["revenue"]["north"], whole["revenue"]["south"]]
                assert [value for value, _label in scoped.data.values(session, south, "region")] == ["south"]
            lines = scoped.data.sales(session, south, WEEK)
            assert {line.region for line in lines.lines} == {"south"}
            assert lines.total == len(lines.lines) < scoped.data.sales(session, everybody, WEEK).total
            assert scoped.data.freshness(session, north).lines < scoped.data.freshness(session, everybody).lines

    def test_holds_for_alerts_and_findings(self, scoped: Scoped, database: Database) -> None:
        north, south = scoped.actor("nora", region=["north"]), scoped.actor("sue", region=["south"])
        with database.transaction() as session:
            session.add(_alert(1, '{"region": "north"}'))
            session.add(_alert(2, "{}"))
        with database.transaction() as session:
            assert [item.id for item in scoped.alerts.list(session, north).items] == [1]
            assert scoped.alerts.list(session, south).items == ()
            assert scoped.alerts.counts(session, south)["open"] == 0
            for alert_id in (1, 2):
                with pytest.raises(NotFound):
                    scoped.alerts.resolve(session, south, alert_id)
            found = FigureInsights(scoped.data, scoped.alerts, DayForecasts(scoped.data)).insights(
                session, south, WEEK.with_(comparison="previous")
            )
            assert "north" not in " ".join(finding.text for finding in found)

    def test_of_several_dimensions_is_what_all_of_them_leave(self, scoped: Scoped, database: Database) -> None:
        narrow = scoped.actor("ned", region=["north", "south"], category=["category 1"])
        assert narrow.scope == (("region", ("north", "south")), ("category", ("category 1",)))
        with database.session() as session:
            asked = WEEK.with_(dimensions=("category",))
            assert set(scoped.data.frame(session, narrow, asked).data["category"]) == {"category 1"}

    @pytest.mark.parametrize("role", ["analyst", "data_scientist"])
    def test_closes_what_knows_no_rows(self, scoped: Scoped, database: Database, role: str) -> None:
        north = scoped.actor("nora", role, region=["north"])
        with database.transaction() as session:
            for forbidden in (
                lambda: scoped.ingest.dead_letters(session, north),
                lambda: scoped.ingest.status(session, north),
                lambda: scoped.ingest.imports(session, north),
                lambda: scoped.ingest.post(session, north, [b"{}"]),
                lambda: scoped.ingest.preview(session, north, "0" * 32),
            ):
                with pytest.raises(PermissionDenied):
                    forbidden()

    def test_ends_with_the_next_request_after_it_was_taken_away(
        self, scoped: Scoped, auth: DatabaseAuth, users: DatabaseUsers, database: Database
    ) -> None:
        north = scoped.actor("nora", region=["north"])
        with database.transaction() as session:
            user = auth.users(session)[0]
            access = auth.issue_tokens(session, user).access_token
            users.change(session, SYSTEM, north.user_id, 1, UserDraft("analyst", scope={"region": ["south"]}))
            assert auth.actor(auth.user_of_access_token(session, access)).scope == (("region", ("south",)),)
            users.change(session, SYSTEM, north.user_id, 2, UserDraft("analyst"))
            assert auth.actor(auth.user_of_access_token(session, access)).scope == ()


def _alert(number: int, dimensions: str) -> Alert:
    return Alert(
        id=number, detector="series", series=f"revenue|{number}", metric="revenue", dimensions=dimensions,
        bucket_start=NOW, bucket_end=NOW, observed=1.0, expected=2.0, expected_low=1.5, expected_high=3.0, score=0.9,
        severity="high", created_at=NOW, updated_at=NOW,
    )  # fmt: skip
