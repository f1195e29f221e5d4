"""The lock under which sales are written: one writer of the installation at a time.

On SQLite it is the write lock that the transaction has anyway, on PostgreSQL an advisory lock that ends with the transaction. A
stopped writer must not keep all others waiting, so the session of a silent one is ended: by PostgreSQL itself between two
statements, and by those who wait while a statement is half sent, as within a COPY, which no time limit of PostgreSQL's ends.
"""

from __future__ import annotations

from sqlalchemy import Connection, exc, text

#: For so long may a writer that holds the lock be silent.
SLEEP_SECONDS = 15
LOOK_SECONDS = 5  # how often those who wait look for a silent one
LOOKS = 6  # as long as a statement may take, if nobody has said otherwise
_LOCK = 7_314_406_106  # any constant that nothing else in the database locks
_LOCK_NOT_AVAILABLE = "55P03"


def acquire_write_lock(connection: Connection) -> None:
    """Wait until no other writer of the installation is at work; holds until the transaction ends.

    Raises:
        sqlalchemy.exc.OperationalError: others were at work for too long; the transaction must be rolled back.
    """
    if connection.dialect.name != "postgresql":
        return
    # Orders are looked up by thousands in small partitions, which the planner would rather read from end to end
    limits = f"SET LOCAL idle_in_transaction_session_timeout = '{SLEEP_SECONDS}s'; SET LOCAL enable_seqscan = off"
    if connection.scalar(text(f"{limits}; SELECT pg_try_advisory_xact_lock({_LOCK})")):
        return
    for look in range(1, LOOKS + 1):
        connection.execute(_END_SLEEPERS, {"seconds": SLEEP_SECONDS})
        try:
            _wait(connection)
        except exc.OperationalError as error:
            if look == LOOKS or getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE:
                raise
        else:
            return


def _wait(connection: Connection) -> None:
    with connection.begin_nested():
        limited = f"SET LOCAL lock_timeout = '{LOOK_SECONDS}s'; SELECT pg_advisory_xact_lock({_LOCK})"
        connection.execute(text(f"{limited}; SET LOCAL lock_timeout = 0"))


# A bigint's two halves are what pg_locks shows of an advisory lock
_END_SLEEPERS = text("""
    SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint = :high AND objid::bigint = :low
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND state = 'active' AND wait_event_type = 'Client'
      AND query_start < clock_timestamp() - make_interval(secs => :seconds)
""").bindparams(high=_LOCK >> 32, low=_LOCK & 0xFFFFFFFF)
