"""What every `UserService` promises, on both databases."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from nebuloviz.db import Database
from nebuloviz.errors import Conflict, InvalidInput, NotFound, NotSignedIn, PermissionDenied, TooManyRequests
from nebuloviz.permissions import ROLES, SYSTEM, Permission
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import (
    USER_ORDERS,
    PasswordOffer,
    UserDraft,
    UserFilter,
    UserRecord,
    UserService,
)
from nebuloviz.services.limits import MAX_FAILURES
from nebuloviz.services.paging import cursor_of
from nebuloviz.services.users import DatabaseUsers
from nebuloviz.settings import load
from tests.contracts.people import Clock

PASSWORD, OTHER, HOME = "correct horse battery", "another long password", "192.0.2.7"
ANALYST = UserDraft("analyst", "anna@example.com", {"store": ["406", "367"]})


@pytest.fixture
def auth(tmp_path: Path, clock: Clock) -> DatabaseAuth:
    return DatabaseAuth(load(data_dir=tmp_path / "data"), now=clock, rounds=4)


@pytest.fixture(params=[DatabaseUsers])
def users(request: pytest.FixtureRequest, auth: DatabaseAuth, clock: Clock) -> UserService:
    service: UserService = request.param(auth, DatabaseAudit(clock), clock)
    return service


@pytest.fixture
def anna(users: UserService, database: Database) -> PasswordOffer:
    return create(users, database, "Anna", ANALYST)


@pytest.fixture
def root(users: UserService, database: Database) -> UserRecord:
    """An administrator with a password."""
    return administrator(users, database, "root")


def create(users: UserService, database: Database, name: str, draft: UserDraft) -> PasswordOffer:
    with database.transaction() as session:
        return users.create(session, SYSTEM, name, draft)


def accept(users: UserService, database: Database, offer: PasswordOffer, password: str = PASSWORD) -> None:
    with database.transaction() as session:
        users.accept_password(session, offer.token, password)


def administrator(users: UserService, database: Database, name: str) -> UserRecord:
    offer = create(users, database, name, UserDraft("admin"))
    accept(users, database, offer)
    return offer.user


def got(users: UserService, database: Database, user_id: int) -> UserRecord:
    with database.session() as session:
        return users.get(session, SYSTEM, user_id)


class TestCreating:
    def test_gives_a_user_who_is_invited(self, anna: PasswordOffer, clock: Clock) -> None:
        assert replace(anna.user, id=0) == UserRecord(
            0, "Anna", "anna@example.com", "analyst", "", (("store", ("367", "406")),), "invited", clock.now, None, 1
        )
        assert anna.expires_at == clock.now + timedelta(days=7)

    def test_keeps_no_secret(self, database: Database, anna: PasswordOffer) -> None:
        with database.engine.connect() as connection:
            tables = ("password_link", "audit_entry", "app_user")
            kept = [str(connection.exec_driver_sql(f"SELECT * FROM {table}").all()) for table in tables]
        assert kept
        assert anna.token not in "".join(kept)

    @pytest.mark.parametrize("name", ["anna", "ANNA", "ａｎｎａ"])
    def test_of_a_twin_is_refused(self, users: UserService, database: Database, anna: PasswordOffer, name: str) -> None:
        with pytest.raises(Conflict):
            create(users, database, name, ANALYST)

    @pytest.mark.parametrize(
        ("name", "draft"),
        [
            ("", ANALYST),
            ("two words", ANALYST),
            ("a\x00", ANALYST),
            ("ben", UserDraft("root")),
            ("ben", UserDraft("")),
            ("ben", UserDraft("viewer", "no address")),
            ("ben", UserDraft("viewer", "a@b\r\nBcc: c@d")),
            ("ben", UserDraft("viewer", "@b")),
            ("ben", UserDraft("viewer", "a" * 250 + "@b.example")),
            ("ben", UserDraft("viewer", scope={"product": ["1"]})),
            ("ben", UserDraft("viewer", scope={"sale_id": ["1"]})),
            ("ben", UserDraft("viewer", scope={"store": ["a\x00"]})),
            ("ben", UserDraft("viewer", scope={"store": ["x" * 257]})),
            ("ben", UserDraft("viewer", scope={"store": [str(number) for number in range(1001)]})),
            ("ben", UserDraft("viewer", scope={"store": []})),
            ("ben", UserDraft("admin", scope={"store": ["367"]})),
        ],
        ids=range(16),
    )
    def test_of_what_cannot_be_is_refused(
        self, users: UserService, database: Database, name: str, draft: UserDraft
    ) -> None:
        with pytest.raises(InvalidInput):
            create(users, database, name, draft)
        with database.session() as session:
            assert users.list(session, SYSTEM).items == ()


class TestLinks:
    def test_let_the_user_set_a_password_and_sign_in(
        self, users: UserService, auth: DatabaseAuth, database: Database, anna: PasswordOffer
    ) -> None:
        with database.session() as session:
            assert users.offered_to(session, anna.token).username == "Anna"
            with pytest.raises(NotSignedIn):
                auth.sign_in(session, "anna", "", HOME)
        accept(users, database, anna)
        with database.session() as session:
            assert auth.sign_in(session, "anna", PASSWORD, HOME).id == anna.user.id
        assert got(users, database, anna.user.id).state == "active"

    def test_work_once(self, users: UserService, database: Database, anna: PasswordOffer) -> None:
        accept(users, database, anna)
        with pytest.raises(NotFound):
            accept(users, database, anna, OTHER)

    def test_survive_a_bad_password(self, users: UserService, database: Database, anna: PasswordOffer) -> None:
        with pytest.raises(InvalidInput):
            accept(users, database, anna, "12345678")
        accept(users, database, anna)

    def test_expire(self, users: UserService, database: Database, anna: PasswordOffer, clock: Clock) -> None:
        clock.pass_(days=7)
        with pytest.raises(NotFound):
            accept(users, database, anna)

    @pytest.mark.parametrize("token", ["", "x", "\x00", "\ud800", "é" * 5_000, "' OR 1=1 --", "%"])
    def test_that_nobody_made_are_refused(
        self, users: UserService, database: Database, anna: PasswordOffer, token: str
    ) -> None:
        with pytest.raises(NotFound), database.transaction() as session:
            users.accept_password(session, token, PASSWORD)

    def test_replace_those_before(self, users: UserService, database: Database, anna: PasswordOffer) -> None:
        with database.transaction() as session:
            later = users.offer_password(session, SYSTEM, anna.user.id)
        with pytest.raises(NotFound):
            accept(users, database, anna)
        accept(users, database, later)

    def test_for_another_password_end_all_sessions(
        self, users: UserService, auth: DatabaseAuth, database: Database, root: UserRecord
    ) -> None:
        with database.transaction() as session:
            offer = users.offer_password(session, SYSTEM, root.id)
            user = auth.sign_in(session, "root", PASSWORD, HOME)  # the old one holds until then
            browser, pair = auth.start_session(session, user), auth.issue_tokens(session, user)
        accept(users, database, offer, OTHER)
        with database.session() as session:
            assert auth.user_of_session(session, browser) is None
            with pytest.raises(NotSignedIn):
                auth.user_of_access_token(session, pair.access_token)
            with pytest.raises(NotSignedIn):
                auth.sign_in(session, "root", PASSWORD, HOME)

    def test_of_the_disabled_are_worth_nothing(
        self, users: UserService, database: Database, anna: PasswordOffer
    ) -> None:
        with database.transaction() as session:
            users.set_disabled(session, SYSTEM, anna.user.id, 1, disabled=True)
            with pytest.raises(Conflict):
                users.offer_password(session, SYSTEM, anna.user.id)
        with pytest.raises(NotFound):
            accept(users, database, anna)


class TestChanging:
    def test_gives_role_address_and_scope(self, users: UserService, database: Database, anna: PasswordOffer) -> None:
        with database.transaction() as session:
            users.change(session, SYSTEM, anna.user.id, 1, UserDraft("viewer", "", {"category": ["Dairy"]}))
        changed = got(users, database, anna.user.id)
        assert (changed.role, changed.email, changed.scope) == ("viewer", "", (("category", ("Dairy",)),))
        assert changed.version == 2

    def test_to_what_there_is_changes_nothing(
        self, users: UserService, database: Database, anna: PasswordOffer
    ) -> None:
        with database.transaction() as session:
            same = users.change(session, SYSTEM, anna.user.id, 1, ANALYST)
            assert [entry.action for entry in DatabaseAudit().entries(session, SYSTEM).items] == ["user:create"]
        assert same == anna.user

    def test_holds_for_sessions_that_are_open(
        self, users: UserService, auth: DatabaseAuth, database: Database, anna: PasswordOffer
    ) -> None:
        accept(users, database, anna)
        with database.transaction() as session:
            user = auth.sign_in(session, "anna", PASSWORD, HOME)
            token, access = auth.start_session(session, user), auth.issue_tokens(session, user).access_token
            users.change(session, SYSTEM, user.id, 1, UserDraft("viewer"))
        with database.session() as session:
            for found in (auth.user_of_session(session, token), auth.user_of_access_token(session, access)):
                assert found is not None
                assert auth.actor(found).permissions == ROLES["viewer"]
                assert auth.actor(found).scope == ()

    @pytest.mark.parametrize("version", [0, 2, -1, 2**70])
    def test_of_another_version_is_refused(
        self, users: UserService, database: Database, anna: PasswordOffer, version: int
    ) -> None:
        for change in (
            lambda session: users.change(session, SYSTEM, anna.user.id, version, UserDraft("viewer")),
            lambda session: users.set_disabled(session, SYSTEM, anna.user.id, version, disabled=True),
            lambda session: users.delete(session, SYSTEM, anna.user.id, version),
        ):
            with pytest.raises(Conflict, match="somebody else"), database.transaction() as session:
                change(session)
        assert got(users, database, anna.user.id) == anna.user

    def test_ends_nobodys_own_account(self, users: UserService, database: Database, anna: PasswordOffer) -> None:
        own = replace(SYSTEM, user_id=anna.user.id)
        for end in (
            lambda session: users.set_disabled(session, own, anna.user.id, 1, disabled=True),
            lambda session: users.delete(session, own, anna.user.id, 1),
        ):
            with pytest.raises(Conflict, match="your own account"), database.transaction() as session:
                end(session)
        assert got(users, database, anna.user.id) == anna.user

    @pytest.mark.parametrize("user_id", [0, -1, 999, 2**63, 2**70])
    def test_of_nobody_is_refused(self, users: UserService, database: Database, user_id: int) -> None:
        for change in (
            lambda session: users.get(session, SYSTEM, user_id),
            lambda session: users.change(session, SYSTEM, user_id, 1, UserDraft("viewer")),
            lambda session: users.delete(session, SYSTEM, user_id, 1),
            lambda session: users.unlock(session, SYSTEM, user_id),
            lambda session: users.end_sessions(session, SYSTEM, user_id),
            lambda session: users.offer_password(session, SYSTEM, user_id),
        ):
            with pytest.raises(NotFound), database.transaction() as session:
                change(session)

    def test_is_told_in_the_audit_log(self, users: UserService, database: Database, anna: PasswordOffer) -> None:
        with database.transaction() as session:
            users.change(session, SYSTEM, anna.user.id, 1, UserDraft("viewer", "anna@example.com"))
            users.set_disabled(session, SYSTEM, anna.user.id, 2, disabled=True)
            users.set_disabled(session, SYSTEM, anna.user.id, 3, disabled=False)
            users.unlock(session, SYSTEM, anna.user.id)
            users.end_sessions(session, SYSTEM, anna.user.id)
            users.delete(session, SYSTEM, anna.user.id, 4)
            told = DatabaseAudit().entries(session, SYSTEM).items
        assert [entry.action for entry in reversed(told)] == [
            *("user:create", "user:change", "user:disable", "user:enable"),
            *("user:unlock", "user:end-sessions", "user:delete"),
        ]
        assert {entry.subject for entry in told} == {"user Anna"}
        changed = told[-2]
        assert changed.before == {"role": "analyst", "email": "anna@example.com", "scope": {"store": ["367", "406"]}}
        assert changed.after == {"role": "viewer", "email": "anna@example.com", "scope": {}}


class TestShuttingOut:
    def test_ends_everything_at_once_and_for_good(
        self, users: UserService, auth: DatabaseAuth, database: Database, anna: PasswordOffer
    ) -> None:
        accept(users, database, anna)
        with database.transaction() as session:
            user = auth.sign_in(session, "anna", PASSWORD, HOME)
            token, pair = auth.start_session(session, user), auth.issue_tokens(session, user)
            users.set_disabled(session, SYSTEM, user.id, 1, disabled=True)
        for again in (False, True):
            with database.transaction() as session:
                if again:
                    users.set_disabled(session, SYSTEM, anna.user.id, 2, disabled=False)
                assert auth.user_of_session(session, token) is None
                with pytest.raises(NotSignedIn):
                    auth.refresh_tokens(session, pair.refresh_token)
        assert got(users, database, anna.user.id).state == "active"

    def test_by_deleting_leaves_nothing_of_the_user(
        self, users: UserService, auth: DatabaseAuth, database: Database, anna: PasswordOffer
    ) -> None:
        accept(users, database, anna)
        with database.transaction() as session:
            user = auth.sign_in(session, "anna", PASSWORD, HOME)
            token, pair = auth.start_session(session, user), auth.issue_tokens(session, user)
            users.offer_password(session, SYSTEM, user.id)
            users.delete(session, SYSTEM, user.id, 1)
        with database.session() as session:
            assert auth.user_of_session(session, token) is None
            with pytest.raises(NotSignedIn):
                auth.user_of_access_token(session, pair.access_token)
        create(users, database, "anna", ANALYST)

    def test_by_ending_sessions_lets_in_again_with_the_password(
        self, users: UserService, auth: DatabaseAuth, database: Database, root: UserRecord
    ) -> None:
        with database.transaction() as session:
            token = auth.start_session(session, auth.sign_in(session, "root", PASSWORD, HOME))
            assert users.end_sessions(session, SYSTEM, root.id) == 1
            assert auth.user_of_session(session, token) is None
            assert auth.sign_in(session, "root", PASSWORD, HOME).id == root.id

    def test_for_failures_ends_by_unlocking(
        self, users: UserService, auth: DatabaseAuth, database: Database, root: UserRecord
    ) -> None:
        with database.transaction() as session:
            for number in range(MAX_FAILURES):
                with pytest.raises(NotSignedIn):
                    auth.sign_in(session, "root", "wrong", f"192.0.2.{number}")
            assert users.get(session, SYSTEM, root.id).state == "locked"
            with pytest.raises(TooManyRequests):
                auth.sign_in(session, "root", PASSWORD, HOME)
            assert users.unlock(session, SYSTEM, root.id).state == "active"
            assert auth.sign_in(session, "root", PASSWORD, HOME).id == root.id


class TestLastAdministrator:
    def test_is_not_removed_disabled_or_demoted(
        self, users: UserService, database: Database, root: UserRecord, anna: PasswordOffer
    ) -> None:
        create(users, database, "invited", UserDraft("admin"))  # cannot sign in yet, and so is no help
        gone = administrator(users, database, "gone")
        with database.transaction() as session:
            users.set_disabled(session, SYSTEM, gone.id, 1, disabled=True)
        for change in (
            lambda session: users.change(session, SYSTEM, root.id, 1, ANALYST),
            lambda session: users.set_disabled(session, SYSTEM, root.id, 1, disabled=True),
            lambda session: users.delete(session, SYSTEM, root.id, 1),
        ):
            with pytest.raises(Conflict, match="last administrator"), database.transaction() as session:
                change(session)
        assert got(users, database, root.id) == replace(root, state="active")

    def test_gets_another_address_all_the_same(self, users: UserService, database: Database, root: UserRecord) -> None:
        with database.transaction() as session:
            users.change(session, SYSTEM, root.id, 1, UserDraft("admin", "root@example.com"))

    def test_may_go_once_there_is_another(self, users: UserService, database: Database, root: UserRecord) -> None:
        administrator(users, database, "second")
        with database.transaction() as session:
            users.delete(session, SYSTEM, root.id, 1)


class TestList:
    @pytest.mark.parametrize(
        ("search", "state", "names"),
        [
            ("", "", ["Anna", "ben", "root"]),
            ("AN", "", ["Anna"]),
            ("ｒＯ", "", ["root"]),
            ("@EXAMPLE", "", ["Anna"]),
            ("%", "", []),
            ("_", "", []),
            ("\x00", "", ["Anna", "ben", "root"]),
            ("", "active", ["root"]),
            ("", "invited", ["Anna", "ben"]),
            ("", "disabled", []),
            ("b", "invited", ["ben"]),
            ("", "nonsense", []),
        ],
    )
    def test_is_searched(
        self,
        users: UserService,
        database: Database,
        anna: PasswordOffer,
        root: UserRecord,
        search: str,
        state: str,
        names: list[str],
    ) -> None:
        create(users, database, "ben", UserDraft("viewer"))
        with database.session() as session:
            assert [user.username for user in users.list(session, SYSTEM, UserFilter(search, state)).items] == names

    @pytest.mark.parametrize(
        ("order", "names"),
        [
            ("name", ["anna", "ben", "root"]),
            ("role", ["root", "anna", "ben"]),
            ("created", ["root", "ben", "anna"]),
            ("signed_in", ["anna", "ben", "root"]),
            ("password_hash", ["anna", "ben", "root"]),
        ],
    )
    def test_is_ordered(
        self, users: UserService, auth: DatabaseAuth, database: Database, clock: Clock, order: str, names: list[str]
    ) -> None:
        anna = create(users, database, "anna", ANALYST)
        clock.pass_(minutes=1)
        create(users, database, "ben", UserDraft("viewer"))
        clock.pass_(minutes=1)
        administrator(users, database, "root")
        accept(users, database, anna)
        with database.transaction() as session:
            auth.start_session(session, auth.sign_in(session, "anna", PASSWORD, HOME))
            assert self.paged(users, session, UserFilter(order=order), 50) == names
            assert self.paged(users, session, UserFilter(order=order), 1) == names
        assert order in USER_ORDERS or order == "password_hash"

    def paged(self, users: UserService, session: Session, which: UserFilter, limit: int) -> list[str]:
        """The names of all pages."""
        names, cursor = [], None
        while True:
            page = users.list(session, SYSTEM, which, cursor, limit)
            assert len(page.items) <= limit
            names += [user.username for user in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return names

    def test_of_a_role_has_its_holders_in_pages(
        self, users: UserService, database: Database, anna: PasswordOffer, root: UserRecord
    ) -> None:
        create(users, database, "ben", UserDraft("analyst"))
        with database.session() as session:
            assert self.paged(users, session, UserFilter(role="analyst"), 1) == ["Anna", "ben"]
            assert self.paged(users, session, UserFilter(role="gone"), 1) == []

    def test_goes_on_where_the_page_ended_whoever_has_gone_meanwhile(
        self, users: UserService, database: Database, anna: PasswordOffer, root: UserRecord
    ) -> None:
        with database.transaction() as session:
            cursor = users.list(session, SYSTEM, None, None, 1).next_cursor
            users.delete(session, SYSTEM, anna.user.id, 1)
            assert [user.username for user in users.list(session, SYSTEM, None, cursor).items] == ["root"]

    @pytest.mark.parametrize("parts", [("role", "a", "b"), ("name", 1, "b"), ("name", "a"), ("name", "a", 2), ()])
    def test_takes_no_cursor_but_its_own(self, users: UserService, database: Database, parts: tuple[Any, ...]) -> None:
        with database.session() as session:
            for cursor in (cursor_of(*parts), "x", "é"):
                with pytest.raises(InvalidInput):
                    users.list(session, SYSTEM, None, cursor)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_only_those_who_may_manage_users_do(
    users: UserService, database: Database, anna: PasswordOffer, root: UserRecord, role: str
) -> None:
    actor = replace(SYSTEM, permissions=ROLES[role])
    for change in (
        lambda session: users.list(session, actor),
        lambda session: users.get(session, actor, anna.user.id),
        lambda session: users.create(session, actor, "ben", ANALYST),
        lambda session: users.change(session, actor, anna.user.id, 1, UserDraft("admin")),
        lambda session: users.set_disabled(session, actor, anna.user.id, 2, disabled=False),
        lambda session: users.unlock(session, actor, anna.user.id),
        lambda session: users.end_sessions(session, actor, anna.user.id),
        lambda session: users.offer_password(session, actor, anna.user.id),
        lambda session: users.delete(session, actor, anna.user.id, 3),
    ):
        with database.transaction() as session:
            if Permission.USERS_MANAGE in ROLES[role]:
                change(session)
            else:
                with pytest.raises(PermissionDenied):
                    change(session)
