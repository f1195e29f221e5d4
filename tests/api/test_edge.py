"""Whatever comes over the wire is answered: in one form, without a traceback, and never with a 5xx."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nebuloviz.api.app import create_api
from nebuloviz.api.threads import InThreads
from nebuloviz.observability import Health, HealthChecks
from nebuloviz.services.interfaces import InstallationSettings
from nebuloviz.settings import load
from tests.api.conftest import Api
from tests.served import Served, raw


class TestEveryAnswer:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/api/v1/openapi.json", 200),
            ("GET", "/api/v1/me", 401),
            ("GET", "/api/v1/nothing", 404),
            ("GET", "/api", 404),
            ("GET", "/api/", 404),
            ("GET", "/api/v2/me", 404),
            ("DELETE", "/api/v1/me", 405),
            ("DELETE", "/api/v1/sales", 405),
            ("BREW", "/api/v1/me", 405),
            ("POST", "/api/v1/query", 401),
            ("GET", "/healthz", 200),
            ("HEAD", "/healthz", 200),
            ("POST", "/healthz", 405),
        ],
    )
    def test_is_safe_to_keep_and_not_kept(self, api: Api, method: str, path: str, status: int) -> None:
        with api.client() as client:
            answer = client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert len(answer.headers["x-request-id"]) == 16
        assert "server" not in answer.headers
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status
            assert answer.json()["code"]
        if status == 405:
            assert answer.headers["allow"]
        if status == 401:
            assert answer.headers["www-authenticate"] == "Bearer"


class TestOddRequests:
    @pytest.mark.parametrize(
        "target",
        [
            b"/api/v1/alerts?series=\xff",
            b"/api/v1/alerts?series=%00",
            b"/api/v1/alerts?series=%ff%fe",
            b"/api/v1/\xc3\xa9",
            b"/api/v1/%00",
            b"/api/v1/..%2f..%2fetc/passwd",
            b"/api/v1/me/",
            b"//api/v1/me",
            b"/API/V1/ME",
            b"/api/v1/me;x=1",
            b"/api/v1/me%2f",
            b"/api/v1/./me",
            b"*",
            b"http://evil.example/api/v1/me",
        ],
    )
    def test_get_an_error_of_the_client(self, api: Api, target: bytes) -> None:
        head = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        status = raw(api.served.url, head).split(b" ")[1]
        assert status.startswith(b"4"), status

    @pytest.mark.parametrize(
        "headers",
        [
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999",
            b"Content-Length: abc",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5",
            b"Content-Encoding: br",
            b"Content-Type: application/json; charset=utf-16",
            b"Authorization: Bearer \xff\xfe",
            b"Accept-Language: \xff" + b"," * 5000,
            b"X_Forwarded_For: 1.2.3.4",
        ],
    )
    def test_headers_get_an_error_of_the_client(self, api: Api, headers: bytes) -> None:
        head = b"POST /api/v1/auth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n\r\n"
        answer = raw(api.served.url, head)
        assert answer == b"" or answer.split(b" ")[1].startswith(b"4"), answer[:200]
        assert answer == b"" or b"application/problem+json" in answer, "also where it is no request of HTTP"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b"5",
            b'"text"',
            b"NaN",
            b"{",
            b"\xff\xfe",
            b'{"username": "a", "password": "\\ud800"}',
            b'{"username": "\\ud800\\u0000", "password": "x"}',
            b'{"username": "a", "password": NaN}',
            b'{"username": "a", "password": "b", "more": -1e400}',
            b'{"username": ["a"], "password": {"a": 1}}',
            b'{"username": 1, "password": true}',
            b'{"username": "a", "password": "b", "role": "admin"}',
            b'{"\\ud83d\\ude00": 1}',
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"username": ' + b"9" * 5000 + b"}",
            b'{"username": "' + b"a" * 500_000 + b'", "password": "x"}',
            b'{"username": "' + b"a" * 2_000_000 + b'", "password": "x"}',
        ],
    )
    def test_bodies_get_an_error_of_the_client(self, api: Api, body: bytes) -> None:
        with api.client() as client:
            answer = client.post("/api/v1/auth/token", content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Traceback" not in answer.text

    @pytest.mark.parametrize(
        "content_type",
        ["text/plain", "", "application/xml", "multipart/form-data", "application/x-www-form-urlencoded"],
    )
    def test_json_of_another_type_is_not_read(self, api: Api, content_type: str) -> None:
        with api.client() as client:
            answer = client.post(
                "/api/v1/auth/token",
                content=b'{"username": "admin", "password": "correct horse battery"}',
                headers={"content-type": content_type},
            )
        assert answer.status_code == 422


class TestUnexpectedErrors:
    def test_are_told_in_a_sentence_without_details(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("the secret is 42")

        monkeypatch.setattr(type(api.services.alerts), "list", fail)
        with api.client("admin") as client:
            answer = client.get("/api/v1/alerts")
        assert answer.status_code == 500
        assert answer.json()["code"] == "internal_error"
        assert "secret" not in answer.text
        assert answer.headers["x-request-id"]


class TestHealth:
    def test_alive_needs_nothing(self, api: Api) -> None:
        with api.client() as client:
            assert client.get("/healthz").json() == {"status": "alive"}

    def test_ready_names_the_part_that_fails(self, api: Api) -> None:
        with api.client() as client:
            assert client.get("/readyz").json() == {
                "status": "ready",
                "parts": {"database": {"ok": True, "detail": ""}},
            }
            api.health.register("cache", lambda: Health(ok=False, detail="Redis does not answer."))
            answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["parts"]["cache"] == {"ok": False, "detail": "Redis does not answer."}
        api.health.register("cache", lambda: Health(ok=True))

    def test_figures_are_prometheus_text(self, api: Api) -> None:
        with api.client() as client:
            client.get("/api/v1/nothing")
            client.get("/api/v1/alerts/77")
            answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'nebuloviz_http_requests_total{method="GET",route="none",status="404"}' in answer.text
        assert (
            'nebuloviz_http_requests_total{method="GET",route="/api/v1/alerts/{alert_id}",status="401"}' in answer.text
        )


class TestSlowDashboard:
    def test_does_not_slow_health_down(self) -> None:
        """All of the dashboard's threads are busy, and more requests wait for them."""
        release, begun = threading.Event(), threading.Semaphore(0)

        def slow(_environ: object, start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
            begun.release()
            release.wait(60)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"done"]

        nothing = cast("Any", None)
        only_settings = SimpleNamespace(settings=SimpleNamespace(current=InstallationSettings()))
        app = create_api(
            services=cast("Any", only_settings),
            database=nothing,
            settings=load(),
            health=HealthChecks(),
            dashboard=InThreads(cast("Any", slow), 4),
        )
        with Served(app) as served, served.client() as client, ThreadPoolExecutor(8) as pool:
            try:
                waiting = [pool.submit(client.get, "/") for _ in range(8)]
                assert all(begun.acquire(timeout=30) for _ in range(4))
                for path in ("/healthz", "/readyz", "/metrics") * 3:
                    assert client.get(path).status_code == 200
                assert not any(answer.done() for answer in waiting), "health has waited for the dashboard"
            finally:
                release.set()
            assert {answer.result().text for answer in waiting} == {"done"}
