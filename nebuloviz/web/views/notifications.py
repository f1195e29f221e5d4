"""Notifications: channels, the delivery log, and the form of one channel with its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, format_datetime, lazy, ngettext, number, weekday_name
from nebuloviz.metrics.line_figures import LINE_FIGURES, SCHEMA_FIGURES, STREAM_FIGURES, figure
from nebuloviz.metrics.registry import METRICS
from nebuloviz.services.interfaces import (
    CHANNEL_KINDS,
    ChannelDraft,
    ChannelKind,
    ChannelView,
    MessageView,
    NotificationRule,
)
from nebuloviz.services.notification_rules import DAY_MINUTES, MAX_RULES, SEVERITIES
from nebuloviz.services.notification_words import clock_words, reason_words, rule_words, week_days
from nebuloviz.services.shown import segment_label
from nebuloviz.services.wording import severity_word
from nebuloviz.web.components import (
    badge,
    button,
    empty_state,
    icon,
    id_in_page,
    link_button,
    list_field,
    once_field,
    sent_values,
    table,
    text_field,
)
from nebuloviz.web.components.basic import Kind, given

NEW = "new"  # in the place of the number of a channel that is to be made
PAGE = 25
KIND_WORDS = {"mail": lazy("E-mail"), "slack": lazy("Slack-compatible chat"), "webhook": lazy("Webhook")}
_KIND_ICONS = {"mail": "envelope", "slack": "chat-left-text", "webhook": "plug"}
_STATES: dict[str, tuple[Any, Kind, str]] = {
    "waiting": (lazy("Waiting"), "accent", "hourglass-split"),
    "sent": (lazy("Sent"), "good", "check-circle"),
    "failed": (lazy("Failed"), "bad", "exclamation-octagon"),
    "dropped": (lazy("Dropped"), "neutral", "slash-circle"),
}
_GROUPS = (0, 5, 15, 60, 240, DAY_MINUTES)
_MOST = (1, 2, 4, 6, 12, 30, 60)
_STEP_MINUTES = 30
_NO_DIGEST = -1
_DAYS = frozenset("0123456")


# ---------------------------------------------------------------- the list


def channel_table(channels: Sequence[ChannelView]) -> Component:
    if not channels:
        return empty_state(
            _("No channel yet"),
            link_button(_("New channel"), f"/notifications/{NEW}", icon_name="plus-lg"),
            icon_name="send",
            hint=_("Get alerts by e-mail, in a chat or in another program as soon as they are raised."),
        )
    heads = (_("Name"), _("Kind"), _("Sends to"), _("Sends"), _("State"))
    return table(_("Channels"), heads, [_channel_row(view) for view in channels])


def _channel_row(view: ChannelView) -> Component:
    name = dcc.Link(html.Bdi(view.draft.name), href=f"/notifications/{view.id}")
    shared = badge(_("Shared"), "neutral", icon_name="people") if view.shared else None
    state = badge(_("On"), "good", icon_name="check-circle") if view.draft.enabled else badge(_("Off"), "neutral")
    told = [rule_words(rule) for rule in view.draft.rules]
    if view.draft.digest_at is not None:
        told.append(_("Daily digest, {time}", time=clock_words(view.draft.digest_at)))
    rules = html.Div([html.Div(words) for words in told], className="nv-muted")
    return html.Tr(
        [
            html.Th(html.Div([name, shared], className="nv-row"), scope="row"),
            html.Td([icon(_KIND_ICONS[view.kind]), " ", str(KIND_WORDS[view.kind])]),
            html.Td(html.Bdi(view.target or _("your own address"))),
            html.Td(rules, className="nv-cell-words"),
            html.Td(state),
        ]
    )


# ---------------------------------------------------------------- the delivery log


def message_table(messages: Sequence[MessageView]) -> Component:
    if not messages:
        hint = _("Each message is listed here with its result.")
        return empty_state(_("Nothing was sent yet"), icon_name="inbox", hint=hint)
    heads = (_("Created"), _("Channel"), _("Alerts"), _("State"), _("Attempts"), _("Result"))
    return table(_("Delivery log"), heads, [_message_row(message) for message in messages])


def _message_row(message: MessageView) -> Component:
    words, kind, icon_name = _STATES[message.state]
    return html.Tr(
        [
            html.Td(
                html.Time(format_datetime(message.created_at), dateTime=message.created_at.isoformat()),
                className="nv-cell-time",
            ),
            html.Th([icon(_KIND_ICONS[message.kind]), " ", html.Bdi(message.channel)], scope="row"),
            html.Td(_("Digest") if message.about == "digest" else number(message.alerts), className="nv-num"),
            html.Td(badge(str(words), kind, icon_name=icon_name)),
            html.Td(number(message.attempts), className="nv-num"),
            html.Td(_outcome_words(message), className="nv-muted nv-cell-words"),
        ]
    )


def _outcome_words(message: MessageView) -> str:
    said = reason_words(message.reason, message.status)
    if message.state == "waiting" and message.attempts:
        following = _("Next attempt: {when}.", when=format_datetime(message.next_at))
        return f"{said} {following}".strip()
    if message.state == "sent" and message.done_at is not None:
        return format_datetime(message.done_at)
    return said


# ---------------------------------------------------------------- one channel


def field_id(name: Any) -> dict[str, Any]:
    return {"type": "notification-field", "of": name}


def choice_id(name: Any) -> dict[str, Any]:
    """Of what only a new channel has to choose: its kind, and whether it is shared."""
    return {"type": "notification-choice", "of": name}


def rule_id(rule: Any, name: Any) -> dict[str, Any]:
    return {"type": "notification-rule", "rule": rule, "of": name}


def remove_id(rule: Any) -> dict[str, Any]:
    return {"type": "notification-rule-remove", "rule": rule}


def channel_form(view: ChannelView | None, segments: Mapping[str, str], *, manager: bool) -> Component:
    """What is decided of a channel; `view` None for a new one. `segments`: what alerts can be confined to, with its words."""
    draft = view.draft if view else ChannelDraft("", enabled=True)
    kind = view.kind if view else "mail"
    choice = [] if view else [_kind_field()]
    if manager and view is None:
        choice.append(_switch(choice_id("shared"), _("For the whole installation"), on=False))
    fields = [
        *choice,
        text_field(field_id("name"), _("Name"), draft.name, most=80),
        html.Div(target_field(kind, view), id="notification-target"),
        _list(
            field_id("group_minutes"),
            _("At most one message"),
            _options(_GROUPS, draft.group_minutes, _group_words),
            draft.group_minutes,
        ),
        _list(
            field_id("most_per_hour"),
            _("Maximum messages per hour"),
            _options(_MOST, draft.most_per_hour, number),
            draft.most_per_hour,
        ),
        _list(field_id("digest_at"), _("Daily digest, by e-mail"), _digest_times(draft), _digest_choice(draft)),
        _switch(field_id("enabled"), _("On"), on=draft.enabled),
    ]
    rules = html.Div(rule_cards(draft.rules, segments), id="notification-rules", className="nv-stack")
    add = button(_("Another rule"), id="notification-rule-add", icon_name="plus-lg")
    save = button(_("Save") if view else _("Create"), id="notification-save", kind="primary")
    return html.Div(
        [
            html.Div(fields, className="nv-mapping nv-mapping-wide"),
            html.H3(_("What to send, and when"), className="nv-card-title"),
            rules,
            html.Div([add, save], className="nv-form-actions"),
        ],
        className="nv-stack",
    )


def _kind_field() -> Component:
    options = [{"label": str(words), "value": kind} for kind, words in KIND_WORDS.items()]
    return _list(choice_id("kind"), _("Kind"), options, "mail")


def target_field(kind: str, view: ChannelView | None, *, shared: bool = False) -> Component:
    """Where it goes; a URL that is stored is not shown again."""
    shared = view.shared if view else shared
    if kind == "mail" and not shared:
        words = html.P(_("E-mails go to the address of your account."), className="nv-help")
        return html.Div([html.Span(_("Sends to"), className="nv-label"), words], className="nv-field")
    label = _("E-mail address") if kind == "mail" else _("URL")
    value = view.target if view and kind == "mail" else ""
    hint = _("Stored for {host}; type another to replace it", host=view.target) if view and kind != "mail" else ""
    field = dcc.Input(
        id=field_id("target"), value=value, placeholder=hint, maxLength=1000, autoComplete="off", className="nv-input"
    )
    return html.Div([html.Label(label, htmlFor=id_in_page(field_id("target"))), field], className="nv-field")


def rule_cards(rules: Sequence[NotificationRule], segments: Mapping[str, str]) -> list[Component]:
    """A card for each rule; without any, what that means."""
    if not rules:
        return [
            html.P(_("This channel sends no alerts: without a rule, it sends only the digest."), className="nv-help")
        ]
    return [_rule_card(place, rule, segments) for place, rule in enumerate(rules)]


def _rule_card(place: int, rule: NotificationRule, segments: Mapping[str, str]) -> Component:
    levels = [{"label": severity_word(level), "value": level} for level in SEVERITIES]
    metrics = [{"label": str(figure(slug).label), "value": slug} for slug in _slugs(rule)]
    chosen = [f"{name}={value}" for name, values in rule.segment for value in values]
    known = {**segments, **{key: segments.get(key, _segment_words(key)) for key in chosen}}
    parts = [{"label": words, "value": key} for key, words in known.items()]
    days = [{"label": weekday_name(day), "value": str(day)} for day in week_days()]
    clock = [{"label": clock_words(minutes), "value": minutes} for minutes in _clock(rule)]
    remove = button(_("Remove this rule"), id=remove_id(place), icon_name="trash", kind="quiet", icon_only=True)
    title = _("Rule {number}", number=number(place + 1))
    fields = [
        _list(rule_id(place, "least"), _("Minimum severity"), levels, rule.least),
        _many(rule_id(place, "metrics"), _("Metrics"), metrics, list(rule.metrics), _("All")),
        _many(rule_id(place, "segment"), _("Segments"), parts, chosen, _("All")),
        html.Div(
            [
                html.Span(_("Days"), className="nv-label"),
                dcc.Checklist(
                    id=rule_id(place, "days"), options=days, value=list(map(str, rule.days)), className="nv-days", inline=True,
                ),
            ],
            className="nv-field nv-field-wide", role="group", **given(aria_label=_("Days")),
        ),
        _list(rule_id(place, "begin"), _("From"), clock, rule.begin),
        _list(rule_id(place, "end"), _("Until (same as From: all day)"), clock, rule.end),
        _switch(rule_id(place, "over"), _("Also notify when it is over"), on=rule.over),
        _switch(rule_id(place, "critical_always"), _("Critical alerts at any time"), on=rule.critical_always),
    ]  # fmt: skip
    head = html.Div([html.Span(title, className="nv-label"), remove], className="nv-rule-head")
    return html.Div(
        [head, html.Div(fields, className="nv-mapping nv-mapping-wide")],
        className="nv-rule",
        role="group",
        **given(aria_label=title),
    )


def _slugs(rule: NotificationRule) -> list[str]:
    """Of the metrics that alerts may be about, and those that the rule names already."""
    return list(
        dict.fromkeys(
            [*(metric.slug for metric in METRICS), *LINE_FIGURES, *STREAM_FIGURES, *SCHEMA_FIGURES, *rule.metrics]
        )
    )


def _segment_words(key: str) -> str:
    name, _equals, value = key.partition("=")
    return segment_label(name, value)


def _clock(rule: NotificationRule) -> list[int]:
    return sorted({*range(0, DAY_MINUTES, _STEP_MINUTES), rule.begin, rule.end})


def _digest_times(draft: ChannelDraft) -> list[dict[str, Any]]:
    times = sorted({*range(0, DAY_MINUTES, _STEP_MINUTES), *([] if draft.digest_at is None else [draft.digest_at])})
    return [
        {"label": _("No digest"), "value": _NO_DIGEST},
        *({"label": clock_words(each), "value": each} for each in times),
    ]


def _digest_choice(draft: ChannelDraft) -> int:
    return _NO_DIGEST if draft.digest_at is None else draft.digest_at


def _group_words(minutes: int) -> str:
    if minutes == 0:
        return _("for each alert, at once")
    if minutes < 60:
        return ngettext("in {count} minute", "in {count} minutes", minutes, count=number(minutes))
    hours = minutes // 60
    return ngettext("in {count} hour", "in {count} hours", hours, count=number(hours))


def _options(usual: Sequence[int], chosen: int, words: Any) -> list[dict[str, Any]]:
    return [{"label": words(value), "value": value} for value in sorted({*usual, chosen})]


def _list(id: dict[str, Any], label: str, options: Sequence[Any], value: Any) -> Component:
    return list_field(id, label, options, value, clearable=False, searchable=False, maxHeight=280)


def _many(id: dict[str, Any], label: str, options: Sequence[Any], value: Any, nothing: str) -> Component:
    return list_field(id, label, options, value, multi=True, searchable=True, placeholder=nothing, maxHeight=280)


def _switch(id: dict[str, Any], label: str, *, on: bool) -> Component:
    switch: Component = dbc.Switch(id=id, label=label, value=on, className="nv-switch")
    return html.Div(switch, className="nv-field nv-field-end")


def actions(view: ChannelView) -> Component:
    """A test, and taking it away."""
    test = button(_("Send a test"), id="notification-test", icon_name="send")
    delete = dcc.ConfirmDialogProvider(
        button(_("Delete"), icon_name="trash", kind="danger"),
        id="notification-delete",
        message=_("Delete {name}, with its log? This cannot be undone.", name=view.draft.name),
    )
    saved = html.Span(_("Uses the saved channel: save your changes first."), className="nv-help")
    return html.Div(
        [html.Div([test, delete], className="nv-row"), saved, html.Div(id="notification-result", role="status")],
        className="nv-stack",
    )


def made_secret(secret: str) -> Component:
    """The key that a webhook's messages are signed with, which is never shown again."""
    words = _("Copy it now: it is not shown again. Messages are signed with it, so the receiver can verify them.")
    return html.Div(
        [
            html.Strong(_("Signing key")),
            html.P(words, className="nv-help"),
            once_field("notification-secret", _("Signing key"), secret),
        ],
        className="nv-made",
    )


def kind_of(value: object) -> ChannelKind:
    return value if value in CHANNEL_KINDS else "mail"


def draft_of(ids: object, values: object, rule_ids: object, rule_values: object) -> ChannelDraft:
    """What the form says; whatever else a browser says is left out."""
    said = sent_values(ids, values)
    usual = ChannelDraft("")
    digest = _number(said.get("digest_at"), _NO_DIGEST)
    return ChannelDraft(
        _text(said.get("name")),
        _text(said.get("target")),
        tuple(rules_of(rule_ids, rule_values)),
        bool(said.get("enabled")),
        _number(said.get("group_minutes"), usual.group_minutes),
        _number(said.get("most_per_hour"), usual.most_per_hour),
        None if digest == _NO_DIGEST else digest,
    )


def rules_of(ids: object, values: object) -> list[NotificationRule]:
    """The rules of the form, in their order."""
    pairs = zip(ids, values, strict=False) if isinstance(ids, list) and isinstance(values, list) else ()
    found: dict[int, dict[str, Any]] = {}
    for id, value in pairs:
        if isinstance(id, dict) and isinstance(id.get("rule"), int):
            found.setdefault(id["rule"], {})[str(id.get("of"))] = value
    return [_rule(found[place]) for place in sorted(found)][: MAX_RULES + 1]


def _rule(said: Mapping[str, Any]) -> NotificationRule:
    segment: dict[str, list[str]] = {}
    for key in _texts(said.get("segment")):
        name, _equals, value = key.partition("=")
        segment.setdefault(name, []).append(value)
    return NotificationRule(
        _text(said.get("least")) or "low",
        tuple(_texts(said.get("metrics"))),
        tuple((name, tuple(values)) for name, values in segment.items()),
        bool(said.get("over")),
        tuple(int(day) for day in _texts(said.get("days")) if day in _DAYS),
        _number(said.get("begin"), 0),
        _number(said.get("end"), 0),
        bool(said.get("critical_always")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
