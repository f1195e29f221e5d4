"""What every `UserImportService` promises, on both databases."""

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.errors import InvalidInput, PermissionDenied
from nebuloviz.permissions import ROLES, SYSTEM, Actor, Permission
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.interfaces import ImportedUser, RoleDraft, UserDraft, UserImportService
from nebuloviz.services.roles import DatabaseRoles
from nebuloviz.services.user_imports import DatabaseUserImports
from nebuloviz.services.users import DatabaseUsers
from nebuloviz.settings import load
from tests.metrics import shop

FILE = """username,email,role,store
ben,ben@example.com,Analyst,367|406
olga,,shop_keeper,
pia,,Shop keeper,
anna,,viewer,
BEN,,viewer,
two words,,viewer,
max,no address,viewer,
eva,,boss,
kim,,,
lea,,admin,367
zoe,,viewer,367,y
uma,,viewer,367|40
"""


@pytest.fixture
def users(tmp_path: Path) -> DatabaseUsers:
    return DatabaseUsers(DatabaseAuth(load(data_dir=tmp_path / "data"), rounds=4), DatabaseAudit())


@pytest.fixture(params=[DatabaseUserImports])
def imports(request: pytest.FixtureRequest, users: DatabaseUsers, database: Database) -> UserImportService:
    """There are a user called Anna, a role called Shop keeper, and sales of the stores 367 and 406."""
    sold = [line._replace(store=store) for line, store in zip(shop.lines(2, 1), ("367", "406"), strict=True)]
    shop.store(database, sold, ZoneInfo("UTC"))
    roles = DatabaseRoles(DatabaseAudit())
    with database.transaction() as session:
        users.create(session, SYSTEM, "Anna", UserDraft("viewer"))
        roles.create(session, SYSTEM, RoleDraft("Shop keeper", [Permission.SALES_READ]))
    service: UserImportService = request.param(
        users, roles, DatabaseAudit(), SalesDataService(Cache(secret="s" * 40), ZoneInfo("UTC"))
    )
    return service


def preview(imports: UserImportService, database: Database, text: str, actor: Actor = SYSTEM) -> list[ImportedUser]:
    with database.session() as session:
        return list(imports.preview(session, actor, text.encode()))


def run(imports: UserImportService, database: Database, text: str, actor: Actor = SYSTEM) -> list[ImportedUser]:
    with database.transaction() as session:
        return list(imports.run(session, actor, text.encode()))


def names(users: DatabaseUsers, database: Database) -> list[str]:
    with database.session() as session:
        return [user.username for user in users.list(session, SYSTEM).items]


class TestRunning:
    def test_creates_the_good_rows_and_says_of_each_other_why_not(
        self, imports: UserImportService, users: DatabaseUsers, database: Database
    ) -> None:
        answers = run(imports, database, FILE)
        assert [answer.line for answer in answers] == list(range(2, 14))
        assert [answer.username for answer in answers if answer.token] == ["ben", "olga", "pia"]
        assert [(answer.role, answer.role_name) for answer in answers[:2]] == [
            *(("analyst", ""), ("shop_keeper", "Shop keeper"))
        ]
        assert answers[0].scope == (("store", ("367", "406")),)
        words = [
            "already",
            "already",
            "",
            "e-mail",
            "no role called boss",
            "no role called ''",
            "sees everything",
            "cells",
            "Store: there is no 40 among the sales",
        ]
        for answer, word in zip(answers[3:], words, strict=True):
            assert word in answer.problem
            assert answer.problem
            assert answer.token == ""
        assert names(users, database) == ["Anna", "ben", "olga", "pia"]

    def test_gives_links_that_work(self, imports: UserImportService, users: DatabaseUsers, database: Database) -> None:
        ben = run(imports, database, FILE)[0]
        assert ben.expires_at is not None
        with database.transaction() as session:
            assert users.accept_password(session, ben.token, "correct horse battery").username == "ben"

    def test_is_told_in_the_audit_log_without_secrets(self, imports: UserImportService, database: Database) -> None:
        answers = run(imports, database, FILE)
        with database.session() as session:
            entries = DatabaseAudit().entries(session, SYSTEM).items
        assert (entries[0].action, entries[0].after) == ("user:import", {"created": 3, "refused": 9})
        assert [entry.subject for entry in entries[1:4]] == ["user pia", "user olga", "user ben"]
        assert not any(answer.token in str(entries) for answer in answers if answer.token)
        assert answers[0].token not in repr(answers[0])

    def test_twice_creates_nobody_twice(self, imports: UserImportService, database: Database) -> None:
        run(imports, database, FILE)
        assert all(answer.problem for answer in run(imports, database, FILE))

    def test_takes_a_cell_without_values_for_a_slip(
        self, imports: UserImportService, users: DatabaseUsers, database: Database
    ) -> None:
        (answer,) = run(imports, database, "username,role,store\nzoe,viewer,|\n")
        assert "at least one value of store" in answer.problem
        assert names(users, database) == ["Anna"]


class TestPreview:
    def test_says_the_same_and_creates_nobody(
        self, imports: UserImportService, users: DatabaseUsers, database: Database
    ) -> None:
        shown = preview(imports, database, FILE)
        assert names(users, database) == ["Anna"]
        assert not any(answer.token for answer in shown)
        done = run(imports, database, FILE)
        plain = [replace(answer, token="", expires_at=None) for answer in done]
        assert [bool(answer.problem) for answer in shown] == [bool(answer.problem) for answer in plain]
        assert [replace(answer, problem="") for answer in shown] == [replace(answer, problem="") for answer in plain]


@pytest.mark.parametrize("text", ["", "username,role\n", "username,role,password\na,viewer,x\n"])
def test_what_is_no_file_of_users_is_refused(imports: UserImportService, database: Database, text: str) -> None:
    for ask in (preview, run):
        with pytest.raises(InvalidInput):
            ask(imports, database, text)


class TestWhoMay:
    @pytest.mark.parametrize("role", sorted(ROLES))
    def test_are_those_who_manage_users(self, imports: UserImportService, database: Database, role: str) -> None:
        actor = replace(SYSTEM, permissions=ROLES[role])
        for ask in (preview, run):
            if Permission.USERS_MANAGE in ROLES[role]:
                ask(imports, database, FILE, actor)
            else:
                with pytest.raises(PermissionDenied):
                    ask(imports, database, FILE, actor)

    def test_give_nobody_more_than_they_have(self, imports: UserImportService, database: Database) -> None:
        permissions = {Permission.USERS_MANAGE, Permission.DATA_READ, Permission.ALERTS_READ}
        actor = replace(SYSTEM, permissions=frozenset(permissions))
        text = "username,role\nvic,viewer\nroot,admin\n"
        for ask in (preview, run):
            vic, root = ask(imports, database, text, actor)
            assert vic.problem == ""
            assert "do not have yourself" in root.problem
