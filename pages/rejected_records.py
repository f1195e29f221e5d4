"""The rejected records on the page Data: listed, tried again, corrected, discarded. Not a page of its own."""

from __future__ import annotations

from typing import Any

from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, ngettext, number
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback
from nebuloviz.web.charts import part_answer, refusal
from nebuloviz.web.components import card, dropdown_texts, skeleton_table, toast
from nebuloviz.web.components.basic import button
from nebuloviz.web.context import act, ask, may, services
from nebuloviz.web.navigation import INTERVAL_ID
from nebuloviz.web.reading import asking
from nebuloviz.web.views import dead_letters as views

_GRID = "data-letters-grid"
_LETTERS_CHANGED, _LETTERS_SEEN = "data-letters-changed", "data-letters-seen"


def parts() -> list[Component]:
    """The card, and the stores that its callbacks need."""
    return [
        card(
            _("Rejected records"),
            [
                html.Div(id="data-letters-message", role="status"),
                html.Div(id="data-correction-place"),
                # a tick may ask for the table's choice before there is a table
                html.Div([skeleton_table(5, 5), html.Div(id=_GRID, hidden=True)], id="data-letters"),
            ],
            actions=_actions(),
            span=12,
        ),
        dcc.Store(id=_LETTERS_CHANGED, data=0),
        dcc.Store(id=_LETTERS_SEEN),
    ]


def _actions() -> list[Component]:
    reasons = dcc.Dropdown(
        id="data-reason", options=[], value="", clearable=False, searchable=False, labels=dropdown_texts(),
        className="nv-select nv-select-range",
    )  # fmt: skip
    if not may(Permission.STREAM_MANAGE):
        return [reasons]
    return [
        reasons,
        button(_("Try again"), id="data-retry", icon_name="arrow-clockwise"),
        button(_("Correct"), id="data-correct", icon_name="pencil"),
        dcc.ConfirmDialogProvider(
            button(_("Discard"), icon_name="trash", kind="quiet"),
            id="data-discard",
            message=_("Discard the selected records? They cannot be retried."),
        ),
    ]


@protected_callback(
    Permission.STREAM_READ,
    Output("data-letters", "children"),
    Output("data-reason", "options"),
    Input("data-reason", "value"),
    Input(_LETTERS_CHANGED, "data"),
    Input(_LETTERS_SEEN, "data"),
)
def letters(reason: Any, _changed: int, _seen: Any) -> tuple[Any, Any]:
    with asking(None):

        def build() -> tuple[Any, Any]:
            chosen = reason if isinstance(reason, str) else ""
            found = ask(services().ingest.dead_letters, "open", chosen, None, views.MAX_SHOWN)
            return views.dead_letter_table(found, manageable=may(Permission.STREAM_MANAGE)), views.reason_options(found)

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, no_update)


@protected_callback(
    Permission.STREAM_READ,
    Output(_LETTERS_SEEN, "data"),
    Input(INTERVAL_ID, "n_intervals"),
    State(_LETTERS_SEEN, "data"),
    State(_GRID, "selectedRows"),
    prevent_initial_call=True,
)
def letters_seen(_ticks: int | None, seen: Any, selected: Any) -> Any:
    """The table is drawn anew when others have been rejected, but not under the hands of somebody who is choosing."""
    if selected:
        raise PreventUpdate
    try:
        found = ask(services().ingest.dead_letters, "open", "", None, 1)
    except NebuloVizError:
        raise PreventUpdate from None
    newest = [found.items[0].id if found.items else 0, sum(found.open_by_reason.values())]
    return no_update if newest == seen else newest


@protected_callback(
    Permission.STREAM_MANAGE,
    Output(_LETTERS_CHANGED, "data"),
    Output("data-letters-message", "children"),
    Output("data-correction-place", "children", allow_duplicate=True),
    Input("data-retry", "n_clicks"),
    Input("data-discard", "submit_n_clicks"),
    State(_GRID, "selectedRows"),
    State(_LETTERS_CHANGED, "data"),
    prevent_initial_call=True,
)
def settle(_retry: int | None, _discard: int | None, selected: Any, changed: int) -> tuple[Any, Any, Any]:
    """Try the chosen records again, or put them away; one that is just being corrected may be among them."""
    ids = chosen_ids(selected)
    if not ids:
        return no_update, toast(_("Select records in the table first."), "warn"), no_update
    try:
        message = discarded(ids) if ctx.triggered_id == "data-discard" else retried(ids)
    except NebuloVizError as error:
        return no_update, refusal(error), no_update
    return (changed or 0) + 1, message, None


def chosen_ids(selected: Any) -> list[int]:
    return [row["id"] for row in selected or [] if isinstance(row, dict) and isinstance(row.get("id"), int)]


def discarded(ids: list[int]) -> Component:
    count = act(services().ingest.discard, ids)
    return toast(
        ngettext("{count} record discarded.", "{count} records discarded.", count, count=number(count)), "good"
    )


def retried(ids: list[int]) -> Component:
    result = act(services().ingest.retry, ids)
    well = result.accepted + result.duplicates == len(ids)
    return toast(views.retried_words(result, len(ids)), "good" if well else "warn")


@protected_callback(
    Permission.STREAM_MANAGE,
    Output("data-correction-place", "children"),
    Output("data-letters-message", "children", allow_duplicate=True),
    Input("data-correct", "n_clicks"),
    State(_GRID, "selectedRows"),
    prevent_initial_call=True,
)
def edit(clicks: int | None, selected: Any) -> tuple[Any, Any]:
    """The chosen record, to be put right by hand."""
    if not clicks:
        raise PreventUpdate
    ids = chosen_ids(selected)
    if len(ids) != 1:
        return no_update, toast(_("Select one record in the table first."), "warn")
    try:
        return views.correction_form(ask(services().ingest.dead_letter, ids[0])), None
    except NebuloVizError as error:
        return no_update, refusal(error)


@protected_callback(
    Permission.STREAM_MANAGE,
    Output("data-correction-place", "children", allow_duplicate=True),
    Output("data-letters-message", "children", allow_duplicate=True),
    Output(_LETTERS_CHANGED, "data", allow_duplicate=True),
    Input("data-correction-try", "n_clicks"),
    Input("data-correction-cancel", "n_clicks"),
    State(views.correction_id(ALL), "value"),
    State(views.correction_id(ALL), "id"),
    State(_LETTERS_CHANGED, "data"),
    prevent_initial_call=True,
)
def correct(
    go: int | None, cancel: int | None, texts: list[Any], ids: list[dict[str, Any]], changed: int
) -> tuple[Any, Any, Any]:
    """Read the corrected record. The form stays until it has become a sale."""
    if not (go or cancel) or not ids:
        raise PreventUpdate
    if ctx.triggered_id == "data-correction-cancel":
        return None, None, no_update
    letter, record = ids[0]["of"], str(texts[0] or "").encode()
    if not record.strip():
        return no_update, toast(_("There is nothing to read."), "warn"), no_update
    try:
        result = act(services().ingest.retry, [letter], {letter: record})
    except NebuloVizError as error:
        return no_update, refusal(error), no_update
    message = toast(views.retried_words(result, 1), "warn" if result.rejected else "good")
    return no_update if result.rejected else None, message, (changed or 0) + 1
