"""What the sales themselves lack or bring anew, as series for rules: shares without a value, and values never seen before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.db import dialect_of
from nebuloviz.detection.series import FloatArray
from nebuloviz.metrics.line_figures import MISSING, missing_column
from nebuloviz.metrics.rollups import recount_select
from nebuloviz.models import ROLLUPS, SaleRow
from nebuloviz.services.watching import rollup_table

Sums = dict[str, FloatArray]  # by measure, one number a bucket
#: So long sales have been known before a value of theirs can be called new.
KNOWN_FOR = timedelta(weeks=4)


def missing_sums(session: Session, slug: str, grain: str, edges: Sequence[datetime]) -> dict[str, Sums]:
    """Lines, and those of them without a value in the column that the figure is about, in each bucket."""
    column = missing_column(slug)
    place = {edge: number for number, edge in enumerate(edges[:-1])}
    found = {name: np.zeros(len(place)) for name in ("lines", MISSING)}
    for measure, rows in (
        ("lines", _lines(session, grain, edges)),
        (MISSING, _lines_without(session, column, grain, edges)),
    ):
        for bucket, lines in rows:
            found[measure][place[bucket]] += lines
    return {"": found}


def _lines(session: Session, grain: str, edges: Sequence[datetime]) -> list[tuple[datetime, int]]:
    table = rollup_table(grain)
    inside = (table.c.bucket >= edges[0], table.c.bucket < edges[-1])
    return [
        (bucket, int(lines)) for bucket, lines in session.execute(select(table.c.bucket, table.c.lines).where(*inside))
    ]


def _lines_without(session: Session, column: str, grain: str, edges: Sequence[datetime]) -> list[tuple[datetime, int]]:
    """Of a dimension from its rollup; of customers, of whom there is none, from the lines."""
    if column == "customer":
        whole = next(each for each in ROLLUPS if each.grain == grain and not each.dimensions)
        counted = recount_select(whole, list(pairwise(edges)), dialect_of(session)).where(SaleRow.customer_id == "")
        return [(row.bucket, int(row.lines)) for row in session.execute(counted)]
    table = rollup_table(grain, column)
    without = (table.c.bucket >= edges[0], table.c.bucket < edges[-1], table.c[column] == "")
    return [
        (bucket, int(lines)) for bucket, lines in session.execute(select(table.c.bucket, table.c.lines).where(*without))
    ]


def new_value_sums(
    session: Session, dimension: str, grain: str, edges: Sequence[datetime], most: int
) -> dict[str, Sums]:
    """By value that was first seen in these buckets, the latest of them: its lines in that bucket, and zero in all others.

    Of none while sales have been known for less than `KNOWN_FOR`: all values are new then.
    """
    table = rollup_table(grain, dimension)
    value, first = table.c[dimension], func.min(table.c.bucket)
    began = session.scalar(select(first))
    if began is None:
        return {}
    seen = select(value, first.label("first")).where(value != "").group_by(value).subquery()
    inside = (seen.c.first >= max(edges[0], began + KNOWN_FOR), seen.c.first < edges[-1])
    lines = select(seen.c[dimension], seen.c.first, table.c.lines).join(
        table, (value == seen.c[dimension]) & (table.c.bucket == seen.c.first)
    )
    rows = session.execute(lines.where(*inside).order_by(seen.c.first.desc(), seen.c[dimension]).limit(most)).all()
    place = {edge: number for number, edge in enumerate(edges[:-1])}
    found = {}
    for name, bucket, count in rows:
        course = np.zeros(len(place))
        course[place[bucket]] = count
        found[name] = {"lines": course}
    return found
