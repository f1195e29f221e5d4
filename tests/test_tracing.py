"""Traces, as a real collector gets them: requests, callbacks, statements and batches, each within what asked for it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from nebuloviz import tracing
from nebuloviz.db import Database
from nebuloviz.errors import ConfigurationError
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import ListSource
from nebuloviz.settings import load
from tests.dash_requests import body_of, post
from tests.ingest.support import shop
from tests.program import ROOT, environment_of, started
from tests.servers.base import HOST

CALLERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass
class Collector:
    """Takes spans by OTLP over HTTP, as any collector does."""

    url: str
    spans: list[Any] = field(default_factory=list)

    def named(self, start: str) -> list[Any]:
        return [span for span in self.spans if span.name.startswith(start)]


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            found.spans += [
                span for resource in sent.resource_spans for scope in resource.scope_spans for span in scope.spans
            ]
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    found = Collector(f"http://{HOST}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def about(span: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


def test_a_request_its_callback_and_its_statements_are_one_trace(collector: Collector, tmp_path: Path) -> None:
    environment = environment_of(tmp_path, tracing_address=collector.url, log_level="WARNING")
    with started(environment) as program:
        with closing(program.signed_in("admin")) as browser:
            assert post(browser, _rail_question(browser)).status_code == 200
        with program.client(traceparent=f"00-{CALLERS_TRACE}-00f067aa0ba902b7-01") as client:
            assert (
                client.post("/api/v1/auth/token", json={"username": "admin", "password": "secret word"}).status_code
                == 401
            )
    [callback] = collector.named("callback ")
    [page] = [span for span in collector.spans if span.span_id == callback.parent_span_id]
    assert page.name == "POST /_dash-update-component"
    assert about(page)["http.response.status_code"] == 200
    assert any(span.trace_id == page.trace_id for span in collector.named("SELECT sqlite"))
    [asked] = collector.named("POST /api/v1/auth/token")
    assert asked.trace_id.hex() == CALLERS_TRACE
    assert about(asked)["http.response.status_code"] == 401
    assert [span for span in collector.named("SELECT sqlite") if span.trace_id == asked.trace_id]
    assert "secret word" not in str(collector.spans)


def _rail_question(browser: Any) -> dict[str, Any]:
    """What an open page asks every few seconds."""
    known = next(each for each in browser.get("/_dash-dependencies").json() if "shell-stamp.data" in each["output"])
    return body_of(known) | {"changedPropIds": ["shell-interval.n_intervals"]}


def test_a_batch_is_the_parent_of_its_statements_and_a_failure_is_marked(
    collector: Collector, database: Database, tmp_path: Path
) -> None:
    end = tracing.configure(load(data_dir=tmp_path, tracing_address=collector.url), "test")
    made = [orjson.dumps(sale) for sale in shop(20, seed=1)]
    records = [Record("till", 3, number, value) for number, value in enumerate(made)]
    Consumer(ListSource(records, len(records)), DatabaseSink(database, ZoneInfo("UTC"))).run()
    with pytest.raises(DBAPIError), database.session() as session:
        session.execute(text("SELECT amount FROM nowhere"))
    end()
    [batch] = collector.named("store till")
    assert about(batch)["messaging.batch.message_count"] == len(records)
    within = [span for span in collector.spans if span.parent_span_id == batch.span_id]
    assert {span.name.partition(" ")[0] for span in within} >= {"SELECT", "INSERT", "UPDATE"}
    assert [span.status.code for span in collector.spans].count(2) == 1
    with database.session() as session:
        session.execute(text("SELECT 1"))  # nobody listens any more


def test_a_failure_is_told_by_its_kind_and_not_by_what_it_quotes(collector: Collector, tmp_path: Path) -> None:
    end = tracing.configure(load(data_dir=tmp_path, tracing_address=collector.url), "test")
    with pytest.raises(ValueError, match="hunter2"), tracing.span("fails"):
        raise ValueError("Key (username)=(hunter2) already exists")
    end()
    [failed] = collector.named("fails")
    assert (failed.status.code, failed.status.message) == (2, "ValueError")
    assert "hunter2" not in str(failed)


def test_a_collector_that_is_away_holds_up_nothing(tmp_path: Path) -> None:
    end = tracing.configure(load(data_dir=tmp_path, tracing_address="http://127.0.0.1:1"), "test")
    with tracing.span("work"):
        pass
    end()


def test_without_an_address_nothing_of_it_is_loaded() -> None:
    script = (
        "import sys; from nebuloviz import tracing; from nebuloviz.settings import load; tracing.configure(load(), 'x')();"
        "exec('with tracing.span(\"a\"): pass'); "
        "sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_missing_packages_are_said_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"requirements-tracing\.txt"):
        tracing.configure(load(data_dir=tmp_path, tracing_address="http://127.0.0.1:4318"), "test")
