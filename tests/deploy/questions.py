"""Expressions of rules and dashboards, as questions to a Prometheus."""

import re

_COMPARISON = re.compile(r"^(?P<expression>.+?) (?:==|!=|>=|<=|>|<) -?[\d.]+$", re.DOTALL)


def conditions(rule: str) -> list[str]:
    """The expressions that a rule compares with numbers: `a > 1 and on () b == 2` is about `a` and `b`.

    Raises:
        ValueError: it is of another form.
    """
    found = []
    for part in rule.split(" and on () "):
        compared = _COMPARISON.match(part.strip())
        if compared is None:
            message = f"not an expression compared with a number: {part}"
            raise ValueError(message)
        found.append(compared["expression"])
    return found
