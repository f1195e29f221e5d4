"""Users, for administrators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, InPerson, bearer_token, needs
from nebuloviz.api.reading import StrictRoute, read_body
from nebuloviz.api.schemas.base import Cursor
from nebuloviz.api.schemas.users import (
    EndedSessions,
    ImportAnswer,
    ImportedUserItem,
    NewUser,
    PasswordLink,
    UserBody,
    UserItem,
    UserList,
    UserStateBody,
    ViewAnswer,
)
from nebuloviz.api.versions import IfMatch, show_version
from nebuloviz.errors import UnsupportedMediaType
from nebuloviz.i18n import _
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import (
    ImportedUser,
    PasswordOffer,
    UserDraft,
    UserFilter,
    UserOrder,
    UserRecord,
    UserState,
)
from nebuloviz.services.password_mails import mail_password_link
from nebuloviz.services.user_files import BETWEEN_VALUES, COLUMNS, MAX_BYTES, MAX_ROWS, template

router = APIRouter(prefix="/users", tags=["users"], route_class=StrictRoute)
Manager = Annotated[Asker, Depends(needs(Permission.USERS_MANAGE))]
_CSV: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A heading and a row a user, of the columns {', '.join(COLUMNS)}; `username` and `role` (slug or name) are "
        f"required, `{BETWEEN_VALUES}` stands between several values. At most {MAX_ROWS} rows, gzip allowed.",
        "content": {"text/csv": {"schema": {"type": "string"}, "example": template()}},
    }
}
UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("", summary="All users")
async def users(
    asker: Manager,
    search: Annotated[str, Parameter(max_length=200, description="Any part of name or e-mail.")] = "",
    state: UserState | Literal[""] = "",
    role: Annotated[str, Parameter(max_length=64, description="A role's slug.")] = "",
    order: UserOrder = "name",
    cursor: Cursor = None,
    limit: Annotated[int, Parameter(ge=1, le=500)] = 50,
) -> UserList:
    page = await asker.ask(asker.services.users.list, UserFilter(search, state, role, order), cursor, limit)
    return UserList(items=[item_of(user) for user in page.items], next=page.next_cursor)


@router.post("", summary="A new user", status_code=201)
async def create_user(asker: Manager, body: NewUser) -> PasswordLink:
    """The user cannot sign in before setting a password by the link, which is told only here."""
    return _link(await asker.act(asker.services.users.create, body.username, _draft(body)))


@router.post("/import", summary="Many new users, from a CSV file", openapi_extra=_CSV)
async def import_users(
    asker: Manager,
    request: Request,
    dry_run: Annotated[bool, Parameter(description="Say what would be done, and do nothing.")] = False,  # noqa: FBT002 - of the URL
) -> ImportAnswer:
    """A row with a problem is told of, and harms no other one. The links are told only here."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise UnsupportedMediaType(_("Send the file as text/csv."))
    data = await read_body(request, MAX_BYTES)
    imports = asker.services.user_imports
    rows = await (asker.ask(imports.preview, data) if dry_run else asker.act(imports.run, data))
    refused = sum(bool(row.problem) for row in rows)
    return ImportAnswer(created=len(rows) - refused, refused=refused, items=[_imported(row) for row in rows])


@router.get("/{user_id}", summary="One user")
async def user(asker: Manager, user_id: UserId, response: Response) -> UserItem:
    return _versioned(response, await asker.ask(asker.services.users.get, user_id))


@router.put("/{user_id}", summary="Give a user another role, e-mail or scope")
async def change_user(
    asker: Manager, user_id: UserId, body: UserBody, if_match: IfMatch, response: Response
) -> UserItem:
    """Of the last administrator the role stays: 409."""
    version = await _version(asker, user_id, if_match)
    return _versioned(response, await asker.act(asker.services.users.change, user_id, version, _draft(body)))


@router.put("/{user_id}/state", summary="Shut a user out, or let in again")
async def set_user_state(
    asker: Manager, user_id: UserId, body: UserStateBody, if_match: IfMatch, response: Response
) -> UserItem:
    """Shutting out ends all sessions, tokens and links. Of oneself: 409."""
    version = await _version(asker, user_id, if_match)
    services = asker.services
    return _versioned(response, await asker.act(services.users.set_disabled, user_id, version, disabled=body.disabled))


@router.delete("/{user_id}", summary="Take a user away", status_code=204)
async def delete_user(asker: Manager, user_id: UserId, if_match: IfMatch) -> None:
    """The audit log keeps the name. Of oneself: 409."""
    await asker.act(asker.services.users.delete, user_id, await _version(asker, user_id, if_match))


@router.post("/{user_id}/view-token", summary="See what a user sees", status_code=201)
async def view_token(asker: Manager, _own: InPerson, request: Request, user_id: UserId) -> ViewAnswer:
    """A token of your own sign-in, by which every `GET` answers as it answers that user: the same permissions, rows and time zone.

    Nothing can be changed or downloaded by it: 403 `view_only`. It ends with your sign-in, and when the user is shut out.
    """
    made = await asker.act(asker.services.viewing.token, bearer_token(request), user_id)
    return ViewAnswer.model_validate(made)


@router.post("/{user_id}/unlock", summary="Forget failed sign-ins")
async def unlock(asker: Manager, user_id: UserId) -> UserItem:
    return item_of(await asker.act(asker.services.users.unlock, user_id))


@router.post("/{user_id}/end-sessions", summary="Sign a user out everywhere")
async def end_sessions(asker: Manager, user_id: UserId) -> EndedSessions:
    """API tokens end as well."""
    return EndedSessions(ended=await asker.act(asker.services.users.end_sessions, user_id))


@router.post("/{user_id}/reset-second-factor", summary="Turn a lost second factor off", status_code=204)
async def reset_second_factor(asker: Manager, user_id: UserId) -> None:
    """The password is enough to sign in afterwards, until the user sets up another."""
    await asker.act(asker.services.second_factor.reset, user_id)


@router.post("/{user_id}/password-link", summary="A new one-time link", status_code=201)
async def password_link(asker: Manager, user_id: UserId) -> PasswordLink:
    """By it the user sets a password; links before it are worth nothing any more."""
    return _link(await asker.act(asker.services.users.offer_password, user_id))


@router.post("/{user_id}/password-mail", summary="Send a new one-time link to the user", status_code=202)
async def password_mail(asker: Manager, user_id: UserId) -> UserItem:
    """By e-mail, in the user's language; 409 without a mail server, a public address or the user's e-mail."""
    services = asker.services
    origin = services.settings.current.origin
    mailed = await asker.in_thread(mail_password_link, services, asker.act_here, user_id, origin)
    if mailed.failure is not None:
        raise mailed.failure
    return item_of(mailed.offer.user)


async def _version(asker: Asker, user_id: int, if_match: int | None) -> int:
    """The version that the client has seen, or the present one where it does not say."""
    return if_match if if_match is not None else (await asker.ask(asker.services.users.get, user_id)).version


def item_of(user: UserRecord) -> UserItem:
    return UserItem.model_validate(user)


def _versioned(response: Response, user: UserRecord) -> UserItem:
    show_version(response, user.version)
    return item_of(user)


def _imported(row: ImportedUser) -> ImportedUserItem:
    return ImportedUserItem(
        line=row.line,
        username=row.username,
        email=row.email,
        role=row.role,
        scope=dict(row.scope),
        problem=row.problem or None,
        path=row.path or None,
        expires_at=row.expires_at,
    )


def _draft(body: UserBody) -> UserDraft:
    return UserDraft(body.role, body.email, body.scope)


def _link(offer: PasswordOffer) -> PasswordLink:
    return PasswordLink(user=item_of(offer.user), path=offer.path, expires_at=offer.expires_at)
