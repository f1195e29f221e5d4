"""Fields of forms: a line of text, a list, what is shown only once; and what a browser sends of a form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, current, date_picker_locale
from nebuloviz.web.components.basic import given

FieldId = str | dict[str, Any]


def text_field(
    id: FieldId,
    label: str,
    value: str,
    *,
    most: int = 64,
    disabled: bool = False,
    wide: bool = False,
    problem: str = "",
) -> Component:
    """A line of at most `most` letters with its label above it; `wide`: of two columns of the form.

    `problem`: the id of the place below it where a callback says what is wrong with it.
    """
    field = dcc.Input(id=id, value=value, maxLength=most, disabled=disabled, autoComplete="off", className="nv-input")
    classes = "nv-field nv-field-wide" if wide else "nv-field"
    return html.Div([html.Label(label, htmlFor=id_in_page(id)), field, _problem(problem)], className=classes)


def number_field(
    id: FieldId,
    label: str,
    value: float | None,
    *,
    least: float,
    most: float,
    whole: bool = False,
    disabled: bool = False,
) -> Component:
    """A number with its label above it; None where it is left out."""
    field = dcc.Input(
        id=id, value=value, type="number", min=least, max=most, step=1 if whole else "any", disabled=disabled, className="nv-input",
    )  # fmt: skip
    return html.Div([html.Label(label, htmlFor=id_in_page(id)), field], className="nv-field")


def list_field(
    id: FieldId,
    label: str,
    options: Sequence[Any],
    value: Any,
    *,
    required: bool = False,
    problem: str = "",
    **props: Any,
) -> Component:
    """A list to choose from, with its label above it. `problem` is as of `text_field`; `props` go to `dcc.Dropdown`."""
    field = dcc.Dropdown(
        id=id, options=list(options), value=value, labels=dropdown_texts(), className="nv-select", **props
    )
    words: list[Any] = [label, html.Span(" *", title=_("Required")) if required else None]
    return html.Div(
        [html.Span(words, className="nv-label"), field, _problem(problem)],
        className="nv-field",
        role="group",
        **given(aria_label=label),
    )


def day_range(id: FieldId, first: Any, last: Any) -> Component:
    """A range of days, both included, in the reader's form; each may be '' or None."""
    picker = date_picker_locale(current().language, form=current().number_locale or "")
    return dcc.DatePickerRange(
        id=id,
        start_date=first,
        end_date=last,
        minimum_nights=0,
        updatemode="bothdates",
        is_RTL=picker["rtl"],
        first_day_of_week=picker["weekStartsOn"],
        display_format=picker["displayFormat"],
        month_format=picker["monthFormat"],
        start_date_placeholder_text=_("First day"),
        end_date_placeholder_text=_("Last day"),
        number_of_months_shown=2,
    )


def _problem(id: str) -> Component | None:
    return html.Span(id=id, className="nv-error", role="alert") if id else None


def once_field(id: str, label: str, text: str) -> Component:
    """A secret to be copied now, for it is never shown again."""
    field = dcc.Input(id=id, value=text, readOnly=True, className="nv-input nv-mono nv-once")
    copy = dcc.Clipboard(content=text, title=_("Copy"), className="nv-button nv-button-quiet nv-button-icon")
    words = html.Label(label, htmlFor=id, className="visually-hidden")
    return html.Div([words, field, copy], className="nv-row", dir="ltr")


def dropdown_texts() -> Any:
    """The texts inside Dash's own dropdowns, in the reader's language."""
    return {
        "select_all": _("Select all"),
        "deselect_all": _("Select none"),
        "selected_count": _("{num_selected} selected"),
        "search": _("Search"),
        "clear_search": _("Clear search"),
        "clear_selection": _("Clear selection"),
        "no_options_found": _("Nothing found"),
    }


def id_in_page(id: FieldId) -> str:
    """A component's id as Dash writes it into the page, for labels that point to it.

    >>> id_in_page({"type": "user-field", "of": "name"})
    '{"of":"name","type":"user-field"}'
    """
    return id if isinstance(id, str) else json.dumps(id, sort_keys=True, separators=(",", ":"))


def sent_values(ids: object, values: object) -> dict[str, Any]:
    """Name -> value of the fields whose ids have an `of`, of what a browser sends; whatever else it sends is left out.

    >>> sent_values([{"type": "user-field", "of": "name"}, "x"], ["ann", 1]), sent_values(None, 5)
    ({'name': 'ann'}, {})
    """
    pairs = zip(ids, values, strict=False) if isinstance(ids, list) and isinstance(values, list) else ()
    return {str(id["of"]): value for id, value in pairs if isinstance(id, dict) and "of" in id}
