"""Everybody x everything, over real HTTP against the running program, by the table in docs/permissions.md.

What is walked is what the running program says of itself: its pages, callbacks and routes. What the table does not name fails; so
does whoever gets to something that the table does not grant, or does not get to what it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from nebuloviz.permissions import ROLES, Permission
from tests.dash_requests import ROUTER, body_of, post, visit
from tests.program import PASSWORD, ROOT, Program, csrf_token, run

#: A role of one's own, unlike any ready-made one: it looks after the stream and the log, and decides on no alerts.
NIGHT_SHIFT = ["audit:read", "data:read", "sales:read", "stream:manage", "stream:read"]
PEOPLE = (*ROLES, "night_shift", "confined")
#: For what the program names in its addresses: something that there is where a page shows it, and nothing for what changes it.
_SOME = {
    "alert_id": "1",
    "incident_id": "1",
    "slug": "viewer",
    "user_id": "1",
    "kind": "csv",
    "token": "none",
    "name": "none",
}
_NONE = {
    "alert_id": "999999",
    "incident_id": "999999",
    "letter_id": "999999",
    "user_id": "999999",
    "token_id": "999999",
    "slug": "nobodys",
}

#: After these nobody could ask anything more.
_GOODBYES = {"POST /logout", "DELETE /api/v1/me/sessions"}

#: Prints which function stands behind each output.
_NAMES = """
import inspect, json
from nebuloviz import settings
from nebuloviz.bootstrap.parts import parts
from nebuloviz.web.app import create_dash
loaded = settings.load()
these = parts(loaded)
app = create_dash(services=these.services, database=these.database, settings=loaded)
functions = {name: inspect.unwrap(entry["callback"]) for name, entry in app.callback_map.items() if "callback" in entry}
print(json.dumps({name: f"{function.__module__}.{function.__name__}" for name, function in functions.items()}))
"""


@dataclass(frozen=True)
class Table:
    """The page of who may do what: what each thing needs, and what each role includes."""

    sections: dict[str, dict[str, str]]
    roles: dict[str, frozenset[str]]
    with_scope: frozenset[str]

    def need(self, section: str, name: str) -> str:
        assert name in self.sections[section], f"docs/permissions.md does not name {name} under {section}"
        return self.sections[section][name]


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`*") for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture(scope="module")
def table() -> Table:
    parts = re.split(r"^## (.+)$", (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    rows = {title: _rows(text) for title, text in zip(parts[1::2], parts[2::2], strict=True)}
    heads, _line, *granted = rows.pop("Roles")
    roles = {
        role: frozenset(row[0] for row in granted if row[place] == "yes") for place, role in enumerate(heads) if place
    }
    with_scope = roles.pop("with a row scope")
    sections = {title: {name: need for name, need, *_who in found[2:]} for title, found in rows.items()}
    return Table(sections, roles, with_scope)


@pytest.fixture(scope="module")
def may(table: Table) -> dict[str, frozenset[str]]:
    """Who -> what the table grants: a role's, that of the role of one's own, and a data scientist's who sees some rows only."""
    own = {"night_shift": frozenset(NIGHT_SHIFT), "confined": table.roles["data_scientist"] & table.with_scope}
    return table.roles | own


@pytest.fixture(scope="module", autouse=True)
def _people(program: Program) -> None:
    """The two users whom the program does not have yet, each named as in `PEOPLE`, made as an administrator would."""
    with api_client(program, "admin") as admin, program.client() as guest:
        made = admin.post("/api/v1/roles", json={"name": "Night shift", "permissions": NIGHT_SHIFT})
        assert sorted(made.json()["permissions"]) == NIGHT_SHIFT
        for name, role, scope in (
            *(("night_shift", "night_shift", {}), ("confined", "data_scientist", {"store": ["367"]})),
        ):
            path = admin.post("/api/v1/users", json={"username": name, "role": role, "scope": scope}).json()["path"]
            data = {"csrf_token": csrf_token(guest.get(path)), "new": PASSWORD, "again": PASSWORD}
            assert guest.post(path, data=data).status_code == 303


@contextmanager
def api_client(program: Program, who: str) -> Iterator[httpx.Client]:
    """A program that has signed in over the API."""
    with program.client() as client:
        given = client.post("/api/v1/auth/token", json={"username": who, "password": PASSWORD}).json()
        client.headers["Authorization"] = f"Bearer {given['access_token']}"
        yield client


def refused(answer: httpx.Response) -> bool:
    """Whether the role is why; nothing else may go wrong inside."""
    assert answer.status_code < 500, answer.text[:300]
    kind = answer.headers.get("Content-Type", "")
    code = answer.json().get("code") if kind.startswith("application/problem+json") else None
    return answer.status_code == 403 and code == "permission_denied"


def granted(need: str, permissions: frozenset[str]) -> bool:
    return need in {"public", "signed-in"} or need in permissions


def filled(path: str, values: dict[str, str]) -> str:
    """An address with something in the place of each of its variables."""
    return re.sub(r"[<{](?:\w+(?:\([^)]*\))?:)?(\w+)[>}]", lambda found: values.get(found[1], "none"), path)


class TestTable:
    def test_grants_roles_what_the_program_does(self, table: Table) -> None:
        assert table.roles == {role: {str(item) for item in permissions} for role, permissions in ROLES.items()}
        assert set().union(*table.roles.values()) == set(Permission)

    def test_names_everything_that_the_program_says_there_is(
        self, program: Program, table: Table, names: dict[str, str], callbacks: dict[str, Any]
    ) -> None:
        assert set(names) == set(callbacks)
        described = {"Dash's router" if name == ROUTER else names[name] for name in callbacks}
        assert described == set(table.sections["Callbacks"])
        document = program.as_("admin").get("/api/v1/openapi.json").json()
        for path, methods in document["paths"].items():
            for method in methods:
                table.need("Routes of the API and beside it", f"{method.upper()} {path}")


@pytest.fixture(scope="module")
def names(program: Program) -> dict[str, str]:
    """Output of each callback -> the function behind it."""
    found: dict[str, str] = json.loads(run(["-c", _NAMES], program.environment).splitlines()[-1])
    return found


@pytest.mark.parametrize("who", PEOPLE)
class TestEverybody:
    def test_gets_to_the_own_pages_alone(
        self, program: Program, table: Table, may: dict[str, frozenset[str]], who: str
    ) -> None:
        client, json_please = program.as_(who), {"Accept": "application/json"}
        for template, need in table.sections["Pages"].items():
            path = filled(template, _SOME)
            for answer in (client.get(path, headers=json_please), post(client, visit(path))):
                assert refused(answer) != granted(need, may[who]), (who, path, answer.status_code)
                assert refused(answer) or answer.status_code == 200, (who, path, answer.status_code)

    def test_gets_answers_from_the_own_callbacks_alone(
        self,
        program: Program,
        table: Table,
        may: dict[str, frozenset[str]],
        who: str,
        names: dict[str, str],
        callbacks: dict[str, Any],
    ) -> None:
        client = program.as_(who)
        for name, entry in callbacks.items():
            if name != ROUTER:
                need = table.need("Callbacks", names[name])
                answer = post(client, body_of(entry))
                assert refused(answer) != granted(need, may[who]), (who, names[name], answer.status_code)
                assert refused(answer) or answer.status_code in {200, 204}, (who, names[name], answer.text[:300])

    def test_gets_to_the_own_routes_of_the_dashboard_alone(
        self, program: Program, table: Table, may: dict[str, frozenset[str]], who: str
    ) -> None:
        for route, need in table.sections["Routes of the dashboard"].items():
            *methods, path = route.split(" ")
            if need in {"public", "its own"}:
                continue
            for method in methods:
                if f"{method} {path}" in _GOODBYES:
                    continue
                answer = program.as_(who).request(
                    method, filled(path, _SOME), headers={"Accept": "application/json"}, content=b""
                )
                assert refused(answer) != granted(need, may[who]), (who, method, path, answer.text[:300])

    def test_gets_to_the_own_routes_of_the_api_alone(
        self, program: Program, table: Table, may: dict[str, frozenset[str]], who: str
    ) -> None:
        with api_client(program, who) as client, program.client() as nobody:
            for route, need in table.sections["Routes of the API and beside it"].items():
                if need == "public":
                    continue
                method, path = route.rsplit(" ", 1)
                body: dict[str, str] | None = {} if method in {"POST", "PUT", "PATCH"} else None
                if route not in _GOODBYES:
                    answer = client.request(method, filled(path, _NONE), json=body)
                    assert refused(answer) != granted(need, may[who]), (who, route, answer.text[:300])
                assert nobody.request(method, filled(path, _NONE), json=body).status_code == 401, route


def test_a_change_of_the_role_counts_in_the_next_request(program: Program) -> None:
    """In the browser that is open, and with the token that is out."""
    browser = program.as_("night_shift")
    with api_client(program, "admin") as admin, api_client(program, "night_shift") as own:
        assert browser.get("/audit").status_code == own.get("/api/v1/audit").status_code == 200
        for permissions, status in ((["data:read"], 403), (NIGHT_SHIFT, 200)):
            changed = admin.put("/api/v1/roles/night_shift", json={"name": "Night shift", "permissions": permissions})
            assert changed.status_code == 200
            assert browser.get("/audit").status_code == own.get("/api/v1/audit").status_code == status
            assert ("/audit" in str(browser.get("/_dash-layout").json())) == (status == 200)
