from pathlib import Path

import pytest

from nebuloviz import bootstrap, settings
from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import ForestDetector, LargestDeviation
from nebuloviz.errors import ConfigurationError


class TestTheDetector:
    @pytest.mark.parametrize(
        ("chosen", "kind"), [({}, ForestDetector), ({"detector": "largest_deviation"}, LargestDeviation)]
    )
    def test_is_the_one_that_the_settings_name(
        self, tmp_path: Path, chosen: dict[str, str], kind: type[Detector]
    ) -> None:
        parts = bootstrap.parts(settings.load(data_dir=tmp_path, **chosen))
        assert bootstrap.series_watcher(parts)._settings.detector is kind

    def test_that_there_is_not_ends_the_start_with_the_known_ones(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="no detector 'oracle'; known are forest, largest_deviation"):
            bootstrap.parts(settings.load(data_dir=tmp_path, detector="oracle"))


class TestExtensions:
    def test_that_cannot_be_loaded_end_the_start(self, tmp_path: Path) -> None:
        (tmp_path / "broken.py").write_text("1 / 0", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"broken\.py, line 1, cannot be loaded: ZeroDivisionError"):
            bootstrap.parts(settings.load(data_dir=tmp_path, extensions_dir=tmp_path))
