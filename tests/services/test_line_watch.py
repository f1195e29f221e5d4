import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from nebuloviz.db import Database
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.line_model import LineSettings
from nebuloviz.detection.lines import LineWatch
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.sale import Record, Sale
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import ListSource
from nebuloviz.models import Alert, DetectorState, ImportJob
from nebuloviz.permissions import SYSTEM
from nebuloviz.services import detectors, line_watch
from nebuloviz.services.line_watch import DIMENSIONS, LineWatcher
from tests.services.conftest import on_both_databases
from tests.services.watched_shop import LEARNED, SECRET, Shop, payloads, write

# Two weeks to learn from, and a detector that trains at once: what is found is the detector's own tests' business
SETTINGS = LineSettings(dimensions=DIMENSIONS, warmup_weeks=1, fit_weeks=2, detector=LargestDeviation)
NOON = LEARNED + timedelta(hours=12)


@pytest.fixture
def watch(shop: Shop) -> LineWatcher:
    """At noon of the day after ten weeks of sales."""
    shop.now = NOON
    return new_watch(shop)


def new_watch(shop: Shop, settings: LineSettings = SETTINGS) -> LineWatcher:
    return LineWatcher(shop.database, settings, deque(), secret=SECRET, on_the_way_seconds=0, now=shop.clock)


def line(number: int = 1, **fields: object) -> bytes:
    """A sale of product p5, which costs 10."""
    usual = {
        "sale_id": f"line-{number}",
        "order_id": f"order-{number}",
        "sold_at": NOON - timedelta(minutes=10),
        "product_id": "p5",
        "category": "food",
        "region": "north",
        "channel": "web",
        "quantity": 2,
        "unit_price": 10,
    }
    return orjson.dumps({**usual, **fields})


def sell(shop: Shop, *lines: bytes) -> Written:
    (written,) = write(shop.database, list(lines), shop.now)
    return written


def judge(watch: LineWatcher, *batches: Written) -> None:
    for written in batches:
        watch._queue.append(written.sales)
    while watch.step():
        pass


def alerts(database: Database) -> list[Alert]:
    with database.session() as session:
        return list(session.scalars(select(Alert).where(Alert.detector == "lines").order_by(Alert.id)))


def state(shop: Shop) -> DetectorState:
    with shop.database.session() as session:
        return session.get_one(DetectorState, "lines")


def end_import(shop: Shop, finished_at: datetime) -> None:
    with shop.database.transaction() as session:
        moments = {"started_at": NOON, "updated_at": NOON, "finished_at": finished_at}
        session.add(ImportJob(topic="file:1", name="past.csv", state="done", **moments))


class TestFindings:
    @on_both_databases
    def test_a_price_far_from_the_products_own(self, shop: Shop, watch: LineWatcher) -> None:
        judge(watch, sell(shop, line(1), line(2, unit_price=1000), line(3)))
        (alert,) = alerts(shop.database)
        assert (alert.series, alert.metric, alert.sale_id) == ("unit_price|product=p5", "unit_price", "line-2")
        assert alert.observed == 1000
        assert alert.expected == pytest.approx(10)
        assert orjson.loads(alert.dimensions) == {
            "product": "p5", "category": "food", "region": "north", "channel": "web"
        }  # fmt: skip
        assert alert.created_at == NOON - timedelta(minutes=10)

    def test_a_quantity_far_from_the_products_own(self, shop: Shop, watch: LineWatcher) -> None:
        judge(watch, sell(shop, line(1), line(2, quantity=5000)))
        assert [alert.series for alert in alerts(shop.database)] == ["quantity|product=p5"]

    def test_a_day_of_ordinary_lines_raises_nothing(self, shop: Shop, watch: LineWatcher) -> None:
        shop.now = LEARNED + timedelta(days=1)
        judge(watch, *write(shop.database, payloads(LEARNED, shop.now), shop.now))
        assert alerts(shop.database) == []

    def test_a_product_never_seen_before_has_no_usual_price(self, shop: Shop, watch: LineWatcher) -> None:
        judge(watch, sell(shop, line(1, product_id="new", unit_price=99_999)))
        assert alerts(shop.database) == []

    def test_without_enough_history_nothing_is_raised(self, database: Database) -> None:
        shop = Shop(database, now=NOON)
        write(database, payloads(LEARNED - timedelta(days=5), LEARNED), LEARNED)
        judge(new_watch(shop), sell(shop, line(1, unit_price=1000)))
        assert alerts(database) == []


class TestOnce:
    def test_a_batch_handed_over_again_raises_nothing_again(self, shop: Shop, watch: LineWatcher) -> None:
        written = sell(shop, line(1, unit_price=1000))
        judge(watch, written, written)
        assert len(alerts(shop.database)) == 1

    @on_both_databases
    def test_nor_does_one_handed_to_another_process(self, shop: Shop, watch: LineWatcher) -> None:
        written = sell(shop, line(1, unit_price=1000))
        judge(watch, written)
        judge(new_watch(shop), written)
        assert len(alerts(shop.database)) == 1

    def test_the_same_slip_twice_in_an_hour_is_one_alert(self, shop: Shop, watch: LineWatcher) -> None:
        judge(watch, sell(shop, line(1, unit_price=1000)), sell(shop, line(2, unit_price=100_000)))
        (alert,) = alerts(shop.database)
        assert alert.sale_id == "line-1"

    def test_a_line_is_not_known_before_it_is_judged(self, shop: Shop, watch: LineWatcher) -> None:
        """All of them are in the facts already when the first is judged, and would make each other look usual."""
        slips = [sell(shop, line(number, unit_price=1000, sold_at=NOON - timedelta(hours=3))) for number in range(12)]
        judge(watch, *slips)
        assert alerts(shop.database)[0].sale_id == "line-0"


class TestWhatIsLeftOut:
    def test_everything_while_history_is_being_loaded(self, shop: Shop, watch: LineWatcher) -> None:
        with shop.database.transaction() as session:
            job = ImportJob(topic="file:1", name="past.csv", state="running", started_at=NOON, updated_at=NOON)
            session.add(job)
        judge(watch, sell(shop, line(1, unit_price=1000)))
        assert alerts(shop.database) == []
        with shop.database.transaction() as session:
            session.merge(job).state = "done"
        judge(watch, sell(shop, line(2, unit_price=2000)))
        assert [alert.sale_id for alert in alerts(shop.database)] == ["line-2"]


class TestLearning:
    def test_of_very_many_lines_takes_some_minutes_of_every_hour(
        self, shop: Shop, watch: LineWatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(line_watch, "LEARN_LINES", 2000)
        with shop.database.session() as session:
            part = line_watch._part_to_learn(session, NOON - timedelta(weeks=8))
            rows = line_watch._past_rows(session, LEARNED - timedelta(days=3), part)
            whole = line_watch._past_rows(session, LEARNED - timedelta(days=3), 1.0)
        friday = line_watch._lines([row[1:] for row in rows])
        assert 0.5 * part < len(friday) / len(whole) < 2 * part < 0.5
        assert {int(hour) % 24 for hour in friday.hour} >= set(range(10, 18))
        judge(watch, sell(shop, line(1, unit_price=1000)))
        assert len(alerts(shop.database)) == 1

    @on_both_databases
    def test_lines_come_as_they_are_stored(self, shop: Shop) -> None:
        shop.now = NOON
        written = sell(shop, line(1, quantity=1.5, unit_price=0.25, sold_at=NOON))
        with shop.database.session() as session:
            past = line_watch._lines([row[1:] for row in line_watch._past_rows(session, LEARNED, 1.0)])
        handed = line_watch.lines_of(written.sales)
        for lines in (past, handed):
            assert (lines.sold_at[-1], lines.order_id[-1], lines.product_id[-1]) == (
                int(NOON.timestamp() * 1e6), "order-1", "p5"
            )  # fmt: skip
            assert (lines.quantity[-1], lines.unit_price[-1]) == (1.5, 0.25)
            assert {name: values[-1] for name, values in lines.dimensions.items()} == {
                "category": "food", "region": "north", "country": "", "channel": "web", "store": ""
            }  # fmt: skip

    @on_both_databases
    def test_an_import_that_ends_is_learned_from(self, shop: Shop, watch: LineWatcher) -> None:
        judge(watch, sell(shop, line(1)))
        known = watch._detector
        shop.now += timedelta(hours=1)
        end_import(shop, shop.now - timedelta(minutes=1))
        judge(watch, sell(shop, line(2)))
        assert watch._detector is not known

    def test_too_many_products_are_forgotten(
        self, shop: Shop, watch: LineWatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judge(watch, sell(shop, line(1)))
        known = watch._detector
        judge(watch, sell(shop, line(2)))
        assert watch._detector is known
        monkeypatch.setattr(line_watch, "MAX_PRODUCTS", 10)
        judge(watch, sell(shop, line(3)))
        assert watch._detector is not known


class TestAnotherStart:
    """Goes on with the model that was stored, unless more has been learned from, or is to be, since."""

    @pytest.fixture(autouse=True)
    def stored(self, shop: Shop, watch: LineWatcher) -> DetectorState:
        judge(watch, sell(shop, line(1)))
        return state(shop)

    @on_both_databases
    def test_trains_nothing_and_finds_the_same(
        self, shop: Shop, stored: DetectorState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(LineWatch, "train", None)
        shop.now += timedelta(hours=1)
        again = new_watch(shop)
        judge(again, sell(shop, line(2, unit_price=1000)))
        assert [alert.sale_id for alert in alerts(shop.database)] == ["line-2"]
        assert again._detector is not None
        assert again._detector.model is not None
        assert again._detector.model.version == stored.version
        assert state(shop).trained_at == stored.trained_at

    def test_looks_for_price_drops_in_the_segments_of_the_model(self, shop: Shop, watch: LineWatcher) -> None:
        again = new_watch(shop)
        judge(again, sell(shop, line(2)))
        assert watch._detector is not None
        assert again._detector is not None
        assert again._detector.drops.segments == watch._detector.drops.segments
        assert len(again._detector.drops.segments) > 1

    def test_trains_when_the_model_is_a_week_old(self, shop: Shop, stored: DetectorState) -> None:
        shop.now += timedelta(days=8)
        judge(new_watch(shop), sell(shop, line(2, sold_at=shop.now)))
        assert state(shop).trained_at == shop.now

    def test_trains_with_other_settings(self, shop: Shop, stored: DetectorState) -> None:
        shop.now += timedelta(hours=1)
        judge(new_watch(shop, replace(SETTINGS, false_alerts_per_week=2.0)), sell(shop, line(2)))
        assert state(shop).trained_at == shop.now
        assert state(shop).version != stored.version

    def test_trains_after_an_import(self, shop: Shop, stored: DetectorState) -> None:
        shop.now += timedelta(hours=1)
        end_import(shop, shop.now - timedelta(minutes=1))
        judge(new_watch(shop), sell(shop, line(2)))
        assert state(shop).trained_at == shop.now

    def test_trains_where_the_stored_one_is_not_of_this_installation(self, shop: Shop, stored: DetectorState) -> None:
        with shop.database.transaction() as session:
            session.execute(update(DetectorState).values(state=b"\0" * 32 + stored.state[32:]))
        shop.now += timedelta(hours=1)
        judge(new_watch(shop), sell(shop, line(2)))
        assert state(shop).trained_at == shop.now

    def test_is_told_of_where_watches_are(self, shop: Shop, stored: DetectorState) -> None:
        with shop.database.session() as session:
            view = next(view for view in detectors.views(session) if view.name == "lines")
        assert (view.version, view.trained_at, view.judged_until) == (stored.version, stored.trained_at, None)


@on_both_databases
def test_a_model_that_could_not_be_stored_is_stored_later(
    shop: Shop, watch: LineWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object, **_more: object) -> None:
        raise OperationalError("insert", {}, Exception("the database is away"))

    watch._queue.append(sell(shop, line(1)).sales)
    with monkeypatch.context() as patch:
        patch.setattr(watch._stored, "store", away)
        with pytest.raises(OperationalError):
            watch.step()
    watch.step()
    assert watch._detector is not None
    assert watch._detector.model is not None
    assert state(shop).version == watch._detector.model.version


class TestLife:
    """Of alerts on one product: a day after the last of them, they are history."""

    @on_both_databases
    def test_an_alert_resolves_by_itself_after_a_day(self, shop: Shop, watch: LineWatcher) -> None:
        judge(watch, sell(shop, line(1, unit_price=1000)))
        shop.now = NOON + timedelta(hours=23)
        judge(watch)
        assert [alert.state for alert in alerts(shop.database)] == ["open"]
        shop.now = NOON + timedelta(days=1)
        judge(watch)
        (alert,) = alerts(shop.database)
        assert (alert.state, alert.updated_at) == ("resolved", shop.now)
        with shop.database.session() as session:
            assert [event.kind for event in shop.alerts.history(session, SYSTEM, alert.id)] == ["raised", "closed"]

    def test_not_while_it_is_repeated(self, shop: Shop, watch: LineWatcher) -> None:
        judge(watch, sell(shop, line(1, unit_price=1000)))
        later = timedelta(hours=20)
        with shop.database.transaction() as session:
            first = session.scalars(select(Alert).where(Alert.detector == "lines")).one()
            same = {
                column.name: getattr(first, column.name) for column in Alert.__table__.columns if not column.primary_key
            }
            moved = {name: same[name] + later for name in ("bucket_start", "bucket_end", "created_at", "updated_at")}
            session.add(Alert(**same | moved))
        states = []
        for hours in (30, 43, 45):
            shop.now = NOON + timedelta(hours=hours)
            judge(watch)
            states.append([alert.state for alert in alerts(shop.database)])
        assert states == [["open", "open"], ["open", "open"], ["resolved", "resolved"]]

    def test_not_while_somebody_looks_after_it(self, shop: Shop, watch: LineWatcher) -> None:
        judge(watch, sell(shop, line(1, unit_price=1000)))
        shop.now = NOON + timedelta(hours=20)
        with shop.database.transaction() as session:
            shop.alerts.acknowledge(session, SYSTEM, alerts(shop.database)[0].id)
        shop.now = NOON + timedelta(days=1)
        judge(watch)
        assert [alert.state for alert in alerts(shop.database)] == ["acknowledged"]


class TestTrouble:
    @on_both_databases
    def test_what_could_not_be_written_is_written_later(
        self, shop: Shop, watch: LineWatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_args: object) -> None:
            raise OperationalError("INSERT", {}, Exception("the server is away"))

        watch._queue.append(sell(shop, line(1, unit_price=1000)).sales)
        with monkeypatch.context() as patch:
            patch.setattr(line_watch, "raise_alert", away)
            with pytest.raises(OperationalError):
                watch.step()
        assert alerts(shop.database) == []
        watch.step()
        assert len(alerts(shop.database)) == 1


@on_both_databases
def test_in_the_background_it_judges_what_a_consumer_hands_over(shop: Shop) -> None:
    shop.now = NOON
    queue: deque[Sequence[Sale]] = deque()
    n_judged: list[int] = []
    watch = LineWatcher(
        shop.database,
        SETTINGS,
        queue,
        secret=SECRET,
        on_judged=n_judged.append,
        on_the_way_seconds=0.1,
        now=shop.clock,
    )
    watch.start()
    records = [Record("live", 0, n, line(n, unit_price=1000 if n == 7 else 10)) for n in range(20)]
    sink = DatabaseSink(shop.database, ZoneInfo("UTC"), now=shop.clock)
    Consumer(ListSource(records), sink, None, [lambda written: queue.append(written.sales)], shop.clock).run()
    deadline = time.monotonic() + 60
    while not alerts(shop.database) and time.monotonic() < deadline:
        time.sleep(0.05)
    watch.stop()
    assert watch._repeater.join(0)
    assert [alert.sale_id for alert in alerts(shop.database)] == ["line-7"]
    assert sum(n_judged) == 20
