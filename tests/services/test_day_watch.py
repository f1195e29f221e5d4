from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select

from nebuloviz.detection.day_watch import DayWatch
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import METRICS, Metric, metric
from nebuloviz.models import Alert, DetectorState
from nebuloviz.permissions import SYSTEM
from nebuloviz.services import day_watch
from nebuloviz.services.day_watch import DayWatcher, closed_days, metrics_by_day
from nebuloviz.services.detectors import METRICS_BY_HOUR
from nebuloviz.services.interfaces import AlertVerdict
from nebuloviz.services.watching import EPOCH, StoredState
from tests.services.conftest import on_both_databases
from tests.services.watched_shop import AFTER_THE_HOUR, LEARNED, START, Shop, catch_up, payloads, state, write

A_DAY = timedelta(days=1)
UNTIL = LEARNED + 3 * A_DAY


def sell_cheaply(shop: Shop, days: int = 1) -> None:
    """A day on which everything costs half, and it is the next day's first minutes afterwards."""
    until = shop.sold_until + days * A_DAY
    lines = [orjson.loads(line) for line in payloads(shop.sold_until, until)]
    write(shop.database, [orjson.dumps({**line, "unit_price": line["unit_price"] / 2}) for line in lines], until)
    shop.sold_until, shop.now = until, until + AFTER_THE_HOUR


def by_day(shop: Shop) -> list[Alert]:
    with shop.database.session() as session:
        return list(session.scalars(select(Alert).where(Alert.detector == "days").order_by(Alert.id)))


def judged(shop: Shop) -> DetectorState:
    with shop.database.session() as session:
        return session.get_one(DetectorState, "days")


class TestADayOfHalfPrices:
    @on_both_databases
    def test_is_one_alert_while_it_lasts_and_resolves_by_itself(self, shop: Shop) -> None:
        assert by_day(shop) == []
        watcher = shop.watcher()
        for _ in range(2):
            sell_cheaply(shop)
            catch_up(watcher)
        (alert,) = by_day(shop)
        assert (alert.metric, alert.dimensions, alert.state) == ("average_order_value", "{}", "open")
        assert (alert.bucket_start, alert.bucket_end) == (LEARNED, LEARNED + 2 * A_DAY)
        assert alert.expected is not None
        assert alert.observed == pytest.approx(alert.expected / 2, rel=0.2)
        for _ in range(2):
            shop.sell_hours(24)
            catch_up(watcher)
        assert [each.state for each in by_day(shop)] == ["resolved"]

    @pytest.mark.parametrize("said", [AlertVerdict("new_normal"), AlertVerdict("expected", "promotion", UNTIL)])
    def test_is_not_heard_of_again_once_it_is_no_surprise(self, shop: Shop, said: AlertVerdict) -> None:
        watcher = shop.watcher()
        sell_cheaply(shop)
        catch_up(watcher)
        (alert,) = by_day(shop)
        with shop.database.transaction() as session:
            shop.alerts.judge(session, SYSTEM, alert.id, said)
        sell_cheaply(shop)
        catch_up(watcher)
        assert [(each.state, each.bucket_end) for each in by_day(shop)] == [("resolved", LEARNED + A_DAY)]

    @on_both_databases
    @pytest.mark.parametrize("killed_in", ["apply", "store"])
    def test_killed_anywhere_in_a_step_is_judged_once(
        self, shop: Shop, killed_in: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sell_cheaply(shop)
        watcher = shop.watcher()
        with monkeypatch.context() as patch:
            patch.setattr(DayWatcher, "step", lambda *_: False)
            catch_up(watcher)  # the hours
        with monkeypatch.context() as patch:
            kill_in(patch, killed_in)
            with pytest.raises(KeyboardInterrupt):
                catch_up(watcher)
        assert by_day(shop) == []
        assert judged(shop).scored_until == LEARNED
        catch_up(shop.watcher())
        catch_up(watcher)
        assert len(by_day(shop)) == 1
        assert judged(shop).scored_until == LEARNED + A_DAY


def kill_in(patch: pytest.MonkeyPatch, place: str) -> None:
    def killed(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    owners = {"apply": day_watch, "store": StoredState}
    patch.setattr(owners[place], place, killed)


class TestAWatchThatHasLearned:
    def test_goes_on_without_training(self, shop: Shop) -> None:
        trained = judged(shop)
        shop.sell_hours(24)
        catch_up(shop.watcher())
        assert judged(shop).scored_until == LEARNED + A_DAY == state(shop).scored_until
        assert (judged(shop).version, judged(shop).trained_at) == (trained.version, trained.trained_at)

    def test_waits_for_the_day_to_be_over(self, shop: Shop) -> None:
        shop.sell_hours(23)
        catch_up(shop.watcher())
        assert judged(shop).scored_until == LEARNED

    @on_both_databases
    def test_tells_what_days_were_expected_to_be(self, shop: Shop) -> None:
        query = Query(metrics=("average_order_value",), start=LEARNED - 7 * A_DAY, end=LEARNED, grain="day")
        with shop.database.session() as session:
            told = shop.alerts.expected(session, SYSTEM, query)
            by_hour = shop.alerts.expected(session, SYSTEM, query.with_(grain="hour"))
            watched = {view.name: view.watched for view in shop.alerts.detectors(session, SYSTEM)}
        names = {name: {each.series for each in series} for name, series in watched.items()}
        assert told is not None
        assert len(told) == 7
        assert (told["expected_low"] < told["expected"]).all()
        assert by_hour is None
        assert {"average_order_value", "average_order_value|region=south"} <= names["days"]
        assert {"orders", "orders|region=south"} <= names["series"]
        assert {each.since for each in watched["series"]} == {START + timedelta(weeks=4)}


class TestWhatItIsFed:
    @on_both_databases
    def test_is_what_the_service_of_figures_says(self, shop: Shop) -> None:
        watch = DayWatch(WatchSettings())
        watch.next_day = START.toordinal() - EPOCH.toordinal()
        query = Query(
            metrics=("revenue", "orders", "customers"),
            dimensions=("region",),
            start=START,
            end=START + 2 * A_DAY,
            grain="day",
        )
        with shop.database.session() as session:
            figures = closed_days(session, watch, watch.next_day + 2)
            frame = shop.data.frame(session, SYSTEM, query).data
        for row in frame.to_dict("records"):
            fed = figures.values[(row["bucket"] - START).days, figures.segments.index((("region", row["region"]),))]
            for name in query.metrics:
                assert fed[figures.measures.index(name)] == pytest.approx(row[name])
        assert len(frame) == 4


class TestMetricsByDay:
    def test_are_made_of_what_the_metrics_are(self) -> None:
        for watched in metrics_by_day():
            own = metric(watched.metric)
            if own.denominator:
                assert ((watched.shown or watched.numerator), watched.denominator) == (own.numerator, own.denominator)
            else:
                assert (watched.shown or watched.numerator) == own.numerator

    def test_leave_no_metric_unwatched(self) -> None:
        assert METRICS_BY_HOUR | {each.metric for each in metrics_by_day()} == {each.slug for each in METRICS}

    def test_are_joined_by_ratios_of_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        added = Metric("lines_per_order", metric("lines").label, "ratio", ("lines",), ("orders",))
        monkeypatch.setattr(day_watch, "METRICS", [*METRICS, added])
        assert metrics_by_day()[-1].metric == "lines_per_order"
