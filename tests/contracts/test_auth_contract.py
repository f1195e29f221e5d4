"""What every `AuthService` promises, on both databases."""

from collections.abc import Callable

import pytest

from nebuloviz.db import Database
from nebuloviz.errors import Conflict, InvalidInput, NotFound, NotSignedIn, TokenReused, TooManyRequests
from nebuloviz.permissions import ROLES, Permission
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import AuthService, UserView
from nebuloviz.services.limits import Counters
from nebuloviz.settings import load
from tests.contracts.people import Clock

PASSWORD = "correct horse battery"
OTHER = "another long password"
HOME = "192.0.2.7"


@pytest.fixture
def database(people: Database) -> Database:
    return people


@pytest.fixture(params=[DatabaseAuth])
def make(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> Callable[[], AuthService]:
    """A new service over the same secret each time, as another process would have it."""
    settings = load(data_dir=tmp_path_factory.mktemp("data"), session_hours=12, session_idle_minutes=60)

    def build() -> AuthService:
        service: AuthService = request.param(settings, counters=Counters(), now=clock, rounds=4)
        return service

    return build


@pytest.fixture
def auth(make: Callable[[], AuthService]) -> AuthService:
    return make()


@pytest.fixture
def anna(auth: AuthService, database: Database) -> UserView:
    with database.transaction() as session:
        return auth.create_user(session, "anna", PASSWORD, "analyst")


def sign_in(auth: AuthService, database: Database, name: str, password: str, address: str = HOME) -> UserView:
    with database.session() as session:
        return auth.sign_in(session, name, password, address)


class TestSignIn:
    def test_right_password_gives_the_user(self, auth: AuthService, database: Database, anna: UserView) -> None:
        assert sign_in(auth, database, "anna", PASSWORD) == anna

    @pytest.mark.parametrize("name", ["ANNA", "Anna", "ａｎｎａ", "ａＮna"])
    def test_twins_of_a_name_are_the_same_user(
        self, auth: AuthService, database: Database, anna: UserView, name: str
    ) -> None:
        assert sign_in(auth, database, name, PASSWORD).id == anna.id

    @pytest.mark.parametrize(
        ("name", "password"),
        [
            ("anna", "wrong"),
            ("anna", ""),
            ("anna", PASSWORD + " "),
            ("anna", PASSWORD.upper()),
            ("anna", PASSWORD + "\x00"),
            ("anna", "p" * 100_000),
            ("anna", "\ud800"),
            ("nobody", PASSWORD),
            ("", PASSWORD),
            ("anna\x00", PASSWORD),
            ("anna ", PASSWORD),
            ("\ud800", PASSWORD),
            ("a" * 100_000, PASSWORD),
            ("' OR 1=1 --", PASSWORD),
            ("ann%", PASSWORD),
        ],
    )
    def test_anything_else_fails_with_one_text(
        self, auth: AuthService, database: Database, anna: UserView, name: str, password: str
    ) -> None:
        with pytest.raises(NotSignedIn, match="username or password is incorrect"):
            sign_in(auth, database, name, password)

    @pytest.mark.parametrize(
        "password", ["pässwörd ünïcode", "🐎🔋📎 staple 🐎", "x" * 37 + "y" * 91, "null\x00byte here"]
    )
    def test_passwords_of_every_kind_work_to_their_last_character(
        self, auth: AuthService, database: Database, password: str
    ) -> None:
        with database.transaction() as session:
            auth.create_user(session, "berta", password, "viewer")
        assert sign_in(auth, database, "berta", password).username == "berta"
        with pytest.raises(NotSignedIn):
            sign_in(auth, database, "berta", password[:-1])

    @pytest.mark.parametrize("name", ["anna", "nobody"])
    def test_sixth_try_after_five_failures_is_refused_even_when_right(
        self, auth: AuthService, database: Database, anna: UserView, name: str
    ) -> None:
        for number in range(5):
            with pytest.raises(NotSignedIn):
                sign_in(auth, database, name, "wrong", f"192.0.2.{number}")
        with pytest.raises(TooManyRequests) as refused:
            sign_in(auth, database, name.upper(), PASSWORD, "198.51.100.1")
        assert 0 < refused.value.retry_after_seconds <= 300

    def test_five_failures_of_one_address_refuse_it_for_all_accounts(
        self, auth: AuthService, database: Database, anna: UserView
    ) -> None:
        for number in range(5):
            with pytest.raises(NotSignedIn):
                sign_in(auth, database, f"guess{number}", "wrong")
        with pytest.raises(TooManyRequests):
            sign_in(auth, database, "anna", PASSWORD)
        assert sign_in(auth, database, "anna", PASSWORD, "198.51.100.1") == anna

    def test_success_forgets_the_failures_of_the_account(
        self, auth: AuthService, database: Database, anna: UserView
    ) -> None:
        for round_ in range(3):
            for number in range(4):
                with pytest.raises(NotSignedIn):
                    sign_in(auth, database, "anna", "wrong", f"10.{round_}.{number}.1")
            sign_in(auth, database, "anna", PASSWORD, f"10.{round_}.9.9")


class TestBrowserSession:
    def test_is_known_by_its_token_alone(self, auth: AuthService, database: Database, anna: UserView) -> None:
        with database.transaction() as session:
            token = auth.start_session(session, anna)
            another = auth.start_session(session, anna)
        with database.session() as session:
            assert auth.user_of_session(session, token) == anna
            assert token != another
            for wrong in ("", token[:-1], token + "x", "\ud800", "\x00", token.swapcase()):
                assert auth.user_of_session(session, wrong) is None

    def test_is_worth_nothing_after_its_end(self, auth: AuthService, database: Database, anna: UserView) -> None:
        with database.transaction() as session:
            token = auth.start_session(session, anna)
            other = auth.start_session(session, anna)
            auth.end_session(session, token)
        with database.session() as session:
            assert auth.user_of_session(session, token) is None
            assert auth.user_of_session(session, other) == anna

    def test_idle_time_ends_it_unless_it_is_used(
        self, auth: AuthService, database: Database, anna: UserView, clock: Clock
    ) -> None:
        with database.transaction() as session:
            used, idle = auth.start_session(session, anna), auth.start_session(session, anna)
        clock.pass_(minutes=59)
        with database.transaction() as session:
            auth.touch_session(session, used)
        clock.pass_(minutes=2)
        with database.session() as session:
            assert auth.user_of_session(session, used) == anna
            assert auth.user_of_session(session, idle) is None

    def test_absolute_end_comes_whatever_happens(
        self, auth: AuthService, database: Database, anna: UserView, clock: Clock
    ) -> None:
        with database.transaction() as session:
            token = auth.start_session(session, anna)
        for _ in range(24):
            with database.session() as session:
                assert auth.user_of_session(session, token) == anna
            clock.pass_(minutes=30)
            with database.transaction() as session:
                auth.touch_session(session, token)
        with database.session() as session:
            assert auth.user_of_session(session, token) is None

    def test_an_expired_one_cannot_be_touched_back_to_life(
        self, auth: AuthService, database: Database, anna: UserView, clock: Clock
    ) -> None:
        with database.transaction() as session:
            token = auth.start_session(session, anna)
        clock.pass_(minutes=61)
        with database.transaction() as session:
            auth.touch_session(session, token)
            assert auth.user_of_session(session, token) is None


class TestTokens:
    def test_access_token_names_its_user(self, auth: AuthService, database: Database, anna: UserView) -> None:
        with database.transaction() as session:
            pair = auth.issue_tokens(session, anna)
        assert (pair.token_type, pair.expires_in) == ("bearer", 15 * 60)
        with database.session() as session:
            assert auth.user_of_access_token(session, pair.access_token) == anna

    def test_another_process_with_the_same_secret_believes_it(
        self, make: Callable[[], AuthService], auth: AuthService, database: Database, anna: UserView
    ) -> None:
        with database.transaction() as session:
            pair = auth.issue_tokens(session, anna)
            assert make().user_of_access_token(session, pair.access_token) == anna

    def test_types_are_not_interchangeable(self, auth: AuthService, database: Database, anna: UserView) -> None:
        with database.transaction() as session:
            pair = auth.issue_tokens(session, anna)
        with database.session() as session:
            with pytest.raises(NotSignedIn):
                auth.user_of_access_token(session, pair.refresh_token)
            with pytest.raises(NotSignedIn):
                auth.refresh_tokens(session, pair.access_token)

    def test_refresh_gives_a_new_pair_and_the_old_access_token_lives_on(
        self, auth: AuthService, database: Database, anna: UserView
    ) -> None:
        with database.transaction() as session:
            first = auth.issue_tokens(session, anna)
        with database.transaction() as session:
            second = auth.refresh_tokens(session, first.refresh_token)
        assert len({first.access_token, second.access_token, first.refresh_token, second.refresh_token}) == 4
        with database.session() as session:
            for pair in (first, second):
                assert auth.user_of_access_token(session, pair.access_token) == anna

    def test_using_a_refresh_token_twice_ends_its_whole_family_and_no_other(
        self, auth: AuthService, database: Database, anna: UserView
    ) -> None:
        with database.transaction() as session:
            first, bystander = auth.issue_tokens(session, anna), auth.issue_tokens(session, anna)
        with database.transaction() as session:
            second = auth.refresh_tokens(session, first.refresh_token)
        with pytest.raises(TokenReused), database.transaction() as session:
            auth.refresh_tokens(session, first.refresh_token)
        with database.transaction() as session:
            for pair in (first, second):
                with pytest.raises(NotSignedIn):
                    auth.user_of_access_token(session, pair.access_token)
            with pytest.raises(NotSignedIn):
                auth.refresh_tokens(session, second.refresh_token)
            assert auth.user_of_access_token(session, bystander.access_token) == anna

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "\ud800", "." * 5000, "ey" * 50_000])
    def test_what_is_no_token_is_refused(self, auth: AuthService, database: Database, token: str) -> None:
        with database.session() as session, pytest.raises(NotSignedIn):
            auth.user_of_access_token(session, token)
        with database.transaction() as session, pytest.raises(NotSignedIn):
            auth.refresh_tokens(session, token)


class TestChangeOfPassword:
    def test_ends_all_sessions_and_tokens(self, auth: AuthService, database: Database, anna: UserView) -> None:
        with database.transaction() as session:
            cookie, pair = auth.start_session(session, anna), auth.issue_tokens(session, anna)
        with database.transaction() as session:
            changed = auth.change_password(session, anna.id, PASSWORD, OTHER)
        assert changed.epoch == anna.epoch + 1
        with database.transaction() as session:
            assert auth.user_of_session(session, cookie) is None
            with pytest.raises(NotSignedIn):
                auth.user_of_access_token(session, pair.access_token)
            with pytest.raises(NotSignedIn):
                auth.refresh_tokens(session, pair.refresh_token)
        assert sign_in(auth, database, "anna", OTHER) == changed
        with pytest.raises(NotSignedIn):
            sign_in(auth, database, "anna", PASSWORD)

    def test_needs_the_old_one_and_counts_failures(self, auth: AuthService, database: Database, anna: UserView) -> None:
        for _ in range(5):
            with database.transaction() as session, pytest.raises(NotSignedIn):
                auth.change_password(session, anna.id, "wrong", OTHER)
        with database.transaction() as session, pytest.raises(TooManyRequests):
            auth.change_password(session, anna.id, PASSWORD, OTHER)

    @pytest.mark.parametrize(
        "new",
        [
            "",
            "short",
            "seven77",
            "x" * 129,
            "password1",
            "12345678",
            "QWERTYUIOP",
            "anna1234",
            "aaaaaaaaaaaa",
            PASSWORD,
        ],
    )
    def test_refuses_what_is_easily_guessed(
        self, auth: AuthService, database: Database, anna: UserView, new: str
    ) -> None:
        with database.transaction() as session, pytest.raises(InvalidInput):
            auth.change_password(session, anna.id, PASSWORD, new)
        assert sign_in(auth, database, "anna", PASSWORD) == anna

    @pytest.mark.parametrize(
        "new", ["hufeisen", "no digits needed", "x1" * 64, "密码密码安全得很呢", "the anna of old times"]
    )
    def test_asks_for_no_kinds_of_characters(
        self, auth: AuthService, database: Database, anna: UserView, new: str
    ) -> None:
        with database.transaction() as session:
            auth.change_password(session, anna.id, PASSWORD, new)
        assert sign_in(auth, database, "anna", new).id == anna.id

    def test_by_the_command_line_needs_no_old_one(self, auth: AuthService, database: Database, anna: UserView) -> None:
        with database.transaction() as session:
            cookie = auth.start_session(session, anna)
            auth.set_password(session, "ANNA", OTHER)
            assert auth.user_of_session(session, cookie) is None
            with pytest.raises(NotFound):
                auth.set_password(session, "nobody", OTHER)
        assert sign_in(auth, database, "anna", OTHER).id == anna.id


class TestUsers:
    @pytest.mark.parametrize("twin", ["anna", "ANNA", "Ａｎｎａ"])
    def test_twins_are_refused(self, auth: AuthService, database: Database, anna: UserView, twin: str) -> None:
        with database.transaction() as session, pytest.raises(Conflict):
            auth.create_user(session, twin, OTHER, "viewer")
        with database.session() as session:
            assert [user.username for user in auth.users(session)] == ["anna"]

    @pytest.mark.parametrize("name", ["", " ", "a b", "x" * 65, "a\x00b", "a\nb", "<b>", "a/b", "\u202eanna", "\ud800"])
    def test_names_with_odd_characters_are_refused(self, auth: AuthService, database: Database, name: str) -> None:
        with database.transaction() as session, pytest.raises(InvalidInput):
            auth.create_user(session, name, OTHER, "viewer")

    def test_unknown_roles_are_refused(self, auth: AuthService, database: Database) -> None:
        with database.transaction() as session, pytest.raises(InvalidInput):
            auth.create_user(session, "berta", OTHER, "root")

    @pytest.mark.parametrize("role", sorted(ROLES))
    def test_actor_has_the_permissions_of_the_role(self, auth: AuthService, database: Database, role: str) -> None:
        with database.transaction() as session:
            user = auth.create_user(session, "berta", OTHER, role)
        actor = auth.actor(user)
        assert (actor.user_id, actor.username, actor.role) == (user.id, "berta", role)
        assert {permission for permission in Permission if actor.may(permission)} == ROLES[role]
