"""What the commands of the command line do. Each loads only what it needs, and returns the exit code of the process."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nebuloviz import process, settings

if TYPE_CHECKING:
    from nebuloviz.bootstrap.parts import Parts
    from nebuloviz.settings import Settings


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


def serve(options: argparse.Namespace) -> int:
    checked = _checked_settings(host=options.host, port=options.port, demo="off" if options.no_demo else None)
    process.spare_arrow()
    from nebuloviz import serving

    return serving.serve(checked)


def ingest(_options: argparse.Namespace) -> int:
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


def _ready_parts(loaded: Settings) -> Parts:
    """The program's parts, with a database that answers and is migrated.

    Raises:
        Unavailable: it does not, or is not; says what to do.
    """
    from nebuloviz.bootstrap.core import prepare_database
    from nebuloviz.bootstrap.parts import parts
    from nebuloviz.errors import Unavailable

    these = parts(loaded)
    problem = prepare_database(loaded, these.database)
    if problem:
        raise Unavailable(problem)
    return these


def import_file(options: argparse.Namespace) -> int:
    from rich.console import Console

    from nebuloviz import terminal
    from nebuloviz.errors import InvalidInput
    from nebuloviz.ingest.importing import FileImport

    console, corrections = Console(), _mapping(options.map)
    loaded = _settings()
    zone = options.time_zone or loaded.time_zone
    lacking = terminal.show_preview(options.file, corrections, zone, options.date_order, console)
    if lacking:
        raise InvalidInput(
            f"No column was found for {', '.join(lacking)}. Name each with --map, for example --map {lacking[0]}=COLUMN."
        )
    if options.dry_run:
        return 0
    job = FileImport(options.file, corrections, zone, date_order=options.date_order)
    result = terminal.import_with_progress(_ready_parts(loaded), job, console)
    return 0 if result.complete else 1


def produce(options: argparse.Namespace) -> int:
    from nebuloviz.errors import ConfigurationError
    from nebuloviz.ingest.importing import FileImport
    from nebuloviz.ingest.produce import encoded, file_sales, send, simulated_sales

    loaded = _settings()
    if not loaded.kafka_bootstrap_servers:
        raise ConfigurationError("There is no Kafka to send to: set NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS to host:port.")
    values = encoded(simulated_sales())
    if options.file is not None:
        zone = options.time_zone or loaded.time_zone
        values = file_sales(FileImport(options.file, _mapping(options.map), zone, date_order=options.date_order))
    sent = send(loaded.kafka_bootstrap_servers, loaded.kafka_topic, values, options.rate, options.count)
    print(f"{sent:,} sales were sent to {loaded.kafka_topic}.")
    return 0


def backtest(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap import watches

    if options.metric and options.input is None and options.calendar is None:
        return _backtest_rule(options)
    lacking = [name for name in ("input", "output") if getattr(options, name) is None]
    if lacking:
        options.refuse(f"the following arguments are required: {', '.join(f'--{name}' for name in lacking)}")
    with _readable(options.input):
        return watches.backtest(_settings(), options.input, options.calendar, options.output)


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


def score_series(options: argparse.Namespace) -> int:
    from nebuloviz.detection import score_series as scoring

    with _readable(options.input):
        scoring.score_series(options.input, options.output)
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


def migrate(options: argparse.Namespace) -> int:
    from nebuloviz import migrate as migrations
    from nebuloviz.bootstrap.storage import database

    where = database(_settings())
    if options.down_to:
        migrations.downgrade(where, options.down_to)
    else:
        migrations.upgrade(where)
    print(f"{where.where} is at revision {migrations.current(where) or 'base'}.")
    return 0


def backup(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap import care

    made = care.backup(_settings(), options.file)
    size = options.file.stat().st_size / 2**20
    print(
        f"{options.file} holds the installation at revision {made.revision} ({size:,.1f} MiB). Keep it as safe as the database."
    )
    return 0


def restore(options: argparse.Namespace) -> int:
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


def user_add(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.care import auth_service
    from nebuloviz.bootstrap.storage import database

    loaded = _settings()
    password = _new_password()  # before the transaction: nobody else can write while somebody types
    with database(loaded).transaction() as session:
        user = auth_service(loaded).create_user(session, options.username, password, options.role)
    print(f"{user.username} can sign in now, as {user.role}.")
    return 0


def user_password(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.care import auth_service
    from nebuloviz.bootstrap.storage import database

    loaded = _settings()
    password = _new_password()  # as in _user_add
    with database(loaded).transaction() as session:
        user = auth_service(loaded).set_password(session, options.username, password)
    print(f"The password of {user.username} is set; all of this user's sessions and tokens have ended.")
    return 0


def user_reset_second_factor(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.care import second_factor_service
    from nebuloviz.bootstrap.storage import database

    loaded = _settings()
    with database(loaded).transaction() as session:
        second_factor_service(loaded).reset_by_name(session, options.username)
    print(f"The password of {options.username} is enough to sign in, until another second factor is set up.")
    return 0


def user_list(_options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap.care import auth_service
    from nebuloviz.bootstrap.storage import database

    loaded = _settings()
    with database(loaded).session() as session:
        for user in auth_service(loaded).users(session):
            print(f"{user.username:<32}{user.role:<16}{'disabled' if user.disabled else 'active'}")
    return 0


def probe(_options: argparse.Namespace) -> int:
    from nebuloviz import probe as probing

    ready, said = probing.probe(settings.load())
    print(said)
    return 0 if ready else 1


def resume(options: argparse.Namespace) -> int:
    from nebuloviz.permissions import SYSTEM

    these = _ready_parts(_settings())
    with these.database.transaction() as session:
        at = these.services.ingest.resume(session, SYSTEM, options.topic, options.partition, options.skip_to)
    print(f"Partition {at.partition} of {at.topic} goes on at offset {at.next_offset:,}.")
    return 0


def doctor(options: argparse.Namespace) -> int:
    from nebuloviz.bootstrap import care

    loaded = _settings()
    if options.rebuild:
        care.rebuild_rollups(loaded)
    marks, well = {"good": "ok    ", "note": "note  ", "bad": "FAILED"}, True
    for found in care.doctor(loaded, recount=options.recount):
        print(f"{marks[found.level]}  {found.name:<12}{found.detail}", flush=True)
        well = well and found.level != "bad"
    return 0 if well else 1
