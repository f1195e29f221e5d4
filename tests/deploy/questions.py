"""Expressions of rules and dashboards, as questions to a Prometheus."""

import re

_STEP = re.compile(r"\[(\w+):\w+\]")
_AND = re.compile(r" and (?:on \(\) )?")
_COMPARISON = re.compile(r"^(?P<expression>.+?) (?:==|!=|>=|<=|>|<) -?[\d.]+$", re.DOTALL)


def conditions(rule: str) -> list[str]:
    """The expressions that a rule compares with numbers: `a > 1 and on () b == 2` is about `a` and `b`.

    Raises:
        ValueError: it is of another form.
    """
    found = []
    for part in _AND.split(rule):
        compared = _COMPARISON.match(part.strip())
        if compared is None:
            message = f"not an expression compared with a number: {part}"
            raise ValueError(message)
        found.append(compared["expression"])
    return found


def spoken(expression: str, window: str) -> str:
    """An expression as a short-lived Prometheus can answer it: Grafana's interval filled in, and subqueries of finer steps."""
    return _STEP.sub("[\\1:1s]", expression.replace("$__rate_interval", window))
