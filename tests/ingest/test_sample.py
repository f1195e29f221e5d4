"""The sample, from the installed package: in its place in time, and never silent; that it is whole shows `test_sample_totals`."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import orjson
import pandas as pd
import pytest

from nebuloviz.db import Database
from nebuloviz.ingest.sample_data import REPEAT_SECONDS, SampleFile, data_folder
from nebuloviz.ingest.sample_plan import HISTORY, HISTORY_END, LIVE, WEEK_SECONDS, plan_at, settled_plan
from nebuloviz.ingest.sample_schedule import MAX_SILENCE_SECONDS, arrivals
from nebuloviz.ingest.sample_stream import PASS_OFFSETS, SampleStream

NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def file() -> SampleFile:
    return SampleFile()


@pytest.fixture(scope="module")
def transactions() -> pd.DataFrame:
    return pd.read_parquet(data_folder() / "transactions.parquet")


@pytest.fixture(scope="module")
def stream(file: SampleFile) -> SampleStream:
    return SampleStream(file, plan_at(NOW))


class TestPlan:
    @pytest.mark.parametrize("hours", [0, 1, 24 * 3, 24 * 7 - 1, 24 * 365])
    def test_now_is_within_a_week_behind_the_history(self, hours: int) -> None:
        now = NOW + timedelta(hours=hours)
        plan = plan_at(now)
        assert HISTORY_END <= plan.cut < HISTORY_END + WEEK_SECONDS
        assert plan.cut + plan.shift_seconds == int(now.timestamp())

    def test_it_is_made_once(self, database: Database) -> None:
        plan = settled_plan(database, NOW)
        assert settled_plan(database, NOW + timedelta(days=30)) == plan


class TestFile:
    def test_the_parts_are_the_whole(self, file: SampleFile, transactions: pd.DataFrame) -> None:
        parts = [file.part(number) for number in range(len(file.bounds) - 1)]
        assert sum(len(part) for part in parts) == len(transactions) == 1_469_307
        assert sum(int(part.cents.sum()) for part in parts) == round(transactions["sales_value"].sum() * 100)
        assert [file.part_of(int(part.seconds[0])) for part in parts] == list(range(len(parts)))
        assert [file.part_of(int(part.seconds[-1])) for part in parts] == list(range(len(parts)))


class TestSchedule:
    def test_something_arrives_within_a_minute_and_nothing_before_its_time(self, file: SampleFile) -> None:
        lines = file.part(5)
        moments = arrivals(lines.seconds, lines.basket, lines.cents)
        assert (moments >= lines.seconds).all()
        assert moments.max() == lines.seconds.max()
        silences = np.diff(np.sort(moments))
        long = silences[silences > 60]
        # The last hours of the shortest nights may run out of lines that can wait
        assert long.sum() < 0.002 * (lines.seconds[-1] - lines.seconds[0])

    def test_most_of_the_money_arrives_at_once(self, file: SampleFile) -> None:
        lines = file.part(4)
        late = arrivals(lines.seconds, lines.basket, lines.cents) > lines.seconds + 1800
        assert lines.cents[late].sum() < 0.15 * lines.cents.sum()

    def test_a_shop_with_few_lines(self) -> None:
        seconds = np.array([0, 0, 0, 0, 600, 600], np.int64)
        moments = arrivals(seconds, np.array([1, 1, 1, 1, 2, 2]), np.array([5, 1, 2, 9, 1, 1]))
        assert sorted(moments.tolist()) == [0, 0, MAX_SILENCE_SECONDS, 2 * MAX_SILENCE_SECONDS, 600, 600]

    def test_nothing(self) -> None:
        assert not len(arrivals(np.array([], np.int64), np.array([], np.int64), np.array([], np.int64)))


class TestStream:
    def test_every_sale_keeps_its_weekday_and_hour(self, stream: SampleStream, transactions: pd.DataFrame) -> None:
        moments = transactions.set_index(["basket_id", "product_id"])["transaction_timestamp"]
        for record in islice(stream.history(0), 0, 20_000, 2_000):
            sale = orjson.loads(record.value or b"")
            original = moments[int(sale["order_id"]), int(sale["product_id"])].tz_localize("UTC")
            assert datetime.fromisoformat(sale["sold_at"]) - original == timedelta(weeks=plan_at(NOW).weeks)

    def test_history_comes_newest_days_first_and_ends_now(self, stream: SampleStream) -> None:
        days = [
            orjson.loads(record.value or b"")["sold_at"][:10] for record in islice(stream.history(0), 0, 200_000, 500)
        ]
        assert days == sorted(days, reverse=True)
        assert days[0] == "2026-11-22"

    @pytest.mark.parametrize("offset", [0, 1, 5_000, 300_000, 1_200_000])
    def test_history_goes_on_from_any_offset(self, stream: SampleStream, offset: int) -> None:
        record = next(stream.history(offset))
        assert (record.topic, record.offset) == (HISTORY.topic, offset)

    def test_a_restart_gives_the_same_records(self, file: SampleFile, stream: SampleStream) -> None:
        again = SampleStream(file, plan_at(NOW))
        assert list(islice(again.history(70_000), 50)) == list(islice(stream.history(0), 70_000, 70_050))
        start = stream.live_beginning()
        assert list(islice(again.live(start + 500), 50)) == list(islice(stream.live(start), 500, 550))

    def test_live_lines_are_due_in_order_from_now_on(self, stream: SampleStream) -> None:
        due = [timed.due for timed in islice(stream.live(stream.live_beginning()), 3000)]
        assert due == sorted(due)
        assert NOW < due[0] <= NOW + timedelta(minutes=1)

    def test_when_the_file_ends_another_pass_begins_with_new_ids(self, file: SampleFile, stream: SampleStream) -> None:
        last = file.bounds[-1]
        timed = list(islice(stream.live(last - 2), 4))
        offsets = [item.record.offset for item in timed]
        assert offsets[:2] == [last - 2, last - 1]
        assert offsets[2] >= PASS_OFFSETS
        assert all(item.record.partition == LIVE.number for item in timed)
        ids = [orjson.loads(item.record.value or b"")["sale_id"] for item in timed]
        assert [identity.endswith("-2") for identity in ids] == [False, False, True, True]
        assert timedelta() <= timed[2].due - timed[1].due < timedelta(hours=3)
        assert REPEAT_SECONDS % WEEK_SECONDS == 0
