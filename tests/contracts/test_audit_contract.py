"""What every `AuditService` promises: the real one on both databases, and the double that page tests use."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from nebuloviz.db import Database
from nebuloviz.errors import InvalidInput, PermissionDenied
from nebuloviz.permissions import ROLES, SYSTEM, Permission
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.interfaces import AuditAction, AuditEntryView, AuditFilter, AuditService
from tests.fakes import NOW, FakeAudit

ANNA = replace(SYSTEM, user_id=7, username="anna")
BEN = replace(SYSTEM, user_id=8, username="Ben")


class Clock:
    """A minute later at each look."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


@pytest.fixture(params=["double", "sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def case(request: pytest.FixtureRequest) -> Iterator[tuple[AuditService, Session]]:
    if request.param == "double":
        yield FakeAudit(), Session()
        return
    database = Database(request.getfixturevalue(f"migrated_{request.param.removesuffix('ql')}_url"))
    with database.transaction() as session:
        yield DatabaseAudit(Clock()), session
        session.rollback()
    database.dispose()


@pytest.fixture
def audit(case: tuple[AuditService, Session]) -> AuditService:
    return case[0]


@pytest.fixture
def session(case: tuple[AuditService, Session]) -> Session:
    """With four entries, of which the last is the newest."""
    audit, session = case
    audit.record(session, ANNA, AuditAction.SIGN_IN)
    audit.record(
        session, ANNA, AuditAction.ALERT_RESOLVED, "alert 3", before={"state": "open"}, after={"state": "resolved"}
    )
    audit.record(session, BEN, AuditAction.DATA_EXPORTED, "100%_sure.csv")
    audit.record(session, BEN, AuditAction.USER_CREATED, "user Änne", after={"role": "viewer"})
    return session


def found(audit: AuditService, session: Session, **which: object) -> list[AuditEntryView]:
    return list(audit.entries(session, SYSTEM, AuditFilter(**which)).items)  # type: ignore[arg-type]  # by name


def subjects(entries: list[AuditEntryView]) -> list[str]:
    return [entry.subject for entry in entries]


class TestEntries:
    def test_say_who_did_what_and_what_changed(self, audit: AuditService, session: Session) -> None:
        resolved = found(audit, session)[2]
        assert (resolved.username, resolved.action, resolved.subject) == ("anna", "alert:resolve", "alert 3")
        assert (resolved.before, resolved.after) == ({"state": "open"}, {"state": "resolved"})
        assert resolved.at == NOW + timedelta(minutes=2)
        assert resolved.at.tzinfo is UTC

    def test_come_newest_first(self, audit: AuditService, session: Session) -> None:
        assert subjects(found(audit, session)) == ["user Änne", "100%_sure.csv", "alert 3", ""]

    @pytest.mark.parametrize(
        ("which", "expected"),
        [
            ({"search": "ANN"}, ["alert 3", ""]),
            ({"search": "ben"}, ["user Änne", "100%_sure.csv"]),
            ({"search": "alert"}, ["alert 3"]),
            ({"search": "%"}, ["100%_sure.csv"]),
            ({"search": "_"}, ["100%_sure.csv"]),
            ({"search": "' OR 1=1 --"}, []),
            ({"action": "session:start"}, [""]),
            ({"action": "session"}, []),
            ({"search": "anna", "action": "alert:resolve"}, ["alert 3"]),
            ({"start": NOW + timedelta(minutes=3)}, ["user Änne", "100%_sure.csv"]),
            ({"end": NOW + timedelta(minutes=3)}, ["alert 3", ""]),
            ({"start": NOW + timedelta(minutes=2), "end": NOW + timedelta(minutes=3)}, ["alert 3"]),
        ],
        ids=str,
    )
    def test_are_filtered(
        self, audit: AuditService, session: Session, which: dict[str, object], expected: list[str]
    ) -> None:
        assert subjects(found(audit, session, **which)) == expected

    def test_come_in_pages_that_miss_and_repeat_nothing(self, audit: AuditService, session: Session) -> None:
        seen, cursor = [], None
        for _page in range(4):
            page = audit.entries(session, SYSTEM, None, cursor, 1)
            seen += subjects(list(page.items))
            cursor = page.next_cursor
        assert seen == ["user Änne", "100%_sure.csv", "alert 3", ""]
        assert cursor is None

    @pytest.mark.parametrize(
        "cursor", ["", "x", "1-", "-1", "1-2-3", "9" * 400, "٣-٤", "9" * 20 + "-1", "1;drop table"]
    )
    def test_of_a_foreign_cursor_are_refused(self, audit: AuditService, session: Session, cursor: str) -> None:
        with pytest.raises(InvalidInput):
            audit.entries(session, SYSTEM, None, cursor)

    @pytest.mark.parametrize("role", sorted(ROLES))
    def test_are_shown_to_those_alone_who_may(self, audit: AuditService, session: Session, role: str) -> None:
        actor = replace(ANNA, permissions=ROLES[role])
        if Permission.AUDIT_READ in ROLES[role]:
            assert audit.entries(session, actor).items
        else:
            with pytest.raises(PermissionDenied):
                audit.entries(session, actor)
