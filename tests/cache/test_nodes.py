"""Which nodes cover a range of days, and which generations an answer depends on."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nebuloviz.cache.nodes import Path, day_node, day_nodes, generations_below, generations_changed

DAYS = st.dates(date(2019, 1, 1), date(2028, 12, 31))


def days_of(node: Path) -> set[date]:
    """All days below a node of a year, month or day, counted one by one."""
    year, *rest = (int(part) for part in node[1:])
    all_days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    return {day for day in all_days if [day.year, day.month, day.day][: 1 + len(rest)] == [year, *rest]}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (date(2026, 11, 22), date(2026, 11, 22), []),
        (date(2026, 11, 22), date(2026, 11, 23), ["2026/11/22"]),
        (date(2026, 11, 1), date(2026, 12, 1), ["2026/11"]),
        (date(2024, 2, 1), date(2024, 2, 29), [f"2024/02/{day:02}" for day in range(1, 29)]),
        (date(2024, 2, 1), date(2024, 3, 1), ["2024/02"]),
        (date(2025, 1, 1), date(2027, 1, 1), ["2025", "2026"]),
        (date(2024, 12, 31), date(2026, 2, 2), ["2024/12/31", "2025", "2026/01", "2026/02/01"]),
        (date(9999, 12, 30), date.max, ["9999/12/30"]),
    ],
)
def test_a_range_is_covered_by_whole_years_then_months_then_days(start: date, end: date, expected: list[str]) -> None:
    assert ["/".join(node[1:]) for node in day_nodes(start, end)] == expected


def test_a_range_of_decades_depends_on_the_whole_branch() -> None:
    assert day_nodes(date.min, date.max, ("stock",)) == (("stock",),)


@settings(deadline=None)  # counts every day, which takes as long as the range is
@given(DAYS, DAYS)
def test_the_cover_is_exact_without_overlap_and_minimal(start: date, end: date) -> None:
    nodes = day_nodes(start, end)
    covered = [day for node in nodes for day in days_of(node)]
    assert sorted(covered) == [start + timedelta(days=n) for n in range(max(0, (end - start).days))]
    siblings: dict[Path, int] = {}
    for node in nodes:
        siblings[node[:-1]] = siblings.get(node[:-1], 0) + 1
    assert not [parent for parent, count in siblings.items() if len(parent) == 2 and count == 12], "a year by months"
    assert not [p for p, count in siblings.items() if len(p) == 3 and count == len(days_of(p))], "a month by days"


@given(DAYS, DAYS)
def test_a_changed_day_meets_exactly_the_answers_that_contain_it(changed: date, seen: date) -> None:
    month = day_nodes(seen.replace(day=1), (seen.replace(day=1) + timedelta(days=32)).replace(day=1))
    touched = set(generations_changed(day_node(changed))) & set(generations_below(("sales",), month))
    assert bool(touched) == ((changed.year, changed.month) == (seen.year, seen.month))


@pytest.mark.parametrize("path", [("sales", ""), ("a/b",)])
def test_parts_that_would_blur_into_others_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="non-empty"):
        generations_changed(path)
