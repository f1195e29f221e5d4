"""Signing in and out and changing the password: plain pages that work without Dash and without scripts."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from flask import Flask, g, make_response, redirect, request, session
from flask.typing import ResponseReturnValue
from flask_login import current_user as signed_in

from nebuloviz.db import answering
from nebuloviz.errors import FormExpired, InvalidInput, NebuloVizError, NotSignedIn, TooManyRequests, Unavailable
from nebuloviz.i18n import current, is_rtl, ngettext, number
from nebuloviz.i18n import gettext as _
from nebuloviz.services.interfaces import UserView
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web import sessions
from nebuloviz.web.access import route
from nebuloviz.web.context import context, current_user, installation
from nebuloviz.web.forms import check_csrf, form_page, new_password
from nebuloviz.web.guard import find_page
from nebuloviz.web.hooks import LANGUAGE_PARAMETER
from nebuloviz.web.logo import logo_address

_MAX_TARGET_LENGTH = 2_000
_TICKET = "second_step"  # in the signed cookie, between the two steps of signing in


def install_login(server: Flask) -> None:
    """The pages /login with its second step, /logout, /password and /welcome."""
    server.jinja_env.filters["groups"] = groups

    @server.context_processor
    def shared() -> dict[str, Any]:
        return template_values()

    @route(server, "/login", "public", methods=["GET", "POST"])
    def sign_in() -> ResponseReturnValue:
        target = safe_target(request.args.get("next"))
        if request.method == "POST":
            return _sign_in(target)
        return redirect(target) if signed_in.is_authenticated else _sign_in_page(target)

    @route(server, "/login/code", "public", methods=["GET", "POST"])
    def sign_in_code() -> ResponseReturnValue:
        """The second step, of those who have a second factor: the password was right."""
        return _second_step(safe_target(request.args.get("next")))

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
    user = sessions.reader()
    return {
        "_": _,
        "ngettext": ngettext,
        "number": number,
        "language": language,
        "direction": "rtl" if is_rtl(language) else "ltr",
        "reader": user,
        "theme": user.theme if user and user.theme != "auto" else "",
        "favicon": "/assets/favicon.svg",
        "installation": installation().name,
        "logo": logo_address(),
        "request_id": g.get("request_id", ""),
    }


# ---------------------------------------------------------------- sign in


def _sign_in(target: str) -> ResponseReturnValue:
    username = request.form.get("username", "")
    try:
        check_csrf()
        user = _checked(username, request.form.get("password", ""))
    except (NotSignedIn, TooManyRequests, FormExpired, Unavailable) as error:
        return _sign_in_page(target, error, username)
    return _enter(user, target)


def _enter(user: UserView, target: str) -> ResponseReturnValue:
    """Let in whose password was right, or ask for the second factor first. Whoever was signed in here is so no more."""
    if signed_in.is_authenticated:
        sessions.end(signed_in.get_id())
    if not user.second_factor:
        sessions.begin(user)
        return redirect(home(user) if target == "/" else target, 303)
    session.clear()
    session[_TICKET] = context().services.auth.second_step(user)
    return redirect(_address("/login/code", target, _chosen_language()), 303)


def home(user: UserView) -> str:
    """The page that signing in leads to where no other was asked for: the user's own choice, if there still is such a page."""
    page, _variables = find_page(user.landing_page)
    actor = context().services.auth.actor(user)
    return user.landing_page if page and user.landing_page and actor.may(page["permission"]) else "/"


def _second_step(target: str) -> ResponseReturnValue:
    auth, error = context().services.auth, None
    try:
        with answering(), context().database.session() as reading:
            user = auth.user_of_second_step(reading, str(session.get(_TICKET, "")))
    except NotSignedIn:
        return redirect(_address("/login", target, _chosen_language()), 303)
    if request.method == "POST":
        try:
            check_csrf()
            with answering(), context().database.transaction() as writing:
                context().services.second_factor.check(writing, user, request.form.get("code", ""), g.address)
        except (NotSignedIn, TooManyRequests, FormExpired) as refused:
            error = refused
        else:
            sessions.begin(user)
            return redirect(home(user) if target == "/" else target, 303)
    action, back = (_address(path, target, _chosen_language()) for path in ("/login/code", "/login"))
    return form_page("sign_in_code.html", error, action=action, back=back)


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
    return form_page(
        "sign_in.html",
        error,
        ended="_user_id" in session,  # a cookie of ours that nobody is signed in with any more
        username=username[:64],
        action=_address("/login", target, _chosen_language()),
        languages=[
            (code, SUPPORTED_LANGUAGES[code], _address("/login", target, code)) for code in installation().languages
        ],
    )


def _chosen_language() -> str:
    chosen = request.args.get(LANGUAGE_PARAMETER, "")
    return chosen if chosen in installation().languages else ""


def _address(path: str, target: str, language: str) -> str:
    known = {LANGUAGE_PARAMETER: language} if language else {}
    query = urlencode(known | ({"next": target} if target != "/" else {}))
    return f"{path}?{query}" if query else path


def safe_target(given: str | None) -> str:
    """Where to go after signing in: a path of ours, or the start page for anything that a browser could read as elsewhere.

    >>> safe_target("/alerts?state=open"), safe_target("//evil.example"), safe_target("https://evil.example")
    ('/alerts?state=open', '/', '/')
    """
    if (
        not given
        or len(given) > _MAX_TARGET_LENGTH
        or not given.isprintable()
        or "\\" in given
        or given.startswith("//")
    ):
        return "/"
    try:
        parts = urlsplit(given)
    except ValueError:
        return "/"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    if parts.scheme or parts.netloc or not path.startswith("/") or path.startswith("//"):
        return "/"
    if path.rstrip("/") in {"/login", "/login/code", "/logout"}:
        return "/"
    query = urlencode(parse_qsl(parts.query, keep_blank_values=True))
    return f"{path}?{query}" if query else path


# ---------------------------------------------------------------- password


def _change_password() -> ResponseReturnValue:
    try:
        check_csrf()
        new = new_password()
        with answering(), context().database.transaction() as writing:
            current = request.form.get("current", "")
            user = context().services.auth.change_password(writing, current_user().id, current, new)
    except (NotSignedIn, InvalidInput, TooManyRequests, FormExpired) as error:
        return _password_page(error)
    must_change = current_user().must_change_password
    sessions.begin(user)
    return redirect(home(user) if must_change else "/profile", 303)


def _password_page(error: NebuloVizError | None = None) -> ResponseReturnValue:
    user = current_user()
    return form_page("change_password.html", error, required=user.must_change_password, username=user.username)


def _accept_password(token: str) -> ResponseReturnValue:
    try:
        check_csrf()
        new = new_password()
        with answering(), context().database.transaction() as writing:
            user = context().services.users.accept_password(writing, token, new)
    except (InvalidInput, FormExpired) as error:
        return _welcome_page(token, error)
    return _enter(user, "/")


def _welcome_page(token: str, error: NebuloVizError | None = None) -> ResponseReturnValue:
    with answering(), context().database.session() as reading:
        user = context().services.users.offered_to(reading, token)
    return form_page("welcome.html", error, username=user.username)


def groups(text: str) -> str:
    """`text` in groups of four letters, as it is easily typed."""
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
