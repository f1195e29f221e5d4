"""What products are called: by the latest sale that names them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, case, or_, select

from nebuloviz.db import Insert, insert
from nebuloviz.ingest.loading import among, insert_texts, table_of
from nebuloviz.models import Installation, Product

_PRODUCT = table_of(Product)
_VERSION = "product_names"  # of the installation: another token whenever a name is stored
_MAX_KNOWN = 100_000


class ProductNames:
    """Stores names, and remembers them, to be spared looking them up for each batch. Writers that take turns may share one.

    What is remembered holds for one version of all names. A version of a transaction that was rolled back never comes again.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}
        self._version = ""

    def store(self, connection: Connection, sales: Mapping[str, Sequence[Any]]) -> None:
        """Name and category of each product of `sales`, given as columns; '' leaves alone what is known."""
        named_so = zip(sales["product"], sales["category"], strict=True)
        latest = dict(zip(sales["product_id"], named_so, strict=True))
        version = connection.execute(_STORED_VERSION).scalar_one_or_none() or ""
        if version != self._version or len(self._known) > _MAX_KNOWN:
            self._known.clear()
        changed = {key: told for key, told in latest.items() if self._known.get(key) != told}
        if changed and _store(connection, changed):
            version = secrets.token_hex(8)
            another = insert(connection, Installation).values(key=_VERSION, value=version)
            connection.execute(another.on_conflict_do_update(index_elements=["key"], set_={"value": version}))
        self._known.update(changed)
        self._version = version


_STORED_VERSION = select(Installation.value).where(Installation.key == _VERSION)


def _store(connection: Connection, named: Mapping[str, tuple[str, str]]) -> bool:
    """Store what is new of them; returns whether anything was."""
    # An upsert locks, and so writes, each row that it meets; most products are known as they are
    stored = _stored_products(connection, sorted(named))
    products = [(key, told) for key, told in sorted(named.items()) if _renames(key, told, stored.get(key))]
    if not products:
        return False
    columns = {
        "product_id": [key for key, _named in products],
        "name": [name or key for key, (name, _category) in products],
        "category": [category for _key, (_name, category) in products],
    }
    insert_texts(connection, _PRODUCT, columns, _keep_latest)
    return True


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
    product = _PRODUCT.c
    found = select(product.product_id, product.name, product.category).where(
        among(connection, product.product_id, keys)
    )
    return {key: (name, category) for key, name, category in connection.execute(found)}


def _renames(key: str, named: tuple[str, str], stored: tuple[str, str] | None) -> bool:
    """Whether a sale's name and category of a product change what is stored of it; what the sale leaves out does not."""
    name, category = named
    return stored is None or (name not in {"", key, stored[0]}) or category not in {"", stored[1]}
