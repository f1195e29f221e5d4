import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nebuloviz import extensions, migrate, settings
from nebuloviz.bootstrap.core import core
from nebuloviz.bootstrap.parts import parts
from nebuloviz.bootstrap.program import Program
from nebuloviz.bootstrap.storage import database
from nebuloviz.bootstrap.watches import backtest, series_watcher
from nebuloviz.detection import registry
from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import ForestDetector, LargestDeviation
from nebuloviz.errors import ConfigurationError
from nebuloviz.observability import HealthChecks
from tests.servers import free_port


class TestTheDetector:
    @pytest.mark.parametrize(
        ("chosen", "kind"), [({}, ForestDetector), ({"detector": "largest_deviation"}, LargestDeviation)]
    )
    def test_is_the_one_that_the_settings_name(
        self, tmp_path: Path, chosen: dict[str, str], kind: type[Detector]
    ) -> None:
        loaded = settings.load(data_dir=tmp_path, **chosen)
        where = database(loaded)
        migrate.upgrade(where)
        assert series_watcher(loaded, where)._settings.detector is kind

    def test_that_there_is_not_ends_the_start_with_the_known_ones(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="no detector 'oracle'; known are forest, largest_deviation"):
            core(settings.load(data_dir=tmp_path, detector="oracle"))


OWN_DETECTOR = """
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.registry import add_detector

class Own(LargestDeviation):
    name = "own"

add_detector(Own)
"""


class TestExtensions:
    @pytest.fixture(autouse=True)
    def _as_before(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(registry, "DETECTORS", list(registry.DETECTORS))
        yield
        for name in [name for name in sys.modules if name.startswith(extensions.PACKAGE)]:
            del sys.modules[name]

    def test_bring_detectors_to_the_back_test_as_well(self, tmp_path: Path) -> None:
        (tmp_path / "own.py").write_text(OWN_DETECTOR, encoding="utf-8")
        sales, alerts = tmp_path / "sales.csv", tmp_path / "alerts.jsonl"
        sales.write_text(
            "sale_id,order_id,sold_at,product_id,quantity,unit_price\n1,1,2026-11-01T10:00:00Z,p,1,2\n",
            encoding="utf-8",
        )
        loaded = settings.load(data_dir=tmp_path, extensions_dir=tmp_path, detector="own")
        assert backtest(loaded, sales, None, alerts) == 0
        assert alerts.read_text(encoding="utf-8") == ""

    def test_that_cannot_be_loaded_end_the_start(self, tmp_path: Path) -> None:
        (tmp_path / "broken.py").write_text("1 / 0", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"broken\.py, line 1, cannot be loaded: ZeroDivisionError"):
            core(settings.load(data_dir=tmp_path, extensions_dir=tmp_path))


def test_a_process_that_leaves_consuming_to_others_is_not_ready_without_kafka(tmp_path: Path) -> None:
    servers = f"127.0.0.1:{free_port()}"
    loaded = settings.load(data_dir=tmp_path, kafka_bootstrap_servers=servers, ingest_in_app=False)
    program = Program(parts(loaded), HealthChecks(timeout_seconds=60.0))
    program.start()
    ready, report = program.health.readiness()
    program.stop()
    assert not ready
    assert {name: part["ok"] for name, part in report.items()} == {"database": True, "cache": True, "kafka": False}
