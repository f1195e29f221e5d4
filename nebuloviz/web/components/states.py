"""What stands where data is not: skeletons in the shape of what comes, empty and error states, and the data's age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, listed, relative
from nebuloviz.web.components.basic import Child, Children, Id, button, given, icon, toast

#: Data that is older is no longer called live.
STALE_AFTER_SECONDS = 120


def empty_state(
    reason: Children, action: Component | None = None, *, icon_name: str = "inbox", hint: Children = None
) -> html.Div:
    """Why there is nothing to show, and the next step."""
    return _state("nv-state-empty", icon_name, reason, hint, [action] if action else [])


def nothing_matches(filters: Sequence[str], *, clear: Component | None = None) -> html.Div:
    """The empty state of filters that leave no sales; names them, and offers the way back."""
    named = listed(filters)
    reason = _("No sales match {filters}", filters=named) if filters else _("No sales in this range")
    hint = _("Remove a filter or choose a longer range.") if filters else _("Choose a longer range.")
    return empty_state(reason, clear, icon_name="funnel", hint=hint)


def error_state(
    what: Children, what_to_do: Children, *, retry_id: Id = None, old: Component | None = None, code: str = ""
) -> html.Div:
    """What failed and what to do, with a button to try again; `old` is the last good answer, kept below with its age."""
    actions = [button(_("Try again"), id=retry_id, icon_name="arrow-clockwise")] if retry_id is not None else []
    state = html.Div(
        _state("nv-state-error", "exclamation-octagon", what, what_to_do, actions, code=code), role="alert"
    )
    return state if old is None else html.Div([state, html.Div(old, className="nv-old")])


def _state(
    class_name: str, icon_name: str, title: Children, hint: Children, actions: Sequence[Component], code: str = ""
) -> html.Div:
    words: list[Component] = [html.P(title, className="nv-state-title")]
    if hint is not None:
        words.append(html.P(hint, className="nv-state-hint"))
    if code:
        words.append(html.P(html.Code(code, dir="ltr"), className="nv-state-hint"))
    return html.Div(
        [
            html.Div(icon(icon_name), className="nv-state-icon"),
            html.Div(words),
            html.Div(list(actions), className="nv-state-actions") if actions else None,
        ],
        className=f"nv-state {class_name}",
    )


def data_age(age_seconds: float | None, *, id: Id = None) -> html.Span:
    """How old the newest data is, for the top bar: a steady dot while it is live, words when it is not.

    The age alone stands in an attribute, from which the browser keeps that of the tiles (`shell.js`, tileAges).
    """
    if age_seconds is None:
        words, state = _("No data yet"), "none"
    elif age_seconds <= STALE_AFTER_SECONDS:
        words, state = _("Live · {age}", age=relative(age_seconds)), "live"
    else:
        words, state = _("Last sale {age}", age=relative(age_seconds)), "stale"
    return html.Span(
        [html.Span(className="nv-age-dot", **given(aria_hidden="true")), html.Span(words, className="nv-num")],
        className=f"nv-age nv-age-{state}",
        title=_("Time since the newest sale arrived"),
        **given(id=id, data_nv_age=None if age_seconds is None else relative(age_seconds)),
    )


def no_answer(patience_seconds: int) -> html.Span:
    """What stands in the place of `data_age` once the server has not answered for so long; the browser sees to that (`shell.js`)."""
    return html.Span(
        [
            html.Span(className="nv-age-dot", **given(aria_hidden="true")),
            html.Span(_("No answer from the server")),
        ],
        className="nv-age nv-age-silent",
        title=_("You are seeing the latest figures it sent. Retrying automatically."),
        role="status",
        **given(data_nv_patience=patience_seconds),
    )


def away() -> html.Div:
    """What stands above a page as long as `no_answer` does: that its figures are not of what has been chosen since."""
    words = _(
        "The server is not responding. You are seeing the latest figures it sent; your choices are applied as soon as it is back."
    )
    return html.Div([icon("wifi-off"), html.Span(words)], className="nv-away", role="status")


def waiting_messages() -> list[Component]:
    """What only the browser can tell of what was asked of the server (`answers.js`), as the server may not be there to say it."""
    said = html.Span(**given(data_nv_said=""))
    unanswered = _("The server is not responding. What you typed is still here: try again once it is back.")
    here = _("What you typed is still here. Sign in on another tab, then continue.")
    sign_in = html.A(_("Sign in"), href="/login", target="_blank")
    return [
        toast(said, "bad", title=_("This was not done"), id="shell-refused", hidden=True),
        toast(unanswered, "bad", title=_("This may not have been done"), id="shell-unanswered", hidden=True),
        toast([here, " ", sign_in], "bad", title=_("Your session has ended"), id="shell-ended", hidden=True),
        toast(_("Saved."), "good", id="shell-saved-words", hidden=True),
    ]


def skeleton_tile() -> html.Div:
    """The outline of a tile."""
    lines: list[Child] = [
        _line("40%"),
        _line("65%", "nv-skeleton-figure"),
        _line("80%"),
        _line("100%", "nv-skeleton-spark"),
    ]
    return html.Div(lines, className="nv-tile nv-skeleton", **_loading())


def skeleton_table(rows: int = 6, columns: int = 4) -> html.Div:
    """The outline of a table."""
    cells = [
        html.Div([_line("70%") for _column in range(columns)], className="nv-skeleton-row") for _row in range(rows)
    ]
    return html.Div(cells, className="nv-skeleton nv-skeleton-table", **_loading())


def skeleton_feed(count: int = 4) -> html.Div:
    """The outline of a list of alerts."""
    items = [html.Div([_line("30%"), _line("90%"), _line("45%")], className="nv-feed-item") for _item in range(count)]
    return html.Div(items, className="nv-skeleton nv-feed", **_loading())


def skeleton_page() -> list[html.Div]:
    """The outline of a page that is not known yet: a title, and what comes below it."""
    title = html.Div(_line("12rem", "nv-skeleton-figure"), className="nv-skeleton nv-span-12")
    return [title, html.Div(skeleton_feed(4), className="nv-card nv-span-12")]


def _line(width: str, class_name: str = "") -> html.Span:
    return html.Span(className=f"nv-skeleton-line {class_name}".strip(), style={"inlineSize": width})


def _loading() -> dict[str, Any]:
    return given(role="status", aria_busy="true", aria_label=_("Loading"))
