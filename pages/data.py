"""Data: the live stream, importing files, and rejected records (whose part of the page is in `rejected_records`)."""

from __future__ import annotations

from typing import Any

from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.clock import utc_now
from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy, number
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import chart_answer, chart_outputs, chart_slot, part_answer, refusal, table_input
from nebuloviz.web.components import card, page, page_header, skeleton_table, toast
from nebuloviz.web.context import act, ask, installation, may, services
from nebuloviz.web.navigation import INTERVAL_ID, STAMP_ID, THEME_ID, stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import imports as views
from nebuloviz.web.views import stream as stream_views
from pages import rejected_records

PACE = "data-pace"
_UPLOAD = "data-upload"
_QUESTION, _RESUMED = "data-resume-question", "data-resumed"

_MAX_OFFSET = 2**62


def layout(**_query: str) -> Component:
    stay_on_page()
    return page(
        [
            html.Div(page_header(_("Data")), className="nv-span-12"),
            *_sample_card(),
            card(_("Stream"), html.Div(skeleton_table(1, 6), id="data-figures"), span=12),
            chart_slot(PACE, _("Records per minute, by arrival"), span=12, height=220),
            card(_("Sources"), _sources(), span=12, flush=True),
            *([_import_card()] if may(Permission.SALES_WRITE) else []),
            card(_("Imports"), html.Div(skeleton_table(3, 2), id="data-imports"), span=5),
            *rejected_records.parts(),
            dcc.Store(id=_RESUMED, data=0),
        ],
        filtered=False,
    )


def _sample_card() -> list[Component]:
    try:
        name = ask(services().data.freshness).sample
    except NebuloVizError:  # the parts of the page say what is wrong
        return []
    return [card(_("Sample data"), stream_views.about_sample(name), span=12)] if name else []


def _sources() -> list[Component]:
    return [
        html.Div(id=_QUESTION, role="status"),
        html.Div(id="data-resume-message", role="status"),
        html.Div(skeleton_table(2, 8), id="data-partitions"),
    ]


def _import_card() -> Component:
    return card(
        _("Import a file"),
        [
            dcc.Store(id=_UPLOAD),
            html.Div(id="data-message"),
            views.upload_box(installation().max_upload_mb),
            html.Div(id="data-form"),
        ],
        span=7,
    )


@protected_callback(
    Permission.STREAM_READ,
    Output("data-figures", "children"),
    Output("data-partitions", "children"),
    Input(INTERVAL_ID, "n_intervals"),
    Input(_RESUMED, "data"),
)
def stream(_ticks: int | None, _resumed: int) -> tuple[Any, Any]:
    """With every tick: that nothing arrives, or that a partition has halted, changes no sale."""
    with asking(None) as asked:

        def build() -> tuple[Any, Any]:
            status = ask(services().ingest.status)
            table = stream_views.partitions(status, asked.now, manageable=may(Permission.STREAM_MANAGE))
            return stream_views.pace(status, ask(services().data.freshness), asked.now), table

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, no_update)


@protected_callback(
    Permission.STREAM_READ,
    Input(STAMP_ID, "data"),
    Input(THEME_ID, "data"),
    table_input(PACE),
    output=chart_outputs(PACE),
)
def pace(_stamp: str, theme: str, table_clicks: int | None) -> dict[str, Any]:
    with asking(None, theme) as asked:
        return chart_answer(lambda: stream_views.pace_view(ask(services().ingest.status), asked.style()), table_clicks)


@protected_callback(
    Permission.STREAM_READ,
    Output("data-imports", "children"),
    Input(INTERVAL_ID, "n_intervals"),
    Input(_UPLOAD, "data"),
)
def imports(_ticks: int | None, _upload: Any) -> Any:
    """With every tick, for an import moves on before anything else does."""
    with asking(None) as asked:
        return part_answer(lambda: views.import_list(ask(services().ingest.imports, 10), asked.now))


# ---------------------------------------------------------------- halted partitions


@protected_callback(
    Permission.STREAM_MANAGE,
    Output(_QUESTION, "children"),
    Input(stream_views.resume_id(ALL, ALL, ALL, skips=ALL), "n_clicks"),
    prevent_initial_call=True,
)
def ask_whether(clicks: list[int | None]) -> Any:
    """Nothing goes on by one click: what is skipped is not read again."""
    if not any(clicks):  # buttons that have just been drawn trigger too, without a click
        raise PreventUpdate
    topic, partition, offset, skips = _place(ctx.triggered_id)
    return stream_views.resume_question(topic, partition, offset, skips=skips)


def _place(which: object) -> tuple[str, int, int, bool]:
    """Topic, partition and offset of the button that was clicked, and whether it skips; a browser may name any other."""
    if isinstance(which, dict):
        match [which.get(name) for name in ("topic", "partition", "offset")]:
            case [str() as topic, int() as partition, int() as offset] if offset < _MAX_OFFSET:
                return topic, partition, offset, bool(which.get("skips"))
    raise PreventUpdate


@protected_callback(
    Permission.STREAM_MANAGE,
    Output(_QUESTION, "children", allow_duplicate=True),
    Output("data-resume-message", "children"),
    Output(_RESUMED, "data"),
    Input(stream_views.resume_id(ALL, ALL, ALL, skips=ALL, kind=stream_views.CONFIRM), "n_clicks"),
    Input(stream_views.CANCEL_ID, "n_clicks"),
    State(_RESUMED, "data"),
    prevent_initial_call=True,
)
def resume(clicks: list[int | None], cancel: int | None, resumed: int) -> tuple[Any, Any, Any]:
    if not (cancel or any(clicks)):
        raise PreventUpdate
    if ctx.triggered_id == stream_views.CANCEL_ID:
        return None, None, no_update
    topic, partition, offset, skips = _place(ctx.triggered_id)
    try:
        at = act(services().ingest.resume, topic, partition, offset + 1 if skips else None)
    except NebuloVizError as error:
        return None, refusal(error), (resumed or 0) + 1
    where = {"source": at.topic, "part": number(at.partition), "position": number(at.next_offset)}
    words = _("{source}, partition {part}, resumes at position {position}.", **where)
    return None, toast(words, "good"), (resumed or 0) + 1


# ---------------------------------------------------------------- importing a file


@protected_callback(
    Permission.SALES_WRITE,
    Output("data-form", "children"),
    Output("data-message", "children"),
    Input(_UPLOAD, "data"),
    prevent_initial_call=True,
)
def show_form(upload: Any) -> tuple[Any, Any]:
    """The mapping of a file that has just been sent, guessed from its columns."""
    if not isinstance(upload, str):
        return None, no_update
    try:
        preview = ask(services().ingest.preview, upload)
    except NebuloVizError as error:
        return None, refusal(error)
    return views.mapping_form(preview, preview.mapping), None


@protected_callback(
    Permission.SALES_WRITE,
    Output("data-missing", "children"),
    Output("data-start", "disabled"),
    Output("data-first-moment", "children"),
    Input(views.field_id(ALL), "value"),
    Input("data-date-order", "value"),
    Input("data-zone", "value"),
    State(views.field_id(ALL), "id"),
    State("data-seen", "data"),
)
def check_mapping(
    columns: list[Any], order: Any, zone: Any, ids: list[dict[str, str]], seen: Any
) -> tuple[str, bool, str]:
    mapping = views.chosen_mapping([id["of"] for id in ids], columns)
    words = views.missing_words(mapping, seen, order)
    return words, bool(words), views.moment_words(seen, mapping, zone, order)


@protected_callback(
    Permission.SALES_WRITE,
    Output(_UPLOAD, "data"),
    Output("data-message", "children", allow_duplicate=True),
    Input("data-start", "n_clicks"),
    Input("data-cancel", "n_clicks"),
    State(views.field_id(ALL), "value"),
    State(views.field_id(ALL), "id"),
    State("data-date-order", "value"),
    State("data-zone", "value"),
    State(_UPLOAD, "data"),
    prevent_initial_call=True,
)
def start(
    go: int | None,
    cancel: int | None,
    columns: list[Any],
    ids: list[dict[str, str]],
    order: Any,
    zone: Any,
    upload: Any,
) -> tuple[Any, Any]:
    if not (go or cancel) or not isinstance(upload, str):
        raise PreventUpdate
    if ctx.triggered_id == "data-cancel":
        return None, None
    began = utc_now()
    try:
        mapping = views.chosen_mapping([id["of"] for id in ids], columns)
        found = ask(services().ingest.start_import, upload, mapping, str(zone or ""), str(order or ""))
    except NebuloVizError as error:
        return no_update, refusal(error)
    if found.finished_at is not None and found.finished_at < began:
        return None, toast(
            _("This file was imported before, as {name}: nothing is counted twice.", name=found.name), "good"
        )
    return None, toast(_("The import has started; see its progress under Imports."), "good")


register_page(
    __name__, path="/data", permission=Permission.STREAM_READ, name=lazy("Data"), icon="database", shortcut="g d", order=4,
)  # fmt: skip
