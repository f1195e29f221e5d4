"""Cards, charts on them, and the table behind each chart."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, bucket_label
from nebuloviz.metrics.registry import Metric, dimension
from nebuloviz.services.shown import value_labels
from nebuloviz.web.components.basic import Child, Children, Id, button, given, icon
from nebuloviz.web.figures import range_text, value_text

MAX_TABLE_ROWS = 500
_MAX_BESIDE_ON_PHONES = 3  # columns


def card(
    title: Child,
    body: Children,
    *,
    actions: Sequence[Component] = (),
    subtitle: Children = None,
    span: int = 12,
    id: Id = None,
    flush: bool = False,
) -> html.Section:
    """A titled region, `span` of the grid's twelve columns wide. `flush`: the body reaches the edges, as tables do."""
    heading: list[Component] = [html.H2(title, className="nv-card-title")]
    if subtitle is not None:
        heading.append(html.P(subtitle, className="nv-card-subtitle"))
    return html.Section(
        [
            html.Header(
                [html.Div(heading), html.Div(list(actions), className="nv-card-actions")], className="nv-card-head"
            ),
            html.Div(body, className="nv-card-body" + (" nv-card-flush" if flush else "")),
        ],
        className=f"nv-card nv-span-{span}",
        **given(id=id),
    )


def chart_actions(title: str, *, table: bool = True, downloads: Mapping[str, str] | None = None) -> list[Component]:
    """The buttons of a chart card; clientside.js answers those with a `data-nv-action`."""
    actions: list[Component] = []
    if table:
        actions.append(_action(_("Show as table: {title}", title=title), "table", "table", pressed=True))
    actions.append(_action(_("Full screen: {title}", title=title), "arrows-angle-expand", "full"))
    actions.append(_action(_("Download picture: {title}", title=title), "image", "png"))
    return actions + [download_link(kind, title, href) for kind, href in (downloads or {}).items()]


def _action(label: str, icon_name: str, action: str, *, pressed: bool = False) -> html.Button:
    attributes = given(data_nv_action=action, aria_pressed="false" if pressed else None)
    return button(label, icon_name=icon_name, kind="quiet", icon_only=True, **attributes)


def download_link(kind: str, title: str, href: str) -> html.A:
    """A link to a file, which says itself that it is one: with HTML's `download`, browsers would save a refusal in its place."""
    label = _("Download {kind}: {title}", kind=kind, title=title)
    return html.A(
        [icon("download"), html.Span(kind)],
        href=href,
        className="nv-button nv-button-quiet nv-button-small",
        title=label,
        **given(aria_label=label),
    )


def data_table(
    frame: pd.DataFrame,
    metrics: Sequence[Metric],
    *,
    dimensions: Sequence[str] = (),
    grain: str | None = None,
    comparison: str = "",
    caption: str = "",
) -> html.Div:
    """The rows of `frame` in their order, as a reader's table: bucket, dimensions, then each metric with its comparison."""
    columns = _columns(frame, metrics, dimensions, grain, comparison)
    rows = [
        html.Tr([cell(row) for _name, _number, cell in columns])
        for row in frame.head(MAX_TABLE_ROWS).to_dict("records")
    ]
    header = [html.Th(name, scope="col", className="nv-num" if numeric else None) for name, numeric, _cell in columns]
    table = html.Table(
        [html.Caption(caption, className="visually-hidden"), html.Thead(html.Tr(header)), html.Tbody(rows)],
        className="nv-table",
    )
    left_out = len(frame) - len(rows)
    note = html.P(_("{count} more rows are in the download.", count=left_out), className="nv-table-note")
    return html.Div([table, note] if left_out > 0 else table, className="nv-table-wrap")


def table(caption: str, heads: Sequence[str], rows: Sequence[Component]) -> html.Div:
    """A table of words: `rows` are `html.Tr`; a head that is '' has none, as over buttons.

    On phones a row of many columns becomes a list, each cell behind its head.
    """
    stacked = len(heads) > _MAX_BESIDE_ON_PHONES
    for row in rows if stacked else ():
        for words, cell in zip(heads, row.children, strict=False):
            if words and isinstance(cell, html.Td):
                setattr(cell, "data-head", str(words))
                if isinstance(cell.children, html.Bdi) and not cell.children.children:
                    cell.children = None  # a cell that says nothing has no place in a list
    parts = [
        html.Caption(caption, className="visually-hidden"),
        html.Thead(html.Tr([html.Th(words, scope="col") if words else html.Td() for words in heads])),
        html.Tbody(list(rows)),
    ]
    return html.Div(
        html.Table(parts, className="nv-table nv-table-stacked" if stacked else "nv-table"),
        className="nv-table-wrap",
        tabIndex=0,
        role="region",
        **given(aria_label=caption),
    )


def _columns(
    frame: pd.DataFrame, metrics: Sequence[Metric], dimensions: Sequence[str], grain: str | None, comparison: str
) -> list[tuple[Any, bool, Any]]:
    """(heading, whether numeric, row -> cell) for each column."""
    columns: list[tuple[Any, bool, Any]] = []
    if grain is not None and "bucket" in frame:
        columns.append((_("Time"), False, functools.partial(_time_cell, grain)))
    columns += [
        (dimension(slug).label, False, functools.partial(_name_cell, slug, value_labels(frame, slug)))
        for slug in dimensions
    ]
    for metric in metrics:
        columns.append((metric.label, True, _number_cell(metric, metric.slug)))
        if f"{metric.slug}:comparison" in frame:
            before = comparison or _("before")
            words = f"{metric.label}, {before}"
            columns.append((words, True, _number_cell(metric, f"{metric.slug}:comparison")))
        if f"{metric.slug}:low" in frame:
            columns.append((_("Expected range"), True, functools.partial(_range_cell, metric)))
    if "planned" in frame:
        columns.append((_("Calendar"), False, lambda row: html.Td(html.Bdi(row["planned"]))))
    return columns


def _time_cell(grain: str, row: dict[str, Any]) -> html.Th:
    label = bucket_label(row["bucket"].to_pydatetime(), grain)
    return html.Th(f"{label} · " + _("so far") if row.get("unfinished") else label, scope="row")


def _name_cell(slug: str, labels: Mapping[str, str], row: dict[str, Any]) -> html.Td:
    return html.Td(html.Bdi(labels[row[slug]]))


def _range_cell(metric: Metric, row: dict[str, Any]) -> html.Td:
    return html.Td(range_text(metric, row), className="nv-num")


def _number_cell(metric: Metric, column: str) -> Any:
    def cell(row: dict[str, Any]) -> html.Td:
        value = float(row[column]) if row[column] is not None else math.nan
        return html.Td(value_text(metric, value), className="nv-num")

    return cell
