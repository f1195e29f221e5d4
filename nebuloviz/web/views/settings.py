"""The installation's settings: a form for each section, a field for each entry, by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _
from nebuloviz.services.interfaces import SettingsRecord
from nebuloviz.services.interfaces.installation import ENTRIES
from nebuloviz.services.setting_entries import SECTIONS, Choice, Choices, Entry, Number, Picture, Secret, Switch
from nebuloviz.web.components import badge, card, dropdown_texts, id_in_page, sent_values
from nebuloviz.web.components.basic import button, given, hidden, icon

_PICTURE_TYPE = "data:image/png;base64,"


def entries_of(section: str) -> dict[str, Entry]:
    return {name: entry for name, entry in ENTRIES.items() if entry.section == section}


def field_id(section: Any, name: Any) -> dict[str, Any]:
    return {"type": "settings-field", "section": section, "of": name}


def part_id(kind: str, section: Any) -> dict[str, Any]:
    """Of what a section has once: its body, its buttons."""
    return {"type": f"settings-{kind}", "section": section}


def picture_id(kind: str, section: Any, name: Any) -> dict[str, Any]:
    """Of what belongs to a picture: where it is dropped, shown, and taken away."""
    return {"type": f"settings-picture-{kind}", "section": section, "of": name}


def section_card(section: str, record: SettingsRecord, beside: Component | None = None) -> Component:
    """One section, under its title, at an address of its own; `beside` stands below the form."""
    form = html.Div(section_form(section, record), id=part_id("body", section), className="nv-stack")
    body = [form, beside] if beside else form
    return html.Div(card(SECTIONS[section], body, span=12), id=f"settings-{section}", className="nv-anchor")


def section_links() -> Component:
    """To each section of the page."""
    links = [
        html.A(str(title), href=f"#settings-{slug}", className="nv-button nv-button-quiet")
        for slug, title in SECTIONS.items()
    ]
    return html.Nav(links, className="nv-row nv-settings-nav", **given(aria_label=_("Sections")))


def section_form(
    section: str,
    record: SettingsRecord,
    typed: Mapping[str, Any] | None = None,
    problems: Mapping[str, str] | None = None,
) -> list[Component]:
    """The section's fields, with what was typed and what does not fit of it, and what can be done."""
    shown, wrong = typed or {}, problems or {}
    found = entries_of(section)
    fields = [
        _row(entry, shown.get(name, record.values.get(name)), record, wrong.get(name, ""))
        for name, entry in found.items()
    ]
    free = any(name not in record.fixed for name in found)
    decided = any(name in record.stored for name in found)
    actions = [
        button(_("Reset to defaults"), id=part_id("reset", section), kind="quiet", disabled=not decided),
        button(_("Save"), id=part_id("save", section), kind="primary", disabled=not free),
    ]
    return [*fields, html.Div(actions, className="nv-form-actions")]


def _row(entry: Entry, value: Any, record: SettingsRecord, problem: str) -> Component:
    """Label and help at the start, the control at the end."""
    fixed = entry.name in record.fixed
    told = [html.Span(str(entry.help), className="nv-help", id=f"settings-help-{entry.name}")]
    if fixed:
        told.append(badge(_("Set by an environment variable"), "neutral", icon_name="lock"))
    label: Component = html.Label(str(entry.label), htmlFor=id_in_page(field_id(entry.section, entry.name)))
    if isinstance(entry.kind, Choice | Choices | Picture):
        label = html.Span(str(entry.label), className="nv-label", id=f"settings-label-{entry.name}")
    control = [_with_unit(entry, _control(entry, value, fixed=fixed))]
    if problem:
        control.append(html.Span(problem, className="nv-error", role="alert"))
    return html.Div(
        [html.Div([label, *told], className="nv-setting-words"), html.Div(control, className="nv-setting-control")],
        className="nv-setting" + (" nv-setting-wrong" if problem else ""),
    )


def _with_unit(entry: Entry, control: Component) -> Component:
    """A number is as wide as numbers are, and its unit stands beside it."""
    if not isinstance(entry.kind, Number):
        return control
    unit = None if entry.unit is None else html.Span(str(entry.unit), className="nv-help")
    return html.Div([control, unit], className="nv-setting-unit")


def _control(entry: Entry, value: Any, *, fixed: bool) -> Component:
    kind, id = entry.kind, field_id(entry.section, entry.name)
    if isinstance(kind, Switch):
        switch: Component = dbc.Switch(id=id, value=bool(value), disabled=fixed)
        return switch
    if isinstance(kind, Choice | Choices):
        return _list(entry, value, fixed=fixed)
    if isinstance(kind, Picture):
        return _picture(entry, str(value or ""))
    if isinstance(kind, Number):
        return dcc.Input(
            id=id, value=value, type="number", disabled=fixed, className="nv-input", min=kind.least, max=kind.most,
            step="any" if kind.fractions else 1,
        )  # fmt: skip
    if isinstance(kind, Secret):
        words = _("Stored; type another to replace it") if value else ""
        return dcc.Input(
            id=id, value="", type="password", disabled=fixed, className="nv-input", placeholder=words,
            autoComplete="new-password", maxLength=kind.longest,
        )  # fmt: skip
    return dcc.Input(
        id=id,
        value=value,
        disabled=fixed,
        className="nv-input",
        autoComplete="off",
        maxLength=getattr(kind, "longest", 200),
    )


def _list(entry: Entry, value: Any, *, fixed: bool) -> Component:
    kind = entry.kind
    options = kind.options() if isinstance(kind, Choice | Choices) else {}
    many = isinstance(kind, Choices)
    control = dcc.Dropdown(
        id=field_id(entry.section, entry.name),
        options=[{"label": words, "value": key} for key, words in options.items()],
        value=list(value) if many else value,
        multi=many,
        clearable=False,
        searchable=len(options) > 12,
        disabled=fixed,
        labels=dropdown_texts(),
        className="nv-select",
    )
    return html.Div(control, role="group", **given(aria_labelledby=f"settings-label-{entry.name}"))


def _picture(entry: Entry, value: str) -> Component:
    section, name = entry.section, entry.name
    return html.Div(
        [
            dcc.Input(id=field_id(section, name), type="hidden", value=value),
            html.Div(picture_shown(value), id=picture_id("shown", section, name), className="nv-setting-picture"),
            dcc.Upload(
                button(_("Choose a file"), icon_name="image"),
                id=picture_id("upload", section, name),
                accept="image/png",
            ),
            button(_("Remove"), id=picture_id("remove", section, name), icon_name="x-lg", kind="quiet"),
        ],
        className="nv-row",
    )


def picture_shown(value: str) -> Component:
    if not value:
        return hidden(_("No picture"))
    return html.Img(src=_PICTURE_TYPE + value, alt=_("Picture"), className="nv-logo")


def typed_of(ids: object, values: object, section: str) -> dict[str, Any]:
    """What the section's form says, '' of a field without anything; a secret that was left alone is left out."""
    sent = sent_values(ids, values)
    return {
        name: "" if sent[name] is None else sent[name]
        for name, entry in entries_of(section).items()
        if name in sent and not (isinstance(entry.kind, Secret) and not sent[name])
    }


def outcome(words: str, *, good: bool) -> Component:
    """What came of a try."""
    sign = icon("check-circle" if good else "exclamation-octagon")
    return html.Span([sign, " ", words], className="nv-good" if good else "nv-error")


def mail_test_form() -> Component:
    """To whom a test goes; it takes what is stored."""
    field = dcc.Input(id="settings-mail-to", type="email", maxLength=254, className="nv-input")
    return html.Div(
        [
            html.Div(
                [
                    html.Label(_("Send a test to"), htmlFor="settings-mail-to"),
                    html.Span(_("Uses the saved settings: save your changes first."), className="nv-help"),
                ],
                className="nv-setting-words",
            ),
            html.Div(
                [field, button(_("Send a test"), id="settings-mail-test", icon_name="send")],
                className="nv-setting-control nv-setting-line",
            ),
            html.Div(id="settings-mail-result", role="status", className="nv-setting-result"),
        ],
        className="nv-setting",
    )
