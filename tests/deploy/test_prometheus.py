"""The rules that wake an operator: each is tried on figures that break it and on figures nearby, and has its page."""

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, ROOT, documents
from tests.deploy.questions import conditions, moved
from tests.servers.base import find_program

FOLDER = DEPLOY / "prometheus"
[RULES] = documents(FOLDER / "rules.yml")
CASES = [test for name in ("rules.test.yml", "edges.test.yml") for test in documents(FOLDER / name)[0]["tests"]]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run([find_program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_its_configuration() -> None:
    promtool("check", "config", FOLDER / "prometheus.yml")


def test_prometheus_takes_that_of_a_cluster(tmp_path: Path) -> None:
    """But for how it finds pods, which Debian's promtool has been built without."""
    text = (FOLDER / "kubernetes.yml").read_text(encoding="utf-8")
    known, found = re.subn(r"kubernetes_sd_configs: .*", "static_configs: [{targets: [127.0.0.1:8050]}]", text)
    assert found == 1
    (tmp_path / "prometheus.yml").write_text(known, encoding="utf-8")
    promtool("check", "config", tmp_path / "prometheus.yml")


@pytest.mark.parametrize("cases", ["rules.test.yml", "edges.test.yml"])
def test_the_rules_do_what_their_cases_say(cases: str) -> None:
    promtool("test", "rules", FOLDER / cases)


class TestTheEdges:
    """The cases at the edges know each rule's numbers: where one is another by a little, a case of that rule fails."""

    def step(self, name: str, number: float) -> float:
        """By how much a number is moved: what is counted by one, what is measured by a fiftieth, what only has to grow hardly."""
        if name == "NebuloVizLagGrowing" and number == 0:
            return 0.05
        return 1.0 if number in {0, 1} and name != "NebuloVizSlowPages" else number / 50

    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize("place", [0, 1])
    def test_know_each_number(self, tmp_path: Path, place: int, sign: int) -> None:
        changed = set()
        rules = copy.deepcopy(RULES)
        for rule in _each(rules):
            name = rule["alert"]
            expression = moved(rule["expr"], place, lambda number: number + sign * self.step(name, number))  # noqa: B023 - called at once
            if expression is not None:
                rule["expr"] = expression
                changed.add(name)
        assert len(changed) == {0: len(ALERTS), 1: 3}[place]
        assert _failed(rules, tmp_path) == changed

    @pytest.mark.parametrize("minutes", [1, -1])
    def test_know_for_how_long_it_must_be_so(self, tmp_path: Path, minutes: int) -> None:
        rules, changed = copy.deepcopy(RULES), set()
        for rule in _each(rules):
            lasts = _minutes(rule.get("for", "0m")) + minutes
            if lasts >= 0:
                rule["for"] = f"{lasts}m"
                changed.add(rule["alert"])
        assert set(ALERTS) - changed <= {"NebuloVizPartitionHalted", "NebuloVizRecordsLost", "NebuloVizWatchLost"}
        assert _failed(rules, tmp_path) == changed


def _each(rules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in rules["groups"]:
        yield from group["rules"]


def _minutes(duration: str) -> int:
    return int(duration[:-1]) * {"m": 1, "h": 60}[duration[-1]]


def _failed(rules: dict[str, Any], folder: Path) -> set[str]:
    """The rules of which a case at the edges fails, were the rules these."""
    (folder / "rules.yml").write_text(json.dumps(rules), encoding="utf-8")
    shutil.copy(FOLDER / "edges.test.yml", folder)
    done = subprocess.run(
        [find_program("promtool"), "test", "rules", folder / "edges.test.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    return set(re.findall(r"alertname: ?(\w+)", done.stdout + done.stderr))


@pytest.mark.parametrize("name", ALERTS)
class TestEveryRule:
    def test_is_tried_where_it_fires_and_where_it_does_not(self, name: str) -> None:
        cases = [case for test in CASES for case in test["alert_rule_test"] if case["alertname"] == name]
        assert {bool(case["exp_alerts"]) for case in cases} == {True, False}

    def test_says_how_bad_it_is_and_what_is_wrong(self, name: str) -> None:
        assert ALERTS[name]["labels"]["severity"] in {"warning", "critical"}
        assert ALERTS[name]["annotations"]["summary"]

    def test_has_a_page_that_says_what_to_do(self, name: str) -> None:
        page = (ROOT / ALERTS[name]["annotations"]["runbook_url"]).read_text(encoding="utf-8")
        assert page.startswith("# ")
        assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Look", "Do", "Over"]

    def test_compares_expressions_with_numbers(self, name: str) -> None:
        assert conditions(ALERTS[name]["expr"])


def test_every_page_belongs_to_a_rule() -> None:
    pages = {f"docs/runbooks/{path.name}" for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {rule["annotations"]["runbook_url"] for rule in ALERTS.values()}
