"""What nobody is to learn from logs: what opens a door, and who a person is. It is taken out of all that is logged.

A safety net: whoever writes a line names users, customers and files by number. This is for what libraries and databases say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
_SECRETS = r"passw|secret|token|authorization|cookie|api[_-]?key|csrf|credential|session[_-]?id"
_PEOPLE = r"user_?name|e_?mail|customer|phone|recipient"
_NAME = rf"[\w-]{{0,40}}(?:{_SECRETS}|{_PEOPLE})[\w-]{{0,40}}"  # bounded, as it is looked for from every letter on
_VALUE = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&"'<>(){}\[\]]+"""

_HEADINGS = r"[A-Z]{4,}[ \d]*:|\[SQL|\(Background|Traceback|  File \"|The above|During "

_NAMED = re.compile(_NAME, re.IGNORECASE)
#: Each pattern, and what stands in its place.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Where a database quotes the row that it did not take, or where in it: up to its next heading, as values may have several lines
    (
        re.compile(rf"^(DETAIL|CONTEXT|LINE \d+):.*?(?=\n(?:{_HEADINGS})|\Z)", re.MULTILINE | re.DOTALL),
        rf"\1: {HIDDEN}",
    ),
    # What Pydantic was given
    (re.compile(r"\binput_value=.*?(?=, input_type=|\]$)", re.MULTILINE), f"input_value={HIDDEN}"),
    (re.compile(r'(?<=://)([^/\s:@"]*):[^/\s"]*@'), rf"\1:{HIDDEN}@"),
    (re.compile(r"\b((?:Set-)?Cookie):.*$", re.IGNORECASE | re.MULTILINE), rf"\1: {HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # name=value of forms, queries and records, "name": "value" of JSON and dictionaries
    (re.compile(rf"""\b({_NAME})(["']\s*:\s*|=)(?:{_VALUE})""", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    # JSON web tokens, and one-time links
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),
    (re.compile(r"(/welcome/)[\w.~-]+"), rf"\1{HIDDEN}"),
    (re.compile(r"[\w.+-]{1,64}@(?=[\w-]{1,63}(?:\.[\w-]{1,63})*\.[a-z]{2,})", re.IGNORECASE), f"{HIDDEN}@"),
)


def redacted(text: str) -> str:
    """`text` without passwords, tokens, cookies, e-mail addresses, names of users, and the values that a database quotes.

    >>> redacted("GET /alerts?next=/&access_token=abc by anna@example.com failed at postgresql://shop:hunter2@db/sales")
    'GET /alerts?next=/&access_token=*** by ***@example.com failed at postgresql://shop:***@db/sales'
    """
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


def redacted_field(name: str, value: Any) -> Any:
    """`value` of what is called `name`, as it may be logged; containers are looked through."""
    if _NAMED.search(name):
        return HIDDEN
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {str(key): redacted_field(str(key), each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redacted_field("", each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float)) else redacted(str(value))
