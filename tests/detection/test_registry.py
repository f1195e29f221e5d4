import pytest

from nebuloviz.detection import registry
from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import ForestDetector, LargestDeviation
from nebuloviz.detection.registry import add_detector, detector
from nebuloviz.errors import ConfigurationError


class _Own(LargestDeviation):
    name = "own"


class _Nameless(Detector):
    pass


@pytest.fixture(autouse=True)
def _own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DETECTORS", list(registry.DETECTORS))


class TestADetector:
    def test_is_found_by_its_name(self) -> None:
        assert detector("forest") is ForestDetector
        add_detector(_Own)
        assert detector("own") is _Own

    def test_that_is_unknown_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(ConfigurationError, match="no detector 'prophet'; known are forest, largest_deviation"):
            detector("prophet")

    def test_needs_a_name_of_its_own(self) -> None:
        with pytest.raises(ConfigurationError, match="There is a detector 'largest_deviation' already"):
            add_detector(LargestDeviation)

    def test_needs_all_that_a_detector_has(self) -> None:
        with pytest.raises(ConfigurationError, match="_Nameless lacks name, _score, fit"):
            add_detector(_Nameless)
