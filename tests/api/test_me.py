"""One's own affairs over HTTP: preferences, sessions, and signing in with a second factor."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from nebuloviz.models import AuditEntry, User
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.interfaces import UserView
from nebuloviz.settings import load
from tests.api.conftest import PASSWORD, Api, running_api
from tests.program import app_code

NAME = "mia"
_addresses = iter(range(1, 250))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One that trusts a proxy, so that each sign-in can come from an address of its own."""
    settings = load(data_dir=tmp_path_factory.mktemp("data"), requests_per_minute=0, demo="off", trusted_proxies=1)
    with running_api(settings) as running:
        yield running


@pytest.fixture
def mia(api: Api) -> Iterator[UserView]:
    with api.database.transaction() as session:
        user = api.services.auth.create_user(session, NAME, PASSWORD, "viewer")
    yield user
    with api.database.transaction() as session:
        session.execute(delete(User).where(User.id == user.id))


def sign_in(api: Api, **more: str) -> httpx.Response:
    headers = {"X-Forwarded-For": f"198.51.100.{next(_addresses)}"}
    with api.client() as client:
        return client.post("/api/v1/auth/token", json={"username": NAME, "password": PASSWORD, **more}, headers=headers)


def turn_on(api: Api, user: UserView) -> tuple[str, list[str]]:
    """The secret of the second factor, and the recovery codes; the code of this half minute is still good."""
    service, actor = api.services.second_factor, api.services.auth.actor(user)
    with api.database.transaction() as session:
        enrolment = service.begin(session, actor, PASSWORD)
        codes = service.confirm(session, actor, enrolment.ticket, app_code(enrolment.secret, -1))
    return enrolment.secret, list(codes)


def refusals(session: Session) -> int:
    return session.query(AuditEntry).filter_by(username=NAME, action="second-factor:refuse").count()


@pytest.mark.usefixtures("mia")
class TestPreferences:
    def test_of_which_some_are_changed_leave_the_others(self, api: Api) -> None:
        with api.client(NAME) as client:
            first = client.patch("/api/v1/me", json={"language": "de", "format_region": "CH", "week_start": 6}).json()
            then = client.patch("/api/v1/me", json={"display_name": "Mia", "week_start": None}).json()
            assert client.get("/api/v1/me").json() == then
        assert (first["language"], first["format_region"], first["week_start"]) == ("de", "CH", 6)
        assert then == first | {"display_name": "Mia", "week_start": None}

    @pytest.mark.parametrize(
        "body",
        [
            {"language": "xx"},
            {"time_zone": "Mars/Olympus"},
            {"theme": "blue"},
            {"theme": None},
            {"week_start": 7},
            {"week_start": "1"},
            {"format_region": "XX"},
            {"landing_page": "//evil.example"},
            {"landing_page": "https://evil.example"},
            {"display_name": "a\nb"},
            {"role": "admin"},
            {"permissions": ["users:manage"]},
            {"id": 1},
            {"second_factor": False},
            {"totp_secret": ""},
            [],
        ],
    )
    def test_that_cannot_be_or_are_none_are_refused(self, api: Api, body: object) -> None:
        with api.client(NAME) as client:
            before = client.get("/api/v1/me").json()
            assert client.patch("/api/v1/me", json=body).status_code == 422
            assert client.get("/api/v1/me").json() == before

    def test_are_not_for_personal_tokens(self, api: Api) -> None:
        with api.client(NAME) as client:
            made = client.post("/api/v1/tokens", json={"name": "reader", "permissions": ["data:read"]}).json()
        with api.served.client(headers={"Authorization": f"Bearer {made['token']}"}) as client:
            assert client.get("/api/v1/me").status_code == 200
            assert client.patch("/api/v1/me", json={"theme": "dark"}).status_code == 403
            for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", "/x")):
                assert client.request(method, f"/api/v1/me/sessions{path}").status_code == 403


@pytest.mark.usefixtures("mia")
class TestSessions:
    def test_tell_which_one_asks_and_end_at_once(self, api: Api) -> None:
        own, other = (sign_in(api).json() for _ in range(2))
        headers = {"Authorization": f"Bearer {own['access_token']}", "User-Agent": "till/1.0"}
        with api.served.client(headers=headers) as client:
            items = client.get("/api/v1/me/sessions").json()["items"]
            (current,) = [item for item in items if item["current"]]
            (theirs,) = [item for item in items if not item["current"]]
            assert (current["kind"], current["address"][:11]) == ("api", "198.51.100.")
            assert client.delete(f"/api/v1/me/sessions/{theirs['id']}").status_code == 204
            assert client.delete(f"/api/v1/me/sessions/{theirs['id']}").status_code == 404
            with api.served.client(headers={"Authorization": f"Bearer {other['access_token']}"}) as ended:
                assert ended.get("/api/v1/me").status_code == 401
            assert client.get("/api/v1/me").status_code == 200

    def test_of_others_end_together(self, api: Api) -> None:
        own, *_others = (sign_in(api).json() for _ in range(3))
        with api.served.client(headers={"Authorization": f"Bearer {own['access_token']}"}) as client:
            assert client.delete("/api/v1/me/sessions").json() == {"ended": 2}
            assert [item["current"] for item in client.get("/api/v1/me/sessions").json()["items"]] == [True]

    def test_are_ones_own_alone(self, api: Api, mia: UserView) -> None:
        with api.database.transaction() as session:
            token = api.services.auth.start_session(session, mia)
            theirs = api.services.auth.user_of_session(session, token)
        assert theirs
        with api.client("admin") as client:
            assert client.delete(f"/api/v1/me/sessions/{theirs.session_id}").status_code == 404
            assert theirs.session_id not in client.get("/api/v1/me/sessions").text


class TestSecondFactor:
    def test_is_asked_for_and_each_code_lets_in_once(self, api: Api, mia: UserView) -> None:
        secret, recovery = turn_on(api, mia)
        asked = sign_in(api)
        assert (asked.status_code, asked.json()["code"]) == (401, "second_factor_required")
        assert set(asked.json()) >= {"type", "title", "status", "code", "detail"}
        for given in (app_code(secret), recovery[0]):
            answer = sign_in(api, code=given)
            assert answer.status_code == 200
            assert set(answer.json()) == {"access_token", "refresh_token", "token_type", "expires_in"}
            again = sign_in(api, code=given)
            assert (again.status_code, again.json()["code"]) == (401, "wrong_code")
        with api.client(NAME) as client:
            assert client.get("/api/v1/me").json()["second_factor"] is True

    def test_is_not_asked_for_before_the_password_is_right(self, api: Api, mia: UserView) -> None:
        turn_on(api, mia)
        with api.client() as client:
            answer = client.post("/api/v1/auth/token", json={"username": NAME, "password": "wrong"})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")

    def test_of_whoever_has_none_a_code_does_no_harm(self, api: Api, mia: UserView) -> None:
        assert sign_in(api, code="000000").status_code == 200

    def test_after_five_wrong_codes_is_shut_and_says_for_how_long(self, api: Api, mia: UserView) -> None:
        secret, _codes = turn_on(api, mia)
        with api.database.session() as session:
            before = refusals(session)
        statuses = [sign_in(api, code="000000").status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        shut = sign_in(api, code=app_code(secret))
        assert (shut.status_code, 0 < int(shut.headers["retry-after"]) <= 900) == (429, True)
        with api.database.transaction() as session:
            assert refusals(session) == before + 5
            api.services.users.unlock(session, SYSTEM, mia.id)
        assert sign_in(api, code=app_code(secret)).status_code == 200

    def test_that_is_lost_is_reset_by_an_administrator(self, api: Api, mia: UserView) -> None:
        turn_on(api, mia)
        with api.client("admin") as client:
            assert client.get(f"/api/v1/users/{mia.id}").json()["second_factor"] is True
            assert client.post(f"/api/v1/users/{mia.id}/reset-second-factor").status_code == 204
            again = client.post(f"/api/v1/users/{mia.id}/reset-second-factor")
            assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert sign_in(api).status_code == 200

    def test_is_set_up_renewed_and_turned_off_by_a_program(self, api: Api, mia: UserView) -> None:
        with api.client(NAME) as client:
            assert client.post("/api/v1/me/second-factor", json={"password": "wrong"}).status_code == 401
            begun = client.post("/api/v1/me/second-factor", json={"password": PASSWORD}).json()
            body = {"ticket": begun["ticket"], "code": app_code(begun["secret"])}
            old = client.post("/api/v1/me/second-factor/confirm", json=body).json()["codes"]
            assert client.get("/api/v1/me/second-factor").json()["codes_left"] == len(old) == 8
            renewed = client.post("/api/v1/me/second-factor/recovery-codes", json={"password": PASSWORD}).json()
            assert sign_in(api, code=old[0]).status_code == 401
            assert sign_in(api, code=renewed["codes"][0]).status_code == 200
            assert client.post("/api/v1/me/second-factor/turn-off", json={"password": "wrong"}).status_code == 401
            assert client.post("/api/v1/me/second-factor/turn-off", json={"password": PASSWORD}).status_code == 204
        assert sign_in(api).status_code == 200


@pytest.mark.usefixtures("mia")
class TestPassword:
    def test_is_changed_with_the_old_one_and_ends_all_tokens(self, api: Api) -> None:
        with api.client(NAME) as client:
            for body, status in (
                ({"current": "wrong", "new": "another long password"}, 401),
                ({"current": PASSWORD, "new": "short"}, 422),
                ({"current": PASSWORD, "new": "another long password"}, 204),
            ):
                assert client.put("/api/v1/me/password", json=body).status_code == status
            assert client.get("/api/v1/me").status_code == 401
        assert sign_in(api).status_code == 401


class TestFirstSteps:
    """What somebody who has just been let in does in a browser, a program does as well."""

    def test_a_password_is_not_replaced_without_the_second_factor(self, api: Api, mia: UserView) -> None:
        secret, _recovery = turn_on(api, mia)
        new = "a password of my own"
        assert sign_in(api, new_password=new).json()["code"] == "second_factor_required"
        assert sign_in(api, new_password=new, code="000000").json()["code"] == "wrong_code"
        assert sign_in(api, new_password=new, code=app_code(secret)).status_code == 200

    def test_a_first_run_is_settings_and_preferences(self, api: Api) -> None:
        with api.database.transaction() as session:
            api.services.auth.create_user(session, "first", PASSWORD, "admin", must_change_password=True)
        new = {"username": "first", "password": PASSWORD, "new_password": "a password of my own"}
        with api.client() as client:
            access = client.post("/api/v1/auth/token", json=new).json()["access_token"]
        choices = {"language": "de", "week_start": 6, "fiscal_year_start": 4}
        with api.served.client(headers={"Authorization": f"Bearer {access}"}) as client:
            before = client.get("/api/v1/settings").json()["values"]
            values = client.patch("/api/v1/settings", json=choices).json()["values"]
            assert {name: values[name] for name in choices} == choices
            assert client.patch("/api/v1/settings", json={name: before[name] for name in choices}).status_code == 200

    def test_a_link_sets_a_password_once(self, api: Api) -> None:
        with api.client("admin") as admin:
            invited = admin.post("/api/v1/users", json={"username": "ina", "role": "viewer"}).json()
        link = {"link": f"https://example.test{invited['path']}", "new": "a password of my own"}
        with api.client() as client:
            assert client.post("/api/v1/auth/password-link", json=link | {"new": "password"}).status_code == 422
            assert client.post("/api/v1/auth/password-link", json=link).status_code == 204
            assert client.post("/api/v1/auth/password-link", json=link).status_code == 404
            signed_in = client.post("/api/v1/auth/token", json={"username": "ina", "password": link["new"]})
        assert signed_in.status_code == 200
