"""What every `RoleService` promises, on both databases."""

from dataclasses import replace
from pathlib import Path

import pytest

from nebuloviz.db import Database
from nebuloviz.errors import Conflict, InvalidInput, NotFound, PermissionDenied, StaleVersion
from nebuloviz.models import CustomRole
from nebuloviz.permissions import ROLES, SYSTEM, Permission
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import RoleDraft, RoleService, RoleView, UserDraft
from nebuloviz.services.roles import MAX_ROLES, DatabaseRoles
from nebuloviz.services.users import DatabaseUsers
from nebuloviz.settings import load

PASSWORD = "correct horse battery"
CARETAKER = RoleDraft("Caretaker", [Permission.STREAM_MANAGE], "Looks after the stream")
HELPER = RoleDraft("Helper", [Permission.USERS_MANAGE])
#: Somebody who manages users and reads data, and may nothing else.
LIMITED = replace(SYSTEM, permissions=frozenset({Permission.USERS_MANAGE, Permission.DATA_READ}))


@pytest.fixture(params=[DatabaseRoles])
def roles(request: pytest.FixtureRequest) -> RoleService:
    service: RoleService = request.param(DatabaseAudit())
    return service


@pytest.fixture
def auth(tmp_path: Path) -> DatabaseAuth:
    return DatabaseAuth(load(data_dir=tmp_path / "data"), rounds=4)


@pytest.fixture
def users(auth: DatabaseAuth) -> DatabaseUsers:
    return DatabaseUsers(auth, DatabaseAudit())


@pytest.fixture
def caretaker(roles: RoleService, database: Database) -> RoleView:
    return create(roles, database, CARETAKER)


def create(roles: RoleService, database: Database, draft: RoleDraft) -> RoleView:
    with database.transaction() as session:
        return roles.create(session, SYSTEM, draft)


def user(users: DatabaseUsers, database: Database, name: str, role: str) -> int:
    """One with a password."""
    with database.transaction() as session:
        offer = users.create(session, SYSTEM, name, UserDraft(role))
        users.accept_password(session, offer.token, PASSWORD)
    return offer.user.id


class TestReadyMadeRoles:
    def test_come_first_from_the_least_to_the_most(self, roles: RoleService, database: Database) -> None:
        create(roles, database, CARETAKER)
        with database.session() as session:
            found = roles.list(session, SYSTEM)
        assert [role.slug for role in found] == ["viewer", "analyst", "data_scientist", "admin", "caretaker"]
        assert all(frozenset(role.permissions) == ROLES[role.slug] for role in found if role.ready_made)

    def test_stay_as_they_are(self, roles: RoleService, database: Database) -> None:
        for slug in ROLES:
            with pytest.raises(Conflict), database.transaction() as session:
                roles.change(session, SYSTEM, slug, 0, CARETAKER)
            with pytest.raises(Conflict), database.transaction() as session:
                roles.delete(session, SYSTEM, slug, 0)

    def test_count_who_has_them(self, roles: RoleService, users: DatabaseUsers, database: Database) -> None:
        user(users, database, "root", "admin")
        with database.session() as session:
            assert (roles.get(session, SYSTEM, "admin").holders, roles.get(session, SYSTEM, "viewer").holders) == (1, 0)


class TestCreating:
    def test_keeps_permissions_with_what_they_need(self, caretaker: RoleView) -> None:
        permissions = (Permission.DATA_READ, Permission.STREAM_MANAGE, Permission.STREAM_READ)
        assert caretaker == RoleView(
            "caretaker", "Caretaker", "Looks after the stream", permissions, ready_made=False, holders=0, version=1
        )

    @pytest.mark.parametrize(
        ("name", "slug"),
        [
            (" Régional  lead (EU)! ", "regional_lead_eu"),
            ("7 days", "role_7_days"),
            ("مدير المبيعات", "role"),
            ("new", "new_2"),
            ("System", "system_2"),
            ("x" * 60, "x" * 40),
        ],
    )
    def test_makes_a_slug_of_the_name(self, roles: RoleService, database: Database, name: str, slug: str) -> None:
        assert create(roles, database, RoleDraft(name, [])).slug == slug

    def test_makes_slugs_that_differ(self, roles: RoleService, database: Database) -> None:
        assert [create(roles, database, RoleDraft(name, [])).slug for name in ("A b", "a-b", "a/b")] == [
            *("a_b", "a_b_2", "a_b_3")
        ]

    @pytest.mark.parametrize(
        "name", ["caretaker", "CARETAKER", "Ｃaretaker", " Caretaker ", "admin", "Administrator", "data_scientist"]
    )
    def test_of_a_twin_is_refused(self, roles: RoleService, database: Database, caretaker: RoleView, name: str) -> None:
        with pytest.raises(Conflict):
            create(roles, database, RoleDraft(name, []))

    @pytest.mark.parametrize(
        "draft",
        [
            RoleDraft("", []),
            RoleDraft("  ", []),
            RoleDraft("a\x00b", []),
            RoleDraft("a\nb", []),
            RoleDraft("x" * 61, []),
            RoleDraft("\ud800", []),
            RoleDraft("ok", [], "x" * 301),
            RoleDraft("ok", [], "two\nlines"),
        ],
        ids=range(8),
    )
    def test_of_what_cannot_be_is_refused(self, roles: RoleService, database: Database, draft: RoleDraft) -> None:
        with pytest.raises(InvalidInput):
            create(roles, database, draft)

    def test_ends_somewhere(self, roles: RoleService, database: Database) -> None:
        with database.transaction() as session:
            for number in range(MAX_ROLES):
                roles.create(session, SYSTEM, RoleDraft(f"Role {number}", []))
        with pytest.raises(Conflict, match="delete one first"):
            create(roles, database, CARETAKER)


class TestChanging:
    def test_holds_from_the_next_request_on(
        self,
        roles: RoleService,
        users: DatabaseUsers,
        auth: DatabaseAuth,
        database: Database,
        caretaker: RoleView,
    ) -> None:
        user(users, database, "carl", caretaker.slug)
        with database.transaction() as session:
            carl = auth.sign_in(session, "carl", PASSWORD, "192.0.2.7")
            browser, access = auth.start_session(session, carl), auth.issue_tokens(session, carl).access_token

        def permissions() -> list[frozenset[Permission]]:
            with database.session() as session:
                found = auth.user_of_session(session, browser), auth.user_of_access_token(session, access)
                assert all(each is not None and each.role_name for each in found)
                return [auth.actor(each).permissions for each in found if each is not None]

        assert permissions() == [frozenset(caretaker.permissions)] * 2
        with database.transaction() as session:
            roles.change(session, SYSTEM, caretaker.slug, 1, RoleDraft("Reader", [Permission.AUDIT_READ]))
        assert permissions() == [frozenset({Permission.AUDIT_READ, Permission.DATA_READ})] * 2

    def test_of_the_name_leaves_the_slug(self, roles: RoleService, database: Database, caretaker: RoleView) -> None:
        with database.transaction() as session:
            changed = roles.change(session, SYSTEM, caretaker.slug, 1, replace(CARETAKER, name="CARETAKER "))
        assert (changed.slug, changed.name, changed.version) == ("caretaker", "CARETAKER", 2)

    def test_to_the_name_of_another_is_refused(
        self, roles: RoleService, database: Database, caretaker: RoleView
    ) -> None:
        create(roles, database, HELPER)
        with pytest.raises(Conflict, match="already"), database.transaction() as session:
            roles.change(session, SYSTEM, caretaker.slug, 1, replace(CARETAKER, name="helper"))

    @pytest.mark.parametrize("version", [0, 2, -1, 2**70])
    def test_of_another_version_is_refused(
        self, roles: RoleService, database: Database, caretaker: RoleView, version: int
    ) -> None:
        with pytest.raises(StaleVersion), database.transaction() as session:
            roles.change(session, SYSTEM, caretaker.slug, version, HELPER)
        with pytest.raises(StaleVersion), database.transaction() as session:
            roles.delete(session, SYSTEM, caretaker.slug, version)
        with database.session() as session:
            assert roles.get(session, SYSTEM, caretaker.slug) == caretaker

    @pytest.mark.parametrize("slug", ["", "gone", "x" * 9_000, "' OR 1=1 --", "%", "\x00", "\ud800"])
    def test_of_none_is_refused(self, roles: RoleService, database: Database, slug: str) -> None:
        for change in (
            lambda session: roles.get(session, SYSTEM, slug),
            lambda session: roles.change(session, SYSTEM, slug, 1, HELPER),
            lambda session: roles.delete(session, SYSTEM, slug, 1),
        ):
            with pytest.raises(NotFound), database.transaction() as session:
                change(session)

    def test_to_what_there_is_changes_nothing(
        self, roles: RoleService, database: Database, caretaker: RoleView
    ) -> None:
        draft = RoleDraft(caretaker.name, list(caretaker.permissions), caretaker.description)
        with database.transaction() as session:
            assert roles.change(session, SYSTEM, caretaker.slug, 1, draft) == caretaker
            assert [entry.action for entry in DatabaseAudit().entries(session, SYSTEM).items] == ["role:create"]

    def test_is_told_in_the_audit_log(self, roles: RoleService, database: Database, caretaker: RoleView) -> None:
        with database.transaction() as session:
            roles.change(session, SYSTEM, caretaker.slug, 1, RoleDraft("Carer", []))
            roles.delete(session, SYSTEM, caretaker.slug, 2)
            deleted, changed, created = DatabaseAudit().entries(session, SYSTEM).items
        assert [entry.action for entry in (created, changed, deleted)] == ["role:create", "role:change", "role:delete"]
        assert [entry.subject for entry in (created, changed, deleted)] == [
            *("role Caretaker", "role Carer", "role Carer")
        ]
        before = {
            "name": "Caretaker",
            "description": "Looks after the stream",
            "permissions": ["data:read", "stream:manage", "stream:read"],
        }
        assert (created.after, changed.before) == (before, before)
        assert changed.after == {"name": "Carer", "description": "", "permissions": ["data:read"]}

    def test_forgets_permissions_that_there_are_no_more(
        self, roles: RoleService, database: Database, caretaker: RoleView
    ) -> None:
        with database.transaction() as session:
            session.get_one(CustomRole, caretaker.slug).permissions = "data:read gone:do"
            assert roles.get(session, SYSTEM, caretaker.slug).permissions == (Permission.DATA_READ,)


class TestDeleting:
    def test_waits_until_nobody_has_it(
        self, roles: RoleService, users: DatabaseUsers, database: Database, caretaker: RoleView
    ) -> None:
        carl = user(users, database, "carl", caretaker.slug)
        with pytest.raises(Conflict, match="have this role"), database.transaction() as session:
            roles.delete(session, SYSTEM, caretaker.slug, 1)
        with database.transaction() as session:
            users.change(session, SYSTEM, carl, 1, UserDraft("viewer"))
            roles.delete(session, SYSTEM, caretaker.slug, 1)
        with pytest.raises(InvalidInput, match="no role"):
            user(users, database, "anna", caretaker.slug)


class TestLastAdministrator:
    def test_of_a_role_of_ones_own_keeps_managing(
        self, roles: RoleService, users: DatabaseUsers, database: Database
    ) -> None:
        helper = create(roles, database, HELPER)
        hanna = user(users, database, "hanna", helper.slug)
        with pytest.raises(Conflict, match="Nobody would be left"), database.transaction() as session:
            roles.change(session, SYSTEM, helper.slug, 1, RoleDraft("Helper", []))
        for change in (
            lambda session: users.change(session, SYSTEM, hanna, 1, UserDraft("viewer")),
            lambda session: users.set_disabled(session, SYSTEM, hanna, 1, disabled=True),
            lambda session: users.delete(session, SYSTEM, hanna, 1),
        ):
            with pytest.raises(Conflict, match="last administrator"), database.transaction() as session:
                change(session)

    def test_may_go_where_another_role_manages(
        self, roles: RoleService, users: DatabaseUsers, database: Database
    ) -> None:
        helper = create(roles, database, HELPER)
        user(users, database, "hanna", helper.slug)
        root = user(users, database, "root", "admin")
        with database.transaction() as session:
            users.delete(session, SYSTEM, root, 1)
            with pytest.raises(Conflict):
                roles.change(session, SYSTEM, helper.slug, 1, RoleDraft("Helper", []))

    def test_keeps_the_same_role_with_other_permissions(
        self, roles: RoleService, users: DatabaseUsers, database: Database
    ) -> None:
        helper = create(roles, database, HELPER)
        user(users, database, "hanna", helper.slug)
        with database.transaction() as session:
            draft = RoleDraft("Helper", [Permission.USERS_MANAGE, Permission.AUDIT_READ])
            assert Permission.AUDIT_READ in roles.change(session, SYSTEM, helper.slug, 1, draft).permissions


class TestNobodyGivesMoreThanTheyHave:
    @pytest.fixture
    def root(self, users: DatabaseUsers, database: Database) -> int:
        return user(users, database, "root", "admin")

    def test_with_a_role(self, roles: RoleService, database: Database, caretaker: RoleView) -> None:
        for change in (
            lambda session: roles.create(session, LIMITED, replace(CARETAKER, name="Other")),
            lambda session: roles.change(session, LIMITED, caretaker.slug, 1, HELPER),  # takes what they do not have
            lambda session: roles.delete(session, LIMITED, caretaker.slug, 1),
        ):
            with pytest.raises(PermissionDenied), database.transaction() as session:
                change(session)
        with database.transaction() as session:
            own = roles.create(session, LIMITED, HELPER)
            with pytest.raises(PermissionDenied):
                roles.change(session, LIMITED, own.slug, 1, RoleDraft("Helper", list(Permission)))

    def test_to_a_user(self, users: DatabaseUsers, roles: RoleService, database: Database, root: int) -> None:
        helper = create(roles, database, HELPER)
        with database.transaction() as session:
            made = users.create(session, LIMITED, "hanna", UserDraft(helper.slug)).user
            for role in ("viewer", "admin"):
                with pytest.raises(PermissionDenied):
                    users.create(session, LIMITED, "other", UserDraft(role))
                with pytest.raises(PermissionDenied):
                    users.change(session, LIMITED, made.id, 1, UserDraft(role))
            assert users.change(session, LIMITED, made.id, 1, UserDraft(helper.slug, "h@example.com")).version == 2

    def test_by_a_link_session_or_change_of_somebody_who_may_more(
        self, users: DatabaseUsers, roles: RoleService, database: Database, root: int
    ) -> None:
        helper = create(roles, database, HELPER)
        for change in (
            lambda session: users.offer_password(session, LIMITED, root),
            lambda session: users.unlock(session, LIMITED, root),
            lambda session: users.end_sessions(session, LIMITED, root),
            lambda session: users.change(session, LIMITED, root, 1, UserDraft(helper.slug)),
            lambda session: users.set_disabled(session, LIMITED, root, 1, disabled=True),
            lambda session: users.delete(session, LIMITED, root, 1),
        ):
            with pytest.raises(PermissionDenied, match="do not have yourself"), database.transaction() as session:
                change(session)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_only_those_who_may_manage_users_do(
    roles: RoleService, database: Database, caretaker: RoleView, role: str
) -> None:
    actor = replace(SYSTEM, permissions=ROLES[role])
    for change in (
        lambda session: roles.list(session, actor),
        lambda session: roles.get(session, actor, "viewer"),
        lambda session: roles.create(session, actor, HELPER),
        lambda session: roles.change(session, actor, caretaker.slug, 1, CARETAKER),
        lambda session: roles.delete(session, actor, caretaker.slug, 1),
    ):
        with database.transaction() as session:
            if Permission.USERS_MANAGE in ROLES[role]:
                change(session)
            else:
                with pytest.raises(PermissionDenied):
                    change(session)
