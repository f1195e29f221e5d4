"""Expressions of rules and dashboards, as questions to a Prometheus."""

import re
from collections.abc import Callable

_STEP = re.compile(r"\[(\w+):\w+\]")
_AND = re.compile(r" and (?:on \(\) )?")
_COMPARISON = re.compile(r"^(?P<expression>.+?) (?:==|!=|>=|<=|>|<) (?P<number>-?[\d.]+)$", re.DOTALL)


def conditions(rule: str) -> list[str]:
    """The expressions that a rule compares with numbers: `a > 1 and on () b == 2` is about `a` and `b`.

    Raises:
        ValueError: it is of another form.
    """
    return [_compared(part)["expression"] for part in _AND.split(rule)]


def moved(rule: str, place: int, by: Callable[[float], float]) -> str | None:
    """The rule with another number in its condition at `place`; None where it has no such condition."""
    parts = _AND.split(rule)
    if place >= len(parts):
        return None
    number = _compared(parts[place])["number"]
    before = parts[place].rstrip().removesuffix(number)
    return rule.replace(f"{before}{number}", f"{before}{by(float(number)):.6g}", 1)


def _compared(part: str) -> re.Match[str]:
    found = _COMPARISON.match(part.strip())
    if found is None:
        message = f"not an expression compared with a number: {part}"
        raise ValueError(message)
    return found


def spoken(expression: str, window: str) -> str:
    """An expression as a short-lived Prometheus can answer it: Grafana's interval filled in, and subqueries of finer steps."""
    return _STEP.sub("[\\1:1s]", expression.replace("$__rate_interval", window))
