"""The smallest parts: icons, buttons, chips, badges, page headers, lists of figures, progress and toasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, duration, number, percent

#: What Dash takes as a child: text (lazy too), a number, a component. Dash's own types know no lazy text.
Child = Any
#: One child or a sequence of them.
Children = Any
Id = str | dict[str, Any] | None
Kind = Literal["neutral", "accent", "good", "bad", "warn"]
ButtonKind = Literal["plain", "primary", "quiet", "danger"]

_KIND_ICONS: dict[Kind, str] = {
    "neutral": "info-circle",
    "accent": "info-circle",
    "good": "check-circle",
    "bad": "exclamation-octagon",
    "warn": "exclamation-triangle",
}


def given(**props: Any) -> dict[str, Any]:
    """`props` as Dash wants them: `aria_label` is `aria-label`, and what is None is left out.

    >>> given(id=None, aria_label="Close", title="x")
    {'aria-label': 'Close', 'title': 'x'}
    """
    return {_attribute(name): value for name, value in props.items() if value is not None}


def _attribute(name: str) -> str:
    return name.replace("_", "-") if name.startswith(("aria_", "data_")) else name


def icon(name: str) -> html.I:
    """A Bootstrap icon, for the eye only: the words beside it say what it means."""
    return html.I(className=f"bi bi-{name}", **given(aria_hidden="true"))


def hidden(words: Child) -> html.Span:
    """Words for screen readers that the eye gets otherwise."""
    return html.Span(words, className="visually-hidden")


def button(
    label: Child,
    *,
    id: Id = None,
    icon_name: str | None = None,
    kind: ButtonKind = "plain",
    icon_only: bool = False,
    **props: Any,
) -> html.Button:
    """A button. With `icon_only` the label is for screen readers and the tooltip. `props` go to `html.Button`."""
    classes = f"nv-button nv-button-{kind}" + (" nv-button-icon" if icon_only else "")
    if icon_only:
        props = {"title": label, **given(aria_label=label), **props}
    parts: list[Child] = [icon(icon_name) if icon_name else None, None if icon_only else html.Span(label)]
    return html.Button(
        [part for part in parts if part is not None], type="button", className=classes, **given(id=id), **props
    )


def turning_buttons(back: tuple[str, str], on: tuple[str, str], *, id: str, hidden: bool = False) -> html.Div:
    """Below a list in pages: the buttons to the page before and the following one, each as id and words."""
    buttons = [button(words, id=name, kind="quiet", disabled=True) for name, words in (back, on)]
    return html.Div(buttons, id=id, className="nv-form-actions nv-span-12", hidden=hidden)


def link_button(
    label: Child, href: str, *, icon_name: str | None = None, kind: ButtonKind = "plain", id: Id = None
) -> dcc.Link:
    """A link that looks like a button, to another page of the app. For downloads use `html.A` with class `nv-button`."""
    parts: list[Child] = [icon(icon_name) if icon_name else None, html.Span(label)]
    return dcc.Link(
        [part for part in parts if part is not None],
        href=href,
        className=f"nv-button nv-button-{kind}",
        **given(id=id),
    )


def chip(name: Child, value: str, *, id: Id = None, excluded: bool = False) -> html.Span:
    """One active filter: "Category: Dairy". With an `id` it bears a button of that id that takes the filter away."""
    joined = _("not") if excluded else ""
    parts: list[Child] = [
        html.Span([name, ":"], className="nv-chip-name"),
        html.Span(joined, className="nv-chip-not") if excluded else None,
        html.Bdi(value, className="nv-chip-value", title=value),
    ]
    if id is not None:
        label = _("Remove the filter {name}: {value}", name=str(name), value=value)
        parts.append(
            html.Button(
                icon("x"), id=id, type="button", className="nv-chip-remove", title=label, **given(aria_label=label)
            )
        )
    return html.Span([part for part in parts if part is not None], className="nv-chip")


def chips(items: Sequence[Component], *, clear_id: Id = None) -> html.Div:
    """Active filters in a row; with `clear_id` and more than one of them a button that takes all away."""
    children: list[Component] = [*items]
    if clear_id is not None and len(items) > 1:
        children.append(button(_("Clear all"), id=clear_id, kind="quiet"))
    return html.Div(children, className="nv-chips", role="group", **given(aria_label=_("Active filters")))


def badge(words: Child, kind: Kind = "neutral", *, icon_name: str | None = None) -> html.Span:
    """A word on a tinted ground, with an icon where the word alone would leave the tint to speak."""
    children: list[Child] = [icon(icon_name), words] if icon_name else [words]
    return html.Span(children, className=f"nv-badge nv-badge-{kind}")


def page_header(title: Child, *, subtitle: Children = None, actions: Sequence[Component] = ()) -> html.Header:
    """The page's only h1, a line below it, and the page's actions at the end."""
    words: list[Component] = [html.H1(title, className="nv-page-title")]
    if subtitle is not None:
        words.append(html.P(subtitle, className="nv-page-subtitle"))
    return html.Header(
        [html.Div(words), html.Div(list(actions), className="nv-page-actions")], className="nv-page-header"
    )


def kpi_list(items: Sequence[tuple[Child, Children]]) -> html.Dl:
    """Names and figures in pairs, such as rate, lag and age of a stream."""
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)], className="nv-kpi") for name, value in items], className="nv-kpis"
    )


def progress(
    done: float,
    total: float | None,
    *,
    label: Child,
    rate: float | None = None,
    seconds_left: float | None = None,
    unit: Child = None,
) -> html.Div:
    """How far a job is: bar, count, rate a second and time left. `total` None: how much there is, is not known yet."""
    share = min(max(done / total, 0.0), 1.0) if total else None
    of = _("{done} of {total}", done=number(done), total=number(total)) if total else number(done)
    notes: list[str] = [f"{of} {unit}" if unit else of]
    if rate is not None:
        notes.append(_("{rate}/s", rate=number(rate)))
    if seconds_left is not None and share != 1:
        notes.append(_("{time} left", time=duration(seconds_left)))
    return html.Div(
        [
            html.Div(
                [html.Span(label), html.Span(percent(share, 0) if share is not None else "", className="nv-num")],
                className="nv-progress-head",
            ),
            _bar(share, str(label)),
            html.Div(" · ".join(notes), className="nv-progress-notes nv-num"),
        ],
        className="nv-progress",
    )


def _bar(share: float | None, label: str) -> html.Div:
    done = None if share is None else round(share * 100)
    moving = "" if share is not None else " nv-progress-unknown"
    return html.Div(
        html.Div(className="nv-progress-fill", style={"inlineSize": f"{(1 if share is None else share) * 100:.1f}%"}),
        className=f"nv-progress-bar{moving}",
        role="progressbar",
        **given(aria_label=label, aria_valuemin=0, aria_valuemax=100, aria_valuenow=done),
    )


def toast(
    message: Children, kind: Kind = "neutral", *, title: Child = None, id: Id = None, hidden: bool | None = None
) -> html.Div:
    """A short message in the corner; the browser takes it away after a while, a click on its button at once.

    A `hidden` one waits until the browser has a reason to show it.
    """
    words: list[Component] = [html.Strong(title)] if title is not None else []
    close = _("Close")
    return html.Div(
        [
            icon(_KIND_ICONS[kind]),
            html.Div([*words, html.Div(message)], className="nv-toast-words"),
            html.Button(
                icon("x"), type="button", className="nv-button nv-button-quiet nv-button-icon",
                title=close, **given(aria_label=close, data_nv_dismiss="toast"),
            ),
        ],
        className=f"nv-toast nv-toast-{kind}",
        role="alert" if kind in {"bad", "warn"} else "status",
        **given(id=id, hidden=hidden),
    )  # fmt: skip
