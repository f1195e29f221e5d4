"""What every route needs: who asks, and services called on the asker's behalf."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar, cast

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.orm import Session

from nebuloviz.api.edge import note_allowance
from nebuloviz.api.shared import Shared
from nebuloviz.db import Database, answering
from nebuloviz.errors import NotSignedIn, PermissionDenied, SecondFactorDue
from nebuloviz.i18n import _, choose_language, current, format_locale, set_current
from nebuloviz.observability import HealthChecks, request_id, set_log_context
from nebuloviz.permissions import Actor, Permission
from nebuloviz.services.audit import view_only
from nebuloviz.services.interfaces import TOKEN_PREFIX, InstallationSettings, Services, UserView, Visitor
from nebuloviz.services.limits import RequestLimiter, client_address
from nebuloviz.settings import Settings

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: How many times the requests of one token an account and an address may make, which may have several.
_ACCOUNT_TIMES, _ADDRESS_TIMES = 2, 4

#: All that is allowed to those who look through somebody else's eyes. What is asked by POST can be asked by GET as well.
_READING = frozenset({"GET", "HEAD"})

#: Describes the scheme in the OpenAPI document; the header is read by `bearer_token`, which is stricter.
_scheme = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    description="An access token of POST /api/v1/auth/token, or a personal one of POST /api/v1/tokens.",
)


@dataclass(frozen=True)
class ApiContext:
    """What the API was built from. Work that would hold up the event loop gets threads of its own, few of them per kind."""

    services: Services
    database: Database
    settings: Settings
    health: HealthChecks
    limiter: RequestLimiter
    sign_in_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(8))
    write_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    file_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(3))
    health_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    owners: Shared[UserView] = field(default_factory=Shared)


def context_of(request: Request) -> ApiContext:
    return cast("ApiContext", request.app.state.context)


def address_of(request: Request) -> str:
    """The client's address, as far as the trusted proxies tell it."""
    peer = request.client.host if request.client else None
    trusted = context_of(request).settings.trusted_proxies
    return client_address(peer, request.headers.getlist("x-forwarded-for"), trusted)


def visitor_of(request: Request) -> Visitor:
    """From where a sign-in is used."""
    return Visitor(address_of(request), request.headers.get("user-agent", ""))


def bearer_token(request: Request) -> str:
    """The token that came with the request. Raises NotSignedIn."""
    headers = request.headers.getlist("authorization")
    scheme, _space, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn(_("Send an access token: Authorization: Bearer <token>, from POST /api/v1/auth/token."))
    return token.strip()


async def known(request: Request, _documented: Annotated[Any, Security(_scheme)] = None) -> UserView:
    """The user of the access token that came with the request, who may have to set up a second factor first.

    Raises:
        NotSignedIn: none came, or it is not valid.
        TooManyRequests: the user asks too often.
        ViewOnly: it is a token that looks through somebody else's eyes, and the request is none that reads.
    """
    context = context_of(request)
    await within_limits(request, {f"address:{address_of(request)}": _ADDRESS_TIMES})
    token = bearer_token(request)
    with answering():
        user = await context.owners.ask(token, lambda: _user_of(context, token))
    owner = user.seen_by or user
    set_log_context(request_id=request_id(), user_id=str(owner.id))
    _speak_to(user, request, context.services.settings.current)
    await within_limits(request, {f"token:{token}": 1, f"account:{owner.id}": _ACCOUNT_TIMES})
    if user.seen_by is not None and request.method not in _READING:
        raise view_only()
    return user


async def signed_in(request: Request, user: Annotated[UserView, Depends(known)]) -> UserView:
    """The user of the access token that came with the request.

    Raises:
        SecondFactorDue: the installation asks for a second factor, which its user has not set up. Personal tokens go on working.
    """
    if user.confined_to is None and context_of(request).services.second_factor.is_due(user.seen_by or user):
        raise SecondFactorDue(
            _("Please set up a second factor first, in a browser or by POST /api/v1/me/second-factor.")
        )
    return user


async def within_limits(request: Request, keys: Mapping[str, int]) -> None:
    """Count a request of each key, which may make so many times the usual number; the answer's headers say what is left.

    Raises:
        TooManyRequests: it is one too many of one of them.
    """
    limiter = context_of(request).limiter
    allowance = await to_thread.run_sync(limiter.count, keys) if limiter.waits else limiter.count(keys)
    if allowance is not None:
        note_allowance(request.scope, allowance)
        allowance.demand()


def _speak_to(user: UserView, request: Request, usual: InstallationSettings) -> None:
    """In the language that the request asks for, else in the user's own; days, weeks and numbers are the user's."""
    own = user.language if user.language in usual.languages else usual.language
    language = choose_language(request.headers.get("accept-language"), default=own, offered=usual.languages)
    own_week = usual.week_start if user.week_start is None else user.week_start
    set_current(
        replace(
            current(),
            language=language,
            time_zone=user.time_zone or usual.time_zone,
            week_start=own_week,
            number_locale=format_locale(language, user.format_region),
        )
    )


async def _user_of(context: ApiContext, token: str) -> UserView:
    """Whose token it is: one of a sign-in, or a personal one, whose use is noted."""
    if not token.startswith(TOKEN_PREFIX):
        async with context.database.async_glance() as session:
            return await session.run_sync(context.services.auth.user_of_access_token, token)
    tokens = context.services.api_tokens
    async with context.database.async_glance() as session:
        user = await session.run_sync(tokens.user_of, token)
        noted = await session.run_sync(tokens.use_is_noted, token)
    if not noted:
        async with context.database.async_transaction() as session:
            await session.run_sync(tokens.note_use, token)
    return user


@dataclass(frozen=True)
class Asker:
    """The user of one request, with the ways to call services for this user."""

    context: ApiContext
    user: UserView
    actor: Actor

    @property
    def services(self) -> Services:
        """Call their methods through `ask`, `act` and `act_in_thread`."""
        return self.context.services

    async def ask(
        self, method: Callable[Concatenate[Session, Actor, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """Call a service's method, reading only, without holding up other requests.

        Raises:
            NebuloVizError: whatever the method raises; `Unavailable` where the database does not answer.
        """
        with answering():
            async with self.context.database.async_session() as session:
                return await session.run_sync(lambda sync: method(sync, self.actor, *args, **kwargs))

    async def act(
        self, method: Callable[Concatenate[Session, Actor, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """As `ask`, in a transaction that is committed when the method returns."""
        with answering():
            async with self.context.database.async_transaction() as session:
                return await session.run_sync(lambda sync: method(sync, self.actor, *args, **kwargs))

    async def ask_in_thread(
        self, method: Callable[Concatenate[Session, Actor, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """As `ask`, in a thread with a synchronous session: for what makes or reads files."""

        def run() -> _R:
            with answering(), self.context.database.session() as session:
                return method(session, self.actor, *args, **kwargs)

        return await to_thread.run_sync(run, limiter=self.context.file_threads)

    async def in_thread(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call what waits, for another server or a database, without holding up other requests."""
        return await to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self.context.write_threads)

    async def act_in_thread(
        self, method: Callable[Concatenate[Session, Actor, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """As `act`, in a thread with a synchronous session: for work that computes much, or needs the driver's COPY."""
        return await self.in_thread(lambda: self.act_here(method, *args, **kwargs))

    def act_here(
        self, method: Callable[Concatenate[Session, Actor, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """As `act`, in the thread that calls, which must not be the event loop's."""
        with answering(), self.context.database.transaction() as session:
            return method(session, self.actor, *args, **kwargs)


def needs(permission: Permission) -> Callable[..., Awaitable[Asker]]:
    """A dependency: the asker, whose role includes `permission`. Every route behind the token has exactly one."""

    async def asker(request: Request, user: Annotated[UserView, Depends(signed_in)]) -> Asker:
        context = context_of(request)
        actor = context.services.auth.actor(user)
        actor.demand(permission)
        return Asker(context, user, actor)

    asker.required_permission = permission  # type: ignore[attr-defined]  # read by the test that walks all routes
    return asker


async def _setting_up(request: Request, user: Annotated[UserView, Depends(known)]) -> Asker:
    """Whoever has signed in, whatever the role. Personal tokens get to nothing of this: one that leaked must not make another."""
    if user.confined_to is not None:
        raise PermissionDenied(_("This takes an access token of POST /api/v1/auth/token, not a personal one."))
    context = context_of(request)
    return Asker(context, user, context.services.auth.actor(user))


async def _in_person(
    asker: Annotated[Asker, Depends(_setting_up)], _user: Annotated[UserView, Depends(signed_in)]
) -> Asker:
    return asker


#: For one's own affairs.
InPerson = Annotated[Asker, Depends(_in_person)]
#: For setting up a second factor, which may be all that is left to do.
SettingUp = Annotated[Asker, Depends(_setting_up)]
