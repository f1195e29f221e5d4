"""Signing in: tokens for a password, and for a refresh token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session

from nebuloviz.api.deps import ApiContext, context_of, visitor_of, within_limits
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.auth import Credentials, LinkedPassword, RefreshRequest, Tokens
from nebuloviz.db import answering
from nebuloviz.errors import NotSignedIn, PasswordChangeRequired, SecondFactorRequired
from nebuloviz.i18n import _
from nebuloviz.services.interfaces import TokenPair, Visitor

_R = TypeVar("_R")


#: Reached without a token.
public = APIRouter(prefix="/auth", tags=["sign in"], route_class=StrictRoute)


@public.post("/token", summary="Sign in with a password")
async def token(request: Request, credentials: Credentials) -> Tokens:
    """An access token and a refresh token. Five failures of an account or an address, and it answers 429 for some minutes.

    Of somebody with a second factor it takes a `code` as well: of the app or a recovery code, each of which works once. Without
    one it answers 401 with the code `second_factor_required`, with a wrong one 401 with `wrong_code`.
    Whoever has to choose a password first, sends it as `new_password`; it ends all other sessions and tokens of the account.
    """
    context, visitor = context_of(request), visitor_of(request)
    await within_limits(request, {f"sign-in:{visitor.address}": 1})
    pair = await _in_thread(context, lambda: _sign_in(context, credentials, visitor))
    return Tokens.model_validate(pair)


@public.post("/refresh", summary="Exchange a refresh token")
async def refresh(request: Request, body: RefreshRequest) -> Tokens:
    """A new pair. A refresh token works once; a second use ends all tokens that descend from the same sign-in."""
    context, visitor = context_of(request), visitor_of(request)
    await within_limits(request, {f"sign-in:{visitor.address}": 1})

    def exchange(session: Session) -> TokenPair:
        return context.services.auth.refresh_tokens(session, body.refresh_token, visitor)

    pair = await _in_thread(context, lambda: _writing(context, exchange))
    return Tokens.model_validate(pair)


@public.post("/password-link", summary="Set a password by a one-time link", status_code=204)
async def set_password(request: Request, body: LinkedPassword) -> None:
    """The link is worth nothing afterwards; sign in with the new password."""
    context, visitor = context_of(request), visitor_of(request)
    await within_limits(request, {f"sign-in:{visitor.address}": 1})
    token = body.link.rstrip("/").rpartition("/")[2]

    def accept(session: Session) -> None:
        context.services.users.accept_password(session, token, body.new)

    await _in_thread(context, lambda: _writing(context, accept))


async def _in_thread(context: ApiContext, work: Callable[[], _R]) -> _R:
    """Hashing takes a quarter of a second; it must not hold up the event loop, nor the threads of others."""
    return await to_thread.run_sync(work, limiter=context.sign_in_threads)


def _sign_in(context: ApiContext, credentials: Credentials, visitor: Visitor) -> TokenPair:
    auth = context.services.auth
    try:
        with answering(), context.database.session() as session:
            user = auth.sign_in(session, credentials.username, credentials.password, visitor.address)
    except NotSignedIn:
        _writing(context, lambda noting: auth.sign_in_refused(noting, credentials.username))
        raise
    if user.must_change_password and credentials.new_password is None:
        raise PasswordChangeRequired(_("Choose a new password first: here as `new_password`, or in a browser."))

    def issue(session: Session) -> TokenPair:
        if user.second_factor:
            if credentials.code is None:
                raise SecondFactorRequired(_("Send the code of your second factor, or a recovery code, as `code`."))
            context.services.second_factor.check(session, user, credentials.code, visitor.address)
        own = user
        if credentials.new_password is not None:
            own = auth.change_password(session, user.id, credentials.password, credentials.new_password)
        return auth.issue_tokens(session, own, visitor)

    return _writing(context, issue)


def _writing(context: ApiContext, work: Callable[[Session], _R]) -> _R:
    with answering(), context.database.transaction() as session:
        return work(session)
