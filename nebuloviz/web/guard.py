"""The edge of the dashboard: nothing passes that is not declared, whatever the path is spelled like.

`install_guard` comes before `Dash()`, so that its hook runs before any of Dash's. It decides by the endpoint that Flask
matched, never by the path. `verify` runs once everything is registered, and refuses to start an incomplete declaration.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import quote, urlsplit

import dash
from dash import Dash, html
from dash._pages import _path_to_page
from dash.dependencies import Output
from dash.exceptions import PreventUpdate
from flask import Flask, Response, after_this_request, current_app, g, redirect, request
from flask.typing import ResponseReturnValue
from flask_login import current_user as signed_in
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from nebuloviz.errors import (
    ConfigurationError,
    CrossOrigin,
    MalformedRequest,
    NebuloVizError,
    NotFound,
    NotSignedIn,
    PasswordChangeRequired,
    PermissionDenied,
    SecondFactorDue,
    TooManyRequests,
    ViewOnly,
)
from nebuloviz.i18n import gettext as _
from nebuloviz.observability import CALLBACK_ERRORS, CALLBACK_SECONDS, timed
from nebuloviz.permissions import Permission, required_permission
from nebuloviz.services.audit import view_only
from nebuloviz.services.limits import RequestLimiter
from nebuloviz.tracing import span
from nebuloviz.web import body, context
from nebuloviz.web.access import Access, declared_access
from nebuloviz.web.sessions import keep_alive

UPDATE = "/_dash-update-component"
SUITES = "/_dash-component-suites/<string:package_name>/<path:fingerprinted_path>"
_PUBLIC = frozenset({SUITES, "/_favicon.ico", "_dash_assets.static"})
_PAGES = frozenset({"/", "/<path:path>"})
_DESCRIPTIONS = frozenset({"/_dash-layout", "/_dash-dependencies"})
_WHILE_PASSWORD_MUST_CHANGE = frozenset({"change_password", "first_run", "sign_out"})
_WHILE_SECOND_FACTOR_IS_DUE = frozenset({"second_factor", "sign_out"})
#: Of what changes something; callbacks are `context.act`'s to refuse.
_WHILE_LOOKING = frozenset({"sign_out", "stop_looking"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_ROUTER = "router"  # the access of Dash's own page callback: decided by the page that it is asked for
_PAGE_OUTPUT = Output("_pages_content", "children")
_PAGE_STORE = Output("_pages_store", "data")
_MAX_ADDRESS_LENGTH = 64_000

_log = logging.getLogger(__name__)


def install_guard(server: Flask, limiter: RequestLimiter) -> None:
    """Let nothing through `server` but what the guard knows. Call it before `Dash()` gets the server."""
    server.before_request(functools.partial(_guard, limiter))


def _guard(limiter: RequestLimiter) -> ResponseReturnValue | None:
    endpoint = request.endpoint
    access = _PUBLIC_ACCESS if endpoint in _PUBLIC else declared_access(current_app).get(endpoint or "")
    _check_origin()
    if access == "public":
        return None
    if not signed_in.is_authenticated:
        return _ask_to_sign_in()
    limiter.check(f"session:{signed_in.get_id()}")
    keep_alive(signed_in.get_id())
    if signed_in.user.seen_by and request.method not in _SAFE_METHODS and endpoint not in {UPDATE, *_WHILE_LOOKING}:
        raise view_only()
    if signed_in.user.must_change_password and endpoint not in _WHILE_PASSWORD_MUST_CHANGE:
        return _ask_for_new_password()
    if endpoint not in _WHILE_SECOND_FACTOR_IS_DUE and context.services().second_factor.is_due(
        signed_in.user.seen_by or signed_in.user
    ):
        return _ask_for_second_factor()
    _authorize(endpoint, access)
    return None


_PUBLIC_ACCESS: Access = "public"


def _authorize(endpoint: str | None, access: Access | None) -> None:
    if access == "signed-in" or endpoint in _DESCRIPTIONS:
        return
    if access is not None:
        _demand(cast("Permission", access))
    elif endpoint == UPDATE:
        _authorize_callback()
    elif endpoint in _PAGES:
        _authorize_page(request.path)
    elif request.routing_exception is None:
        raise NotFound(_("There is nothing at this address."))


def access_of(server: Flask, endpoint: str) -> str | None:
    """What `endpoint` needs, for the table in the documentation: 'its own' is decided by what is asked of it; None is closed."""
    declared = declared_access(server).get(endpoint)
    if declared is not None:
        return str(declared)
    if endpoint in _PUBLIC:
        return _PUBLIC_ACCESS
    if endpoint in _DESCRIPTIONS:
        return "signed-in"
    return "its own" if endpoint == UPDATE or endpoint in _PAGES else None


def _demand(permission: Permission) -> None:
    if not context.may(permission):
        raise PermissionDenied(_("Your role does not allow this. Ask an administrator for it."))


def _check_origin() -> None:
    """Refuse what another site makes a browser send. Programs send neither header and carry no cookie that could be abused."""
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin", request.headers.get("Referer"))
    foreign = origin is not None and not _own(origin)
    if foreign or site not in {None, "same-origin", "none"}:
        raise CrossOrigin(_("The request comes from another site."))


def _own(origin: str) -> bool:
    """Whether `origin` is the address that the request was sent to; the scheme may have ended at a proxy."""
    try:
        there, here = urlsplit(origin), urlsplit(f"//{request.host}")
        default = {"http": 80, "https": 443}[there.scheme]
        return there.hostname == here.hostname and (there.port or default) == (here.port or default)
    except (KeyError, ValueError):
        return False


def wants_page() -> bool:
    """Whether a browser is navigating or sends a form, so that an answer for people is due rather than JSON."""
    dashes = (request.endpoint or "").startswith("/_dash")
    accepted = request.accept_mimetypes
    if request.method not in _SAFE_METHODS:  # programs take anything; a browser names what it shows
        return not dashes and "text/html" in accepted.values()
    return not dashes and (accepted.accept_html or not accepted)


def _ask_to_sign_in() -> ResponseReturnValue:
    if wants_page():
        target = request.full_path.rstrip("?") if request.method in _SAFE_METHODS else "/"
        return redirect("/login" if target == "/" else f"/login?next={quote(target, safe='/')}")
    raise NotSignedIn(_("Please sign in."))


def _ask_for_new_password() -> ResponseReturnValue:
    if wants_page():
        first = context.services().settings.is_first_run and context.may(Permission.SETTINGS_MANAGE)
        return redirect("/first-run" if first else "/password")
    raise PasswordChangeRequired(_("Please choose a new password first."))


def _ask_for_second_factor() -> ResponseReturnValue:
    if wants_page():
        return redirect("/second-factor")
    raise SecondFactorDue(_("Please set up a second factor first."))


# ---------------------------------------------------------------- callbacks


def _authorize_callback() -> None:
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    asked = body.parse(request.get_data(cache=True))
    callback = _app().callback_map.get(body.output_of(asked))
    if callback is None or "callback" not in callback:
        raise NotFound(_("There is no such callback."))
    permission = required_permission(callback["callback"])
    if permission is None:
        raise PermissionDenied(_("Your role does not allow this. Ask an administrator for it."))
    if permission != _ROUTER:
        _demand(permission)
    body.check(asked, callback)
    if permission == _ROUTER:
        _authorize_router(asked)


def _authorize_router(asked: Mapping[str, Any]) -> None:
    """The router draws whatever page the body names, so the body's path needs what that page needs."""
    given = {item["property"]: item.get("value") for item in asked["inputs"] if item["id"] == body.LOCATION_ID}
    path = given.get("pathname")
    if not isinstance(path, str) or not path.startswith("/"):
        raise MalformedRequest("The path must be text that begins with a slash.")
    if len(path) + len(given.get("search") or "") > _MAX_ADDRESS_LENGTH:
        raise MalformedRequest("The path is too long.")
    page, variables = find_page(path)
    if page is None and not _drawable(path):
        raise NotFound(_("There is no such page."))
    _demand(page["permission"] if page else Permission.DATA_READ)  # the page that says so is the readers' own
    g.page_variables = variables


def _authorize_page(path: str) -> None:
    page, variables = find_page(path)
    if page is None and not (wants_page() and _drawable(path)):
        raise NotFound(_("There is no such page."))
    _demand(page["permission"] if page else Permission.DATA_READ)
    g.page_variables = variables
    if page is None:  # the app itself says so, with its ways to other pages
        after_this_request(_not_found)


def _not_found(response: Response) -> Response:
    response.status_code = 404
    return response


def find_page(path: str) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """The registered page that Dash would draw for `path`, and the values of its path's variables."""
    try:
        page, variables = _path_to_page(path.strip("/"))  # type: ignore[no-untyped-call]  # Dash's own matching, untyped
    except (IndexError, ValueError):  # a line break inside a variable
        return None, {}
    return page or None, variables or {}


def _drawable(path: str) -> bool:
    """Whether Dash's matching gets through `path`, so that its router shows the page that stands where none is."""
    try:
        _path_to_page(path.strip("/"))  # type: ignore[no-untyped-call]  # see above
    except (IndexError, ValueError):
        return False
    return True


def _app() -> Dash:
    app: Dash = current_app.extensions["dash"]
    return app


# ---------------------------------------------------------------- at the start


def verify(app: Dash) -> None:
    """Complete Dash's own set-up, and put the guard's finishing touches to it.

    Raises:
        ConfigurationError: a page or a callback declares no permission; names them.
    """
    server = cast("Flask", app.server)
    server.extensions["dash"] = app
    _run_first_request_hooks(app, server)
    _declare_router(app)
    pages = [
        page["module"] for page in dash.page_registry.values() if not isinstance(page.get("permission"), Permission)
    ]
    callbacks = [
        name
        for name, callback in app.callback_map.items()
        if "callback" in callback and required_permission(callback["callback"]) is None
    ]
    if pages or callbacks:
        named = ", ".join([*pages, *callbacks])
        raise ConfigurationError(
            f"These pages or callbacks declare no permission, and are not served without one: {named}."
        )
    for page in dash.page_registry.values():
        page["layout"] = _guarded_layout(page)
    server.view_functions[UPDATE] = _guarded_dispatch(server.view_functions[UPDATE])
    server.view_functions[SUITES] = _guarded_suites(server.view_functions[SUITES])


def _run_first_request_hooks(app: Dash, server: Flask) -> None:
    """What Dash would do at the first request, when two may come at once, is done now: its callbacks are known from here on.

    Dash draws the layout then, to check it, and there is nobody yet to draw it for.
    """
    layout, app.layout = app.layout, html.Div()
    with server.test_request_context("/"):
        for hook in server.before_request_funcs[None]:
            if hook.__module__ == "dash.dash":
                hook()
    app.layout = layout


def _declare_router(app: Dash) -> None:
    key = f"..{_PAGE_OUTPUT}...{_PAGE_STORE}.."
    app.callback_map[key]["callback"].required_permission = _ROUTER


def _guarded_layout(page: Mapping[str, Any]) -> Callable[..., Any]:
    """The page's layout, behind the permission once more; the path's variables win over parameters of the same name."""
    layout = page["layout"]
    accepts_any = callable(layout) and any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(layout).parameters.values()
    )

    def guarded(**parameters: Any) -> Any:
        _demand(page["permission"])
        if not callable(layout):
            return layout
        given = {**parameters, **g.get("page_variables", {})}
        known = inspect.signature(layout).parameters
        return layout(**(given if accepts_any else {name: value for name, value in given.items() if name in known}))

    return guarded


def _guarded_dispatch(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Dash's dispatcher, timed; what still fails outside of a callback's own code is a request that Dash cannot read."""

    def guarded() -> Any:
        output = body.parse(request.get_data(cache=True))["output"]
        function = inspect.unwrap(_app().callback_map[output]["callback"])
        g.callback = f"{function.__module__}.{function.__name__}"
        try:
            with timed(CALLBACK_SECONDS, callback=g.callback, page=_asking_page()), span(f"callback {g.callback}"):
                return dispatch()
        except (HTTPException, NebuloVizError, PreventUpdate):
            raise
        except Exception:  # noqa: BLE001 - whatever Dash stumbles over is answered, and logged
            CALLBACK_ERRORS.labels(g.callback).inc()
            _log.exception("a callback's request could not be answered", extra={"callback": g.callback})
            raise MalformedRequest(_("The request does not fit the callback.")) from None

    return guarded


def _asking_page() -> str:
    """The page that a callback's request comes from, as it is registered; `none` where the browser does not say."""
    try:
        path = urlsplit(request.referrer or "").path
    except ValueError:
        path = ""
    page, _variables = find_page(path) if path else (None, {})
    return str(page["path_template"] or page["path"]) if page else "none"


def _guarded_suites(serve: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(**where: str) -> Any:
        try:
            return serve(**where)
        except (dash.exceptions.DependencyException, OSError, KeyError, IndexError):
            raise NotFound(_("There is nothing at this address.")) from None

    return guarded


def callback_failed(error: Exception) -> None:
    """Dash's handler for exceptions in callbacks: nothing on the page changes, and the shell's error store says why.

    Raises:
        NebuloVizError: again, where the HTTP status is the answer (401, 403, 429): a page that asks what its reader may not.
    """
    if isinstance(error, (NotSignedIn, PermissionDenied, TooManyRequests)) and not isinstance(error, ViewOnly):
        raise error
    if isinstance(error, NebuloVizError):
        code, message = error.code, error.message
    else:
        CALLBACK_ERRORS.labels(g.callback).inc()
        _log.error("a callback failed", exc_info=error, extra={"callback": g.callback})
        code, message = "internal_error", _("Something went wrong. It has been noted; please try again.")
    dash.set_props(context.ERROR_STORE_ID, {"data": {"code": code, "message": message}})
