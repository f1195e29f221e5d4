"""Forecasts on charts: the rows that are drawn, what shows and hides them, and the table behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, bucket_label, percent
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import metric
from nebuloviz.services.interfaces import Forecast
from nebuloviz.services.wording import value_text
from nebuloviz.web.components import table
from nebuloviz.web.components.basic import Children
from nebuloviz.web.question import looks_ahead
from nebuloviz.web.state import PageState
from nebuloviz.web.views import common

_LEVELS = (80, 95)


def frame_of(forecast: Forecast | None) -> pd.DataFrame | None:
    """As `figures.ahead` draws it."""
    if forecast is None:
        return None
    rows = pd.DataFrame([asdict(point) for point in forecast.points]).drop(columns=["start", "end"])
    starts = pd.DatetimeIndex([point.start for point in forecast.points]).tz_convert(forecast.query.zone)
    return rows.assign(bucket=starts)


def subtitle(query: Query, state: PageState, forecast: Forecast | None, path: str, now: datetime) -> Children:
    """The grain, and behind it what shows the forecast, or hides it; or why there is none though one was asked for."""
    words = common.by_words(query.grain or "day")
    if not looks_ahead(query, now):
        return words
    if state.ahead and forecast is None:
        return _("{grain}; too few days of sales for a forecast", grain=words)
    name = _("Hide the forecast") if state.ahead else _("Show the forecast")
    link = dcc.Link(name, href=state.with_(ahead=not state.ahead).to_url(path), className="nv-link")
    if state.ahead and forecast is not None and forecast.uncounted:
        return [
            words,
            " · ",
            link,
            " · ",
            _("an upcoming promotion is forecast like normal days: too few earlier ones are known"),
        ]
    return [words, " · ", link]


def with_forecast(behind: Callable[[], Component], forecast: Forecast | None) -> Callable[[], Component]:
    """The table `behind` a chart, and below it that of its forecast."""
    return behind if forecast is None else lambda: html.Div([behind(), _table(forecast)])


def _table(forecast: Forecast) -> Component:
    shown, grain = metric(forecast.query.metrics[0]), forecast.query.grain or "day"
    heads = [_("Time"), _("Forecast"), *(_("{percent} of the time", percent=percent(n / 100, 0)) for n in _LEVELS)]
    rows = []
    for point in forecast.points:
        ends = [(point.low_80, point.high_80), (point.low_95, point.high_95)]
        ranges = [_("{low} to {high}", low=value_text(shown, low), high=value_text(shown, high)) for low, high in ends]
        cells = [html.Td(words, className="nv-num") for words in (value_text(shown, point.value), *ranges)]
        rows.append(html.Tr([html.Th(bucket_label(point.start, grain), scope="row"), *cells]))
    return table(_("Forecast"), heads, rows)
