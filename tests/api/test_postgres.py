"""The same API over PostgreSQL, whose driver is another one, and while PostgreSQL is away."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from schemathesis import GenerationMode

from nebuloviz.settings import load
from tests.api.conftest import PASSWORD, Api, running_api
from tests.api.test_data import END, START, sale
from tests.api.test_openapi import EXAMPLES, PATIENT, USUAL_EXAMPLES, operations, send_all
from tests.program import environment_of, run, started
from tests.servers import PostgresServer

QUERY = {"metrics": ["lines", "revenue"], "dimensions": ["category"], "start": START, "end": END, "order": "category"}


@pytest.fixture
def api(postgres_url: str) -> Iterator[Api]:
    secret = "a-secret-of-the-tests-0123456789abcdef"
    with running_api(load(database_url=postgres_url, secret_key=secret, requests_per_minute=0)) as running:
        yield running


def test_sales_come_back_as_figures(api: Api) -> None:
    with api.client("admin") as client:
        posted = client.post("/api/v1/sales", json=[sale(number) for number in range(8)] + [{"sale_id": "bad"}])
        assert (posted.json()["accepted"], posted.json()["rejected"]) == (8, 1)
        answer = client.post("/api/v1/query", json=QUERY)
        assert answer.json()["rows"] == [["<b>Deli</b>", 4, 10.0], ["Dairy", 4, 10.0]]
        assert len(client.get("/api/v1/alerts").json()["items"]) == 7
        assert client.get("/api/v1/alerts/999999").status_code == 404


def test_second_use_of_a_refresh_token_ends_its_family(api: Api) -> None:
    with api.client() as client:
        first = client.post("/api/v1/auth/token", json={"username": "viewer", "password": PASSWORD}).json()
        bodies = [{"refresh_token": first["refresh_token"]}] * 2
        assert [client.post("/api/v1/auth/refresh", json=body).status_code for body in bodies] == [200, 401]
        headers = {"Authorization": f"Bearer {first['access_token']}"}
        assert client.get("/api/v1/me", headers=headers).status_code == 401


@pytest.mark.faults
def test_without_the_database_it_says_so_and_heals(api: Api, postgres: PostgresServer) -> None:
    with api.client("admin") as client:
        assert client.get("/api/v1/alerts").status_code == 200
        postgres.kill()
        for path in ("/api/v1/alerts", "/api/v1/me", "/api/v1/series?metric=lines&start=2026-03-01&end=2026-03-02"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
        sign_in = client.post("/api/v1/auth/token", json={"username": "viewer", "password": PASSWORD})
        assert sign_in.status_code == 503
        assert client.get("/healthz").status_code == 200
        postgres.start()
        deadline = time.monotonic() + 20
        while (status := client.get("/api/v1/alerts").status_code) == 503 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert status == 200


def test_before_its_tables_are_there_it_says_so(postgres_url: str, tmp_path: Path) -> None:
    environment = environment_of(
        tmp_path, database_url=postgres_url, secret_key="a-secret-of-the-tests-0123456789abcdef"
    )
    with started(environment) as program, program.client() as client:
        answer = client.post("/api/v1/auth/token", json={"username": "admin", "password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
        assert program.sign_in(client, "admin", PASSWORD).status_code == 503
        assert client.get("/readyz").status_code == 503
        run(["-m", "nebuloviz", "migrate"], environment)
        deadline = time.monotonic() + 60
        while program.sign_in(client, "admin", PASSWORD).status_code != 303 and time.monotonic() < deadline:
            time.sleep(0.5)
        assert client.get("/readyz").status_code == 200


@pytest.mark.faults
def test_connections_that_rested_through_a_restart_are_made_anew(api: Api, postgres: PostgresServer) -> None:
    with api.client("admin") as client:
        assert client.get("/api/v1/alerts").status_code == 200
        postgres.restart()
        time.sleep(1.5)
        assert client.get("/api/v1/alerts").status_code == 200


@PATIENT
def test_it_is_as_described_here_too(api: Api) -> None:
    """A look at every operation; `NEBULOVIZ_TEST_EXAMPLES` makes it a thorough one, as for `test_openapi`."""
    for operation in operations():
        for mode in GenerationMode:
            send_all(api, operation, mode, EXAMPLES if EXAMPLES > USUAL_EXAMPLES else 1)
