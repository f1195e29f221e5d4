"""Every callback over real HTTP: who may call it, whatever it is sent."""

import json
import re
from typing import Any

import pytest

from nebuloviz.permissions import ROLES, Permission
from tests.dash_requests import ROUTER, UPDATE, body_of, post, visit
from tests.program import Program

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


class TestFigures:
    def test_of_times_name_the_page_that_asks(self, program: Program, callbacks: dict[str, Any]) -> None:
        client = program.as_("admin")
        entry = next(
            each for each in callbacks.values() if any(item["id"] == "shell-interval" for item in each["inputs"])
        )
        for path in ("/alerts/7?range=7d", "/no/such/page"):
            assert post(client, body_of(entry), Referer=program.url + path).status_code < 500
        assert post(client, body_of(entry), Referer="http://[").status_code < 500
        pages = set(
            re.findall(r'^nebuloviz_callback_seconds_count\{.*page="([^"]*)"', metrics_of(program), re.MULTILINE)
        )
        assert {"/alerts/<alert_id>", "none"} <= pages
        assert not [page for page in pages if "such" in page or "?" in page or "[" in page]

    def test_do_not_grow_with_what_a_client_makes_up(self, program: Program, callbacks: dict[str, Any]) -> None:
        client = program.as_("admin")
        entry = next(iter(callbacks.values()))

        def make_up(number: int) -> None:
            client.get(f"/made-up-{number}")
            client.get(f"/api/v1/made-up-{number}")
            client.request(f"MADE{number}", "/api/v1/alerts")
            post(client, body_of(entry) | {"output": f"made-up-{number}.children"})
            post(client, body_of(entry), Referer=f"{program.url}/made-up-{number}")

        make_up(0)
        before = series_of(program)
        for number in range(1, 20):
            make_up(number)
        assert series_of(program) == before


def metrics_of(program: Program) -> str:
    with program.client() as client:
        return client.get("/metrics").text


def series_of(program: Program) -> set[str]:
    """The series of requests and callbacks, with their labels."""
    lines = re.findall(r"^(nebuloviz_(?:http|callback)_\S+\{.*\}) ", metrics_of(program), re.MULTILINE)
    return {line for line in lines if "_bucket" not in line}
