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
from nebuloviz.ingest.installation import CURRENCY
from nebuloviz.models import Installation, SaleKey, SettingsVersion, StoredSetting
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.entries import Picture, Secret, Value
from nebuloviz.services.interfaces import SECRET_IS_SET, AuditAction, AuditService, SettingsRecord, SettingsService
from nebuloviz.services.interfaces.installation import ENTRIES, InstallationSettings, fixed_by
from nebuloviz.services.sealing import Seal
from nebuloviz.settings import Settings

SUBJECT = "settings"
_log = logging.getLogger(__name__)


class DatabaseSettings(SettingsService):
    """The `SettingsService` over our own tables. Until `refresh` was called first, the environment and the defaults are in force."""

    def __init__(self, settings: Settings, audit: AuditService | None = None) -> None:
        self._base = InstallationSettings.of_environment(settings)
        self._fixed = fixed_by(settings)
        self._seal = settings_seal(settings)
        self._audit = audit or DatabaseAudit()
        self._in_force = (0, self._base)  # replaced as a whole, so that readers need no lock

    @property
    def current(self) -> InstallationSettings:
        return self._in_force[1]

    def refresh(self, session: Session) -> bool:
        version = _version(session)
        if version == self._in_force[0]:
            return False
        before = self.current
        self._in_force = (version, self._base.with_(self._stored(session)))
        return self.current != before

    @require(Permission.SETTINGS_MANAGE)
    def get(self, session: Session, actor: Actor) -> SettingsRecord:  # noqa: ARG002 - `require` looks at the actor
        return self._record(_version(session), self._stored(session))

    @require(Permission.SETTINGS_MANAGE)
    def change(self, session: Session, actor: Actor, version: int, changes: Mapping[str, Any]) -> SettingsRecord:
        _take_version(session, version)
        stored = self._stored(session)
        after = self._changed(stored, changes)
        values = self._base.with_(after)
        _check_together(session, values)
        self._store(session, stored, after)
        told = [_told(self._base.with_(each), changes) for each in (stored, after)]
        self._audit.record(session, actor, AuditAction.SETTINGS_CHANGED, SUBJECT, before=told[0], after=told[1])
        in_force = (version + 1, values)
        event.listen(session, "after_commit", lambda _session: self._take_up(in_force), once=True)
        return self._record(version + 1, after)

    def _take_up(self, in_force: tuple[int, InstallationSettings]) -> None:
        if in_force[0] > self._in_force[0]:
            self._in_force = in_force

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
            raise InvalidInput(_("The environment decides this; it cannot be changed here."))
        after.pop(name, None)
        if value is None:
            return
        kind = ENTRIES[name].kind
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

    def _record(self, version: int, stored: Mapping[str, Value]) -> SettingsRecord:
        values = self._base.with_(stored)
        secrets = {name: SECRET_IS_SET for name, entry in ENTRIES.items() if isinstance(entry.kind, Secret)}
        hidden = {name: words for name, words in secrets.items() if values.get(name)}
        return SettingsRecord(version, values.with_(hidden), self._fixed, frozenset(stored))


def settings_seal(settings: Settings) -> Seal:
    """What seals secrets among the settings."""
    return Seal(settings.secret(), "settings")


def _version(session: Session) -> int:
    return session.scalars(select(SettingsVersion.version)).one()


def _take_version(session: Session, version: int) -> None:
    """Count the version up, if it still is `version`: of two at once, the second waits and comes too late."""
    counted = update(SettingsVersion).where(SettingsVersion.version == version).values(version=version + 1)
    if not rows_changed(session.execute(counted)):
        words = _("Settings were changed by somebody else meanwhile. Look at them as they are now, then decide.")
        raise StaleVersion(words)


def _check_together(session: Session, values: InstallationSettings) -> None:
    """Raises InvalidSettings where values fit by themselves, but not together, or not with the sales that are stored."""
    problems = {}
    if values.language not in values.languages:
        problems["language"] = _("It must be one of those offered.")
    if values.smtp_host and not values.smtp_from:
        problems["smtp_from"] = _("A mail server needs a sender.")
    settled = session.scalars(select(Installation.value).where(Installation.key == CURRENCY)).first()
    if settled and values.currency not in {"", settled} and session.scalar(select(exists().select_from(SaleKey))):
        problems["currency"] = _("The stored sales are in {currency}.", currency=settled)
    if problems:
        raise InvalidSettings(problems)


def _told(values: InstallationSettings, names: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit log tells of the entries that were to be changed: of secrets and pictures, whether there is one."""
    return {name: _in_short(name, values.get(name)) for name in names}


def _in_short(name: str, value: Value) -> Any:
    return bool(value) if isinstance(ENTRIES[name].kind, Secret | Picture) else value
