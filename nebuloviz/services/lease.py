"""Elections: a task that one process at a time may do, held by a lease in the database that it must keep renewing."""

from __future__ import annotations

import os
import secrets
import socket
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from nebuloviz.db import Database, insert, rows_changed
from nebuloviz.models import Lease

LIFE = timedelta(seconds=12)  # another process takes over so soon after the holder's last sign of life


def own_name() -> str:
    """A name for this process that no other has, and that tells a reader which machine and process it is."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def hold(session: Session, task: str, holder: str, now: datetime, life: timedelta = LIFE) -> bool:
    """Take or renew the lease of `task`; whether `holder` has it now. The caller's transaction commits it."""
    free = or_(Lease.holder == holder, Lease.expires_at <= now)
    taken = session.execute(update(Lease).where(Lease.name == task, free).values(holder=holder, expires_at=now + life))
    if rows_changed(taken):
        return True
    first = insert(session, Lease).values(name=task, holder=holder, expires_at=now + life).on_conflict_do_nothing()
    return bool(rows_changed(session.execute(first)))


def keep(database: Database, task: str, holder: str, now: datetime, life: timedelta = LIFE) -> bool:
    """Like `hold` in a transaction of its own, and often enough for a lease of `life`; writes only where half of it has passed."""
    with database.session() as session:
        found = session.execute(select(Lease.holder, Lease.expires_at).where(Lease.name == task)).first()
    if found is not None and found.expires_at > now:
        if found.holder != holder:
            return False
        if found.expires_at > now + life / 2:
            return True
    with database.transaction() as session:
        return hold(session, task, holder, now, life)


def release(session: Session, task: str, holder: str, now: datetime) -> None:
    """Give it up at once, so that the next process need not wait for it to expire."""
    session.execute(update(Lease).where(Lease.name == task, Lease.holder == holder).values(expires_at=now))
