"""Files in and out: uploads as a stream, and what a page shows as a download."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from io import BytesIO
from itertools import islice

from flask import Flask, Response, abort, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnsupportedMediaType

from nebuloviz.errors import InvalidInput, InvalidQuery
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import metric
from nebuloviz.permissions import Permission
from nebuloviz.services.audit_files import FORMS as AUDIT_FORMS
from nebuloviz.services.audit_files import every_entry, filters_told
from nebuloviz.services.export import (
    FORMATS,
    Sheet,
    file_name,
    sheet_of_frame,
    sheet_of_lines,
    sheet_of_matrix,
)
from nebuloviz.services.interfaces import AuditAction, AuditFilter, Frame, SaleLine
from nebuloviz.services.shown import SHAPES, Shape, matrix_of
from nebuloviz.web.access import route
from nebuloviz.web.context import act, ask, current_user, installation, services
from nebuloviz.web.reading import asking
from nebuloviz.web.state import DEFAULT_TOP, TOPS, PageState
from nebuloviz.web.views.common import MAX_LINES
from nebuloviz.web.views.grids import NEWEST_FIRST
from nebuloviz.web.views.sheets import BESIDE, as_told, in_order

_CHUNK_BYTES = 256 * 1024
_LINES_AT_ONCE = 1_000
_MAP_NAMES: dict[Shape, str] = {"week": "by-weekday-and-hour", "pairs": "by"}
_SLACK_BYTES = 1024 * 1024  # the store has the exact limit, and better words


def install_files(server: Flask) -> None:
    """The routes /uploads, /export/<kind>, /export/lines/<kind> and /export/audit."""

    @route(server, "/uploads", Permission.SALES_WRITE, methods=["POST"])
    def upload() -> ResponseReturnValue:
        """The body is the file, `name` its name; answers `{"upload_id": ...}`, by which it can be looked into and imported."""
        if request.mimetype != "application/octet-stream":
            raise UnsupportedMediaType
        request.max_content_length = installation().max_upload_mb * 1_000_000 + _SLACK_BYTES
        upload_id = services().ingest.store_upload(request.args.get("name", ""), _chunks(), current_user().id)
        return jsonify(upload_id=upload_id), 201

    @route(server, "/export/<kind>", Permission.DATA_READ)
    def export(kind: str) -> Response:
        """The query in the URL's parameters, as a file; with a `shape` (of `SHAPES`) as the heat map that shows it.

        `with` names what else its table tells (of `BESIDE`), `sort` the column that the table was sorted by.
        """
        query, shape = _query(), _shape()
        name = file_name(query, kind, "-".join([*query.metrics, _MAP_NAMES[shape], *query.dimensions]) if shape else "")
        told = query.to_params() | _arrangement(shape)
        return _exported(kind, lambda: _sheet(ask(services().data.frame, query), shape), name, told)

    @route(server, "/export/lines/<kind>", Permission.SALES_READ)
    def export_lines(kind: str) -> Response:
        """The sale lines behind the query in the URL's parameters, newest first or as `sort` says.

        The name of a file that holds but the first `MAX_LINES` says so.
        """
        query, order = _query(), request.args.get("sort") or NEWEST_FIRST
        lines = list(islice(_sale_lines(query, order), MAX_LINES + 1))
        name = file_name(query, kind, name_of_lines(len(lines), order))
        told = query.to_params() | {"sort": [order]}
        return _exported(kind, lambda: sheet_of_lines(lines[:MAX_LINES], query.zone), name, told)

    @route(server, "/export/audit", Permission.AUDIT_READ)
    def export_audit() -> Response:
        """The entries that `from`, `to`, `search` and `action` leave, as CSV: at most the newest hundred thousand."""
        which = AuditFilter(
            search=request.args.get("search", ""),
            action=request.args.get("action", ""),
            start=_moment(request.args.get("from")),
            end=_moment(request.args.get("to")),
        )
        content_type, write = AUDIT_FORMS["csv"]
        out = BytesIO()
        ask(lambda session, actor: write(every_entry(services().audit, session, actor, which), out))
        act(services().audit.record, AuditAction.AUDIT_EXPORTED, after={"filters": filters_told(which)})
        return _download(out.getvalue(), content_type, "audit-log.csv")


def name_of_lines(count: int, order: str = NEWEST_FIRST) -> str:
    """How the name of a file with so many sale lines begins: somebody who has only the file must see that it is not all."""
    which = "newest" if order == NEWEST_FIRST else "first"
    return "sale-lines" if count <= MAX_LINES else f"sale-lines-{which}-{MAX_LINES}"


def _query() -> Query:
    return Query.from_params(request.args.to_dict(flat=False))


def _shape() -> Shape | None:
    text = request.args.get("shape", "")
    if text and text not in SHAPES:
        raise InvalidInput(_("There is no such form of a file: {name}", name=text[:40]))
    return next((shape for shape in SHAPES if shape == text), None)


def _sheet(frame: Frame, shape: Shape | None) -> Sheet:
    """The frame as its chart arranges it.

    Raises:
        InvalidQuery: the question is not one that a chart of this shape asks.
    """
    query = frame.query
    if shape is None:
        return sheet_of_frame(_as_table(frame))
    if (query.grain, len(query.dimensions)) != (("hour", 0) if shape == "week" else (None, 2)):
        raise InvalidQuery(_("This question cannot be shown as a heat map."))
    matrix = matrix_of(frame, shape, _top())
    return sheet_of_matrix(matrix, metric(query.metrics[0]).unit)


def _as_table(frame: Frame) -> Frame:
    """The frame as the table that the link stands above: with what else that tells, in the order that it was put in."""
    beside, order = _beside(), request.args.get("sort")
    with asking(PageState(zone=frame.query.time_zone, ahead=True).to_search()) as asked:
        told = as_told(asked, frame, beside)
        return in_order(told, order) if order else told


def _top() -> int:
    top = request.args.get("top", DEFAULT_TOP, type=int)
    return top if top in TOPS else DEFAULT_TOP


def _beside() -> list[str]:
    named = set(request.args.getlist("with"))
    return [each for each in BESIDE if each in named]


def _arrangement(shape: Shape | None) -> dict[str, list[str]]:
    """What the URL says besides the query, as far as it is understood."""
    if shape:
        return {"shape": [shape], "top": [str(_top())]}
    told = {"with": _beside(), "sort": request.args.getlist("sort")[:1]}
    return {name: values for name, values in told.items() if values}


def _exported(kind: str, sheet: Callable[[], Sheet], name: str, told: Mapping[str, list[str]]) -> Response:
    """What `sheet` makes as a file of that kind, noted in the audit log with what was `told` of the question.

    That is never the URL itself, in which a stranger can write anything.
    """
    if kind not in FORMATS:
        abort(404)
    content_type, write = FORMATS[kind]
    out = BytesIO()
    write(sheet(), out)
    act(services().audit.record, AuditAction.DATA_EXPORTED, name, after={"filters": dict(told)})
    return _download(out.getvalue(), content_type, name)


def _sale_lines(query: Query, order: str) -> Iterator[SaleLine]:
    cursor = None
    while True:
        page = ask(services().data.sales, query, cursor, _LINES_AT_ONCE, order)
        yield from page.lines
        cursor = page.next_cursor
        if cursor is None:
            return


def _download(content: bytes, content_type: str, name: str) -> Response:
    response = make_response(content)
    response.headers["Content-Type"] = content_type
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(_("This is no moment with a time zone: {text}", text=text[:40]))
    return moment


def _chunks() -> Iterator[bytes]:
    while chunk := request.stream.read(_CHUNK_BYTES):
        yield chunk
