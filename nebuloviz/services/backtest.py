"""A file of sales through the real parser, sink and rollups of a database in memory, and past the detectors, day by day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.detection.backtest import ReplayedDay, as_json_line, replay
from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.day_watch import DayWatch
from nebuloviz.detection.grain import HOUR
from nebuloviz.detection.grained_watch import GrainedWatch
from nebuloviz.detection.lines import LineWatch
from nebuloviz.detection.series import HOURS_PER_DAY, hour_of_time
from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.batch import Batch, Item
from nebuloviz.ingest.importing import FileImport
from nebuloviz.ingest.sale import Record, Sale, parse_record
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.migrate import upgrade
from nebuloviz.services.day_watch import closed_days
from nebuloviz.services.line_watch import lines_of
from nebuloviz.services.quarter_hours import learn_quarters
from nebuloviz.services.series_watch import closed_buckets


def backtest(
    source: Path,
    output: Path,
    series: GrainedWatch,
    by_day: DayWatch,
    lines: LineWatch,
    *,
    currency: str = "",
    database_url: str = "sqlite://",
) -> int:
    """Write the alerts that the file's sales would have raised, one JSON object a line; how many there were.

    The file is read like an import, in order of time, and no alert depends on a later row. Naive times are of the watches' zone.
    The watches must be new, and the database, in which the sales are stored, empty; by default it is in memory and forgotten.

    Raises:
        InvalidInput: the file cannot be read, lacks a required column, or does not begin with a sale.
    """
    zone = series.settings.calendar.zone
    job = FileImport(source, {}, zone)
    database = Database(database_url)
    try:
        upgrade(database)
        days = _replayed_days(job, database, DatabaseSink(database, ZoneInfo(zone), currency), series, by_day)
        with output.open("w", encoding="utf-8") as file:
            return sum(1 for finding in replay(days, series, by_day, lines) if file.write(as_json_line(finding) + "\n"))
    finally:
        database.dispose()


def _replayed_days(
    job: FileImport, database: Database, sink: DatabaseSink, series: GrainedWatch, by_day: DayWatch
) -> Iterator[ReplayedDay]:
    """Store the sales of one local day at a time, then read what its hours came to back from the rollups."""
    calendar = series.settings.calendar
    topic, partition = job.partition
    loaded = sink.begin(topic, partition, 0).next_offset
    for day, items in _by_day(job.records(0), calendar):
        following = items[-1].record.offset + 1
        written = sink.write(Batch(topic, partition, loaded, following, items))
        loaded = following
        hours, _ = calendar.utc_hours(day * HOURS_PER_DAY, (day + 1) * HOURS_PER_DAY)
        if series.hours.next_bucket is None:
            series.hours.next_bucket, by_day.next_day = int(hours[0]), day
        with database.session() as session:
            closed = closed_buckets(session, series, HOUR.time_of(int(hours[-1]) + 1))
            days = closed_days(session, by_day, day + 1)
        yield ReplayedDay(lines_of(written.sales), closed, days)
        with database.session() as session:  # once the models have been trained on that day
            learn_quarters(session, series)


def _by_day(records: Iterable[Record], calendar: Calendar) -> Iterator[tuple[int, list[Item]]]:
    """Records in the days of their arrival: a sale of an earlier day, or no sale at all, belongs to the day under way."""
    parsed = _parsed(records)
    for day, items in groupby(_with_day(parsed, calendar), key=lambda pair: pair[0]):
        if day is None:
            raise InvalidInput(
                "The file does not begin with a sale that can be read; see `python -m nebuloviz import`."
            )
        yield day, [item for _, item in items]


def _parsed(records: Iterable[Record]) -> Iterator[Item]:
    now = utc_now()
    return (Item(record, parse_record(record, now)) for record in records)


def _with_day(items: Iterable[Item], calendar: Calendar) -> Iterator[tuple[int | None, Item]]:
    day: int | None = None
    hour = -1
    for item in items:
        if isinstance(item.parsed, Sale) and hour_of_time(item.parsed.sold_at) > hour:
            hour = hour_of_time(item.parsed.sold_at)
            day = int(calendar.wall_hours(np.array([hour]))[0]) // HOURS_PER_DAY
        yield day, item
