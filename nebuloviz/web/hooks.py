"""What happens around every request of the dashboard: its id, the reader's preferences, headers, figures, and errors."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import secrets
import time
from dataclasses import replace

from dash import Dash
from flask import Flask, Response, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from nebuloviz.errors import NebuloVizError, TooManyRequests
from nebuloviz.i18n import Preferences, choose_language, format_locale, set_current
from nebuloviz.i18n import gettext as _
from nebuloviz.observability import observe_request, set_log_context
from nebuloviz.services.audit import set_address
from nebuloviz.services.interfaces import UserView
from nebuloviz.services.limits import client_address
from nebuloviz.settings import Settings
from nebuloviz.tracing import describe
from nebuloviz.web.context import installation
from nebuloviz.web.guard import wants_page
from nebuloviz.web.sessions import reader

_INLINE_SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<code>.*?)</script>", re.DOTALL)
LANGUAGE_PARAMETER = "lang"  # of the sign-in pages, where nobody's own choice is known yet
_BEFORE_SIGN_IN = frozenset({"sign_in", "sign_in_code"})
_CACHEABLE = ("/_dash-component-suites/", "/assets/", "/vendor/", "/locale/", "/_favicon")

_log = logging.getLogger(__name__)


class ContentSecurityPolicy:
    """What the pages may load: our own files, and the inline scripts that Dash writes into its index, by their hashes.

    Inline styles stay allowed, because Plotly and AG Grid write style elements; `data:` and `blob:` images are how Plotly
    exports a chart, and AG Grid's icons are a `data:` font.
    """

    def __init__(self) -> None:
        self._hashes: list[str] = []

    def allow_inline_scripts(self, html: str) -> None:
        """Allow exactly the inline scripts of `html`."""
        codes = [
            found["code"]
            for found in _INLINE_SCRIPT.finditer(html)
            if "src=" not in found["attributes"] and "application/json" not in found["attributes"]
        ]
        self._hashes = sorted({f"'sha256-{_sha256(code)}'" for code in codes})

    def __str__(self) -> str:
        return "; ".join(
            [
                "default-src 'none'",
                " ".join(["script-src 'self'", *self._hashes]),
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self' data:",
                "connect-src 'self'",
                "manifest-src 'self'",
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            ]
        )


def _sha256(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")


def install_hooks(server: Flask, settings: Settings, policy: ContentSecurityPolicy) -> None:
    """Put the hooks around every request of `server`; `begin` must be the first hook that it has."""

    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = secrets.token_hex(8)
        set_log_context(request_id=g.request_id, user_id="")
        forwarded = request.headers.getlist("X-Forwarded-For")
        g.address = client_address(request.remote_addr, forwarded, settings.trusted_proxies)
        set_address(g.address)
        asked = request.args.get(LANGUAGE_PARAMETER) if request.endpoint in _BEFORE_SIGN_IN else None
        set_current(usual_preferences(asked))

    def finish(response: Response) -> Response:
        if "started" in g:
            _add_headers(response, policy)
            route = request.endpoint if request.endpoint in server.view_functions else "none"
            observe_request(request.method, route or "none", response.status_code, time.perf_counter() - g.started)
            about = {"http__response__status_code": response.status_code, "nebuloviz__request_id": g.request_id}
            describe(f"{request.method} {route or 'none'}", **about)
        return response

    server.before_request(begin)
    server.after_request(finish)
    server.register_error_handler(HTTPException, _http_error)
    server.register_error_handler(NebuloVizError, _known_error)
    server.register_error_handler(Exception, _unknown_error)


def install_reader(server: Flask) -> None:
    """Once the guard knows the user, text, times and logs follow the user's preferences."""

    def read() -> None:
        if request.path.startswith(_CACHEABLE):  # the same for everybody, and there while the database is not
            return
        user = reader()
        if user is not None:
            set_log_context(user_id=str((user.seen_by or user).id))
            set_current(_own_preferences(user))

    server.before_request(read)


def usual_preferences(language: str | None, time_zone: str = "") -> Preferences:
    """As the reader has chosen, and as the installation has it where not."""
    usual = installation()
    header = request.headers.get("Accept-Language")
    chosen = choose_language(header, language, usual.language, usual.languages)
    return Preferences(
        chosen, time_zone or usual.time_zone, usual.currency, usual.week_start, year_start=usual.fiscal_year_start
    )


def _own_preferences(user: UserView) -> Preferences:
    known = usual_preferences(user.language, user.time_zone)
    start = known.week_start if user.week_start is None else user.week_start
    return replace(known, week_start=start, number_locale=format_locale(known.language, user.format_region))


def _add_headers(response: Response, policy: ContentSecurityPolicy) -> None:
    headers = response.headers
    headers["X-Request-Id"] = g.request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    headers["Content-Security-Policy"] = str(policy)
    if response.status_code >= 400 or not request.path.startswith(_CACHEABLE):
        headers["Cache-Control"] = "no-store"
    elif request.path.startswith("/assets/") and "m" in request.args:  # Dash's mark of the file's last change
        headers["Cache-Control"] = "public, max-age=31536000, immutable"


def _http_error(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return make_response(error.get_response())
    words = {404: _("There is nothing at this address."), 413: _("The file or request is too large.")}
    code = (error.name or "error").lower().replace(" ", "_")
    response = problem(error.code, code, words.get(error.code) or _("The request cannot be answered as it stands."))
    allowed = error.get_response().headers.get("Allow")
    if allowed:
        response.headers["Allow"] = allowed
    return response


def _known_error(error: NebuloVizError) -> Response:
    response = problem(error.status, error.code, error.message)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _unknown_error(error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return problem(500, "internal_error", _("Something went wrong. It has been noted; please try again."))


def problem(status: int, code: str, message: str) -> Response:
    """An error as a page for people who navigate, and as RFC 9457's problem for scripts."""
    if wants_page():
        sent = request.method not in {"GET", "HEAD", "OPTIONS"}
        again = status >= 500 and (not sent or "GET" in ((request.url_rule and request.url_rule.methods) or ()))
        page = render_template("error.html", status=status, message=message, sent=sent, again=again)
        return make_response(page, status)
    response = jsonify(type="about:blank", title=message, status=status, code=code, detail=message)
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response


def allow_index(app: Dash, server: Flask, policy: ContentSecurityPolicy) -> None:
    """Allow the inline scripts of the index page as it is once every callback is registered."""
    with server.test_request_context("/"):
        policy.allow_inline_scripts(app.index())  # type: ignore[no-untyped-call]  # Dash has no types here
