"""Rejected records (dead letters): the table, the form that corrects one, and what became of a retry."""

from __future__ import annotations

import json
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, format_datetime, lazy, ngettext, number
from nebuloviz.services.interfaces import DeadLetterPage, DeadLetterView, PostResult
from nebuloviz.web.components import empty_state
from nebuloviz.web.components.basic import button
from nebuloviz.web.views.grids import letters_table

REASON_WORDS = {
    "conflict": lazy("Same sale ID, different content"),
    "currency": lazy("Another currency"),
    "database": lazy("Cannot be stored"),
    "empty": lazy("Empty record"),
    "future": lazy("In the future"),
    "invalid_number": lazy("Not a number"),
    "invalid_text": lazy("Not text"),
    "invalid_time": lazy("Not a valid time"),
    "malformed": lazy("Unreadable"),
    "missing_field": lazy("Required field missing"),
    "number_range": lazy("Number out of range"),
    "too_large": lazy("Record too large"),
    "too_late": lazy("Too late"),
    "too_long": lazy("Text too long"),
}
MAX_SHOWN = 200  # records in the table
_SHOWN_REASONS = 3


def reason_words(reason: str) -> str:
    return str(REASON_WORDS.get(reason, reason))


def reason_options(page: DeadLetterPage) -> list[dict[str, str]]:
    """Every reason that has open dead letters, with how many."""
    total = sum(page.open_by_reason.values())
    most_first = sorted(page.open_by_reason.items(), key=lambda item: -item[1])
    listed = [{"label": f"{reason_words(name)} ({number(count)})", "value": name} for name, count in most_first]
    return [{"label": _("All reasons ({count})", count=number(total)), "value": ""}, *listed]


def dead_letter_table(page: DeadLetterPage, *, manageable: bool) -> Component:
    """Rejected records with their reason and bytes, to be chosen for another try or for good."""
    table = letters_table([letter_row(item) for item in page.items], selectable=manageable)
    if page.items:
        return table
    nothing = empty_state(
        _("Nothing was rejected"),
        icon_name="check2-circle",
        hint=_("Records that are not valid sales are kept here as received, with the reason."),
    )
    return html.Div([nothing, html.Div(table, hidden=True)])  # what is asked about the table's choice stays there


def letter_row(item: DeadLetterView) -> dict[str, Any]:
    return {
        "id": item.id,
        "received": format_datetime(item.received_at),
        "reason": reason_words(item.reason),
        "detail": item.detail,
        "where": _where(item),
        "bytes": readable_bytes(item.payload),
        "size": number(item.payload_size),
    }


def _where(item: DeadLetterView) -> str:
    if item.file:
        return _("{file}, row {number}", file=item.file, number=number(item.offset + 1))
    return f"{item.topic} · {item.partition} · {item.offset}"


def correction_id(letter: Any) -> dict[str, Any]:
    return {"type": "data-correction", "of": letter}


def correction_form(item: DeadLetterView) -> Component:
    """A record as it came, and as it is to be read, for somebody to put right."""
    kept = item.record or item.payload
    return html.Div(
        [
            html.H3(_("Correct the record"), className="nv-card-title"),
            html.P([html.Strong(reason_words(item.reason)), " ", html.Bdi(item.detail)], className="nv-card-subtitle"),
            html.Div(_("As received; this copy is not changed"), className="nv-label"),
            html.Pre(readable_bytes(item.payload), className="nv-bytes", dir="ltr", tabIndex=0),
            html.Label(
                [
                    html.Span(_("The corrected sale, in JSON"), className="nv-label"),
                    dcc.Textarea(
                        id=correction_id(item.id), value=indented(kept), className="nv-input nv-correction", spellCheck=False, rows=12
                    ),
                ]
            ),
            html.Div(
                [
                    button(_("Cancel"), id="data-correction-cancel"),
                    button(_("Save and try again"), id="data-correction-try", kind="primary"),
                ],
                className="nv-form-actions",
            ),
        ],
        className="nv-import-form",
    )  # fmt: skip


def indented(record: bytes) -> str:
    """A JSON record with a line a field; anything else as readable text."""
    try:
        return json.dumps(json.loads(record), ensure_ascii=False, indent=2)
    except ValueError:  # no UTF-8 or no JSON
        return readable_bytes(record)


def retried_words(result: PostResult, chosen: int) -> str:
    """What became of the `chosen` records that were tried again, and why those are rejected that are."""
    said = []
    if result.accepted:
        count = number(result.accepted)
        said.append(
            ngettext("{count} record was accepted.", "{count} records were accepted.", result.accepted, count=count)
        )
    if result.duplicates:
        count = number(result.duplicates)
        said.append(
            ngettext("{count} was stored already.", "{count} were stored already.", result.duplicates, count=count)
        )
    if result.rejected:
        count = number(result.rejected)
        said.append(
            ngettext("{count} was rejected again.", "{count} were rejected again.", result.rejected, count=count)
        )
        said += list(dict.fromkeys(_why(row.reason) for row in result.results if row.status == "rejected"))[
            :_SHOWN_REASONS
        ]
    left = chosen - result.accepted - result.duplicates - result.rejected
    if left:
        said.append(
            ngettext(
                "{count} has to be corrected first.", "{count} have to be corrected first.", left, count=number(left)
            )
        )
    return " ".join(said)


def _why(reason: str) -> str:
    name, _sep, detail = reason.partition(": ")
    return f"{reason_words(name)}: {detail}." if detail else f"{reason_words(name)}."


def readable_bytes(payload: bytes, longest: int = 2_000) -> str:
    """The bytes as text; what is no UTF-8, or cannot be seen, as escapes."""
    text = payload[:longest].decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
