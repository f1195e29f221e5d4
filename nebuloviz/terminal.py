"""What long commands show in a terminal: the mapping of a file, a progress bar, and what became of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from nebuloviz.bootstrap import rule_trial
from nebuloviz.bootstrap.parts import Parts
from nebuloviz.ingest.importing import (
    FileImport,
    ImportProgress,
    ImportResult,
    OnProgress,
    run_import,
)
from nebuloviz.ingest.mapping import DateOrder, as_read, chosen_order
from nebuloviz.ingest.preview import Preview, preview
from nebuloviz.ingest.sample_plan import OWN_DATABASE, is_started
from nebuloviz.models import DeadLetter
from nebuloviz.services.interfaces import BacktestSide, RuleDraft
from nebuloviz.settings import Settings

_SHOWN_REJECTS = 20
_SHOWN_BYTES = 160


def show_preview(
    path: Path, corrections: dict[str, str], time_zone: str, date_order: str, console: Console
) -> Sequence[str]:
    """Print the columns' mapping, the first rows and how moments are read; returns the required fields that no column holds."""
    found = preview(path, corrections)
    table = Table(title=escape(f"{path.name}: {found.n_rows:,} rows"), title_justify="left")
    by_column = {column: name for name, column in found.mapping.items()}
    for column in found.columns:
        table.add_column(escape(f"{column}\n→ {by_column[column]}" if column in by_column else f"{column}\n(not used)"))
    for row in found.rows[:5]:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
    if "sold_at" in found.mapping:
        _show_first_moment(found, found.mapping["sold_at"], time_zone, chosen_order(date_order), console)
    return found.missing


def _show_first_moment(found: Preview, column: str, time_zone: str, chosen: DateOrder | None, console: Console) -> None:
    """As it will be read; and what it could be as well, where the file leaves open which of its numbers is the month."""
    order = chosen or found.date_orders.get(column)
    at = found.columns.index(column)
    cell = next((row[at] for row in found.rows if at < len(row) and row[at]), "")
    moment = as_read(cell, time_zone, order)
    if moment is not None:
        console.print(f"{escape(cell)} is read as {moment:%d %B %Y, %H:%M:%S %z} ({time_zone} where no zone is given).")
    if order is None and column in found.date_orders:
        console.print(
            f"Every date of {escape(column)} that was looked at could have day or month first, and the month is taken to be. "
            "Say --date-order dmy where the day is, and --date-order mdy to be sure."
        )


def import_with_progress(these: Parts, job: FileImport, console: Console) -> ImportResult:
    """Import a file behind a progress bar with its rate and the time left, then list what was rejected, and why."""
    if is_started(these.database):
        console.print(f"This database holds the sample's sales, and yours will be counted with them. {OWN_DATABASE}")
    with _bar(console, job.rows_total) as tell:
        result = run_import(
            job,
            these.database,
            these.sink(),
            started_by="command line",
            on_written=[these.sales_written],
            on_progress=tell,
        )
    counts = f"{result.accepted:,} accepted, {result.duplicates:,} there already, {result.rejected:,} rejected"
    before = "This file had been imported before, and nothing was counted again. Then: " if result.known else ""
    console.print(f"{before}{result.rows:,} rows: {counts}.")
    if result.rejected:
        with these.database.session() as session:
            _show_rejects(session, result, console)
    return result


@contextmanager
def _bar(console: Console, total: int) -> Iterator[OnProgress]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]:,.0f} rows/s"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, rate=0.0)

        def tell(now: ImportProgress) -> None:
            progress.update(task, completed=now.rows, total=now.rows_total, rate=now.rate)

        yield tell


def try_rule(
    settings: Settings, draft: RuleDraft, days: tuple[date, date] | None, output: Path | None, *, save: bool
) -> None:
    """Say what a rule would have alerted on, behind a progress bar; write that to `output`, and `save` it as a live rule."""
    console = Console()
    with _progress_bar(console) as tell:
        side, span = rule_trial.tried(settings, draft, days, tell)
    _show_backtest(side, span, settings.time_zone, console)
    if output:
        output.write_bytes(b"".join(orjson.dumps(alert, option=orjson.OPT_UTC_Z) + b"\n" for alert in side.alerts))
    if save:
        console.print(f"Saved as the live rule {rule_trial.saved(settings, draft)}.")


@contextmanager
def _progress_bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told how much is done, of how much in all."""
    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _show_backtest(side: BacktestSide, span: tuple[datetime, datetime], time_zone: str, console: Console) -> None:
    """How often the setting would have alerted in `span`, and when, on the clock of `time_zone`."""
    zone = ZoneInfo(time_zone)
    first, last = (f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in span)
    console.print(f"Would have alerted {side.count:,} times from {first} to {last} ({time_zone}).")
    if not side.alerts:
        return
    table = Table()
    for head in ("from", "to", "series", "observed", "expected", "severity"):
        table.add_column(head, no_wrap=head != "series", overflow="fold")
    for alert in side.alerts:
        times = (f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in (alert.start, alert.end))
        expected = "" if alert.expected is None else f"{alert.expected:,.6g}"
        table.add_row(*times, escape(alert.series), f"{alert.observed:,.6g}", expected, alert.severity)
    console.print(table)
    if side.count > len(side.alerts):
        console.print(f"These are the latest {len(side.alerts)}.")


def _show_rejects(session: Session, result: ImportResult, console: Console) -> None:
    wanted = (
        select(DeadLetter).where(DeadLetter.topic == result.topic).order_by(DeadLetter.offset).limit(_SHOWN_REJECTS)
    )
    table = Table("row", "reason", "detail", "bytes", title="Rejected, and kept as they came", title_justify="left")
    for letter in session.scalars(wanted):
        shown = letter.payload[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
        table.add_row(f"{letter.offset + 1:,}", letter.reason, escape(letter.detail), escape(shown))
    console.print(table)
    if result.rejected > _SHOWN_REJECTS:
        console.print(f"... and {result.rejected - _SHOWN_REJECTS:,} more: see the page Data.")
