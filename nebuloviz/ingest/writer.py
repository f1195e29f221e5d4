"""Writes a batch into facts, rollups and everything that must agree with them, inside the caller's transaction.

Writers of one installation take turns (see `turns`): the cells of the present hour are shared by all, so they would wait for each
other anyway, and only in turns can an order whose lines arrive through two writers be counted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, any_, bindparam, case, exc, func, select, text, update
from sqlalchemy import insert as insert_into
from sqlalchemy.orm import Session

from nebuloviz.db import Insert, insert, inserting
from nebuloviz.ingest.batch import ACCEPTED, DUPLICATE, Batch, Item, Outcome, Written
from nebuloviz.ingest.failpoints import reach
from nebuloviz.ingest.installation import CURRENCY, settled
from nebuloviz.ingest.loading import add_cells, array_of, insert_texts, load, table_of
from nebuloviz.ingest.orders import older_lines
from nebuloviz.ingest.products import ProductNames
from nebuloviz.ingest.sale import Reason, Rejected, Sale
from nebuloviz.ingest.tally import Tally, tally
from nebuloviz.ingest.write_lock import acquire_write_lock
from nebuloviz.metrics.kept import facts_since
from nebuloviz.models import (
    DayArrival,
    DayVersion,
    DeadLetter,
    IngestMinute,
    IngestOffset,
    SaleKey,
    SaleRow,
    SpreadOrder,
    UtcDateTime,
)

KEPT_PAYLOAD_BYTES = 1 << 16
_FACT_COLUMNS = Sale._fields[: Sale._fields.index("product")]
_MAX_DAYS_NOTED = 3  # a stream's batch touches no more; of history nobody needs to know what was new
_KEYS_AT_ONCE = 10_000  # SQLite takes at most 32,766 parameters


class SaleWriter:
    """Writes batches; keeps what it knows of the database between them. One instance serves one thread.

    `zone` is the installation's, whose days the daily rollups hold; `currency` its currency, '' to adopt that of the first sale
    that names one; `products` what is known of their names already, `months` the partitions that there surely are.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        currency: str = "",
        products: ProductNames | None = None,
        months: Iterable[str] = (),
    ) -> None:
        self._zone = zone
        self._configured_currency = currency
        self._products = products or ProductNames()
        self.forget()
        self._months.update(months)

    @property
    def months(self) -> frozenset[str]:
        """The partitions that there are, once the transaction is committed."""
        return frozenset(self._months)

    def forget(self) -> None:
        """Drop all knowledge: the transaction that it came from was rolled back."""
        self._currency = self._configured_currency
        self._months: set[str] = set()
        self._since: datetime | None = None

    def write(self, session: Session, batch: Batch, now: datetime, *, dead_letters: bool = True) -> Written:
        """Store the batch and its dead letters (unless `dead_letters` is false), and advance the partition's counts (not its offset).

        Raises:
            sqlalchemy.exc.OperationalError: the database does not answer; the transaction must be rolled back.
        """
        connection = session.connection()
        acquire_write_lock(connection)
        self._since = facts_since(connection)
        outcomes: list[Outcome | None] = [None] * len(batch.items)
        counted: list[Tally] = []
        left = self._candidates(connection, batch.items, outcomes)
        while left:
            first, repeats = _first_of_each(left)
            counted += self._store(connection, first, batch, outcomes, now)
            left = _settle_repeats(connection, batch, repeats, outcomes)
        sales = [cast("Sale", batch.items[i].parsed) for i, outcome in enumerate(outcomes) if outcome is ACCEPTED]
        written = Written(
            batch.topic,
            batch.partition,
            batch.next_offset,
            cast("list[Outcome]", outcomes),
            sales,
            frozenset().union(*(part.days for part in counted)),
        )
        if dead_letters:
            _store_dead_letters(connection, batch.items, written.outcomes, now)
        _count(connection, written, now)
        return written

    # ---------------------------------------------------------------- which sales are new

    def _candidates(
        self, connection: Connection, items: Sequence[Item], outcomes: list[Outcome | None]
    ) -> list[tuple[bytes, int]]:
        """Key and place of the sales that may be written; the outcomes of all others are settled here."""
        currency = self._settled_currency(connection, items)
        accepted = {"", currency}
        found: list[tuple[bytes, int]] = []
        for place, (_, parsed) in enumerate(items):
            if isinstance(parsed, Rejected):
                outcomes[place] = Outcome("rejected", parsed)
            elif parsed.currency not in accepted:
                detail = f"the sale is in {parsed.currency}, the installation's currency is {currency}"
                outcomes[place] = Outcome("rejected", Rejected(Reason.CURRENCY, detail))
            else:
                found.append((parsed.key, place))
        return found

    def _settled_currency(self, connection: Connection, items: Sequence[Item]) -> str:
        if not self._currency:
            named = (item.parsed.currency for item in items if isinstance(item.parsed, Sale) and item.parsed.currency)
            self._currency = settled(connection, CURRENCY, next(named, ""))
        return self._currency

    # ---------------------------------------------------------------- storing, and bisecting to a record that cannot be

    def _store(
        self,
        connection: Connection,
        wanted: dict[bytes, int],
        batch: Batch,
        outcomes: list[Outcome | None],
        now: datetime,
    ) -> list[Tally]:
        """Write the wanted sales under a savepoint; what the database refuses is halved until it is one record."""
        if not wanted:
            return []
        try:
            with connection.begin_nested():
                return self._store_all(connection, wanted, batch, outcomes, now)
        except (exc.DataError, exc.IntegrityError, OverflowError) as error:
            places = list(wanted.items())
            if len(places) == 1:
                rejected = Rejected(Reason.DATABASE, str(getattr(error, "orig", error))[:200])
                outcomes[places[0][1]] = Outcome("rejected", rejected)
                return []
            self._months.clear()  # a month's partition made under the savepoint has gone with it
            half = len(places) // 2
            parts = (dict(places[:half]), dict(places[half:]))
            return [done for part in parts for done in self._store(connection, part, batch, outcomes, now)]
        except exc.OperationalError as error:
            raise _what_came_first(error) from None

    def _store_all(
        self,
        connection: Connection,
        wanted: dict[bytes, int],
        batch: Batch,
        outcomes: list[Outcome | None],
        now: datetime,
    ) -> list[Tally]:
        known = _known_keys(connection, list(wanted))
        sales: list[Sale] = []
        for key, place in wanted.items():
            sale = cast("Sale", batch.items[place].parsed)
            if key in known:
                outcomes[place] = _repeat(sale, known[key])
            elif self._since is not None and sale.sold_at < self._since:
                detail = f"sale lines before {self._since:%Y-%m-%d} have been deleted, so it cannot be counted exactly"
                outcomes[place] = Outcome("rejected", Rejected(Reason.TOO_LATE, detail))
            else:
                outcomes[place] = ACCEPTED
                sales.append(sale)
        if not sales:
            return []
        columns: dict[str, Sequence[Any]] = dict(zip(Sale._fields, zip(*sales, strict=True), strict=True))
        counted = tally(columns, older_lines(connection, columns), self._zone)
        self._store_lines(connection, columns, now)
        _add_to_rollups(connection, counted)
        reach("after_rollup")
        return [counted]

    def _store_lines(self, connection: Connection, columns: dict[str, Sequence[Any]], now: datetime) -> None:
        keys, fingerprints = zip(*sorted(zip(columns["key"], columns["fingerprint"], strict=True)), strict=True)
        load(connection, table_of(SaleKey), {"key": keys, "fingerprint": fingerprints})
        reach("after_keys")
        self._make_months(connection, columns["sold_at"])
        facts = {name: columns[name] for name in _FACT_COLUMNS}
        load(connection, table_of(SaleRow), facts | {"received_at": [now] * len(keys)})
        self._products.store(connection, columns)
        reach("after_facts")

    def _make_months(self, connection: Connection, moments: Iterable[datetime]) -> None:
        """Partitions for the months of `moments`, where there are none yet (PostgreSQL)."""
        if connection.dialect.name != "postgresql":
            return
        for year, month in {(moment.year, moment.month) for moment in moments}:
            name = f"sale_p{year:04}{month:02}"
            if name in self._months:
                continue
            if connection.execute(select(func.to_regclass(name))).scalar() is not None:
                self._months.add(name)  # only what was there before: a partition made here may yet be rolled back
                continue
            start, end = f"{year:04}-{month:02}-01", f"{year + month // 12:04}-{month % 12 + 1:02}-01"
            # Attaching, unlike CREATE TABLE .. PARTITION OF, does not wait for those who read
            connection.execute(text(f"CREATE TABLE {name} (LIKE sale INCLUDING ALL)"))
            bounds = f"FOR VALUES FROM ('{start} 00:00:00+00') TO ('{end} 00:00:00+00')"
            connection.execute(text(f"ALTER TABLE sale ATTACH PARTITION {name} {bounds}"))


def _what_came_first(error: exc.OperationalError) -> exc.OperationalError:
    """Where a disk is full SQLite rolls back by itself, and then complains that the savepoint is gone: the first says what to do."""
    first, before = error, error.__context__
    while before is not None:
        first = before if isinstance(before, exc.OperationalError) else first
        before = before.__context__
    return first


def _first_of_each(places: Sequence[tuple[bytes, int]]) -> tuple[dict[bytes, int], list[tuple[bytes, int]]]:
    """Key -> the first place of each, and the other places."""
    first: dict[bytes, int] = {}
    return first, [(key, place) for key, place in places if first.setdefault(key, place) != place]


def _settle_repeats(
    connection: Connection, batch: Batch, repeats: Sequence[tuple[bytes, int]], outcomes: list[Outcome | None]
) -> list[tuple[bytes, int]]:
    """Compare what repeats an id within the batch with what is stored of it, be it from this batch or from before.

    Returns the repeats of what could not be stored: the first of them is another try.
    """
    if not repeats:
        return []
    known = _known_keys(connection, list({key for key, _ in repeats}))
    for key, place in repeats:
        if key in known:
            outcomes[place] = _repeat(cast("Sale", batch.items[place].parsed), known[key])
    return [(key, place) for key, place in repeats if key not in known]


def _repeat(sale: Sale, fingerprint: int) -> Outcome:
    """The outcome of a sale whose id is known: nothing new, unless the payload differs."""
    if sale.fingerprint == fingerprint:
        return DUPLICATE
    return Outcome("rejected", Rejected(Reason.CONFLICT, f"the sale id {sale.sale_id} is known with another payload"))


def _known_keys(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    """The fingerprints of the keys that are stored already. Nobody else can store one meanwhile: writers take turns."""
    columns = (SaleKey.key, SaleKey.fingerprint)
    if connection.dialect.name == "sqlite":
        found: list[Any] = []
        for begin in range(0, len(keys), _KEYS_AT_ONCE):
            some = tuple(keys[begin : begin + _KEYS_AT_ONCE])
            marks = ", ".join("?" * len(some))
            # Spelt out: SQLAlchemy would need longer to bind thousands of keys than SQLite to look them up
            statement = f"SELECT key, fingerprint FROM sale_key WHERE key IN ({marks})"  # noqa: S608 - only question marks
            found.extend(connection.exec_driver_sql(statement, some))
    else:
        listed = any_(array_of(table_of(SaleKey).c.key, keys))
        found = list(connection.execute(select(*columns).where(SaleKey.key == listed)))
    return {bytes(key): fingerprint for key, fingerprint in found}


def _add_to_rollups(connection: Connection, counted: Tally) -> None:
    add_cells(connection, counted.cells)
    if counted.spread:
        spread = {"order_id": sorted(counted.spread)}
        insert_texts(connection, table_of(SpreadOrder), spread, lambda statement: statement.on_conflict_do_nothing())
    days = [{"day": day, "version": 1} for day in sorted(counted.days)]
    connection.execute(_touched(connection.dialect.name), days)
    if len(days) <= _MAX_DAYS_NOTED:
        arrived = [{"of_day": day, "since": since} for day, since in counted.days.items()]
        connection.execute(_NOTE_ARRIVAL, arrived)


def _store_dead_letters(
    connection: Connection, items: Sequence[Item], outcomes: Sequence[Outcome], now: datetime
) -> None:
    """Dead letters for what was rejected. The same record cannot get two."""
    rows = [
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "reason": str(outcome.rejected.reason),
            "detail": outcome.rejected.detail.replace("\x00", "\ufffd"),
            "payload": _kept_bytes(record.original, record.value)[:KEPT_PAYLOAD_BYTES],
            "payload_size": len(_kept_bytes(record.original, record.value)),
            "record": _made_of(record.original, record.value),
            "received_at": now,
        }
        for (record, _), outcome in zip(items, outcomes, strict=True)
        if outcome.rejected is not None
    ]
    if rows:
        unique = ["topic", "partition", "offset"]
        connection.execute(insert(connection, DeadLetter).on_conflict_do_nothing(index_elements=unique), rows)


def _made_of(original: bytes | None, value: bytes | None) -> bytes | None:
    """The sale in JSON that was made of a file's row, to be tried again: the row alone does not say what its columns mean."""
    made = value if original is not None and value != original else None
    return made if made and len(made) <= KEPT_PAYLOAD_BYTES else None


def _kept_bytes(original: bytes | None, value: bytes | None) -> bytes:
    return original if original is not None else (value or b"")


def _count(connection: Connection, written: Written, now: datetime) -> None:
    """Advance the partition's counts and the pace of its topic."""
    counts = {"accepted": written.accepted, "duplicate": written.duplicates, "rejected": written.rejected}
    connection.execute(_ADVANCED, counts | {"of_topic": written.topic, "of_partition": written.partition, "at": now})
    late = max((now - min((sale.sold_at for sale in written.sales), default=now)) // timedelta(seconds=1), 0)
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    row = {"minute": minute, "topic": written.topic, "late_seconds": late} | counts
    connection.execute(_paced(connection.dialect.name), row)


_ADVANCED = (
    update(table_of(IngestOffset))
    .where(IngestOffset.topic == bindparam("of_topic"), IngestOffset.partition == bindparam("of_partition"))
    .values(
        n_ok=IngestOffset.n_ok + bindparam("accepted"),
        n_duplicate=IngestOffset.n_duplicate + bindparam("duplicate"),
        n_rejected=IngestOffset.n_rejected + bindparam("rejected"),
        updated_at=bindparam("at"),
    )
)


@cache
def _paced(dialect: str) -> Insert:
    pace = inserting(dialect, IngestMinute)
    larger = pace.excluded.late_seconds
    sums = {
        **{name: getattr(IngestMinute, name) + pace.excluded[name] for name in ("accepted", "duplicate", "rejected")},
        "late_seconds": case((larger > IngestMinute.late_seconds, larger), else_=IngestMinute.late_seconds),
    }
    return pace.on_conflict_do_update(index_elements=["minute", "topic"], set_=sums)


_NOTE_ARRIVAL = insert_into(table_of(DayArrival)).from_select(
    ["day", "version", "since"],
    select(DayVersion.day, DayVersion.version, bindparam("since", type_=UtcDateTime)).where(
        DayVersion.day == bindparam("of_day")
    ),
)


@cache
def _touched(dialect: str) -> Insert:
    newer = {"version": DayVersion.version + 1}
    return inserting(dialect, DayVersion).on_conflict_do_update(index_elements=["day"], set_=newer)
