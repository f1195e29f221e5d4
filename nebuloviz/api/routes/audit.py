"""The audit log, read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.audit import AuditItem, AuditList
from nebuloviz.api.schemas.base import Cursor, Moment, moment_of
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AuditFilter

router = APIRouter(prefix="/audit", tags=["audit log"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.AUDIT_READ))]


def _which(
    search: Annotated[str, Parameter(max_length=200, description="Any part of who, on what, and from where.")] = "",
    action: Annotated[str, Parameter(max_length=64, description="Such as `user:create`.")] = "",
    start: Annotated[Moment | None, Parameter(description="Without an offset it is in UTC.")] = None,
    end: Annotated[Moment | None, Parameter(description="Without an offset it is in UTC.")] = None,
) -> AuditFilter:
    return AuditFilter(search, action, moment_of("start", start), moment_of("end", end))


#: The entries that the parameters of the address leave.
Which = Annotated[AuditFilter, Depends(_which)]


@router.get("", summary="Who did what, newest first")
async def audit_entries(
    asker: Reader, which: Which, cursor: Cursor = None, limit: Annotated[int, Parameter(ge=1, le=500)] = 50
) -> AuditList:
    page = await asker.ask(asker.services.audit.entries, which, cursor, limit)
    return AuditList(items=[AuditItem.model_validate(item) for item in page.items], next=page.next_cursor)
