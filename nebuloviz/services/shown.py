"""An answer as it is shown, on a page and in a file alike: what has happened so far, values in words, and heat maps as tables."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from nebuloviz.i18n import LazyText, _, current, hour_label, lazy, weekday_name
from nebuloviz.metrics.registry import dimension, metric
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import OTHER, Frame

#: Two ways in which a heat map arranges the rows of an answer: hours of the week, or each pair of values of two dimensions.
Shape = Literal["week", "pairs"]
SHAPES: tuple[Shape, ...] = ("week", "pairs")


#: What a role may, in a few words, and what that means.
PERMISSION_WORDS: dict[Permission, tuple[LazyText, LazyText]] = {
    Permission.DATA_READ: (
        lazy("View figures"),
        lazy("Overview and Explore, and their downloads. Part of every role."),
    ),
    Permission.SALES_READ: (lazy("View sale lines"), lazy("The lines behind a figure, with customer and product.")),
    Permission.SALES_WRITE: (lazy("Import sales"), lazy("Import files and send sales over the API.")),
    Permission.ALERTS_READ: (lazy("View alerts"), lazy("The list of alerts, and the details of each.")),
    Permission.ALERTS_MANAGE: (lazy("Handle alerts"), lazy("Acknowledge and resolve them.")),
    Permission.STREAM_READ: (lazy("View the stream"), lazy("Imports, rejected records and the state of the stream.")),
    Permission.STREAM_MANAGE: (
        lazy("Control the stream"),
        lazy("Resume a halted partition; correct or discard rejected records."),
    ),
    Permission.AUDIT_READ: (lazy("View the audit log"), lazy("Who did what, when, and from where.")),
    Permission.SETTINGS_MANAGE: (
        lazy("Change settings"),
        lazy("Settings of the whole installation, such as its name, currency and limits."),
    ),
    Permission.USERS_MANAGE: (
        lazy("Manage users and roles"),
        lazy("As far as their roles include nothing beyond one's own."),
    ),
}


@dataclass(frozen=True)
class Matrix:
    """A heat map as a table: `cells[row, column]`, NaN where there is nothing; `title` says of what, without the unit.

    `rows` and `columns` are the values of two dimensions, or weekdays ('0' = Monday) and hours; beside them their words.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    row_words: Sequence[str]
    column_words: Sequence[str]
    cells: np.ndarray


def happened(frame: Frame) -> pd.DataFrame:
    """The frame's rows; of buckets that have not begun the figures are missing, not zero."""
    data = frame.data
    if "bucket" not in data or data.empty:
        return data
    later = data["bucket"] > frame.as_of
    return (
        data.assign(**{slug: data[slug].mask(later, np.nan) for slug in frame.query.metrics}) if later.any() else data
    )


def value_label(value: str, name: str = "") -> str:
    """A dimension value in the reader's words, not yet escaped: 'Not given' for '', 'Other' for the rest."""
    if value == OTHER:
        return _("Other")
    return name or value or _("Not given")


def segment_label(slug: str, value: str) -> str:
    """The segment of one dimension value in the reader's words, not yet escaped: 'Region: North'."""
    return f"{dimension(slug).label}: {value_label(value)}"


def value_labels(frame: pd.DataFrame, slug: str) -> dict[str, str]:
    """Value -> words for all values of a dimension in `frame`, from its `<slug>:name` column where there is one.

    Values of the same name are told apart by what identifies them.
    """
    column = f"{slug}:name"
    names = frame[column] if column in frame else frame[slug]
    return told_apart(dict(zip(frame[slug], names, strict=True)))


def told_apart(names: dict[str, str]) -> dict[str, str]:
    """Value -> words, given each value's name: where two share a name, their values stand beside it.

    >>> told_apart({"17": "Milk", "18": "Milk", "19": "Bread"})
    {'17': 'Milk (17)', '18': 'Milk (18)', '19': 'Bread'}
    """
    labels = {value: value_label(value, name) for value, name in names.items()}
    times = Counter(labels.values())
    return {
        value: f"{label} ({value})" if times[label] > 1 and value not in {label, OTHER, ""} else label
        for value, label in labels.items()
    }


def role_words(role: str, name: str = "") -> str:
    """A role in the reader's words; `name` is that of one's own, '' of a ready-made one."""
    words = {
        "viewer": _("Viewer"),
        "analyst": _("Analyst"),
        "data_scientist": _("Data scientist"),
        "admin": _("Administrator"),
    }
    return name or words.get(role, role)


def permission_words(permission: Permission) -> str:
    return str(PERMISSION_WORDS[permission][0])


def by_size(frame: pd.DataFrame, slug: str, measured: str) -> list[str]:
    """The values of the dimension `slug`, those with most in the column `measured` first, 'Other' last."""
    sizes: dict[str, float] = defaultdict(float)
    for value, size in zip(frame[slug].tolist(), frame[measured].tolist(), strict=True):
        sizes[str(value)] += 0.0 if math.isnan(size) else size
    return sorted(sizes, key=lambda value: (value == OTHER, -sizes[value], value))


def matrix_of(frame: Frame, shape: Shape, top: int) -> Matrix:
    """The first metric of `frame` as the heat map of that `shape` shows it; of pairs the `top` largest values each."""
    slug = frame.query.metrics[0]
    if shape == "week":
        return week_matrix(happened(frame), slug)
    return pair_matrix(largest(frame.data, frame.query.dimensions, slug, top), frame.query.dimensions, slug)


def week_matrix(data: pd.DataFrame, slug: str) -> Matrix:
    """The mean of a metric in an hour, by weekday (down, from the reader's first) and hour of day (across).

    `data` has a `bucket` per hour, in the viewer's zone; hours that it lacks do not count, nor does an unfinished one.
    """
    week, hours = [(current().week_start + step) % 7 for step in range(7)], range(24)
    whole = data[~data["unfinished"].astype(bool)] if "unfinished" in data else data
    clock, values = whole["bucket"].dt.tz_localize(None).dt, whole[slug].to_numpy(dtype=float)
    place, known = (clock.day_of_week * 24 + clock.hour).to_numpy(), np.isfinite(values)
    sums, counts = (np.bincount(place[known], weights, 7 * 24) for weights in (values[known], None))
    means = np.divide(sums, counts, out=np.full(7 * 24, np.nan), where=counts > 0).reshape(7, 24)
    return Matrix(
        _("{metric} per hour and weekday", metric=metric(slug).label),
        [str(day) for day in week],
        [str(hour) for hour in hours],
        [weekday_name(day) for day in week],
        [hour_label(hour) for hour in hours],
        means[week],
    )


def largest(data: pd.DataFrame, dimensions: Sequence[str], measured: str, top: int) -> pd.DataFrame:
    """The rows of the `top` values of each dimension that are largest; 'Other' is none of them."""
    for slug in dimensions:
        data = data[data[slug] != OTHER]
        sums = data.groupby(slug, observed=True)[measured].sum()
        data = data[data[slug].isin(sums.nlargest(top).index)]
    return data


def pair_matrix(data: pd.DataFrame, dimensions: Sequence[str], measured: str) -> Matrix:
    """A metric of each combination of two dimensions: the first down, the second across, the largest first."""
    down, across = (by_size(data, slug, measured) for slug in dimensions)
    table = data.pivot_table(index=dimensions[0], columns=dimensions[1], values=measured, aggfunc="sum")
    names = [value_labels(data, slug) for slug in dimensions]
    first, second = (dimension(slug).label for slug in dimensions)
    return Matrix(
        _("{metric}: {rows} × {columns}", metric=metric(measured).label, rows=first, columns=second),
        down,
        across,
        [names[0][value] for value in down],
        [names[1][value] for value in across],
        table.reindex(index=down, columns=across).to_numpy(dtype=float),
    )
