"""What holds in the whole installation and can be changed while it runs: a list of entries, and their values in force.

To add one, add a field to `InstallationSettings`; page, API and documentation follow. Whoever needs its value reads
`SettingsService.current`, each time anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, Self
from zoneinfo import available_timezones

from babel import Locale

from nebuloviz.detection.registry import DETECTORS
from nebuloviz.i18n import LazyText, lazy, month_name, weekday_name, zone_names, zone_words
from nebuloviz.i18n import gettext as _
from nebuloviz.services import setting_entries
from nebuloviz.services.rule_words import detector_words
from nebuloviz.services.setting_entries import (
    Choice,
    Choices,
    Entry,
    Kind,
    Number,
    Picture,
    Secret,
    Switch,
    Text,
    Value,
)
from nebuloviz.settings import SUPPORTED_LANGUAGES, Settings

PRODUCT = "NebuloViz"
_ENTRY = "entry"
_HOURS, _MINUTES, _DAYS, _MONTHS = lazy("hours"), lazy("minutes"), lazy("days"), lazy("months")
_MEGABYTES = lazy("MB")


def _entry(
    section: str, kind: Kind, default: Value, label: LazyText, words: LazyText, unit: LazyText | None = None
) -> Any:
    return field(default=default, metadata={_ENTRY: Entry(section, kind, label, words, default, unit)})


def _currencies() -> Mapping[str, str]:
    return {"": _("The first sale's")} | {code: code for code in _currency_codes()}


@lru_cache(maxsize=1)
def _currency_codes() -> tuple[str, ...]:
    return tuple(sorted(str(code) for code in Locale.parse("en").currencies))


@lru_cache(maxsize=1)
def _zones() -> Mapping[str, str]:
    """Places first; aliases behind them, for those who have one."""
    aliases = sorted(name for name in available_timezones() if "/" in name)
    return {name: zone_words(name) for name in dict.fromkeys([*zone_names(), *aliases])}


def _weekdays() -> Mapping[int, str]:
    return {day: weekday_name(day, "wide") for day in range(7)}


def _months() -> Mapping[int, str]:
    return {month: month_name(month) for month in range(1, 13)}


def _detectors() -> Mapping[str, str]:
    return {entry.name: detector_words(entry.label or entry.name) for entry in DETECTORS}


def _encryptions() -> Mapping[str, str]:
    return {"starttls": "STARTTLS", "tls": "TLS", "none": _("Unencrypted")}


@dataclass(frozen=True, kw_only=True)
class InstallationSettings:
    """The values in force. `smtp_password` is sealed: only who sends mail opens it."""

    name: str = _entry(
        "installation",
        Text(60, required=True),
        PRODUCT,
        lazy("Name"),
        lazy("Shown beside the logo, in titles and in e-mails."),
    )
    logo: str = _entry(
        "installation",
        Picture(),
        "",
        lazy("Logo"),
        lazy("A PNG of at most 200 kB, shown 24 pixels high. Without one, the NebuloViz logo is shown."),
    )
    public_address: str = _entry(
        "installation",
        Text(200, form=setting_entries.address_form),
        "",
        lazy("Public address"),
        lazy(
            "The URL at which people open NebuloViz; links in e-mails start with it. Empty: the one used by whoever sends them."
        ),
    )

    languages: tuple[str, ...] = _entry(
        "calendar",
        Choices(lambda: SUPPORTED_LANGUAGES),
        tuple(SUPPORTED_LANGUAGES),
        lazy("Languages offered"),
        lazy("What users can choose from."),
    )
    language: str = _entry(
        "calendar",
        Choice(lambda: SUPPORTED_LANGUAGES),
        "en",
        lazy("Language"),
        lazy("For users who have not chosen one and whose browser asks for none of those offered."),
    )
    time_zone: str = _entry(
        "calendar",
        Choice(_zones, many=True),
        "UTC",
        lazy("Time zone"),
        lazy(
            "For users who have not chosen one. Stored daily totals keep the zone of the first sale; figures are correct in any zone."
        ),
    )
    currency: str = _entry(
        "calendar",
        Choice(_currencies, many=True),
        "",
        lazy("Currency"),
        lazy("For all amounts. It is fixed once sales are stored: amounts are not converted."),
    )
    week_start: int = _entry(
        "calendar",
        Choice(_weekdays, whole=True),
        0,
        lazy("First day of the week"),
        lazy("For weeks in charts, ranges and calendars."),
    )
    fiscal_year_start: int = _entry(
        "calendar",
        Choice(_months, whole=True),
        1,
        lazy("First month of the fiscal year"),
        lazy("Fiscal quarters and years start with it, in ranges and charts."),
    )

    require_second_factor: bool = _entry(
        "security",
        Switch(),
        False,
        lazy("Require a second factor"),
        lazy("Everyone must use an authenticator app, and is asked to set one up at the next sign-in."),
    )
    session_hours: int = _entry(
        "security",
        Number(1, 8760),
        12,
        lazy("Session limit"),
        lazy("A browser session ends after this time, even while it is in use."),
        _HOURS,
    )
    session_idle_minutes: int = _entry(
        "security",
        Number(1, 525_600),
        120,
        lazy("Idle timeout"),
        lazy("A browser session ends after this time without activity; an open, visible page counts as activity."),
        _MINUTES,
    )
    requests_per_minute: int = _entry(
        "security",
        Number(0, 1_000_000),
        3000,
        lazy("Requests per minute"),
        lazy("The maximum for one browser session or API user. 0: no limit."),
    )
    max_upload_mb: int = _entry(
        "security",
        Number(1, 10_000),
        200,
        lazy("Maximum file size"),
        lazy("For files uploaded for import."),
        _MEGABYTES,
    )

    smtp_host: str = _entry(
        "mail",
        Text(253, form=setting_entries.host_form),
        "",
        lazy("Mail server"),
        lazy("Host name of the SMTP server. Empty: no e-mails are sent."),
    )
    smtp_port: int = _entry(
        "mail",
        Number(1, 65_535),
        587,
        lazy("Port"),
        lazy("Usually 587 with STARTTLS, 465 with TLS, 25 without."),
    )
    smtp_encryption: str = _entry(
        "mail",
        Choice(_encryptions),
        "starttls",
        lazy("Encryption"),
        lazy(
            "The server's certificate must be valid. Unencrypted: only for a server on this host or in a network you trust."
        ),
    )
    smtp_user: str = _entry(
        "mail",
        Text(200),
        "",
        lazy("User"),
        lazy("Leave empty if the server asks for none."),
    )
    smtp_password: str = _entry(
        "mail",
        Secret(),
        "",
        lazy("Password"),
        lazy("Kept encrypted, and never shown again."),
    )
    smtp_from: str = _entry(
        "mail",
        Text(254, form=setting_entries.email_form),
        "",
        lazy("Sender"),
        lazy("The e-mail address that messages are sent from."),
    )

    webhook_private_hosts: str = _entry(
        "notifications",
        Text(1000, form=setting_entries.hosts_form),
        "",
        lazy("Private webhook hosts"),
        lazy(
            "Hosts in your own networks that webhooks may reach, separated by commas, as written in URLs. All others must be public."
        ),
    )

    detection: bool = _entry(
        "detection",
        Switch(),
        True,
        lazy("Monitor sales"),
        lazy("Off: nothing is checked, and no alerts are raised."),
    )
    detector: str = _entry(
        "detection",
        Choice(_detectors),
        "forest",
        lazy("Detector"),
        lazy("The method that scores deviations."),
    )
    false_alerts_per_week: float = _entry(
        "detection",
        Number(0.01, 100, fractions=True),
        1.0,
        lazy("False alerts per week"),
        lazy("How many are acceptable; the detector sets its thresholds accordingly."),
    )
    watched_series: int = _entry(
        "detection",
        Number(1, 10_000),
        264,
        lazy("Monitored series"),
        lazy("At most this many hourly, and again daily; the largest by volume."),
    )

    closed_records_days: int = _entry(
        "retention",
        Number(0, 3650),
        0,
        lazy("Settled rejected records"),
        lazy("Records that were retried or discarded are deleted after this. 0: never."),
        _DAYS,
    )
    open_records_days: int = _entry(
        "retention",
        Number(0, 3650),
        0,
        lazy("Open rejected records"),
        lazy("Records that nobody has decided on are deleted after this. 0: never."),
        _DAYS,
    )
    pace_days: int = _entry(
        "retention", Number(0, 3650), 0, lazy("Stream history"),
        lazy("Counts of sales per minute are deleted after this. 0: never."), _DAYS,
    )  # fmt: skip
    messages_days: int = _entry(
        "retention", Number(0, 3650), 90, lazy("Delivery log"),
        lazy("Messages that were sent, or failed, are deleted from the log after this. 0: never."), _DAYS,
    )  # fmt: skip

    facts_months: int = _entry(
        "retention",
        Number(0, 600),
        0,
        lazy("Sale lines"),
        lazy(
            "Full months kept besides the current one. Older lines are deleted for good, but their totals stay. 0: never."
        ),
        _MONTHS,
    )

    @classmethod
    def of_environment(cls, settings: Settings) -> Self:
        """What holds where administrators have decided nothing."""
        return cls(**{name: getattr(settings, name) for name in SHARED})

    def with_(self, values: Mapping[str, Value]) -> Self:
        return replace(self, **dict(values))  # type: ignore[arg-type]  # values that their entries have checked

    @property
    def origin(self) -> str:
        """What links begin with; '' where no public address is decided on, so that only a request can tell."""
        return self.public_address.rstrip("/")

    def get(self, name: str) -> Value:
        value: Value = getattr(self, name)
        return value


#: Gives the values in force, whenever it is asked.
Live = Callable[[], InstallationSettings]

#: Name -> entry, in the order in which they are shown.
ENTRIES: Mapping[str, Entry] = {
    item.name: replace(item.metadata[_ENTRY], name=item.name) for item in fields(InstallationSettings)
}
#: What the environment may decide as well, by a variable of the same name.
SHARED = tuple(name for name in ENTRIES if name in Settings.model_fields)


#: What the process that watches sales is made of.
DETECTION = ("detection", "detector", "false_alerts_per_week", "watched_series")


def as_environment(settings: Settings) -> Live:
    """For where nobody can decide otherwise."""
    values = InstallationSettings.of_environment(settings)
    return lambda: values


def fixed_by(settings: Settings) -> frozenset[str]:
    """What the environment decides: administrators cannot."""
    return frozenset(settings.model_fields_set.intersection(SHARED))


def markdown() -> str:
    """The text of `docs/installation.md`."""
    head = """# Settings of the installation

Generated by `python -m nebuloviz.services.interfaces.installation > docs/installation.md`; do not edit by hand.

Administrators decide these in the running program: on the page **Settings** (`/settings`, permission `settings:manage`), or by
`PATCH /api/v1/settings`. They are kept in the database, and hold in the process that stored them at once, in every other within some
seconds, without a restart; the process that watches sales begins anew by itself. What the environment sets
([settings.md](settings.md)) wins, is shown as *Set by an environment variable*, and cannot be changed here.

- All of a change is stored or nothing. A change of what somebody else has changed meanwhile is refused; the audit log has both sides.
- A password is kept encrypted with a key derived from `NEBULOVIZ_SECRET_KEY`, told to nobody, and entered again after a new key.
- The first sign-in with a generated password leads to a short form: own password, language, time zone, currency, week, fiscal year.
  With `NEBULOVIZ_ADMIN_PASSWORD` it insists on nothing, as other programs may sign in at once; the form is behind *Setup questions*.
- E-mails go by SMTP: one-time links from the page of a user, in that user's language. *Send a test* says what the server says.
- What has had its time is deleted every ten minutes, expired sessions and links always. The audit log stays. Sale lines stay unless
  `facts_months` says otherwise; [what then remains of them](scale.md#old-sale-lines).
"""
    parts = [head]
    for section, title in setting_entries.SECTIONS.items():
        rows = [_row(entry) for entry in ENTRIES.values() if entry.section == section]
        table = ["| name | value | default | meaning |", "| --- | --- | --- | --- |", *rows]
        parts.append("\n".join([f"## {title.message}", "", *table, ""]))
    return "\n".join(parts)


def _row(entry: Entry) -> str:
    default = ", ".join(entry.default) if isinstance(entry.default, tuple) else entry.default
    shown = f"`{str(default).lower() if isinstance(default, bool) else default}`" if default != "" else ""
    unit = f" {entry.unit.message}" if entry.unit else ""
    fixed = f" By the environment: `NEBULOVIZ_{entry.name.upper()}`." if entry.name in SHARED else ""
    value = f"{entry.kind.rule}{unit}".strip() or "text"
    return f"| `{entry.name}` | {value} | {shown} | **{entry.label.message}.** {entry.help.message}{fixed} |"


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201 - this is a command
