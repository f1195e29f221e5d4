"""What every `ViewingService` promises, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from nebuloviz.db import Database
from nebuloviz.errors import Conflict, NotFound, NotSignedIn, PermissionDenied, ViewOnly
from nebuloviz.models import User
from nebuloviz.permissions import ROLES, SYSTEM, Permission
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import AuditAction, RoleDraft, UserDraft, UserView, ViewingService
from nebuloviz.services.roles import DatabaseRoles
from nebuloviz.services.users import DatabaseUsers
from nebuloviz.services.viewing import DatabaseViewing
from nebuloviz.settings import load

PASSWORD = "correct horse battery"


class People:
    """Users with a password and a browser session each."""

    def __init__(self, database: Database, auth: DatabaseAuth) -> None:
        self.database, self.auth = database, auth
        self.users, self.roles = DatabaseUsers(auth, DatabaseAudit()), DatabaseRoles(DatabaseAudit())

    def add(self, name: str, role: str, **scope: list[str]) -> tuple[int, str]:
        """Id and session."""
        with self.database.transaction() as session:
            offer = self.users.create(session, SYSTEM, name, UserDraft(role, scope=scope))
            return offer.user.id, self.auth.start_session(
                session, self.users.accept_password(session, offer.token, PASSWORD)
            )

    def seen(self, token: str) -> UserView | None:
        with self.database.session() as session:
            return self.auth.user_of_session(session, token)

    def acts(self) -> list[tuple[str, str, str]]:
        with self.database.session() as session:
            entries = DatabaseAudit().entries(session, SYSTEM).items
        return [(entry.action, entry.username, entry.subject) for entry in entries if entry.action.startswith("view")]


@pytest.fixture
def people(database: Database, tmp_path: Path) -> People:
    return People(database, DatabaseAuth(load(data_dir=tmp_path / "data"), rounds=4))


@pytest.fixture(params=[DatabaseViewing])
def viewing(request: pytest.FixtureRequest, people: People) -> ViewingService:
    service: ViewingService = request.param(people.auth, DatabaseAudit())
    return service


@pytest.fixture
def root(people: People) -> str:
    """An administrator's session."""
    return people.add("root", "admin")[1]


def start(viewing: ViewingService, people: People, token: str, user_id: int) -> None:
    with people.database.transaction() as session:
        user = people.auth.user_of_session(session, token)
        assert user is not None
        viewing.start(session, people.auth.actor(user), token, user_id)


class TestLooking:
    def test_shows_what_the_user_sees_to_the_one_who_looks_alone(
        self, people: People, viewing: ViewingService, root: str
    ) -> None:
        anna, hers = people.add("anna", "analyst", store=["367"])
        other = people.add("deputy", "admin")[1]
        start(viewing, people, root, anna)
        seen = people.seen(root)
        assert seen is not None
        assert (seen.id, seen.username, seen.scope) == (anna, "anna", (("store", ("367",)),))
        assert seen.seen_by is not None
        assert seen.seen_by.username == "root"
        actor = people.auth.actor(seen)
        assert actor.permissions == {Permission.ALERTS_MANAGE, Permission.ALERTS_READ} | {
            *(Permission.DATA_READ, Permission.SALES_READ)
        }
        assert actor.looking
        for token in (hers, other):
            mine = people.seen(token)
            assert mine is not None
            assert mine.seen_by is None
            assert not people.auth.actor(mine).looking

    def test_ends_by_stopping_and_is_told_in_the_audit_log_at_both_ends(
        self, people: People, viewing: ViewingService, root: str
    ) -> None:
        anna, _hers = people.add("anna", "viewer")
        start(viewing, people, root, anna)
        with people.database.transaction() as session:
            assert viewing.stop(session, root) == anna
        back = people.seen(root)
        assert back is not None
        assert (back.username, back.seen_by) == ("root", None)
        assert people.acts() == [("view:end", "root", "user anna"), ("view:start", "root", "user anna")]
        for token in (root, "", "\ud800"):
            with pytest.raises(Conflict), people.database.transaction() as session:
                viewing.stop(session, token)

    def test_changes_nothing_that_is_worth_an_entry(self, people: People, viewing: ViewingService, root: str) -> None:
        deputy, _theirs = people.add("deputy", "admin")
        start(viewing, people, root, deputy)
        seen = people.seen(root)
        assert seen is not None
        actor = people.auth.actor(seen)
        for change in (
            lambda session: people.users.create(session, actor, "new", UserDraft("viewer")),
            lambda session: people.users.unlock(session, actor, deputy),
            lambda session: people.roles.create(session, actor, RoleDraft("New", [])),
            lambda session: DatabaseAudit().record(session, actor, AuditAction.DATA_EXPORTED),
        ):
            with pytest.raises(ViewOnly), people.database.transaction() as session:
                change(session)

    def test_is_in_the_own_language_and_colours(self, people: People, viewing: ViewingService, root: str) -> None:
        anna, _hers = people.add("anna", "viewer")
        mine = people.seen(root)
        assert mine is not None
        with people.database.transaction() as session:
            for user_id, language, zone, theme in ((mine.id, "ar", "", "dark"), (anna, "es", "Asia/Tokyo", "light")):
                user = session.get_one(User, user_id)
                user.language, user.time_zone, user.theme = language, zone, theme
        start(viewing, people, root, anna)
        seen = people.seen(root)
        assert seen is not None
        assert (seen.language, seen.time_zone, seen.theme) == ("ar", "Asia/Tokyo", "dark")

    def test_by_a_token_ends_with_the_sign_in_that_it_came_of(self, people: People, viewing: ViewingService) -> None:
        deputy, anna = people.add("deputy", "admin")[0], people.add("anna", "analyst", store=["367"])[0]
        with people.database.transaction() as session:
            viewer = next(user for user in people.auth.users(session) if user.id == deputy)
            access = people.auth.issue_tokens(session, viewer).access_token
            token = viewing.token(session, people.auth.actor(viewer), access, anna).access_token
            seen = people.auth.user_of_access_token(session, token)
            assert (seen.username, seen.scope, seen.seen_by and seen.seen_by.id) == (
                "anna",
                (("store", ("367",)),),
                deputy,
            )
            assert people.auth.actor(seen).looking
            for none in (token, "", "x.y.z"):
                with pytest.raises(NotSignedIn):
                    viewing.token(session, people.auth.actor(viewer), none, anna)
        assert people.acts() == [("view:start", "deputy", "user anna")]
        with people.database.transaction() as session:
            people.users.end_sessions(session, SYSTEM, deputy)
        with pytest.raises(NotSignedIn), people.database.session() as session:
            people.auth.user_of_access_token(session, token)

    def test_by_a_token_is_not_through_the_eyes_of_who_has_the_number_later(
        self, people: People, viewing: ViewingService
    ) -> None:
        deputy, anna = people.add("deputy", "admin")[0], people.add("anna", "viewer")[0]
        with people.database.transaction() as session:
            viewer = next(user for user in people.auth.users(session) if user.id == deputy)
            access = people.auth.issue_tokens(session, viewer).access_token
            token = viewing.token(session, people.auth.actor(viewer), access, anna).access_token
            assert people.auth.user_of_access_token(session, token).username == "anna"
            later = datetime.now(UTC) + timedelta(seconds=2)
            session.execute(update(User).where(User.id == anna).values(username="ben", created_at=later))
        with pytest.raises(NotSignedIn), people.database.session() as session:
            people.auth.user_of_access_token(session, token)

    def test_by_another_ones_token_is_refused(self, people: People, viewing: ViewingService) -> None:
        anna = people.add("anna", "viewer")[0]
        people.add("root", "admin"), people.add("deputy", "admin")
        with people.database.transaction() as session:
            by_name = {user.username: user for user in people.auth.users(session)}
            access = people.auth.issue_tokens(session, by_name["deputy"]).access_token
            with pytest.raises(NotSignedIn):
                viewing.token(session, people.auth.actor(by_name["root"]), access, anna)

    def test_shows_who_has_no_password_yet(self, people: People, viewing: ViewingService, root: str) -> None:
        with people.database.transaction() as session:
            invited = people.users.create(session, SYSTEM, "ina", UserDraft("viewer")).user.id
        start(viewing, people, root, invited)
        seen = people.seen(root)
        assert seen is not None
        assert seen.username == "ina"


class TestNeverLeadsToMore:
    @pytest.mark.parametrize("role", sorted(set(ROLES) - {"admin"}))
    def test_than_one_has_without_managing_users(self, people: People, viewing: ViewingService, role: str) -> None:
        anna, _hers = people.add("anna", "viewer")
        token = people.add("somebody", role)[1]
        with pytest.raises(PermissionDenied):
            start(viewing, people, token, anna)

    def test_than_one_has_by_a_smaller_role(self, people: People, viewing: ViewingService, root: str) -> None:
        with people.database.transaction() as session:
            draft = RoleDraft("Helper", [Permission.USERS_MANAGE, Permission.ALERTS_READ])
            helper = people.roles.create(session, SYSTEM, draft).slug
        hanna, hers = people.add("hanna", helper)
        more = [people.add(name, role)[0] for name, role in (("anna", "analyst"), ("deputy", "admin"))]
        for user_id in more:
            with pytest.raises(PermissionDenied):
                start(viewing, people, hers, user_id)
        start(viewing, people, hers, people.add("vic", "viewer")[0])  # no more than hanna
        start(viewing, people, root, hanna)

    def test_through_the_eyes_of_another_administrator(
        self, people: People, viewing: ViewingService, root: str
    ) -> None:
        anna, _hers = people.add("anna", "viewer")
        deputy, _theirs = people.add("deputy", "admin")
        start(viewing, people, root, deputy)
        with pytest.raises(NotSignedIn):  # the session is root's, not the deputy's
            start(viewing, people, root, anna)

    def test_in_a_session_of_somebody_else(self, people: People, viewing: ViewingService, root: str) -> None:
        anna, hers = people.add("anna", "viewer")
        mine = people.seen(root)
        assert mine is not None
        for token in (hers, "", "x" * 9_000):
            with pytest.raises(NotSignedIn), people.database.transaction() as session:
                viewing.start(session, people.auth.actor(mine), token, anna)

    @pytest.mark.parametrize("user_id", [0, -1, 999, 2**63, 2**70])
    def test_of_nobody(self, people: People, viewing: ViewingService, root: str, user_id: int) -> None:
        with pytest.raises(NotFound):
            start(viewing, people, root, user_id)

    def test_of_oneself_or_of_the_disabled(self, people: People, viewing: ViewingService, root: str) -> None:
        anna, _hers = people.add("anna", "viewer")
        mine = people.seen(root)
        assert mine is not None
        with people.database.transaction() as session:
            people.users.set_disabled(session, SYSTEM, anna, 1, disabled=True)
        for user_id in (mine.id, anna):
            with pytest.raises(Conflict):
                start(viewing, people, root, user_id)


class TestEnds:
    def test_when_the_user_is_shut_out_or_gone(self, people: People, viewing: ViewingService, root: str) -> None:
        other = people.add("deputy", "admin")[1]
        for name, token in (("anna", root), ("ben", other)):
            user_id, _theirs = people.add(name, "viewer")
            start(viewing, people, token, user_id)
            with people.database.transaction() as session:
                if name == "anna":
                    people.users.set_disabled(session, SYSTEM, user_id, 1, disabled=True)
                else:
                    people.users.delete(session, SYSTEM, user_id, 1)
            assert people.seen(token) is None
            assert people.acts()[0][0] == "view:end"

    def test_when_the_one_who_looks_may_no_more(self, people: People, viewing: ViewingService, root: str) -> None:
        people.add("deputy", "admin")
        anna, _hers = people.add("anna", "viewer")
        start(viewing, people, root, anna)
        mine = people.seen(root)
        assert mine is not None
        assert mine.seen_by is not None
        with people.database.transaction() as session:
            people.users.change(session, SYSTEM, mine.seen_by.id, 1, UserDraft("analyst"))
        assert people.seen(root) is None

    def test_when_the_user_comes_to_more_than_the_one_who_looks(
        self, people: People, viewing: ViewingService, root: str
    ) -> None:
        with people.database.transaction() as session:
            draft = RoleDraft("Helper", [Permission.USERS_MANAGE, Permission.ALERTS_READ])
            helper = people.roles.create(session, SYSTEM, draft).slug
        hers = people.add("hanna", helper)[1]
        vic, _his = people.add("vic", "viewer")
        start(viewing, people, hers, vic)
        with people.database.transaction() as session:
            people.users.change(session, SYSTEM, vic, 1, UserDraft("admin"))
        assert people.seen(hers) is None

    def test_with_signing_out_in_the_own_name(self, people: People, viewing: ViewingService, root: str) -> None:
        anna, _hers = people.add("anna", "viewer")
        start(viewing, people, root, anna)
        with people.database.transaction() as session:
            people.auth.end_session(session, root)
            signed_out = DatabaseAudit().entries(session, SYSTEM).items[0]
        assert (signed_out.action, signed_out.username) == ("session:end", "root")
        assert people.acts()[0] == ("view:end", "root", "user anna")
        assert people.seen(root) is None


def test_an_actor_that_looks_differs_from_the_user_by_that_alone(
    people: People, viewing: ViewingService, root: str
) -> None:
    """What is kept under the actor, such as answers in the cache, may be shared with the user."""
    anna, hers = people.add("anna", "analyst", region=["north"])
    start(viewing, people, root, anna)
    seen, own = people.seen(root), people.seen(hers)
    assert seen is not None
    assert own is not None
    assert replace(people.auth.actor(seen), looking=False) == people.auth.actor(own)
