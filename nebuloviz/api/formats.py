"""A frame in the forms that programs read at once: CSV, Arrow and Parquet. Columns bear their names as in JSON, times their offset."""

from __future__ import annotations

import io
from collections.abc import Callable

from starlette.responses import Response

from nebuloviz.services.export import plain_csv
from nebuloviz.services.interfaces import Frame


def _arrow(frame: Frame) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - tens of megabytes, which a process that is never asked for it need not hold

    table, out = pa.Table.from_pandas(frame.data, preserve_index=False), io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()


def _parquet(frame: Frame) -> bytes:
    out = io.BytesIO()
    frame.data.to_parquet(out, index=False)
    return out.getvalue()


#: What `Accept` may ask for beside JSON, and what makes it.
FORMS: dict[str, Callable[[Frame], bytes]] = {
    "text/csv": plain_csv,
    "application/vnd.apache.arrow.stream": _arrow,
    "application/vnd.apache.parquet": _parquet,
}


def in_form(frame: Frame, accept: str) -> Response | None:
    """The frame in the first form that `accept` names; None where that is JSON, or nothing that there is."""
    for wanted in accept.split(","):
        kind = wanted.partition(";")[0].strip().lower()
        if kind in FORMS:
            return Response(FORMS[kind](frame), media_type=kind)
        if kind in {"application/json", "*/*"}:
            return None
    return None
