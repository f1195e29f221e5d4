"""The tiles at the head of Overview: one figure each, with what it means."""

from __future__ import annotations

import math
import unicodedata
from typing import Literal

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, change, change_words
from nebuloviz.metrics.registry import Metric
from nebuloviz.web.components.basic import Child, Id, given, hidden
from nebuloviz.web.figures import value_text
from nebuloviz.web.figures.text import points_text, tile_text

#: "$340,126" and "US$ 29.27" fit a tile of any width.
_USUAL_LETTERS = 9

Mood = Literal["good", "bad", "flat"]


def tile(  # noqa: PLR0913 - all but two are named options
    metric: Metric,
    value: float | None,
    *,
    href: str,
    before: float | None = None,
    comparison: str = "",
    missing: str = "",
    spark: Component | None = None,
    note: Child = None,
    age: Component | None = None,
    selected: bool = False,
    letters: int = 0,
    id: Id = None,
) -> dcc.Link:
    """A metric's figure, its change against `before` with the words of the `comparison`, a `spark`line, and the data's `age`.

    The whole tile is a link to `href`, which asks Explore the same question. `note` stands beside the age, such as 'so far';
    `missing` says why there is no comparison. `letters`: of the longest figure of those that stand beside it in one size.
    """
    shown = tile_text(metric, value)
    figure = html.Div(
        shown,
        className="nv-tile-figure nv-num",
        title=value_text(metric, value),
        style=_fitting(max(letters, figure_letters(metric, value))),
    )
    parts: list[Component] = [
        html.Div(str(metric.label), className="nv-tile-label"),
        figure,
        change_line(metric, value, before, comparison, missing),
    ]
    if spark is not None:
        parts.append(html.Div(spark, className="nv-tile-spark", dir="ltr", **given(aria_hidden="true")))
    foot = [age, None if note is None else html.Span(note)]
    parts.append(html.Div([part for part in foot if part is not None], className="nv-tile-foot nv-num"))
    return dcc.Link(
        parts,
        href=href,
        className="nv-tile" + (" nv-tile-selected" if selected else ""),
        **given(id=id),
    )


def figure_letters(metric: Metric, value: float | None) -> int:
    """How many letters a tile's figure has that are seen."""
    return sum(unicodedata.category(letter) != "Cf" for letter in tile_text(metric, value))


def _fitting(seen: int) -> dict[str, str]:
    """What tells the style sheet how much smaller long figures must be, such as those with a currency of three letters."""
    return {"--nv-figure-letters": str(seen)} if seen > _USUAL_LETTERS else {}


#: The type of the ids of the tiles' ages that grow; the other key, `of`, is the metric.
TILE_AGE = "tile-age"


def tile_age(metric: Metric, words: str, *, grows: bool) -> html.Span:
    """How old a tile's figures are; the browser keeps an age that `grows` while the page stands."""
    named = given(id={"type": TILE_AGE, "of": metric.slug} if grows else None)
    return html.Span(words, title=_("Age of the data"), **named)


def mood_of(metric: Metric, value: float | None, before: float | None) -> Mood:
    """Whether going from `before` to `value` is good news; 'flat' where nobody can say."""
    if not _known(value) or not _known(before) or value == before or metric.up_is_good is None:
        return "flat"
    return "good" if (value > before) is metric.up_is_good else "bad"  # type: ignore[operator]  # both are known here


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def change_line(
    metric: Metric, value: float | None, before: float | None, comparison: str = "", missing: str = ""
) -> html.Div:
    """The change with arrow, sign and the words of the comparison; 'New' where there was nothing before.

    Where nothing can be compared, `missing` says why.
    """
    shown, said = ("", "") if missing and not _known(value) else _change(metric, value, before)
    words = _("vs {comparison}", comparison=comparison) if comparison and said else "" if said else missing
    step = html.Span(
        [html.Span(shown, **given(aria_hidden="true")), hidden(said)],
        className=f"nv-change nv-change-{mood_of(metric, value, before)} nv-num",
    )
    return html.Div(
        [*([step] if shown else ()), html.Span(words, className="nv-tile-comparison")],
        className="nv-tile-change",
        title=value_text(metric, before) if said else None,
    )


def _change(metric: Metric, value: float | None, before: float | None) -> tuple[str, str]:
    """The change as shown, and as said."""
    if value is None or before is None or not (math.isfinite(value) and math.isfinite(before)):
        return _("No comparison"), ""
    if metric.unit == "ratio":
        return points_text(value - before), points_text(value - before)
    if before == 0:
        return (_("Unchanged"), _("unchanged")) if value == 0 else (_("New"), _("new"))
    relative = (value - before) / abs(before)
    return change(relative), change_words(relative)
