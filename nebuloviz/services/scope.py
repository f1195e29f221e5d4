"""A reader's row scope, as filters. Whatever answers from sales or alerts puts them beside the reader's own."""

from __future__ import annotations

from nebuloviz.metrics.query import REST, Filter, Query
from nebuloviz.permissions import Actor


def scope_filters(actor: Actor) -> tuple[Filter, ...]:
    """One for each dimension that the scope restricts; one of which nothing is allowed leaves nothing."""
    return tuple(Filter(dimension, "in", allowed or (REST,)) for dimension, allowed in actor.scope)


def within_scope(query: Query, actor: Actor) -> Query:
    """`query` about those of its rows that `actor` may see."""
    return query.with_(filters=(*query.filters, *scope_filters(actor))) if actor.scope else query
