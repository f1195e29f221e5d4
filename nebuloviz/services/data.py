"""Answers questions about sales from rollups, sets of customers and facts, through the cache and within the reader's scope."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Engine, Select, SQLColumnExpression, func, or_, select
from sqlalchemy.orm import Session

from nebuloviz.cache import SALES, Cache, Path, day_node, day_nodes
from nebuloviz.clock import utc_now
from nebuloviz.db import dialect_of
from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import _
from nebuloviz.ingest.installation import CURRENCY
from nebuloviz.ingest.sample_plan import HISTORY, NAME, PLAN_KEY
from nebuloviz.metrics import sql
from nebuloviz.metrics.answer import measure
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.calendar import ONE_DAY, day_ceiling, day_floor, day_of
from nebuloviz.metrics.closed import ClosedDays
from nebuloviz.metrics.comparison import comparison_range
from nebuloviz.metrics.kept import Standing, demand_facts, facts_since
from nebuloviz.metrics.planner import Piece, Slice
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.metrics.registry import DIMENSIONS, Dimension, metric
from nebuloviz.metrics.registry import dimension as dimension_of
from nebuloviz.metrics.top import ranked
from nebuloviz.models import ROLLUPS, Alert, Base, DayVersion, IngestOffset, Installation, Product, SaleRow
from nebuloviz.observability import QUERY_SECONDS
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.customer_sets import CustomerSetBuilder
from nebuloviz.services.frames import build_frame, product_names
from nebuloviz.services.interfaces import DataService, Frame, Freshness, Made, SalePage
from nebuloviz.services.sale_pages import sale_page
from nebuloviz.services.scope import scope_filters, within_scope

_RECENT = timedelta(days=90)
_VALUES_SECONDS = 60
_FOUND = 500
_VIEW_SECONDS = 10
_PATIENCE_SECONDS = 20  # with a view that is being drawn: where that takes so long, a second one would take longer
_DAYS = Base.metadata.tables["rollup_day"]


class SalesDataService(DataService):
    """The one path to figures. `zone` is that of the installation, whose days the daily rollups hold.

    `sets` makes the sets of customers that were missing; without it customers are counted from facts for ever.
    """

    def __init__(
        self,
        cache: Cache,
        zone: ZoneInfo,
        now: Callable[[], datetime] = utc_now,
        sets: CustomerSetBuilder | None = None,
    ) -> None:
        self._cache = cache
        self._zone = zone
        self._now = now
        self._sets = sets
        self._versions: dict[date, int] = {}  # of each day's sales, as pages have heard of them

    @require(Permission.DATA_READ)
    def frame(self, session: Session, actor: Actor, query: Query) -> Frame:
        return self._kept(session, actor, query, "frame", lambda frame: frame)

    @require(Permission.DATA_READ)
    def rendered(
        self, session: Session, actor: Actor, query: Query, form: str, render: Callable[[Frame], bytes]
    ) -> bytes:
        return self._kept(session, actor, query, f"as {form}", render)

    @require(Permission.DATA_READ)
    def derived(
        self, session: Session, actor: Actor, name: str, queries: Sequence[Query], derive: Callable[[], Made]
    ) -> Made:
        scoped = [within_scope(query, actor) for query in queries]
        keys = "|".join(_key(query, self._now()) for query in scoped)
        used = ",".join(self.dimensions_in_use(session, actor))
        return self._for_days(scoped, f"derived {name}|{used}|{keys}", derive)

    def _kept(self, session: Session, actor: Actor, query: Query, form: str, render: Callable[[Frame], Made]) -> Made:
        now = self._now()
        scoped = within_scope(query, actor)

        def compute() -> Made:
            start = time.perf_counter()
            with _up_to_date(session) as current:
                frame, missing = build_frame(current, scoped, now, self._zone, self._closed_days(current, now))
            if self._sets is not None:
                self._sets.want(missing)
            QUERY_SECONDS.labels(frame.source).observe(time.perf_counter() - start)
            return render(frame)

        return self._for_days([scoped], f"{form}|{_key(scoped, now)}", compute)

    def _for_days(self, queries: Sequence[Query], key: str, compute: Callable[[], Made]) -> Made:
        """What `compute` makes, kept until a sale of a day of `queries` is stored."""
        try:
            nodes = tuple(dict.fromkeys(node for query in queries for node in self._days(query)))
            return self._cache.get_or_compute(SALES, key, compute, depends=nodes)
        except OverflowError:
            raise InvalidQuery(_("The range or its comparison leaves the years 1 to 9999.")) from None

    @require(Permission.DATA_READ)
    def view(self, session: Session, actor: Actor, stamp: str, name: str, draw: Callable[[], Made]) -> Made:
        session.rollback()  # gives its connection back: what is drawn asks with sessions of its own
        key = f"view|{stamp}|{actor.scope}|{','.join(sorted(actor.permissions))}|{name}"
        return self._cache.get_or_compute(SALES, key, draw, (), _VIEW_SECONDS, _PATIENCE_SECONDS)

    @require(Permission.SALES_READ)
    def sales(
        self,
        session: Session,
        actor: Actor,
        query: Query,
        cursor: str | None = None,
        limit: int = 100,
        order: str = "-sold_at",
    ) -> SalePage:
        scoped = within_scope(query, actor)
        asked = Slice((Bucket(query.start, query.end),), (), scoped.filters, frozenset({"lines"}))
        demand_facts(Standing(session), (Piece(query.start, query.end, 0),))
        total = measure(session, asked, self._zone).cells.get((0,), {}).get("lines", 0)
        return sale_page(session, asked, cursor, limit, order, total)

    @require(Permission.DATA_READ)
    def values(
        self, session: Session, actor: Actor, dimension: str, search: str = "", limit: int = 50
    ) -> Sequence[tuple[str, str]]:
        entry = dimension_of(dimension)
        if entry.slug == "product" or not entry.rolled:
            found = self._largest(session, actor, entry, search, limit)
            names = product_names(session, found) if entry.slug == "product" else {}
            return [(value, names.get(value, value) or _("Not given")) for value in found]
        labelled = [(value, value or _("Not given")) for value in self._listed(session, actor, entry)]
        return [pair for pair in labelled if search.casefold() in pair[1].casefold()][:limit]

    @require(Permission.DATA_READ)
    def dimensions_in_use(self, session: Session, actor: Actor) -> Sequence[str]:
        key = f"{','.join(entry.slug for entry in DIMENSIONS)}|{actor.scope}"

        def varying(known: Sequence[str]) -> list[str]:
            with _up_to_date(session) as current:
                return [e.slug for e in DIMENSIONS if e.slug in known or self._varies(current, actor, e)]

        def compute() -> list[str]:
            # More sales leave what varies as it is: for a while it need not be asked again
            varied = f"varied|{key}"
            known = self._cache.get_or_compute(SALES, varied, lambda: varying(()), (), _VALUES_SECONDS)
            return varying(known)

        return self._cache.get_or_compute(SALES, f"dimensions|{key}", compute)

    @require(Permission.DATA_READ)
    def freshness(self, session: Session, actor: Actor) -> Freshness:
        def compute() -> Freshness:
            with _up_to_date(session) as current:
                return self._freshness(current, scope_filters(actor))

        return self._cache.get_or_compute(SALES, f"freshness|{actor.scope}", compute)

    def _freshness(self, session: Session, scope: tuple[Filter, ...]) -> Freshness:
        within = sql.conditions(sql.SALE, Slice((), (), scope, frozenset()))
        first, last = (
            session.scalar(select(SaleRow.sold_at).where(*within).order_by(order).limit(1))
            for order in (SaleRow.sold_at, SaleRow.sold_at.desc())
        )
        since = facts_since(session)
        if since is not None and first is not None and first < since:  # of the first day there may be sums alone
            first = session.scalar(select(func.min(_DAYS.c.bucket)))
        lines = 0
        if first is not None and last is not None:
            # whole days: of an hour that ends with the last sale each sale line would be counted
            days = Bucket(day_floor(first, self._zone), day_ceiling(last + timedelta(microseconds=1), self._zone))
            asked = Slice((days,), (), scope, frozenset({"lines"}))
            lines = measure(session, asked, self._zone).cells[0,]["lines"]
        arrival = session.scalar(select(func.max(IngestOffset.updated_at)).where(IngestOffset.topic != HISTORY.topic))
        currency = session.scalar(select(Installation.value).where(Installation.key == CURRENCY))
        sample = NAME if session.get(Installation, PLAN_KEY) is not None else ""
        return Freshness(first, last, arrival if lines else None, currency or "", lines, sample)

    @require(Permission.DATA_READ)
    def stamp(self, session: Session, actor: Actor) -> str:  # noqa: ARG002 - a stamp of more than one may see gives nothing away
        """The versions of all days' sales and of all alerts; what other processes have changed is not kept here any longer."""
        with _up_to_date(session) as current:
            rows = current.execute(select(DayVersion.day, DayVersion.version))
            versions = {row.day: row.version for row in rows}
            alerts = _alert_stamp(current)
        self._cache.notice(*(day_node(day) for day, number in versions.items() if self._versions.get(day) != number))
        self._versions = versions
        return f"{sum(versions.values())}-{alerts}"

    def _days(self, query: Query) -> tuple[Path, ...]:
        """The cache's nodes of all days whose sales are in the answer."""
        ranges = [(query.start, query.end), *([comparison_range(query)] if query.comparison else [])]
        return tuple(dict.fromkeys(node for start, end in ranges for node in self._nodes(start, end)))

    def _nodes(self, start: datetime, end: datetime) -> tuple[Path, ...]:
        last = day_of(end - timedelta(microseconds=1), self._zone)
        return day_nodes(day_of(start, self._zone), last + ONE_DAY)

    def _closed_days(self, session: Session, now: datetime) -> ClosedDays:
        """The days before that of `now`; what they hold is kept in the cache until a sale of one of them is stored."""

        def kept(key: str, span: Bucket, read: Callable[[Session], Made]) -> Made:
            def compute() -> Made:
                with _up_to_date(session) as current:
                    return read(current)

            return self._cache.get_or_compute(SALES, f"closed|{key}", compute, depends=self._nodes(*span))

        return ClosedDays(day_floor(now, self._zone), kept)

    def _listed(self, session: Session, actor: Actor, entry: Dimension) -> list[str]:
        """All values within the scope, the largest by recent revenue first; at most a minute old."""
        key = f"values|{entry.slug}|{actor.scope}"

        def compute() -> list[str]:
            spans = self._recent_last(session)
            asked = Slice(spans, (entry.slug,), scope_filters(actor), frozenset({"revenue"}))
            cells = measure(session, asked, self._zone).cells if spans else {}
            values = {value for _, value in cells}
            recent, older = ({v: cells.get((n, v), {}).get("revenue", 0) for v in values} for n in (1, 0))
            return sorted(values, key=lambda value: (-recent[value], -older[value], value))

        return self._cache.get_or_compute(SALES, key, compute, depends=(), ttl_seconds=_VALUES_SECONDS)

    def _largest(self, session: Session, actor: Actor, entry: Dimension, search: str, limit: int) -> list[str]:
        """Values that were sold lately, the largest first; there may be too many to list them all."""
        spans = self._recent_last(session)[1:]
        if not spans:
            return []
        filters = scope_filters(actor)
        if search:
            like = _products_like(search) if entry.slug == "product" else _values_like(entry.column, search, spans[0])
            matching = tuple(session.scalars(like))
            if not matching:
                return []
            filters = (*filters, Filter(entry.slug, "in", matching))
        asked = Slice(spans, (entry.slug,), filters, frozenset({"revenue"}))
        return [found[0] for found in ranked(session, asked, metric("revenue"), self._zone, limit, descending=True)]

    def _recent_last(self, session: Session) -> tuple[Bucket, ...]:
        """All time that there are sales of, as the older part and the recent one."""
        first, last = session.execute(select(func.min(_DAYS.c.bucket), func.max(_DAYS.c.bucket))).one()
        if first is None:
            return ()
        recent = max(first, last - _RECENT)
        return Bucket(first, recent), Bucket(recent, last + 2 * ONE_DAY)

    def _varies(self, session: Session, actor: Actor, entry: Dimension) -> bool:
        """Whether sales have more than one value of it: of a rollup the ends of an index tell, of facts the first that differs."""
        rollup = next((r for r in ROLLUPS if r.dimensions == (entry.column,) and r.grain == "day"), None)
        table = rollup.table if rollup else sql.SALE
        scope = tuple(item for item in scope_filters(actor) if item.dimension == entry.slug)
        within = sql.conditions(table, Slice((), (), scope, frozenset()))
        column = table.c[entry.column]
        if rollup:
            least, most = (session.scalar(select(which(column)).where(*within)) for which in (func.min, func.max))
            return bool(least != most)
        one = session.scalar(select(column).where(*within).limit(1))
        return session.scalar(select(column).where(*within, column != one).limit(1)) is not None


def _key(query: Query, now: datetime) -> str:
    """What is not over changes as time passes: the comparison of today ends where today has got to."""
    return f"{now:%Y%m%d%H%M}|{query.key}" if query.end > now else f"|{query.key}"


@contextmanager
def _up_to_date(session: Session) -> Iterator[Session]:
    """A session that sees all that is committed by now, as what is cached must: on SQLite one reads as of its first statement."""
    bind = session.get_bind()
    writes = bind.get_execution_options().get("write", False)  # nobody can have committed since such a one began
    if dialect_of(session) == "sqlite" and session.in_transaction() and isinstance(bind, Engine) and not writes:
        with Session(bind) as fresh:
            yield fresh
    else:
        yield session


def _alert_stamp(session: Session) -> str:
    """A text that changes with any alert."""
    versions = select(func.coalesce(func.sum(Alert.version), 0)).scalar_subquery()
    changes, changed = session.execute(select(versions, select(func.max(Alert.updated_at)).scalar_subquery())).one()
    return f"{changes}-{changed.timestamp() if changed else 0:.6f}"


def _products_like(search: str) -> Select[str]:
    """Ids of products whose id or name contains `search`."""
    matches = _contains(search, Product.name, Product.product_id)
    return select(Product.product_id).where(matches).order_by(Product.product_id).limit(_FOUND)


def _values_like(column: str, search: str, lately: Bucket) -> Select[str]:
    """Values of the facts' `column` that contain `search`."""
    value = sql.SALE.c[column]
    within = (SaleRow.sold_at >= lately.start, SaleRow.sold_at < lately.end, _contains(search, value))
    return select(value).where(*within).distinct().order_by(value).limit(_FOUND)


def _contains(search: str, *columns: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Whether any of `columns` contains `search`, literally, in either case."""
    # SQLite folds the case of ASCII alone, so the usual forms are asked for as well
    forms = dict.fromkeys((search, search.lower(), search.upper(), search.capitalize(), search.title()))
    return or_(*(found.icontains(form, autoescape=True) for form in forms for found in columns))
