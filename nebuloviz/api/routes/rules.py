"""Rules of one's own: which series a detector watches, with which parameters."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.rules import (
    ParameterItem,
    RuleBody,
    RuleDetectorItem,
    RuleDetectorList,
    RuleItem,
    RuleList,
    RuleSetting,
)
from nebuloviz.api.versions import IfMatch, show_version
from nebuloviz.detection.registry import series_detectors
from nebuloviz.models import MAX_ID
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import RuleDraft, RuleView
from nebuloviz.services.rule_words import detector_words
from nebuloviz.services.rules import rule_metrics

router = APIRouter(prefix="/rules", tags=["alerts"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.ALERTS_READ))]
Manager = Annotated[Asker, Depends(needs(Permission.ALERTS_MANAGE))]
RuleId = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.get("", summary="Rules of one's own")
async def rules(asker: Reader) -> RuleList:
    """By name; those that watch what you may see."""
    return RuleList(items=[_item(view) for view in await asker.ask(asker.services.rules.rules)])


@router.post("", summary="Make a rule", status_code=201)
async def add_rule(asker: Manager, body: RuleBody, response: Response) -> RuleItem:
    """It watches from the hour or day on that closed last."""
    return _versioned(response, await asker.act(asker.services.rules.create, draft_of(body)))


@router.get("/detectors", summary="What rules can go by")
async def rule_detectors(_asker: Reader) -> RuleDetectorList:
    items = [
        RuleDetectorItem(
            name=kind.name,
            label=detector_words(kind.label),
            about=detector_words(kind.about),
            parameters=[
                ParameterItem.model_validate({**vars(each), "label": detector_words(each.label)})
                for each in kind.parameters
            ],
        )
        for kind in series_detectors()
    ]
    return RuleDetectorList(items=items, metrics=list(rule_metrics()))


@router.get("/{rule_id}", summary="One rule")
async def rule(asker: Reader, rule_id: RuleId, response: Response) -> RuleItem:
    return _versioned(response, await asker.ask(asker.services.rules.rule, rule_id))


@router.put("/{rule_id}", summary="Change a rule")
async def change_rule(
    asker: Manager, rule_id: RuleId, body: RuleBody, if_match: IfMatch, response: Response
) -> RuleItem:
    """Where it watches something else from now on, or nothing, the alerts that it has open are resolved."""
    seen = if_match if if_match is not None else (await asker.ask(asker.services.rules.rule, rule_id)).version
    return _versioned(response, await asker.act(asker.services.rules.change, rule_id, seen, draft_of(body)))


@router.delete("/{rule_id}", summary="Delete a rule", status_code=204)
async def delete_rule(asker: Manager, rule_id: RuleId) -> None:
    """Its alerts stay, resolved."""
    await asker.act(asker.services.rules.delete, rule_id)


def draft_of(body: RuleBody) -> RuleDraft:
    return RuleDraft(**{**dict(body), "parameters": tuple(body.parameters.items())})


def setting_of(draft: RuleDraft) -> RuleSetting:
    return RuleSetting.model_validate({**asdict(draft), "parameters": dict(draft.parameters)})


def _versioned(response: Response, view: RuleView) -> RuleItem:
    show_version(response, view.version)
    return _item(view)


def _item(view: RuleView) -> RuleItem:
    facts = {name: value for name, value in vars(view).items() if name != "draft"}
    return RuleItem.model_validate({**dict(setting_of(view.draft)), **facts})
