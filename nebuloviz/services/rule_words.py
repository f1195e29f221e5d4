"""What detectors of rules say of themselves, in the reader's language: they are written without any."""

from __future__ import annotations

from nebuloviz.i18n import lazy

_BUILT_IN = (
    lazy("Threshold"),
    lazy("Alerts when a value falls below one number or rises above another."),
    lazy("Alert below"),
    lazy("Alert above"),
    lazy("Change against the same weekday"),
    lazy("Compares with the same weekday, by the hour at the same hour, of the last four weeks."),
    lazy("Alert on a fall by, in percent"),
    lazy("Alert on a rise by, in percent"),
    lazy("Only where at least this much is due"),
    lazy("Forecast interval"),
    lazy("Forecasts each value and alerts when it leaves the range that such forecasts keep to."),
    lazy("Share of values that are normal, in percent"),
    lazy("Nothing comes any more"),
    lazy("Alerts when a segment is missing or the stream has gone stale: nothing, where something is usual."),
    lazy("After so many hours or days without any"),
    lazy("Isolation forest"),
    lazy("Largest deviation"),
    lazy("Learns each week what is normal, and sets its bar by the false alerts that you accept."),
    lazy("Acceptable false alerts a week"),
)
_WORDS = {words.message: words for words in _BUILT_IN}


def detector_words(text: str) -> str:
    """A label or a sentence of a detector, translated; as it is where it is somebody's own."""
    return str(_WORDS.get(text, text))
