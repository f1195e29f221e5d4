"""Parquet files as tables. A module of its own, for pyarrow takes tens of megabytes and most files are no Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from nebuloviz.ingest.tables import Row, TableFile, as_json, column_names, decoded

_ROWS_AT_ONCE: Final = 10_000


class ParquetTable(TableFile):
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with pq.ParquetFile(path) as parquet:
            names = parquet.schema_arrow.names
            self.n_rows = parquet.metadata.num_rows
        self._names = names
        self.columns = column_names(names, path.name)

    def _rows(self) -> Iterator[Row]:
        with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 16) as parquet:
            for batch in parquet.iter_batches(_ROWS_AT_ONCE):
                columns = [_plain_column(column) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    yield Row(cells, as_json(cells))


def _plain_column(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # Python's moments end at microseconds
    try:
        return column.to_pylist()  # type: ignore[no-any-return]  # the library is untyped
    except (OverflowError, UnicodeDecodeError):
        return [_plain_value(value) for value in column]


def _plain_value(value: pa.Scalar) -> Any:
    """The value, or as text what Python has no value for: a date beyond its years, bytes that are no text."""
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return decoded(value.as_buffer().to_pybytes())
    except OverflowError:
        return f"{value.value} as {value.type}"
