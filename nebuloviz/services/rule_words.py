"""What detectors of rules say of themselves, in the reader's language: they are written without any."""

from __future__ import annotations

from nebuloviz.i18n import lazy

_BUILT_IN = (
    lazy("Threshold"),
    lazy("Alerts when a value falls below one number or rises above another."),
    lazy("Alert below"),
    lazy("Alert above"),
    lazy("Change from the same weekday"),
    lazy("Compares with the same weekday of the last four weeks, or the same hour of it."),
    lazy("Alert on a drop of, in percent"),
    lazy("Alert on an increase of, in percent"),
    lazy("Only where at least this much is expected"),
    lazy("Forecast interval"),
    lazy("Forecasts each value, and alerts when it falls outside the forecast range."),
    lazy("Share of values that are normal, in percent"),
    lazy("No more sales"),
    lazy("Alerts when a segment or the whole stream falls silent where sales are normal."),
    lazy("After this many hours or days without any"),
    lazy("Isolation forest"),
    lazy("Largest deviation"),
    lazy("Learns what is normal every week, and sets its threshold by the false alerts you accept."),
    lazy("Acceptable false alerts per week"),
)
_WORDS = {words.message: words for words in _BUILT_IN}


def detector_words(text: str) -> str:
    """A label or a sentence of a detector, translated; as it is where it is somebody's own."""
    return str(_WORDS.get(text, text))
