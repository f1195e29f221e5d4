"""Settings of a rule, tried on the past: started, followed, stopped, and what people say of what they found."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.routes.rules import draft_of, setting_of
from nebuloviz.api.schemas.backtests import (
    BacktestBody,
    BacktestItem,
    CourseItem,
    LabelBody,
    SideItem,
    WouldBeAlertItem,
)
from nebuloviz.api.schemas.base import moment_from
from nebuloviz.errors import NotFound
from nebuloviz.i18n import _
from nebuloviz.models import MAX_ID
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import BacktestSide, BacktestView, WouldBeAlert

router = APIRouter(prefix="/backtests", tags=["alerts"], route_class=StrictRoute)
Manager = Annotated[Asker, Depends(needs(Permission.ALERTS_MANAGE))]
BacktestId = Annotated[int, Path(ge=1, le=MAX_ID)]
Courses = Annotated[
    bool, Parameter(default_factory=bool, description="Tell the courses of the series with the most alerts, too.")
]


@router.post("", summary="Try settings of a rule on the past", status_code=201)
async def start_backtest(asker: Manager, body: BacktestBody) -> BacktestItem:
    """It is carried out beside the server: ask for it until it is `done`. 409 while another one of yours is running."""
    drafts = [draft_of(setting) for setting in body.settings]
    return _item(await asker.act(asker.services.backtests.start, drafts, body.weeks))


@router.get("/latest", summary="Your last backtest")
async def latest_backtest(asker: Manager, courses: Courses) -> BacktestItem:
    found = await asker.ask(asker.services.backtests.latest)
    if found is None:
        raise NotFound(_("There is no such backtest."))
    return _item(found, courses=courses)


@router.get("/{backtest_id}", summary="One of your backtests")
async def backtest(asker: Manager, backtest_id: BacktestId, courses: Courses) -> BacktestItem:
    """How far it is, and once it is done what the settings would have alerted on. Your last 20 are kept."""
    return _item(await asker.ask(asker.services.backtests.backtest, backtest_id), courses=courses)


@router.post("/{backtest_id}/stop", summary="End a backtest before its time")
async def stop_backtest(asker: Manager, backtest_id: BacktestId) -> BacktestItem:
    """One that is not running any more stays as it is."""
    await asker.act(asker.services.backtests.stop, backtest_id)
    return _item(await asker.ask(asker.services.backtests.backtest, backtest_id))


@router.put("/{backtest_id}/labels", summary="Say what a would-be alert was", status_code=204)
async def label_alert(asker: Manager, backtest_id: BacktestId, body: LabelBody) -> None:
    """Rules take it as a verdict on an alert of theirs, from this hour on."""
    start, end = moment_from("start", body.start), moment_from("end", body.end)
    alert = WouldBeAlert(body.series, start, end, observed=0, expected=None, severity="")
    await asker.act(asker.services.backtests.label, backtest_id, alert, body.verdict or "")


def _item(view: BacktestView, *, courses: bool = False) -> BacktestItem:
    return BacktestItem.model_validate({**vars(view), "sides": [_side(side, courses=courses) for side in view.sides]})


def _side(side: BacktestSide, *, courses: bool) -> SideItem:
    return SideItem(
        setting=setting_of(side.draft),
        count=side.count,
        alerts=[WouldBeAlertItem.model_validate(alert) for alert in side.alerts],
        courses=[CourseItem.model_validate(vars(course)) for course in side.courses] if courses else None,
    )
