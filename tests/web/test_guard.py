"""The edge of the dashboard over real HTTP: every role against every page, callback and route, and attacks in many spellings."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from nebuloviz.permissions import ROLES, Permission
from nebuloviz.web.files import name_of_lines
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

#: Beginning of a callback's first output (or '' for those without one) -> what it needs, where it is more than reading data.
NEEDS: dict[str, Permission] = {
    "data-": Permission.STREAM_READ,
    "audit-": Permission.AUDIT_READ,
    "status-": Permission.SETTINGS_MANAGE,
    "user": Permission.USERS_MANAGE,
    "role": Permission.USERS_MANAGE,
    "alert": Permission.ALERTS_READ,
    "calendar": Permission.ALERTS_READ,
    "detectors": Permission.ALERTS_READ,
    "incident": Permission.ALERTS_READ,
    "notification": Permission.ALERTS_READ,
    "rule": Permission.ALERTS_READ,
    "taught": Permission.ALERTS_READ,
}
ROUTER = ".._pages_content.children..._pages_store.data.."
UPDATE = "/_dash-update-component"
JSON = {"Content-Type": "application/json"}


#: Components whose value is never null in a browser.
NEVER_EMPTY: dict[str, Any] = {"alert-id": 1}


def body_of(entry: dict[str, Any], value: Any = None) -> dict[str, Any]:
    """A request for a callback as the browser would send it, every input and state being `value`."""
    inputs = [_part(item, value) for item in entry["inputs"]]
    names = [name for name in entry["output"].strip(".").split("...") if name]
    outputs = [_output(name) for name in names]
    return {
        "output": entry["output"],
        "outputs": outputs if entry["output"].startswith("..") else outputs[0] if outputs else [],
        "inputs": inputs,
        "state": [_part(item, value) for item in entry["state"]],
        "changedPropIds": [],
    }


def _part(item: dict[str, Any], value: Any) -> Any:
    if not item["id"].startswith("{"):
        own = item["id"] if item["property"] == "id" else value if value is not None else NEVER_EMPTY.get(item["id"])
        return {"id": item["id"], "property": item["property"], "value": own}
    pattern = json.loads(item["id"])
    concrete = {key: "x" if isinstance(part, list) else part for key, part in pattern.items()}
    part = {"id": concrete, "property": item["property"], "value": concrete if item["property"] == "id" else value}
    return [part] if ["ALL"] in pattern.values() else part


def _output(name: str) -> dict[str, Any]:
    component, _dot, prop = name.rpartition(".")
    if component.startswith("{"):
        pattern = json.loads(component.replace("\\.", "."))
        return {"id": {key: "x" if isinstance(part, list) else part for key, part in pattern.items()}, "property": prop}
    return {"id": component, "property": prop}


def post(client: httpx.Client, content: bytes | str | dict[str, Any], **headers: str) -> httpx.Response:
    data = json.dumps(content) if isinstance(content, dict) else content
    return client.post(UPDATE, content=data, headers=JSON | headers)


def visit(path: object, search: object = "") -> dict[str, Any]:
    """What the browser sends when it comes to `path`."""
    return {
        "output": ROUTER,
        "outputs": [{"id": "_pages_content", "property": "children"}, {"id": "_pages_store", "property": "data"}],
        "inputs": [
            {"id": "_pages_location", "property": "pathname", "value": path},
            {"id": "_pages_location", "property": "search", "value": search},
        ],
        "changedPropIds": ["_pages_location.pathname"],
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
        found = {path.stem for path in (ROOT / "pages").glob("[!_]*.py")}
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


class TestCallbacks:
    def test_each_declares_a_permission(self, declared: dict[str, str], callbacks: dict[str, Any]) -> None:
        assert set(declared) == set(callbacks)
        assert {need for need in declared.values() if need != "router"} <= {str(item) for item in Permission}
        assert [name for name, need in declared.items() if need == "router"] == [ROUTER]

    @pytest.mark.parametrize("role", sorted(ROLES))
    def test_run_for_the_roles_that_may(
        self, program: Program, role: str, declared: dict[str, str], callbacks: dict[str, Any]
    ) -> None:
        client = program.as_(role)
        for name, need in declared.items():
            if need == "router":
                continue
            answer = post(client, body_of(callbacks[name]))
            allowed = need in ROLES[role]
            assert (answer.status_code in {200, 204}) == allowed, (name, need, answer.status_code, answer.text[:300])
            assert allowed or answer.status_code == 403

    def test_of_a_page_need_at_least_what_the_page_needs(self, declared: dict[str, str]) -> None:
        for name, need in declared.items():
            for beginning, least in NEEDS.items():
                if name.strip(".").startswith(beginning):
                    roles = {role for role in ROLES if need in ROLES[role]}
                    assert roles <= {role for role in ROLES if least in ROLES[role]}, (name, need)

    @pytest.mark.parametrize(
        "value",
        [
            -1,
            1e308,
            True,
            "\x00",
            "2026-13-45",
            [],
            [[None]],
            {"a": {"b": []}},
            ["x"] * 50,
        ],
        ids=repr,
    )
    def test_survive_any_value(self, program: Program, callbacks: dict[str, Any], value: object) -> None:
        client = program.as_("admin")
        for name, entry in callbacks.items():
            if name != ROUTER:
                answer = post(client, body_of(entry, value))
                assert answer.status_code < 500, (name, value, answer.text[:300])

    @pytest.mark.parametrize("trigger", ["x.y", "", "{", '{"a":1}.n_clicks', "its own"])
    def test_survive_any_trigger(self, program: Program, callbacks: dict[str, Any], trigger: str) -> None:
        client = program.as_("admin")
        for name, entry in callbacks.items():
            patterns = [item for item in entry["inputs"] if item["id"].startswith("{")]
            for item in patterns[:1]:
                own = f"{json.dumps(dict.fromkeys(json.loads(item['id']), 'x'))}.{item['property']}"
                changed = [own if trigger == "its own" else trigger]
                answer = post(client, body_of(entry, 1) | {"changedPropIds": changed})
                assert answer.status_code < 500, (name, answer.text[:300])
                assert "internal_error" not in answer.text, name


class TestMalformedBodies:
    @pytest.mark.parametrize(
        ("content", "status"),
        [
            (b"", 400),
            (b"{}", 400),
            (b"[]", 400),
            (b"null", 400),
            (b"5", 400),
            (b'"x"', 400),
            (b"{", 400),
            (b"\xff", 400),
            (b"NaN", 400),
            (b'{"output": NaN}', 400),
            (b'{"output": "\\ud800"}', 400),
            (b"[" * 100_000, 400),
            (b'{"output":' * 100_000, 400),
            (b'{"output": ' + b"9" * 5000 + b"}", 400),
            (b'{"output": null}', 400),
            (b'{"output": ["a"]}', 400),
            (b'{"output": {"a": 1}}', 400),
            (b'{"output": "nope.children"}', 404),
            (b'{"output": ""}', 404),
            (b'{"output": "__class__"}', 404),
            (b'{"output": "' + b"x" * 9_000_000 + b'"}', 413),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_are_refused(self, program: Program, content: bytes, status: int) -> None:
        answer = post(program.as_("admin"), content)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Traceback" not in answer.text

    @pytest.mark.parametrize("part", ["inputs", "outputs", "state", "changedPropIds"])
    @pytest.mark.parametrize(
        "value",
        [None, 5, "x", {}, [], [5], [None], ["x"], [{}], [[{}]], [{"id": "x"}], [{"id": {}, "property": 5}] * 3],
        ids=repr,
    )
    def test_parts_of_the_wrong_form_are_refused(
        self, program: Program, callbacks: dict[str, Any], part: str, value: object
    ) -> None:
        client = program.as_("admin")
        entry = callbacks[ROUTER]
        stamp = next(entry for name, entry in callbacks.items() if "shell-stamp" in name)
        for body in (visit("/"), body_of(entry), body_of(stamp)):
            answer = post(client, body | {part: value})
            fits = (part == "state" and value == [] and body["output"] == ROUTER) or (
                part == "changedPropIds" and value in ([], ["x"])
            )
            assert answer.status_code in ({200, 204, 400} if fits else {400}), answer.text

    @pytest.mark.parametrize("value", [True, 1.5, [1], [None], {}, {"a": 1}], ids=repr)
    def test_values_of_the_wrong_type_are_refused(
        self, program: Program, callbacks: dict[str, Any], value: object
    ) -> None:
        client = program.as_("admin")
        checked = 0
        for entry in callbacks.values():
            body = body_of(entry)
            for item in (*body["inputs"], *body["state"]):
                if isinstance(item, dict) and item["property"] in {"n_clicks", "search", "pathname", "start_date"}:
                    kept, item["value"] = item.get("value"), value
                    assert post(client, body).status_code == 400
                    item["value"] = kept
                    checked += 1
        assert checked > 20

    def test_callbacks_that_run_in_the_browser_are_not_run_here(self, program: Program) -> None:
        client = program.as_("admin")
        for entry in client.get("/_dash-dependencies").json():
            if entry["clientside_function"]:
                assert post(client, body_of(entry)).status_code == 404

    @pytest.mark.parametrize(
        "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
    )
    def test_another_type_of_content_is_refused(self, program: Program, content_type: str) -> None:
        client = program.as_("admin")
        answer = client.post(UPDATE, content=json.dumps(visit("/")), headers={"Content-Type": content_type})
        assert answer.status_code == 415


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


class TestFiles:
    @pytest.mark.parametrize("role", sorted(ROLES))
    def test_uploads_need_the_permission_to_write_sales(self, program: Program, role: str) -> None:
        answer = program.as_(role).post(
            "/uploads?name=a.csv", content=b"a,b\n1,2\n", headers={"Content-Type": "application/octet-stream"}
        )
        allowed = Permission.SALES_WRITE in ROLES[role]
        assert answer.status_code == (201 if allowed else 403)
        assert not allowed or re.fullmatch(r"[0-9a-f]{32}", answer.json()["upload_id"])

    @pytest.mark.parametrize("chunked", [False, True])
    def test_uploads_are_kept_whole_and_limited(self, program: Program, chunked: bool) -> None:
        client = program.as_("admin")
        headers = {"Content-Type": "application/octet-stream"}
        for size, status in ((999_999, 201), (1_000_001, 413), (3_000_000, 413)):
            pieces = (b"x" * 1000 for _ in range(size // 1000)), b"x" * (size % 1000)
            content: Any = (part for part in [*pieces[0], pieces[1]]) if chunked else b"x" * size
            answer = client.post("/uploads?name=a.csv", content=content, headers=headers)
            assert answer.status_code == status, answer.text
            if status == 201:
                kept = program_data(program) / "uploads" / answer.json()["upload_id"]
                assert kept.stat().st_size == size

    @pytest.mark.parametrize(
        "name",
        [
            "../../x.csv",
            "a\r\nSet-Cookie: x=1",
            "<img src=x>.csv",
            "\u202egnp.csv",
            "x" * 5000,
            "",
            "a/b\\c",
            "con.csv",
        ],
    )
    def test_names_of_uploads_are_only_words(self, program: Program, name: str) -> None:
        answer = program.as_("admin").post(
            "/uploads", params={"name": name}, content=b"a\n1\n", headers={"Content-Type": "application/octet-stream"}
        )
        assert answer.status_code == 201
        assert "x" not in answer.cookies
        assert {path.parent.name for path in program_data(program).rglob("*.csv")} <= {program_data(program).name}

    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_exports_are_downloads(self, program: Program, kind: str) -> None:
        query = "?m=revenue&by=category&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z"
        answer = program.as_("viewer").get(f"/export/{kind}{query}")
        assert answer.status_code == 200
        assert re.fullmatch(rf'attachment; filename="[\w.-]+\.{kind}"', answer.headers["content-disposition"])
        assert answer.headers["cache-control"] == "no-store"

    def test_of_a_heat_map_are_the_heat_map(self, program: Program) -> None:
        week = "?m=revenue&grain=hour&shape=week&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z"
        answer = program.as_("viewer").get(f"/export/csv{week}")
        assert [len(row.split(",")) for row in answer.text.splitlines()] == [25] * 8
        assert "revenue-by-weekday-and-hour-2026-11-01" in answer.headers["content-disposition"]
        pairs = "?m=revenue&by=store&by=channel&shape=pairs&top=5&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z"
        answer = program.as_("viewer").get(f"/export/csv{pairs}")
        assert answer.text.removeprefix("\ufeff").startswith("Revenue: Store × Channel")
        assert "revenue-by-store-channel-2026-11-01" in answer.headers["content-disposition"]

    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_so_are_the_sale_lines_for_those_who_may_see_them(self, program: Program, kind: str) -> None:
        path = f"/export/lines/{kind}?m=revenue&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z"
        answer = program.as_("analyst").get(path)
        assert answer.status_code == 200
        name = f"sale-lines-2026-11-01-2026-11-21.{kind}"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert program.as_("viewer").get(path).status_code == 403

    def test_of_too_many_lines_are_named_as_what_they_hold(self) -> None:
        assert [name_of_lines(count) for count in (20_000, 20_001)] == ["sale-lines", "sale-lines-newest-20000"]

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/export/pdf?m=revenue&from=2026-11-01&to=2026-11-02", 404),
            ("/export/csv", 422),
            ("/export/csv?m=nope&from=2026-11-01&to=2026-11-02", 422),
            ("/export/csv?m=revenue%0d%0aSet-Cookie:x&from=2026-11-01&to=2026-11-02", 422),
            ("/export/csv?m=revenue&from=x&to=y", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&limit=1e9", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&tz=../../etc/passwd", 422),
            ("/export/csv?m=revenue&from=0001-01-01&to=9999-12-31&grain=minute", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&f.category=%00", 400),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&shape=cube", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&shape=week", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&by=store&shape=pairs", 422),
        ],
    )
    def test_exports_that_cannot_be_made_are_refused(self, program: Program, path: str, status: int) -> None:
        assert program.as_("viewer").get(path).status_code == status


def program_data(program: Program) -> Path:
    return Path(program.environment["NEBULOVIZ_DATA_DIR"])


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
