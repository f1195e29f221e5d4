"""What was found of each part of the installation, and all of it in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy, ngettext, number
from nebuloviz.services.interfaces import Finding, Level
from nebuloviz.web.components import badge, card
from nebuloviz.web.components.basic import Kind

_KINDS: dict[Level, tuple[Kind, str]] = {
    Level.GOOD: ("good", "check-circle"),
    Level.NOTE: ("warn", "info-circle"),
    Level.BAD: ("bad", "exclamation-octagon"),
}
LEVEL_WORDS = {Level.GOOD: lazy("OK"), Level.NOTE: lazy("Notice"), Level.BAD: lazy("Failing")}


def findings_card(findings: Sequence[Finding]) -> Component:
    """Every finding in its order, under what they come to."""
    return card(summary(findings), html.Dl([_row(finding) for finding in findings], className="nv-checks"), flush=True)


def summary(findings: Sequence[Finding]) -> str:
    """What the findings come to, the worst of them first."""
    failing = sum(finding.level is Level.BAD for finding in findings)
    if failing:
        return ngettext("One part needs attention", "{n} parts need attention", failing, n=number(failing))
    if any(finding.level is Level.NOTE for finding in findings):
        return _("Everything is working, with notes")
    return _("Everything is working")


def _row(finding: Finding) -> Component:
    kind, icon_name = _KINDS[finding.level]
    return html.Div(
        [
            html.Dt(finding.title),
            html.Dd(badge(str(LEVEL_WORDS[finding.level]), kind, icon_name=icon_name), className="nv-check-level"),
            html.Dd(finding.detail, className="nv-check-words"),
        ],
        className="nv-check",
    )
