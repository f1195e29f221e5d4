"""Production and a backtest are trained on the same days and raise the same alerts, whenever somebody began to watch."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select

from nebuloviz.db import Database
from nebuloviz.detection.day_model import DayModel
from nebuloviz.detection.day_watch import DayWatch
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.grained_watch import GrainedWatch
from nebuloviz.detection.line_model import LineModel, LineSettings
from nebuloviz.detection.lines import LineWatch
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.sale import Sale
from nebuloviz.models import Alert
from nebuloviz.services.backtest import backtest
from nebuloviz.services.day_watch import metrics_by_day
from nebuloviz.services.line_watch import DIMENSIONS, LineWatcher
from nebuloviz.services.watching import LOOK_BACK
from tests.services.watched_shop import AFTER_THE_HOUR, QUICK, SECRET, START, Shop, catch_up, payloads, write

A_DAY = timedelta(days=1)
SUNDAY = 6
FIRST = START + 2 * A_DAY  # a Wednesday: the shop's first day
INSTALLED = FIRST + timedelta(weeks=7, days=1)  # a Thursday
UNTIL = INSTALLED + 7 * A_DAY
SHUT = INSTALLED + timedelta(days=5, hours=10)  # the Tuesday after, from ten o'clock for three hours
LINES = LineSettings(
    dimensions=DIMENSIONS, product_dimension="product_id", detector=LargestDeviation, warmup_weeks=4, fit_weeks=8
)


def sold(start: datetime, end: datetime) -> list[bytes]:
    """The shop's sales, but on Sundays, with nothing from the south while it is shut, and one price with two digits too many.

    One a second at most, so that there is one order to read them in.
    """
    lines: list[bytes] = []
    hour = start
    while hour < end:
        without: Collection[str] = ["south"] if SHUT <= hour < SHUT + timedelta(hours=3) else ()
        lines += payloads(hour, hour + timedelta(hours=1), without) if hour.weekday() < SUNDAY else []
        hour += timedelta(hours=1)
    wrong = f"{SHUT + A_DAY:%Y%m%d%H}-5"
    by_moment = {_moment(line): _wrong(line) if f'"{wrong}"' in line.decode() else line for line in lines}
    return [by_moment[moment] for moment in sorted(by_moment)]


def _wrong(line: bytes) -> bytes:
    sale = orjson.loads(line)
    return orjson.dumps({**sale, "unit_price": 100 * sale["unit_price"]})


def _moment(line: bytes) -> str:
    return str(orjson.loads(line)["sold_at"])


@dataclass
class Trained:
    """What was trained, as it happened: each watch's models by name, which say of what they were made."""

    series: list[str] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    noted = Trained()
    hours, days, lines = GrainedWatch.train, DayWatch.train, LineWatch.train

    def train_series(watch: GrainedWatch) -> None:
        hours(watch)
        noted.series.append(watch.version)

    def train_days(watch: DayWatch) -> DayModel:
        model = days(watch)
        noted.days.append(model.version)
        return model

    def train_lines(watch: LineWatch) -> LineModel:
        model = lines(watch)
        noted.lines.append(model.version)
        return model

    monkeypatch.setattr(GrainedWatch, "train", train_series)
    monkeypatch.setattr(DayWatch, "train", train_days)
    monkeypatch.setattr(LineWatch, "train", train_lines)
    return noted


def live(database: Database) -> set[tuple[str, datetime]]:
    """Installed with seven weeks of sales, then hour by hour; the alerts, by series and beginning."""
    write(database, sold(FIRST, INSTALLED), INSTALLED)
    shop = Shop(database, now=INSTALLED + AFTER_THE_HOUR)
    queue: deque[Sequence[Sale]] = deque()
    lines = LineWatcher(database, LINES, queue, secret=SECRET, on_the_way_seconds=0, now=shop.clock)
    watcher = shop.watcher(settings=QUICK)
    catch_up(watcher)
    hour = INSTALLED
    while hour < UNTIL:
        hour += timedelta(hours=1)
        written: list[Written] = write(database, sold(hour - timedelta(hours=1), hour), hour)
        shop.now = hour + AFTER_THE_HOUR
        queue.extend(each.sales for each in written)
        while lines.step():
            pass
        catch_up(watcher)
    with database.session() as session:
        found = session.execute(select(Alert.series, Alert.bucket_start))
        return {(series, began) for series, began in found if began >= INSTALLED}


def replayed(folder: Path) -> set[tuple[str, datetime]]:
    """The same sales from a file."""
    source, output = folder / "sales.jsonl", folder / "alerts.jsonl"
    source.write_bytes(b"\n".join(sold(FIRST, UNTIL)) + b"\n")
    backtest(source, output, GrainedWatch(QUICK), DayWatch(QUICK, metrics_by_day()), LineWatch(LINES))
    written = [orjson.loads(line) for line in output.read_text().splitlines()]
    found = {(each["series"], datetime.fromisoformat(each["start"] + "+00:00")) for each in written}
    return {(series, began) for series, began in found if began >= INSTALLED}


def test_the_same_sales_train_the_same_models_and_raise_the_same_alerts(
    migrated_sqlite_url: str, trained: Trained, tmp_path: Path
) -> None:
    database = Database(migrated_sqlite_url)
    raised = live(database)
    database.dispose()
    in_production = Trained(list(trained.series), list(trained.days), list(trained.lines))
    for models in (trained.series, trained.days, trained.lines):
        models.clear()
    assert replayed(tmp_path) == raised
    assert {series.split("|")[0] for series, _ in raised} >= {"orders", "unit_price"}
    began = INSTALLED - LOOK_BACK - A_DAY  # what production raises alerts of, and the day before
    mondays = sum((began + n * A_DAY).weekday() == 0 for n in range(1, (UNTIL - began) // A_DAY + 1))
    assert trained.series[-len(in_production.series) :] == in_production.series
    assert trained.days[-len(in_production.days) :] == in_production.days
    assert (
        len(in_production.series) == len(in_production.days) == mondays + 1
    )  # and the one that judged before the first
    assert trained.lines[-1] == in_production.lines[-1]
