"""Errors as RFC 9457 problems: one shape for all of them, and never a traceback or what the client sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from nebuloviz.api.faults import words_of
from nebuloviz.errors import InvalidSettings, NebuloVizError, NotSignedIn, TooManyRequests
from nebuloviz.i18n import _, lazy
from nebuloviz.observability import request_id

MEDIA_TYPE = "application/problem+json"
_MAX_FAULTS = 20
#: Of every answer that is for programs.
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

_log = logging.getLogger(__name__)


_TITLES = {
    400: lazy("Bad request"),
    401: lazy("Not signed in"),
    403: lazy("Forbidden"),
    404: lazy("Not found"),
    405: lazy("Method not allowed"),
    408: lazy("Too slow"),
    409: lazy("Conflict"),
    412: lazy("Changed meanwhile"),
    413: lazy("Too large"),
    415: lazy("Unsupported media type"),
    422: lazy("Cannot be carried out"),
    429: lazy("Too many requests"),
    500: lazy("Internal error"),
    503: lazy("Unavailable"),
}


class ProblemResponse(Response):
    """`{type, title, status, code, detail, request_id, errors?}`: `code` is stable, title and detail are in the caller's language."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": str(_TITLES.get(status, HTTPStatus(status).phrase)),
            "status": status,
            "code": code,
            "detail": detail,
            "request_id": request_id(),
        }
        if errors:
            problem["errors"] = list(errors)
        # escaped to ASCII, so that whatever text comes along can be sent
        super().__init__(json.dumps(problem).encode("ascii"), status, {**SAFE_HEADERS, **(headers or {})})


def install_problems(app: FastAPI) -> None:
    """Let every error of `app` leave as a problem."""
    app.add_exception_handler(NebuloVizError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _known(_request: Request, error: Exception) -> Response:
    if not isinstance(error, NebuloVizError):  # the signature is Starlette's
        raise error
    return known_problem(error)


def known_problem(error: NebuloVizError) -> ProblemResponse:
    headers = {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = "Bearer"
    about = {error.field: error.message} if error.field else {}
    problems = error.problems if isinstance(error, InvalidSettings) else about
    errors = [{"where": f"body.{name}", "problem": problem} for name, problem in problems.items()]
    return ProblemResponse(error.status, error.code, error.message, errors=errors, headers=headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else ()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return ProblemResponse(400, "malformed_request", _("The body is not valid JSON."))
    errors = [
        {"where": ".".join(str(part)[:100] for part in fault["loc"]), "problem": words_of(fault)}
        for fault in faults[:_MAX_FAULTS]
    ]
    return ProblemResponse(422, "invalid_input", _("Some values are missing or not valid; see errors."), errors=errors)


async def _http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    phrase = HTTPStatus(status).phrase
    details = {404: _("There is nothing at this address."), 405: _("The address does not answer this method.")}
    return ProblemResponse(status, phrase.lower().replace(" ", "_"), details.get(status, f"{phrase}."), headers=headers)


def unexpected_problem(error: Exception) -> ProblemResponse:
    """For what nobody foresaw: logged in full, told in a sentence."""
    _log.error("a request failed", exc_info=error)
    return ProblemResponse(500, "internal_error", _("Something went wrong. It has been noted; please try again."))
