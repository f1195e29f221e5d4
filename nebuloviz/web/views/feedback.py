"""What alerts were said to be: the card that asks, and the page of all that the detectors were taught by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, format_datetime, lazy, local, number
from nebuloviz.services.interfaces import EXPECTED_REASONS, AlertVerdict, AlertView, TaughtView
from nebuloviz.web.components import (
    alert_words,
    button,
    card,
    empty_state,
    link_button,
    list_field,
    series_words,
    table,
)
from nebuloviz.web.components.basic import given

REASON_ID, UNTIL_ID, UNJUDGE_ID = "alert-reason", "alert-until", "alert-unjudge"
BACK = "taught-back"
#: Verdict -> its words, its icon, and what it does.
VERDICTS = {
    "real": (
        lazy("Real"),
        "exclamation-triangle",
        lazy("Something was wrong. These hours do not count as normal."),
    ),
    "expected": (
        lazy("Expected"),
        "calendar-check",
        lazy("It was planned. These hours no longer alert and do not count as normal."),
    ),
    "false_alarm": (
        lazy("False alarm"),
        "bell-slash",
        lazy("Nothing was wrong. From now on, this series alerts only on something much rarer."),
    ),
    "new_normal": (
        lazy("New normal"),
        "arrow-up-right-square",
        lazy("It will stay like this. Only sales after the change count as normal."),
    ),
}
REASON_WORDS = {
    "promotion": lazy("Promotion"),
    "holiday": lazy("Holiday"),
    "price_change": lazy("Price change"),
    "other": lazy("Another reason"),
}
#: Choice -> its words, and how many days after today what is expected ends; None: with the alert.
_UNTIL = {
    "alert": (lazy("Only as long as the alert"), None),
    "today": (lazy("Until tonight"), 0),
    "tomorrow": (lazy("Until tomorrow night"), 1),
    "days": (lazy("For three more days"), 3),
    "week": (lazy("For a week"), 7),
    "weeks": (lazy("For two weeks"), 14),
    "month": (lazy("For four weeks"), 28),
}


def verdict_words(verdict: str) -> str:
    return str(VERDICTS[verdict][0])


def button_id(verdict: object) -> dict[str, object]:
    return {"type": "alert-verdict", "of": verdict}


def said(verdict: object, reason: object, until: object, now: datetime) -> AlertVerdict:
    """The verdict of a button, of which the lists' choices belong to an expected one; what is none the service refuses."""
    if verdict != "expected":
        return AlertVerdict(str(verdict))
    days = _UNTIL[until][1] if isinstance(until, str) and until in _UNTIL else None
    if days is None:
        return AlertVerdict("expected", str(reason))
    midnight = datetime.combine(local(now).date() + timedelta(days=days + 1), time(), tzinfo=local(now).tzinfo)
    return AlertVerdict("expected", str(reason), midnight)


def question(alert: AlertView) -> Component:
    """Asks what the alert was; or says what was answered, and takes it back."""
    answered = bool(alert.verdict)
    back = button(_("Undo"), id=UNJUDGE_ID, icon_name="arrow-counterclockwise", hidden=not answered)
    answer = (
        html.P([html.Strong(verdict_words(alert.verdict)), ". ", str(VERDICTS[alert.verdict][2])]) if answered else None
    )
    choices = html.Div([_choice(verdict) for verdict in VERDICTS], className="nv-verdicts", hidden=answered)
    taught = link_button(_("All feedback"), "/lessons", icon_name="mortarboard", kind="quiet")
    return card(_("What was it?"), [answer, choices, html.Div([back, taught], className="nv-verdict-row")], span=12)


def _choice(verdict: str) -> Component:
    words, icon_name, meaning = VERDICTS[verdict]
    means = f"alert-verdict-means-{verdict}"
    choose = button(str(words), id=button_id(verdict), icon_name=icon_name, **given(aria_describedby=means))
    extra = _expected_fields() if verdict == "expected" else []
    return html.Div([choose, html.P(str(meaning), id=means, className="nv-help"), *extra], className="nv-verdict")


def _expected_fields() -> list[Component]:
    reasons = [{"label": str(REASON_WORDS[reason]), "value": reason} for reason in EXPECTED_REASONS]
    ends = [{"label": str(words), "value": choice} for choice, (words, _days) in _UNTIL.items()]
    return [
        list_field(REASON_ID, _("Why"), reasons, "promotion", clearable=False, searchable=False),
        list_field(UNTIL_ID, _("Until when"), ends, "alert", clearable=False, searchable=False),
    ]


def taught_table(lessons: Sequence[TaughtView], *, manageable: bool) -> Component:
    """All verdicts that teach, newest first, each with the way back."""
    if not lessons:
        hint = _("On an alert's page, say what it was: real, expected, a false alarm, or a new normal.")
        return empty_state(_("No feedback yet"), icon_name="mortarboard", hint=hint)
    heads = (
        _("Series"),
        _("Alert"),
        _("Verdict"),
        _("What it does"),
        _("Who"),
        _("When"),
        *([""] if manageable else []),
    )
    rows = [_taught_row(lesson, manageable=manageable) for lesson in lessons]
    return table(_("Feedback to the detectors"), heads, rows)


def _taught_row(lesson: TaughtView, *, manageable: bool) -> Component:
    alert, verdict = lesson.alert, lesson.verdict
    words = [verdict_words(verdict.verdict), *([str(REASON_WORDS[verdict.reason])] if verdict.reason else [])]
    back = button(_("Undo"), id={"type": BACK, "of": alert.id}, icon_name="arrow-counterclockwise", kind="quiet")
    return html.Tr(
        [
            html.Th(html.Bdi(series_words(alert)), scope="row"),
            html.Td(dcc.Link(alert_words(alert), href=f"/alerts/{alert.id}")),
            html.Td(" · ".join(words)),
            html.Td(effect_words(lesson)),
            html.Td(html.Bdi(lesson.username)),
            html.Td(format_datetime(lesson.at)),
            *([html.Td(back)] if manageable else []),
        ]
    )


def effect_words(lesson: TaughtView) -> str:
    """What a verdict does, in figures."""
    alert, until = lesson.alert, lesson.verdict.until
    match lesson.verdict.verdict:
        case "false_alarm":
            return _("Must be {times} times rarer to alert", times=number(lesson.bar))
        case "new_normal":
            return _("Expectation starts from {time}", time=format_datetime(alert.bucket_start))
        case "expected":
            return _(
                "No alerts, and not counted as normal, until {time}", time=format_datetime(until or alert.bucket_end)
            )
        case _:
            return _("These hours do not count as normal")
