"""How well the detectors do on sales and series with labelled anomalies: `python -m benchmarks detect --bench FOLDER`.

All of it with the settings that a new installation has. The folder holds `seed*/` (stream.csv.gz, calendar.csv, labels.json),
`nab/` (windows.json, data/) and the programs that judge: `evaluate.py`, `check_causal.py` and `nab_score.py`. Sales are replayed as
`nebuloviz backtest` does.
"""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import causes, scoring
from benchmarks.table import Figure
from nebuloviz import settings
from nebuloviz.bootstrap import watches

SEEDS = ("301", "302")
_CUT_AFTER = timedelta(weeks=8)  # of a stream, where the causality check cuts it


def figures(bench: Path, seeds: Iterable[str] = SEEDS) -> list[Figure]:
    """Everything measured, in the order of the table."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        measured = scoring.figures()
        for seed in seeds:
            measured += sales_figures(bench, bench / f"seed{seed}", work)
        return measured + series_figures(bench, work)


def sales_figures(bench: Path, seed: Path, work: Path) -> list[Figure]:
    """F1, false incidents and delay of one stream, whether alerts know where they come from, and depend on nothing later."""
    alerts, database_url = work / f"{seed.name}.jsonl", f"sqlite:///{work / seed.name}.db"
    start = time.perf_counter()
    replay(seed, seed / "stream.csv.gz", alerts, database_url)
    seconds = time.perf_counter() - start
    found = json.loads(run(bench / "evaluate.py", "--labels", seed / "labels.json", "--alerts", alerts))
    right, explained = causes.right_first(database_url, json.loads((seed / "labels.json").read_text()), alerts)
    return [
        Figure(f"{seed.name}: F1", found["f1"], "", "events found", found["hits"] / found["events"], ">= 0.80"),
        Figure("  false incidents a week", found["false_incidents_per_week"], "", target="<= 1"),
        Figure("  alerts that were right", found["precision"], ""),
        *decoy_figures(found["decoys_fired"]),
        Figure("  median delay", found["delay_hours_median"] or 0.0, "h"),
        Figure("  segment events explained first", right, "", "those found", right / max(explained, 1), ">= 0.80"),
        Figure("  alerts that depend on later rows", float(not is_causal(bench, seed, alerts, work)), "", target="0"),
        Figure("  the run", seconds, "s"),
        *(Figure(f"  found: {kind}", *_of(counted)) for kind, counted in found["by_kind"].items()),
    ]


def decoy_figures(fired: Mapping[str, Any]) -> list[Figure]:
    """What must not alert, kind by kind; of growth, all false alerts within its weeks, whatever has caused them."""
    return [
        Figure("  promotions with a false alert", *_of(fired["weekly_promo"]), target="0"),
        Figure("  closures with a false alert", *_of(fired["closure"]), target="0"),
        Figure("  false alerts in the weeks of growth", fired["false_alerts_inside_growth"], "", target="0"),
    ]


def _of(counted: str) -> tuple[int, str]:
    """`3/7` as a value and its unit."""
    n, total = counted.split("/")
    return int(n), f"of {total}"


def is_causal(bench: Path, seed: Path, alerts: Path, work: Path) -> bool:
    """Whether the alerts before a cut are the same when the stream ends there."""
    prefix, prefix_alerts = work / "prefix.csv.gz", work / "prefix.jsonl"
    cut = _cut(seed / "stream.csv.gz", prefix)
    replay(seed, prefix, prefix_alerts)
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
        *(each for profile, counted in found.items() for each in profile_figures(profile, counted)),
        Figure("  the run", rows / seconds, "rows/s"),
    ]


def profile_figures(profile: str, counted: Mapping[str, Any]) -> list[Figure]:
    """The score by one profile of the corpus, and what it comes from."""
    return [
        Figure(f"series: {profile}", counted["score"], "of 100", target=">= 62" if profile == "standard" else ""),
        Figure("  windows found", counted["hits"], f"of {counted['windows']}"),
        Figure("  false alarms", counted["false_alarms"], ""),
    ]


def _rows(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def replay(seed: Path, stream: Path, alerts: Path, database_url: str = "sqlite://") -> None:
    watches.backtest(settings.load(), stream, seed / "calendar.csv", alerts, database_url)


def nebuloviz(*arguments: object) -> str:
    return run("-m", "nebuloviz", *arguments)


def run(*arguments: object) -> str:
    """The output of a Python program. Raises CalledProcessError, after showing its errors, where it fails."""
    done = subprocess.run([sys.executable, *map(str, arguments)], check=False, stdout=subprocess.PIPE, text=True)
    done.check_returncode()
    return done.stdout
