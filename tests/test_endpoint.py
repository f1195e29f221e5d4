"""Health and figures of a process that serves no pages, and the probe that asks for them."""

from collections.abc import Iterator

import httpx
import pytest

from nebuloviz import settings
from nebuloviz.endpoint import Endpoint
from nebuloviz.errors import ConfigurationError
from nebuloviz.observability import EXPOSITION_TYPE, Health, HealthChecks
from nebuloviz.probe import probe
from tests.servers import HOST, free_port


@pytest.fixture
def health() -> HealthChecks:
    return HealthChecks()


@pytest.fixture
def endpoint(health: HealthChecks) -> Iterator[Endpoint]:
    endpoint = Endpoint(HOST, 0, health)
    endpoint.start()
    yield endpoint
    endpoint.stop()


class TestEndpoint:
    def test_is_alive_and_ready_while_all_parts_are(self, endpoint: Endpoint, health: HealthChecks) -> None:
        assert httpx.get(f"{endpoint.url}/healthz").json() == {"status": "alive"}
        assert httpx.get(f"{endpoint.url}/readyz").status_code == 200
        health.register("database", lambda: Health(ok=False, detail="It does not answer."))
        answer = httpx.get(f"{endpoint.url}/readyz")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "not ready",
            "parts": {"database": {"ok": False, "detail": "It does not answer."}},
        }

    def test_tells_the_figures(self, endpoint: Endpoint) -> None:
        answer = httpx.get(f"{endpoint.url}/metrics")
        assert answer.headers["Content-Type"] == EXPOSITION_TYPE
        assert 'nebuloviz_sales_total{outcome="accepted"}' in answer.text

    @pytest.mark.parametrize("path", ["/", "/metricsx", "/healthz/", "/x/../metrics/y"])
    def test_has_nothing_else(self, endpoint: Endpoint, path: str) -> None:
        assert httpx.get(f"{endpoint.url}{path}").status_code == 404

    def test_answers_head_without_a_body_and_refuses_to_be_changed(self, endpoint: Endpoint) -> None:
        head = httpx.head(f"{endpoint.url}/healthz")
        assert (head.status_code, head.content) == (200, b"")
        assert httpx.post(f"{endpoint.url}/healthz").status_code == 501

    def test_whose_port_is_taken_says_which_setting_to_change(self, endpoint: Endpoint, health: HealthChecks) -> None:
        taken = int(endpoint.url.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match="Set NEBULOVIZ_METRICS_PORT to a free port"):
            Endpoint(HOST, taken, health)


class TestProbe:
    def test_asks_the_process_that_there_is(self, endpoint: Endpoint, health: HealthChecks) -> None:
        metrics_port = int(endpoint.url.rpartition(":")[2])
        ingesting = settings.load(host="0.0.0.0", port=free_port(), metrics_port=metrics_port)
        assert probe(ingesting)[0]
        health.register("ingest", lambda: Health(ok=False, detail="Nothing can be stored."))
        ready, said = probe(ingesting)
        assert not ready
        assert "Nothing can be stored." in said

    def test_says_that_nobody_answers(self) -> None:
        ready, said = probe(settings.load(port=free_port()))
        assert not ready
        assert said.startswith("Nobody answers at 127.0.0.1:")
