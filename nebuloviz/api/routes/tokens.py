"""Personal API tokens: each user's own, made by somebody who has signed in with a password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi import Query as Parameter

from nebuloviz.api.deps import InPerson
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Cursor, part_of
from nebuloviz.api.schemas.tokens import MadeToken, NewToken, TokenItem, TokenList
from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import _
from nebuloviz.models import MAX_ID
from nebuloviz.permissions import Permission

router = APIRouter(prefix="/tokens", tags=["sign in"], route_class=StrictRoute)


@router.get("", summary="Your tokens")
async def tokens(
    asker: InPerson, cursor: Cursor = None, limit: Annotated[int, Parameter(ge=1, le=500)] = 50
) -> TokenList:
    """Those that work, the newest first."""
    found, following = part_of(await asker.ask(asker.services.api_tokens.list), cursor, limit)
    return TokenList(items=[TokenItem.model_validate(view) for view in found], next=following)


@router.post("", summary="A token for a program", status_code=201)
async def create_token(asker: InPerson, body: NewToken) -> MadeToken:
    """It may do what it names, as far as your role includes that whenever it is used. A new password ends it."""
    made = await asker.act(asker.services.api_tokens.create, body.name, permissions_of(body.permissions), body.days)
    return MadeToken(token=made.token, item=TokenItem.model_validate(made.view))


@router.delete("/{token_id}", summary="End a token at once", status_code=204)
async def revoke_token(asker: InPerson, token_id: Annotated[int, Path(ge=1, le=MAX_ID)]) -> None:
    await asker.act(asker.services.api_tokens.revoke, token_id)


def permissions_of(names: list[str]) -> list[Permission]:
    """The permissions of these names. Raises InvalidInput."""
    try:
        return [Permission(name) for name in names]
    except ValueError:
        known = ", ".join(Permission)
        raise InvalidInput(_("There is no such permission; there are: {known}.", known=known)) from None
