"""The edge of the dashboard over real HTTP: what nobody may, pages in many spellings, other sites and headers."""

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from nebuloviz.permissions import ROLES, Permission
from tests.dash_requests import JSON, UPDATE, body_of, post, visit
from tests.program import ROOT, Program, run
from tests.served import raw

#: Page -> what it needs.
PAGES: dict[str, Permission] = {
    "/": Permission.DATA_READ,
    "/explore": Permission.DATA_READ,
    "/insights": Permission.DATA_READ,
    "/profile": Permission.DATA_READ,
    "/alerts": Permission.ALERTS_READ,
    "/alerts/1": Permission.ALERTS_READ,
    "/incidents/1": Permission.ALERTS_READ,
    "/calendar": Permission.ALERTS_READ,
    "/calendar/1": Permission.ALERTS_MANAGE,
    "/calendar/new": Permission.ALERTS_MANAGE,
    "/detectors": Permission.ALERTS_READ,
    "/lessons": Permission.ALERTS_READ,
    "/notifications": Permission.ALERTS_READ,
    "/notifications/1": Permission.ALERTS_READ,
    "/notifications/new": Permission.ALERTS_READ,
    "/rules": Permission.ALERTS_READ,
    "/rules/1": Permission.ALERTS_READ,
    "/rules/new": Permission.ALERTS_READ,
    "/data": Permission.STREAM_READ,
    "/audit": Permission.AUDIT_READ,
    "/status": Permission.SETTINGS_MANAGE,
    "/users": Permission.USERS_MANAGE,
    "/users/new": Permission.USERS_MANAGE,
    "/users/import": Permission.USERS_MANAGE,
    "/users/1": Permission.USERS_MANAGE,
    "/roles": Permission.USERS_MANAGE,
    "/roles/new": Permission.USERS_MANAGE,
    "/roles/viewer": Permission.USERS_MANAGE,
}


class TestNobody:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/explore",
            "/alerts/1",
            "/data",
            "/admin",
            "/nope",
            "//",
            "/./",
            "/index.html",
            "/EXPLORE",
            "/explore/",
            "/%65xplore",
            "/login/",
            "/login/x",
            "/loginx",
            "/assets",
            "/assetsx/tokens.css",
            "/assets/../explore",
            "/assets/%2e%2e/explore",
            "/_dash-component-suites/../explore",
            "/vendor",
            "/export/csv",
            "/uploads",
            "/logout",
            "/password",
            "/_reload-hash",
            "/_mcp",
            "/_alive_x",
            "/static/x",
        ],
    )
    def test_is_sent_to_sign_in(self, program: Program, path: str) -> None:
        answer = raw(program.url, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = int(answer.split(b" ")[1])
        assert status in {302, 308, 404, 405}, answer[:300]
        assert b"Location: /login" in answer or b"location: /login" in answer or status != 302
        assert b"nv-frame" not in answer

    @pytest.mark.parametrize("path", ["/_dash-layout", "/_dash-dependencies", "/_dash-layout?x=1", "/%5Fdash-layout"])
    def test_learns_nothing_of_the_layout(self, program: Program, path: str) -> None:
        with program.client() as client:
            answer = client.get(path)
        assert answer.status_code == 401
        assert answer.json()["code"] == "not_signed_in"

    def test_cannot_call_any_callback(self, program: Program, callbacks: dict[str, Any]) -> None:
        with program.client() as client:
            for entry in callbacks.values():
                assert post(client, body_of(entry)).status_code == 401
            assert post(client, visit("/")).status_code == 401
            for body in (b"", b"{}", b"[", b"null"):
                assert post(client, body).status_code == 401

    @pytest.mark.parametrize(
        "path",
        [
            "/login",
            "/assets/tokens.css",
            "/assets/clientside.js",
            "/vendor/bootstrap/bootstrap.min.css",
            "/vendor/bootstrap/fonts/bootstrap-icons.woff2",
            "/locale/ar.js",
            "/_favicon.ico",
        ],
    )
    def test_gets_what_the_sign_in_page_needs(self, program: Program, path: str) -> None:
        with program.client() as client:
            assert client.get(path).status_code == 200

    @pytest.mark.parametrize(
        "path",
        [
            "/assets/nope.css",
            "/assets/..%2fapp.py",
            "/assets/%2e%2e/%2e%2e/etc/passwd",
            "/assets/....//app.py",
            "/assets/\\..\\app.py",
            "/vendor/bootstrap/bootstrap.min.js",
            "/vendor/../web/guard.py",
            "/vendor/..%2f..%2fetc%2fpasswd",
            "/vendor/%2fetc%2fpasswd",
            "/locale/xx.js",
            "/locale/..%2fen.js",
            "/_dash-component-suites/os/os.py",
            "/_dash-component-suites/nebuloviz/settings.py",
            "/_dash-component-suites/dash/dash.py",
            "/_dash-component-suites/dash/../../etc/passwd",
            "/_dash-component-suites/dash/deps/..%2f..%2fdash.py",
            "/_dash-component-suites/dash/x",
            "/_dash-component-suites/dash/x.v1m1",
        ],
    )
    def test_gets_no_other_file(self, program: Program, path: str) -> None:
        answer = raw(program.url, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert int(answer.split(b" ")[1]) in {302, 404}, answer[:300]


class TestPages:
    @pytest.mark.parametrize("role", sorted(ROLES))
    @pytest.mark.parametrize("path", sorted(PAGES))
    def test_open_for_the_roles_that_the_table_names(self, program: Program, role: str, path: str) -> None:
        allowed = PAGES[path] in ROLES[role]
        client = program.as_(role)
        for spelled in (path, f"{path}?utm_source=x", path.rstrip("/") + "/"):
            assert client.get(spelled).status_code == (200 if allowed else 403)
            assert post(client, visit(spelled.partition("?")[0])).status_code == (200 if allowed else 403)

    @pytest.mark.parametrize(
        "path", ["/nope", "/admin", "/explore/x", "/Explore", "/explore%00", "/é", "/" + "x" * 70_000]
    )
    def test_that_do_not_exist_are_404(self, program: Program, path: str) -> None:
        client = program.as_("admin")
        if len(path) < 5000:
            assert client.get(path).status_code in {400, 404}
        answer = post(client, visit(path))
        assert answer.status_code in {400, 404} or "There is no such page" in answer.text

    def test_that_are_typed_and_do_not_exist_show_the_app_with_its_ways_to_others(self, program: Program) -> None:
        client = program.as_("viewer")
        answer = client.get("/nope", headers={"Accept": "text/html"})
        assert (answer.status_code, "react-entry-point" in answer.text) == (404, True)
        assert "There is no such page" in post(client, visit("/nope")).text
        refused = client.get("/nope", headers={"Accept": "application/json"})
        assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")

    def test_of_the_registry_are_those_of_the_table(self, program: Program) -> None:
        """A page that the table does not name would be one that nobody has thought about."""
        files = (ROOT / "pages").glob("[!_]*.py")
        found = {path.stem for path in files if "\nregister_page(" in path.read_text()}
        assert found == {
            *(
                "overview",
                "explore",
                "alerts",
                "alert",
                "calendar",
                "calendar_entry",
                "incident",
                "detectors",
                "insights",
                "lessons",
                "notifications",
                "notification",
                "rules",
                "rule",
            ),
            *("data", "audit"),
            *("users", "users_import", "user", "roles", "role", "profile", "settings", "status", "not_found_404"),
        }

    @pytest.mark.parametrize(
        ("path", "search"),
        [
            ("/", "?x=1&x=2&self=3&path=4"),
            ("/alerts/1", "?alert_id=2"),
            ("/alerts/1", "?alert_id=1&alert_id=2"),
            ("/alerts/x", ""),
            ("/alerts/-1", ""),
            ("/alerts/99999999999999999999999", ""),
            ("/alerts/\n1", ""),
            ("/alerts/1/2/3", ""),
            ("/explore", "?from=x&to=y&m=nope&by=nope&f.x=1&limit=-1&grain=eon&tz=Mars"),
            ("/explore", "?m=revenue&m=revenue&by=category&by=category&chart=pie"),
            ("/explore", "?" + "&".join(f"f.category={n}" for n in range(900))),
            ("/explore", "?q=" + "\u0000\ud83d\ude00%ff%00"),
            ("/", "no question mark"),
            ("/", None),
        ],
    )
    def test_survive_any_parameters(self, program: Program, path: str, search: str | None) -> None:
        answer = post(program.as_("admin"), visit(path, search))
        assert answer.status_code in {200, 204, 404}, answer.text

    @pytest.mark.parametrize("value", [None, 5, True, [], {}, ["/"], {"a": 1}])
    def test_a_path_that_is_no_text_is_refused(self, program: Program, value: object) -> None:
        client = program.as_("admin")
        assert post(client, visit(value)).status_code == 400
        if value is not None:
            assert post(client, visit("/", value)).status_code == 400


class TestOtherSites:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://127.0.0.1"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": "http://127.0.0.1.evil.example"},
            {"Origin": "file://"},
            {"Origin": "http://["},
            {"Referer": "https://evil.example/x"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
        ],
    )
    def test_cannot_make_a_browser_change_anything(self, program: Program, headers: dict[str, str]) -> None:
        sent = {name: value.replace("{own}", program.url) for name, value in headers.items()}
        client = program.as_("admin")
        for path in (UPDATE, "/logout", "/password", "/uploads"):
            answer = client.post(path, content=json.dumps(visit("/")), headers=JSON | sent)
            assert answer.status_code == 403, (path, answer.text)
        assert client.get("/").status_code == 200

    def test_our_own_pages_can(self, program: Program) -> None:
        client = program.as_("admin")
        for headers in (
            {"Origin": program.url, "Sec-Fetch-Site": "same-origin"},
            {"Referer": f"{program.url}/explore"},
            {},
        ):
            assert post(client, visit("/"), **headers).status_code == 200

    @pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL"])
    def test_headers_do_not_change_where_we_are(self, program: Program, header: str) -> None:
        with program.client() as client:
            answer = client.get("/explore", headers={header: "evil.example"})
        assert answer.headers["location"] == "/login?next=/explore"
        assert "evil" not in program.as_("admin").get("/", headers={header: "evil.example"}).text

    @pytest.mark.parametrize("path", ["/logout", "/uploads"])
    def test_a_get_changes_nothing(self, program: Program, path: str) -> None:
        client = program.as_("admin")
        assert client.get(path).status_code in {404, 405}
        assert client.get("/").status_code == 200


class TestHeaders:
    @pytest.mark.parametrize("path", ["/", "/login", "/nope", "/_dash-layout", "/assets/tokens.css", "/export/csv"])
    def test_protect_every_page(self, program: Program, path: str) -> None:
        with program.client() as nobody:
            answers = [nobody.get(path), program.as_("admin").get(path)]
        for headers in (answer.headers for answer in answers):
            policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
            assert policy["default-src"] == "'none'"
            assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert policy["connect-src"] == policy["form-action"] == "'self'"
            assert "unsafe" not in policy["script-src"]
            assert not re.search(r"https?:|\*", headers["content-security-policy"])
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["x-frame-options"] == "DENY"
            assert "server" not in headers

    def test_nothing_of_a_user_is_kept_by_caches(self, program: Program) -> None:
        client = program.as_("admin")
        for path in ("/", "/login", "/password", "/_dash-layout", "/_dash-dependencies", "/nope"):
            assert client.get(path).headers["cache-control"] == "no-store"
        assert post(client, visit("/")).headers["cache-control"] == "no-store"

    def test_every_inline_script_is_allowed_by_its_hash_alone(self, program: Program) -> None:
        answer = program.as_("admin").get("/")
        scripts = re.findall(r"<script(?![^>]*(?:src=|json))[^>]*>(.*?)</script>", answer.text, re.DOTALL)
        assert scripts
        for script in scripts:
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]

    def test_pages_load_nothing_from_elsewhere(self, program: Program) -> None:
        page = program.as_("admin").get("/").text
        assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)


class TestStart:
    def test_is_refused_while_a_callback_or_page_declares_nothing(self, program: Program) -> None:
        code = """
import sys, dash
from dash import Input, Output
from nebuloviz import settings
from nebuloviz.bootstrap.parts import parts
from nebuloviz.errors import ConfigurationError
from nebuloviz.web.app import create_dash
dash.callback(Output("a", "children"), Input("b", "value"))(lambda value: value)
loaded = settings.load()
these = parts(loaded)
try:
    create_dash(services=these.services, database=these.database, settings=loaded)
except ConfigurationError as error:
    print(error.message)
"""
        assert "a.children" in run(["-c", code], program.environment)
