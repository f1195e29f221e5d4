"""The detectors that can be chosen, as data: scorers of rows by the setting `detector`, and detectors of one series by rules.

To add one, add it to `DETECTORS` or `SERIES_DETECTORS`; an extension of your own calls `add_detector`, whichever it is
(docs/how-to/add-a-detector.md). What is built in stands in the same lists.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import ForestDetector, LargestDeviation
from nebuloviz.detection.series_detector import SeriesDetector
from nebuloviz.detection.series_detectors import ForecastInterval, SameWeekday, Silence, Threshold, scored_by
from nebuloviz.errors import ConfigurationError

#: The first is the default.
DETECTORS: list[type[Detector]] = [ForestDetector, LargestDeviation]
SERIES_DETECTORS: list[type[SeriesDetector]] = [Threshold, SameWeekday, ForecastInterval, Silence]


def add_detector(entry: type[Detector | SeriesDetector]) -> None:
    """Let `entry` be chosen by its name; `contract.check_detector` says whether it keeps the promises.

    Raises:
        ConfigurationError: it has no name, its name is taken, or a method is missing.
    """
    name = getattr(entry, "name", "")
    missing = sorted(getattr(entry, "__abstractmethods__", ()))
    if not name or inspect.isabstract(entry):
        lacking = ", ".join([*([] if name else ["name"]), *missing])
        raise ConfigurationError(f"The detector {entry.__qualname__} lacks {lacking}.")
    if name in {known.name for known in DETECTORS} | {known.name for known in series_detectors()}:
        raise ConfigurationError(f"There is a detector {name!r} already; choose another name.")
    if issubclass(entry, SeriesDetector):
        SERIES_DETECTORS.append(entry)
    else:
        DETECTORS.append(entry)


def detector(name: str) -> type[Detector]:
    """Look a scorer of rows up.

    Raises:
        ConfigurationError: names the known ones.
    """
    for entry in DETECTORS:
        if entry.name == name:
            return entry
    raise ConfigurationError(f"There is no detector {name!r}; known are {_names(DETECTORS)}.")


def series_detectors() -> tuple[type[SeriesDetector], ...]:
    """All that a rule can watch with: every scorer of rows on the features of one series, the default first, and the others."""
    return (*(scored_by(scorer) for scorer in DETECTORS), *SERIES_DETECTORS)


def series_detector(name: str) -> type[SeriesDetector]:
    """Look one up.

    Raises:
        ConfigurationError: names the known ones.
    """
    for entry in series_detectors():
        if entry.name == name:
            return entry
    raise ConfigurationError(f"There is no detector {name!r}; known are {_names(series_detectors())}.")


def _names(entries: Iterable[type[Detector | SeriesDetector]]) -> str:
    return ", ".join(entry.name for entry in entries)
