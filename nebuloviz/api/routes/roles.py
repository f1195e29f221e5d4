"""Roles, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.routes.tokens import permissions_of
from nebuloviz.api.schemas.roles import RoleBody, RoleItem, RoleList
from nebuloviz.api.versions import IfMatch, show_version
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import RoleDraft, RoleView
from nebuloviz.services.shown import role_words

router = APIRouter(prefix="/roles", tags=["users"], route_class=StrictRoute)
Manager = Annotated[Asker, Depends(needs(Permission.USERS_MANAGE))]
Slug = Annotated[str, Path(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]


@router.get("", summary="All roles")
async def roles(asker: Manager) -> RoleList:
    """The ready-made ones first."""
    return RoleList(items=[_item(role) for role in await asker.ask(asker.services.roles.list)])


@router.post("", summary="A new role", status_code=201)
async def create_role(asker: Manager, body: RoleBody, response: Response) -> RoleItem:
    """It can include what you may do yourself, and no more."""
    return _versioned(response, await asker.act(asker.services.roles.create, _draft(body)))


@router.get("/{slug}", summary="One role")
async def role(asker: Manager, slug: Slug, response: Response) -> RoleItem:
    return _versioned(response, await asker.ask(asker.services.roles.get, slug))


@router.put("/{slug}", summary="Change a role")
async def change_role(asker: Manager, slug: Slug, body: RoleBody, if_match: IfMatch, response: Response) -> RoleItem:
    """It holds from the next request of whoever has the role. Somebody who manages users is always left: 409."""
    version = await _version(asker, slug, if_match)
    return _versioned(response, await asker.act(asker.services.roles.change, slug, version, _draft(body)))


@router.delete("/{slug}", summary="Take a role away", status_code=204)
async def delete_role(asker: Manager, slug: Slug, if_match: IfMatch) -> None:
    """Only where nobody has it: 409."""
    await asker.act(asker.services.roles.delete, slug, await _version(asker, slug, if_match))


async def _version(asker: Asker, slug: str, if_match: int | None) -> int:
    """The version that the client has seen, or the present one where it does not say."""
    return if_match if if_match is not None else (await asker.ask(asker.services.roles.get, slug)).version


def _draft(body: RoleBody) -> RoleDraft:
    return RoleDraft(body.name, permissions_of(body.permissions), body.description)


def _versioned(response: Response, role: RoleView) -> RoleItem:
    show_version(response, role.version)
    return _item(role)


def _item(role: RoleView) -> RoleItem:
    return RoleItem(
        slug=role.slug,
        name=role_words(role.slug, role.name),
        description=role.description,
        permissions=[str(permission) for permission in role.permissions],
        ready_made=role.ready_made,
        holders=role.holders,
        version=role.version,
    )
