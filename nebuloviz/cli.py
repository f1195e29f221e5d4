"""The command line: `python -m nebuloviz COMMAND`. Each command loads only what it needs."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from nebuloviz import __version__, process, settings
from nebuloviz.errors import NebuloVizError

if TYPE_CHECKING:
    from nebuloviz.bootstrap.parts import Parts
    from nebuloviz.settings import Settings

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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_serving, _add_data, _add_detection, _add_care):
        add(commands)
    return parser


def _add_serving(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="serve the dashboard and the API")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    serve.add_argument("--no-demo", action="store_true", help="start empty instead of with the sample of real sales")
    serve.set_defaults(command=_serve)
    ingest = commands.add_parser("ingest", help="consume sales from Kafka, without serving pages")
    ingest.set_defaults(command=_ingest)


def _add_data(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    load = commands.add_parser(
        "import", help="import a file of sales: CSV, TSV, XLSX, Parquet or NDJSON, gzipped or not"
    )
    load.add_argument("file", type=Path)
    load.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="which column holds a field; corrects the guess",
    )
    load.add_argument("--time-zone", default="", help="zone of times without an offset (the installation's by default)")
    load.add_argument("--dry-run", action="store_true", help="show the mapping and the first rows, import nothing")
    load.set_defaults(command=_import)
    produce = commands.add_parser("produce", help="send a file's sales, or a simulated shop's, to the Kafka topic")
    produce.add_argument("file", type=Path, nargs="?", help="a file of sales; a simulated shop without it")
    produce.add_argument("--rate", type=float, default=100.0, help="sales per second; 0 as fast as possible")
    produce.add_argument("--count", type=int, help="stop after so many sales")
    produce.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN")
    produce.add_argument("--time-zone", default="")
    produce.set_defaults(command=_produce)


def _add_detection(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    backtest = commands.add_parser(
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
    backtest.set_defaults(command=_backtest, refuse=backtest.error)
    score = commands.add_parser("score-series", help="score each value of one series by itself and those before it")
    score.add_argument("--input", type=Path, required=True, help="CSV with timestamp,value")
    score.add_argument("--output", type=Path, required=True, help="CSV with timestamp,value,anomaly_score (0 to 1)")
    score.set_defaults(command=_score_series)


def _add_care(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    migrate = commands.add_parser("migrate", help="bring the database to this version's tables")
    migrate.add_argument("--down-to", metavar="REVISION", help="undo revisions down to this one; 'base' undoes all")
    migrate.set_defaults(command=_migrate)
    backup = commands.add_parser("backup", help="write the whole installation to one file, while it runs")
    backup.add_argument("file", type=Path)
    backup.set_defaults(command=_backup)
    restore = commands.add_parser("restore", help="put back what a backup holds; stop every other process before")
    restore.add_argument("file", type=Path)
    restore.add_argument("--force", action="store_true", help="lose the users and sales that are there")
    restore.set_defaults(command=_restore)
    user = commands.add_parser("user", help="add and list users, set passwords")
    actions = user.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add a user; the password is read from the terminal or standard input")
    add.add_argument("username")
    add.add_argument(
        "--role", default="viewer", help="viewer, analyst, data_scientist, admin, or the slug of a role of your own"
    )
    add.set_defaults(command=_user_add)
    password = actions.add_parser("password", help="set a user's password and end all of the user's sessions")
    password.add_argument("username")
    password.set_defaults(command=_user_password)
    reset = actions.add_parser("reset-second-factor", help="turn off the second factor of a user who has lost it")
    reset.add_argument("username")
    reset.set_defaults(command=_user_reset_second_factor)
    listing = actions.add_parser("list", help="list the users")
    listing.set_defaults(command=_user_list)
    resume = commands.add_parser("resume", help="let a halted partition of the stream go on")
    resume.add_argument("topic")
    resume.add_argument("partition", type=int)
    resume.add_argument("--skip-to", type=int, metavar="OFFSET", help="give up what is before this offset")
    resume.set_defaults(command=_resume)
    probe = commands.add_parser("probe", help="ask the process that runs on this machine whether it is ready")
    probe.set_defaults(command=_probe)
    doctor = commands.add_parser("doctor", help="check settings and servers, and say what to do")
    doctor.add_argument("--recount", action="store_true", help="also compare all rollups with a recount from the sales")
    doctor.add_argument(
        "--rebuild",
        action="store_true",
        help="first make all rollups anew from the sales; stop every other process before",
    )
    doctor.set_defaults(command=_doctor)


def _settings(**overrides: object) -> Settings:
    loaded = settings.load(**{name: value for name, value in overrides.items() if value is not None})
    from nebuloviz.observability import configure_logging

    configure_logging(loaded)
    return loaded


def _checked_settings(**overrides: object) -> Settings:
    """For what runs on: a secret that will not do is refused at once, before all that it takes to run is loaded."""
    loaded = _settings(**overrides)
    loaded.secret()
    return loaded


def _serve(options: argparse.Namespace) -> int:
    checked = _checked_settings(host=options.host, port=options.port, demo="off" if options.no_demo else None)
    from nebuloviz.serving import serve

    return serve(checked)


def _ingest(_options: argparse.Namespace) -> int:
    checked = _checked_settings()
    from nebuloviz.bootstrap.consuming import consume

    return consume(checked)


def _mapping(pairs: Sequence[str]) -> dict[str, str]:
    """`field=column` options as a dictionary."""
    from nebuloviz.errors import InvalidInput

    for pair in pairs:
        if "=" not in pair:
            raise InvalidInput(f"--map takes FIELD=COLUMN, for example --map order_id=InvoiceNo, not {pair!r}.")
    return dict(pair.split("=", 1) for pair in pairs)


def _ready_parts() -> Parts:
    """The program's parts, with a database that answers and is migrated.

    Raises:
        Unavailable: it does not, or is not; says what to do.
    """
    from nebuloviz.bootstrap.core import prepare_database
    from nebuloviz.bootstrap.parts import parts
    from nebuloviz.errors import Unavailable

    loaded = _settings()
    these = parts(loaded)
    problem = prepare_database(loaded, these.database)
    if problem:
        raise Unavailable(problem)
    return these


def _import(options: argparse.Namespace) -> int:
    from rich.console import Console

    from nebuloviz import terminal
    from nebuloviz.errors import InvalidInput

    console, corrections = Console(), _mapping(options.map)
    lacking = terminal.show_preview(options.file, corrections, console)
    if lacking:
        raise InvalidInput(
            f"No column was found for {', '.join(lacking)}. Name each with --map, for example --map {lacking[0]}=COLUMN."
        )
    if options.dry_run:
        return 0
    result = terminal.import_with_progress(_ready_parts(), options.file, corrections, options.time_zone, console)
    return 0 if result.complete else 1


def _produce(options: argparse.Namespace) -> int:
    from nebuloviz.errors import ConfigurationError
    from nebuloviz.ingest.importing import FileImport
    from nebuloviz.ingest.produce import encoded, file_sales, send, simulated_sales

    loaded = _settings()
    if not loaded.kafka_bootstrap_servers:
        raise ConfigurationError("There is no Kafka to send to: set NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS to host:port.")
    values = encoded(simulated_sales())
    if options.file is not None:
        values = file_sales(FileImport(options.file, _mapping(options.map), options.time_zone or loaded.time_zone))
    sent = send(loaded.kafka_bootstrap_servers, loaded.kafka_topic, values, options.rate, options.count)
    print(f"{sent:,} sales were sent to {loaded.kafka_topic}.")
    return 0


def _backtest(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.watches import backtest

    if options.metric and options.input is None and options.calendar is None:
        return _backtest_rule(options)
    lacking = [name for name in ("input", "output") if getattr(options, name) is None]
    if lacking:
        options.refuse(f"the following arguments are required: {', '.join(f'--{name}' for name in lacking)}")
    with _readable(options.input):
        return backtest(_settings(), options.input, options.calendar, options.output)


def _backtest_rule(options: argparse.Namespace) -> int:
    """Try a rule on the stored sales."""
    from nebuloviz import terminal
    from nebuloviz.services.interfaces import RuleDraft

    dimension, equals, value = options.segment.partition("=")
    segment = (dimension, value if equals else None)
    draft = RuleDraft(
        options.save or "backtest", options.detector, options.metric, options.grain, *segment, tuple(options.set)
    )
    if (options.first is None) != (options.last is None):
        options.refuse("name both --from and --to, or neither")
    days = (options.first, options.last) if options.first else None
    terminal.try_rule(_settings(), draft, days, options.output, save=bool(options.save))
    return 0


def _number(text: str) -> tuple[str, float]:
    """NAME=VALUE."""
    name, _equals, value = text.partition("=")
    return name, float(value)


def _score_series(options: argparse.Namespace) -> int:
    from nebuloviz.detection.score_series import score_series

    with _readable(options.input):
        score_series(options.input, options.output)
    return 0


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Says which file it was that cannot be read, and why.

    Raises:
        InvalidInput: as said.
    """
    from csv import Error as CsvError
    from zlib import error as ZlibError  # noqa: N812 - a class, whatever its name

    from nebuloviz.errors import InvalidInput

    try:
        yield
    except (OSError, EOFError, ValueError, CsvError, ZlibError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InvalidInput(f"{path} cannot be read: {reason}") from error


def _migrate(options: argparse.Namespace) -> int:
    from nebuloviz import migrate
    from nebuloviz.bootstrap.storage import database

    where = database(_settings())
    if options.down_to:
        migrate.downgrade(where, options.down_to)
    else:
        migrate.upgrade(where)
    print(f"{where.where} is at revision {migrate.current(where) or 'base'}.")
    return 0


def _backup(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap import care

    made = care.backup(_settings(), options.file)
    size = options.file.stat().st_size / 2**20
    print(
        f"{options.file} holds the installation at revision {made.revision} ({size:,.1f} MiB). Keep it as safe as the database."
    )
    return 0


def _restore(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap import care

    done = care.restore(_settings(), options.file, force=options.force)
    moment = f"{done.manifest.moment:%Y-%m-%d %H:%M} UTC"
    print(f"The installation is as it was at {moment}, at revision {done.revision}. Everybody signs in again.")
    if not done.same_secret:
        print(
            "NEBULOVIZ_SECRET_KEY is another one than when the backup was made: set that one, or enter the mail server's "
            "password again and reset the users' second factors."
        )
    return 0


def _new_password() -> str:
    """From the terminal, twice; or the first line of standard input."""
    from nebuloviz.errors import InvalidInput

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("New password: ")
    if getpass.getpass("The same again: ") != password:
        raise InvalidInput("The two passwords differ; nothing was changed.")
    return password


def _user_add(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.care import auth_service
    from nebuloviz.bootstrap.storage import database

    loaded = _settings()
    password = _new_password()  # before the transaction: nobody else can write while somebody types
    with database(loaded).transaction() as session:
        user = auth_service(loaded).create_user(session, options.username, password, options.role)
    print(f"{user.username} can sign in now, as {user.role}.")
    return 0


def _user_password(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.care import auth_service
    from nebuloviz.bootstrap.storage import database

    loaded = _settings()
    password = _new_password()  # as in _user_add
    with database(loaded).transaction() as session:
        user = auth_service(loaded).set_password(session, options.username, password)
    print(f"The password of {user.username} is set; all of this user's sessions and tokens have ended.")
    return 0


def _user_reset_second_factor(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.care import second_factor_service
    from nebuloviz.bootstrap.storage import database

    loaded = _settings()
    with database(loaded).transaction() as session:
        second_factor_service(loaded).reset_by_name(session, options.username)
    print(f"The password of {options.username} is enough to sign in, until another second factor is set up.")
    return 0


def _user_list(_options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.care import auth_service
    from nebuloviz.bootstrap.storage import database

    loaded = _settings()
    with database(loaded).session() as session:
        for user in auth_service(loaded).users(session):
            print(f"{user.username:<32}{user.role:<16}{'disabled' if user.disabled else 'active'}")
    return 0


def _probe(_options: argparse.Namespace) -> int:
    from nebuloviz.probe import probe

    ready, said = probe(settings.load())
    print(said)
    return 0 if ready else 1


def _resume(options: argparse.Namespace) -> int:
    from nebuloviz.permissions import SYSTEM

    these = _ready_parts()
    with these.database.transaction() as session:
        at = these.services.ingest.resume(session, SYSTEM, options.topic, options.partition, options.skip_to)
    print(f"Partition {at.partition} of {at.topic} goes on at offset {at.next_offset:,}.")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap import care

    loaded = _settings()
    if options.rebuild:
        care.rebuild_rollups(loaded)
    marks, well = {"good": "ok    ", "note": "note  ", "bad": "FAILED"}, True
    for found in care.doctor(loaded, recount=options.recount):
        print(f"{marks[found.level]}  {found.name:<12}{found.detail}", flush=True)
        well = well and found.level != "bad"
    return 0 if well else 1
