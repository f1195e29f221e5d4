"""The command line: `python -m nebuloviz COMMAND`. What each command does stands in commands.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from nebuloviz import __version__, commands, process
from nebuloviz.errors import NebuloVizError

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code: 0 done, 1 failed, 2 bad usage or settings."""
    process.begin()
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except NebuloVizError as error:
        print(f"nebuloviz: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nebuloviz", description="Real-time sales analytics with an anomaly detector built in."
    )
    parser.add_argument("--version", action="version", version=f"nebuloviz {__version__}")
    words = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_serving, _add_data, _add_detection, _add_care):
        add(words)
    return parser


def _add_serving(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = words.add_parser("serve", help="serve the dashboard and the API")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    serve.add_argument("--no-demo", action="store_true", help="start empty instead of with the sample of real sales")
    serve.set_defaults(command=commands.serve)
    ingest = words.add_parser("ingest", help="consume sales from Kafka, without serving pages")
    ingest.set_defaults(command=commands.ingest)


def _add_data(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    load = words.add_parser("import", help="import a file of sales: CSV, TSV, XLSX, Parquet or NDJSON, gzipped or not")
    load.add_argument("file", type=Path)
    _add_reading(load)
    load.add_argument("--dry-run", action="store_true", help="show the mapping and the first rows, import nothing")
    load.set_defaults(command=commands.import_file)
    produce = words.add_parser("produce", help="send a file's sales, or a simulated shop's, to the Kafka topic")
    produce.add_argument("file", type=Path, nargs="?", help="a file of sales; a simulated shop without it")
    produce.add_argument("--rate", type=float, default=100.0, help="sales per second; 0 as fast as possible")
    produce.add_argument("--count", type=int, help="stop after so many sales")
    _add_reading(produce)
    produce.set_defaults(command=commands.produce)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """How a file is read."""
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="which column holds a field; corrects the guess",
    )
    parser.add_argument(
        "--time-zone", default="", help="zone of times without an offset (the installation's by default)"
    )
    parser.add_argument(
        "--date-order",
        choices=("dmy", "mdy"),
        default="",
        help="whether day or month comes first in dates such as 3/4/2026 (what the file's dates speak for by default)",
    )


def _add_detection(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    backtest = words.add_parser(
        "backtest",
        help="replay a file of sales through the pipeline and write its alerts; or try a rule on the stored sales",
    )
    backtest.add_argument("--input", type=Path, help="CSV of sales in order of time, gzipped or not")
    backtest.add_argument("--calendar", type=Path, help="CSV with a column `date` of planned closures")
    backtest.add_argument("--output", type=Path, help="one alert a line, JSON")
    rule = backtest.add_argument_group("a rule on the stored sales, instead of a file")
    rule.add_argument("--metric", help="such as revenue, orders, without_region")
    rule.add_argument("--segment", default="", metavar="DIMENSION[=VALUE]", help="one value, or each of a dimension's")
    rule.add_argument("--grain", choices=("hour", "day"), default="hour")
    rule.add_argument("--detector", default="isolation_forest", help="as the page Rules names them")
    about = "one of its numbers, such as false_alerts=0.5"
    rule.add_argument("--set", type=_number, action="append", default=[], metavar="NAME=VALUE", help=about)
    rule.add_argument("--from", dest="first", type=date.fromisoformat, metavar="DAY", help="the first day, 2026-10-01")
    rule.add_argument("--to", dest="last", type=date.fromisoformat, metavar="DAY", help="the last day, included")
    rule.add_argument("--save", default="", metavar="NAME", help="make it a live rule of this name")
    backtest.set_defaults(command=commands.backtest, refuse=backtest.error)
    score = words.add_parser("score-series", help="score each value of one series by itself and those before it")
    score.add_argument("--input", type=Path, required=True, help="CSV with timestamp,value")
    score.add_argument("--output", type=Path, required=True, help="CSV with timestamp,value,anomaly_score (0 to 1)")
    score.set_defaults(command=commands.score_series)


def _add_care(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    migrate = words.add_parser("migrate", help="bring the database to this version's tables")
    migrate.add_argument("--down-to", metavar="REVISION", help="undo revisions down to this one; 'base' undoes all")
    migrate.set_defaults(command=commands.migrate)
    backup = words.add_parser("backup", help="write the whole installation to one file, while it runs")
    backup.add_argument("file", type=Path)
    backup.set_defaults(command=commands.backup)
    restore = words.add_parser("restore", help="put back what a backup holds; stop every other process before")
    restore.add_argument("file", type=Path)
    restore.add_argument("--force", action="store_true", help="lose the users and sales that are there")
    restore.set_defaults(command=commands.restore)
    user = words.add_parser("user", help="add and list users, set passwords")
    actions = user.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add a user; the password is read from the terminal or standard input")
    add.add_argument("username")
    add.add_argument(
        "--role", default="viewer", help="viewer, analyst, data_scientist, admin, or the slug of a role of your own"
    )
    add.set_defaults(command=commands.user_add)
    password = actions.add_parser("password", help="set a user's password and end all of the user's sessions")
    password.add_argument("username")
    password.set_defaults(command=commands.user_password)
    reset = actions.add_parser("reset-second-factor", help="turn off the second factor of a user who has lost it")
    reset.add_argument("username")
    reset.set_defaults(command=commands.user_reset_second_factor)
    listing = actions.add_parser("list", help="list the users")
    listing.set_defaults(command=commands.user_list)
    resume = words.add_parser("resume", help="let a halted partition of the stream go on")
    resume.add_argument("topic")
    resume.add_argument("partition", type=int)
    resume.add_argument("--skip-to", type=int, metavar="OFFSET", help="give up what is before this offset")
    resume.set_defaults(command=commands.resume)
    probe = words.add_parser("probe", help="ask the process that runs on this machine whether it is ready")
    probe.set_defaults(command=commands.probe)
    doctor = words.add_parser("doctor", help="check settings and servers, and say what to do")
    doctor.add_argument("--recount", action="store_true", help="also compare all rollups with a recount from the sales")
    doctor.add_argument(
        "--rebuild",
        action="store_true",
        help="first make all rollups anew from the sales; stop every other process before",
    )
    doctor.set_defaults(command=commands.doctor)


def _number(text: str) -> tuple[str, float]:
    """NAME=VALUE."""
    name, _equals, value = text.partition("=")
    return name, float(value)
