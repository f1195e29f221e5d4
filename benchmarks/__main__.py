"""Prints every figure: `python -m benchmarks`, or only some parts, `python -m benchmarks queries ingest`."""

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
    for part in parser.parse_args().parts or PARTS:
        module = importlib.import_module(f"benchmarks.{part}")
        show(PARTS[part], module.figures())


if __name__ == "__main__":
    main()
