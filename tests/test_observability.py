"""Logs, metrics and health checks."""

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from nebuloviz import observability, settings
from nebuloviz.observability import (
    Health,
    HealthChecks,
    KafkaOncePerMinute,
    configure_logging,
    log_context,
    set_log_context,
    timed,
)

PATIENCE_SECONDS = 60.0


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("nebuloviz")
    handlers, level, of_ours = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(of_ours)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> io.StringIO:
    """Where JSON logs arrive."""
    stream = io.StringIO()
    configure_logging(settings.load(log_level="INFO"), stream)
    return stream


def only_line(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    fields: dict[str, Any] = json.loads(line)
    return fields


class TestLogs:
    def test_one_json_object_a_line(self, stream: io.StringIO) -> None:
        before = datetime.now(UTC)
        logging.getLogger("nebuloviz.ingest").warning("%d sales\nlost", 3, extra={"partition": 7, "topic": "sales"})
        fields = only_line(stream)
        assert before.timestamp() - 1 < datetime.fromisoformat(fields.pop("ts")).timestamp() < before.timestamp() + 60
        assert fields == {
            "level": "WARNING",
            "logger": "nebuloviz.ingest",
            "message": "3 sales\nlost",
            "partition": 7,
            "topic": "sales",
        }

    def test_what_kafkas_client_repeats_is_said_once_a_minute(self) -> None:
        seconds = 1_000.0
        said = KafkaOncePerMinute(lambda: seconds).filter

        def record(message: str, name: str = "kafka.net.manager") -> logging.LogRecord:
            return logging.makeLogRecord({"name": name, "msg": message})

        assert [said(record(f"Bootstrap attempt failed (backoff {n}.31 secs)")) for n in range(3)] == [
            True,
            False,
            False,
        ]
        assert said(record("Connection failed: %s"))
        assert [said(record("stored", "nebuloviz.ingest")) for _ in range(2)] == [True, True]
        seconds += 59
        assert not said(record("Connection failed: %s"))
        seconds += 1
        assert said(record("Connection failed: %s"))

    def test_kafkas_repetitions_are_left_out_of_the_logs(self, stream: io.StringIO) -> None:
        for host in "ab":
            logging.getLogger("kafka.net.manager").error("Connection failed: %s", host)
        assert only_line(stream)["message"] == "Connection failed: a"

    def test_the_exception_is_a_field(self, stream: io.StringIO) -> None:
        try:
            raise ValueError("no such thing")
        except ValueError:
            logging.getLogger("x").exception("It failed")
        assert "ValueError: no such thing" in only_line(stream)["exception"]

    def test_request_and_user_are_named_inside_the_block_only(self, stream: io.StringIO) -> None:
        with log_context(request_id="r1"), log_context(user_id="u1"):
            logging.getLogger("x").info("inside")
        logging.getLogger("x").info("outside")
        inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
        assert (inside["request_id"], inside["user_id"]) == ("r1", "u1")
        assert not {"request_id", "user_id"} & set(outside)

    def test_a_request_hook_can_name_them_too(self, stream: io.StringIO) -> None:
        def hook() -> None:
            set_log_context(request_id="r2", user_id="u2")
            logging.getLogger("x").info("in the request's thread")

        thread = threading.Thread(target=hook)
        thread.start()
        thread.join()
        assert only_line(stream)["request_id"] == "r2"

    def test_a_later_hook_adds_the_user_and_keeps_the_request(self, stream: io.StringIO) -> None:
        def hooks() -> None:
            set_log_context(request_id="r3", user_id="")
            logging.getLogger("x").info("before sign-in is known")
            set_log_context(user_id="u3")
            logging.getLogger("x").info("after")

        thread = threading.Thread(target=hooks)
        thread.start()
        thread.join()
        before, after = (json.loads(line) for line in stream.getvalue().splitlines())
        assert "user_id" not in before
        assert (before["request_id"], after["request_id"], after["user_id"]) == ("r3", "r3", "u3")

    @pytest.mark.parametrize(
        ("message", "extra"),
        [
            ("postgresql://shop:hunter2@db/sales", {}),
            ("cannot reach redis://:hunter2@cache:6379/0", {}),
            ("Authorization: Bearer hunter2.abc", {}),
            ("signed in", {"password": "hunter2"}),
            ("configured", {"secret_key": "hunter2", "access_token": "hunter2"}),
            ("connecting", {"url": "kafka+ssl://user:hunter2@broker"}),
        ],
    )
    @pytest.mark.parametrize("target", [io.StringIO, Terminal])
    def test_secrets_are_left_out(self, target: type[io.StringIO], message: str, extra: dict[str, str]) -> None:
        stream = target()
        configure_logging(settings.load(), stream)
        logging.getLogger("x").error(message, extra=extra)
        assert "***" in stream.getvalue()
        assert "hunter2" not in stream.getvalue()

    @pytest.mark.parametrize(
        ("log_format", "target", "is_json"),
        [
            ("auto", io.StringIO, True),
            ("auto", Terminal, False),
            ("json", Terminal, True),
            ("text", io.StringIO, False),
        ],
    )
    def test_people_at_a_terminal_get_text(self, log_format: str, target: type[io.StringIO], is_json: bool) -> None:
        stream = target()
        configure_logging(settings.load(log_format=log_format), stream)
        logging.getLogger("x").info("Ready", extra={"port": 8050})
        line = stream.getvalue().strip()
        assert (json.loads(line)["message"] == "Ready") if is_json else line.endswith("INFO    Ready  port=8050")

    def test_lines_below_the_level_are_not_written(self) -> None:
        stream = io.StringIO()
        configure_logging(settings.load(log_level="ERROR"), stream)
        logging.getLogger("x").warning("not so bad")
        assert not stream.getvalue()


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class TestMetrics:
    def test_the_exposition_is_valid_and_has_every_metric(self) -> None:
        families = {family.name for family in text_string_to_metric_families(observability.exposition().decode())}
        declared = {
            next(iter(m.describe())).name for m in vars(observability).values() if isinstance(m, MetricWrapperBase)
        }
        assert len(declared) >= 14
        assert declared <= families

    def test_a_request_is_counted_by_its_route(self) -> None:
        before = sample("nebuloviz_http_requests_total", method="GET", route="/x/{id}", status="404")
        observability.observe_request("GET", "/x/{id}", 404, 0.2)
        assert sample("nebuloviz_http_requests_total", method="GET", route="/x/{id}", status="404") == before + 1
        assert sample("nebuloviz_http_request_seconds_sum", route="/x/{id}") >= 0.2

    def test_a_clients_own_methods_do_not_become_labels(self) -> None:
        observability.observe_request("BREW-1234", "/teapot", 405, 0.0)
        assert sample("nebuloviz_http_requests_total", method="OTHER", route="/teapot", status="405") == 1
        assert b"BREW-1234" not in observability.exposition()

    def test_a_block_is_timed_also_when_it_raises(self) -> None:
        labels = {"detector": "timed", "step": "train"}
        observability.show_detection(None)

        def train() -> float:
            with timed(observability.DETECTOR_SECONDS, **labels):
                time.sleep(0.01)
                return 1 / 0

        with pytest.raises(ZeroDivisionError):
            train()
        assert sample("nebuloviz_detector_seconds_count", **labels) == 1
        assert 0.01 <= sample("nebuloviz_detector_seconds_sum", **labels) < 60

    def test_a_histogram_without_labels_is_timed(self) -> None:
        before = sample("nebuloviz_batch_commit_seconds_count")
        with timed(observability.COMMIT_SECONDS):
            pass
        assert sample("nebuloviz_batch_commit_seconds_count") == before + 1


def broken() -> Health:
    message = "could not connect to postgresql://shop:hunter2@db/sales"
    raise ConnectionError(message)


class TestReadiness:
    def test_nothing_to_check_is_ready(self) -> None:
        assert HealthChecks().readiness() == (True, {})

    def test_all_parts_must_be_well(self) -> None:
        checks = HealthChecks()
        checks.register("database", lambda: Health(ok=True, detail="SQLite"))
        assert checks.readiness() == (True, {"database": {"ok": True, "detail": "SQLite"}})
        checks.register("cache", lambda: Health(ok=False, detail="Redis does not answer"))
        ready, parts = checks.readiness()
        assert not ready
        assert parts["cache"] == {"ok": False, "detail": "Redis does not answer"}

    def test_a_check_that_raises_is_a_part_that_fails_and_tells_no_secret(self) -> None:
        checks = HealthChecks()
        checks.register("database", broken)
        ready, parts = checks.readiness()
        assert not ready
        assert parts["database"]["detail"] == "ConnectionError: could not connect to postgresql://shop:***@db/sales"

    def test_hanging_checks_cost_one_timeout_together_and_are_not_started_again(self) -> None:
        checks, release, started, n_checks = HealthChecks(timeout_seconds=0.2), threading.Event(), [], 200

        def hang() -> Health:
            started.append(1)
            release.wait(PATIENCE_SECONDS)
            return Health(ok=True)

        for number in range(n_checks):
            checks.register(str(number), hang)
        start = time.monotonic()
        for _ in range(3):
            ready, parts = checks.readiness()
            assert (ready, parts["1"]["detail"]) == (False, "No answer within 0.2 s.")
        assert time.monotonic() - start < PATIENCE_SECONDS / 2  # a timeout for each of them is 120 s
        assert len(started) == n_checks
        release.set()
        while not checks.readiness()[0]:  # the answers that were waited for arrive
            assert time.monotonic() - start < PATIENCE_SECONDS

    def test_a_later_check_takes_an_earlier_ones_place(self) -> None:
        checks = HealthChecks()
        checks.register("cache", lambda: Health(ok=False))
        checks.register("cache", lambda: Health(ok=True))
        assert checks.readiness()[0]
