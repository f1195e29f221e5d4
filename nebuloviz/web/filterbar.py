"""The filter bar: range, comparison and dimension filters, the same on every page. Layout and pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, number
from nebuloviz.metrics.query import COMPARISONS, Comparison, FilterOperator
from nebuloviz.metrics.registry import dimension
from nebuloviz.services.shown import told_apart
from nebuloviz.web.components import chip, chips, day_range, dropdown_texts
from nebuloviz.web.components.basic import given, icon
from nebuloviz.web.figures import value_label
from nebuloviz.web.question import bounds, comparison_words, preset_choices, range_words
from nebuloviz.web.state import PRESETS, PageState, Span

RANGE_ID, DAYS_ID, COMPARISON_ID = "filter-range", "filter-days", "filter-comparison"
CHIPS_ID, COUNT_ID, OPEN_ID, CLEAR_ID = "filter-chips", "filter-count", "filter-open", "filter-clear"
#: The entry of the range's list that stands for days or moments chosen by hand.
CUSTOM = "custom"
NO_COMPARISON = "none"
#: Stands for the empty value in lists, which take none.
NOT_GIVEN = "\x1fnot given"


def value_id(slug: Any) -> dict[str, Any]:
    return {"type": "filter-values", "of": slug}


def operator_id(slug: Any) -> dict[str, Any]:
    return {"type": "filter-operator", "of": slug}


#: Stands in the id of a chip's button for the range, where others have a dimension.
RANGE_CHIP = ""


def remove_id(slug: Any, op: Any, value: Any) -> dict[str, Any]:
    return {"type": "filter-remove", "of": slug, "op": op, "value": value}


def shown(state: PageState, now: datetime) -> dict[str, str]:
    """What range, comparison and calendar show."""
    first, last = chosen_days(state, now)
    return {
        "range": CUSTOM if state.span else state.preset,
        "comparison": state.comparison or NO_COMPARISON,
        "first": first,
        "last": last,
    }


def filter_bar(dimensions: Sequence[str], state: PageState, now: datetime) -> list[Component]:
    """Range, comparison and the button that opens the filters on `dimensions`, as `state` has them."""
    values = shown(state, now)
    return [_range(state, now), _days(state, values), _comparison(values["comparison"]), _filters(dimensions, state)]


#: Room for every preset, so that the year and all time are not missed below the edge.
_ALL_RANGES_HEIGHT = 360


def _range(state: PageState, now: datetime) -> html.Div:
    return _labelled(
        _("Range"),
        dcc.Dropdown(
            id=RANGE_ID,
            options=range_options(state, now),
            value=shown(state, now)["range"],
            clearable=False,
            searchable=False,
            maxHeight=_ALL_RANGES_HEIGHT,
            labels=dropdown_texts(),
            className="nv-select nv-select-range",
        ),
    )


def _days(state: PageState, values: Mapping[str, str]) -> html.Div:
    """The calendar for a range of days; hidden while a preset is chosen."""
    return html.Div(
        day_range(DAYS_ID, values["first"], values["last"]),
        id="filter-days-box",
        hidden=state.span is None,
        className="nv-days",
    )


def _comparison(value: str) -> html.Div:
    choices = [
        {"label": _("vs {comparison}", comparison=comparison_words(name)), "value": name} for name in COMPARISONS
    ]
    return _labelled(
        _("Comparison"),
        dcc.Dropdown(
            id=COMPARISON_ID,
            options=[*choices, {"label": _("No comparison"), "value": NO_COMPARISON}],
            value=value,
            clearable=False,
            searchable=False,
            labels=dropdown_texts(),
            className="nv-select nv-select-comparison",
        ),
    )


def _labelled(label: str, control: Component) -> html.Div:
    return html.Div([html.Span(label, className="visually-hidden"), control], role="group", **given(aria_label=label))


def _filters(dimensions: Sequence[str], state: PageState) -> html.Details:
    summary = html.Summary(
        [icon("funnel"), html.Span(_("Filter")), html.Span(id=COUNT_ID, className="nv-menu-count nv-num")],
        className="nv-button",
        id=OPEN_ID,
        title=_("Filter (/)"),
    )
    rows: list[Component] = [_filter_row(slug, state) for slug in dimensions]
    hint = html.P(_("Charts show sales that match all filters."), className="nv-card-subtitle")
    return html.Details(
        [summary, html.Div([*rows, hint], className="nv-menu-body nv-filters")], id="filter-panel", className="nv-menu"
    )


def _filter_row(slug: str, state: PageState) -> html.Div:
    name = str(dimension(slug).label)
    operator = dcc.Dropdown(
        id=operator_id(slug),
        options=[{"label": _("is"), "value": "in"}, {"label": _("is not"), "value": "not_in"}],
        value=operator_of(state, slug),
        clearable=False,
        searchable=False,
        labels=dropdown_texts(),
        className="nv-select nv-select-operator",
    )
    values = dcc.Dropdown(
        id=value_id(slug),
        multi=True,
        options=value_options((), shown_values(state, slug)),
        value=shown_values(state, slug),
        placeholder=_("Any"),
        labels=dropdown_texts(),
        className="nv-select nv-select-values",
        search_order="original",
        debounce=True,  # a choice of several values is applied once, when the list closes
    )
    parts: list[Component] = [html.Span(name, className="nv-filter-name"), operator, values]
    return html.Div(parts, className="nv-filter-row", role="group", **given(aria_label=name))


def range_options(state: PageState, now: datetime) -> list[dict[str, str]]:
    """The list of ranges; for moments chosen by a click on a chart, its last entry names them."""
    words = range_words(state, now) if state.span and state.span.exact else _("Choose days…")
    return [*({"label": name, "value": slug} for slug, name in preset_choices()), {"label": words, "value": CUSTOM}]


def chosen_days(state: PageState, now: datetime) -> tuple[str, str]:
    """The first and the last day of the range, as the calendar takes them."""
    start, end = bounds(state, now)
    last = max(start, end.fromtimestamp(end.timestamp() - 1, end.tzinfo))
    return start.date().isoformat(), last.date().isoformat()


def with_range(state: PageState, choice: object, now: datetime) -> PageState:
    """The state after `choice` in the list of ranges: a preset, or the days it had, now to be changed by hand."""
    if choice in PRESETS:
        return state.with_(preset=choice, span=None)
    if choice != CUSTOM or state.span is not None:
        return state
    first, last = chosen_days(state, now)
    return state.with_(span=Span(date.fromisoformat(first), date.fromisoformat(last)))


def with_days(state: PageState, first: object, last: object) -> PageState:
    """The state after both days were chosen in the calendar; unchanged while one is missing, or while moments are shown."""
    try:
        start, end = date.fromisoformat(str(first)[:10]), date.fromisoformat(str(last)[:10])
    except ValueError:
        return state
    return state.with_(span=Span(min(start, end), max(start, end)))


def with_comparison(state: PageState, choice: object) -> PageState:
    comparison: Comparison | None = next((name for name in COMPARISONS if name == choice), state.comparison)
    return state.with_(comparison=None if choice == NO_COMPARISON else comparison)


def with_values(state: PageState, slug: str, values: object, op: object) -> PageState:
    """The state after `values` were chosen of the dimension `slug`."""
    operator: FilterOperator = "not_in" if op == "not_in" else "in"
    other: FilterOperator = "in" if operator == "not_in" else "not_in"
    chosen = [from_option(value) for value in values if isinstance(value, str)] if isinstance(values, list) else []
    return state.filtered(slug, (), other).filtered(slug, chosen, operator)


def to_option(value: str) -> str:
    return value or NOT_GIVEN


def from_option(value: str) -> str:
    return "" if value == NOT_GIVEN else value


def operator_of(state: PageState, slug: str) -> FilterOperator:
    """The operator that the filter row of `slug` shows."""
    return "not_in" if state.values_of(slug, "not_in") and not state.values_of(slug) else "in"


def shown_values(state: PageState, slug: str) -> list[str]:
    return [to_option(value) for value in state.values_of(slug, operator_of(state, slug))]


def value_options(found: Sequence[tuple[str, str]], chosen: Sequence[str]) -> list[dict[str, str]]:
    """The list of a dimension's values: those `found`, and before them those chosen that are not among them."""
    labels: dict[str, str] = {to_option(value): label for value, label in told_apart(dict(found)).items()}
    missing = {value: value_label(from_option(value)) for value in chosen if value not in labels}
    return [{"label": label, "value": value} for value, label in (missing | labels).items()]


def filter_chips(state: PageState, now: datetime) -> Component | None:
    """A chip for the moments that a click on a chart has chosen and for each value that is filtered; None without any.

    Each bears a button that removes it.
    """
    made = [_range_chip(state, now)] if by_click(state) else []
    made += [
        chip(
            dimension(item.dimension).label,
            value_label(value),
            id=remove_id(item.dimension, item.op, value),
            excluded=item.op == "not_in",
        )
        for item in state.filters
        for value in item.values
    ]
    return chips(made, clear_id=CLEAR_ID) if made else None


def _range_chip(state: PageState, now: datetime) -> Component:
    return chip(_("Time"), range_words(state, now), id=remove_id(RANGE_CHIP, "", ""))


def by_click(state: PageState) -> bool:
    """Whether the range is that of a point or bar that was clicked."""
    return state.span is not None and state.span.exact


def without(state: PageState, of: str, value: str, op: FilterOperator) -> PageState:
    """The state after the chip of that id (see `remove_id`) was removed."""
    return state.with_(span=None) if of == RANGE_CHIP else state.without(of, value, op)


def without_any(state: PageState) -> PageState:
    """The state after all chips were removed."""
    return state.with_(filters=(), span=None if by_click(state) else state.span)


def filter_count(state: PageState) -> str:
    """How many dimensions are filtered, for the button; '' for none."""
    count = len({item.dimension for item in state.filters})
    return number(count) if count else ""
