"""Why the revenue of an alert's time differs from the same hours before: how much was sold, at what prices, and of what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy.orm import Session

from nebuloviz.detection.alerts import LINES
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.metrics.registry import METRICS
from nebuloviz.permissions import Actor
from nebuloviz.services.explaining import BASELINE_WEEKS, weeks_back
from nebuloviz.services.interfaces import AlertView, DataService, RevenueSplit

_PRODUCT = "product"
Sold = Mapping[str, tuple[float, float]]  # product -> units and revenue


def split_of(session: Session, actor: Actor, data: DataService, alert: AlertView) -> RevenueSplit | None:
    """Of the window that was judged against the mean of the same hours of the weeks before, as far as `actor` may see.

    None of alerts on single lines and on the stream itself, where products are not told apart, and where nothing was sold before.
    """
    if alert.detector == LINES or alert.metric not in {each.slug for each in METRICS}:
        return None
    if _PRODUCT not in data.dimensions_in_use(session, actor):
        return None
    start, end = alert.judged
    filters = tuple(Filter(name, "in", (value,)) for name, value in alert.dimensions.items())
    query = Query(metrics=("units", "revenue"), dimensions=(_PRODUCT,), start=start, end=end, filters=filters)
    now, *before = (_sold(session, actor, data, weeks_back(query, week)) for week in range(BASELINE_WEEKS + 1))
    return split(now, mean(before))


def _sold(session: Session, actor: Actor, data: DataService, query: Query) -> Sold:
    frame = data.frame(session, actor, query).data
    figures = (np.nan_to_num(frame[name].astype(float)).tolist() for name in query.metrics)
    return dict(zip(frame[_PRODUCT].astype(str), zip(*figures, strict=True), strict=True))


def mean(periods: Sequence[Sold]) -> Sold:
    """What each product sold in the middle of the periods; one in which it is missing counts as nothing.

    >>> mean([{"a": (2.0, 10.0)}, {"a": (4.0, 20.0), "b": (1.0, 3.0)}])
    {'a': (3.0, 15.0), 'b': (0.5, 1.5)}
    """
    products = sorted(set().union(*periods))
    none = (0.0, 0.0)
    return {
        product: (
            sum(period.get(product, none)[0] for period in periods) / len(periods),
            sum(period.get(product, none)[1] for period in periods) / len(periods),
        )
        for product in products
    }


def split(now: Sold, before: Sold) -> RevenueSplit | None:
    """The usual price-volume-mix analysis: three parts that add up to the difference of revenue. None where nothing was sold before.

    Volume is what so many more or fewer units come to at the mean price of before; price is what the units sold now cost more or
    less than the same products did; mix is the rest, as dearer or cheaper products than before were sold, new ones among them.

    >>> split({"a": (4.0, 48.0), "b": (2.0, 2.0)}, {"a": (5.0, 50.0), "b": (5.0, 5.0)})
    RevenueSplit(revenue=50.0, before=55.0, units=6.0, units_before=10.0, volume=-22.0, price=8.0, mix=9.0)
    """
    units, revenue = (sum(sold[place] for sold in now.values()) for place in (0, 1))
    units_before, revenue_before = (sum(sold[place] for sold in before.values()) for place in (0, 1))
    if units_before <= 0 or revenue_before <= 0:
        return None
    volume = (units - units_before) * revenue_before / units_before
    price = sum(_dearer(sold, before.get(product, (0.0, 0.0))) for product, sold in now.items())
    mix = revenue - revenue_before - volume - price
    return RevenueSplit(revenue, revenue_before, units, units_before, volume, price, mix)


def _dearer(sold: tuple[float, float], before: tuple[float, float]) -> float:
    """What these units of one product cost more than they did; nothing where either has no price, as of returns."""
    (units, revenue), (units_before, revenue_before) = sold, before
    return revenue - units * revenue_before / units_before if units > 0 and units_before > 0 else 0.0
