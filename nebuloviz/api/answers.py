"""Frames in the forms that programs read: JSON, CSV, Arrow and Parquet. Rendered once, then kept as long as the figures stay the same.

Columns bear the names that were asked for, times their offset; what is missing is null or empty.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import orjson
import pandas as pd
from starlette.responses import Response

from nebuloviz.api.deps import Asker
from nebuloviz.api.questions import Question
from nebuloviz.metrics.registry import metric
from nebuloviz.services.export import plain_csv
from nebuloviz.services.interfaces import Frame, FrameColumn

if TYPE_CHECKING:
    import pyarrow as pa

JSON = "application/json"
_COUNTED = {"count"}


def table_json(frame: Frame) -> bytes:
    """Columns and rows, as `QueryAnswer` describes them."""
    columns = [{"name": column.name, "type": column.type, "unit": column.unit} for column in frame.columns]
    values = [_values(frame.data[column.name], column) for column in frame.columns]
    return orjson.dumps({"columns": columns, "rows": list(zip(*values, strict=True))})


def series_json(frame: Frame) -> bytes:
    """One metric over time, as `Series` describes it."""
    asked, name = frame.query, frame.query.metrics[0]
    unit = metric(name).unit
    open_ = frame.data["unfinished"] if "unfinished" in frame.data else [False] * len(frame.data)
    points = [
        {
            "start": start.isoformat().replace("+00:00", "Z"),
            "value": _number(float(value), unit),
            "unfinished": bool(unfinished),
        }
        for start, value, unfinished in zip(frame.data["bucket"], frame.data[name], open_, strict=True)
    ]
    about = {"metric": name, "unit": unit, "grain": asked.grain, "time_zone": asked.time_zone}
    return orjson.dumps(about | {"points": points})


def _arrow(frame: Frame) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - tens of megabytes, which a process that is never asked for it need not hold

    table, out = _arrow_table(frame), io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()


def _parquet(frame: Frame) -> bytes:
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    out = io.BytesIO()
    pq.write_table(_arrow_table(frame), out)
    return out.getvalue()


def _arrow_table(frame: Frame) -> pa.Table:
    """What has no value in any row is text, as it is where it has some."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    table = pa.Table.from_pandas(frame.data, preserve_index=False)
    typed = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in table.schema]
    return table.cast(pa.schema(typed, table.schema.metadata))


#: What `Accept` may ask for beside JSON, and what makes it.
FORMS: dict[str, Callable[[Frame], bytes]] = {
    "text/csv": plain_csv,
    "application/vnd.apache.arrow.stream": _arrow,
    "application/vnd.apache.parquet": _parquet,
}


async def answered(asker: Asker, question: Question, accept: str) -> Response:
    """The answer in the first form that `accept` names; JSON where it names none that there is."""
    kind = _form(accept)
    render, names = FORMS.get(kind, table_json), dict(question.names)
    form = "|".join([kind, *(f"{slug}={name}" for slug, name in question.names)])
    content = await asker.ask(
        asker.services.data.rendered, question.query, form, lambda frame: render(_renamed(frame, names))
    )
    return Response(content, media_type=kind, headers={"Vary": "Accept"})


def _form(accept: str) -> str:
    for wanted in accept.split(","):
        kind = wanted.partition(";")[0].strip().lower()
        if kind in FORMS:
            return kind
        if kind in {JSON, "*/*"}:
            break
    return JSON


def _renamed(frame: Frame, names: Mapping[str, str]) -> Frame:
    if not names:
        return frame
    columns = tuple(replace(column, name=names.get(column.name, column.name)) for column in frame.columns)
    return replace(frame, columns=columns, data=frame.data.rename(columns=dict(names)))


def _values(data: pd.Series[Any], column: FrameColumn) -> Sequence[Any]:
    if column.type == "time":
        return [cast("datetime", moment).isoformat() for moment in data]
    if column.type == "number":
        return [_number(float(value), column.unit) for value in data]
    return [bool(value) for value in data] if column.type == "boolean" else [str(value) for value in data]


def _number(value: float, unit: str) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if unit in _COUNTED and value.is_integer() else value
