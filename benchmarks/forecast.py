"""Whether forecasts hold what they say, on real sales: `python -m benchmarks forecast`.

Each series is cut at every seventh day, after 16 weeks at the earliest; what is forecast there, from nothing later, is held
against what came: each of the next 28 days, the next seven in all, and the next 28 in all. Printed is how many of the ranges held
what came; of those that are to hold 80 %, that should be 80 %. A day that nothing was expected of and on which nothing was sold
does not count. The error is compared with that of saying what the week before said: what anybody would try first.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.table import Figure, show
from nebuloviz.detection.forecast import LEVELS, outlooks
from nebuloviz.detection.series import FloatArray
from nebuloviz.ingest.sample_data import SampleFile

SPANS = {"a day": [(ahead, ahead + 1) for ahead in range(28)], "seven days": [(0, 7)], "28 days": [(0, 28)]}
ONLINE_RETAIL = "online_retail_uci.csv.gz"
_FIRST, _STEP, _DAY = 112, 7, 86_400
_SEGMENTS = 6  # the largest of each data set, besides all sales

Series = dict[str, FloatArray]


def figures(data: Path) -> list[Figure]:
    """For each data set and kind of span: how often the ranges held, and how far off the expectation was."""
    found: list[Figure] = []
    for name, series in (
        ("Complete Journey", complete_journey()),
        ("Online Retail", read_online_retail(data / ONLINE_RETAIL)),
    ):
        found += judged(name, series)
    return found


def judged(name: str, series: Series) -> list[Figure]:
    found = []
    for words, spans in SPANS.items():
        rows = np.array([row for days in series.values() for row in tried(days, spans)])
        came, expected, naive, *ends = rows.T
        for number, level in enumerate(LEVELS):
            held = float(((came >= ends[2 * number]) & (came <= ends[2 * number + 1])).mean())
            target = f"{level:.0%} ± 3"
            found.append(
                Figure(f"{name}, {words}: {level:.0%} range held", held * 100, "%", "nominal", held / level, target)
            )
        error, naive_error = (float(np.abs(came - each).sum() / np.abs(came).sum()) for each in (expected, naive))
        words_naive = "the same days of the last week there was"
        found.append(Figure(f"  {words}: off by", error * 100, "% of sales", words_naive, error / naive_error, "< 1"))
    return found


def tried(days: FloatArray, spans: list[tuple[int, int]]) -> Iterator[tuple[float, ...]]:
    """What came, what was expected, what the week before would say, and the ends of the ranges, from every seventh day."""
    for now in range(_FIRST, len(days), _STEP):
        inside = [span for span in spans if now + span[1] <= len(days)]
        for (first, end), look in zip(inside, outlooks(days[:now], inside), strict=True):
            came = float(days[now + first : now + end].sum())
            if look is not None and (came or look.expected):
                week = np.tile(days[now - 7 : now], 5)
                yield (
                    came,
                    look.expected,
                    float(week[first:end].sum()),
                    *(edge for ends in look.ranges for edge in ends),
                )


def complete_journey() -> Series:
    """Revenue, orders and units by day of a year, and revenue of the largest departments."""
    file = SampleFile()
    departments = {product: department for product, (_name, department) in file.products.items()}
    parts = [file.part(number) for number in range(len(file.bounds) - 1)]
    lines = pd.DataFrame(
        {
            "day": np.concatenate([part.seconds for part in parts]) // _DAY,
            "revenue": np.concatenate([part.cents for part in parts]) / 100,
            "units": np.concatenate([part.quantity for part in parts]),
            "order": np.concatenate([part.basket for part in parts]),
            "segment": [departments.get(product, "") for part in parts for product in part.product.tolist()],
        }
    )
    return series_of(lines)


def read_online_retail(path: Path) -> Series:
    """The same of a wholesaler that is closed on Saturdays, by country."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = pd.read_csv(file, usecols=["ts", "invoice", "quantity", "price", "country"], dtype={"invoice": str})
    lines = pd.DataFrame(
        {
            "day": pd.to_datetime(rows["ts"]).astype("datetime64[s]").astype("int64") // _DAY,
            "revenue": rows["quantity"] * rows["price"],
            "units": rows["quantity"],
            "order": rows["invoice"],
            "segment": rows["country"],
        }
    )
    return series_of(lines)


def series_of(lines: pd.DataFrame) -> Series:
    """By day, days without sales included: the whole ones of the file."""
    days = np.arange(lines["day"].min() + 1, lines["day"].max())
    by_day = lines.groupby("day")
    found = {name: by_day[name].sum() for name in ("revenue", "units")} | {"orders": by_day["order"].nunique()}
    largest = lines.groupby("segment")["revenue"].sum().nlargest(_SEGMENTS).index
    for segment in largest:
        found[str(segment)] = lines[lines["segment"] == segment].groupby("day")["revenue"].sum()
    return {name: each.reindex(days, fill_value=0).to_numpy(dtype=float) for name, each in found.items()}


if __name__ == "__main__":
    show("Forecasts", figures(Path("../shared/data")))
