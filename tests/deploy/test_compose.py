"""deploy/compose.yaml: what an engine would refuse, and what it would not and an operator would regret."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from nebuloviz.cli import _parser
from tests.deploy.files import DEPLOY, ROOT, documents, unknown_settings
from tests.servers.base import find_program
from tests.servers.required import needs_servers

FILE = DEPLOY / "compose.yaml"
[COMPOSE] = documents(FILE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("nebuloviz:")}
ENDING = {"migrate", "topic"}  # they do one thing, and end
#: What each waits for; whoever needs nothing begins at once.
ORDER = {
    "migrate": {"db"},
    "app": {"migrate", "redis", "kafka"},
    "topic": {"kafka"},
    "ingest": {"migrate", "topic", "redis"},
    "produce": {"topic"},
    "prometheus": {"alertmanager"},
    "grafana": {"prometheus"},
}
SECRET = re.compile(r"PASSWORD|SECRET|DATABASE_URL")

every_service = pytest.mark.parametrize("name", SERVICES)
every_one_of_ours = pytest.mark.parametrize("name", OURS)


def resolved(env_file: Path) -> dict[str, Any]:
    """What Docker Compose itself makes of the file; it needs no engine for that."""
    with needs_servers():
        compose = find_program("docker-compose")
    command: list[str | Path] = [
        compose,
        "-f",
        FILE,
        "--env-file",
        env_file,
        "--profile",
        "*",
        "config",
        "--format",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "it warns of nothing"
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def test_is_taken_by_docker_compose_with_the_settings_that_the_page_names(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    variables = dict(re.findall(r"^    (NEBULOVIZ_\w+)=(\S+)$", page, re.MULTILINE))
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    services = resolved(tmp_path / ".env")["services"]
    assert set(services) == set(SERVICES)
    assert len(variables) == 6
    for name in OURS:
        assert variables.items() <= services[name]["environment"].items()


def test_has_every_part_of_an_installation() -> None:
    parts = {"app", "ingest", "migrate", "db", "redis", "kafka", "prometheus", "alertmanager", "grafana"}
    assert parts <= set(SERVICES)
    assert [name for name, service in SERVICES.items() if service.get("profiles") == ["demo"]] == ["produce"]


@every_service
class TestEveryService:
    def test_has_limits(self, name: str) -> None:
        limits = SERVICES[name]["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory"}

    def test_waits_for_what_is_there_and_can_be_waited_for(self, name: str) -> None:
        assert set(SERVICES[name].get("depends_on", {})) == ORDER.get(name, set())
        for other, how in SERVICES[name].get("depends_on", {}).items():
            if how["condition"] == "service_completed_successfully":
                assert other in ENDING
            else:
                assert how["condition"] == "service_healthy"
                assert "healthcheck" in SERVICES[other] or other in OURS
                assert not SERVICES[other].get("healthcheck", {}).get("disable")

    def test_tells_whether_it_is_well_unless_it_ends(self, name: str) -> None:
        assert name in ENDING | set(OURS) or SERVICES[name]["healthcheck"]["test"]

    def test_uses_named_volumes_and_files_that_there_are(self, name: str) -> None:
        for volume in SERVICES[name].get("volumes", []):
            source, _colon, _target = volume.partition(":")
            if source.startswith("."):
                assert (DEPLOY / source).exists()
                assert volume.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"]

    def test_is_told_no_secret_but_by_a_file(self, name: str) -> None:
        for variable in SERVICES[name].get("environment", {}):
            if SECRET.search(variable):
                assert variable.endswith("_FILE")
                assert (
                    SERVICES[name]["environment"][variable].removeprefix("/run/secrets/") in SERVICES[name]["secrets"]
                )

    def test_shows_its_port_to_this_machine_alone(self, name: str) -> None:
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@every_one_of_ours
class TestEveryProcessOfOurs:
    def test_can_change_nothing(self, name: str) -> None:
        service = OURS[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_is_called_by_a_command_that_there_is(self, name: str) -> None:
        assert _parser().parse_args(OURS[name].get("command", ["serve"])).command

    def test_is_given_settings_that_there_are(self, name: str) -> None:
        assert not unknown_settings(OURS[name]["environment"])

    def test_can_write_where_it_must(self, name: str) -> None:
        targets = [place.partition(":")[0] for place in OURS[name]["tmpfs"]]
        targets += [volume.split(":")[1] for volume in OURS[name].get("volumes", [])]
        assert {"/tmp", "/data"} <= set(targets)


class TestTheSecrets:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """What the script makes, of a copy of it."""
        shutil.copy(DEPLOY / "secrets.sh", tmp_path)
        self.make(tmp_path)
        return tmp_path / "secrets"

    @staticmethod
    def make(folder: Path) -> None:
        subprocess.run(["sh", folder / "secrets.sh"], check=True, capture_output=True)

    def test_are_all_made(self, folder: Path) -> None:
        wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
        assert {path.name for path in folder.iterdir()} == wanted
        assert all(len(path.read_text()) >= 32 and "\n" not in path.read_text() for path in folder.iterdir())

    def test_agree_with_each_other(self, folder: Path) -> None:
        assert (folder / "database_password").read_text() in (folder / "database_url").read_text()

    def test_can_be_read_through_a_folder_that_is_closed_to_others(self, folder: Path) -> None:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o444 == 0o444 for path in folder.iterdir())

    def test_stay_what_they_are(self, folder: Path) -> None:
        before = {path.name: path.read_text() for path in folder.iterdir()}
        self.make(folder.parent)
        assert {path.name: path.read_text() for path in folder.iterdir()} == before

    def test_are_not_committed(self) -> None:
        assert (DEPLOY / "secrets" / ".gitignore").read_text().split() == ["*", "!.gitignore"]


def test_the_broker_of_the_image_has_nothing_that_a_linter_complains_about() -> None:
    done = subprocess.run(
        [find_program("hadolint"), DEPLOY / "kafka" / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_images_of_others_go_by_a_version_and_those_without_a_digest_are_owned_up_to() -> None:
    kafka = (DEPLOY / "kafka" / "Dockerfile").read_text(encoding="utf-8")
    images = {service["image"] for service in SERVICES.values() if not service["image"].startswith("nebuloviz")}
    images |= set(re.findall(r"^FROM (\S+)", kafka, re.MULTILINE))
    assert len(images) == 7
    for image in images:
        tag = image.partition("@")[0].rpartition(":")[2]
        assert re.match(r"v?\d", tag), f"{image} is whatever is newest"
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    undigested = any("@sha256:" not in image for image in images)
    assert ("go by tag" in page) == undigested, "the page says how it is"
    assert set(re.findall(r"`(?:docker buildx imagetools inspect )?([a-z]+/[a-z]+:[\d.]+)`", page)) <= images


def test_the_alert_manager_takes_its_configuration() -> None:
    path = DEPLOY / "alertmanager" / "alertmanager.yml"
    done = subprocess.run([find_program("amtool"), "check-config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
