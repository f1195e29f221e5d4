"""Around everything that the server answers: request ids, headers, figures, and requests that no part behind could read."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nebuloviz.api.bodies import in_time
from nebuloviz.api.problems import SAFE_HEADERS, ProblemResponse, unexpected_problem
from nebuloviz.i18n import Preferences, _, choose_language, set_current
from nebuloviz.observability import log_context, observe_request
from nebuloviz.services.audit import set_address
from nebuloviz.services.interfaces.installation import Live
from nebuloviz.services.limits import Allowance, client_address
from nebuloviz.settings import Settings
from nebuloviz.tracing import describe, span

PREFIX = "/api/v1"
_OWN = frozenset({"/api", "/healthz", "/readyz", "/metrics"})
_HSTS = "max-age=31536000; includeSubDomains"
_ALLOWANCE = "nebuloviz.allowance"


def is_own(path: str) -> bool:
    """Whether a path is answered here, and not by the dashboard."""
    return path.startswith("/api/") or path in _OWN


class Edge:
    """The outermost ASGI layer. What is not ours goes to the `dashboard` from here: it would be none of the API's hundred routes."""

    def __init__(self, app: ASGIApp, settings: Settings, live: Live, dashboard: ASGIApp | None = None) -> None:
        self._app = app
        self._elsewhere = dashboard or app
        self._live = live
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = _plain_headers(scope["headers"])
        self._speak(scope)
        with span(scope["method"], Headers(scope=scope)):
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _readable(scope):
            await self._answer(_refuse, scope, receive, send)
        elif is_own(scope["path"]):
            await self._answer(self._app, scope, in_time(receive), send)
        else:
            await self._elsewhere(scope, in_time(receive), self._sending(scope, send, {}))

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, started, status = secrets.token_hex(8), time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        sending = self._sending(scope, watched, {**SAFE_HEADERS, "X-Request-Id": request_id})
        with log_context(request_id=request_id):
            try:
                await app(scope, receive, sending)
            except Exception as error:  # noqa: BLE001 - the last line: logged, and answered without details
                await unexpected_problem(error)(scope, receive, sending)
        method, route = scope["method"], _template(scope)
        observe_request(method, route, status, time.perf_counter() - started)
        describe(f"{method} {route}", http__response__status_code=status, nebuloviz__request_id=request_id)

    def _speak(self, scope: Scope) -> None:
        headers, peer = Headers(scope=scope), (scope.get("client") or (None,))[0]
        set_address(client_address(peer, headers.getlist("x-forwarded-for"), self._settings.trusted_proxies))
        usual = self._live()
        language = choose_language(headers.get("accept-language"), default=usual.language, offered=usual.languages)
        set_current(
            Preferences(language, usual.time_zone, usual.currency, usual.week_start, year_start=usual.fiscal_year_start)
        )

    def _sending(self, scope: Scope, send: Send, extra: dict[str, str]) -> Send:
        """`send`, adding headers that the answer does not have by itself."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (extra | _allowance(scope)).items():
                    headers.setdefault(name, value)
                if self._settings.cookie_secure:
                    headers.setdefault("Strict-Transport-Security", _HSTS)
            await send(message)

        return sending


def note_allowance(scope: Scope, allowance: Allowance) -> None:
    """Let the answer to this request say what is left of the caller's requests."""
    scope[_ALLOWANCE] = allowance


def _allowance(scope: Scope) -> dict[str, str]:
    allowance: Allowance | None = scope.get(_ALLOWANCE)
    if allowance is None:
        return {}
    return {
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Policy": f"{allowance.limit};w={allowance.window_seconds}",
        "RateLimit-Remaining": str(max(0, allowance.left)),
        "RateLimit-Reset": str(allowance.seconds_left),
    }


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, and hang up: what else comes over this connection may be no request at all."""
    words = _("The method, the address or a header is not valid.")
    await ProblemResponse(400, "malformed_request", words, headers={"Connection": "close"})(scope, receive, send)


def _template(scope: Scope) -> str:
    """The path of the route that answered, with its variables' names; the routes of the API know it without the API's prefix."""
    path: str = getattr(scope.get("route"), "path", "none")
    return f"{PREFIX}{path}" if path != "none" and scope["path"].startswith(f"{PREFIX}/") else path


def _readable(scope: Scope) -> bool:
    """A method as it is written, an address in ASCII and without NUL, and one word on where the body ends; all else is a probe.

    It trips what stands behind, to part of which `post` is a POST and to part of which it is none. A proxy in front might go by
    the other of two words, and take the rest of the body for a request.
    """
    if not scope["method"].isupper():
        return False
    query: bytes = scope["query_string"]
    framing = {b"content-length", b"transfer-encoding"} & {name for name, _value in scope["headers"]}
    return query.isascii() and b"%00" not in query and "\x00" not in scope["path"] and len(framing) < 2


def _plain_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without names that have an underscore: WSGI cannot tell `X_Forwarded_For` from the real one."""
    return [(name, value) for name, value in headers if b"_" not in name]
