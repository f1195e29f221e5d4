"""What every `ProfileService` promises, on both databases."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nebuloviz.db import Database
from nebuloviz.errors import InvalidInput, NotFound, NotSignedIn
from nebuloviz.models import AuditEntry
from nebuloviz.permissions import Actor
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import ProfileService, SessionView, UserView, Visitor
from nebuloviz.services.limits import Counters
from nebuloviz.services.profile import DatabaseProfiles
from nebuloviz.settings import load
from tests.contracts.people import Clock, audit_from_now_on

PASSWORD = "correct horse battery"
HOME = Visitor("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
WORK = Visitor("2001:db8::7", "python-httpx/0.28.1")


@dataclass
class People:
    """The service, on what it stands, and one user with ways to act as that user."""

    database: Database
    auth: DatabaseAuth
    profile: ProfileService
    user: UserView
    actor: Actor
    noted: Callable[[], Sequence[AuditEntry]]

    def change(self, **changes: Any) -> UserView:
        with self.database.transaction() as session:
            return self.profile.change(session, self.actor, **changes)

    def stored(self) -> UserView:
        with self.database.session() as session:
            return next(user for user in self.auth.users(session) if user.id == self.user.id)

    def sessions(self) -> list[SessionView]:
        with self.database.session() as session:
            return list(self.profile.sessions(session, self.actor))

    def browser(self, visitor: Visitor = HOME) -> str:
        with self.database.transaction() as session:
            return self.auth.start_session(session, self.user, visitor)

    def id_of(self, token: str) -> str | None:
        with self.database.session() as session:
            user = self.auth.user_of_session(session, token)
        return user.session_id if user else None

    def audit(self, action: str) -> list[tuple[Any, Any]]:
        return [
            (json.loads(entry.before or "{}"), json.loads(entry.after or "{}"))
            for entry in self.noted()
            if entry.action == action
        ]


@pytest.fixture(params=[DatabaseProfiles])
def anna(request: pytest.FixtureRequest, people: Database, clock: Clock, tmp_path: Path) -> People:
    settings = load(data_dir=tmp_path, session_hours=12, session_idle_minutes=60)
    audit = DatabaseAudit(clock)
    auth = DatabaseAuth(settings, counters=Counters(), now=clock, rounds=4, audit=audit)
    with people.transaction() as session:
        user = auth.create_user(session, "anna", PASSWORD, "viewer")
    return People(
        people, auth, request.param(settings, audit, clock), user, auth.actor(user), audit_from_now_on(people)
    )


class TestChange:
    def test_is_kept_and_leaves_the_rest(self, anna: People) -> None:
        anna.change(language="ar", time_zone="Asia/Kathmandu", theme="dark")
        anna.change(display_name=" Anna Müller ", format_region="CH", week_start=6, landing_page="/alerts")
        stored = anna.stored()
        assert (stored.language, stored.time_zone, stored.theme) == ("ar", "Asia/Kathmandu", "dark")
        assert (stored.display_name, stored.format_region, stored.week_start) == ("Anna Müller", "CH", 6)
        assert stored.landing_page == "/alerts"

    def test_back_to_what_the_installation_has(self, anna: People) -> None:
        anna.change(language="de", week_start=0, format_region="AT", landing_page="/alerts")
        assert anna.change(language="", week_start=None, format_region="", landing_page="") == anna.user

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("language", "xx"),
            ("language", "EN"),
            ("time_zone", "Mars/Olympus"),
            ("time_zone", "../../etc/passwd"),
            ("time_zone", "Europe"),
            ("time_zone", "UTC\x00"),
            ("theme", "blue"),
            ("theme", ""),
            ("format_region", "XX"),
            ("format_region", "de"),
            ("format_region", "Shaw"),
            ("week_start", 7),
            ("week_start", -1),
            ("display_name", "x" * 81),
            ("display_name", "two\nlines"),
            ("display_name", "\u202egnp"),
            ("landing_page", "//evil.example"),
            ("landing_page", "//evil"),
            ("landing_page", "https://evil.example"),
            ("landing_page", "/a?b"),
            ("landing_page", "alerts"),
            ("landing_page", "/" + "x" * 200),
        ],
    )
    def test_to_what_cannot_be_is_refused(self, anna: People, field: str, value: object) -> None:
        with pytest.raises(InvalidInput):
            anna.change(**{field: value})
        assert anna.stored() == anna.user

    def test_stands_in_the_audit_log_with_what_was_there_before(self, anna: People) -> None:
        anna.change(language="de", display_name="Anna")
        anna.change(language="de")
        anna.change(theme="dark")
        assert anna.audit("profile:change") == [
            ({"display_name": "", "language": ""}, {"display_name": "Anna", "language": "de"})
        ]

    def test_of_somebody_who_is_gone_is_refused(self, anna: People) -> None:
        gone = Actor(999_999, "gone", "viewer", frozenset())
        with anna.database.transaction() as session, pytest.raises(NotSignedIn):
            anna.profile.change(session, gone, theme="dark")


class TestSessions:
    def test_tell_from_where_and_with_what(self, anna: People, clock: Clock) -> None:
        token = anna.browser()
        clock.pass_(minutes=5)
        with anna.database.transaction() as session:
            anna.auth.issue_tokens(session, anna.user, WORK)
        api, browser = anna.sessions()
        assert (api.kind, api.address, api.user_agent) == ("api", WORK.address, WORK.user_agent)
        assert (browser.kind, browser.address, browser.user_agent) == ("browser", HOME.address, HOME.user_agent)
        assert browser.id == anna.id_of(token)
        assert browser.id not in token

    def test_know_when_they_were_used_last_and_from_where(self, anna: People, clock: Clock) -> None:
        token, started = anna.browser(), clock.now
        clock.pass_(minutes=10)
        with anna.database.transaction() as session:
            anna.auth.touch_session(session, token, WORK)
        (shown,) = anna.sessions()
        assert (shown.started_at, shown.last_used_at, shown.address) == (started, clock.now, WORK.address)

    def test_of_a_program_are_one_however_often_its_tokens_are_renewed(self, anna: People, clock: Clock) -> None:
        clock.pass_(minutes=-30)  # what tokens claim is compared with the true time
        started = clock.now
        with anna.database.transaction() as session:
            pair = anna.auth.issue_tokens(session, anna.user, WORK)
        for _ in range(3):
            clock.pass_(minutes=10)
            with anna.database.transaction() as session:
                pair = anna.auth.refresh_tokens(session, pair.refresh_token, HOME)
        (shown,) = anna.sessions()
        assert (shown.started_at, shown.last_used_at, shown.address) == (started, clock.now, HOME.address)
        with anna.database.session() as session:
            assert anna.auth.user_of_access_token(session, pair.access_token).session_id == shown.id

    def test_that_are_over_are_not_shown(self, anna: People, clock: Clock) -> None:
        anna.browser()
        clock.pass_(minutes=61)
        anna.browser()
        assert len(anna.sessions()) == 1
        with anna.database.transaction() as session:
            anna.auth.set_password(session, "anna", "another long password")
        assert anna.sessions() == []

    def test_odd_names_of_programs_are_cut(self, anna: People) -> None:
        anna.browser(Visitor("", "x\x00\n" + "y" * 5_000))
        (shown,) = anna.sessions()
        assert len(shown.user_agent) == 300
        assert "\x00" not in shown.user_agent


class TestEnd:
    def test_of_one_holds_at_once_for_it_alone(self, anna: People) -> None:
        one, other = anna.browser(), anna.browser(WORK)
        with anna.database.transaction() as session:
            anna.profile.end_session(session, anna.actor, anna.id_of(one) or "")
        assert anna.id_of(one) is None
        assert anna.id_of(other) is not None
        assert [entry[0]["address"] for entry in anna.audit("session:revoke")] == [HOME.address]

    def test_of_a_program_ends_its_access_token_too(self, anna: People) -> None:
        with anna.database.transaction() as session:
            pair, bystander = (anna.auth.issue_tokens(session, anna.user) for _ in range(2))
            own = anna.auth.user_of_access_token(session, pair.access_token).session_id
            anna.profile.end_session(session, anna.actor, own)
        with anna.database.transaction() as session:
            with pytest.raises(NotSignedIn):
                anna.auth.user_of_access_token(session, pair.access_token)
            with pytest.raises(NotSignedIn):
                anna.auth.refresh_tokens(session, pair.refresh_token)
            assert anna.auth.user_of_access_token(session, bystander.access_token) == anna.user

    def test_of_all_others_leaves_this_one(self, anna: People) -> None:
        own, other = anna.browser(), anna.browser()
        with anna.database.transaction() as session:
            pair = anna.auth.issue_tokens(session, anna.user)
        with anna.database.transaction() as session:
            assert anna.profile.end_other_sessions(session, anna.actor, anna.id_of(own) or "") == 2
        assert anna.id_of(own) is not None
        assert anna.id_of(other) is None
        with anna.database.session() as session, pytest.raises(NotSignedIn):
            anna.auth.user_of_access_token(session, pair.access_token)

    @pytest.mark.parametrize("session_id", ["", "x", "%", "0" * 16, "\x00", "' OR 1=1 --"])
    def test_of_what_there_is_not_is_not_found(self, anna: People, session_id: str) -> None:
        own = anna.browser()
        with anna.database.transaction() as session, pytest.raises(NotFound):
            anna.profile.end_session(session, anna.actor, session_id)
        assert anna.id_of(own) is not None

    def test_of_somebody_elses_is_not_found(self, anna: People) -> None:
        with anna.database.transaction() as session:
            berta = anna.auth.create_user(session, "berta", PASSWORD, "admin")
            token = anna.auth.start_session(session, berta)
        theirs = anna.id_of(token) or ""
        with anna.database.transaction() as session, pytest.raises(NotFound):
            anna.profile.end_session(session, anna.actor, theirs)
        with anna.database.transaction() as session:
            assert anna.profile.end_other_sessions(session, anna.actor, "") == 0
        assert anna.id_of(token) == theirs
