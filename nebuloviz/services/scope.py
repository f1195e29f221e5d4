"""A reader's row scope, as filters. Whatever answers from sales or alerts puts them beside the reader's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.query import REST, Filter, Query
from nebuloviz.permissions import Actor, RowScope

#: What rows can be confined by, in the order in which scopes are kept.
SCOPED_DIMENSIONS = ("region", "country", "channel", "store", "category")
_MAX_VALUES, _MAX_VALUE_LENGTH = 1_000, 256


def scope_filters(actor: Actor) -> tuple[Filter, ...]:
    """One for each dimension that the scope restricts; one of which nothing is allowed leaves nothing."""
    return tuple(Filter(dimension, "in", allowed or (REST,)) for dimension, allowed in actor.scope)


def within_scope(query: Query, actor: Actor) -> Query:
    """`query` about those of its rows that `actor` may see."""
    return query.with_(filters=(*query.filters, *scope_filters(actor))) if actor.scope else query


def scope_from_json(text: str) -> RowScope:
    """The scope that `scope_to_json` wrote."""
    found: dict[str, list[str]] = json.loads(text or "{}")
    return tuple((dimension, tuple(found[dimension])) for dimension in SCOPED_DIMENSIONS if dimension in found)


def scope_to_json(scope: RowScope) -> str:
    return json.dumps(dict(scope), ensure_ascii=False)


def checked_scope(given: Mapping[str, Iterable[str]]) -> RowScope:
    """The scope that somebody has chosen, in its one form: equal scopes are equal values. What is not named is not confined.

    Raises:
        InvalidInput: a dimension that rows cannot be confined by; one without values, which could be read as nothing or as
            everything; a value that is none.

    >>> checked_scope({"store": ["b", "a", "b"]})
    (('store', ('a', 'b')),)
    """
    chosen = {dimension: tuple(sorted(set(values))) for dimension, values in given.items()}
    for dimension, values in chosen.items():
        if dimension not in SCOPED_DIMENSIONS:
            known = ", ".join(SCOPED_DIMENSIONS)
            raise InvalidInput(
                _("Rows are confined by one of {known}, not by {name}.", known=known, name=dimension[:64])
            )
        if not values:
            raise InvalidInput(_("Name at least one value of {name}, or leave it out.", name=dimension))
        if len(values) > _MAX_VALUES or not all(_is_value(value) for value in values):
            raise InvalidInput(_("Choose at most {limit} values of those that there are.", limit=_MAX_VALUES))
    return tuple((dimension, chosen[dimension]) for dimension in SCOPED_DIMENSIONS if dimension in chosen)


def _is_value(value: str) -> bool:
    return len(value) <= _MAX_VALUE_LENGTH and all(letter.isprintable() for letter in value)
