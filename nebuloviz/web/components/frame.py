"""The frame around every page: skip link, rail, top bar, grid, and the help on keyboard shortcuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import LazyText, _, lazy
from nebuloviz.web.components.basic import Child, Children, Id, button, given, icon
from nebuloviz.web.components.cards import card
from nebuloviz.web.components.states import skeleton_table

#: The id that the skip link leads to.
CONTENT_ID, MAIN_ID = "nv-content", "nv-main"
#: Types of the ids of the rail's links and of their counts; the other key, `path`, is the page's.
RAIL_LINK, RAIL_COUNT = "rail-link", "rail-count"
_REST_ID, _ON_PHONES = "nv-rail-rest", 4
SHORTCUTS: tuple[tuple[str, LazyText], ...] = (
    ("/", lazy("Search")),
    ("g o", lazy("Go to Overview")),
    ("g e", lazy("Go to Explore")),
    ("g i", lazy("Go to Insights")),
    ("g a", lazy("Go to Alerts")),
    ("g d", lazy("Go to Data")),
    ("j k", lazy("Next and previous alert in the list")),
    ("a", lazy("Acknowledge the alert")),
    ("r", lazy("Resolve the alert")),
    ("s", lazy("Snooze the alert")),
    ("t", lazy("Light or dark")),
    ("?", lazy("This help")),
)


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry of the rail. `href`: the page's path, and a query if need be. `shortcut`: keys, as in `SHORTCUTS`.

    `count`: unread alerts and the like; 0 shows nothing.
    """

    label: str | LazyText
    href: str
    icon_name: str
    shortcut: str = ""
    count: int = 0


def skip_link() -> html.A:
    """The first stop of the Tab key: past the rail, to the content."""
    return html.A(_("Skip to content"), href=f"#{CONTENT_ID}", className="nv-skip")


def rail(items: Sequence[NavItem], active_href: str = "", *, name: str = "NebuloViz", logo: str = "") -> html.Nav:
    """The main navigation; collapses to icons on narrow screens, and becomes a bar at the bottom on phones.

    It begins with the installation's `name`, and what is at the address `logo` ('' for our own sign). On phones there is room
    for `_ON_PHONES` entries; a button folds the others out.
    """
    entries = [html.Li(_entry(item, active=item.href == active_href)) for item in items]
    folded = len(entries) if len(entries) <= _ON_PHONES + 1 else _ON_PHONES
    return html.Nav(
        [
            dcc.Link(
                [
                    _brand_mark(logo),
                    html.Span(name, className="nv-rail-label"),
                ],
                href="/",
                className="nv-brand",
                title=name,
            ),
            html.Ul(entries[:folded], className="nv-rail-items"),
            *(_more(entries[folded:]) if entries[folded:] else ()),
        ],
        className="nv-rail",
        **given(aria_label=_("Main")),
    )


def _brand_mark(logo: str) -> Component:
    if logo:
        return html.Img(src=logo, alt="", className="nv-logo")
    return html.Span(className="nv-brand-mark", **given(aria_hidden="true"))


def _more(entries: Sequence[Component]) -> tuple[Component, Component]:
    """What phones fold away, and the button that folds it out; shell.js answers it."""
    label = html.Span(_("More"), className="nv-rail-label")
    toggle = html.Button(
        [icon("three-dots"), label],
        type="button",
        className="nv-rail-item nv-rail-more",
        **given(aria_expanded="false", aria_controls=_REST_ID),
    )
    return html.Ul(list(entries), id=_REST_ID, className="nv-rail-items nv-rail-rest"), toggle


def _entry(item: NavItem, *, active: bool) -> dcc.Link:
    path = item.href.partition("?")[0]
    count = ("" if item.count == 0 else str(item.count)) if item.count < 100 else "99+"
    parts: list[Child] = [
        icon(item.icon_name),
        html.Span(str(item.label), className="nv-rail-label"),
        html.Span(count, id={"type": RAIL_COUNT, "path": path}, className="nv-rail-count nv-num"),
        html.Span(_("current page"), className="visually-hidden nv-rail-current"),
    ]
    return dcc.Link(
        parts,
        id={"type": RAIL_LINK, "path": path},
        href=item.href,
        className="nv-rail-item" + (" nv-active" if active else ""),
        title=f"{item.label} ({item.shortcut})" if item.shortcut else str(item.label),
    )


def topbar(filters: Children, *, end: Sequence[Component] = ()) -> html.Header:
    """The bar above the content: the filter bar, and at its end the data's age and what else concerns all pages."""
    return html.Header(
        [html.Div(filters, className="nv-filterbar"), html.Div(list(end), className="nv-topbar-end")],
        className="nv-topbar",
    )


def theme_button(id: Id = None) -> html.Button:
    """Switches between light and dark and remembers it in a cookie.

    Without an `id` the browser answers it alone; with one, give it the clientside callback `nebuloviz.toggleTheme`, whose
    result, the theme, redraws the charts.
    """
    action = given(data_nv_action=None if id is not None else "theme", data_nv_theme="")
    return button(_("Light or dark"), id=id, icon_name="circle-half", kind="quiet", icon_only=True, **action)


def help_dialog() -> html.Dialog:
    """The keyboard shortcuts; clientside.js opens it on `?`."""
    rows = [
        html.Div(
            [html.Dt([html.Kbd(key) for key in keys.split()], dir="ltr"), html.Dd(str(words))], className="nv-shortcut"
        )
        for keys, words in SHORTCUTS
    ]
    return html.Dialog(
        [
            html.Header(
                [
                    html.H2(_("Keyboard shortcuts"), className="nv-card-title"),
                    button(_("Close"), icon_name="x-lg", kind="quiet", icon_only=True, **given(data_nv_action="close")),
                ],
                className="nv-card-head",
            ),
            html.Dl(rows, className="nv-shortcuts"),
        ],
        id="nv-help",
        className="nv-dialog",
        **given(aria_label=_("Keyboard shortcuts")),
    )


def looking_bar(name: str, role: str) -> html.Div:
    """Says, on every page and as long as it lasts, that an administrator looks through the eyes of the user called `name`."""
    words = _("Viewing as {name} ({role}). Nothing can be changed.", name=name, role=role)
    stop = html.Button([icon("x-lg"), html.Span(_("Stop"))], className="nv-button nv-button-primary")
    return html.Div(
        [icon("eye"), html.Span(html.Bdi(words)), html.Form(stop, action="/view-as/stop", method="post")],
        className="nv-looking",
        role="status",
    )


def page(children: Children, *, filtered: bool = True, ranged: bool = False) -> html.Div:
    """A page's content on the grid of twelve columns; its cards say how many they span.

    Without `filtered` the page shows nothing that range, comparison and filters would change, and the bar leaves them out; with
    `ranged` it leaves the range, which changes the page.
    """
    bar = "" if filtered else " nv-ranged" if ranged else " nv-unfiltered"
    return html.Div(children, className=f"nv-grid{bar}")


def record_page(name: str, header: Component, title: str, stores: Mapping[str, Any], *between: Component) -> html.Div:
    """The page of one thing that is looked after, whose parts callbacks fill: `<name>-head`, `-message`, `-form` and `-rest`."""
    return page(
        [
            *(dcc.Store(id=id, data=data) for id, data in stores.items()),
            html.Div(header, id=f"{name}-head", className="nv-span-12"),
            html.Div(id=f"{name}-message", className="nv-span-12", role="status"),
            *between,
            card(title, html.Div(skeleton_table(6, 3), id=f"{name}-form"), span=12),
            html.Div(id=f"{name}-rest", className="nv-span-12"),
        ],
        filtered=False,
    )


def frame(rail_part: Component, topbar_part: Component, content: Children, messages: Children = None) -> html.Div:
    """Rail, top bar and content in their places, with landmarks, help, and the toasts' corner, where `messages` wait."""
    return html.Div(
        [
            skip_link(),
            rail_part,
            html.Div(
                [topbar_part, html.Main(content, id=CONTENT_ID, tabIndex=-1, className="nv-content")],
                id=MAIN_ID,
                className="nv-main",
            ),
            html.Div(
                [html.Div(messages), html.Div(id="nv-toasts", **given(aria_live="polite"))], className="nv-toasts"
            ),
            help_dialog(),
        ],
        className="nv-frame",
    )
