"""How well the detectors do on sales and series with labelled anomalies: `python -m benchmarks.detection --bench FOLDER`.

The folder holds `seed*/` (stream.csv.gz, calendar.csv, labels.json), `nab/` (windows.json, data/) and the programs that judge:
`evaluate.py`, `check_causal.py` and `nab_score.py`. Everything runs through the commands that a user has.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks import scoring
from benchmarks.table import Figure, show

_CUT_AFTER = timedelta(weeks=8)  # of a stream, where the causality check cuts it


def figures(bench: Path, seeds: Iterable[str], work: Path, *, nab: bool) -> list[Figure]:
    """Everything measured, in the order of the table."""
    measured = scoring.figures()
    for seed in seeds:
        measured += sales_figures(bench, bench / f"seed{seed}", work)
    return measured + (series_figures(bench, work) if nab else [])


def sales_figures(bench: Path, seed: Path, work: Path) -> list[Figure]:
    """F1, false incidents and delay of one stream, and how many alerts differ when its later part is withheld."""
    alerts = work / f"{seed.name}.jsonl"
    start = time.perf_counter()
    backtest(seed / "stream.csv.gz", seed / "calendar.csv", alerts)
    seconds = time.perf_counter() - start
    found = json.loads(run(bench / "evaluate.py", "--labels", seed / "labels.json", "--alerts", alerts))
    events = found["events"]
    return [
        Figure(f"{seed.name}: F1", found["f1"], "", "events found", found["hits"] / events),
        Figure(
            "  false incidents a week",
            found["false_incidents_per_week"],
            "",
            "alerts that were right",
            found["precision"],
        ),
        Figure("  median delay", found["delay_hours_median"] or 0.0, "h"),
        Figure("  the run", seconds, "s"),
        Figure("  alerts that depend on later rows", float(not is_causal(bench, seed, alerts, work)), ""),
    ]


def is_causal(bench: Path, seed: Path, alerts: Path, work: Path) -> bool:
    """Whether the alerts before a cut are the same when the stream ends there."""
    prefix, prefix_alerts = work / "prefix.csv.gz", work / "prefix.jsonl"
    cut = _cut(seed / "stream.csv.gz", prefix)
    backtest(prefix, seed / "calendar.csv", prefix_alerts)
    program = [sys.executable, str(bench / "check_causal.py"), str(alerts), str(prefix_alerts), "--cut", cut]
    checked = subprocess.run(program, check=False, capture_output=True, text=True)
    print(seed.name, checked.stdout.strip(), file=sys.stderr)
    return checked.returncode == 0


def _cut(stream: Path, prefix: Path) -> str:
    """Write the first weeks of a stream; the moment at which it was cut."""
    with gzip.open(stream, "rt") as rows, gzip.open(prefix, "wt", compresslevel=1) as kept:
        kept.write(rows.readline())
        first = rows.readline()
        cut = (datetime.fromisoformat(first.split(",", 1)[0]) + _CUT_AFTER).isoformat()
        kept.write(first)
        for row in rows:
            if row[: len(cut)] >= cut:
                break
            kept.write(row)
    return cut


def series_figures(bench: Path, work: Path) -> list[Figure]:
    """The corpus' own scores, 0 to 100, for each of its profiles."""
    corpus, scores = bench / "nab", work / "nab"
    start = time.perf_counter()
    for name in json.loads((corpus / "windows.json").read_text()):
        (scores / name).parent.mkdir(parents=True, exist_ok=True)
        nebuloviz("score-series", "--input", corpus / "data" / f"{name}.gz", "--output", scores / name)
    seconds = time.perf_counter() - start
    found = json.loads(run(bench / "nab_score.py", "--corpus", corpus, "--scores", scores))
    rows = sum(_rows(scores / name) for name in json.loads((corpus / "windows.json").read_text()))
    return [
        *(Figure(f"series: {profile}", each["score"], "of 100") for profile, each in found.items()),
        Figure("  the run", rows / seconds, "rows/s"),
    ]


def _rows(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def backtest(stream: Path, calendar: Path, output: Path) -> None:
    nebuloviz("backtest", "--input", stream, "--calendar", calendar, "--output", output)


def nebuloviz(*arguments: object) -> str:
    return run("-m", "nebuloviz", *arguments)


def run(*arguments: object) -> str:
    """The output of a Python program. Raises CalledProcessError, after showing its errors, where it fails."""
    done = subprocess.run([sys.executable, *map(str, arguments)], check=False, stdout=subprocess.PIPE, text=True)
    done.check_returncode()
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="the folder with the labelled data")
    parser.add_argument("--seeds", nargs="*", default=["301", "302"], help="streams to replay (default: 301 302)")
    parser.add_argument("--no-nab", action="store_true", help="leave the series out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        show("Detection", figures(options.bench, options.seeds, Path(work), nab=not options.no_nab))


if __name__ == "__main__":
    main()
