"""One figure of a benchmark, and the table that all of them are printed in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Figure(NamedTuple):
    """What was measured, and what it was compared with in the same run: `ratio` is `value` over that."""

    name: str
    value: float
    unit: str
    compared_with: str = ""
    ratio: float | None = None
    target: str = ""


def show(title: str, figures: Iterable[Figure]) -> None:
    """Print the figures; numbers are rounded to what the measurement can tell."""
    table = Table("figure", "value", "ratio", "compared with", "target", title=title, title_justify="left")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(figure.name, f"{figure.value:,.4g} {figure.unit}", ratio, figure.compared_with, figure.target)
    Console(width=160).print(table)
