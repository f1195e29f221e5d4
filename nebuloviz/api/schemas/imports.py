"""Files of sales and their imports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from nebuloviz.api.schemas.base import MAX_COLUMNS, Incoming, Outgoing, Text

ZONE_WORDS = "IANA name of the zone of moments without one; '' for the installation's."
ORDER_WORDS = "Whether day or month comes first in dates such as 3/4/2026; '' for what the file speaks for."
DateOrderName = Literal["", "dmy", "mdy"]


class UploadAnswer(Outgoing):
    """A file's columns and first rows, the column that each field seems to be in, and the required fields that no column is.

    `date_orders` says of columns with dates such as 3/4/2026 whether day or month comes first; null where either may, and
    `date_order` has to say it. `time_zone` is that of moments without one. `is_json`: each row is a sale as it is.
    """

    upload_id: str
    name: str
    columns: list[str]
    rows: list[list[str]]
    mapping: dict[str, str]
    missing: list[str]
    date_orders: dict[str, str | None]
    time_zone: str
    is_json: bool


class ImportOfUpload(Incoming):
    mapping: Annotated[
        dict[Annotated[str, Field(max_length=64)], Text],
        Field(max_length=MAX_COLUMNS, default_factory=dict, description="Field -> column; '' for none."),
    ]
    time_zone: Annotated[str, Field(max_length=64, description=ZONE_WORDS)] = ""
    date_order: Annotated[DateOrderName, Field(description=ORDER_WORDS)] = ""


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
