"""The installation's settings in the database, and what of them is in force in this process."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, event, exists, select, update
from sqlalchemy.orm import Session

from nebuloviz.db import insert, rows_changed
from nebuloviz.errors import InvalidInput, InvalidSettings, StaleVersion
from nebuloviz.i18n import gettext as _
from nebuloviz.ingest.installation import CURRENCY, settled
from nebuloviz.models import Installation, SaleKey, SettingsVersion, StoredSetting
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.interfaces import SECRET_IS_SET, AuditAction, AuditService, SettingsRecord, SettingsService
from nebuloviz.services.interfaces.installation import ENTRIES, InstallationSettings, fixed_by
from nebuloviz.services.sealing import Seal
from nebuloviz.services.setting_entries import Picture, Secret, Value
from nebuloviz.settings import Settings

SUBJECT = "settings"
FIRST_VERSION = 1  # as the migration has it
_log = logging.getLogger(__name__)


class DatabaseSettings(SettingsService):
    """The `SettingsService` over our own tables. Until `refresh` was called first, the environment and the defaults are in force."""

    def __init__(self, settings: Settings, audit: AuditService | None = None) -> None:
        self._base = InstallationSettings.of_environment(settings)
        self._fixed = fixed_by(settings)
        self._seal = settings_seal(settings)
        self._audit = audit or DatabaseAudit()
        self._seen: tuple[int, str] = (0, "")  # the version and the settled currency that were taken up
        self._in_force = self._base  # replaced as a whole, so that readers need no lock

    @property
    def current(self) -> InstallationSettings:
        return self._in_force

    @property
    def is_first_run(self) -> bool:
        return self._seen[0] <= FIRST_VERSION

    def refresh(self, session: Session) -> bool:
        seen = _seen(session)
        if seen == self._seen:
            return False
        before = self.current
        self._take_up(seen, self._values(self._stored(session), seen[1]))
        return self.current != before

    @require(Permission.SETTINGS_MANAGE)
    def get(self, session: Session, actor: Actor) -> SettingsRecord:  # noqa: ARG002 - `require` looks at the actor
        version, currency = _seen(session)
        return self._record(version, self._stored(session), currency)

    @require(Permission.SETTINGS_MANAGE)
    def change(self, session: Session, actor: Actor, version: int, changes: Mapping[str, Any]) -> SettingsRecord:
        _take_version(session, version)
        stored = self._stored(session)
        after = self._changed(stored, changes)
        _check_together(self._base.with_(after))
        currency = _settled_currency(session, after.get("currency", self._base.currency))
        if after == stored:
            _give_back(session, version)
            return self._record(version, stored, currency)
        self._store(session, stored, after)
        told = [_told(self._base.with_(each), changes) for each in (stored, after)]
        self._audit.record(session, actor, AuditAction.SETTINGS_CHANGED, SUBJECT, before=told[0], after=told[1])
        seen, values = (version + 1, currency), self._values(after, currency)
        event.listen(session, "after_commit", lambda _session: self._take_up(seen, values), once=True)
        return self._record(version + 1, after, currency)

    def settle_currency(self, session: Session) -> None:
        """At the start: the currency that was decided on is that of the first sale to come."""
        decided = self._stored(session).get("currency")
        if decided:
            settled(session, CURRENCY, str(decided))

    def _take_up(self, seen: tuple[int, str], values: InstallationSettings) -> None:
        if seen[0] >= self._seen[0]:  # a later change may have been taken up already
            self._seen, self._in_force = seen, values

    def _values(self, stored: Mapping[str, Value], currency: str) -> InstallationSettings:
        """What is in force. Amounts have the currency that is settled, whether anybody has decided on it or not."""
        return self._base.with_({**stored, "currency": currency or stored.get("currency", self._base.currency)})

    def _changed(self, stored: Mapping[str, Value], changes: Mapping[str, Any]) -> dict[str, Value]:
        """What is stored afterwards. Raises InvalidSettings."""
        after, problems = dict(stored), {}
        for name, value in changes.items():
            try:
                self._set(after, name, value)
            except InvalidInput as error:
                problems[name] = error.message
        if problems:
            raise InvalidSettings(problems)
        return after

    def _set(self, after: dict[str, Value], name: str, value: Any) -> None:
        if name not in ENTRIES:
            raise InvalidInput(_("There is no such setting."))
        if name in self._fixed:
            raise InvalidInput(_("Set by an environment variable; it cannot be changed here."))
        kind = ENTRIES[name].kind
        if isinstance(kind, Secret) and value == SECRET_IS_SET:
            return  # sent back as it was told
        after.pop(name, None)
        if value is None:
            return
        checked = kind.checked(value)
        if isinstance(kind, Secret) and checked:
            checked = self._seal.close(str(checked))
        if checked != self._base.get(name):
            after[name] = checked

    def _stored(self, session: Session) -> dict[str, Value]:
        """What differs from the base. What does not fit any more, such as a detector that is gone, is passed over."""
        found = {}
        for name, text in session.execute(select(StoredSetting.name, StoredSetting.value)):
            if name in ENTRIES and name not in self._fixed:
                try:
                    kind, value = ENTRIES[name].kind, json.loads(text)
                    found[name] = value if isinstance(kind, Secret) else kind.checked(value)
                except (InvalidInput, ValueError):
                    _log.warning("the stored setting %s does not fit any more; its default holds", name)
        return found

    def _store(self, session: Session, before: Mapping[str, Value], after: Mapping[str, Value]) -> None:
        for name in before.keys() - after.keys():
            session.execute(delete(StoredSetting).where(StoredSetting.name == name))
        for name, value in after.items():
            if before.get(name) != value:
                row = insert(session, StoredSetting).values(name=name, value=json.dumps(value))
                text = {"value": row.excluded.value}
                session.execute(row.on_conflict_do_update(index_elements=["name"], set_=text))

    def _record(self, version: int, stored: Mapping[str, Value], currency: str) -> SettingsRecord:
        values = self._values(stored, currency)
        secrets = {name: SECRET_IS_SET for name, entry in ENTRIES.items() if isinstance(entry.kind, Secret)}
        hidden = {name: words for name, words in secrets.items() if values.get(name)}
        return SettingsRecord(version, values.with_(hidden), self._fixed, frozenset(stored))


def settings_seal(settings: Settings) -> Seal:
    """What seals secrets among the settings."""
    return Seal(settings.secret(), "settings")


def _seen(session: Session) -> tuple[int, str]:
    """The version as stored, and the currency that is settled ('' if none is)."""
    currency = select(Installation.value).where(Installation.key == CURRENCY).scalar_subquery()
    version, code = session.execute(select(SettingsVersion.version, currency)).one()
    return version, code or ""


def _take_version(session: Session, version: int) -> None:
    """Count the version up, if it still is `version`: of two at once, the second waits and comes too late."""
    counted = update(SettingsVersion).where(SettingsVersion.version == version).values(version=version + 1)
    if not rows_changed(session.execute(counted)):
        words = _("Settings were changed by somebody else in the meantime. Look at them as they are now, then decide.")
        raise StaleVersion(words)


def _give_back(session: Session, version: int) -> None:
    """Nothing has changed, so that nobody's version is stale."""
    session.execute(update(SettingsVersion).values(version=version))


def _settled_currency(session: Session, decided: Value) -> str:
    """Settle what was decided, if there are no sales yet; what is settled afterwards.

    Raises:
        InvalidSettings: there are sales, in another currency.
    """
    if not session.scalar(select(exists().select_from(SaleKey))):
        session.execute(delete(Installation).where(Installation.key == CURRENCY))
    code = settled(session, CURRENCY, str(decided))
    if decided and code != decided:
        raise InvalidSettings({"currency": _("The stored sales are in {currency}.", currency=code)})
    return code


def _check_together(values: InstallationSettings) -> None:
    """Raises InvalidSettings where values fit by themselves, but not together."""
    problems = {}
    if values.language not in values.languages:
        problems["language"] = _("It must be one of those offered.")
    if values.smtp_host and not values.smtp_from:
        problems["smtp_from"] = _("A mail server needs a sender.")
    if problems:
        raise InvalidSettings(problems)


def _told(values: InstallationSettings, names: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit log tells of the entries that were to be changed: of secrets and pictures, whether there is one."""
    return {name: _in_short(name, values.get(name)) for name in names}


def _in_short(name: str, value: Value) -> Any:
    return bool(value) if isinstance(ENTRIES[name].kind, Secret | Picture) else value
