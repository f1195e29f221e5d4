"""Made-up sale lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

NOW = datetime(2026, 11, 22, 15, 20, tzinfo=UTC)
_CATEGORIES = {"Grocery": 5.0, "Dairy": 3.0, "Meat": 9.0, "Produce": 2.0, "<b>Deli & more</b>": 6.0}


def sale_lines(days: int = 70, now: datetime = NOW, seed: int = 7) -> pd.DataFrame:
    """Sale lines of the `days` before `now`: about 50 a day, more on Saturdays and in the afternoon, one in forty returned."""
    random = np.random.default_rng(seed)
    rows = days * 50
    hours = np.clip(random.normal(14, 3.5, rows), 6, 22).astype(int)
    day = random.choice(days, rows, p=_day_weights(days, now))
    sold_at = pd.Timestamp(now).normalize() - pd.to_timedelta(day, unit="D") + pd.to_timedelta(hours, unit="h")
    names = random.choice(list(_CATEGORIES), rows, p=[0.35, 0.25, 0.15, 0.2, 0.05])
    quantity = np.where(random.random(rows) < 0.025, -1.0, random.integers(1, 5, rows).astype(float))
    price = np.array([_CATEGORIES[name] for name in names]) + random.integers(0, 300, rows) / 100
    lines = pd.DataFrame(
        {
            "sold_at": sold_at + pd.to_timedelta(random.integers(0, 3600, rows), unit="s"),
            "order_id": [f"o{number}" for number in random.integers(0, rows // 2, rows)],
            "customer_id": [f"c{number}" if number else "" for number in random.integers(0, 200, rows)],
            "category": names,
            "product": [f"p{number}" for number in random.integers(0, 40, rows)],
            "region": "",
            "country": "",
            "channel": random.choice(["online", "shop"], rows, p=[0.3, 0.7]),
            "store": random.choice([str(number) for number in range(300, 312)], rows),
            "quantity": quantity,
            "unit_price": price,
            "discount": np.where(random.random(rows) < 0.2, 0.5, 0.0),
        }
    )
    lines["revenue"] = (lines["quantity"] * lines["unit_price"] - lines["discount"]).round(2)
    return _measured(lines[lines["sold_at"] <= now].sort_values("sold_at", ignore_index=True))


def _day_weights(days: int, now: datetime) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = np.array([1.5 if (now - timedelta(days=back)).weekday() == 5 else 1.0 for back in range(days)])
    return np.asarray(weights / weights.sum())


def _measured(lines: pd.DataFrame) -> pd.DataFrame:
    """With the measures that metrics are made of."""
    returned = lines["quantity"] < 0
    return lines.assign(
        sale_id=[f"s{number}" for number in range(len(lines))],
        lines=1.0,
        cost=0.0,
        costed_revenue=0.0,
        returned_amount=(-lines["revenue"]).where(returned, 0.0),
    )
