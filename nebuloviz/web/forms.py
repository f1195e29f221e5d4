"""Plain pages with a form, which work without Dash and without scripts: their tokens, and how they say what was wrong."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from flask import Response, make_response, render_template, request, session

from nebuloviz.errors import FormExpired, InvalidInput, NebuloVizError, TooManyRequests
from nebuloviz.i18n import gettext as _


def form_page(template: str, error: NebuloVizError | None = None, **values: Any) -> Response:
    """The page, with `error` told on it and as its status."""
    problem = error.message if error else ""
    page = render_template(template, problem=problem, csrf_token=csrf_token(), **values)
    response = make_response(page, error.status if error else 200)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def new_password() -> str:
    """What the form says twice. Raises InvalidInput where it does not."""
    new = request.form.get("new", "")
    if new != request.form.get("again", ""):
        raise InvalidInput(_("The two new passwords differ."))
    return new


def csrf_token() -> str:
    """The token that this browser's forms carry; made on first use, and anew at each sign-in."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def check_csrf() -> None:
    """Raise FormExpired unless the form came from a page of this browser's session."""
    given, expected = request.form.get("csrf_token", ""), session.get("csrf", "")
    if not expected or not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), str(expected).encode()):
        raise FormExpired(_("This form has expired. Please try again."))
