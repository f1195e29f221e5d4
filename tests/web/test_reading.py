import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from dash import dcc, html
from plotly.io.json import to_json_plotly

from nebuloviz.i18n import lazy
from nebuloviz.web.components.basic import given
from nebuloviz.web.figures import Style
from nebuloviz.web.figures.base import drawing
from nebuloviz.web.reading import Asking, as_json
from nebuloviz.web.state import PageState


def figure() -> Any:
    drawn = drawing("Revenue", Style())
    drawn.add("bar", x=["a", "b"], y=[1.5, math.nan], customdata=[[None, [["region", "North"]], 7], None])
    drawn.note("nothing else")
    return drawn.done()


def written(value: Any) -> Any:
    return json.loads(orjson.dumps(as_json(value)))


@pytest.mark.parametrize(
    "value",
    [
        html.Div(
            **given(children=[html.Span(**given(children="ä < b", id={"of": "y"})), None, "text"], className="nv")
        ),
        html.Div(**given(children=lazy("Revenue"), title=lazy("Revenue"))),
        dcc.Graph(figure=figure(), id="chart"),
        figure(),
        {"at": datetime(2026, 4, 1, 12, tzinfo=UTC), 7: np.float64(2.5), "none": math.nan, "many": np.arange(3)},
    ],
    ids=["components", "translated", "a chart", "a figure", "values"],
)
def test_says_the_same_as_dash_does(value: Any) -> None:
    assert written(value) == json.loads(to_json_plotly(value))


@pytest.mark.parametrize(
    ("search", "over"),
    [
        ("", False),
        ("?range=today", False),
        ("?range=all", False),
        ("?range=yesterday", True),
        ("?from=2026-11-20&to=2026-11-21", True),
        ("?from=2026-11-20&to=2026-11-22", False),
        ("?from=2026-11-22T10:00:00Z&to=2026-11-22T12:00:00Z", True),
        ("?from=2026-11-22T10:00:00Z&to=2026-11-22T12:00:01Z", False),
    ],
)
def test_a_range_is_over_once_its_end_has_passed(search: str, over: bool) -> None:
    asked = Asking(PageState.from_search(search), "light", datetime(2026, 11, 22, 12, tzinfo=UTC))
    assert (asked.over() is not None) is over


def test_what_is_written_already_is_taken_as_it_is() -> None:
    assert written(html.Div(**given(children=[as_json(html.B("x"))]))) == written(html.Div([html.B("x")]))


def test_arrays_of_others_figures_are_lists() -> None:
    of_another = figure()
    of_another.data[0].x = np.array(["2026-04-01", "2026-04-02"], dtype="datetime64[D]")
    of_another.data[0].y = np.arange(6).reshape(2, 3).T[1]  # not in one piece
    assert written(of_another)["data"][0]["y"] == [1, 4]
    assert len(written(of_another)["data"][0]["x"]) == 2
