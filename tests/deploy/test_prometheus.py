"""The rules that wake an operator: each is tried on figures that break it and on figures nearby, and has its page."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, ROOT, documents
from tests.deploy.questions import conditions
from tests.servers.base import find_program

FOLDER = DEPLOY / "prometheus"
[RULES] = documents(FOLDER / "rules.yml")
[CASES] = documents(FOLDER / "rules.test.yml")
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


def test_the_rules_do_what_their_cases_say() -> None:
    promtool("test", "rules", FOLDER / "rules.test.yml")


@pytest.mark.parametrize("name", ALERTS)
class TestEveryRule:
    def test_is_tried_where_it_fires_and_where_it_does_not(self, name: str) -> None:
        cases = [case for test in CASES["tests"] for case in test["alert_rule_test"] if case["alertname"] == name]
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
