"""Files in and out: uploads as a stream, and what a page shows as a download."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, Response, abort, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnsupportedMediaType

from nebuloviz.metrics.query import Query
from nebuloviz.permissions import Permission
from nebuloviz.services.export import FORMATS, file_name
from nebuloviz.web.access import route
from nebuloviz.web.context import ask, services, settings

_CHUNK_BYTES = 256 * 1024
_SLACK_BYTES = 1024 * 1024  # the store has the exact limit, and better words


def install_files(server: Flask) -> None:
    """The routes /uploads and /export/<kind>."""

    @route(server, "/uploads", Permission.SALES_WRITE, methods=["POST"])
    def upload() -> ResponseReturnValue:
        """The body is the file, `name` its name; answers `{"upload_id": ...}`, by which it can be looked into and imported."""
        if request.mimetype != "application/octet-stream":
            raise UnsupportedMediaType
        request.max_content_length = settings().max_upload_mb * 1_000_000 + _SLACK_BYTES
        upload_id = services().ingest.store_upload(request.args.get("name", ""), _chunks())
        return jsonify(upload_id=upload_id), 201

    @route(server, "/export/<kind>", Permission.DATA_READ)
    def export(kind: str) -> Response:
        """The query in the URL's parameters, as a file."""
        if kind not in FORMATS:
            abort(404)
        frame = ask(services().data.frame, Query.from_params(request.args.to_dict(flat=False)))
        content_type, make = FORMATS[kind]
        response = make_response(make(frame))
        response.headers["Content-Type"] = content_type
        response.headers["Content-Disposition"] = f'attachment; filename="{file_name(frame, kind)}"'
        return response


def _chunks() -> Iterator[bytes]:
    while chunk := request.stream.read(_CHUNK_BYTES):
        yield chunk
