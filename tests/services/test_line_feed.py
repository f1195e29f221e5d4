"""What a consumer hands to the line watch: the young sales, as many as it can take."""

import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.sale import Sale, parse
from nebuloviz.observability import LINES_UNJUDGED
from nebuloviz.services import line_feed
from nebuloviz.services.line_feed import MAX_AGE, LineFeed

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def sale(sold_at: datetime = NOW) -> Sale:
    fields = {
        "sale_id": "1", "order_id": "1", "sold_at": sold_at, "product_id": "p", "quantity": 1, "unit_price": 2
    }  # fmt: skip
    parsed = parse(orjson.dumps(fields), NOW)
    assert isinstance(parsed, Sale)
    return parsed


def written(n_lines: int, sold_at: datetime = NOW) -> Written:
    return Written("live", 0, 1, (), [sale(sold_at)] * n_lines)


@pytest.fixture
def feed() -> LineFeed:
    return LineFeed(lambda: NOW)


def test_sales_of_long_ago_are_not_for_it(feed: LineFeed) -> None:
    feed.on_written(written(3, NOW - MAX_AGE - timedelta(minutes=1)))
    assert feed.next(0) == ()
    feed.on_written(written(3, NOW - MAX_AGE))
    assert len(feed.next(0)) == 3


def test_what_comes_faster_than_it_is_judged_is_left_out_and_counted(
    feed: LineFeed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line_feed, "QUEUE_LINES", 3)
    before = LINES_UNJUDGED._value.get()
    for _ in range(2):
        feed.on_written(written(2))
    assert LINES_UNJUDGED._value.get() - before == 2
    assert len(feed.next(0)) == 2
    feed.on_written(written(2))
    assert LINES_UNJUDGED._value.get() - before == 4  # what was given away is not yet judged
    feed.judged(2)
    feed.on_written(written(2))
    assert LINES_UNJUDGED._value.get() - before == 4
    assert [record.getMessage().rsplit(": ")[-1] for record in caplog.records] == ["some are left out", "no more"]


def test_never_a_batch_when_none_waits(feed: LineFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_feed, "QUEUE_LINES", 0)
    feed.on_written(written(2))
    assert len(feed.next(0)) == 2


def test_what_a_lost_process_had_taken_away_makes_room(feed: LineFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_feed, "QUEUE_LINES", 4)
    for _ in range(2):
        feed.on_written(written(2))
    feed.next(0)
    feed.forget()
    feed.on_written(written(2))
    assert [len(feed.next(0)) for _ in range(3)] == [2, 2, 0]


def test_handing_over_takes_no_time() -> None:
    many, costs = written(20_000), []
    for _ in range(3):
        feed, started = LineFeed(lambda: NOW), time.thread_time()
        feed.on_written(many)
        costs.append(time.thread_time() - started)
    assert min(costs) < 0.1  # 20,000 sales, which are a second's work for a consumer
