"""Written insights from figures alone: no model, no network, and never a number that a tile would contradict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd
from sqlalchemy.orm import Session

from nebuloviz.i18n import _, change_words, money, ngettext, number, percent
from nebuloviz.metrics.comparison import reaches_back
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import dimension as dimension_of
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.interfaces import OTHER, AIInsights, AlertFilter, AlertService, AlertView, DataService, Insight

NOTABLE_CHANGE = 0.02  # smaller changes are called steady
_MOVERS_PER_DIMENSION = 1
_MAX_VALUES = 50


class FigureInsights(AIInsights):
    """Reads the same figures as the tiles and says what stands out: the change, its driver, its segments, open alerts."""

    def __init__(self, data: DataService, alerts: AlertService) -> None:
        self._data = data
        self._alerts = alerts

    @require(Permission.DATA_READ)
    def insights(self, session: Session, actor: Actor, query: Query, limit: int = 5) -> Sequence[Insight]:
        asked = replace(
            query,
            metrics=("revenue", "orders", "average_order_value"),
            dimensions=(),
            grain=None,
            comparison=query.comparison or "previous",
            order=None,
            limit=None,
            other=False,
        )
        figures = self._data.frame(session, actor, asked).data.iloc[0]
        found = list(self._open_alerts(session, actor, asked, figures["average_order_value"]))
        # against a part of a period, such as while sales are still being loaded, everything would seem to have risen
        if reaches_back(asked, self._data.freshness(session, actor).first_sale):
            found = [*self._headline(asked, figures), *self._movers(session, actor, asked), *found]
        return sorted(found, key=lambda insight: -insight.weight)[:limit]

    def _headline(self, query: Query, figures: pd.Series[float]) -> Iterator[Insight]:
        revenue, before = figures["revenue"], figures["revenue:comparison"]
        relative = _relative(revenue, before)
        if relative is None:
            return
        money_at_stake = abs(revenue - before)
        if abs(relative) < NOTABLE_CHANGE:
            text = _("Revenue is steady at {amount}.", amount=money(revenue))
            yield Insight(text, "low", query, math.inf)
            return
        text = _(
            "Revenue is {amount}, {change} against {before}.",
            amount=money(revenue),
            change=change_words(relative),
            before=money(before),
        )
        yield Insight(text, "low" if relative > 0 else "medium", query, math.inf)
        driver = _driver(figures)
        if driver:
            yield Insight(driver, "low", query, money_at_stake)

    def _movers(self, session: Session, actor: Actor, query: Query) -> Iterator[Insight]:
        """The value of each dimension whose revenue moved most, in either direction."""
        rolled = [slug for slug in self._data.dimensions_in_use(session, actor) if dimension_of(slug).rolled]
        for slug in rolled:
            by_value = replace(query, metrics=("revenue",), dimensions=(slug,), order="-revenue", limit=_MAX_VALUES)
            data = self._data.frame(session, actor, by_value).data
            data = data[~data[slug].isin([OTHER, ""])]
            moves = (data["revenue"] - data["revenue:comparison"].fillna(0.0)).dropna()
            for index in moves.abs().nlargest(_MOVERS_PER_DIMENSION).index:
                if moves[index]:
                    yield Insight(
                        _moved(slug, data.loc[index], moves[index]), "low", by_value, abs(float(moves[index]))
                    )

    def _open_alerts(self, session: Session, actor: Actor, query: Query, order_value: float) -> Iterator[Insight]:
        if not actor.may(Permission.ALERTS_READ):
            return
        which = AlertFilter(states=("open", "acknowledged"), start=query.start, end=query.end, filters=query.filters)
        items = self._alerts.list(session, actor, which, limit=500).items
        if not items:
            return
        worst = max(items, key=lambda alert: alert.score)
        text = ngettext(
            "One alert is open in this time.",
            "{count} alerts are open in this time.",
            len(items),
            count=number(len(items)),
        )
        yield Insight(text, worst.severity, query, sum(_stake(alert, order_value) for alert in items), worst.id)


def _relative(now: float, before: float) -> float | None:
    return None if math.isnan(now) or math.isnan(before) or before == 0 else float((now - before) / abs(before))


def _driver(figures: pd.Series[float]) -> str:
    """Whether the number of orders or their value moved revenue more (logarithms of the two add up to revenue's)."""
    orders = _relative(figures["orders"], figures["orders:comparison"])
    value = _relative(figures["average_order_value"], figures["average_order_value:comparison"])
    if orders is None or value is None or min(orders, value) <= -1:
        return ""
    if abs(math.log1p(orders)) >= abs(math.log1p(value)):
        return _("The number of orders moved it most: {change}.", change=change_words(orders))
    return _("The value of an order moved it most: {change}.", change=change_words(value))


def _moved(slug: str, row: pd.Series[float], move: float) -> str:
    name = str(row[f"{slug}:name"] if f"{slug}:name" in row else row[slug])
    relative = _relative(row["revenue"], row["revenue:comparison"])
    values = {
        "dimension": str(dimension_of(slug).label),
        "name": name,
        "amount": money(abs(move)),
        "share": percent(abs(relative)) if relative is not None else "",
    }
    if relative is None:
        return _("{dimension} {name} is new with {amount}.", **values)
    if move > 0:
        return _("{dimension} {name} rose by {amount} ({share}).", **values)
    return _("{dimension} {name} fell by {amount} ({share}).", **values)


def _stake(alert: AlertView, order_value: float) -> float:
    """The money in an alert's deviation, roughly, times how surprising it is."""
    deviation = abs(alert.observed - (alert.expected or 0.0))
    in_money = deviation * order_value if alert.metric == "orders" and math.isfinite(order_value) else deviation
    return in_money * max(1.0, alert.score)
