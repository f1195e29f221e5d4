"""Somebody else's session, and requests that another site makes a browser send: neither does anything, on either database."""

import json
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.dash_requests import post, visit
from tests.program import PASSWORD, csrf_token, environment_of, started
from tests.security.conftest import Target

COOKIE = "nebuloviz"
ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "{scheme}://{host}.evil.example:{port}"},
    {"Origin": "{scheme}://evil.example:{port}"},
    {"Origin": "{scheme}://{host}:1"},
    {"Origin": "{scheme}://user@evil.example"},
    {"Origin": "file://"},
    {"Referer": "https://evil.example/?{host}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]
CHANGES = ["/_dash-update-component", "/logout", "/password", "/uploads?name=x", "/login", "/welcome/x"]


def with_cookie(target: Target, value: str) -> httpx.Client:
    return target.nobody(Cookie=f"{COOKIE}={value}")


class TestCookie:
    def test_of_a_sign_in_is_new_and_bound_to_us(self, target: Target) -> None:
        with target.nobody() as client, target.nobody() as attacker:
            client.get("/login")
            planted = client.cookies[COOKIE]
            answer = target.program.sign_in(client, "viewer", PASSWORD)
            [header] = answer.headers.get_list("set-cookie")
            flags = {part.strip().lower() for part in header.split(";")[1:]}
            assert {"httponly", "samesite=lax", "path=/"} <= flags
            assert not any(flag.startswith(("domain", "expires", "max-age")) for flag in flags)
            assert client.cookies[COOKIE] != planted
            attacker.cookies.set(COOKIE, planted)
            assert attacker.get("/explore").status_code == 302

    def test_of_a_session_that_ended_is_worth_nothing(self, target: Target) -> None:
        with closing(target.program.signed_in("viewer")) as client:
            value = client.cookies[COOKIE]
            assert client.post("/logout").status_code == 303
        with with_cookie(target, value) as thief:
            assert thief.get("/explore").status_code == 302
            assert thief.get("/_dash-layout").status_code == 401
            assert post(thief, visit("/")).status_code == 401
            assert thief.post("/uploads?name=x", content=b"x").status_code == 401

    def test_that_was_changed_is_nobodys(self, target: Target) -> None:
        value = target.browser("viewer").cookies[COOKIE]
        body, stamp, signature = value.rsplit(".", 2)
        for changed in (
            f"{body}A.{stamp}.{signature}",
            f"{body}.AAAAAA.{signature}",
            f"{body}.{stamp}.{signature[:-3]}AAA",
            f"{body}.{stamp}.",
            f".{body}.{stamp}.{signature}",
            body,
            "",
            "x" * 4000,
            "eyJfdXNlcl9pZCI6IjEifQ.aaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaa",
            '"' + value[:-1],
            quote("\x00"),
        ):
            with with_cookie(target, changed) as thief:
                assert thief.get("/explore").status_code == 302, changed

    def test_of_others_end_with_a_new_password(self, target: Target) -> None:
        target.add_user("renewed")
        with (
            closing(target.program.signed_in("renewed")) as here,
            closing(target.program.signed_in("renewed")) as there,
        ):
            old, new = here.cookies[COOKIE], "another fine password"
            form = {"current": PASSWORD, "new": new, "again": new, "csrf_token": csrf_token(here.get("/password"))}
            assert here.post("/password", data=form).status_code == 303
            assert here.get("/explore").status_code == 200
            assert there.get("/explore").status_code == 302
        with with_cookie(target, old) as thief:
            assert thief.get("/explore").status_code == 302

    def test_and_what_it_shows_is_kept_by_no_cache(self, target: Target) -> None:
        client = target.browser("viewer")
        for answer in (
            client.get("/explore"),
            client.get("/password"),
            client.get("/_dash-layout"),
            post(client, visit("/")),
        ):
            assert answer.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in client.get("/explore").headers, "which only TLS in front allows"


def test_where_tls_ends_in_front_the_cookie_needs_it(tmp_path: Path) -> None:
    with started(environment_of(tmp_path, cookie_secure="true")) as program, program.client() as client:
        answer = client.get("/login", headers={"X-Forwarded-Proto": "https"})
        [header] = answer.headers.get_list("set-cookie")
        assert header.startswith("__Host-nebuloviz=")
        assert "secure" in {part.strip().lower() for part in header.split(";")}
        assert int(answer.headers["strict-transport-security"].partition("max-age=")[2].partition(";")[0]) >= 31_536_000
        assert "strict-transport-security" in client.get("/api/v1/me").headers


class TestOtherSites:
    @pytest.mark.parametrize("headers", ELSEWHERE, ids=repr)
    def test_make_a_browser_change_nothing(self, target: Target, headers: dict[str, str]) -> None:
        client, here = target.browser("admin"), urlsplit(target.url)
        parts = {"scheme": here.scheme, "host": here.hostname, "port": here.port}
        sent = {name: value.format(**parts) for name, value in headers.items()}
        for path in CHANGES:
            answer = client.post(
                path, content=json.dumps(visit("/")), headers={"Content-Type": "application/json"} | sent
            )
            assert answer.status_code in {401, 403}, (path, answer.text[:200])
        assert client.get("/explore").status_code == 200

    @pytest.mark.parametrize(
        "kind",
        [
            "text/plain",
            "text/plain; application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
            "*/*",
        ],
    )
    def test_send_no_callback_as_a_form(self, target: Target, kind: str) -> None:
        client = target.browser("admin")
        answer = client.post("/_dash-update-component", content=json.dumps(visit("/")), headers={"Content-Type": kind})
        assert answer.status_code == 415
        sent = client.post("/uploads?name=x", content=b"sale_id\n1\n", headers={"Content-Type": kind})
        assert sent.status_code == 415

    @pytest.mark.parametrize(
        "method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "QUERY"]
    )
    def test_change_nothing_by_another_method(self, target: Target, method: str) -> None:
        client = target.browser("admin")
        for path in ("/logout", "/uploads?name=x", "/_dash-update-component"):
            assert client.request(method, path).status_code in {200, 400, 404, 405, 415}, path
        assert client.get("/explore").status_code == 200

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "*"])
    def test_may_read_nothing(self, target: Target, origin: str) -> None:
        asks = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        for client, path in ((target.browser("admin"), "/explore"), (target.api("admin"), "/api/v1/me")):
            for answer in (client.get(path, headers={"Origin": origin}), client.options(path, headers=asks)):
                assert not [name for name in answer.headers if name.startswith("access-control")]
                assert answer.headers["cross-origin-resource-policy"] == "same-origin"
                assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "target_",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\x01//evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/%5cevil.example",
        "/%09/evil.example",
        "//evil.example@127.0.0.1",
        "/..//evil.example",
        "/.//evil.example",
        "/;//evil.example",
        "//evil%E3%80%82example",
        "／／evil.example",
        "\u2028//evil.example",
    ],
    ids=ascii,
)
def test_nobody_is_led_elsewhere(target: Target, target_: str) -> None:
    """Whoever is signed in already is sent on at once, by the same rule as after signing in."""
    answer = target.browser("viewer").get("/login", params={"next": target_})
    place = answer.headers["location"]
    assert place.startswith("/")
    assert not place.startswith(("//", "/\\"))
    assert urlsplit(str(httpx.URL(target.url).join(place))).netloc == urlsplit(target.url).netloc
