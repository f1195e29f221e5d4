"""Files on the command line: what `import` prints of them and stores, and what `produce` sends of them to a real broker."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import select

from nebuloviz import observability
from nebuloviz.cli import main
from nebuloviz.db import Database
from nebuloviz.models import DeadLetter, SaleRow
from tests.program import environment_of, run
from tests.servers.kafka import KafkaServer

HEADER = "Vorgang,SKU,Menge,Datum,Preis,Notiz"
BAD = "R3,P1,1,02/12/2025 10:00,a lot,"
WIDE = "240"  # columns of the terminal, so that nothing is cut


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three sales and a bad row, on days that may be of December or the second of a month."""
    rows = [f"R{number},P1,2,02/12/2025 10:0{number},1.50,x" for number in range(3)]
    path = tmp_path / "kasse.csv"
    path.write_text("\n".join([HEADER, *rows, BAD]) + "\n")
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of commands that run in this process."""
    for name in [name for name in os.environ if name.startswith("NEBULOVIZ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NEBULOVIZ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", WIDE)
    monkeypatch.setattr(observability, "configure_logging", lambda _settings: None)
    return tmp_path / "data"


def test_import_prints_mapping_progress_result_and_what_was_rejected(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "data"
    options = ["--map", "order_id=Vorgang", "--date-order", "dmy", "--time-zone", "Europe/Berlin"]
    said = run(["-m", "nebuloviz", "import", str(file), *options], environment_of(folder) | {"COLUMNS": WIDE})
    assert "kasse.csv: 4 rows" in said
    for column, field in {"Vorgang": "order_id", "SKU": "product_id", "Menge": "quantity", "Datum": "sold_at"}.items():
        assert column in said
        assert f"→ {field}" in said
    assert "(not used)" in said
    assert "is read as 02 December 2025, 10:00:00 +0100" in said
    (progress,) = [line for line in said.splitlines() if "rows/s" in line]
    assert "4/4" in progress
    assert progress.rstrip().endswith("0:00:00")  # the time left
    assert "4 rows: 3 accepted, 0 there already, 1 rejected." in said
    (rejected,) = [line for line in said.splitlines() if "a lot" in line and "invalid_number" in line]
    assert [cell.strip() for cell in rejected.split("│")][1] == "4"
    assert BAD in rejected
    database = Database(f"sqlite:///{folder / 'nebuloviz.sqlite3'}")
    with database.session() as session:
        assert session.scalars(select(SaleRow.sold_at)).all() == [
            datetime(2025, 12, 2, 9, minute, tzinfo=UTC) for minute in range(3)
        ]
        assert session.scalars(select(DeadLetter.payload)).all() == [f"{BAD}\n".encode()]
    database.dispose()


def test_a_dry_run_shows_how_the_file_would_be_read_and_stores_nothing(
    here: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(file), "--map", "order_id=Vorgang", "--map", "product=Notiz", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "→ product " in said
    assert "is read as 12 February 2025, 10:00:00" in said
    assert "--date-order dmy" in said
    assert "rejected" not in said
    assert not (here / "nebuloviz.sqlite3").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--map order_id=COLUMN"),
        (["--map", "order_id"], "FIELD=COLUMN"),
        (["--map", "order_id=Nowhere"], "no column Nowhere"),
        (["--map", "order_id=Vorgang", "--time-zone", "Mars/Olympus"], "Mars/Olympus"),
    ],
)
def test_what_cannot_be_imported_is_said(
    here: Path, file: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["import", str(file), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (here / "nebuloviz.sqlite3").exists()


@pytest.mark.usefixtures("here")
def test_produce_sends_a_file_at_a_rate(
    file: Path,
    kafka: KafkaServer,
    kafka_topic: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    topic, lines = kafka_topic(), 400
    file.write_text("\n".join([HEADER, *(f"R{n},P1,2,2025-12-02 10:00,1.50," for n in range(lines))]) + "\n")
    monkeypatch.setenv("NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS", kafka.url)
    monkeypatch.setenv("NEBULOVIZ_KAFKA_TOPIC", topic)
    began = time.monotonic()
    assert main(["produce", str(file), "--rate", "200", "--map", "order_id=Vorgang"]) == 0
    assert time.monotonic() - began >= 1.9  # seconds: what is sent at a rate of 200 is not sent sooner
    assert f"{lines} sales were sent to {topic}." in capsys.readouterr().out
    consumer = KafkaConsumer(bootstrap_servers=kafka.url, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    consumer.assign([TopicPartition(topic, 0)])
    records = [next(consumer) for _ in range(lines)]
    assert consumer.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): lines}
    consumer.close()
    assert [record.key.decode() for record in records] == [f"R{number}" for number in range(lines)]
    assert {orjson.loads(record.value)["unit_price"] for record in records} == {1.5}
