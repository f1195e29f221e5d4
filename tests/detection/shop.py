"""A shop for the detectors' tests: open Monday to Saturday from 9 to 18, busier on Saturdays, two regions, prices that keep."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from nebuloviz.detection.series import Buckets, FloatArray, Lines, SeriesKey, hour_of_time

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
START = hour_of_time(MONDAY)
NORTH, SOUTH = SeriesKey.of("orders", region="north"), SeriesKey.of("orders", region="south")
TOTAL = SeriesKey("orders")
WEEK = 168


def expected_orders(weeks: int) -> FloatArray:
    """Orders due in each hour of the shop's whole life."""
    hours = np.arange(weeks * WEEK)
    weekday, hour = hours // 24 % 7, hours % 24
    is_open = (weekday < 6) & (hour >= 9) & (hour < 18)
    return np.where(is_open, np.where(weekday == 5, 60.0, 30.0), 0.0)


def orders(weeks: int, *, seed: int = 1, events: dict[tuple[int, int], float] | None = None) -> Buckets:
    """Poisson orders in total and per region; `events` multiply what is due in [first, last) hours since the start."""
    due = expected_orders(weeks)
    for (first, last), factor in (events or {}).items():
        due[first:last] *= factor
    random = np.random.default_rng(seed)
    north, south = random.poisson(due * 0.7).astype(float), random.poisson(due * 0.3).astype(float)
    return Buckets(START, (TOTAL, NORTH, SOUTH), np.column_stack([north + south, north, south]))


def sale_lines(weeks: int, *, seed: int = 1, per_day: int = 40) -> Lines:
    """Invoices of four lines, `per_day` of them on each open day, of fifty products with a usual price and quantity each."""
    random = np.random.default_rng(seed)
    days = [day for day in range(weeks * 7) if day % 7 < 6]
    moments = np.concatenate([np.sort(random.integers(9 * 3600, 18 * 3600, per_day)) + day * 86_400 for day in days])
    n = len(moments) * 4
    product = random.integers(0, 50, n)
    price = np.round((1 + product / 5) * random.choice([1.0, 1.0, 1.0, 0.9], n), 2)
    return Lines(
        sold_at=(np.repeat(moments, 4) + int(MONDAY.timestamp())) * 1_000_000,
        order_id=np.array([f"O{number}" for number in np.repeat(np.arange(len(moments)), 4)], dtype=object),
        product_id=np.array([f"P{number}" for number in product], dtype=object),
        quantity=(1.0 + random.poisson(2.0, n)).astype(np.float64),
        unit_price=price,
        dimensions={"region": np.repeat(np.array(["north", "south"], dtype=object)[random.integers(0, 2, n // 4)], 4)},
    )
