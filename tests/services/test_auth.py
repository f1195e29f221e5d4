"""What `DatabaseAuth` does beyond the interface: forged tokens, what is stored, and how long it takes."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import jwt
import pytest
from sqlalchemy import select

from nebuloviz.db import Database
from nebuloviz.errors import NotSignedIn, TokenReused
from nebuloviz.models import BrowserSession, RefreshToken, User
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import TokenPair, UserView
from nebuloviz.services.limits import Counters
from nebuloviz.services.passwords import Passwords, name_key
from nebuloviz.services.tokens import derived_key
from nebuloviz.settings import Settings, load

SECRET = "a-secret-of-the-tests-0123456789abcdef"
PASSWORD = "correct horse battery"


@pytest.fixture
def settings() -> Settings:
    return load(secret_key=SECRET)


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    database = Database(migrated_sqlite_url)
    yield database
    database.dispose()


@pytest.fixture
def auth(settings: Settings) -> DatabaseAuth:
    return DatabaseAuth(settings, counters=Counters(), rounds=4)


@pytest.fixture
def anna(auth: DatabaseAuth, database: Database) -> UserView:
    with database.transaction() as session:
        return auth.create_user(session, "anna", PASSWORD, "analyst")


@pytest.fixture
def pair(auth: DatabaseAuth, database: Database, anna: UserView) -> TokenPair:
    with database.transaction() as session:
        return auth.issue_tokens(session, anna)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def believed(auth: DatabaseAuth, database: Database, token: str) -> bool:
    with database.session() as session:
        try:
            auth.user_of_access_token(session, token)
        except NotSignedIn:
            return False
        return True


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


KEY = derived_key(SECRET, "api token access")
SOON = int(time.time()) + 86_400  # a day, since the tests may run long after this file is read


class TestForgedTokens:
    def test_one_signed_by_the_right_key_is_believed(
        self, auth: DatabaseAuth, database: Database, pair: TokenPair
    ) -> None:
        assert believed(auth, database, jwt.encode(claims_of(pair.access_token), KEY))

    @pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "sub", "aud", "iss", "jti", "type", "epoch", "family"])
    def test_no_claim_can_be_left_out(
        self, auth: DatabaseAuth, database: Database, pair: TokenPair, claim: str
    ) -> None:
        claims = claims_of(pair.access_token)
        del claims[claim]
        assert not believed(auth, database, jwt.encode(claims, KEY))

    @pytest.mark.parametrize(
        "change",
        [
            {"exp": int(time.time()) - 1},
            {"exp": 0},
            {"exp": "never"},
            {"exp": 10**400},
            {"nbf": SOON},
            {"iat": SOON},
            {"aud": "another"},
            {"aud": ["nebuloviz-api", "another"]},
            {"aud": None},
            {"iss": "another"},
            {"type": "refresh"},
            {"type": None},
            {"sub": "2"},
            {"sub": 1},
            {"sub": "1 OR 1=1"},
            {"sub": "9" * 400},
            {"sub": "-1"},
            {"sub": None},
            {"epoch": 7},
            {"epoch": "x"},
            {"epoch": None},
            {"family": "another"},
            {"family": None},
        ],
    )
    def test_no_claim_can_be_changed_to_something_wrong(
        self, auth: DatabaseAuth, database: Database, pair: TokenPair, change: dict[str, Any]
    ) -> None:
        assert not believed(auth, database, jwt.encode(claims_of(pair.access_token) | change, KEY))

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS512", "RS256", "", "hs256"])
    def test_no_other_algorithm_counts(
        self, auth: DatabaseAuth, database: Database, pair: TokenPair, algorithm: str
    ) -> None:
        _header, body, signature = pair.access_token.split(".")
        head = encoded({"alg": algorithm, "typ": "JWT"})
        for end in ("", signature):
            assert not believed(auth, database, f"{head}.{body}.{end}")

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
    @pytest.mark.filterwarnings("ignore:The HMAC key is:jwt.InsecureKeyLengthWarning")
    def test_not_even_a_stronger_one(
        self, auth: DatabaseAuth, database: Database, pair: TokenPair, algorithm: str
    ) -> None:
        assert not believed(auth, database, jwt.encode(claims_of(pair.access_token), KEY, algorithm))

    @pytest.mark.parametrize(
        "key",
        [SECRET.encode(), b"\x00" * 32, derived_key(SECRET, "api token refresh"), derived_key("x", "api token access")],
    )
    def test_no_other_key_counts(self, auth: DatabaseAuth, database: Database, pair: TokenPair, key: bytes) -> None:
        assert not believed(auth, database, jwt.encode(claims_of(pair.access_token), key))

    @pytest.mark.parametrize(
        "headers",
        [
            {"kid": "../../dev/null"},
            {"kid": "' UNION SELECT 'x"},
            {"jku": "https://evil.example/keys"},
            {"x5u": "https://evil.example/cert"},
            {"jwk": {"kty": "oct", "k": "AAAA"}},
        ],
    )
    def test_headers_that_name_a_key_are_ignored(
        self, auth: DatabaseAuth, database: Database, pair: TokenPair, headers: dict[str, Any]
    ) -> None:
        claims = claims_of(pair.access_token)
        assert not believed(auth, database, jwt.encode(claims, b"\x00" * 32, headers=headers))
        assert believed(auth, database, jwt.encode(claims, KEY, headers=headers))

    def test_every_changed_character_is_noticed(self, auth: DatabaseAuth, database: Database, pair: TokenPair) -> None:
        token = pair.access_token
        for at in range(0, len(token) - 1, 7):  # the last character holds bits that do not count
            changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            assert not believed(auth, database, changed), at


class TestTokenOfAUserWhoChanged:
    def test_is_refused_once_disabled_deleted_or_demoted_to_a_new_epoch(
        self, auth: DatabaseAuth, database: Database, anna: UserView, pair: TokenPair
    ) -> None:
        with database.transaction() as session:
            session.get_one(User, anna.id).disabled = True
        assert not believed(auth, database, pair.access_token)
        with database.transaction() as session:
            session.get_one(User, anna.id).disabled = False
        assert believed(auth, database, pair.access_token)
        with database.transaction() as session:
            session.delete(session.get_one(User, anna.id))
        assert not believed(auth, database, pair.access_token)

    def test_has_the_new_role_at_once(
        self, auth: DatabaseAuth, database: Database, anna: UserView, pair: TokenPair
    ) -> None:
        with database.transaction() as session:
            cookie = auth.start_session(session, anna)
            session.get_one(User, anna.id).role = "viewer"
        with database.session() as session:
            assert auth.user_of_access_token(session, pair.access_token).role == "viewer"
            known = auth.user_of_session(session, cookie)
        assert known is not None
        assert known.role == "viewer"

    def test_disabled_users_cannot_sign_in_and_learn_nothing(
        self, auth: DatabaseAuth, database: Database, anna: UserView
    ) -> None:
        with database.transaction() as session:
            cookie = auth.start_session(session, anna)
            session.get_one(User, anna.id).disabled = True
        with database.session() as session:
            assert auth.user_of_session(session, cookie) is None
            with pytest.raises(NotSignedIn, match="username or password"):
                auth.sign_in(session, "anna", PASSWORD, "192.0.2.1")


class TestRefreshInParallel:
    def test_one_of_many_wins_and_then_the_family_is_dead(
        self, auth: DatabaseAuth, database: Database, pair: TokenPair
    ) -> None:
        def exchange(_number: int) -> TokenPair | None:
            try:
                with database.transaction() as session:
                    return auth.refresh_tokens(session, pair.refresh_token)
            except TokenReused:
                return None
            except NotSignedIn:  # the family was dead already
                return None

        with ThreadPoolExecutor(6) as pool:
            won = [result for result in pool.map(exchange, range(6)) if result]
        assert len(won) == 1
        assert not believed(auth, database, won[0].access_token)


class TestExpiry:
    @pytest.mark.parametrize(
        ("age", "access", "refresh"),
        [
            (timedelta(minutes=14), True, True),
            (timedelta(minutes=15, seconds=1), False, True),
            (timedelta(days=13), False, True),
            (timedelta(days=14, seconds=1), False, False),
        ],
    )
    def test_tokens_end_with_their_time(
        self, settings: Settings, database: Database, anna: UserView, age: timedelta, access: bool, refresh: bool
    ) -> None:
        then = datetime.now(UTC) - age
        old = DatabaseAuth(settings, counters=Counters(), now=lambda: then, rounds=4)
        auth = DatabaseAuth(settings, counters=Counters(), rounds=4)
        with database.transaction() as session:
            pair = old.issue_tokens(session, anna)
        assert believed(auth, database, pair.access_token) == access
        if refresh:
            with database.transaction() as session:
                assert auth.refresh_tokens(session, pair.refresh_token) != pair
        else:
            with database.transaction() as session, pytest.raises(NotSignedIn):
                auth.refresh_tokens(session, pair.refresh_token)


class TestWhatIsStored:
    def test_passwords_are_bcrypt_of_cost_12(self) -> None:
        stored = Passwords().hashed("a password")
        assert stored.startswith("$2b$12$")
        assert Passwords().verify("a password", stored)

    def test_no_token_or_password_can_be_read_from_the_database(
        self, auth: DatabaseAuth, database: Database, anna: UserView, pair: TokenPair
    ) -> None:
        with database.transaction() as session:
            cookie = auth.start_session(session, anna)
        with database.session() as session:
            rows = [
                vars(row) for table in (User, BrowserSession, RefreshToken) for row in session.scalars(select(table))
            ]
        text = repr(rows)
        assert len(rows) == 3
        for secret in (PASSWORD, cookie, pair.access_token, pair.refresh_token):
            assert secret not in text

    def test_expired_rows_go_away(self, settings: Settings, database: Database, anna: UserView) -> None:
        long_ago = datetime.now(UTC) - timedelta(days=40)
        old = DatabaseAuth(settings, counters=Counters(), now=lambda: long_ago, rounds=4)
        new = DatabaseAuth(settings, counters=Counters(), rounds=4)
        for auth in (old, new):
            with database.transaction() as session:
                auth.start_session(session, anna)
                auth.issue_tokens(session, anna)
        with database.session() as session:
            assert len(session.scalars(select(BrowserSession)).all()) == 1
            assert len(session.scalars(select(RefreshToken)).all()) == 1


class TestTiming:
    def test_an_unknown_user_costs_as_many_hashes_as_a_known_one(
        self, auth: DatabaseAuth, database: Database, anna: UserView, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        costs = []
        real = bcrypt.checkpw

        def counting(password: bytes, stored: bytes) -> bool:
            costs.append(stored[:7])
            return real(password, stored)

        monkeypatch.setattr(bcrypt, "checkpw", counting)
        for name in ("anna", "nobody", "an\x00na", "\ud800"):
            with database.session() as session, pytest.raises(NotSignedIn):
                auth.sign_in(session, name, "wrong", "192.0.2.1" if name == "anna" else "192.0.2.2")
        assert costs == [b"$2b$04$"] * 4


class TestNameKey:
    @pytest.mark.parametrize(
        ("one", "other"),
        [("Anna", "anna"), ("STRASSE", "straße"), ("ﬁn", "fin"), ("Å", "Å"), ("ａ", "A"), ("ſam", "sam")],
    )
    def test_is_the_same_for_twins(self, one: str, other: str) -> None:
        assert name_key(one) == name_key(other)

    @pytest.mark.parametrize("name", ["Anna", "ǅ", "ﬃ", "İ", "ẞ", "ϒ"])
    def test_of_a_key_is_itself(self, name: str) -> None:
        assert name_key(name_key(name)) == name_key(name)
