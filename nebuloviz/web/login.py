"""Signing in and out and changing the password: plain pages that work without Dash and without scripts."""

from __future__ import annotations

import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from flask import Flask, g, make_response, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_login import current_user as signed_in

from nebuloviz.db import answering
from nebuloviz.errors import FormExpired, InvalidInput, NebuloVizError, NotSignedIn, TooManyRequests
from nebuloviz.i18n import current, is_rtl
from nebuloviz.i18n import gettext as _
from nebuloviz.services.interfaces import UserView
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web import sessions
from nebuloviz.web.access import route
from nebuloviz.web.context import context, current_user, installation
from nebuloviz.web.hooks import LANGUAGE_PARAMETER

_LONGEST_TARGET = 2_000


def install_login(server: Flask) -> None:
    """The pages /login, /logout, /password and /welcome."""

    @server.context_processor
    def shared() -> dict[str, Any]:
        return template_values()

    @route(server, "/login", "public", methods=["GET", "POST"])
    def sign_in() -> ResponseReturnValue:
        target = safe_target(request.args.get("next"))
        if request.method == "POST":
            return _sign_in(target)
        return redirect(target) if signed_in.is_authenticated else _sign_in_page(target)

    @route(server, "/logout", "signed-in", methods=["POST"])
    def sign_out() -> ResponseReturnValue:
        # the guard has refused other sites already, and signing out is all that one could do here
        sessions.end(signed_in.get_id())
        response = make_response(redirect("/login", 303))
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    @route(server, "/password", "signed-in", methods=["GET", "POST"])
    def change_password() -> ResponseReturnValue:
        return _change_password() if request.method == "POST" else _password_page()

    @route(server, "/welcome/<token>", "public", methods=["GET", "POST"])
    def welcome(token: str) -> ResponseReturnValue:
        """Where a one-time link leads; looking at it does not use it up."""
        return _accept_password(token) if request.method == "POST" else _welcome_page(token)


def template_values() -> dict[str, Any]:
    """What every template may use."""
    language = current().language
    user = signed_in.user if signed_in and signed_in.is_authenticated else None
    return {
        "_": _,
        "language": language,
        "direction": "rtl" if is_rtl(language) else "ltr",
        "theme": user.theme if user and user.theme != "auto" else "",
        "favicon": "/assets/favicon.svg",
        "request_id": g.get("request_id", ""),
    }


# ---------------------------------------------------------------- sign in


def _sign_in(target: str) -> ResponseReturnValue:
    username = request.form.get("username", "")
    try:
        _check_csrf()
        user = _checked(username, request.form.get("password", ""))
    except (NotSignedIn, TooManyRequests, FormExpired) as error:
        return _sign_in_page(target, error, username)
    if signed_in.is_authenticated:
        sessions.end(signed_in.get_id())
    sessions.begin(user)
    return redirect(target, 303)


def _checked(username: str, password: str) -> UserView:
    """Whose password it is; a refusal is noted in the audit log. Checking holds no lock, so it is no part of that."""
    auth, database = context().services.auth, context().database
    with answering():
        try:
            with database.session() as reading:
                return auth.sign_in(reading, username, password, g.address)
        except NotSignedIn:
            with database.transaction() as noting:
                auth.sign_in_refused(noting, username)
            raise


def _sign_in_page(target: str, error: NebuloVizError | None = None, username: str = "") -> ResponseReturnValue:
    chosen = request.args.get(LANGUAGE_PARAMETER, "")
    offered = installation().languages
    known = {LANGUAGE_PARAMETER: chosen} if chosen in offered else {}
    page = render_template(
        "sign_in.html",
        problem=error.message if error else "",
        username=username[:64],
        csrf_token=csrf_token(),
        action=_login_address(target, known),
        languages=[
            (code, SUPPORTED_LANGUAGES[code], _login_address(target, {LANGUAGE_PARAMETER: code})) for code in offered
        ],
    )
    response = make_response(page, error.status if error else 200)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _login_address(target: str, parameters: dict[str, str]) -> str:
    query = urlencode(parameters | ({"next": target} if target != "/" else {}))
    return f"/login?{query}" if query else "/login"


def safe_target(given: str | None) -> str:
    """Where to go after signing in: a path of ours, or the start page for anything that a browser could read as elsewhere.

    >>> safe_target("/alerts?state=open"), safe_target("//evil.example"), safe_target("https://evil.example")
    ('/alerts?state=open', '/', '/')
    """
    if not given or len(given) > _LONGEST_TARGET or not given.isprintable() or "\\" in given or given.startswith("//"):
        return "/"
    try:
        parts = urlsplit(given)
    except ValueError:
        return "/"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    if parts.scheme or parts.netloc or not path.startswith("/") or path.startswith("//"):
        return "/"
    if path.rstrip("/") in {"/login", "/logout"}:
        return "/"
    query = urlencode(parse_qsl(parts.query, keep_blank_values=True))
    return f"{path}?{query}" if query else path


# ---------------------------------------------------------------- password


def _change_password() -> ResponseReturnValue:
    try:
        new = _new_password()
        with answering(), context().database.transaction() as writing:
            current = request.form.get("current", "")
            user = context().services.auth.change_password(writing, current_user().id, current, new)
    except (NotSignedIn, InvalidInput, TooManyRequests, FormExpired) as error:
        return _password_page(error)
    sessions.begin(user)
    return redirect("/", 303)


def _new_password() -> str:
    """What the form says twice. Raises FormExpired, InvalidInput."""
    _check_csrf()
    new = request.form.get("new", "")
    if new != request.form.get("again", ""):
        raise InvalidInput(_("The two new passwords differ."))
    return new


def _password_page(error: NebuloVizError | None = None) -> ResponseReturnValue:
    page = render_template(
        "change_password.html",
        problem=error.message if error else "",
        required=current_user().must_change_password,
        username=current_user().username,
        csrf_token=csrf_token(),
    )
    response = make_response(page, error.status if error else 200)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _accept_password(token: str) -> ResponseReturnValue:
    try:
        new = _new_password()
        with answering(), context().database.transaction() as writing:
            user = context().services.users.accept_password(writing, token, new)
    except (InvalidInput, FormExpired) as error:
        return _welcome_page(token, error)
    if signed_in.is_authenticated:
        sessions.end(signed_in.get_id())
    sessions.begin(user)
    return redirect("/", 303)


def _welcome_page(token: str, error: NebuloVizError | None = None) -> ResponseReturnValue:
    with answering(), context().database.session() as reading:
        user = context().services.users.offered_to(reading, token)
    problem = error.message if error else ""
    page = render_template("welcome.html", problem=problem, username=user.username, csrf_token=csrf_token())
    return make_response(page, error.status if error else 200)


# ---------------------------------------------------------------- forms


def csrf_token() -> str:
    """The token that this browser's forms carry; made on first use, and anew at each sign-in."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def _check_csrf() -> None:
    given, expected = request.form.get("csrf_token", ""), session.get("csrf", "")
    if not expected or not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), str(expected).encode()):
        raise FormExpired(_("This form has expired. Please try again."))
