"""Users from a file: what to fill in, what it would come to, and the links once they are created."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from urllib.parse import quote

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import _, format_datetime, ngettext, number
from nebuloviz.services.export import Column, Sheet, csv_bytes
from nebuloviz.services.interfaces import ImportedUser
from nebuloviz.services.shown import role_words
from nebuloviz.services.user_files import BETWEEN_VALUES, MAX_BYTES, MAX_ROWS, template
from nebuloviz.web.components import badge, button, card, table
from nebuloviz.web.components.basic import icon
from nebuloviz.web.views.users import scope_words

_MAX_SENT = 4_000_000  # bytes that the browser lets through to be refused in words; more it keeps to itself


def upload_card() -> Component:
    """The template to fill in, and the place to drop the file on."""
    words = _(
        "A CSV file with a heading and a row for each user: name, e-mail, role, and the rows that the user sees. Leave a column empty "
        "for all rows; put {mark} between several values. At most {count} users and {size} KB.",
        mark=BETWEEN_VALUES,
        count=number(MAX_ROWS),
        size=number(MAX_BYTES // 1024),
    )
    upload = dcc.Upload(
        [icon("cloud-arrow-up"), html.Strong(_("Drop the file here, or choose one"))],
        id="users-file",
        accept=".csv,.txt,.tsv,text/csv,text/plain",
        max_size=_MAX_SENT,
        className="nv-upload",
        className_active="nv-upload nv-upload-active",
    )
    link = _download(_("Template"), template().encode(), "users.csv")
    body = html.Div([html.P(words, className="nv-muted"), upload], className="nv-stack")
    return card(_("File"), body, actions=[link], span=12)


def _download(words: str, content: bytes, name: str) -> Component:
    """A link that holds what it downloads: nothing of it is kept anywhere."""
    address = f"data:text/csv;charset=utf-8,{quote(content)}"
    return html.A(
        [icon("download"), html.Span(words)], href=address, download=name, className="nv-button nv-button-plain"
    )


def content_of(contents: object) -> bytes:
    """What the browser has read of the file. Raises InvalidInput."""
    text = contents if isinstance(contents, str) else ""
    _head, comma, body = text.partition(",")
    try:
        if not comma or len(text) > 2 * _MAX_SENT:
            raise ValueError("no data: address of a file")
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(_("The file could not be read. Choose it once more.")) from None


def preview(rows: Sequence[ImportedUser], name: str) -> Component:
    """What the file would come to, with the button that does it."""
    good = sum(not row.problem for row in rows)
    words = ngettext("Create {count} user", "Create {count} users", good, count=number(good))
    create = button(words, id="users-import-run", kind="primary", icon_name="person-plus", disabled=good == 0)
    return card(
        html.Bdi(name), _table(rows, _("Ready")), actions=[create], subtitle=_counted(rows), span=12, flush=True
    )


def result(rows: Sequence[ImportedUser], origin: str) -> Component:
    """What has been done, and the links, which are never shown again. `origin`: what the program's addresses begin with."""
    created = [row for row in rows if row.token]
    words = ngettext(
        "{count} user was created. Send the link; it works once, and is not shown again.",
        "{count} users were created. Send each their link; it works once, and is not shown again.",
        len(created),
        count=number(len(created)),
    )
    download = _download(_("Download links"), csv_bytes(_links(created, origin)), "links.csv") if created else None
    return card(
        _("Imported"),
        _table(rows, _("Created"), origin),
        actions=[download] if download else [],
        subtitle=[words, " ", _counted(rows)],
        span=12,
        flush=True,
    )


def _counted(rows: Sequence[ImportedUser]) -> str:
    refused = sum(bool(row.problem) for row in rows)
    return (
        ngettext("{count} row is refused.", "{count} rows are refused.", refused, count=number(refused))
        if refused
        else ""
    )


def _table(rows: Sequence[ImportedUser], good: str, origin: str = "") -> Component:
    heads = [_("Line of the file"), _("Name"), _("Result"), _("E-mail"), _("Role"), _("Sees")]
    if origin:
        heads.append(_("One-time link"))
    return table(_("Users of the file"), heads, [_row(row, good, origin) for row in rows])


def _row(row: ImportedUser, good: str, origin: str) -> Component:
    if row.problem:
        answer: list[Component] = [badge(_("Refused"), "bad", icon_name="x-circle"), html.Div(html.Bdi(row.problem))]
    else:
        answer = [badge(good, "good", icon_name="check-circle")]
    cells: list[Component] = [
        html.Td(number(row.line), className="nv-num"),
        html.Th(html.Bdi(row.username), scope="row"),
        html.Td(answer, className="nv-said"),
        html.Td(html.Bdi(row.email)),
        html.Td(html.Bdi(role_words(row.role, row.role_name))),
        html.Td("–" if row.problem else html.Bdi(scope_words(row.scope))),
    ]
    if origin:
        address = _address(row, origin)
        cells.append(html.Td(html.Bdi(address, dir="ltr", className="nv-mono") if address else "–"))
    return html.Tr(cells)


def _address(row: ImportedUser, origin: str) -> str:
    return origin + row.path if row.path else ""


def _links(rows: Sequence[ImportedUser], origin: str) -> Sheet:
    heads = (_("Name"), _("E-mail"), _("Role"), _("One-time link"), _("Valid until"))
    return Sheet(
        tuple(Column(words, "text") for words in heads),
        [
            [
                row.username,
                row.email,
                role_words(row.role, row.role_name),
                _address(row, origin),
                format_datetime(row.expires_at) if row.expires_at else "",
            ]
            for row in rows
        ],
    )
