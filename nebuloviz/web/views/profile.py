"""One's own profile: the form, where one is signed in, and tokens for programs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import (
    _,
    current,
    format_date,
    format_datetime,
    format_regions,
    lazy,
    listed,
    money,
    ngettext,
    number,
    relative,
    weekday_name,
    zone_names,
    zone_words,
)
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import (
    ApiTokenView,
    InstallationSettings,
    NewApiToken,
    ProfileChanges,
    SecondFactorState,
    SessionView,
    UserView,
)
from nebuloviz.services.shown import permission_words
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web.components import badge, button, empty_state, list_field, once_field, sent_values, table, text_field
from nebuloviz.web.components.basic import given, icon

#: What stands in a list for "as everybody has it", for a list's value is never empty.
FOLLOW = "-"
TOKEN_DAYS = (7, 30, 90, 180, 365)
THEME_WORDS = {"auto": lazy("System setting"), "light": lazy("Light"), "dark": lazy("Dark")}
_SAMPLE = 1234.5


def field_id(name: Any) -> dict[str, Any]:
    return {"type": "profile-field", "of": name}


def session_id(name: Any) -> dict[str, Any]:
    return {"type": "profile-session", "of": name}


def token_id(name: Any) -> dict[str, Any]:
    return {"type": "profile-token", "of": name}


# ---------------------------------------------------------------- the form


def profile_form(user: UserView, usual: InstallationSettings, pages: Mapping[str, str], at: datetime) -> Component:
    """What the user decides. `pages`: path -> name of those that signing in can lead to; `at`: now."""
    zone = _("Installation default: {name}", name=zone_words(usual.time_zone))
    day = _("Installation default: {name}", name=weekday_name(usual.week_start, "wide"))
    languages = {code: name for code, name in SUPPORTED_LANGUAGES.items() if code in usual.languages}
    days = {str(number_): weekday_name(number_, "wide") for number_ in range(7)}
    start = FOLLOW if user.week_start is None else str(user.week_start)
    themes = {name: str(words) for name, words in THEME_WORDS.items()}
    return html.Div(
        [
            html.Div(
                [
                    text_field(field_id("display_name"), _("Display name"), user.display_name, most=80),
                    _choice("language", _("Browser setting"), languages, user.language),
                    _choice("time_zone", zone, _zones(user.time_zone), user.time_zone, searchable=True),
                    _choice(
                        "format_region",
                        _("Usual for this language"),
                        format_regions(current().language),
                        user.format_region,
                        searchable=True,
                    ),
                    _choice("week_start", day, days, start),
                    _choice("theme", None, themes, user.theme),
                    _choice("landing_page", None, pages, user.landing_page or "/"),
                ],
                className="nv-mapping nv-mapping-wide",
            ),
            html.P(sample_words(at), id="profile-sample", className="nv-help", **given(aria_live="polite")),
            html.Div(button(_("Save"), id="profile-save", kind="primary"), className="nv-form-actions"),
        ],
        className="nv-stack",
    )


_LABELS = {
    "language": lazy("Language"),
    "time_zone": lazy("Time zone"),
    "format_region": lazy("Number and date format"),
    "week_start": lazy("Week starts on"),
    "theme": lazy("Theme"),
    "landing_page": lazy("First page after signing in"),
}


def _choice(
    name: str, follow: str | None, known: Mapping[str, str], value: str, *, searchable: bool = False
) -> Component:
    """A list; `follow` says what holds without a choice."""
    options = [{"label": words, "value": key} for key, words in known.items()]
    if follow is not None:
        options.insert(0, {"label": follow, "value": FOLLOW})
    chosen = value if value in known else FOLLOW if follow is not None else next(iter(known), None)
    return list_field(
        field_id(name), str(_LABELS[name]), options, chosen, clearable=False, searchable=searchable, maxHeight=320
    )


def _zones(chosen: str) -> Mapping[str, str]:
    names = zone_names() if not chosen or chosen in zone_names() else (chosen, *zone_names())
    return {name: zone_words(name) for name in names}


def sample_words(at: datetime) -> str:
    """What amounts and times look like with the preferences in force."""
    return _("Looks like this: {sample}", sample=f"{money(_SAMPLE)} · {format_datetime(at)}")


def changes_of(ids: object, values: object, pages: Collection[str]) -> ProfileChanges:
    """What the form says; whatever else a browser says is left out."""
    said = {name: value for name, value in sent_values(ids, values).items() if isinstance(value, str)}
    known = {name: "" if value == FOLLOW else value for name, value in said.items() if name in _LABELS}
    changes: dict[str, Any] = {
        name: value for name, value in known.items() if name not in {"week_start", "landing_page"}
    }
    if "display_name" in said:
        changes["display_name"] = said["display_name"]
    if "week_start" in known:
        day = known["week_start"]
        changes["week_start"] = int(day) if day.isdecimal() and len(day) == 1 else None
    if known.get("landing_page") in pages:
        changes["landing_page"] = "" if known["landing_page"] == "/" else known["landing_page"]
    return cast("ProfileChanges", changes)


# ---------------------------------------------------------------- password and second factor


def security(state: SecondFactorState, *, required: bool) -> Component:
    """The ways to a new password and to the second factor, which are plain pages that ask for the password once more."""
    if state.since is None:
        badge_ = badge(_("Off"), "warn" if required else "neutral", icon_name="shield")
        words = _("Besides your password, signing in takes a code from an app on your phone.")
        way = link(_("Set up"), "/second-factor", kind="primary")
    else:
        badge_ = badge(_("On"), "good", icon_name="shield-check")
        left = ngettext(
            "{count} recovery code is left.", "{count} recovery codes are left.", state.codes_left,
            count=number(state.codes_left),
        )  # fmt: skip
        words = _("Since {when}.", when=format_date(state.since)) + " " + left
        way = link(_("Change"), "/second-factor")
    return html.Div(
        [
            _security_row(
                _("Password"),
                None,
                _("Changing it signs you out everywhere else."),
                link(_("Change password"), "/password"),
            ),
            _security_row(_("Second factor"), badge_, words, way),
        ],
        className="nv-stack",
    )


def _security_row(title: str, state: Component | None, words: str, way: Component) -> Component:
    head = html.Div([html.Strong(title), state], className="nv-row")
    return html.Div([html.Div([head, html.P(words, className="nv-help mb-0")]), way], className="nv-security")


def link(label: str, href: str, kind: str = "plain") -> Component:
    """A link that looks like a button, to a page that is none of Dash's."""
    return html.A(label, href=href, className=f"nv-button nv-button-{kind}")


# ---------------------------------------------------------------- sessions


def session_table(sessions: Sequence[SessionView], own: str, now: datetime) -> Component:
    """Where one is signed in; each but this one can be ended."""
    heads = (_("Browser or program"), _("Address"), _("Signed in"), _("Last used"), "")
    return table(_("Where you are signed in"), heads, [_session_row(item, item.id == own, now) for item in sessions])


def _session_row(item: SessionView, own: bool, now: datetime) -> Component:  # noqa: FBT001 - of one row
    what = html.Div(
        [
            icon("display" if item.kind == "browser" else "terminal"),
            html.Bdi(agent_words(item.user_agent), title=item.user_agent),
        ],
        className="nv-row",
    )
    end = (
        badge(_("This one"), "accent", icon_name="check-circle")
        if own
        else button(_("End session"), id=session_id(item.id), icon_name="box-arrow-right", kind="quiet")
    )
    return html.Tr(
        [
            html.Th(what, scope="row"),
            html.Td(html.Bdi(item.address or "–", className="nv-mono")),
            html.Td(format_datetime(item.started_at)),
            html.Td(relative((now - item.last_used_at) / timedelta(seconds=1))),
            html.Td(end),
        ]
    )


_BROWSERS = (
    ("Edge", r"\bEdgA?/"),
    ("Opera", r"\bOPR/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(Firefox|FxiOS)/"),
    ("Chrome", r"\b(Headless)?(Chrome|CriOS)/"),
    ("Safari", r"\bSafari/"),
)
_SYSTEMS = (
    ("Android", r"\bAndroid\b"),
    ("iOS", r"\b(iPhone|iPad)\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMac OS X\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)


def agent_words(agent: str) -> str:
    """A browser and its system in two words, a program by the name that it gives itself.

    >>> (
    ...     agent_words("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ...     agent_words("python-httpx/0.28.1"),
    ... )
    ('Firefox, Linux', 'python-httpx/0.28.1')
    """
    named = [
        next((name for name, pattern in kinds if re.search(pattern, agent)), "") for kinds in (_BROWSERS, _SYSTEMS)
    ]
    return listed(filter(None, named)) or agent.partition(" ")[0][:60] or _("Unknown")


# ---------------------------------------------------------------- tokens


def token_table(tokens: Sequence[ApiTokenView]) -> Component:
    if not tokens:
        return empty_state(
            _("No token yet"),
            icon_name="key",
            hint=_("With a token, a script or notebook can use the API as you, within the limits you set."),
        )
    heads = (_("Name"), _("What it can do"), _("Created"), _("Valid until"), _("Last used"), "")
    return table(_("API tokens"), heads, [_token_row(token) for token in tokens])


def _token_row(token: ApiTokenView) -> Component:
    last = format_datetime(token.last_used_at) if token.last_used_at else _("never")
    revoke = dcc.ConfirmDialogProvider(
        button(_("Revoke"), icon_name="trash", kind="quiet"),
        id=token_id(str(token.id)),
        message=_("Revoke {name}? Programs that use it are refused at once.", name=token.name),
    )
    return html.Tr(
        [
            html.Th(html.Bdi(token.name), scope="row"),
            html.Td(listed(map(permission_words, token.permissions))),
            html.Td(format_date(token.created_at)),
            html.Td(format_date(token.expires_at)),
            html.Td(last),
            html.Td(revoke),
        ]
    )


def token_form(permissions: Collection[Permission]) -> Component:
    """For a new one, of at most the actor's own `permissions`."""
    options = [{"label": permission_words(item), "value": str(item)} for item in Permission if item in permissions]
    days = [
        {"label": ngettext("{count} day", "{count} days", count, count=number(count)), "value": str(count)}
        for count in TOKEN_DAYS
    ]
    return html.Div(
        [
            text_field("profile-token-name", _("Token name"), "", most=80),
            list_field(
                "profile-token-permissions", _("Permissions"), options, [Permission.DATA_READ.value], multi=True
            ),
            list_field("profile-token-days", _("Valid for"), days, "90", clearable=False, searchable=False),
            html.Div(button(_("Create token"), id="profile-token-make", icon_name="plus-lg"), className="nv-field-end"),
        ],
        className="nv-mapping nv-mapping-end",
    )


def made_token(made: NewApiToken) -> Component:
    """The token, which is never shown again."""
    row = once_field("profile-token-made", _("New token"), made.token)
    words = _("Copy it now: it is not shown again. Send it as Authorization: Bearer <token>.")
    return html.Div(
        [html.Strong(html.Bdi(made.view.name)), html.P(words, className="nv-help"), row], className="nv-made"
    )
