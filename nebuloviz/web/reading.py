"""What pages ask for, in the form in which they need it. Valid inside a request of a signed-in user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pandas as pd
from plotly.basedatatypes import BaseFigure
from plotly.io.json import to_json_plotly

from nebuloviz.errors import NebuloVizError, Unavailable
from nebuloviz.i18n import current, use
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import dimension, metric
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AlertFilter, AlertView, Forecast, Frame, PlannedTime
from nebuloviz.services.shown import segment_label
from nebuloviz.web.context import ask, drawn, may, services
from nebuloviz.web.figures import Style
from nebuloviz.web.question import AHEAD, bounds, comparison_words, looks_ahead, query_of, without_own_filter
from nebuloviz.web.state import PageState
from nebuloviz.web.theme import Theme

#: So many values of a dimension can be chosen from in a form.
_CHOSEN_FROM = 50
#: So many values of a dimension get colours that all charts share.
COLOURED_VALUES = 50


def segments_to_choose(*, watched: bool = False) -> dict[str, str]:
    """`dimension=value` -> its words, of the largest values that the reader may see; products are too many to choose from.

    Where they are to be `watched`, those alone that detectors keep a course of.
    """
    data = services().data
    return {
        f"{name}={value}": segment_label(name, label)
        for name in ask(data.dimensions_in_use)
        if name != "product" and (dimension(name).rolled or not watched)
        for value, label in ask(data.values, name, "", _CHOSEN_FROM)
    }


def now() -> datetime:
    """The time of this request, in UTC."""
    return datetime.now(UTC)


class NotWhole(Exception):
    """A part could not be drawn: for this reader the rest is shown, but it is kept for nobody."""

    def __init__(self, drawn: Mapping[str, Any]) -> None:
        super().__init__()
        self.drawn = drawn


@dataclass(frozen=True, slots=True)
class Asking:
    """One request of a page: its state, the reader's theme and the time; asks services and dresses figures."""

    state: PageState
    theme: Theme
    now: datetime

    def query(self, **changes: object) -> Query:
        """The state's question, but for `changes`; see `question.query_of`."""
        first = (
            ask(services().data.freshness).first_sale if self.state.preset == "all" and not self.state.span else None
        )
        return query_of(self.state, self.now, first_sale=first, **changes)

    def parts(self, slug: str, most: int, *, other: bool = True) -> Query:
        """The metric by the dimension `slug`: its `most` largest values, and what is left as 'Other'.

        Those values too that a filter on `slug` leaves out: they stay there to be compared and clicked.
        """
        filters = without_own_filter(self.state.filters, slug)
        additive = metric(self.state.metric).additive
        return self.query(
            dimensions=(slug,), limit=most, other=other and additive, order=f"-{self.state.metric}", filters=filters
        )

    def hours(self) -> Query:
        """The metric by hour, for at most the last 13 weeks of the range: a week's shape needs no more."""
        query = self.query(grain="hour", comparison=None)
        return query.with_(start=max(query.start, query.end - timedelta(weeks=13)))

    def over(self) -> tuple[datetime, datetime] | None:
        """The range, as [start, end), where it is over; None where it runs up to now."""
        start, end = bounds(self.state, self.now)
        return (start, end) if end <= self.now else None

    def lately(self) -> Query:
        """The newest sales that pass the filters: of the range where it is over, else of these days, however far it goes back."""
        start, end = self.over() or (self.now - timedelta(days=7), self.now + timedelta(days=1))
        return self.query(start=start, end=end, comparison=None)

    def frame(self, query: Query) -> Frame:
        return ask(services().data.frame, query)

    def kept(self, part: str, draw: Callable[[Asking], Mapping[str, Any]], of: object = None) -> dict[str, Any]:
        """What `draw` gives for `part` of a page, each value as the JSON that the browser gets.

        It is drawn once for all readers who ask the same, may see the same and read alike, and again with news; unless it
        raises `NotWhole`. `of` is what it goes by, where that is not all that the URL asks for: pages have it in common then.
        """
        asked = self.state.to_search() if of is None else of
        name = f"{part}|{asked}|{self.theme}|{current()}"

        def as_of_now() -> dict[str, bytes]:
            return _json(draw(replace(self, now=now())))

        try:
            try:
                texts = drawn(name, as_of_now)
            except Unavailable:  # nobody can say whether there is news; each part says for itself what it lacks
                texts = as_of_now()
        except NotWhole as found:
            texts = _json(found.drawn)
        return {key: orjson.Fragment(text) for key, text in texts.items()}

    def sold(self, query: Query) -> bool:
        """Whether there is any sale line in what `query` asks for, whatever its metrics make of them."""
        alone = query.with_(metrics=("lines",), dimensions=(), grain=None, comparison=None, order=None, limit=None)
        return bool(self.frame(alone.with_(other=False)).data["lines"].iloc[0] > 0)

    def expected(self, query: Query) -> pd.DataFrame | None:
        """The range that is normal for `query`, or None: a chart without its band is still worth seeing."""
        if not may(Permission.ALERTS_READ):
            return None
        try:
            return ask(services().alerts.expected, query)
        except NebuloVizError:
            return None

    def alerts(self, query: Query) -> Sequence[AlertView]:
        """What was unusual in the metric and range of `query`, for those who may see alerts."""
        about = AlertFilter(metrics=query.metrics, start=query.start, end=query.end, filters=query.filters)
        return ask(services().alerts.list, about, None, 200).items if may(Permission.ALERTS_READ) else ()

    def planned(self, query: Query, coming: Forecast | None = None) -> Sequence[PlannedTime]:
        """What the calendar says of the time of `query` and of what is `coming`: a chart without it is still worth seeing."""
        if not may(Permission.ALERTS_READ):
            return ()
        end = max(query.end, coming.points[-1].end) if coming else query.end
        try:
            return ask(services().calendar.planned, query.with_(end=end, comparison=None))
        except NebuloVizError:
            return ()

    def forecast(self, query: Query) -> Forecast | None:
        """What the time ahead of `query` will bring, where the page asks for it: a chart without it is still worth seeing."""
        if not self.state.ahead or not looks_ahead(query, self.now):
            return None
        try:
            return ask(services().forecasts.forecast, query, AHEAD[query.grain or "day"])
        except NebuloVizError:
            return None

    def style(self, *dimensions: str, revision: str = "") -> Style:
        """How figures by `dimensions` are drawn for this reader; a zoom lasts as long as `revision` and the question do."""
        order = {
            slug: [value for value, _label in ask(services().data.values, slug, "", COLOURED_VALUES)]
            for slug in dimensions
        }
        words = comparison_words(self.state.comparison)
        return Style(self.theme, order, words, revision=revision + self.state.to_search())


def as_json(drawn: Any) -> orjson.Fragment:
    """The JSON of components, which goes into what a callback answers as it is: Dash would visit each part of them again."""
    return orjson.Fragment(_text(drawn))


def _json(drawn: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: _text(value) for name, value in drawn.items()}


def _text(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def _plain(value: Any) -> Any:
    """What orjson does not know by itself: components and figures in plain parts, all else as Plotly writes it."""
    if isinstance(value, BaseFigure):  # its own way copies all of it, to look for arrays that ours do not have
        return {"data": value._data, "layout": value._layout}  # noqa: SLF001 - see above
    if hasattr(value, "to_plotly_json"):
        return value.to_plotly_json()
    return orjson.Fragment(to_json_plotly(value).encode())


def _currency() -> str:
    """The currency of the data, where it can be had: without one, amounts are bare numbers, and the page still stands."""
    try:
        return ask(services().data.freshness).currency
    except NebuloVizError:
        return ""


@contextmanager
def asking(search: str | None, theme: str | None = "light") -> Iterator[Asking]:
    """The request of a page with the URL's query `search`.

    Inside, times are shown in the zone that the URL names, if any, and amounts in the data's currency where the settings
    name none.
    """
    state = PageState.from_search(search)
    reader = current()
    currency = reader.currency or _currency()
    with use(replace(reader, time_zone=state.zone or reader.time_zone, currency=currency)):
        yield Asking(state, "dark" if theme == "dark" else "light", now())
