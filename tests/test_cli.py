"""The commands that outsiders run on files of their own: what they write, and what they say of a bad file."""

import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyotp
import pytest

from nebuloviz import migrate, observability
from nebuloviz.bootstrap.care import auth_service, second_factor_service
from nebuloviz.bootstrap.storage import database
from nebuloviz.cli import main
from nebuloviz.settings import load
from tests.detection.shop import sale_lines

WEEKS = 5
HEADER = ["ts", "order_id", "region", "channel", "category", "product_id", "quantity", "unit_price"]


def nebuloviz(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NEBULOVIZ_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "nebuloviz", *map(str, arguments)]
    return subprocess.run(
        command,
        env=environment,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_score_series_scores_each_row(tmp_path: Path) -> None:
    source, output = tmp_path / "series.csv", tmp_path / "scores.csv"
    start, daily = datetime(2024, 1, 1, tzinfo=UTC), np.sin(np.arange(600) * np.pi / 24)
    values = [f"{value:.3f}" for value in 100 + 10 * daily + np.random.default_rng(1).normal(0, 1, 600)]
    values[500] = "400"
    moments = [(start + timedelta(minutes=30 * number)).isoformat() for number in range(len(values))]
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([("timestamp", "value"), *zip(moments, values, strict=True)])
    done = nebuloviz(tmp_path, "score-series", "--input", source, "--output", output)
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [(row["timestamp"], row["value"]) for row in rows] == list(zip(moments, values, strict=True))
    assert max(rows, key=lambda row: float(row["anomaly_score"]))["value"] == "400"


def test_backtest_writes_the_alerts_of_a_stream(tmp_path: Path) -> None:
    source, output = tmp_path / "stream.csv", tmp_path / "alerts.jsonl"
    lines = sale_lines(WEEKS)
    prices = lines.unit_price.copy()
    wrong = int(np.flatnonzero(lines.hour >= lines.hour[0] // 24 * 24 + (4 * 7 + 2) * 24)[80])
    prices[wrong] *= 100
    moments = [datetime.fromtimestamp(at / 1e6, UTC).replace(tzinfo=None).isoformat() for at in lines.sold_at]
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        columns = (moments, lines.order_id, lines.dimensions["region"], lines.product_id, lines.quantity, prices)
        for at, order, region, product, quantity, price in zip(*columns, strict=True):
            writer.writerow([at, order, region, "web", "C1", product, f"{quantity:.0f}", f"{price:.2f}"])
    done = nebuloviz(tmp_path, "backtest", "--input", source, "--output", output)
    assert (done.returncode, done.stderr) == (0, "")
    alerts = [json.loads(line) for line in output.read_text().splitlines()]
    assert all(set(alert) == {"ts", "series", "score", "severity", "start", "observed", "expected"} for alert in alerts)
    assert f"unit_price|product_id={lines.product_id[wrong]}" in [alert["series"] for alert in alerts]


@pytest.mark.parametrize("command", ["score-series", "backtest"])
@pytest.mark.parametrize(
    "content", [None, b"", b"one,two\n1,2\n", b"\x1f\x8b\x08 cut"], ids=["absent", "empty", "odd", "cut"]
)
def test_a_bad_file_is_refused_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    content: bytes | None,
) -> None:
    monkeypatch.setenv("NEBULOVIZ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(observability, "configure_logging", lambda _settings: None)
    source = tmp_path / ("input.csv.gz" if content and content[0] == 0x1F else "input.csv")
    if content is not None:
        source.write_bytes(content)
    assert main([command, "--input", str(source), "--output", str(tmp_path / "output")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("nebuloviz: ")
    assert said.count("\n") == 1


def test_a_second_factor_that_is_lost_is_reset(tmp_path: Path) -> None:
    loaded = load(data_dir=tmp_path / "data")
    where = database(loaded)
    migrate.upgrade(where)
    auth, service = auth_service(loaded), second_factor_service(loaded)
    with where.transaction() as session:
        actor = auth.actor(auth.create_user(session, "anna", "correct horse battery", "admin"))
        enrolment = service.begin(session, actor, "correct horse battery")
        service.confirm(session, actor, enrolment.ticket, pyotp.TOTP(enrolment.secret).now())
    assert nebuloviz(tmp_path, "user", "reset-second-factor", "ANNA").returncode == 0
    with where.session() as session:
        assert service.state(session, actor).since is None
    where.dispose()
    refused = nebuloviz(tmp_path, "user", "reset-second-factor", "anna")
    assert (refused.returncode, "no second factor" in refused.stderr) == (2, True)
