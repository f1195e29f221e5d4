"""How somebody reads who is not there to be asked: of the user's own choice, else as the installation has it."""

from __future__ import annotations

from nebuloviz.i18n import Preferences, format_locale
from nebuloviz.services.interfaces import InstallationSettings, UserView


def preferences_of(user: UserView | None, settings: InstallationSettings) -> Preferences:
    """Those of `user`; of the installation for None."""
    if user is None:
        user = _NOBODY
    language = user.language if user.language in settings.languages else settings.language
    return Preferences(
        language,
        user.time_zone or settings.time_zone,
        settings.currency,
        settings.week_start if user.week_start is None else user.week_start,
        format_locale(language, user.format_region),
        settings.fiscal_year_start,
    )


_NOBODY = UserView(0, "", "", "", "", "", disabled=False, must_change_password=False, epoch=0)
