"""What stands, what does not, and what to do about it: for the page of the status, the API, and `nebuloviz doctor`."""

from __future__ import annotations

import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from nebuloviz import __version__, migrate
from nebuloviz.cache import Cache
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.detection.alerts import HOURS
from nebuloviz.i18n import format_datetime, isolated, lazy, mid_sentence, ngettext, number, relative
from nebuloviz.i18n import gettext as _
from nebuloviz.ingest.brokers import brokers_health
from nebuloviz.ingest.installation import contradiction
from nebuloviz.ingest.jobs import FILE_TOPICS
from nebuloviz.ingest.recount import differences
from nebuloviz.models import DeadLetter, IngestGap, IngestMinute, IngestOffset, Installation, Lease
from nebuloviz.observability import Health
from nebuloviz.permissions import Actor, Permission
from nebuloviz.services import detectors
from nebuloviz.services.backup import LAST_BACKUP
from nebuloviz.services.interfaces.installation import Live
from nebuloviz.services.interfaces.status import Finding, Level, StatusService
from nebuloviz.services.monitoring import SIZES, records_lost
from nebuloviz.services.server_versions import advice
from nebuloviz.services.watch_process import SERIES_TASK
from nebuloviz.settings import Settings

_MIN_FREE_BYTES = 1 << 30
_MAX_CLOCK_SECONDS = 5
_BACKUP_IS_OLD = timedelta(days=7)
_LOST_SHOWN = timedelta(days=7)
_GAPS_SHOWN = 3
_KAFKA_MS = 5_000

Found = tuple[Level, str]
#: Name -> health of what runs behind the scenes in this process.
Background = Callable[[], Mapping[str, Health]]

TITLES = {
    "version": lazy("Version"),
    "settings": lazy("Environment"),
    "disk": lazy("Disk"),
    "database": lazy("Database"),
    "clock": lazy("Clock"),
    "cache": lazy("Cache"),
    "kafka": lazy("Kafka"),
    "stream": lazy("Stream"),
    "sales": lazy("Sales"),
    "detection": lazy("Detection"),
    "backup": lazy("Backup"),
    "process": lazy("This process"),
    "rollups": lazy("Rollups"),
}
_PARTS = {
    "cache": TITLES["cache"],
    "database": TITLES["database"],
    "ingest": lazy("Intake of sales"),
    "kafka": TITLES["kafka"],
    "monitoring": lazy("Metrics for Prometheus"),
    "notifications": lazy("Notifications"),
    "retention": lazy("Deletion of expired records"),
    "roll-off": lazy("Deletion of old sale lines"),
    "sending": lazy("Message delivery"),
    "settings": lazy("Settings"),
    "snoozes": lazy("Ending of snoozes"),
    "watch": TITLES["detection"],
}


class Checkup(StatusService):
    """The `StatusService` over the database, the cache and Kafka. `background` may be set once there is something to tell."""

    def __init__(
        self, settings: Settings, database: Database, cache: Cache, live: Live, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._settings = settings
        self._database = database
        self._cache = cache
        self._live = live
        self._now = now
        self.background: Background | None = None

    def findings(self, actor: Actor) -> Sequence[Finding]:
        actor.demand(Permission.SETTINGS_MANAGE)
        return list(self.look())

    def look(self, *, recount: bool = False) -> Iterator[Finding]:
        """Finding by finding, as each is made. `recount` reads every sale once."""
        checks: dict[str, Callable[[], Found]] = {
            "version": self._version,
            "settings": self._environment,
            "disk": self._disk,
            "database": self._database_itself,
            "clock": self._clock,
            "cache": self._cached,
            "kafka": self._kafka,
            "stream": self._stream,
            "sales": self._sales,
            "detection": self._detection,
            "backup": self._backup,
        }
        if self.background is not None:
            checks["process"] = self._process
        if recount:
            checks["rollups"] = self._rollups
        for name, check in checks.items():
            yield Finding(name, str(TITLES[name]), *_answer(check))

    # ---------------------------------------------------------------- what it stands on

    def _version(self) -> Found:
        return Level.GOOD, _(
            "NebuloViz {version} on Python {python}.",
            version=isolated(__version__),
            python=isolated(platform.python_version()),
        )

    def _environment(self) -> Found:
        self._settings.secret()
        if self._settings.production:
            return Level.GOOD, _("Production installation with its own secret key.")
        return Level.GOOD, _("Embedded installation; its secret key is in the data folder.")

    def _disk(self) -> Found:
        folder = self._settings.data_dir
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        detail = _("{size} free at {folder}.", size=_size(free), folder=isolated(str(folder)))
        if free < _MIN_FREE_BYTES:
            return Level.BAD, f"{detail} " + _("Free up space.")
        return Level.GOOD, detail

    def _database_itself(self) -> Found:
        where = isolated(self._database.where)
        try:
            found = migrate.current(self._database)
        except DBAPIError as error:
            reason = isolated(str(error.orig or error).strip().splitlines()[0])
            words = _("{where} is not responding ({reason}). Check NEBULOVIZ_DATABASE_URL.", where=where, reason=reason)
            return Level.BAD, words
        if found != migrate.head():
            words = _("{where} is at revision {revision}. Run: {command}", where=where, revision=found or "base",
                      command=isolated("python -m nebuloviz migrate"))  # fmt: skip
            return Level.BAD, words
        problem = contradiction(self._database, self._settings.time_zone, self._settings.currency)
        if problem:
            return Level.BAD, problem
        with self._database.session() as session:
            size = session.scalar(text(SIZES[self._database.is_sqlite])) or 0
            server, version = (
                ("SQLite", sqlite3.sqlite_version)
                if self._database.is_sqlite
                else ("PostgreSQL", str(session.scalar(text("SHOW server_version"))))
            )
        answers = _(
            "{where} is responding, at revision {revision}: {server}, {size}.",
            where=where, revision=found, server=isolated(f"{server} {version}"), size=_size(size),
        )  # fmt: skip
        return _unless_old(server, version, answers)

    def _clock(self) -> Found:
        here = self._now()
        shown = format_datetime(here)
        if self._database.is_sqlite:
            return Level.GOOD, _("It is {time} here; the database uses the same clock.", time=shown)
        with self._database.session() as session:
            theirs = session.scalar(select(func.clock_timestamp()))
        drift = abs((utc_now() - theirs).total_seconds()) if isinstance(theirs, datetime) else 0.0
        if drift > _MAX_CLOCK_SECONDS:
            words = _(
                "The clocks of this machine and the database differ by {seconds} s. Synchronize both with NTP.",
                seconds=number(drift),
            )
            return Level.BAD, words
        return Level.GOOD, _("It is {time} here and on the database server.", time=shown)

    def _cached(self) -> Found:
        self._cache.get_or_compute(
            ("status",), "looked", lambda: True
        )  # it is known to be away once somebody has asked it
        if not self._cache.health().ok:
            words = _(
                "Redis is not responding. Check NEBULOVIZ_REDIS_URL; until then, every answer is computed from scratch."
            )
            return Level.BAD, words
        if self._settings.redis_url is None:
            return Level.GOOD, _("In the memory of each process, as Redis is not configured.")
        version = self._cache.server_version()
        return _unless_old(
            "Redis",
            version,
            _("{server} is responding.", server=isolated(f"Redis {version}")) if version else _("Redis is responding."),
        )

    # ---------------------------------------------------------------- what comes in

    def _kafka(self) -> Found:
        if not self._settings.kafka_bootstrap_servers:
            return Level.GOOD, _("Not configured.")
        topic = self._settings.kafka_topic
        names = {"server": isolated(self._settings.kafka_bootstrap_servers.split(",")[0]), "topic": isolated(topic)}
        reached = brokers_health(self._settings.kafka_bootstrap_servers)
        if (
            not reached.ok
        ):  # the client would take its time to find that out, and leave its sockets to the garbage collector
            return Level.BAD, isolated(reached.detail)
        version, ends = _version_and_ends(self._settings)
        if not ends:
            no_topic = _(
                "{server} is responding, but has no topic {topic}. Create it, or set NEBULOVIZ_KAFKA_TOPIC.", **names
            )
            return Level.BAD, no_topic
        positions = select(IngestOffset.partition, IngestOffset.next_offset).where(IngestOffset.topic == topic)
        with self._database.session() as session:
            stored = {row.partition: row.next_offset for row in session.execute(positions)}
        waiting = sum(max(0, end - stored.get(partition, start)) for partition, (start, end) in ends.items())
        answers = ngettext("{server} answers as {kafka} does; {topic} has one partition.",
                           "{server} answers as {kafka} does; {topic} has {n} partitions.",
                           len(ends), **names, kafka=isolated(f"Kafka {version}"), n=number(len(ends)))  # fmt: skip
        records = ngettext("One record is waiting.", "{n} records are waiting.", waiting, n=number(waiting))
        return _unless_old("Kafka", version, f"{answers} " + (records if waiting else _("No records are waiting.")))

    def _stream(self) -> Found:
        with self._database.session() as session:
            halted = session.scalars(select(IngestOffset).where(IngestOffset.halted_reason != "")).all()
            lost = self._lost(session)
        if halted:
            what = isolated("; ".join(f"{row.topic}/{row.partition}: {row.halted_reason}" for row in halted))
            words = _(
                "Halted: {what}. Resume it or skip the record on the Data page or with the command resume.",
                what=what,
            )
            return Level.BAD, f"{words} {lost}".strip()
        running = _("No partition is halted.")
        return (Level.NOTE, f"{running} {lost}") if lost else (Level.GOOD, running)

    def _lost(self, session: Session) -> str:
        """What was noticed of late that can never be read, and when; '' where there is nothing."""
        since = self._now() - _LOST_SHOWN
        newest = select(IngestGap).where(IngestGap.noticed_at >= since).order_by(IngestGap.noticed_at.desc())
        gaps = session.scalars(newest.limit(_GAPS_SHOWN)).all()
        if not gaps:
            return ""
        what = " · ".join(f"{_place(gap)} ({self._ago(gap.noticed_at)})" for gap in gaps)
        n = records_lost(session, since)
        return ngettext(
            "One record was lost in the last seven days, removed by Kafka unread or skipped: {what}.",
            "{n} records were lost in the last seven days, removed by Kafka unread or skipped: {what}.",
            n, n=number(n), what=what,
        )  # fmt: skip

    def _sales(self) -> Found:
        came = (IngestMinute.accepted > 0) & ~IngestMinute.topic.startswith(FILE_TOPICS)
        with self._database.session() as session:
            last = session.scalar(select(IngestMinute.minute).where(came).order_by(IngestMinute.minute.desc()).limit(1))
            rejected = (
                session.scalar(select(func.count()).select_from(DeadLetter).where(DeadLetter.state == "open")) or 0
            )
        arrived = (
            _("The last one was streamed in {ago}.", ago=self._ago(last))
            if last
            else _("None has been streamed in yet.")
        )
        if rejected:
            waits = ngettext("One rejected record needs a decision on the Data page.",
                             "{n} rejected records need a decision on the Data page.", rejected, n=number(rejected))  # fmt: skip
            return Level.NOTE, f"{arrived} {waits}"
        return Level.GOOD, arrived

    # ---------------------------------------------------------------- what is done with it

    def _detection(self) -> Found:
        if not self._live().detection:
            return Level.NOTE, _("Turned off in the settings: no alerts are raised.")
        with self._database.session() as session:
            holder = session.scalar(
                select(Lease.holder).where(Lease.name == SERIES_TASK, Lease.expires_at > self._now())
            )
            series = next(view for view in detectors.views(session) if view.name == HOURS)
        if holder is None:
            words = _(
                "Nothing is being monitored at the moment. Start a process with serve or ingest; it takes over within 15 seconds."
            )
            return Level.NOTE, words
        watches = _("Running in {process}.", process=isolated(holder.rpartition(":")[0]))
        if not series.version or series.trained_at is None or series.judged_until is None:
            return Level.GOOD, f"{watches} " + _("It is still learning what is normal.")
        model = _(
            "Last trained {trained}; sales are checked up to {until}.",
            trained=self._ago(series.trained_at),
            until=format_datetime(series.judged_until),
        )
        return Level.GOOD, f"{watches} {model}"

    def _backup(self) -> Found:
        with self._database.session() as session:
            made_at = session.scalar(select(Installation.value).where(Installation.key == LAST_BACKUP))
        if made_at is None:
            words = _(
                "No backup found. Schedule one every night: {command}",
                command=isolated("python -m nebuloviz backup FILE"),
            )
            return Level.NOTE, words
        at = datetime.fromisoformat(made_at)
        last = _("The last one was made {ago}.", ago=self._ago(at))
        if self._now() - at > _BACKUP_IS_OLD:
            return Level.NOTE, f"{last} " + _("Schedule one every night.")
        return Level.GOOD, last

    def _process(self) -> Found:
        parts = self.background() if self.background is not None else {}
        failing = {_part(name): health.detail for name, health in parts.items() if not health.ok}
        if failing:
            what = " · ".join(f"{part}: {isolated(detail)}" for part, detail in failing.items())
            return Level.BAD, _("A background task is not working. {what}", what=what)
        return Level.GOOD, _(
            "All background tasks are running: {parts}.", parts=" · ".join(dict.fromkeys(map(_part, parts)))
        )

    def _rollups(self) -> Found:
        found = differences(self._database, self._settings.time_zone)
        if found:
            words = _(
                "{n} cells differ from a recount, for example {cell}. Stop every process and run: {command}",
                n=number(len(found)), cell=found[0], command=isolated("python -m nebuloviz doctor --rebuild"),
            )  # fmt: skip
            return Level.BAD, words
        return Level.GOOD, _("Every rollup equals a recount from the sales.")

    def _ago(self, moment: datetime) -> str:
        return relative((self._now() - moment).total_seconds())


def _place(gap: IngestGap) -> str:
    return isolated(f"{gap.topic}/{gap.partition}: {gap.first_offset}–{gap.next_offset - 1}")


def _part(name: str) -> str:
    return mid_sentence(_PARTS.get(name.partition(" ")[0], name))


def _answer(check: Callable[[], Found]) -> Found:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that fails in an unforeseen way is a finding too
        return Level.BAD, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"


def _unless_old(server: str, version: str, detail: str) -> Found:
    """`detail` of a server that is well; something to note where it is too old."""
    old = advice(server, version)
    return (Level.NOTE, f"{detail} {old}") if old else (Level.GOOD, detail)


def _size(n_bytes: int) -> str:
    """In binary units, which are the same in every language.

    >>> _size(3 << 29)
    '1.5 GiB'
    """
    unit, size = ("GiB", 1 << 30) if n_bytes >= 1 << 30 else ("MiB", 1 << 20)
    return isolated(f"{number(n_bytes / size, 1)} {unit}")


def _version_and_ends(settings: Settings) -> tuple[str, dict[int, tuple[int, int]]]:
    """The newest Kafka that the client knows and the broker can do all of; partition -> where the topic begins and ends.

    Without partitions there is no such topic.
    """
    from kafka import KafkaConsumer, TopicPartition  # noqa: PLC0415 - takes a while to load, and few need it

    servers = settings.kafka_bootstrap_servers.split(",")
    consumer = KafkaConsumer(bootstrap_servers=servers, bootstrap_timeout_ms=_KAFKA_MS)
    try:
        numbers = consumer.partitions_for_topic(settings.kafka_topic) or ()
        partitions = [TopicPartition(settings.kafka_topic, number) for number in numbers]
        begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        version = ".".join(map(str, consumer.config["api_version"]))
    finally:
        consumer.close()
    return version, {at.partition: (begins[at], ends[at]) for at in partitions}
