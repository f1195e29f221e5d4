"""The business calendar: what is planned, what was entered, opening hours, and the form of one entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, cast, get_args

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.detection.opening import OpeningHours
from nebuloviz.i18n import _, date_range, format_date, lazy, local, moment_range, weekday_name
from nebuloviz.services.interfaces import (
    CalendarDraft,
    CalendarEntryView,
    EntryKind,
    PlannedDays,
    PlannedTime,
    TaughtView,
)
from nebuloviz.services.notification_rules import DAY_MINUTES
from nebuloviz.services.notification_words import clock_words, week_days
from nebuloviz.services.shown import segment_label
from nebuloviz.web.components import (
    alert_words,
    badge,
    button,
    day_range,
    dropdown_texts,
    empty_state,
    link_button,
    list_field,
    series_words,
    table,
    text_field,
)
from nebuloviz.web.components.basic import Kind, given
from nebuloviz.web.figures import PlannedMark
from nebuloviz.web.views.feedback import REASON_WORDS

NEW = "new"  # in the place of the number of an entry that is to be made
KINDS: Mapping[EntryKind, tuple[Any, Kind, str, Any]] = {
    "closure": (
        lazy("Closed"), "neutral", "door-closed",
        lazy("Nothing is expected, no alert is raised, and nothing is learned from these days."),
    ),
    "promotion": (
        lazy("Promotion"), "accent", "tag",
        lazy("Higher sales raise no alert and do not count as normal; lower sales still raise one."),
    ),
    "holidays": (
        lazy("Public holidays"), "neutral", "flag",
        lazy("A country's public holidays, every year: closed, unless an entry says that you are open."),
    ),
    "open": (lazy("Open on a holiday"), "good", "door-open", lazy("These days are like any others, despite a public holiday.")),
}  # fmt: skip
_CLOSED = -1
_STEP_MINUTES = 30


# ---------------------------------------------------------------- lists


def agenda_table(planned: Sequence[PlannedDays]) -> Component:
    if not planned:
        hint = _("Add closures and promotions, and choose which public holidays apply.")
        return empty_state(_("Nothing is planned in these months"), icon_name="calendar3", hint=hint)
    heads = (_("When"), _("What"), _("Name"), _("Where"))
    rows = [
        html.Tr(
            [
                html.Td(_when(item.first, item.last), className="nv-cell-time"),
                html.Td(_kind_badge(item.kind)),
                html.Th(html.Bdi(item.name), scope="row"),
                html.Td(html.Bdi(_where(item.dimension, item.value))),
            ]
        )
        for item in planned
    ]
    return table(_("Planned"), heads, rows)


def entry_table(
    entries: Sequence[CalendarEntryView], countries: Mapping[str, str], *, manageable: bool, today: date
) -> Component:
    if not entries:
        new = link_button(_("New entry"), f"/calendar/{NEW}", icon_name="plus-lg") if manageable else None
        hint = _("Without entries, every closed day and every promotion looks like something gone wrong.")
        return empty_state(_("No entries yet"), new, icon_name="calendar-plus", hint=hint)
    heads = (_("Name"), _("What"), _("When"), _("Where"), _("Entered by"))
    rows = [_entry_row(view, countries, manageable=manageable, today=today) for view in entries]
    return table(_("Entries"), heads, rows)


def _entry_row(view: CalendarEntryView, countries: Mapping[str, str], *, manageable: bool, today: date) -> Component:
    draft = view.draft
    name: Any = html.Bdi(name_of(draft, countries))
    past = draft.last is not None and draft.last < today
    return html.Tr(
        [
            html.Th(dcc.Link(name, href=f"/calendar/{view.id}") if manageable else name, scope="row"),
            html.Td(_kind_badge(draft.kind)),
            html.Td(_when(draft.first, draft.last), className="nv-cell-time"),
            html.Td(html.Bdi(_where(draft.dimension, draft.value))),
            html.Td(html.Bdi(view.created_by), className="nv-muted"),
        ],
        className="nv-muted" if past else "",
    )


def expected_table(lessons: Sequence[TaughtView]) -> Component:
    """What people have said on alerts to be expected: the detectors go by it as by an entry."""
    said = [each for each in lessons if each.verdict.verdict == "expected"]
    if not said:
        hint = _("On an alert's page, mark it as expected, for example for a promotion that nobody had entered.")
        return empty_state(_("No alert was marked as expected"), icon_name="calendar-check", hint=hint)
    heads = (_("When"), _("What"), _("Alert"), _("Where"), _("Who"))
    return table(_("Alerts marked as expected"), heads, [_expected_row(each) for each in said])


def _expected_row(lesson: TaughtView) -> Component:
    alert, verdict = lesson.alert, lesson.verdict
    when = moment_range(alert.bucket_start, verdict.until or alert.bucket_end)
    return html.Tr(
        [
            html.Td(when, className="nv-cell-time"),
            html.Td(str(REASON_WORDS[verdict.reason])),
            html.Th(dcc.Link(alert_words(alert), href=f"/alerts/{alert.id}"), scope="row"),
            html.Td(html.Bdi(series_words(alert))),
            html.Td(html.Bdi(lesson.username), className="nv-muted"),
        ]
    )


def name_of(draft: CalendarDraft, countries: Mapping[str, str]) -> str:
    return countries.get(draft.country, draft.country) if draft.kind == "holidays" else draft.name


def _kind_badge(kind: EntryKind) -> Component:
    words, colour, icon_name, _about = KINDS[kind]
    return badge(str(words), colour, icon_name=icon_name)


def _when(first: date | None, last: date | None) -> str:
    if first is None or last is None:
        return _("Each year")
    return format_date(first) if first == last else date_range(first, last)


def _where(dimension: str, value: str) -> str:
    return segment_label(dimension, value) if dimension else _("All sales")


def marks(planned: Sequence[PlannedTime]) -> list[PlannedMark]:
    """As charts over time show them."""
    return [_mark(item) for item in planned]


def _mark(item: PlannedTime) -> PlannedMark:
    days = item.days
    start, end = (local(moment).replace(tzinfo=None) for moment in (item.start, item.end))
    words = _("Public holiday") if days.kind == "holidays" else str(KINDS[days.kind][0])
    name = days.name
    if days.dimension:
        name = _("{name} ({segment})", name=name, segment=segment_label(days.dimension, days.value))
    return PlannedMark(start, end, days.kind != "promotion", words, name)


# ---------------------------------------------------------------- opening hours


def hour_id(day: Any, end: Any) -> dict[str, Any]:
    return {"type": "calendar-hour", "day": day, "end": end}


def hours_form(hours: OpeningHours, *, manageable: bool) -> Component:
    said = bool(hours)
    usual = hours or ((9 * 60, 18 * 60),) * 5 + ((_CLOSED, 18 * 60),) * 2
    switch: Component = dbc.Switch(
        id="calendar-said", label=_("As entered here"), value=said, className="nv-switch", disabled=not manageable
    )
    about = _("Off: opening hours are learned from sales. On: no sales are expected outside these hours.")
    rows = [_day_row(day, *usual[day], manageable=manageable) for day in week_days()]
    save = html.Div(button(_("Save"), id="calendar-save-hours", kind="primary"), className="nv-form-actions")
    return html.Div(
        [
            html.Div([switch, html.P(about, className="nv-help")]),
            html.Div(table(_("Opening hours"), (_("Day"), _("From"), _("Until")), rows), className="nv-hours"),
            save if manageable else None,
            html.Div(id="calendar-hours-message", role="status"),
        ],
        className="nv-stack",
    )


def _day_row(day: int, begin: int, end: int, *, manageable: bool) -> Component:
    closed = begin in {end, _CLOSED}
    name = weekday_name(day, "wide")
    steps = range(0, DAY_MINUTES, _STEP_MINUTES)
    from_choices = [{"label": _("Closed"), "value": _CLOSED}, *_clock_choices({*steps, max(begin, 0)} - {DAY_MINUTES})]
    until_choices = _clock_choices({*steps, DAY_MINUTES, end})
    return html.Tr(
        [
            html.Th(name, scope="row"),
            html.Td(
                _clock_list(hour_id(day, "from"), _("{day}, from", day=name), from_choices, _CLOSED if closed else begin, manageable)
            ),
            html.Td(_clock_list(hour_id(day, "until"), _("{day}, until", day=name), until_choices, end, manageable)),
        ]
    )  # fmt: skip


def _clock_choices(minutes: set[int]) -> list[dict[str, Any]]:
    return [
        {"label": _("Midnight") if each == DAY_MINUTES else clock_words(each), "value": each}
        for each in sorted(minutes)
    ]


def _clock_list(id: dict[str, Any], label: str, choices: Sequence[Any], value: int, manageable: bool) -> Component:  # noqa: FBT001 - as it is handed through
    field = dcc.Dropdown(
        id=id,
        options=list(choices),
        value=value,
        clearable=False,
        searchable=False,
        disabled=not manageable,
        labels=dropdown_texts(),
        className="nv-select",
        maxHeight=280,
    )
    return html.Div(field, role="group", **given(aria_label=label))


def hours_of(ids: object, values: object) -> OpeningHours:
    """The hours of the form; whatever else a browser sends is left out, and a day that is not there is closed."""
    pairs = zip(ids, values, strict=False) if isinstance(ids, list) and isinstance(values, list) else ()
    found: dict[tuple[int, str], int] = {
        (id["day"], id["end"]): value
        for id, value in pairs
        if isinstance(id, dict) and {"day", "end"} <= id.keys() and type(id["day"]) is int and type(value) is int
    }
    week = [(found.get((day, "from"), _CLOSED), found.get((day, "until"), 0)) for day in range(7)]
    return tuple((0, 0) if begin == _CLOSED else (begin, end) for begin, end in week)


# ---------------------------------------------------------------- one entry


def entry_form(
    draft: CalendarDraft, segments: Mapping[str, str], countries: Mapping[str, str], *, confined: bool, new: bool
) -> Component:
    """What is decided of an entry. `confined`: its author sees some rows alone, and enters nothing of all sales."""
    kinds = [{"label": str(words), "value": kind} for kind, (words, *_rest) in KINDS.items()]
    chosen = f"{draft.dimension}={draft.value}" if draft.dimension else ""
    known = {**segments, **({chosen: segments.get(chosen, _where(draft.dimension, draft.value))} if chosen else {})}
    parts = [{"label": words, "value": key} for key, words in known.items()]
    whole = [] if confined else [{"label": _("All sales"), "value": ""}]
    fields = [
        list_field("calendar-kind", _("What"), kinds, draft.kind, clearable=False, searchable=False),
        list_field("calendar-segment", _("Where"), [*whole, *parts], chosen, clearable=False, searchable=True),
    ]
    save = button(_("Add") if new else _("Save"), id="calendar-save", kind="primary")
    return html.Div(
        [
            html.Div(fields, className="nv-mapping"),
            html.Div(kind_fields(draft, countries), id="calendar-fields", className="nv-stack"),
            html.Div(save, className="nv-form-actions"),
        ],
        className="nv-stack",
    )


def kind_fields(draft: CalendarDraft, countries: Mapping[str, str]) -> list[Component]:
    """What an entry of this kind asks for."""
    about = html.P(str(KINDS[draft.kind][3]), className="nv-help")
    holidays = draft.kind == "holidays"
    options = [{"label": name, "value": code} for code, name in countries.items()]
    country = list_field("calendar-country", _("Country"), options, draft.country or None, searchable=True)
    days = html.Div(
        [html.Span(_("Days"), className="nv-label"), day_range("calendar-days", draft.first, draft.last)],
        className="nv-field nv-field-wide nv-days",
        role="group",
        **given(aria_label=_("Days")),
    )
    named = [text_field("calendar-name", _("Name"), draft.name, most=80), days]
    return [
        about,
        html.Div(country, className="nv-mapping", hidden=not holidays),
        html.Div(named, className="nv-mapping", hidden=holidays),
    ]


def draft_of(
    kind: object, segment: object, name: object, first: object, last: object, country: object
) -> CalendarDraft:
    """What the form says; whatever else a browser says is left out."""
    dimension, _equals, value = _text(segment).partition("=")
    return CalendarDraft(kind_of(kind), _text(name), _day(first), _day(last), _text(country), dimension, value)


def kind_of(value: object) -> EntryKind:
    return cast("EntryKind", value) if value in get_args(EntryKind) else "closure"


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(_text(value)[:10])
    except ValueError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def removal(name: str) -> Component:
    return dcc.ConfirmDialogProvider(
        button(_("Remove"), icon_name="trash", kind="danger"),
        id="calendar-remove",
        message=_("Remove {name} from the calendar?", name=name),
    )
