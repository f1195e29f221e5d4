"""The first sign-in: insists on an own password where it was generated, and on nothing where the environment gave it."""

import re
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.program import PASSWORD, Program, csrf_token, environment_of, started

OWN = "a password of my own"
CHOICES = {
    "language": "de",
    "time_zone": "Asia/Kolkata",
    "currency": "EUR",
    "week_start": "6",
    "fiscal_year_start": "4",
}


def generated(program: Program) -> str:
    found = re.search(r'Sign in as admin with the password ([^\s"]+)', program.log.read_text())
    assert found
    return found[1]


def answer(client: httpx.Client, **form: str) -> httpx.Response:
    return client.post("/first-run", data={"csrf_token": csrf_token(client.get("/first-run")), **form})


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    environment = environment_of(tmp_path_factory.mktemp("fresh"))
    del environment["NEBULOVIZ_ADMIN_PASSWORD"]
    return environment


def test_a_generated_password_leads_to_the_first_questions_and_then_to_the_dashboard(fresh: dict[str, str]) -> None:
    with started(fresh) as program:
        given = generated(program)
        with closing(program.client()) as api:
            refused = api.post("/api/v1/auth/token", json={"username": "admin", "password": given})
            assert refused.json()["code"] == "password_change_required"
        with closing(program.signed_in("admin", given)) as client:
            assert client.get("/").headers["location"] == "/first-run"
            assert client.get("/settings").headers["location"] == "/first-run"
            assert client.get("/_dash-layout").json()["code"] == "password_change_required"
            page = client.get("/first-run")
            assert page.text.count("<select") == len(CHOICES)
            passwords = {"current": given, "new": OWN, "again": OWN}
            for wrong in (
                {"again": "another"},
                {"current": "not it"},
                {"new": "password", "again": "password"},
                {"language": "xx"},
                {"week_start": "7"},
                {"csrf_token": "forged"},
            ):
                found = answer(client, **(passwords | CHOICES | wrong))
                assert found.status_code in {401, 403, 422}, wrong
                assert "nv-login-problem" in found.text
            assert answer(client, **passwords, **CHOICES).status_code == 303
            assert client.get("/").status_code == 200
            assert 'lang="de"' in client.get("/").text
            assert client.get("/password").status_code == 200
        with closing(program.client()) as api:
            token = api.post("/api/v1/auth/token", json={"username": "admin", "password": OWN}).json()["access_token"]
            values = api.get("/api/v1/settings", headers={"Authorization": f"Bearer {token}"}).json()["values"]
            assert {name: str(values[name]) for name in CHOICES} == CHOICES


def test_a_password_of_the_environment_opens_everything_at_once(tmp_path: Path) -> None:
    with started(environment_of(tmp_path)) as program:
        with closing(program.client()) as api:
            given = api.post("/api/v1/auth/token", json={"username": "admin", "password": PASSWORD})
            assert given.status_code == 200
        with closing(program.signed_in("admin")) as client:
            assert client.get("/").status_code == 200
            page = client.get("/first-run")  # offered, and without a password
            assert 'type="password"' not in page.text
            assert answer(client, **CHOICES).headers["location"] == "/"
