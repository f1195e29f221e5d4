"""docs/operations.md, its neighbours and the runbooks: what they tell an operator to type is there."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sqlalchemy import inspect, text

from benchmarks.__main__ import PARTS
from nebuloviz import migrate
from nebuloviz.cli import _parser
from nebuloviz.db import Database
from tests.deploy.files import DEPLOY, ROOT, documents, unknown_settings
from tests.servers import HOST, PostgresServer
from tests.servers.base import find_program

RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
PAGES = [*(ROOT / "docs" / f"{name}.md" for name in ("operations", "debian", "backup", "upgrade")), *RUNBOOKS]
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in PAGES}
[COMPOSE] = documents(DEPLOY / "compose.yaml")
PLACEHOLDERS = {"SERVICE"}
_VERBS = {"exec", "logs", "run", "restart", "stop", "start"}

every_page = pytest.mark.parametrize("page", TEXTS)


def commands(text: str) -> Iterator[str]:
    """What stands indented, in boxes, or in backquotes on one line."""
    yield from re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    for box in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from box.splitlines()
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


@every_page
class TestEveryPage:
    def test_names_commands_of_the_program_that_there_are(self, page: str) -> None:
        for command in commands(TEXTS[page]):
            for called in re.findall(r"(?:python -m nebuloviz|/opt/nebuloviz/nv) ([a-z][^|>`]+)", command):
                words = [{"OFFSET": "1", "PARTITION": "0"}.get(word, word) for word in called.split()]
                assert _parser().parse_args(words).command

    def test_has_boxes_that_a_shell_understands(self, page: str) -> None:
        for box in re.findall(r"^```sh\n(.*?)^```", TEXTS[page], re.MULTILINE | re.DOTALL):
            done = subprocess.run(["sh", "-n"], input=box, capture_output=True, text=True, check=False)
            assert not done.stderr, box

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
        made = {
            "deploy/.env",
            "deploy/alertmanager/password",
            "deploy/secrets/admin_password",
            "deploy/secrets/grafana_password",
        }
        for name in set(re.findall(r"(?<![\w/])deploy/[\w./-]*\w", TEXTS[page])) - made:
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", sorted((DEPLOY / "systemd").iterdir()), ids=lambda path: path.name)
def test_the_units_call_a_command_and_give_settings_that_there_are(path: Path) -> None:
    unit = path.read_text(encoding="utf-8")
    [called] = re.findall(r"^ExecStart=/opt/nebuloviz/nv (.+)$", unit, re.MULTILINE)
    assert _parser().parse_args(called.split()).command
    assert not unknown_settings(dict.fromkeys(re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE), ""))


def test_the_dump_brings_back_what_was_whatever_a_newer_version_has_made(
    postgres: PostgresServer, migrated_postgres_url: str, tmp_path: Path
) -> None:
    """The page's own lines, beside the server and not in its container."""
    postgres.execute("CREATE DATABASE nebuloviz TEMPLATE {}", migrated_postgres_url.rpartition("/")[2])
    clients = find_program("pg_restore", folders=("/usr/lib/postgresql/*/bin",)).parent
    environment = {"PATH": f"{clients}:/usr/bin:/bin", "PGHOST": HOST, "PGPORT": str(postgres.port)}
    database = Database(postgres.database_url("nebuloviz"))
    try:
        dump, *restore = re.findall(r"^    docker compose \S+ \S+ exec -T db (.+)$", TEXTS["operations"], re.MULTILINE)
        subprocess.run(["sh", "-c", dump], cwd=tmp_path, env=environment, check=True)
        with database.transaction() as session:
            session.execute(text("CREATE TABLE newer (user_id int REFERENCES app_user)"))
        database.dispose()  # the page has the program stopped
        for command in restore:
            subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, check=True)
        assert migrate.current(database) == migrate.head()
        assert not inspect(database.engine).has_table("newer")
    finally:
        database.dispose()
        postgres.drop_database("nebuloviz")


def test_the_alert_manager_takes_the_receivers_of_the_page(tmp_path: Path) -> None:
    [box] = re.findall(r"^```yaml\n(receivers:.*?)^```", TEXTS["operations"], re.MULTILINE | re.DOTALL)
    [configuration] = documents(DEPLOY / "alertmanager" / "alertmanager.yml")
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(configuration | yaml.safe_load(box)), encoding="utf-8")
    command = [str(find_program("amtool")), "check-config", str(tmp_path / "alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class TestWhatIsPromised:
    ROWS = re.findall(r"^\| (.+) \| (.+) \|$", TEXTS["operations"].partition("## What is promised")[2], re.MULTILINE)[
        2:
    ]

    def test_is_shown_by_tests_and_commands_that_there_are(self) -> None:
        shown = [command for _promise, by in self.ROWS for command in re.findall(r"`([^`]+)`", by)]
        paths = [word for command in shown for word in command.split() if word.startswith("tests/")]
        assert len(paths) > 30
        for path in paths:
            assert (ROOT / path).exists(), path
            assert path.endswith(".py") or list((ROOT / path).glob("test_*.py")), path
        modules = {command.split()[2] for command in shown if command.startswith("python -m")}
        assert modules == {"tests.deploy.debian", "benchmarks"}
        parts = {command.split()[3] for command in shown if command.startswith("python -m benchmarks")}
        assert parts <= set(PARTS)

    def test_has_something_that_shows_each(self) -> None:
        assert len(self.ROWS) == 9
        assert all(by.startswith("`./nv test ") for _promise, by in self.ROWS)

    def test_is_run_before_a_change_is_taken(self) -> None:
        assert "./nv test ||" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_runbook_is_listed() -> None:
    listed = set(re.findall(r"\(runbooks/([\w-]+)\.md\)", TEXTS["operations"]))
    assert listed == {path.stem for path in RUNBOOKS}
