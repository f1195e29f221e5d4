"""docs/faults.md: every test that it names is there, and every test of a fault is named."""

import re

from tests.deploy.files import ROOT

PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
HANDED_OVER = "test_an_ingesting_process_alone_watches_series_and_lines_and_hands_over_when_it_stops"
SHARED = "test_sessions_limits_figures_and_alerts_are_those_of_one_program"


def names_in(folder: str) -> set[str]:
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests" / folder).rglob("test_*.py"))
    return {name for text in texts for name in re.findall(r"def (test_\w+)", text)}


def test_names_the_tests_that_there_are() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named <= names_in(".")
    assert names_in("faults") - named == {HANDED_OVER, SHARED}, "what brings about no fault"
