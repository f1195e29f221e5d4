"""Logs, metrics and health: what an operator sees of a running NebuloViz.

Logs are one JSON object a line (text on a terminal), and carry neither secrets nor what tells who a person is. Every Prometheus
metric of the program is declared here; label values come from closed lists (routes, reasons, severities), never from what a
client sends.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, TextIO

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector

from nebuloviz.redaction import redacted, redacted_field
from nebuloviz.settings import Settings

# ---------------------------------------------------------------- logs

_log = logging.getLogger(__name__)
_request_id: ContextVar[str] = ContextVar("nebuloviz_request_id", default="")
_user_id: ContextVar[str] = ContextVar("nebuloviz_user_id", default="")

_QUIET_SECONDS = 60.0
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


@contextmanager
def log_context(*, request_id: str = "", user_id: str = "") -> Iterator[None]:
    """Name the request and the user on every line logged inside the `with` block; an empty one keeps what is in force."""
    tokens = [
        (variable, variable.set(value)) for variable, value in ((_request_id, request_id), (_user_id, user_id)) if value
    ]
    try:
        yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)


def set_log_context(*, request_id: str | None = None, user_id: str | None = None) -> None:
    """Name the request and the user on every line from here on, for request hooks that have no block to stand around.

    None keeps what is in force; an empty one ends it.
    """
    for variable, value in ((_request_id, request_id), (_user_id, user_id)):
        if value is not None:
            variable.set(value)


def log_names() -> dict[str, str]:
    """The request and the user that lines are logged for, to be handed to `set_log_context` of another process."""
    return {"request_id": _request_id.get(), "user_id": _user_id.get()}


def request_id() -> str:
    """The id of the request that is being answered, as its log lines bear it; empty where none is."""
    return _request_id.get()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts (UTC), level, logger, message, request_id, user_id, exception, and the fields of `extra=`."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record), ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """For people at a terminal: time, level, message, then the extra fields as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        head = f"{clock} {record.levelname:<8}{fields.pop('message')}"
        exception = fields.pop("exception", None)
        extras = " ".join(f"{name}={value}" for name, value in fields.items() if name not in {"ts", "level", "logger"})
        return "\n".join(filter(None, [f"{head}  {extras}".rstrip(), exception]))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": redacted(record.getMessage()),
    }
    fields |= {
        name: variable.get()
        for name, variable in (("request_id", _request_id), ("user_id", _user_id))
        if variable.get()
    }
    for name, value in vars(record).items():
        if name not in _STANDARD_FIELDS:
            fields[name] = redacted_field(name, value)
    if record.exc_info:
        fields["exception"] = redacted(logging.Formatter().formatException(record.exc_info))
    return fields


def takes_json(settings: Settings, target: TextIO) -> bool:
    """Whether what is said there is for programs, one JSON object a line, and not for people at a terminal."""
    return settings.log_format == "json" or (settings.log_format == "auto" and not target.isatty())


class KafkaOncePerMinute(logging.Filter):
    """Of what Kafka's client says several times a second while a broker is away, one line a minute of each kind."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("kafka."):
            return True
        kind, now = re.sub(r"\d+", "", f"{record.name} {record.msg}"[:500]), self._clock()
        if now - self._said.get(kind, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        self._said = {other: at for other, at in self._said.items() if now - at < _QUIET_SECONDS} | {kind: now}
        return True


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send the process's logs to `stream`, JSON or text as `settings.log_format` says. Calling it again replaces it.

    Without a `stream` they go to stderr, and so does as log lines what Python itself would write there: exceptions that nobody
    caught, of any thread, and warnings.
    """
    if stream is None:
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda failed: _log_uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)
        logging.captureWarnings(capture=True)
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonFormatter() if takes_json(settings, target) else TextFormatter())
    handler.addFilter(KafkaOncePerMinute())
    level = logging.getLevelNamesMapping()[settings.log_level]
    # What libraries say in detail are statements and packets, with the values in them
    logging.basicConfig(level=max(logging.INFO, level), handlers=[handler], force=True)
    logging.getLogger("nebuloviz").setLevel(level)
    for noisy in ("kafka", "uvicorn.access", "alembic.runtime.migration", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, level))


def _log_uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):  # as a thread ends that is told to
        return
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), traceback)
        return
    _log.critical("%s ends: nobody foresaw this", threading.current_thread().name, exc_info=error or True)


# ---------------------------------------------------------------- metrics

_WEB_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 2, 5, 10)
_WORK_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BATCH_SALES = (1, 10, 50, 100, 500, 1000, 2500, 5000, 10_000, 50_000)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

HTTP_REQUESTS = Counter(
    "nebuloviz_http_requests_total",
    "Requests answered, by method, route template and status.",
    ["method", "route", "status"],
)
HTTP_SECONDS = Histogram("nebuloviz_http_request_seconds", "Time to answer a request.", ["route"], buckets=_WEB_SECONDS)
CALLBACK_SECONDS = Histogram(
    "nebuloviz_callback_seconds",
    "Time of a Dash callback, by its registered name and the registered page that asked.",
    ["callback", "page"],
    buckets=_WEB_SECONDS,
)
CALLBACK_ERRORS = Counter(
    "nebuloviz_callback_errors_total",
    "Dash callbacks that failed in an unforeseen way, by registered name.",
    ["callback"],
)
CACHE_REQUESTS = Counter(
    "nebuloviz_cache_requests_total",
    "Cache look-ups by top branch and outcome: hit, miss, shared (waited for another's computation), error (it raised).",
    ["branch", "outcome"],
)
QUERY_SECONDS = Histogram(
    "nebuloviz_query_seconds",
    "Time of a metrics query, by the rollup (or facts) that answered.",
    ["source"],
    buckets=_WEB_SECONDS,
)
SALES = Counter("nebuloviz_sales_total", "Sales that arrived, by outcome: accepted, duplicate, rejected.", ["outcome"])
SALES_REJECTED = Counter("nebuloviz_sales_rejected_total", "Sales kept as dead letters, by reason.", ["reason"])
CONSUMER_LAG = Gauge(
    "nebuloviz_consumer_lag_records", "Records between the end of a partition and what is stored.", ["partition"]
)
CONSUMER_PROGRESS = Gauge(
    "nebuloviz_consumer_progress_timestamp_seconds",
    "Unix time of a partition's last stored batch, or since when this consumer has had the partition.",
    ["partition"],
)
CONSUMER_FAILURES = Counter(
    "nebuloviz_consumer_failures_total", "Tries to read or store a batch that failed, each of which is tried again."
)
CONSUMER_HALTED = Gauge(
    "nebuloviz_consumer_halted_partitions", "Partitions of this consumer that wait for an operator."
)
BATCH_SALES = Histogram("nebuloviz_batch_sales", "Sales written in one transaction.", buckets=_BATCH_SALES)
COMMIT_SECONDS = Histogram(
    "nebuloviz_batch_commit_seconds", "Time to write and commit one batch.", buckets=_WORK_SECONDS
)
LINES_UNJUDGED = Counter(
    "nebuloviz_lines_unjudged_total", "Sale lines that the line detector left out, as more came than it could take."
)
NOTIFICATIONS = Counter(
    "nebuloviz_notifications_total",
    "Tries to send a message about alerts, by channel (mail, slack, webhook) and outcome: sent, again, failed, dropped.",
    ["channel", "outcome"],
)
WATCH_LOST = Counter("nebuloviz_watch_lost_total", "Times that the process that watches sales ended by itself.")
BUILD = Gauge("nebuloviz_build_info", "1, for the version of the program and of Python.", ["version", "python"])
DB_CONNECTIONS = Gauge(
    "nebuloviz_db_connections",
    "Connections to the database, by pool (sync: pages and consumer, async: the API) and state (in_use, idle).",
    ["pool", "state"],
)

# What the database knows of the whole installation: every process that serves shows the same, so take the maximum
ALERTS = Gauge("nebuloviz_alerts", "Alerts that are not resolved, by state and severity.", ["state", "severity"])
SESSIONS = Gauge("nebuloviz_sessions", "Browser sessions that have not ended.")
LETTERS_OPEN = Gauge("nebuloviz_dead_letters_open", "Rejected records that nobody has dealt with.")
# Not a counter of the consumer: one that was away finds its gap at once, before anybody has asked it for a figure of before
RECORDS_LOST = Gauge(
    "nebuloviz_records_lost",
    "Records that can never be read, as noticed in the last 24 hours: Kafka had removed them, or an operator skipped them.",
)
LAST_SALE = Gauge("nebuloviz_last_sale_timestamp_seconds", "Unix time of the last minute in which a sale was accepted.")
SALES_EXPECTED = Gauge(
    "nebuloviz_sales_expected", "1 while sales are due: they came at this hour in three of the last four weeks, else 0."
)
DATABASE_BYTES = Gauge("nebuloviz_database_bytes", "Size of the database.")
REVISION = Gauge(
    "nebuloviz_database_revision", "1 if the database is at the revision that this version needs, else 0.", ["revision"]
)

# What each process that serves sees of its surroundings
DISK_FREE = Gauge("nebuloviz_disk_free_bytes", "Free space where the data folder is.")
DISK_SIZE = Gauge("nebuloviz_disk_size_bytes", "Size of the disk where the data folder is.")
CERTIFICATE = Gauge(
    "nebuloviz_certificate_expiry_timestamp_seconds",
    "Unix time until which the certificate at the public address is accepted; 0 if it is not.",
    ["url"],
)

for _outcome in ("accepted", "duplicate", "rejected"):  # a rate needs the zero before the first
    SALES.labels(_outcome)

for _channel in ("mail", "slack", "webhook"):
    for _outcome in ("sent", "again", "failed", "dropped"):
        NOTIFICATIONS.labels(_channel, _outcome)

# Counted in the process that watches sales, which tells them to the one that shows them
_DETECTION = CollectorRegistry()
DETECTOR_SECONDS = Histogram(
    "nebuloviz_detector_seconds",
    "Time of a detector's step: train or score.",
    ["detector", "step"],
    buckets=_WORK_SECONDS,
    registry=_DETECTION,
)
SERIES_WATCHED = Gauge("nebuloviz_series_watched", "Series that the detector watches.", registry=_DETECTION)
DETECTOR_CHECKED = Gauge(
    "nebuloviz_detector_checked_timestamp_seconds",
    "Unix time at which the elected series watch last had nothing left to judge; 0 where it is not elected.",
    registry=_DETECTION,
)
ALERTS_RAISED = Counter(
    "nebuloviz_alerts_raised_total", "Alerts raised, by severity.", ["severity"], registry=_DETECTION
)
for _severity in ("low", "medium", "high", "critical"):
    ALERTS_RAISED.labels(_severity)


class _Detection(Collector):
    """The figures of detection: those told last, or else this process's own."""

    told: Sequence[Metric] | None = None

    def collect(self) -> Sequence[Metric]:
        return list(_DETECTION.collect()) if self.told is None else self.told


_detection = _Detection()
REGISTRY.register(_detection)


def detection_figures() -> list[Metric]:
    """What this process has counted of detection; can be pickled."""
    return list(_DETECTION.collect())


def show_detection(figures: Sequence[Metric] | None) -> None:
    """Show these of another process, until it tells newer ones; None: this process's own."""
    _detection.told = figures


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. `route` is the template or endpoint, never the path: paths are the client's to invent."""
    HTTP_REQUESTS.labels(method if method in _METHODS else "OTHER", route, str(status)).inc()
    HTTP_SECONDS.labels(route).observe(seconds)


@contextmanager
def timed(histogram: Histogram, **labels: str) -> Iterator[None]:
    """Observe how many seconds the `with` block takes, also when it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        child = histogram.labels(**labels) if labels else histogram
        child.observe(time.perf_counter() - start)


def exposition() -> bytes:
    """All metrics of this process in Prometheus' text format, for `/metrics` (content type `EXPOSITION_TYPE`)."""
    return generate_latest(REGISTRY)


EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8"


# ---------------------------------------------------------------- health


@dataclass(frozen=True, slots=True)
class Health:
    """The state of one part: `detail` says in a sentence what is wrong and what to do, or how good it is."""

    ok: bool
    detail: str = ""


class HealthCheck(Protocol):
    """Answers whether one part works, soon; raising counts as not working. May be called from any thread."""

    def __call__(self) -> Health: ...


class HealthChecks:
    """The named checks behind `/readyz`; each runs in its own thread, and one that hangs is not started twice."""

    def __init__(self, timeout_seconds: float = 2.0) -> None:
        self._timeout_seconds = timeout_seconds
        self._checks: dict[str, HealthCheck] = {}
        self._running: dict[str, Future[Health]] = {}
        self._lock = threading.Lock()

    def register(self, name: str, check: HealthCheck) -> None:
        """Let `check` take part in `readiness` under `name`, in place of an earlier one of that name."""
        with self._lock:
            self._checks[name] = check

    def readiness(self) -> tuple[bool, dict[str, dict[str, Any]]]:
        """Whether every part is ready, and by name `{"ok": bool, "detail": str}`. Takes at most the timeout, whatever hangs."""
        deadline = time.monotonic() + self._timeout_seconds
        with self._lock:
            futures = {name: self._start(name, check) for name, check in self._checks.items()}
        results = {name: self._result(future, deadline) for name, future in futures.items()}
        report = {name: {"ok": health.ok, "detail": redacted(health.detail)} for name, health in results.items()}
        return all(health.ok for health in results.values()), report

    def _start(self, name: str, check: HealthCheck) -> Future[Health]:
        running = self._running.get(name)
        if running is not None and not running.done():
            return running
        future: Future[Health] = Future()
        self._running[name] = future
        threading.Thread(target=_settle, args=(future, check), name=f"health-{name}", daemon=True).start()
        return future

    def _result(self, future: Future[Health], deadline: float) -> Health:
        try:
            return future.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return Health(ok=False, detail=f"No answer within {self._timeout_seconds:g} s.")


def _settle(future: Future[Health], check: Callable[[], Health]) -> None:
    try:
        future.set_result(check())
    except Exception as error:  # noqa: BLE001 - whatever a check raises is its answer
        future.set_result(Health(ok=False, detail=f"{type(error).__name__}: {error}"))
