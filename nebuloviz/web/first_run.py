"""The first thing an administrator sees: an own password, and what holds in the whole installation. Works without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from nebuloviz.errors import FormExpired, InvalidInput, NebuloVizError, NotSignedIn, StaleVersion, TooManyRequests
from nebuloviz.i18n import current
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import SettingsRecord, UserView
from nebuloviz.services.interfaces.installation import ENTRIES
from nebuloviz.services.setting_entries import Choice
from nebuloviz.web import sessions
from nebuloviz.web.access import route
from nebuloviz.web.context import ask, current_actor, current_user, installation, services, writing
from nebuloviz.web.forms import check_csrf, form_page, new_password

ASKED = ("language", "time_zone", "currency", "week_start", "fiscal_year_start")


def install_first_run(server: Flask) -> None:
    """The page /first-run, to which the guard leads whoever has to choose a password before anything was decided."""

    @route(server, "/first-run", Permission.SETTINGS_MANAGE, methods=["GET", "POST"])
    def first_run() -> ResponseReturnValue:
        return _decide() if request.method == "POST" else _page()


def _decide() -> ResponseReturnValue:
    must_change = current_user().must_change_password
    try:
        check_csrf()
        user = _stored(new_password() if must_change else "")
    except (InvalidInput, NotSignedIn, FormExpired, StaleVersion, TooManyRequests) as error:
        return _page(error)
    if must_change:
        sessions.begin(user)
    return redirect("/", 303)


def _stored(password: str) -> UserView:
    """Store all of the form or nothing; the administrator's own language and zone are those that were chosen."""
    with writing() as session:
        actor, all_ = current_actor(), services()
        record = all_.settings.get(session, actor)
        chosen = _chosen(record)
        all_.settings.change(session, actor, record.version, chosen)
        values = installation().with_({name: value for name, value in chosen.items() if value is not None})
        user = all_.profile.change(session, actor, language=values.language, time_zone=values.time_zone)
        if password:
            old = request.form.get("current", "")
            user = all_.auth.change_password(session, actor.user_id, old, password)
    return user


def _chosen(record: SettingsRecord) -> dict[str, Any]:
    """What was chosen of what is not the environment's; what is no number stays text, which does not fit then."""
    given = {name: request.form[name] for name in ASKED if name in request.form and name not in record.fixed}
    return {name: _typed(ENTRIES[name].kind, text) for name, text in given.items()}


def _typed(kind: Any, text: str) -> Any:
    whole = isinstance(kind, Choice) and kind.whole and text.isascii() and text.isdecimal() and len(text) < 4
    return int(text) if whole else text


def _page(error: NebuloVizError | None = None) -> ResponseReturnValue:
    record = ask(services().settings.get)
    user = current_user()
    shown = {name: request.form.get(name, str(_suggested(name, record))) for name in ASKED}
    return form_page(
        "first_run.html",
        error,
        required=user.must_change_password,
        username=user.username,
        fields=[(ENTRIES[name], _options(name, record), shown[name], name in record.fixed) for name in ASKED],
    )


def _suggested(name: str, record: SettingsRecord) -> Any:
    """The reader's own language before anybody has decided on one; else what holds."""
    undecided = name == "language" and name not in record.stored and name not in record.fixed
    return current().language if undecided else record.values.get(name)


def _options(name: str, record: SettingsRecord) -> Mapping[str, str]:
    """What can be chosen, as text; of the currency that sales have settled, only that."""
    kind = ENTRIES[name].kind
    options = kind.options() if isinstance(kind, Choice) else {}
    if name == "currency" and record.values.currency and "currency" not in record.stored:
        return {record.values.currency: record.values.currency}
    return {str(key): words for key, words in options.items()}
