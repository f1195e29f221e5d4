"""What every `SecondFactorService` promises, on both databases."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from sqlalchemy import select

from nebuloviz.db import Database
from nebuloviz.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotSignedIn,
    PermissionDenied,
    TooManyRequests,
    WrongCode,
)
from nebuloviz.models import AuditEntry, RecoveryCode, User
from nebuloviz.permissions import SYSTEM, Actor, Permission
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import SecondFactorService, UserView
from nebuloviz.services.limits import Counters
from nebuloviz.services.second_factor import DatabaseSecondFactor
from nebuloviz.settings import load
from tests.contracts.people import Clock, audit_from_now_on

PASSWORD = "correct horse battery"
HOME = "192.0.2.7"


@dataclass
class People:
    """The service, on what it stands, and one user; `required` is what the installation asks for."""

    database: Database
    auth: DatabaseAuth
    service: SecondFactorService
    user: UserView
    actor: Actor
    clock: Clock
    required: list[bool]
    noted: Callable[[], Sequence[AuditEntry]]
    secret: str = ""
    _addresses: Iterator[int] = field(default_factory=lambda: iter(range(1, 250)))

    def code(self, steps: int = 0) -> str:
        return pyotp.TOTP(self.secret).generate_otp(int(self.clock.now.timestamp()) // 30 + steps)

    def turn_on(self) -> list[str]:
        """With a code of the step before this one, so that this one's is still good; the recovery codes."""
        with self.database.session() as session:
            enrolment = self.service.begin(session, self.actor, PASSWORD)
        self.secret = enrolment.secret
        with self.database.transaction() as session:
            return list(self.service.confirm(session, self.actor, enrolment.ticket, self.code(-1)))

    def check(self, code: str, address: str = "") -> None:
        with self.database.transaction() as session:
            place = address or f"198.51.100.{next(self._addresses)}"
            self.service.check(session, self.auth.users(session)[0], code, place)

    def actions(self) -> list[str]:
        return [entry.action for entry in self.noted() if entry.action.startswith("second-factor")]

    def codes_left(self) -> int:
        with self.database.session() as session:
            return self.service.state(session, self.actor).codes_left


@pytest.fixture(params=[DatabaseSecondFactor])
def anna(request: pytest.FixtureRequest, people: Database, clock: Clock, tmp_path: Path) -> People:
    settings, required = load(data_dir=tmp_path), [False]
    audit = DatabaseAudit(clock)
    auth = DatabaseAuth(settings, counters=Counters(), now=clock, rounds=4, audit=audit)
    with people.transaction() as session:
        user = auth.create_user(session, "anna", PASSWORD, "viewer")
    service = request.param(settings.secret(), auth, audit, now=clock, required=lambda: required[0])
    return People(people, auth, service, user, auth.actor(user), clock, required, audit_from_now_on(people))


class TestTurningOn:
    def test_takes_the_password_and_a_first_code(self, anna: People) -> None:
        codes = anna.turn_on()
        with anna.database.session() as session:
            state = anna.service.state(session, anna.actor)
            assert anna.auth.users(session)[0].second_factor
        assert (state.since, state.codes_left) == (anna.clock.now, 8)
        assert len(set(codes)) == 8
        assert anna.actions() == ["second-factor:on"]

    def test_names_account_and_program_to_the_app(self, anna: People) -> None:
        with anna.database.session() as session:
            enrolment = anna.service.begin(session, anna.actor, PASSWORD)
        parts = urlsplit(enrolment.address)
        assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/NebuloViz:anna")
        assert parse_qs(parts.query)["secret"] == [enrolment.secret]
        with anna.database.session() as session:
            assert anna.service.resume(session, anna.actor, enrolment.ticket) == enrolment

    def test_with_a_wrong_password_is_refused_and_counted(self, anna: People) -> None:
        for _ in range(5):
            with anna.database.session() as session, pytest.raises(NotSignedIn):
                anna.service.begin(session, anna.actor, "wrong")
        with anna.database.session() as session, pytest.raises(TooManyRequests):
            anna.service.begin(session, anna.actor, PASSWORD)

    def test_twice_at_once_is_done_once(self, anna: People) -> None:
        with anna.database.session() as session:
            enrolment = anna.service.begin(session, anna.actor, PASSWORD)
        anna.secret = enrolment.secret
        code = anna.code()

        def confirm(_number: int) -> bool:
            try:
                with anna.database.transaction() as session:
                    anna.service.confirm(session, anna.actor, enrolment.ticket, code)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(confirm, range(4))) == [False, False, False, True]
        assert anna.codes_left() == 8
        assert anna.actions() == ["second-factor:on"]

    def test_with_a_wrong_code_leaves_it_off(self, anna: People) -> None:
        with anna.database.session() as session:
            enrolment = anna.service.begin(session, anna.actor, PASSWORD)
        anna.secret = enrolment.secret
        for code in (anna.code(5), "", "abcdef", "\ud800", "1" * 5_000):
            with anna.database.transaction() as session, pytest.raises(WrongCode):
                anna.service.confirm(session, anna.actor, enrolment.ticket, code)
        with anna.database.transaction() as session, pytest.raises(TooManyRequests):
            anna.service.confirm(session, anna.actor, enrolment.ticket, anna.code())
        with anna.database.session() as session:
            assert anna.service.state(session, anna.actor).since is None

    @pytest.mark.parametrize("ticket", ["", "x", "\ud800", "é", "gAAAAA" * 1_000])
    def test_with_what_is_no_ticket_is_refused(self, anna: People, ticket: str) -> None:
        with anna.database.transaction() as session, pytest.raises(InvalidInput):
            anna.service.confirm(session, anna.actor, ticket, "000000")

    def test_takes_no_longer_than_ten_minutes_and_is_for_one_user(self, anna: People) -> None:
        with anna.database.transaction() as session:
            berta = anna.auth.actor(anna.auth.create_user(session, "berta", PASSWORD, "viewer"))
            enrolment = anna.service.begin(session, anna.actor, PASSWORD)
        anna.secret = enrolment.secret
        with anna.database.transaction() as session, pytest.raises(InvalidInput):
            anna.service.confirm(session, berta, enrolment.ticket, anna.code())
        anna.clock.pass_(minutes=11)
        with anna.database.transaction() as session, pytest.raises(InvalidInput):
            anna.service.confirm(session, anna.actor, enrolment.ticket, anna.code())

    def test_twice_is_refused(self, anna: People) -> None:
        with anna.database.session() as session:
            late = anna.service.begin(session, anna.actor, PASSWORD)
        anna.turn_on()
        with anna.database.transaction() as session, pytest.raises(Conflict):
            anna.service.begin(session, anna.actor, PASSWORD)
        with anna.database.transaction() as session, pytest.raises(Conflict):
            anna.service.confirm(
                session, anna.actor, late.ticket, pyotp.TOTP(late.secret).at(int(anna.clock.now.timestamp()))
            )

    def test_stores_neither_secret_nor_recovery_codes_as_they_are(self, anna: People) -> None:
        codes = anna.turn_on()
        with anna.database.session() as session:
            row = session.scalars(select(User)).one()
            hashes = session.scalars(select(RecoveryCode.code_hash)).all()
        assert anna.secret not in row.totp_secret
        assert not {code.replace("-", "") for code in codes} & set(hashes)


class TestCode:
    def test_of_now_and_of_beside_lets_in(self, anna: People) -> None:
        anna.turn_on()
        anna.check(anna.code())
        anna.check(anna.code(1))

    @pytest.mark.parametrize("written", ["{} {}", " {}{} ", "{}\t{}"])
    def test_may_be_written_with_spaces(self, anna: People, written: str) -> None:
        anna.turn_on()
        code = anna.code()
        anna.check(written.format(code[:3], code[3:]))

    def test_is_never_accepted_twice(self, anna: People) -> None:
        anna.turn_on()
        anna.check(anna.code(1))
        for steps in (1, 0, -1):  # nor one that is older than the last
            with pytest.raises(WrongCode):
                anna.check(anna.code(steps))
        anna.clock.pass_(seconds=60)
        anna.check(anna.code())

    def test_of_the_turning_on_does_not_let_in(self, anna: People) -> None:
        anna.turn_on()
        with pytest.raises(WrongCode):
            anna.check(anna.code(-1))

    def test_lets_one_in_of_many_who_send_it_at_once(self, anna: People) -> None:
        anna.turn_on()
        code = anna.code()

        def passes(_number: int) -> bool:
            try:
                anna.check(code)
            except (WrongCode, TooManyRequests):
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(passes, range(4))) == 1

    @pytest.mark.parametrize(
        "code",
        ["", "000000", "12345", "1234567", "abcdef", "٠١٢٣٤٥", "-1", "\x00", "\ud800", "9" * 100_000, "' OR 1=1"],
    )
    def test_that_is_none_is_refused_and_noted(self, anna: People, code: str) -> None:
        anna.turn_on()
        with pytest.raises(WrongCode):
            anna.check(code)
        assert anna.actions() == ["second-factor:on", "second-factor:refuse"]

    def test_of_too_old_a_clock_is_refused(self, anna: People) -> None:
        anna.turn_on()
        for steps in (-3, -2, 2, 3):
            with pytest.raises(WrongCode):
                anna.check(anna.code(steps))

    def test_after_five_wrong_ones_not_even_the_right_one_counts(self, anna: People) -> None:
        codes = anna.turn_on()
        for _ in range(5):
            with pytest.raises(WrongCode):
                anna.check("000000")
        for code in (anna.code(), codes[0]):
            with pytest.raises(TooManyRequests):
                anna.check(code)

    def test_signing_in_with_the_password_forgets_no_wrong_codes(self, anna: People) -> None:
        anna.turn_on()
        for number in range(5):
            with anna.database.session() as session:
                anna.auth.sign_in(session, "anna", PASSWORD, f"203.0.113.{number}")
            with pytest.raises(WrongCode):
                anna.check("000000")
        with pytest.raises(TooManyRequests):
            anna.check(anna.code())

    def test_wrong_ones_of_one_address_count_for_all_accounts(self, anna: People) -> None:
        anna.turn_on()
        for _ in range(5):
            with pytest.raises(WrongCode):
                anna.check("000000", HOME)
            with anna.database.transaction() as session:
                anna.auth.unlock(session.scalars(select(User)).one())
        with pytest.raises(TooManyRequests):
            anna.check(anna.code(), HOME)
        anna.check(anna.code())

    def test_of_another_installations_secret_is_refused_but_recovery_codes_work(
        self, anna: People, tmp_path: Path
    ) -> None:
        codes = anna.turn_on()
        anna.service = DatabaseSecondFactor("x" * 40, anna.auth, DatabaseAudit(anna.clock), now=anna.clock)
        with pytest.raises(WrongCode):
            anna.check(anna.code())
        anna.check(codes[0])


class TestRecoveryCode:
    def test_works_once(self, anna: People) -> None:
        codes = anna.turn_on()
        anna.check(codes[0])
        with pytest.raises(WrongCode):
            anna.check(codes[0])
        anna.check(codes[1])
        assert anna.codes_left() == 6
        assert anna.actions().count("second-factor:use-recovery-code") == 2

    def test_may_be_written_in_any_way(self, anna: People) -> None:
        codes = anna.turn_on()
        anna.check(codes[0].upper())
        anna.check(codes[1].replace("-", ""))
        anna.check(f" {codes[2].replace('-', ' ')} ")

    def test_of_before_they_were_renewed_is_worth_nothing(self, anna: People) -> None:
        old = anna.turn_on()
        with anna.database.transaction() as session, pytest.raises(NotSignedIn):
            anna.service.renew_codes(session, anna.actor, "wrong")
        with anna.database.transaction() as session:
            new = anna.service.renew_codes(session, anna.actor, PASSWORD)
        with pytest.raises(WrongCode):
            anna.check(old[0])
        anna.check(new[0])

    def test_of_somebody_else_is_worth_nothing(self, anna: People) -> None:
        codes = anna.turn_on()
        with anna.database.transaction() as session:
            berta = anna.auth.create_user(session, "berta", PASSWORD, "viewer")
            with pytest.raises(WrongCode):
                anna.service.check(session, berta, codes[0], HOME)
        anna.check(codes[0])


class TestTurningOff:
    def test_needs_the_password(self, anna: People) -> None:
        anna.turn_on()
        with anna.database.transaction() as session, pytest.raises(NotSignedIn):
            anna.service.turn_off(session, anna.actor, "wrong")
        with anna.database.transaction() as session:
            anna.service.turn_off(session, anna.actor, PASSWORD)
        with anna.database.session() as session:
            assert not anna.auth.users(session)[0].second_factor
        assert anna.codes_left() == 0
        assert anna.actions() == ["second-factor:on", "second-factor:off"]

    def test_of_what_is_off_is_refused(self, anna: People) -> None:
        for act in (anna.service.turn_off, anna.service.renew_codes):
            with anna.database.transaction() as session, pytest.raises(Conflict):
                act(session, anna.actor, PASSWORD)

    def test_is_refused_where_the_installation_asks_for_one(self, anna: People) -> None:
        anna.turn_on()
        anna.required[0] = True
        with anna.database.transaction() as session, pytest.raises(Conflict):
            anna.service.turn_off(session, anna.actor, PASSWORD)


class TestRequirement:
    def test_is_due_for_those_who_have_none(self, anna: People) -> None:
        assert not anna.service.is_due(anna.user)
        anna.required[0] = True
        assert anna.service.is_due(anna.user)
        anna.turn_on()
        with anna.database.session() as session:
            assert not anna.service.is_due(anna.auth.users(session)[0])


class TestReset:
    def test_is_for_those_who_manage_users(self, anna: People) -> None:
        anna.turn_on()
        with anna.database.transaction() as session, pytest.raises(PermissionDenied):
            anna.service.reset(session, anna.actor, anna.user.id)

    def test_of_somebody_who_may_more_is_refused(self, anna: People) -> None:
        manager = Actor(999, "mia", "managers", frozenset({Permission.USERS_MANAGE}))
        anna.turn_on()
        with anna.database.transaction() as session, pytest.raises(PermissionDenied):
            anna.service.reset(session, manager, anna.user.id)

    def test_takes_the_second_factor_away_and_lets_set_up_another(self, anna: People) -> None:
        codes = anna.turn_on()
        with anna.database.transaction() as session:
            anna.service.reset(session, SYSTEM, anna.user.id)
            assert not anna.auth.users(session)[0].second_factor
        with pytest.raises(WrongCode):
            anna.check(codes[0])
        with pytest.raises(WrongCode):
            anna.check(anna.code())
        anna.turn_on()

    @pytest.mark.parametrize("user_id", [0, -1, 999_999, 2**70])
    def test_of_nobody_is_not_found(self, anna: People, user_id: int) -> None:
        with anna.database.transaction() as session, pytest.raises(NotFound):
            anna.service.reset(session, SYSTEM, user_id)

    def test_of_what_is_off_is_refused(self, anna: People) -> None:
        with anna.database.transaction() as session, pytest.raises(Conflict):
            anna.service.reset(session, SYSTEM, anna.user.id)


class TestSecondStep:
    def test_ticket_is_of_the_user_whose_password_was_right(self, anna: People) -> None:
        with anna.database.session() as session:
            assert anna.auth.user_of_second_step(session, anna.auth.second_step(anna.user)) == anna.user

    def test_ticket_ends_with_a_change_of_password_and_after_ten_minutes(self, anna: People) -> None:
        ticket = anna.auth.second_step(anna.user)
        with anna.database.transaction() as session:
            anna.auth.set_password(session, "anna", "another long password")
            with pytest.raises(NotSignedIn):
                anna.auth.user_of_second_step(session, ticket)
        anna.clock.pass_(minutes=-11)
        with anna.database.session() as session, pytest.raises(NotSignedIn):
            anna.auth.user_of_second_step(session, anna.auth.second_step(anna.user))

    def test_ticket_is_no_token_and_no_token_is_a_ticket(self, anna: People) -> None:
        with anna.database.transaction() as session:
            pair = anna.auth.issue_tokens(session, anna.user)
            for token in (pair.access_token, pair.refresh_token, "", "x", "\ud800"):
                with pytest.raises(NotSignedIn):
                    anna.auth.user_of_second_step(session, token)
            with pytest.raises(NotSignedIn):
                anna.auth.user_of_access_token(session, anna.auth.second_step(anna.user))
