"""Prints every figure: `python -m benchmarks`, or only some parts, `python -m benchmarks queries ingest`.

`--sales 20000000` asks the queries of so many sales on PostgreSQL as well, and compares them with those of 5 million.
"""

from __future__ import annotations

import argparse
import importlib

from benchmarks.table import show

PARTS = {
    "queries": "Queries of Overview",
    "ingest": "Ingest",
    "cache": "Cache",
    "scoring": "Detection",
    "processes": "The program as it is met",
    "browser": "Overview in a browser",
    "memory": "Resident memory",
}


def main() -> None:
    """Run the parts one after the other, as they would disturb each other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them by default")
    parser.add_argument("--sales", type=int, help="a second size of the queries' database; 20 million take some 12 GB")
    arguments = parser.parse_args()
    for part in arguments.parts or PARTS:
        module = importlib.import_module(f"benchmarks.{part}")
        options = {"more": arguments.sales} if part == "queries" else {}
        show(PARTS[part], module.figures(**options))


if __name__ == "__main__":
    main()
