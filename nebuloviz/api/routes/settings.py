"""The installation's settings, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.settings import SettingsChange, SettingsItem, SettingsValues, TestMail
from nebuloviz.api.versions import IfMatch, show_version
from nebuloviz.i18n import current
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AuditAction, SettingsRecord
from nebuloviz.services.mail_texts import trial_mail

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


@router.post("/test-mail", summary="Send a test e-mail by the stored settings", status_code=204)
async def test_mail(asker: Manager, body: TestMail) -> None:
    """Returns once the server has taken it; 503 tells why it has not."""
    settings = asker.services.settings.current
    await asker.act(asker.services.audit.record, AuditAction.MAIL_TRIED, body.to)
    await asker.in_thread(asker.services.mail.send, trial_mail(body.to, current().language, settings))


def _versioned(response: Response, record: SettingsRecord) -> SettingsItem:
    show_version(response, record.version)
    return SettingsItem(
        version=record.version,
        values=SettingsValues.model_validate(record.values),
        fixed=sorted(record.fixed),
        stored=sorted(record.stored),
    )
