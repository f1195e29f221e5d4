"""Browser sessions: a signed cookie that carries the secret of a session kept in the database."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock

from flask import Flask, Response, after_this_request, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, login_user, logout_user
from flask_login import current_user as signed_in

from nebuloviz.db import answering
from nebuloviz.errors import Unavailable
from nebuloviz.services.interfaces import UserView, Visitor
from nebuloviz.services.tokens import derived_key
from nebuloviz.settings import Settings
from nebuloviz.web.context import SignedIn, context

_KEEP_ALIVE_SECONDS = 60.0
_PUT_OFF_SECONDS = 5.0
_PATIENCE_MS = 200  # a load of SQLite holds the lock for seconds, one batch after the other
_KEPT = 10_000
THEME_COOKIE = "nebuloviz_theme"  # read by assets/clientside.js as well


class _RecentlyKept:
    """When each session's idle time was last put back, so that this costs a write a minute and not one a request."""

    def __init__(self) -> None:
        self._at: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def due(self, token: str) -> bool:
        now = time.monotonic()
        with self._lock:
            last = self._at.get(token)
            if last is not None and now - last < _KEEP_ALIVE_SECONDS:
                return False
            self._at[token] = now
            self._at.move_to_end(token)
            if len(self._at) > _KEPT:
                self._at.popitem(last=False)
            return True

    def put_off(self, token: str) -> None:
        """It could not be written: it is due again in some seconds, for which requests do not try."""
        with self._lock:
            self._at[token] = time.monotonic() - _KEEP_ALIVE_SECONDS + _PUT_OFF_SECONDS


_recently_kept = _RecentlyKept()


def install_sessions(server: Flask, settings: Settings) -> None:
    """Cookies, and Flask-Login's way from a cookie to a user."""
    server.secret_key = derived_key(settings.secret(), "browser cookie")
    server.session_interface = SecureCookieSessionInterface()
    server.config.update(
        # the prefix makes browsers refuse the cookie from subdomains and over plain HTTP
        SESSION_COOKIE_NAME="__Host-nebuloviz" if settings.cookie_secure else "nebuloviz",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        SESSION_COOKIE_PATH="/",
        SESSION_REFRESH_EACH_REQUEST=False,
    )
    manager = LoginManager()
    manager.session_protection = (
        None  # it would sign people out whose address changes; the session is known by its secret
    )
    manager.init_app(server, add_context_processor=False)  # templates have `reader`
    manager.user_loader(_load)


def _load(token: str) -> SignedIn | None:
    with answering(), context().database.session() as session_:
        user = context().services.auth.user_of_session(session_, token)
    return None if user is None else SignedIn(user, token)


def reader() -> UserView | None:
    """Who is signed in; None where nobody is, and where the database cannot tell: the page that says so must come all the same."""
    try:
        return signed_in.user if signed_in and signed_in.is_authenticated else None
    except Unavailable:
        return None


def visitor() -> Visitor:
    """From where this request comes."""
    return Visitor(g.address, request.headers.get("User-Agent", ""))


def keep_alive(token: str) -> None:
    """Say that the session is in use; a little later where the database takes no writes now, for readers do not wait for those."""
    if not _recently_kept.due(token):
        return
    try:
        with answering(), context().database.transaction(patience_ms=_PATIENCE_MS) as session_:
            context().services.auth.touch_session(session_, token, visitor())
    except Unavailable:
        _recently_kept.put_off(token)


def begin(user: UserView) -> None:
    """Sign `user` in with a session, a cookie and a CSRF token that did not exist before."""
    with answering(), context().database.transaction() as session_:
        token = context().services.auth.start_session(session_, user, visitor())
    session.clear()
    login_user(SignedIn(user, token))


def remember_theme(theme: str) -> None:
    """Tell the browser that answers come to which colours were chosen; 'auto' leaves it to follow the system."""

    def tell(response: Response) -> Response:
        if theme == "auto":
            response.delete_cookie(THEME_COOKIE)
        else:
            secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
            response.set_cookie(THEME_COOKIE, theme, max_age=31_536_000, samesite="Lax", secure=secure)
        return response

    after_this_request(tell)


def end(token: str) -> None:
    """Sign out: the session is gone from the database, the cookie from the browser."""
    with answering(), context().database.transaction() as session_:
        context().services.auth.end_session(session_, token)
    logout_user()
    session.clear()
