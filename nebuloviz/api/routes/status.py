"""What stands of the installation, for administrators and for programs that look after it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.status import StatusAnswer, StatusFinding
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import Level

router = APIRouter(prefix="/status", tags=["status"], route_class=StrictRoute)


@router.get("", summary="Every part of the installation, and what to do about it")
async def status(asker: Annotated[Asker, Depends(needs(Permission.SETTINGS_MANAGE))]) -> StatusAnswer:
    """May take some seconds where a server does not answer."""
    found = await asker.in_thread(asker.services.status.findings, asker.actor)
    return StatusAnswer(
        ok=all(finding.level is not Level.BAD for finding in found),
        findings=[StatusFinding.model_validate(finding) for finding in found],
    )
