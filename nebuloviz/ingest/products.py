"""What products are called: by the latest sale that names them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, any_, case, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from nebuloviz.db import Insert
from nebuloviz.ingest.loading import insert_texts
from nebuloviz.models import Product


def name_products(connection: Connection, named: Mapping[str, tuple[str, str]]) -> None:
    """Store name and category by product; '' leaves alone what is known. Writers take turns, so nobody else does meanwhile."""
    # An upsert locks, and so writes, each row that it meets; most products are known as they are
    stored = _stored_products(connection, sorted(named))
    products = [(key, told) for key, told in sorted(named.items()) if _renames(key, told, stored.get(key))]
    if not products:
        return
    columns = {
        "product_id": [key for key, _named in products],
        "name": [name or key for key, (name, _category) in products],
        "category": [category for _key, (_name, category) in products],
    }
    insert_texts(connection, Product, columns, _keep_latest)


def _keep_latest(named: Insert) -> Insert:
    name, category = named.excluded.name, named.excluded.category
    latest_known = {
        "name": case((name == named.excluded.product_id, Product.name), else_=name),
        "category": case((category == "", Product.category), else_=category),
    }
    another = or_(latest_known["name"] != Product.name, latest_known["category"] != Product.category)
    return named.on_conflict_do_update(index_elements=["product_id"], set_=latest_known, where=another)


def _stored_products(connection: Connection, keys: list[str]) -> dict[str, tuple[str, str]]:
    """Name and category of those products that are stored."""
    if connection.dialect.name == "sqlite":
        listed = select(text("value")).select_from(func.json_each(json.dumps(keys)))
        found = select(Product.product_id, Product.name, Product.category).where(Product.product_id.in_(listed))
    else:
        among = Product.product_id == any_(literal(keys, ARRAY(Text)))
        found = select(Product.product_id, Product.name, Product.category).where(among)
    return {key: (name, category) for key, name, category in connection.execute(found)}


def _renames(key: str, named: tuple[str, str], stored: tuple[str, str] | None) -> bool:
    """Whether a sale's name and category of a product change what is stored of it; what the sale leaves out does not."""
    name, category = named
    return stored is None or (name not in {"", key, stored[0]}) or category not in {"", stored[1]}
