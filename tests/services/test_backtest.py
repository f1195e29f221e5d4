import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.day_watch import DayWatch
from nebuloviz.detection.grained_watch import GrainedWatch
from nebuloviz.detection.line_model import LineSettings
from nebuloviz.detection.lines import LineWatch
from nebuloviz.detection.series import Lines
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.errors import InvalidInput
from nebuloviz.services.backtest import backtest
from nebuloviz.services.line_watch import DIMENSIONS
from tests.detection.shop import sale_lines

_HEADER = "ts,order_id,customer_id,region,country,channel,category,product_id,quantity,unit_price\n"
WEEKS = 5
WRONG = 4 * 7 * 24 + 2 * 24  # hours after which one price has two digits too many


def _stream(lines: Lines, wrong: int) -> list[str]:
    """Rows as outsiders write them, with times that name no zone."""
    prices = lines.unit_price.copy()
    prices[wrong] *= 100
    moments = [datetime.fromtimestamp(at / 1e6, UTC).replace(tzinfo=None).isoformat() for at in lines.sold_at]
    regions = lines.dimensions["region"]
    columns = (moments, lines.order_id, regions, lines.product_id, lines.quantity, prices)
    rows = zip(*columns, strict=True)
    return [
        f"{at},{order},,{region},,web,C1,{product},{n:.0f},{price:.2f}\n"
        for at, order, region, product, n, price in rows
    ]


Run = Callable[[list[str]], list[dict[str, str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def replayed(rows: list[str]) -> list[dict[str, str]]:
        source, output = tmp_path / "stream.csv.gz", tmp_path / "alerts.jsonl"
        source.write_bytes(gzip.compress((_HEADER + "".join(rows)).encode()))
        series, by_day = GrainedWatch(WatchSettings(Calendar())), DayWatch(WatchSettings(Calendar()))
        lines = LineWatch(LineSettings(Calendar(), DIMENSIONS, product_dimension="product_id"))
        n = backtest(source, output, series, by_day, lines)
        written = [json.loads(line) for line in output.read_text().splitlines()]
        assert len(written) == n
        return written

    return replayed


class TestAReplayedFile:
    def test_gives_the_alerts_of_its_time_and_none_that_a_later_row_changes(self, run: Run) -> None:
        lines = sale_lines(WEEKS)
        wrong = int(np.flatnonzero(lines.hour >= lines.hour[0] // 24 * 24 + WRONG)[80])
        rows = _stream(lines, wrong)
        alerts = run(rows)
        [error] = [alert for alert in alerts if alert["series"].startswith("unit_price")]
        assert error["series"] == f"unit_price|product_id={lines.product_id[wrong]}"
        assert error["ts"] == rows[wrong].split(",", 1)[0]
        assert [alert["ts"] for alert in alerts] == sorted(alert["ts"] for alert in alerts)

        invoice_over = wrong // 4 * 4 + 4
        cut = rows[invoice_over].split(",", 1)[0]
        assert [a for a in run(rows[:invoice_over]) if a["ts"] < cut] == [a for a in alerts if a["ts"] < cut]

    def test_needs_a_sale_to_begin_with(self, run: Run) -> None:
        with pytest.raises(InvalidInput, match="does not begin with a sale"):
            run(["yesterday,O1,,,,,,P1,1,2.00\n"])
