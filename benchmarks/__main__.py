"""Prints every figure: `python -m benchmarks`, or only some parts, `python -m benchmarks queries ingest`.

Three parts run only where they are named: `detect` takes a quarter of an hour and needs a folder with labelled sales and series
(`--bench`, see `benchmarks/detect.py`), `forecast` one with real sales (`--data`), and `soak` half an hour (`--minutes 2`: a short
one). `--sales 20000000` asks the queries of so many sales on PostgreSQL as well, and compares them with those of 5 million.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from benchmarks.table import show

PARTS = {
    "queries": "Queries of Overview",
    "ingest": "Ingest",
    "cache": "Cache",
    "scoring": "Scoring",
    "detect": "Detection, judged by labels",
    "forecast": "Forecasts, held against what came",
    "processes": "The program as it is met",
    "browser": "Overview in a browser",
    "api": "The API",
    "memory": "Resident memory",
    "scale": "Several processes",
    "load": "25 readers of Overview while 500 sales a second arrive",
    "pressure": "100 readers, and a watch that learns while 25 read",
    "soak": "The same for a long time, and what is left of it",
}


def main() -> None:
    """Run the parts one after the other, as they would disturb each other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them by default")
    parser.add_argument("--bench", type=Path, default=Path("../shared/bench"), help="the folder with labelled data")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder with Online Retail")
    parser.add_argument("--seeds", nargs="*", help="streams of sales to replay (default: 301 302)")
    parser.add_argument("--sales", type=int, help="a second size of the queries' database; 20 million take some 12 GB")
    parser.add_argument("--minutes", type=float, help="of `load` (default: 1) and `soak` (default: 30)")
    parser.add_argument("--pages", type=int, help="different ones that are read in `load` and `soak` (default: 6)")
    parser.add_argument(
        "--database", help="PostgreSQL for `load`, `pressure` and `soak`, filled if it is empty, and kept"
    )
    arguments = parser.parse_args()
    labelled = {"bench": arguments.bench} | ({"seeds": arguments.seeds} if arguments.seeds is not None else {})
    options: dict[str, dict[str, Any]] = {"queries": {"more": arguments.sales}, "detect": labelled}
    options |= {"forecast": {"data": arguments.data}}
    database = {"database": arguments.database or ""}
    load = {"minutes": arguments.minutes, "pages": arguments.pages} | database
    options |= {part: {name: given for name, given in load.items() if given} for part in ("load", "soak")}
    options |= {"pressure": database}
    for part in arguments.parts or [each for each in PARTS if each not in {"detect", "forecast", "soak"}]:
        module = importlib.import_module(f"benchmarks.{part}")
        show(PARTS[part], module.figures(**options.get(part, {})))


if __name__ == "__main__":
    main()
