"""`nebuloviz doctor`: what stands, what does not, and what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from nebuloviz import migrate
from nebuloviz.cache import Cache
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.ingest.installation import contradiction
from nebuloviz.ingest.recount import differences
from nebuloviz.models import IngestOffset
from nebuloviz.observability import Health
from nebuloviz.settings import Settings

_LEAST_FREE_BYTES = 1 << 30
_MOST_CLOCK_SECONDS = 5

Check = Callable[[], Health]


def run(settings: Settings, database: Database, cache: Cache, *, recount: bool = False) -> Mapping[str, Health]:
    """Each check's finding, by name, in the order in which one stands on the other. `recount` reads every sale once."""
    checks: dict[str, Check] = {
        "settings": lambda: _settings(settings),
        "disk": lambda: _disk(settings),
        "database": lambda: _database(settings, database),
        "cache": cache.health,
        "kafka": lambda: _kafka(settings),
        "stream": lambda: _stream(database),
    }
    if recount:
        checks["rollups"] = lambda: _rollups(settings, database)
    return {name: _answer(check) for name, check in checks.items()}


def _answer(check: Check) -> Health:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that fails in an unforeseen way is a finding too
        return Health(ok=False, detail=f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")


def _settings(settings: Settings) -> Health:
    settings.secret()
    kind = "production" if settings.production else "embedded"
    return Health(ok=True, detail=f"An {kind} installation." if kind == "embedded" else "A production installation.")


def _disk(settings: Settings) -> Health:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data_dir).free
    detail = f"{free / 2**30:.1f} GiB are free at {settings.data_dir}."
    return Health(free >= _LEAST_FREE_BYTES, detail if free >= _LEAST_FREE_BYTES else f"{detail} Make room.")


def _database(settings: Settings, database: Database) -> Health:
    try:
        found = migrate.current(database)
    except DBAPIError as error:
        reason = str(error.orig or error).strip().splitlines()[0]
        return Health(ok=False, detail=f"{database.where} does not answer ({reason}). Check NEBULOVIZ_DATABASE_URL.")
    if found != migrate.head():
        return Health(
            ok=False, detail=f"{database.where} is at revision {found or 'none'}. Run: python -m nebuloviz migrate"
        )
    problem = contradiction(database, settings.time_zone, settings.currency)
    if problem:
        return Health(ok=False, detail=problem)
    drift = _clock_drift_seconds(database)
    if drift > _MOST_CLOCK_SECONDS:
        return Health(
            ok=False, detail=f"The clocks of this machine and the database differ by {drift:.0f} s. Set both by NTP."
        )
    return Health(ok=True, detail=f"{database.where} answers, at revision {found}.")


def _clock_drift_seconds(database: Database) -> float:
    if database.is_sqlite:
        return 0.0
    with database.session() as session:
        theirs = session.scalar(select(func.clock_timestamp()))
    return abs((utc_now() - theirs).total_seconds()) if isinstance(theirs, datetime) else 0.0


def _kafka(settings: Settings) -> Health:
    if not settings.kafka_bootstrap_servers:
        return Health(ok=True, detail="Not configured.")
    from kafka import KafkaConsumer  # noqa: PLC0415 - takes a while to load, and few need it

    servers = settings.kafka_bootstrap_servers.split(",")
    consumer = KafkaConsumer(bootstrap_servers=servers, api_version_auto_timeout_ms=5000)
    try:
        partitions = consumer.partitions_for_topic(settings.kafka_topic)
    finally:
        consumer.close()
    if not partitions:
        return Health(
            ok=False,
            detail=f"{servers[0]} answers, but has no topic {settings.kafka_topic!r}. Create it, or set NEBULOVIZ_KAFKA_TOPIC.",
        )
    return Health(ok=True, detail=f"{servers[0]} answers; {settings.kafka_topic!r} has {len(partitions)} partitions.")


def _stream(database: Database) -> Health:
    with database.session() as session:
        halted = session.scalars(select(IngestOffset).where(IngestOffset.halted_reason != "")).all()
    if halted:
        what = "; ".join(f"{row.topic}/{row.partition}: {row.halted_reason}" for row in halted)
        return Health(ok=False, detail=f"Halted: {what}. The command resume lets it go on.")
    return Health(ok=True, detail="No partition is halted.")


def _rollups(settings: Settings, database: Database) -> Health:
    found = differences(database, settings.time_zone)
    if found:
        detail = f"{len(found)} cells differ from a recount, for example {found[0]}."
        return Health(ok=False, detail=f"{detail} Stop every process and run: python -m nebuloviz doctor --rebuild")
    return Health(ok=True, detail="Every rollup equals a recount from the sales.")
