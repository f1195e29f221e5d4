"""The rows of a chart's table as they go into its file: what was expected, planned and forecast beside them, in the grid's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import _
from nebuloviz.metrics.registry import metric
from nebuloviz.services.interfaces import Forecast, Frame, FrameColumn
from nebuloviz.services.shown import happened, value_labels
from nebuloviz.web.figures import with_planned
from nebuloviz.web.reading import Asking
from nebuloviz.web.views import ahead, calendar, common

#: What a table over time may tell beside its figures; a link to its file names it.
Beside = Literal["expected", "calendar", "forecast"]
BESIDE: tuple[Beside, ...] = get_args(Beside)


def as_told(asked: Asking, frame: Frame, beside: Sequence[str]) -> Frame:
    """`frame` with the columns of what stands `beside` its figures, as far as there is any of it, and a row per bucket ahead."""
    query = frame.query
    if query.grain is None or len(query.metrics) != 1:
        return frame
    expected = asked.expected(query) if "expected" in beside else None
    coming = asked.forecast(query) if "forecast" in beside else None
    planned = asked.planned(query, coming) if "calendar" in beside else ()
    banded = common.with_expected(happened(frame), expected, query.metrics[0])
    told = with_planned(banded, calendar.marks(planned), query.grain)
    return _with_columns(frame, _with_forecast(told, coming, query.metrics[0]))


def _with_forecast(rows: pd.DataFrame, coming: Forecast | None, slug: str) -> pd.DataFrame:
    """`rows` with what is forecast of them, and below them the buckets that they do not reach."""
    points = ahead.frame_of(coming)
    if points is None:
        return rows
    names = {name: f"{slug}:ahead_{name}" for name in points if name != "bucket"}
    both = rows.merge(points.rename(columns=names), on="bucket", how="outer").sort_values("bucket", ignore_index=True)
    texts = {"planned": both["planned"].fillna("")} if "planned" in both else {}
    return both.assign(unfinished=[pd.isna(each) or bool(each) for each in both["unfinished"]], **texts)


def _with_columns(frame: Frame, data: pd.DataFrame) -> Frame:
    """`frame` with the rows and columns of `data`."""
    unit, known = metric(frame.query.metrics[0]).unit, {column.name for column in frame.columns}
    more = [
        FrameColumn(name, "text") if name == "planned" else FrameColumn(name, "number", unit)
        for name in map(str, data.columns)
        if name not in known
    ]
    return replace(frame, columns=(*frame.columns, *more), data=data)


def in_order(frame: Frame, order: str) -> Frame:
    """The rows as a reader has sorted the grid of them: by a column's name, `-` in front descends; what is missing comes lowest.

    Raises:
        InvalidQuery: there is no such column.
    """
    name, data = order.removeprefix("-"), happened(frame)
    known = [column.name for column in frame.columns if column.type != "boolean"]
    if name not in known:
        words = _("Order by one of {known}, with '-' in front for descending.", known=", ".join(known))
        raise InvalidQuery(words)
    keys = data[name].map(value_labels(data, name)) if name in frame.query.dimensions else data[name]
    rises = name == order
    places = pd.Series(keys.to_numpy(), index=np.arange(len(keys))).sort_values(
        ascending=rises, kind="stable", na_position="first" if rises else "last"
    )
    return replace(frame, data=data.iloc[places.index])
