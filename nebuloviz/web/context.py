"""What a page asks for: the signed-in user, and services called on this user's behalf.

Valid inside a request of the dashboard's Flask server. A page never opens a session and never names an actor:
`ask(services().data.frame, query)` reads, `act(services().alerts.resolve, alert_id)` writes and commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from flask import Flask, current_app, request
from flask_login import UserMixin
from flask_login import current_user as signed_in
from sqlalchemy.orm import Session

from nebuloviz.db import Database, answering
from nebuloviz.errors import NotSignedIn
from nebuloviz.i18n import gettext as _
from nebuloviz.permissions import Actor, Permission
from nebuloviz.services.audit import view_only
from nebuloviz.services.interfaces import InstallationSettings, Services, UserView
from nebuloviz.settings import Settings
from nebuloviz.web.live import LiveViews

_EXTENSION = "nebuloviz"

#: A `dcc.Store` of the shell. A callback that fails puts `{"code", "message"}` there, already in the reader's language.
ERROR_STORE_ID = "shell-error"

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Context:
    """What one dashboard was built from."""

    services: Services
    database: Database
    settings: Settings
    live: LiveViews = field(default_factory=LiveViews)


class SignedIn(UserMixin):  # type: ignore[misc]  # flask-login has no type information
    """Flask-Login's user. Its id is the secret of the browser session, so that signing out anywhere is known here."""

    def __init__(self, user: UserView, token: str) -> None:
        self.user = user
        self.token = token

    def get_id(self) -> str:
        return self.token


def install_context(server: Flask, context: Context) -> None:
    """Make `context` what the functions below answer from."""
    server.extensions[_EXTENSION] = context


def context() -> Context:
    """The parts of the dashboard that answers this request."""
    found: Context = current_app.extensions[_EXTENSION]
    return found


def services() -> Services:
    """The services; call their methods through `ask` and `act`."""
    return context().services


def settings() -> Settings:
    """The settings of this process."""
    return context().settings


def installation() -> InstallationSettings:
    """What administrators have decided of the installation, as it is now."""
    return services().settings.current


def origin() -> str:
    """What links to this program begin with: its public address, or else what the browser calls it by, which the guard allowed."""
    return installation().origin or request.headers.get("Origin") or request.host_url.rstrip("/")


def current_user() -> UserView:
    """Who is signed in.

    Raises:
        NotSignedIn: nobody is; the guard lets no page or callback come here then.
    """
    if not signed_in or not signed_in.is_authenticated:
        raise NotSignedIn(_("Please sign in."))
    user: UserView = signed_in.user
    return user


def current_actor() -> Actor:
    """The signed-in user as an actor."""
    return services().auth.actor(current_user())


def may(permission: Permission) -> bool:
    """Whether the signed-in user's role includes `permission`; for leaving out what would be refused."""
    return current_actor().may(permission)


def ask(method: Callable[Concatenate[Session, Actor, _P], _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a service's method for the signed-in user, reading only.

    Raises:
        NebuloVizError: whatever the method raises; `Unavailable` where the database does not answer.
    """
    with answering(), context().database.session() as session:
        return method(session, current_actor(), *args, **kwargs)


def stamp() -> str:
    """What this reader's pages know of whether sales and alerts have changed: a text that does, once what they show is drawn anew."""
    return context().live.news(_reader(), _ask_for_stamp)


def drawn(name: str, draw: Callable[[], _R]) -> _R:
    """What `draw` makes, once for all who may see the same; for as long as somebody looks at it, again before they hear of news.

    `name` names all that it depends on but what the user may see.

    Raises:
        Unavailable: nobody can say whether there is news.
        NebuloVizError: whatever `draw` raises.
    """
    live, actor = context().live, current_actor()

    def as_of(stamp: str) -> _R:
        return ask(services().data.view, stamp, name, lambda: live.timed(draw))

    return live.view((name, actor.scope, actor.permissions), _reader(), _ask_for_stamp, as_of)


def nobody_looks() -> None:
    """What this request has shown was for nobody's eyes, and need not be drawn again."""
    context().live.leave(_reader())


def _reader() -> str:
    """The session of the browser that asks: two of one person may show different pages."""
    return str(signed_in.get_id())


def _ask_for_stamp() -> str:
    return ask(services().data.stamp)


@contextmanager
def writing() -> Iterator[Session]:
    """A transaction for the signed-in user, who is that and not only looked at. Raises ViewOnly."""
    if current_user().seen_by is not None:
        raise view_only()
    with answering(), context().database.transaction() as session:
        yield session


def act(method: Callable[Concatenate[Session, Actor, _P], _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """As `ask`, in a transaction that is committed when the method returns and rolled back when it raises.

    Raises:
        ViewOnly: an administrator is looking through the user's eyes.
    """
    with writing() as session:
        return method(session, current_actor(), *args, **kwargs)
