"""Tokens, and who one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session

from nebuloviz.api.deps import ApiContext, address_of, context_of, signed_in, within_limits
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.auth import Credentials, Me, RefreshRequest, Tokens
from nebuloviz.db import answering
from nebuloviz.errors import NotSignedIn, PasswordChangeRequired
from nebuloviz.i18n import _
from nebuloviz.services.interfaces import TokenPair, UserView

_R = TypeVar("_R")


#: Reached without a token.
public = APIRouter(prefix="/auth", tags=["sign in"], route_class=StrictRoute)
router = APIRouter(tags=["sign in"], route_class=StrictRoute)


@public.post("/token", summary="Sign in with a password")
async def token(request: Request, credentials: Credentials) -> Tokens:
    """An access token and a refresh token. Five failures of an account or an address, and it answers 429 for some minutes."""
    context, address = context_of(request), address_of(request)
    await within_limits(request, {f"sign-in:{address}": 1})
    pair = await _in_thread(context, lambda: _sign_in(context, credentials, address))
    return Tokens.model_validate(pair)


@public.post("/refresh", summary="Exchange a refresh token")
async def refresh(request: Request, body: RefreshRequest) -> Tokens:
    """A new pair. A refresh token works once; a second use ends all tokens that descend from the same sign-in."""
    context = context_of(request)
    await within_limits(request, {f"sign-in:{address_of(request)}": 1})
    pair = await _in_thread(
        context,
        lambda: _writing(context, lambda session: context.services.auth.refresh_tokens(session, body.refresh_token)),
    )
    return Tokens.model_validate(pair)


@router.get("/me", summary="Who the token belongs to")
async def me(request: Request, user: Annotated[UserView, Depends(signed_in)]) -> Me:
    permissions = sorted(context_of(request).services.auth.actor(user).permissions)
    return Me(
        id=user.id,
        username=user.username,
        role=user.role,
        permissions=[str(permission) for permission in permissions],
        language=user.language,
        time_zone=user.time_zone,
        theme=user.theme,
    )


async def _in_thread(context: ApiContext, work: Callable[[], _R]) -> _R:
    """Hashing takes a quarter of a second; it must not hold up the event loop, nor the threads of others."""
    return await to_thread.run_sync(work, limiter=context.sign_in_threads)


def _sign_in(context: ApiContext, credentials: Credentials, address: str) -> TokenPair:
    auth = context.services.auth
    try:
        with answering(), context.database.session() as session:
            user = auth.sign_in(session, credentials.username, credentials.password, address)
    except NotSignedIn:
        _writing(context, lambda noting: auth.sign_in_refused(noting, credentials.username))
        raise
    if user.must_change_password:
        raise PasswordChangeRequired(_("Please sign in with a browser first and choose a new password."))
    return _writing(context, lambda session: auth.issue_tokens(session, user))


def _writing(context: ApiContext, work: Callable[[Session], _R]) -> _R:
    with answering(), context.database.transaction() as session:
        return work(session)
