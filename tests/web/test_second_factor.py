"""The second factor over real HTTP: setting up, signing in in two steps, and what does not get around it."""

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.program import PASSWORD, Program, app_code, csrf_token, environment_of, started

COOKIE = "nebuloviz"
NEW_PASSWORD = "another long password"
_TICKET = re.compile(r'name="ticket" value="([^"]+)"')
_SECRET = re.compile(r'id="secret">([A-Z2-7 ]+)<')
_RECOVERY = re.compile(r"<li><code>([a-z2-9-]+)</code>")


@dataclass
class Person:
    """A user with a second factor. Codes are of ever later half minutes, as each is good only once; the clock allows for one."""

    name: str
    secret: str
    recovery: list[str]

    def code(self) -> str:
        """A recovery code: unlike those of the app there are many at once."""
        return self.recovery.pop()


def submit(client: httpx.Client, **form: str) -> httpx.Response:
    """A form of /second-factor."""
    return client.post("/second-factor", data=form | {"csrf_token": csrf_token(client.get("/second-factor"))})


def turn_on(client: httpx.Client) -> tuple[str, list[str]]:
    """The secret and the recovery codes; the app's code of this half minute is still good."""
    begun = submit(client, do="begin", password=PASSWORD)
    assert begun.status_code == 200, begun.text
    ticket, secret = _TICKET.search(begun.text), _SECRET.search(begun.text)
    assert ticket
    assert secret
    key = secret[1].replace(" ", "")
    done = submit(client, do="confirm", ticket=ticket[1], code=app_code(key, -1))
    assert done.status_code == 200, done.text
    return key, _RECOVERY.findall(done.text)


@pytest.fixture(scope="module")
def admin(program: Program) -> Iterator[httpx.Client]:
    """The API, as an administrator asks it."""
    with program.client() as client:
        given = client.post("/api/v1/auth/token", json={"username": "admin", "password": PASSWORD}).json()
        client.headers["Authorization"] = f"Bearer {given['access_token']}"
        yield client


Newcomer = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def newcomer(program: Program) -> Iterator[Newcomer]:
    """`newcomer("anna")` is the browser of a new user, who is signed in; the password is hashed in the cheapest way."""
    clients: list[httpx.Client] = []

    def added(name: str) -> httpx.Client:
        program.add_user(name)
        clients.append(program.signed_in(name))
        return clients[-1]

    yield added
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def person(newcomer: Newcomer) -> Person:
    return Person("two_steps", *turn_on(newcomer("two_steps")))


@pytest.fixture
def halfway(program: Program, person: Person) -> Iterator[httpx.Client]:
    """A browser whose password was right, and that has given no code yet."""
    with program.client() as client:
        answer = program.sign_in(client, person.name, PASSWORD)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login/code")
        yield client


def give(client: httpx.Client, code: str, address: str = "/login/code") -> httpx.Response:
    return client.post(address, data={"code": code, "csrf_token": csrf_token(client.get(address))})


class TestSigningIn:
    def test_takes_a_code_after_the_password(self, halfway: httpx.Client, person: Person) -> None:
        assert give(halfway, app_code(person.secret)).status_code == 303
        assert halfway.get("/").status_code == 200

    def test_with_a_code_that_was_used_is_refused(self, program: Program, person: Person) -> None:
        code = person.code()
        for status in (303, 401):
            with program.client() as client:
                program.sign_in(client, person.name, PASSWORD)
                answer = give(client, code)
                assert answer.status_code == status
                assert ("has been used before" in answer.text) is (status == 401)
                assert client.get("/").status_code == (200 if status == 303 else 302)

    def test_leads_to_the_page_that_was_asked_for_and_nowhere_else(self, program: Program, person: Person) -> None:
        for target, place in (("/explore%3Fm%3Dorders", "/explore?m=orders"), ("//evil.example", "/")):
            with program.client() as client:
                address = program.sign_in(client, person.name, PASSWORD, target).headers["location"]
                assert "evil" not in address
                assert give(client, person.code(), address).headers["location"] == place
        with program.client() as client:
            program.sign_in(client, person.name, PASSWORD)
            assert give(client, person.code(), "/login/code?next=//evil.example").headers["location"] == "/"

    def test_halfway_is_nowhere(self, halfway: httpx.Client) -> None:
        for path in ("/", "/explore", "/profile", "/second-factor", "/password"):
            assert halfway.get(path).headers["location"].startswith("/login"), path
        assert halfway.get("/_dash-layout").status_code == 401
        assert halfway.post("/logout").status_code == 401
        cookie = halfway.cookies[COOKIE]
        assert halfway.get("/api/v1/me", headers={"Authorization": f"Bearer {cookie}"}).status_code == 401

    @pytest.mark.parametrize("code", ["", "000000", "abc", "é", "\x00", "9" * 2_000, "' OR 1=1 --"])
    def test_with_what_is_no_code_stays_there(self, program: Program, newcomer: Newcomer, code: str) -> None:
        name = f"odd_{zlib.crc32(code.encode())}"
        turn_on(newcomer(name))
        with program.client() as client:
            program.sign_in(client, name, PASSWORD)
            answer = give(client, code)
            assert answer.status_code == 401
            assert "The code is incorrect" in answer.text
            assert client.get("/").status_code == 302

    def test_without_the_forms_token_is_refused(self, halfway: httpx.Client, person: Person) -> None:
        halfway.get("/login/code")
        assert halfway.post("/login/code", data={"code": person.code()}).status_code == 403
        assert halfway.get("/").status_code == 302

    def test_from_another_site_is_refused(self, halfway: httpx.Client, person: Person) -> None:
        form = {"code": person.code(), "csrf_token": csrf_token(halfway.get("/login/code"))}
        answer = halfway.post("/login/code", data=form, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403

    def test_needs_the_first_step(self, program: Program) -> None:
        with program.client() as client:
            for answer in (client.get("/login/code"), client.post("/login/code", data={"code": "000000"})):
                assert (answer.status_code, answer.headers["location"]) == (303, "/login")

    def test_gives_a_session_that_was_not_there_before(
        self, program: Program, halfway: httpx.Client, person: Person
    ) -> None:
        planted = halfway.cookies[COOKIE]
        give(halfway, person.code())
        with program.client() as thief:
            thief.cookies.set(COOKIE, planted)
            assert thief.get("/").status_code == 302

    def test_signs_out_whoever_was_there_before(self, program: Program, person: Person) -> None:
        with closing(program.signed_in("viewer")) as client:
            before = client.cookies[COOKIE]
            form = {"username": person.name, "password": PASSWORD, "csrf_token": csrf_token(client.get("/password"))}
            assert client.post("/login", data=form).headers["location"] == "/login/code"
            assert client.get("/").status_code == 302
            with program.client() as thief:
                thief.cookies.set(COOKIE, before)
                assert thief.get("/").status_code == 302

    @pytest.mark.parametrize("language", ["de", "es", "ar"])
    def test_speaks_the_language_of_the_first_step(self, program: Program, person: Person, language: str) -> None:
        with program.client() as client:
            token = csrf_token(client.get("/login"))
            form = {"username": person.name, "password": PASSWORD, "csrf_token": token}
            answer = client.post(f"/login?lang={language}", data=form)
            page = client.get(answer.headers["location"]).text
        assert f'<html lang="{language}"' in page

    def test_after_five_wrong_codes_is_shut_for_a_while(self, program: Program, newcomer: Newcomer) -> None:
        _secret, recovery = turn_on(newcomer("guessed"))
        for number in range(5):
            with program.client() as client:
                program.sign_in(client, "guessed", PASSWORD)
                assert give(client, f"00000{number}").status_code == 401
        with program.client() as client:
            program.sign_in(client, "guessed", PASSWORD)
            shut = give(client, recovery[0])
            assert shut.status_code == 429
            assert 0 < int(shut.headers["retry-after"]) <= 900


class TestSettingUp:
    def test_needs_the_password(self, program: Program) -> None:
        client = program.as_("analyst")
        answer = submit(client, do="begin", password="wrong")
        assert answer.status_code == 401
        assert "data:image/svg" not in answer.text

    def test_shows_a_picture_that_the_policy_allows(self, program: Program) -> None:
        answer = submit(program.as_("analyst"), do="begin", password=PASSWORD)
        assert 'src="data:image/svg+xml' in answer.text
        assert "img-src 'self' data:" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"

    def test_with_a_wrong_code_goes_on_with_the_same_key(self, program: Program) -> None:
        client = program.as_("analyst")
        begun = submit(client, do="begin", password=PASSWORD)
        ticket, secret = _TICKET.search(begun.text), _SECRET.search(begun.text)
        assert ticket
        assert secret
        again = submit(client, do="confirm", ticket=ticket[1], code="000000")
        assert again.status_code == 401
        assert secret[0] in again.text
        assert "It is on" not in client.get("/second-factor").text

    @pytest.mark.parametrize("form", [{}, {"do": "everything"}, {"do": ""}])
    def test_does_nothing_that_there_is_not(self, program: Program, form: dict[str, str]) -> None:
        assert submit(program.as_("analyst"), password=PASSWORD, **form).status_code == 200

    @pytest.mark.parametrize("do", ["begin", "confirm", "renew", "turn-off"])
    def test_needs_the_forms_token(self, program: Program, do: str) -> None:
        client = program.as_("analyst")
        answer = client.post("/second-factor", data={"do": do, "password": PASSWORD, "ticket": "x", "code": "000000"})
        assert answer.status_code == 403

    @pytest.mark.parametrize("ticket", ["", "x", "é", "x" * 5_000])
    def test_with_what_is_no_ticket_says_so(self, program: Program, ticket: str) -> None:
        answer = submit(program.as_("analyst"), do="confirm", ticket=ticket, code="000000")
        assert answer.status_code == 422
        assert "begin again" in answer.text

    def test_recovery_codes_are_shown_once(self, program: Program, person: Person, halfway: httpx.Client) -> None:
        give(halfway, person.code())
        page = halfway.get("/second-factor").text
        assert "It is on" in page
        assert not _RECOVERY.search(page)
        assert not any(code in page for code in person.recovery)

    def test_is_turned_off_with_the_password(self, program: Program, newcomer: Newcomer) -> None:
        own = newcomer("undecided")
        turn_on(own)
        assert submit(own, do="turn-off", password="wrong").status_code == 401
        answer = submit(own, do="turn-off", password=PASSWORD)
        assert (answer.status_code, answer.headers["location"]) == (303, "/profile")
        with program.client() as client:
            assert program.sign_in(client, "undecided", PASSWORD).headers["location"] == "/"

    def test_new_recovery_codes_void_the_old_ones(self, program: Program, newcomer: Newcomer) -> None:
        own = newcomer("renewing")
        _secret, old = turn_on(own)
        new = _RECOVERY.findall(submit(own, do="renew", password=PASSWORD).text)
        assert len(new) == len(old) == 8
        for code, status in ((old[0], 401), (new[0], 303)):
            with program.client() as client:
                program.sign_in(client, "renewing", PASSWORD)
                assert give(client, code).status_code == status


class TestOtherWays:
    def test_a_new_password_ends_what_was_halfway(self, program: Program, newcomer: Newcomer) -> None:
        own = newcomer("changing")
        _secret, recovery = turn_on(own)
        with program.client() as other:
            program.sign_in(other, "changing", PASSWORD)
            token = csrf_token(other.get("/login/code"))
            form = {"current": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}
            own.post("/password", data=form | {"csrf_token": csrf_token(own.get("/password"))})
            answer = other.post("/login/code", data={"code": recovery[0], "csrf_token": token})
            assert answer.headers["location"] == "/login"

    def test_a_link_to_set_a_password_does_not_get_around_it(
        self, program: Program, newcomer: Newcomer, admin: httpx.Client
    ) -> None:
        _secret, recovery = turn_on(newcomer("forgetful"))
        found = admin.get("/api/v1/users?search=forgetful").json()["items"][0]
        path = admin.post(f"/api/v1/users/{found['id']}/password-link").json()["path"]
        with program.client() as client:
            form = {"new": NEW_PASSWORD, "again": NEW_PASSWORD, "csrf_token": csrf_token(client.get(path))}
            assert client.post(path, data=form).headers["location"] == "/login/code"
            assert client.get("/").status_code == 302
            assert give(client, recovery[0]).status_code == 303
            assert client.get("/").status_code == 200


class TestRequirement:
    def test_leaves_nothing_but_setting_up_to_those_who_have_none(self, tmp_path: Path) -> None:
        with started(environment_of(tmp_path)) as program:
            program.add_user("viewer")
            with closing(program.signed_in("admin")) as admin, closing(program.signed_in("viewer")) as viewer:
                access = api_token(program, "viewer").json()["access_token"]
                ask_everybody(program, admin)
                for path in ("/", "/explore", "/profile", "/export/csv"):
                    assert viewer.get(path).headers["location"] == "/second-factor", path
                assert viewer.get("/_dash-layout").json()["code"] == "second_factor_due"
                with program.client(Authorization=f"Bearer {access}") as refused:
                    assert refused.get("/api/v1/me").json()["code"] == "second_factor_due"
                assert "requires a second factor" in viewer.get("/second-factor").text
                turn_on(viewer)
                assert viewer.get("/explore").status_code == 200
                assert submit(viewer, do="turn-off", password=PASSWORD).status_code == 409
                program.add_user("till")
                access = api_token(program, "till").json()["access_token"]
                with program.client(Authorization=f"Bearer {access}") as till:
                    set_up_by_program(till)


def api_token(program: Program, name: str, **code: str) -> httpx.Response:
    with program.client() as client:
        return client.post("/api/v1/auth/token", json={"username": name, "password": PASSWORD} | code)


def set_up_by_program(client: httpx.Client) -> None:
    """A second factor over the API, which is all that it gives before."""
    for path in ("me", "metrics", "tokens", "me/sessions"):
        assert client.get(f"/api/v1/{path}").json()["code"] == "second_factor_due", path
    assert client.get("/api/v1/me/second-factor").status_code == 200
    begun = client.post("/api/v1/me/second-factor", json={"password": PASSWORD}).json()
    code = {"ticket": begun["ticket"], "code": app_code(begun["secret"])}
    assert client.post("/api/v1/me/second-factor/confirm", json=code).json()["codes"]
    assert client.get("/api/v1/me").json()["second_factor"] is True


def ask_everybody(program: Program, admin: httpx.Client) -> None:
    """Have an administrator, who has a second factor, ask for one of everybody."""
    _secret, recovery = turn_on(admin)
    access = api_token(program, "admin", code=recovery[0]).json()["access_token"]
    with program.client(Authorization=f"Bearer {access}") as client:
        answer = client.patch("/api/v1/settings", json={"require_second_factor": True})
        assert answer.status_code == 200, answer.text
