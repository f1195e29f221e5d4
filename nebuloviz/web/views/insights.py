"""Findings in words: lists of them, the digest of a day, and the chart of Explore that shows what each one says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, bucket_label, date_range, lazy
from nebuloviz.services.interfaces import Digest, FindingKind, Insight
from nebuloviz.web.components import badge, card, empty_state
from nebuloviz.web.components.basic import icon
from nebuloviz.web.question import comparison_words
from nebuloviz.web.state import PageState

_KINDS: dict[FindingKind, tuple[str, object]] = {
    "change": ("graph-up", lazy("What changed")),
    "usual": ("rulers", lazy("Is it normal?")),
    "driver": ("sliders", lazy("What drove it")),
    "segment": ("pie-chart", lazy("Where")),
    "alert": ("bell", lazy("Alerts")),
    "pace": ("flag", lazy("At this pace")),
}
#: What leads somewhere: the weightiest of these is where to look first.
_TO_LOOK_AT = ("segment", "alert")
#: So many findings about the chosen range.
FINDINGS = 8


def findings(insights: Sequence[Insight]) -> Component:
    """What stands out, in words, each a link to the chart that shows it."""
    if not insights:
        return nothing_found()
    items = [
        html.Li(dcc.Link([icon("arrow-right-short"), html.Span(item.text)], href=address(item)), className="nv-finding")
        for item in insights
    ]
    return html.Ul(items, className="nv-findings")


def nothing_found() -> Component:
    return empty_state(
        _("Nothing stands out"),
        icon_name="check2-circle",
        hint=_("The biggest changes from the comparison period appear here."),
    )


def address(item: Insight) -> str:
    """Where what the finding says can be looked at: its alert, or Explore with the question that it was found by."""
    if item.alert_id:
        return f"/alerts/{item.alert_id}"
    query = item.query
    base = PageState(
        comparison=query.comparison, filters=query.filters, metrics=query.metrics[:1], by=query.dimensions[:2]
    )
    state = base.within(query.start, query.end).with_(grain=query.grain, over_time=not query.dimensions)
    return state.with_(ahead=item.kind == "pace").to_url("/explore")


def digest_cards(found: Digest) -> list[Component]:
    """The day, the week that it ends, and where the month and the quarter lead."""
    week = date_range(found.day - timedelta(days=6), found.day)
    lead = told(_("Outlook"), _("this month and this quarter"), found.ahead, span=12)
    return [
        told(bucket_label(found.day, "day"), _("compared with the same weekday a week earlier"), found.of_day, span=6),
        told(week, _("compared with the previous seven days"), found.of_week, span=6),
        *([lead] if found.ahead else []),
    ]


def range_card(words: str, state: PageState, found: Sequence[Insight]) -> Component:
    """The range that the page's filters ask for."""
    against = _("vs {comparison}", comparison=comparison_words(state.comparison or "previous"))
    return told(words, against, found, span=12)


def told(title: str, subtitle: str, found: Sequence[Insight], *, span: int) -> Component:
    """A card of findings: what changed above, below it the reasons, with the one to look at first marked."""
    if not found:
        return card(title, nothing_found(), subtitle=subtitle, span=span)
    weightiest = next((item for item in found if item.kind in _TO_LOOK_AT), None)
    items = [_told(item, look_here=item is weightiest) for item in found]
    return card(title, html.Ol(items, className="nv-told"), subtitle=subtitle, span=span)


def _told(item: Insight, *, look_here: bool) -> html.Li:
    icon_name, kind = _KINDS[item.kind]
    mark = badge(_("Look here first"), "accent") if look_here else None
    words = [
        html.Div([html.Span(str(kind), className="nv-told-kind"), mark], className="nv-told-head"),
        dcc.Link(item.text, href=address(item), className="nv-told-words"),
    ]
    return html.Li([icon(icon_name), html.Div(words)], className=f"nv-told-item nv-told-{item.kind}")


def subtitle(found: Digest, today: date) -> str:
    """Which day is told of, where that is not yesterday."""
    if found.day >= today - timedelta(days=1):
        return _("What changed, by how much and why. Click a sentence to see its chart.")
    return _("The latest sales are from {day}. Click a sentence to see its chart.", day=bucket_label(found.day, "day"))
