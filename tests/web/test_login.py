"""Signing in and out with a browser: sessions, cookies, forms, and where one ends up."""

from contextlib import closing

import pytest
from sqlalchemy import text, update

from nebuloviz.db import Database
from nebuloviz.models import User
from nebuloviz.web.login import safe_target
from tests.program import PASSWORD, Program, csrf_token

COOKIE = "nebuloviz"
NEW_PASSWORD = "another long password"


class TestSignIn:
    def test_leads_to_the_page_that_was_asked_for(self, program: Program) -> None:
        with program.client() as client:
            asked = client.get("/explore?m=orders&by=store")
            assert asked.headers["location"] == "/login?next=/explore%3Fm%3Dorders%26by%3Dstore"
            token = csrf_token(client.get(asked.headers["location"]))
            form = {"username": "viewer", "password": PASSWORD, "csrf_token": token}
            answer = client.post(asked.headers["location"], data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, "/explore?m=orders&by=store")
            assert client.get("/explore").status_code == 200
            assert client.get("/login").headers["location"] == "/"

    @pytest.mark.parametrize(
        ("name", "password"), [("viewer", "wrong"), ("nobody", PASSWORD), ("viewer\x00", PASSWORD)]
    )
    def test_that_fails_says_the_same_whoever_it_was(self, program: Program, name: str, password: str) -> None:
        with program.client() as client:
            answer = program.sign_in(client, name, password)
            assert answer.status_code == 401
            assert "The username or password is incorrect." in answer.text
            assert client.get("/").status_code == 302

    def test_after_five_failures_is_refused_for_a_while(self, program: Program) -> None:
        with program.client() as client:
            answers = [program.sign_in(client, f"guess-{number}", "wrong") for number in range(6)]
            assert [answer.status_code for answer in answers] == [401] * 5 + [429]
            assert 0 < int(answers[-1].headers["retry-after"]) <= 300
            assert program.sign_in(client, "viewer", PASSWORD).status_code == 429

    def test_what_the_client_says_of_its_address_is_not_believed(self, program: Program) -> None:
        """The one trusted proxy's entry is the last one; what stands before it anybody may have written."""
        with program.client() as client:
            own = client.headers.pop("X-Forwarded-For")
            statuses = []
            for number in range(6):
                headers = {"X-Forwarded-For": f"203.0.113.{number}, {own}", "X-Real-IP": f"203.0.113.{number}"}
                client.headers.update(headers)
                statuses.append(program.sign_in(client, f"guess-{number}", "wrong").status_code)
        assert statuses == [401] * 5 + [429]

    @pytest.mark.parametrize("token", ["", "x", "é", None])
    def test_without_the_forms_token_is_refused(self, program: Program, token: str | None) -> None:
        with program.client() as client:
            client.get("/login")
            form = {"username": "viewer", "password": PASSWORD} | ({} if token is None else {"csrf_token": token})
            answer = client.post("/login", data=form)
            assert answer.status_code == 403
            assert client.get("/").status_code == 302

    def test_with_the_token_of_another_browser_is_refused(self, program: Program) -> None:
        with program.client() as one, program.client() as other:
            other.get("/login")
            token = csrf_token(one.get("/login"))
            form = {"username": "viewer", "password": PASSWORD, "csrf_token": token}
            assert other.post("/login", data=form).status_code == 403

    @pytest.mark.parametrize("language", ["de", "es", "ar", "en"])
    def test_page_speaks_the_language_that_is_asked_for(self, program: Program, language: str) -> None:
        with program.client(**{"Accept-Language": "fr, en;q=0.5"}) as client:
            page = client.get(f"/login?lang={language}").text
        assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page

    def test_names_are_shown_as_text(self, program: Program) -> None:
        with program.client() as client:
            answer = program.sign_in(client, '"><script>alert(1)</script>', "wrong")
        assert "<script>alert" not in answer.text


class TestWhereItLeads:
    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example",
            "HTTPS://evil.example/",
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            " https://evil.example",
            "\x00//evil.example",
            "https:evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//evil.example@127.0.0.1",
            "//[::1]",
            "//[",
            "http://[",
            "evil.example",
            "@evil.example",
            "?next=//evil.example",
            "#//evil.example",
            "/" * 50 + "evil.example",
            "/x" * 5000,
            "",
            None,
            "/login",
            "/login?next=//evil.example",
            "/logout",
        ],
    )
    def test_anything_but_a_path_of_ours_leads_to_the_start(self, target: str | None) -> None:
        assert safe_target(target) == "/"

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            ("/", "/"),
            ("/alerts/1", "/alerts/1"),
            ("/explore?m=revenue&f.category=Käse&f.category=", "/explore?m=revenue&f.category=K%C3%A4se&f.category="),
            ("/explore?x=//evil.example", "/explore?x=%2F%2Fevil.example"),
            ("/a\u00e9", "/a%C3%A9"),
            ("/%2F%2Fevil.example", "/%2F%2Fevil.example"),
            ("/explore#//evil.example", "/explore"),
        ],
    )
    def test_a_path_of_ours_is_kept(self, target: str, expected: str) -> None:
        assert safe_target(target) == expected

    @pytest.mark.parametrize(
        "target", ["//evil.example", "https://evil.example", "/%5Cevil.example", "/%09/evil.example"]
    )
    def test_over_the_wire_nobody_leaves(self, program: Program, target: str) -> None:
        with program.client() as client:
            answer = program.sign_in(client, "viewer", PASSWORD, target)
        assert answer.headers["location"] == "/"


class TestSession:
    def test_reads_while_somebody_else_writes(self, program: Program) -> None:
        """That it is in use is noted later: a load of SQLite may hold the lock for longer than anybody waits for a page."""
        database = Database(f"sqlite:///{program.environment['NEBULOVIZ_DATA_DIR']}/nebuloviz.sqlite3")
        with closing(program.signed_in("viewer")) as client, database.transaction() as writing:
            writing.execute(text("SELECT 1"))  # takes the lock
            statuses = [client.get(path).status_code for path in ("/", "/explore")]
        database.dispose()
        assert statuses == [200, 200]

    def test_cookie_is_for_our_server_alone(self, program: Program) -> None:
        with program.client() as client:
            client.get("/login")
            [header] = program.sign_in(client, "viewer", PASSWORD).headers.get_list("set-cookie")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in header.split(";")}
        assert "domain" not in header.lower()
        assert "expires" not in header.lower()

    def test_that_stood_before_the_sign_in_is_not_the_one_after(self, program: Program) -> None:
        """An attacker who plants a cookie beforehand must not be signed in with it afterwards."""
        with program.client() as client, program.client() as attacker:
            client.get("/login")
            planted = client.cookies[COOKIE]
            program.sign_in(client, "viewer", PASSWORD)
            assert client.cookies[COOKIE] != planted
            attacker.cookies.set(COOKIE, planted)
            assert attacker.get("/").status_code == 302

    def test_is_over_with_the_sign_out_for_copies_of_the_cookie_too(self, program: Program) -> None:
        client = program.signed_in("viewer")
        copy = client.cookies[COOKIE]
        answer = client.post("/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        with program.client() as thief:
            thief.cookies.set(COOKIE, copy)
            assert thief.get("/").status_code == 302
            assert thief.get("/_dash-layout").status_code == 401
        client.close()

    def test_that_ended_elsewhere_is_told_on_the_sign_in_page_and_none_that_one_ended_oneself(
        self, program: Program
    ) -> None:
        with program.client() as nobody:
            assert "session has ended" not in nobody.get("/login").text
        client = program.signed_in("viewer")
        copy = client.cookies[COOKIE]
        client.post("/logout")
        assert "session has ended" not in client.get("/login").text
        client.close()
        with program.client() as elsewhere:
            elsewhere.cookies.set(COOKIE, copy)
            assert "session has ended" in elsewhere.get("/login").text

    def test_cookies_that_were_tampered_with_are_nobodys(self, program: Program) -> None:
        client = program.signed_in("viewer")
        value = client.cookies[COOKIE]
        payload, time_, signature = value.rsplit(".", 2)
        changed = [
            value[:-2] + ("A" if value[-2] != "A" else "B") + value[-1],  # of the last one not every bit counts
            f"{payload}A.{time_}.{signature}",
            f"{payload}..{signature}",
            payload,
            f".{payload}",
            "",
            "x",
            "é",
            "eyJfdXNlcl9pZCI6IjEifQ.aaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "x" * 5000,
        ]
        client.close()
        for cookie in changed:
            with program.client() as thief:
                answer = thief.get("/", headers=[(b"Cookie", f"{COOKIE}={cookie}".encode())])
            assert answer.status_code == 302, cookie

    def test_of_other_browsers_end_with_a_new_password_and_ones_own_goes_on(self, program: Program) -> None:
        program.add_user("changer")
        here, elsewhere = program.signed_in("changer"), program.signed_in("changer")
        form = {"current": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}
        old_cookie = here.cookies[COOKIE]
        answer = here.post("/password", data=form | {"csrf_token": csrf_token(here.get("/password"))})
        assert answer.status_code == 303, answer.text
        assert here.get("/").status_code == 200
        assert elsewhere.get("/").status_code == 302
        with program.client() as thief:
            thief.cookies.set(COOKIE, old_cookie)
            assert thief.get("/").status_code == 302
        with program.client() as client:
            assert program.sign_in(client, "changer", PASSWORD).status_code == 401
            assert program.sign_in(client, "changer", NEW_PASSWORD).status_code == 303
        here.close()
        elsewhere.close()

    @pytest.mark.parametrize(
        ("form", "status", "words"),
        [
            ({"current": "wrong", "new": NEW_PASSWORD, "again": NEW_PASSWORD}, 401, "current password is incorrect"),
            ({"current": PASSWORD, "new": NEW_PASSWORD, "again": "x"}, 422, "differ"),
            ({"current": PASSWORD, "new": "short", "again": "short"}, 422, "at least 8"),
            ({"current": PASSWORD, "new": "password1", "again": "password1"}, 422, "most common"),
            ({}, 401, "current password is incorrect"),
        ],
    )
    def test_password_is_not_changed_by_a_wrong_form(
        self, program: Program, form: dict[str, str], status: int, words: str
    ) -> None:
        client = program.as_("analyst")
        answer = client.post("/password", data=form | {"csrf_token": csrf_token(client.get("/password"))})
        assert answer.status_code == status
        assert words in answer.text
        assert client.get("/").status_code == 200

    def test_password_form_needs_its_token(self, program: Program) -> None:
        form = {"current": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}
        assert program.as_("analyst").post("/password", data=form).status_code == 403


class TestErrors:
    def test_are_pages_for_people_and_problems_for_scripts(self, program: Program) -> None:
        client = program.as_("viewer")
        page = client.get("/nope", headers={"Accept": "text/html"})
        assert page.status_code == 404
        assert 'id="react-entry-point"' in page.text  # the app, which says so with its rail beside it
        script = client.get("/nope", headers={"Accept": "application/json"})
        assert script.status_code == 404
        assert set(script.json()) == {"type", "title", "status", "code", "detail"}

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
    def test_other_methods_are_refused(self, program: Program, method: str) -> None:
        with program.client() as nobody:
            assert nobody.request(method, "/explore").status_code in {401, 405}
        assert program.as_("viewer").request(method, "/explore").status_code == 405


class TestPasswordThatMustChange:
    def test_shuts_everything_but_its_own_change(self, program: Program) -> None:
        program.add_user("newcomer")
        database = Database(f"sqlite:///{program.environment['NEBULOVIZ_DATA_DIR']}/nebuloviz.sqlite3")
        with database.transaction() as session:
            session.execute(update(User).where(User.username == "newcomer").values(must_change_password=True))
        database.dispose()
        with closing(program.signed_in("newcomer")) as client:
            for path in ("/", "/explore", "/export/csv"):
                assert client.get(path).headers["location"] == "/password"
            assert client.get("/_dash-layout").json()["code"] == "password_change_required"
            page = client.get("/password")
            assert "Your password was set for you." in page.text
            form = {"current": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD, "csrf_token": csrf_token(page)}
            assert client.post("/password", data=form).status_code == 303
            assert client.get("/").status_code == 200
