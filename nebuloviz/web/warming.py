"""What is drawn before anybody asks for it: of many sales, to read all days for the first time takes seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Flask, g

from nebuloviz.i18n import use
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import UserView
from nebuloviz.web.context import SignedIn, ask, nobody_looks, services
from nebuloviz.web.hooks import usual_preferences

#: Of fewer sales the first page takes no longer than to load what draws it.
MANY_LINES = 200_000

_log = logging.getLogger(__name__)
_shown: list[Callable[[], object]] = []


def shown_first(show: Callable[[], object]) -> None:
    """Let `show` be called once the program has started, within a request of somebody who may see everything."""
    _shown.append(show)


def warm_up(server: Flask) -> None:
    """Draw what is shown first, so that statements are made and closed days are read when somebody opens it."""
    everything = frozenset(Permission)
    somebody = UserView(
        0, "", "admin", "", "", "", disabled=False, must_change_password=False, epoch=0, granted=everything
    )
    try:
        with server.test_request_context("/"), use(usual_preferences(None)):
            g._login_user = SignedIn(somebody, "")  # noqa: SLF001 - Flask-Login's own place for it
            if ask(services().data.freshness).lines >= MANY_LINES:
                for show in _shown:
                    show()
                nobody_looks()
    except Exception as error:  # noqa: BLE001 - whoever asks first waits as before, and hears why
        _log.info("The first page could not be drawn ahead: %s", type(error).__name__)
