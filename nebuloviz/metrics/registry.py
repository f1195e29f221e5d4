"""Metrics and dimensions as data.

To add one, add an entry to `METRICS` or `DIMENSIONS`; an extension of your own calls `add_metric` or `add_dimension` (docs/how-to/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeVar

from sqlalchemy import Text

from nebuloviz.errors import ConfigurationError, InvalidQuery
from nebuloviz.i18n import LazyText, _, lazy
from nebuloviz.models import MEASURES, MONEY_SCALE, QUANTITY_SCALE, ROLLUPS, SaleRow

Unit = Literal["money", "count", "quantity", "ratio"]


@dataclass(frozen=True)
class Metric:
    """A figure: the sum of `numerator`, over the sum of `denominator` where there is one.

    Both name measures of the rollups (`nebuloviz.models.MEASURES`), or `customers`, which is counted distinct; a leading
    '-' subtracts. Sums are formed first and divided last, so a ratio is right at every level. A ratio of nothing to
    nothing is missing (NaN), not zero.
    """

    slug: str
    label: LazyText
    unit: Unit
    numerator: tuple[str, ...]
    denominator: tuple[str, ...] = ()
    up_is_good: bool | None = True
    description: LazyText | None = None

    @property
    def measures(self) -> frozenset[str]:
        """The measures that this metric is made of."""
        return frozenset(name.removeprefix("-") for name in self.numerator + self.denominator)

    def value(self, figures: Mapping[str, int]) -> float | None:
        """The metric from stored integers by measure, absent ones being 0; None where a ratio has nothing to divide by.

        >>> metric("average_order_value").value({"revenue": 1_230_000, "orders": 10})
        12.3
        """
        value = _amount(self.numerator, figures)
        if not self.denominator:
            return value
        divisor = _amount(self.denominator, figures)
        return value / divisor if divisor else None

    @property
    def additive(self) -> bool:
        """Whether values of disjoint parts add up to the whole's."""
        return not self.denominator and not self.measures & {"orders", "customers"}


@dataclass(frozen=True)
class Dimension:
    """Something that sales are told apart by. `column` is its column in the facts; `order_level` = one value an order, normally.

    `few`: it has dozens of values, normally, so that all are read in one go and ranked here; of others the database ranks first.
    Where that is wrong, answers take longer and are the same. `aliases` are other names that a question may call it by.
    """

    slug: str
    label: LazyText
    column: str
    order_level: bool = True
    few: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def rolled(self) -> bool:
        """Whether daily sums of it are kept. Any other is counted from the facts, and is asked for only when somebody asks."""
        return any(rollup.dimensions == (self.column,) for rollup in ROLLUPS)


METRICS: list[Metric] = [
    Metric(
        "revenue",
        lazy("Revenue"),
        "money",
        ("revenue",),
        description=lazy("What was paid for all lines, after discounts; returns subtract."),
    ),
    Metric("orders", lazy("Orders"), "count", ("orders",), description=lazy("Distinct orders.")),
    Metric("units", lazy("Units"), "quantity", ("quantity",), description=lazy("Quantity sold; returns subtract.")),
    Metric(
        "average_order_value",
        lazy("Average order value"),
        "money",
        ("revenue",),
        ("orders",),
        description=lazy("Revenue per order."),
    ),
    Metric("customers", lazy("Customers"), "count", ("customers",), description=lazy("Distinct known customers.")),
    Metric("lines", lazy("Sale lines"), "count", ("lines",), description=lazy("Order lines, returns included.")),
    Metric(
        "discount_rate",
        lazy("Discount rate"),
        "ratio",
        ("discount",),
        ("revenue", "discount"),
        up_is_good=None,
        description=lazy("Discount as a share of revenue before discount."),
    ),
    Metric(
        "margin",
        lazy("Margin"),
        "ratio",
        ("costed_revenue", "-cost"),
        ("costed_revenue",),
        description=lazy("Share of revenue left after cost, where the cost is known."),
    ),
    Metric(
        "returns",
        lazy("Returns"),
        "money",
        ("returned_amount",),
        up_is_good=False,
        description=lazy("Value of returned lines."),
    ),
]

DIMENSIONS: list[Dimension] = [
    Dimension("category", lazy("Category"), "category", order_level=False, few=True, aliases=("department",)),
    Dimension("region", lazy("Region"), "region", few=True),
    Dimension("country", lazy("Country"), "country", few=True),
    Dimension("channel", lazy("Channel"), "channel", few=True),
    Dimension("store", lazy("Store"), "store"),
    Dimension("product", lazy("Product"), "product_id", order_level=False),
]


_SCALES = {
    **dict.fromkeys(("revenue", "discount", "cost", "costed_revenue", "returned_amount"), MONEY_SCALE),
    **dict.fromkeys(("quantity", "returned_quantity"), QUANTITY_SCALE),
}


def scale_of(measure: str) -> int:
    """What a stored figure of this measure is divided by to be in its own unit."""
    return _SCALES.get(measure, 1)


def _amount(names: tuple[str, ...], figures: Mapping[str, int]) -> float:
    """A signed sum of measures in their own units; added as integers where they have one unit, so that cents stay exact."""
    signed, scale = _terms(names)
    if len(signed) == 1:
        [(sign, name)] = signed
        return sign * figures.get(name, 0) / scale
    if scale:
        return sum([sign * figures.get(name, 0) for sign, name in signed]) / scale
    return sum([sign * figures.get(name, 0) / scale_of(name) for sign, name in signed])


@cache
def _terms(names: tuple[str, ...]) -> tuple[list[tuple[int, str]], int]:
    """Each measure and its sign, and the scale of all of them; 0 where they have several."""
    signed = [(-1 if name[0] == "-" else 1, name.removeprefix("-")) for name in names]
    scales = {scale_of(name) for _, name in signed}
    return signed, scales.pop() if len(scales) == 1 else 0


_Entry = TypeVar("_Entry", Metric, Dimension)
_SLUG = re.compile(r"[a-z][a-z_]*")  # stands in URLs and in JSON


def add_metric(entry: Metric) -> None:
    """Let `entry` be asked for like the built-in ones.

    Raises:
        ConfigurationError: its slug is taken or malformed, or it is made of a measure that there is not.
    """
    unknown = entry.measures - {*MEASURES, "customers"}
    if unknown:
        raise ConfigurationError(f"The metric {entry.slug!r} names unknown measures: {', '.join(sorted(unknown))}.")
    _add(METRICS, entry, "metric")


def add_dimension(entry: Dimension) -> None:
    """Let sales be told apart by `entry` as by the built-in ones. One without rollups of its own is answered from the facts.

    Raises:
        ConfigurationError: its slug is taken or malformed, its column has a dimension already or is none of text.
    """
    columns = [column.name for column in SaleRow.__table__.columns if isinstance(column.type, Text)]
    if entry.column not in columns:
        known = ", ".join(columns)
        raise ConfigurationError(
            f"The dimension {entry.slug!r} needs a column of text that sales have ({known}), not {entry.column!r}."
        )
    same = [known.slug for known in DIMENSIONS if known.column == entry.column]
    if same:
        raise ConfigurationError(f"{entry.column!r} has a dimension already: {same[0]!r}.")
    _add(DIMENSIONS, entry, "dimension")


def _add(entries: list[_Entry], entry: _Entry, kind: str) -> None:
    if not _SLUG.fullmatch(entry.slug):
        raise ConfigurationError(
            f"A {kind}'s slug is made of a to z and _, as in 'net_revenue'; {entry.slug!r} is not."
        )
    if any(known.slug == entry.slug for known in entries):
        raise ConfigurationError(f"There is a {kind} {entry.slug!r} already; choose another slug.")
    entries.append(entry)


def metric(slug: str) -> Metric:
    """Look one up.

    Raises:
        InvalidQuery: names the known ones.
    """
    return _find(METRICS, slug, "metric")


def dimension(slug: str) -> Dimension:
    """Look one up, by its slug or an alias.

    Raises:
        InvalidQuery: names the known ones.
    """
    alias = next((entry.slug for entry in DIMENSIONS if slug in entry.aliases), slug)
    return _find(DIMENSIONS, slug if any(entry.slug == slug for entry in DIMENSIONS) else alias, "dimension")


def _find(entries: list[_Entry], slug: str, kind: str) -> _Entry:
    for entry in entries:
        if entry.slug == slug:
            return entry
    texts = {
        "metric": _("There is no metric {name}; known are {known}."),
        "dimension": _("There is no dimension {name}; known are {known}."),
    }
    raise InvalidQuery(texts[kind].format(name=repr(slug), known=", ".join(entry.slug for entry in entries)))
