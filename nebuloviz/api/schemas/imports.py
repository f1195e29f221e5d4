"""Files of sales and their imports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from nebuloviz.api.schemas.base import MOST_COLUMNS, Incoming, Outgoing, Text


class UploadAnswer(Outgoing):
    """A file's columns and first rows, the column that each field seems to be in, and the required fields that no column is."""

    upload_id: str
    name: str
    columns: list[str]
    rows: list[list[str]]
    mapping: dict[str, str]
    missing: list[str]


class ImportOfUpload(Incoming):
    mapping: Annotated[
        dict[Annotated[str, Field(max_length=64)], Text],
        Field(max_length=MOST_COLUMNS, default_factory=dict, description="Field -> column; '' for none."),
    ]


class ImportItem(Outgoing):
    """`state` is running, done or failed; `rate` is rows a second, null until some are stored."""

    id: int
    name: str
    state: str
    message: str
    rows_total: int | None
    rows_done: int
    accepted: int
    duplicate: int
    rejected: int
    started_by: str
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    rate: float | None


class ImportList(Outgoing):
    """`next` continues the list as `cursor`; null at its end."""

    items: list[ImportItem]
    next: str | None
