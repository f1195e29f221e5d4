"""What is wrong with a value, in the caller's language: Pydantic's findings in words of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nebuloviz.i18n import LazyText, gettext, lazy

_TEXT = lazy("This must be text.")
_INTEGER = lazy("This must be an integer.")
_NUMBER = lazy("This must be a number.")
_BOOLEAN = lazy("This must be true or false.")
_LIST = lazy("This must be a list.")
_OBJECT = lazy("This must be an object.")

#: Type of a finding -> its words; the `{names}` are of the finding's context.
_WORDS: dict[str, LazyText] = {
    "missing": lazy("This is missing."),
    "extra_forbidden": lazy("There is no such field."),
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "list_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
}
_BOUNDED: dict[str, tuple[LazyText, str]] = {
    "greater_than_equal": (lazy("This must be at least {limit}."), "ge"),
    "less_than_equal": (lazy("This must be at most {limit}."), "le"),
    "string_too_short": (lazy("Characters: at least {limit}."), "min_length"),
    "string_too_long": (lazy("Characters: at most {limit}."), "max_length"),
    "too_short": (lazy("Entries: at least {limit}."), "min_length"),
    "too_long": (lazy("Entries: at most {limit}."), "max_length"),
    "literal_error": (lazy("This must be one of: {limit}."), "expected"),
    "enum": (lazy("This must be one of: {limit}."), "expected"),
    "string_pattern_mismatch": (lazy("This does not have the form {limit}."), "pattern"),
}
_OTHERWISE = lazy("This is not valid.")


def words_of(fault: Mapping[str, Any]) -> str:
    """A sentence about one finding of Pydantic; never what the client sent."""
    kind, context = str(fault["type"]), fault.get("ctx") or {}
    bounded, name = _BOUNDED.get(kind, (None, ""))
    if bounded is not None and name in context:
        return gettext(bounded.message, limit=context[name])
    return str(_WORDS.get(kind, _OTHERWISE))
