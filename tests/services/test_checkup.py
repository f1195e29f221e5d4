"""`nebuloviz doctor`: what it finds in an installation, and that it puts the rollups right."""

from pathlib import Path

import pytest
from sqlalchemy import text

from nebuloviz import observability
from nebuloviz.cli import main
from nebuloviz.db import Database

SALE = "sale_id,order_id,sold_at,product_id,quantity,unit_price\n1,1,2026-01-05T23:30:00Z,p,1,2\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database file of an installation that the commands of the test work on."""
    monkeypatch.setattr(observability, "configure_logging", lambda _settings: None)
    monkeypatch.setenv("NEBULOVIZ_DATA_DIR", str(tmp_path))
    for name in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(f"NEBULOVIZ_{name}", raising=False)
    source = tmp_path / "sales.csv"
    source.write_text(SALE, encoding="utf-8")
    assert main(["import", str(source)]) == 0
    return tmp_path / "nebuloviz.sqlite3"


def test_finds_nothing_wrong_where_nothing_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["doctor", "--recount"]) == 0
    found = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert found == [["ok", name] for name in ("settings", "disk", "database", "cache", "kafka", "stream", "rollups")]
    assert file.is_file()


def test_finds_a_wrong_cell_and_puts_it_right(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database(f"sqlite:///{file}")
    with database.transaction() as session:
        session.execute(text("UPDATE rollup_day SET revenue = revenue + 1"))
    database.dispose()
    assert main(["doctor", "--recount"]) == 1
    assert "doctor --rebuild" in capsys.readouterr().out
    assert main(["doctor", "--rebuild", "--recount"]) == 0


@pytest.mark.usefixtures("file")
def test_another_zone_needs_the_rollups_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEBULOVIZ_TIME_ZONE", "Europe/Berlin")
    assert main(["import", str(tmp_path / "sales.csv")]) == 2, "sales of other days must not be mixed in"
    assert "NEBULOVIZ_TIME_ZONE" in capsys.readouterr().err
    assert main(["doctor"]) == 1
    assert main(["doctor", "--rebuild", "--recount"]) == 0
    assert main(["import", str(tmp_path / "sales.csv")]) == 0
