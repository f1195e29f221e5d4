"""The audit log as a table."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, format_datetime
from nebuloviz.services.audit_files import filters_told
from nebuloviz.services.audit_words import ACTION_WORDS, action_words, change_lines, subject_words, who_words
from nebuloviz.services.interfaces import AuditEntryView, AuditFilter
from nebuloviz.web.components import empty_state, table

PAGE = 50
ALL_ACTIONS = "all"


def action_options() -> list[dict[str, str]]:
    """Every action, by its words, behind the entry for all of them."""
    listed = sorted(
        ({"label": str(words), "value": str(action)} for action, words in ACTION_WORDS.items()),
        key=lambda option: option["label"].casefold(),
    )
    return [{"label": _("All actions"), "value": ALL_ACTIONS}, *listed]


def audit_table(entries: Sequence[AuditEntryView]) -> Component:
    """Entries as they come, the newest first."""
    if not entries:
        return empty_state(
            _("Nothing was recorded"), icon_name="journal-text", hint=_("Choose a longer range, or fewer filters.")
        )
    heads = (_("When"), _("Who"), _("What"), _("Object"), _("Change"), _("Address"))
    return table(_("Audit log"), heads, [_row(entry) for entry in entries])


def _row(entry: AuditEntryView) -> Component:
    return html.Tr(
        [
            html.Th(format_datetime(entry.at, "medium"), scope="row"),
            html.Td(html.Bdi(who_words(entry))),
            html.Td(action_words(entry.action)),
            html.Td(html.Bdi(subject_words(entry))),
            html.Td([html.Div(html.Bdi(line)) for line in change_lines(entry.before, entry.after)]),
            html.Td(html.Bdi(entry.address, className="nv-mono")),
        ]
    )


def download_address(which: AuditFilter) -> str:
    """Where the entries that `which` leaves are to be had as CSV."""
    return f"/export/audit?{urlencode(filters_told(which))}"
