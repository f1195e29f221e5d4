"""Importing files: the upload, the form that maps columns to fields, and the list of imports with their progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import (
    _,
    format_datetime,
    isolated,
    lazy,
    listed,
    ngettext,
    number,
    relative,
    zone_names,
    zone_words,
)
from nebuloviz.ingest.fields import REQUIRED, missing
from nebuloviz.ingest.mapping import DATE_ORDERS, as_read, chosen_order
from nebuloviz.services.interfaces import FilePreview, ImportView
from nebuloviz.web.components import badge, list_field, progress
from nebuloviz.web.components.basic import button, given

#: What a column of a file can mean, in the order in which people think of it.
FIELD_WORDS = {
    "sold_at": lazy("Time of sale"),
    "order_id": lazy("Order number"),
    "product_id": lazy("Product number"),
    "quantity": lazy("Quantity"),
    "unit_price": lazy("Unit price"),
    "amount": lazy("Line amount"),
    "product": lazy("Product"),
    "category": lazy("Category"),
    "customer_id": lazy("Customer"),
    "region": lazy("Region"),
    "country": lazy("Country"),
    "channel": lazy("Channel"),
    "store": lazy("Store"),
    "discount": lazy("Discount"),
    "cost": lazy("Cost"),
    "currency": lazy("Currency"),
    "sale_id": lazy("Sale line ID"),
}
NO_COLUMN = "\x1fnone"
PREVIEW_ROWS = 8


def running_imports(imports: Sequence[ImportView]) -> list[Component]:
    """A bar for each import that is under way."""
    return [import_progress(item) for item in imports if item.state == "running"]


def import_progress(item: ImportView) -> Component:
    """How far an import is, how fast, and how long it will take."""
    left = (item.rows_total - item.rows_done) / item.rate if item.rate and item.rows_total else None
    return html.Div(
        progress(
            item.rows_done,
            item.rows_total,
            label=html.Bdi(import_name(item)),
            rate=item.rate,
            seconds_left=left,
            unit=_("rows"),
        ),
        className="nv-import",
    )


def import_name(item: ImportView) -> str:
    return item.name or _("Import {number}", number=item.id)


def import_list(imports: Sequence[ImportView], now: datetime) -> Component:
    """Imports and what became of them, the newest first."""
    if not imports:
        return html.P(_("No file has been imported yet."), className="nv-card-subtitle")
    return html.Ul([html.Li(_import(item, now), className="nv-import") for item in imports], className="nv-imports")


def _import(item: ImportView, now: datetime) -> Component:
    if item.state == "running":
        return import_progress(item)
    ended = item.finished_at or item.updated_at
    who = _("by {who}, {when}", who=item.started_by, when=relative((now - ended).total_seconds()))
    counts = [
        ngettext("{count} sale accepted", "{count} sales accepted", item.accepted, count=number(item.accepted)),
        ngettext("{count} duplicate", "{count} duplicates", item.duplicate, count=number(item.duplicate)),
        ngettext("{count} rejected", "{count} rejected", item.rejected, count=number(item.rejected)),
    ]
    state = badge(_("Done"), "good", icon_name="check-circle")
    if item.state == "failed":
        state = badge(_("Failed"), "bad", icon_name="exclamation-octagon")
    return html.Div(
        [
            html.Div([html.Strong(html.Bdi(import_name(item))), state], className="nv-import-head"),
            html.Div(" · ".join(counts), className="nv-num"),
            html.Div(item.message, className="nv-import-message") if item.message else None,
            html.Div(who if item.started_by else format_datetime(ended), className="nv-muted"),
        ]
    )


def upload_box(most_megabytes: int) -> Component:
    """Where a file is dropped or chosen; upload.js sends it in a stream and says where it is kept."""
    return html.Div(
        [
            html.Label(
                [
                    html.I(className="bi bi-cloud-arrow-up", **given(aria_hidden="true")),
                    html.Span([html.Strong(_("Choose a file")), " ", _("or drop it here")]),
                    html.Span(
                        _(
                            "CSV, TSV, XLSX, Parquet or NDJSON with one sale per row, up to {size} MB",
                            size=number(most_megabytes),
                        ),
                        className="nv-card-subtitle",
                    ),
                ],
                className="nv-upload",
                id="data-drop",
                htmlFor="data-file",
                tabIndex=0,
            ),
            html.Div(id="data-file-place"),
            html.Div(id="data-sending", className="nv-progress", role="status", **given(aria_live="polite")),
        ]
    )


def mapping_form(preview: FilePreview, chosen: Mapping[str, str]) -> Component:
    """The first rows, and for each field the column that it is read from; starts only when nothing is missing."""
    title = _("Columns of {name}", name=preview.name)
    hint = _("Matched by their names; correct any that are wrong.")
    if preview.is_json:
        title, hint = preview.name, _("Each line is a sale in JSON, so there is nothing to map.")
    rows = [] if preview.is_json else [_field_row(preview, field, chosen.get(field, "")) for field in FIELD_WORDS]
    return html.Div(
        [
            html.H3(title, className="nv-card-title"),
            html.P(hint, className="nv-card-subtitle"),
            html.Div([*rows, *_moment_fields(preview)], className="nv-mapping"),
            html.P(id="data-first-moment", className="nv-card-subtitle", role="status"),
            dcc.Store(id="data-seen", data=_seen(preview)),
            html.H3(_("First rows"), className="nv-card-title"),
            preview_table(preview),
            html.Div(
                [
                    html.Span(id="data-missing", className="nv-error", role="status"),
                    button(_("Cancel"), id="data-cancel"),
                    button(_("Import"), id="data-start", kind="primary", icon_name="cloud-arrow-up"),
                ],
                className="nv-form-actions",
            ),
        ],
        className="nv-import-form",
    )


def field_id(field: Any) -> dict[str, Any]:
    return {"type": "data-field", "of": field}


def _field_row(preview: FilePreview, field: str, column: str) -> Component:
    name = str(FIELD_WORDS[field])
    options = [
        {"label": _("Not in this file"), "value": NO_COLUMN},
        *({"label": c, "value": c} for c in preview.columns),
    ]
    chosen = column if column in preview.columns else NO_COLUMN
    return list_field(field_id(field), name, options, chosen, required=field in REQUIRED, clearable=False)


def _moment_fields(preview: FilePreview) -> list[Component]:
    """How moments are read, as far as the file leaves that open; fields that it does not need are there for callbacks alone."""
    orders = [
        {"label": _("Day first: 31/12/2026"), "value": "dmy"},
        {"label": _("Month first: 12/31/2026"), "value": "mdy"},
    ]
    names = dict.fromkeys([preview.time_zone, *zone_names()])
    zones = [{"label": zone_words(name), "value": name} for name in names]
    nobody_knows = None in preview.date_orders.values()
    hint = _("Choose one") if nobody_knows else _("Detect from the dates")
    order = list_field("data-date-order", _("Day and month order"), orders, None, placeholder=hint)
    zone = list_field("data-zone", _("Time zone, if none is given"), zones, preview.time_zone, clearable=False)
    return [html.Div(order, hidden=not preview.date_orders), html.Div(zone, hidden=preview.is_json)]


def _seen(preview: FilePreview) -> dict[str, Any]:
    """What the form has to know of the file: the first cell of each column, and the order of day and month in its dates."""
    filled = (
        (column, [row[at] for row in preview.rows if at < len(row) and row[at]])
        for at, column in enumerate(preview.columns)
    )
    cells = {} if preview.is_json else {column: found[0] for column, found in filled if found}
    return {"json": preview.is_json, "orders": dict(preview.date_orders), "cells": cells}


def in_doubt(seen: Any, mapping: Mapping[str, str], order: Any) -> bool:
    """Whether the dates may have day or month first, and nobody has said which."""
    orders = seen.get("orders") if isinstance(seen, dict) else None
    column = mapping.get("sold_at")
    return not order and isinstance(orders, dict) and column in orders and orders[column] is None


def moment_words(seen: Any, mapping: Mapping[str, str], time_zone: Any, order: Any) -> str:
    """The first moment as it will be read, on the reader's clock; '' where there is none to be seen."""
    column = mapping.get("sold_at", "")
    try:
        cell = isolated(seen["cells"][column])
        usual = chosen_order(order or seen["orders"].get(column) or "")
        moments = [as_read(seen["cells"][column], time_zone, usual or one) for one in DATE_ORDERS]
        first, second = [format_datetime(moment, "long") for moment in moments if moment] or ["", ""]
    except (
        AttributeError,
        KeyError,
        OverflowError,
        TypeError,
        ValueError,
        NebuloVizError,
    ):  # a browser may send anything
        return ""
    if not first:
        return _("The first time, {cell}, cannot be read.", cell=cell)
    if in_doubt(seen, mapping, order):
        readings = {"cell": cell, "first": first, "second": second}
        return _("The first time, {cell}, may be {first} or {second}: choose the order of day and month.", **readings)
    return _("The first time, {cell}, is read as {moment}.", cell=cell, moment=first)


def chosen_mapping(fields: Sequence[str], columns: Sequence[object]) -> dict[str, str]:
    """Field -> column, '' for none: what was guessed for a field that is left out would be put back."""
    return {
        field: column if isinstance(column, str) and column != NO_COLUMN else ""
        for field, column in zip(fields, columns, strict=True)
    }


def missing_words(mapping: Mapping[str, str], seen: Any, order: Any) -> str:
    """What an import would still need; '' when nothing."""
    if isinstance(seen, dict) and seen.get("json"):
        return ""
    fields = [
        _("unit price or amount") if field == "unit_price" else str(FIELD_WORDS[field]) for field in missing(mapping)
    ]
    if in_doubt(seen, mapping, order):
        fields.append(_("Day and month order"))
    return _("Still missing: {fields}", fields=listed(fields)) if fields else ""


def preview_table(preview: FilePreview) -> Component:
    heads = [html.Th(html.Bdi(column), scope="col") for column in preview.columns]
    rows = [html.Tr([html.Td(html.Bdi(cell)) for cell in row]) for row in preview.rows[:PREVIEW_ROWS]]
    table = html.Table([html.Thead(html.Tr(heads)), html.Tbody(rows)], className="nv-table")
    return html.Div(table, className="nv-table-wrap", tabIndex=0, role="region", **given(aria_label=_("First rows")))
