"""For the command line: users without the other services, backups, rollups made anew, and the check-up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from nebuloviz.bootstrap.core import core
from nebuloviz.bootstrap.storage import database
from nebuloviz.db import Database
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces.installation import Live
from nebuloviz.services.second_factor import DatabaseSecondFactor
from nebuloviz.services.stored_settings import DatabaseSettings
from nebuloviz.settings import Settings

if TYPE_CHECKING:
    from nebuloviz.services.backup import Manifest, Restored
    from nebuloviz.services.interfaces import Finding


def auth_service(settings: Settings) -> DatabaseAuth:
    """For commands that need no other service."""
    return DatabaseAuth(settings)


def second_factor_service(settings: Settings) -> DatabaseSecondFactor:
    """The same."""
    return DatabaseSecondFactor(settings.secret(), auth_service(settings), DatabaseAudit())


def backup(settings: Settings, file: Path) -> Manifest:
    """Write the installation to `file`; see `nebuloviz.services.backup`."""
    from nebuloviz.services import backup  # noqa: PLC0415 - only here

    return backup.backup(settings, database(settings), file)


def restore(settings: Settings, file: Path, *, force: bool) -> Restored:
    """Put back what `file` holds."""
    from nebuloviz.services import backup  # noqa: PLC0415 - only here

    return backup.restore(settings, database(settings), file, force=force)


def rebuild_rollups(settings: Settings) -> None:
    """Make all rollups anew from the sales, by the days of the configured zone. Nothing else may write meanwhile."""
    from nebuloviz.ingest.recount import rebuild  # noqa: PLC0415 - only here

    rebuild(database(settings), settings.time_zone)


def doctor(settings: Settings, *, recount: bool) -> Iterator[Finding]:
    """Check settings and servers one after the other; each finding says what to do."""
    from nebuloviz.services.checkup import Checkup  # noqa: PLC0415 - only here

    these = core(settings)
    return Checkup(settings, these.database, these.cache, _decided(settings, these.database)).look(recount=recount)


def _decided(settings: Settings, where: Database) -> Live:
    """What administrators have decided; what the environment says, where the database does not tell."""
    decided = DatabaseSettings(settings)
    with contextlib.suppress(DBAPIError), where.session() as session:
        decided.refresh(session)
    return decided.live
