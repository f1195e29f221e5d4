"""docs/operations.md and the runbooks: what they tell an operator to type is there."""

import re
from collections.abc import Iterator

import pytest

from nebuloviz.cli import _parser
from tests.deploy.files import DEPLOY, ROOT, documents, unknown_settings

RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
PAGES = [*(ROOT / "docs" / f"{name}.md" for name in ("operations", "backup", "upgrade")), *RUNBOOKS]
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in PAGES}
[COMPOSE] = documents(DEPLOY / "compose.yaml")
PLACEHOLDERS = {"SERVICE"}
_VERBS = {"exec", "logs", "run", "restart", "stop", "start"}

every_page = pytest.mark.parametrize("page", TEXTS)


def commands(text: str) -> Iterator[str]:
    """What stands indented, or in backquotes on one line."""
    yield from re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


@every_page
class TestEveryPage:
    def test_names_commands_of_the_program_that_there_are(self, page: str) -> None:
        for command in commands(TEXTS[page]):
            for called in re.findall(r"python -m nebuloviz ([^|>`]+)", command):
                words = [{"OFFSET": "1", "PARTITION": "0"}.get(word, word) for word in called.split()]
                assert _parser().parse_args(words).command

    def test_names_services_that_there_are(self, page: str) -> None:
        for command in commands(TEXTS[page]):
            called = re.match(r"docker compose -f (\S+) (?:--profile demo )?(\w+) ?(.*)", command)
            if called is None:
                continue
            assert called[1] == "deploy/compose.yaml"
            if called[2] in _VERBS:
                words = called[3].split("|")[0].split()
                assert set(words) & ({*COMPOSE["services"]} | PLACEHOLDERS), command

    def test_names_settings_and_files_that_there_are(self, page: str) -> None:
        assert not unknown_settings(dict.fromkeys(re.findall(r"NEBULOVIZ_[A-Z_]+[A-Z]", TEXTS[page]), ""))
        made = {"deploy/.env", "deploy/secrets/admin_password", "deploy/secrets/grafana_password"}
        for name in set(re.findall(r"(?<![\w/])deploy/[\w./-]*\w", TEXTS[page])) - made:
            assert (ROOT / name).exists(), name


def test_every_runbook_is_listed() -> None:
    listed = set(re.findall(r"\(runbooks/([\w-]+)\.md\)", TEXTS["operations"]))
    assert listed == {path.stem for path in RUNBOOKS}
