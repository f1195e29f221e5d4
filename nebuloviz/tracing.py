"""OpenTelemetry's spans of requests, callbacks, statements and batches, where a collector is named; nothing at all elsewhere.

The packages are those of `requirements-tracing.txt`, and are loaded only when there is an address to send to. Spans hold names,
places and numbers: never a parameter of a statement, a header, or what a user has typed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from nebuloviz import __version__
from nebuloviz.errors import ConfigurationError
from nebuloviz.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

SERVICE = "nebuloviz"
_SEND_SECONDS = 2.0  # a collector that is away must not hold up a process that is to end
_MAX_STATEMENT_LENGTH = 2_000
_SPAN = "nebuloviz_span"

_log = logging.getLogger(__name__)


class _State:
    """`tracer` is None where nothing is traced."""

    tracer: Tracer | None = None


def configure(settings: Settings, kind: str) -> Callable[[], None]:
    """Send spans of this process, a `kind` such as `serve`, to the collector of the settings, if there is one. Returns what ends it.

    Raises:
        ConfigurationError: a collector is named, and the packages are not installed.
    """
    if not settings.tracing_address:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415
    except ImportError as error:
        message = "NEBULOVIZ_TRACING_ADDRESS needs OpenTelemetry's packages: pip install -r requirements-tracing.txt"
        raise ConfigurationError(message) from error
    exporter = OTLPSpanExporter(f"{settings.tracing_address.rstrip('/')}/v1/traces", timeout=_SEND_SECONDS)
    resource = Resource.create({"service.name": SERVICE, "service.version": __version__, "nebuloviz.process": kind})
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(settings.tracing_share)), resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter, export_timeout_millis=_SEND_SECONDS * 1000))
    _State.tracer = provider.get_tracer(SERVICE, __version__)
    _log.info("Traces are sent to %s", settings.tracing_address)

    def end() -> None:
        _State.tracer = None
        provider.shutdown()

    return end


@contextmanager
def span(name: str, carrier: Mapping[str, str] | None = None, **attributes: str | int) -> Iterator[None]:
    """What the `with` block does, within the span that is open around it; an exception marks it as failed.

    With a `carrier`, the headers of a request, it is one that another program asked for, and goes on with that program's trace.
    """
    tracer = _State.tracer
    if tracer is None:
        yield
        return
    from opentelemetry.propagate import extract  # noqa: PLC0415 - see above
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    kind = SpanKind.INTERNAL if carrier is None else SpanKind.SERVER
    context = None if carrier is None else extract(carrier)
    given = {key.replace("__", "."): value for key, value in attributes.items()}
    # An exception's words may quote what a user has typed, or what is in a row: its kind has to do
    opened = tracer.start_as_current_span(
        name, context, kind, given, record_exception=False, set_status_on_exception=False
    )
    with opened as current:
        try:
            yield
        except Exception as error:
            _fail(current, error)
            raise


def describe(name: str, **attributes: str | int) -> None:
    """Give the open span its name and what is known of it now, such as the route and the status of a request."""
    if _State.tracer is None:
        return
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - see above

    current = get_current_span()
    current.update_name(name)
    for key, value in attributes.items():
        current.set_attribute(key.replace("__", "."), value)


def watch(engine: Engine) -> None:
    """Make a span of each statement from here on, if anything is traced when it begins."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:  # noqa: FBT001 - the signature is SQLAlchemy's
        if _State.tracer is not None and context is not None:
            setattr(context, _SPAN, _statement(_State.tracer, engine.dialect.name, statement))

    @event.listens_for(engine, "after_cursor_execute")
    def end(_connection: Any, _cursor: Any, _statement: Any, _parameters: Any, context: Any, _many: bool) -> None:  # noqa: FBT001 - as above
        _end(context, None)

    @event.listens_for(engine, "handle_error")
    def fail(context: Any) -> None:
        _end(context.execution_context, context.original_exception)


def _statement(tracer: Tracer, system: str, statement: str) -> Span:
    """Parameters stay out: they are the data."""
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - see above

    operation = statement.lstrip().partition(" ")[0].upper()
    about = {
        "db.system.name": system,
        "db.operation.name": operation,
        "db.query.text": statement[:_MAX_STATEMENT_LENGTH],
    }
    return tracer.start_span(f"{operation} {system}", kind=SpanKind.CLIENT, attributes=about)


def _end(context: Any, error: BaseException | None) -> None:
    found: Span | None = getattr(context, _SPAN, None)
    if found is None:
        return
    if error is not None:
        _fail(found, error)
    found.end()
    delattr(context, _SPAN)


def _fail(failed: Span, error: BaseException) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - see above

    failed.set_status(Status(StatusCode.ERROR, type(error).__name__))
