"""One's own affairs: who one is, how one sees things, where one is signed in, password and second factor."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy.orm import Session

from nebuloviz.api.deps import InPerson, SettingUp, context_of, signed_in
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.me import (
    EndedOthers,
    EnrolmentCode,
    EnrolmentItem,
    Me,
    MeChanges,
    NewPassword,
    PasswordAgain,
    RecoveryCodes,
    SecondFactor,
    SessionItem,
    SessionList,
)
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import AuthService, ProfileChanges, UserView

router = APIRouter(prefix="/me", tags=["me"], route_class=StrictRoute)
#: What is left to those who have to set up a second factor first.
setting_up = APIRouter(prefix="/me", tags=["me"], route_class=StrictRoute)


@router.get("", summary="Who the token belongs to")
async def me(request: Request, user: Annotated[UserView, Depends(signed_in)]) -> Me:
    return _me(user, context_of(request).services.auth.actor(user))


@router.patch("", summary="Change how you see things")
async def change_me(asker: InPerson, body: MeChanges) -> Me:
    changes = cast("ProfileChanges", body.model_dump(exclude_unset=True))
    return _me(await asker.act(asker.services.profile.change, **changes), asker.actor)


@router.get("/sessions", summary="Where you are signed in")
async def sessions(asker: InPerson) -> SessionList:
    """Browsers, and programs by the API, the last used first. Personal tokens have a list of their own."""
    found = [SessionItem.model_validate(view) for view in await asker.ask(asker.services.profile.sessions)]
    for item in found:
        item.current = item.id == asker.user.session_id
    return SessionList(items=found)


@router.delete("/sessions", summary="End all other sessions at once")
async def end_other_sessions(asker: InPerson) -> EndedOthers:
    return EndedOthers(ended=await asker.act(asker.services.profile.end_other_sessions, asker.user.session_id))


@router.delete("/sessions/{session_id}", summary="End a session at once", status_code=204)
async def end_session(asker: InPerson, session_id: Annotated[str, Path(max_length=64)]) -> None:
    await asker.act(asker.services.profile.end_session, session_id)


@router.put("/password", summary="Change your password", status_code=204)
async def change_password(asker: InPerson, body: NewPassword) -> None:
    """All your sessions and tokens end, this one too: sign in with the new password."""
    await asker.act_in_thread(_change_password, asker.services.auth, body.current, body.new)


@setting_up.get("/second-factor", summary="Whether your second factor is on")
async def second_factor(asker: SettingUp) -> SecondFactor:
    return SecondFactor.model_validate(await asker.ask(asker.services.second_factor.state))


@setting_up.post("/second-factor", summary="Begin to set up a second factor")
async def begin_second_factor(asker: SettingUp, body: PasswordAgain) -> EnrolmentItem:
    """Nothing is stored before it is confirmed."""
    enrolment = await asker.act_in_thread(asker.services.second_factor.begin, body.password)
    return EnrolmentItem.model_validate(enrolment)


@setting_up.post("/second-factor/confirm", summary="Turn the second factor on with its first code")
async def confirm_second_factor(asker: SettingUp, body: EnrolmentCode) -> RecoveryCodes:
    codes = await asker.act_in_thread(asker.services.second_factor.confirm, body.ticket, body.code)
    return RecoveryCodes(codes=list(codes))


@router.post("/second-factor/recovery-codes", summary="New recovery codes, which void the old")
async def renew_recovery_codes(asker: InPerson, body: PasswordAgain) -> RecoveryCodes:
    codes = await asker.act_in_thread(asker.services.second_factor.renew_codes, body.password)
    return RecoveryCodes(codes=list(codes))


@router.post("/second-factor/turn-off", summary="Turn the second factor off", status_code=204)
async def turn_second_factor_off(asker: InPerson, body: PasswordAgain) -> None:
    await asker.act_in_thread(asker.services.second_factor.turn_off, body.password)


def _change_password(session: Session, actor: Actor, auth: AuthService, current: str, new: str) -> None:
    auth.change_password(session, actor.user_id, current, new)


def _me(user: UserView, actor: Actor) -> Me:
    return Me(
        id=user.id,
        username=user.username,
        display_name=user.display_name,
        role=user.role,
        permissions=sorted(str(permission) for permission in actor.permissions),
        language=user.language,
        time_zone=user.time_zone,
        format_region=user.format_region,
        week_start=user.week_start,
        theme=user.theme,
        landing_page=user.landing_page,
        second_factor=user.second_factor,
    )
