"""Pure functions: a tidy frame in, a `plotly.graph_objects.Figure` out. They know no ids, callbacks or services.

A frame has the columns of `nebuloviz.services.interfaces.Frame.data`; `trend` also draws `<metric>:low` and
`<metric>:high`, the range of expected values. Every mark carries in its customdata what a click on it means; `clicked`
reads that.
"""

from nebuloviz.services.shown import value_label
from nebuloviz.services.wording import severity_word, value_text
from nebuloviz.web.figures.base import (
    CONFIG,
    AnomalyMark,
    Click,
    JudgedWindow,
    Severity,
    Style,
    clicked,
    config,
    empty,
)
from nebuloviz.web.figures.parts import bars, heat_map, treemap
from nebuloviz.web.figures.planned import PlannedMark, with_planned
from nebuloviz.web.figures.relation import scatter
from nebuloviz.web.figures.stacks import stacked
from nebuloviz.web.figures.text import escape, range_text, title_of, with_unit
from nebuloviz.web.figures.trends import trend

__all__ = [
    "CONFIG",
    "AnomalyMark",
    "Click",
    "JudgedWindow",
    "PlannedMark",
    "Severity",
    "Style",
    "bars",
    "clicked",
    "config",
    "empty",
    "escape",
    "heat_map",
    "range_text",
    "scatter",
    "severity_word",
    "stacked",
    "title_of",
    "treemap",
    "trend",
    "value_label",
    "value_text",
    "with_planned",
    "with_unit",
]
