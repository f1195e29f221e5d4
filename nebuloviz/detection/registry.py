"""The detectors that can be chosen by the setting `detector`, as data.

To add one, add it to `DETECTORS`; an extension of your own calls `add_detector` (docs/how-to/add-a-detector.md).
"""

from __future__ import annotations

import inspect

from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import ForestDetector, LargestDeviation
from nebuloviz.errors import ConfigurationError

#: The first is the default.
DETECTORS: list[type[Detector]] = [ForestDetector, LargestDeviation]


def add_detector(entry: type[Detector]) -> None:
    """Let `entry` be chosen by its name; `nebuloviz.detection.contract.check_detector` says whether it keeps the promises.

    Raises:
        ConfigurationError: it has no name, its name is taken, or a method is missing.
    """
    name = getattr(entry, "name", "")
    missing = sorted(getattr(entry, "__abstractmethods__", ()))
    if not name or inspect.isabstract(entry):
        lacking = ", ".join([*([] if name else ["name"]), *missing])
        raise ConfigurationError(f"The detector {entry.__qualname__} lacks {lacking}.")
    if any(known.name == name for known in DETECTORS):
        raise ConfigurationError(f"There is a detector {name!r} already; choose another name.")
    DETECTORS.append(entry)


def detector(name: str) -> type[Detector]:
    """Look one up.

    Raises:
        ConfigurationError: names the known ones.
    """
    for entry in DETECTORS:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in DETECTORS)
    raise ConfigurationError(f"There is no detector {name!r}; known are {known}.")
