"""The installation's settings, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.settings import SettingsChange, SettingsItem, SettingsValues
from nebuloviz.api.versions import IfMatch, show_version
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import SettingsRecord

router = APIRouter(prefix="/settings", tags=["settings"], route_class=StrictRoute)
Manager = Annotated[Asker, Depends(needs(Permission.SETTINGS_MANAGE))]


@router.get("", summary="The installation's settings")
async def settings(asker: Manager, response: Response) -> SettingsItem:
    return _versioned(response, await asker.ask(asker.services.settings.get))


@router.patch("", summary="Change settings of the installation")
async def change_settings(asker: Manager, body: SettingsChange, if_match: IfMatch, response: Response) -> SettingsItem:
    """They hold at once. All of them are changed or none: `errors` tells what does not fit."""
    service = asker.services.settings
    version = if_match if if_match is not None else (await asker.ask(service.get)).version
    changes = body.model_dump(exclude_unset=True)
    return _versioned(response, await asker.act(service.change, version, changes))


def _versioned(response: Response, record: SettingsRecord) -> SettingsItem:
    show_version(response, record.version)
    return SettingsItem(
        version=record.version,
        values=SettingsValues.model_validate(record.values),
        fixed=sorted(record.fixed),
        stored=sorted(record.stored),
    )
