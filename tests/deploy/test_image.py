"""The image's recipe, carried out: what is in the image, and that its entry points become ready in it."""

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from tests.deploy.dockerfile import parse
from tests.deploy.image import Builder, Image
from tests.servers import HOST, KafkaServer, Server, free_port
from tests.servers.base import MissingServerError, find_program
from tests.servers.required import needs_servers

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
USER = 10001
MAX_MEGABYTES = 1250  # as the file system counts them: packages 900, Debian and Python 200
FORBIDDEN = ("gcc", "cc", "g++", "c++", "make", "ld", "pip", "pip3", "git", "curl", "wget")
WRITABLE = ("/data", "/tmp", "/dev", "/proc", "/run/lock", "/var/tmp")


class TestTheRecipe:
    def test_has_nothing_that_a_linter_complains_about(self) -> None:
        done = subprocess.run(
            [find_program("hadolint"), DOCKERFILE], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout

    def test_starts_from_one_base_pinned_by_digest(self) -> None:
        first, *others = parse(DOCKERFILE)
        assert "@sha256:" in first.base
        assert {stage.base for stage in others} == {first.name}

    def test_lets_the_builder_see_only_what_it_copies(self) -> None:
        lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        allowed = {line[1:] for line in lines if line.startswith("!")}
        steps = [step for stage in parse(DOCKERFILE) for step in stage.steps]
        copied = {step.words[0] for step in steps if step.word == "COPY" and not step.option("from")}
        assert "*" in lines
        assert allowed == copied

    @pytest.mark.parametrize("line", ["ADD https://example.com/x /x", "ONBUILD RUN true", 'SHELL ["bash"]'])
    def test_is_not_carried_out_in_part(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "Dockerfile").write_text(f"FROM debian:trixie-slim\n{line}\n")
        with pytest.raises(ValueError, match="is not carried out"):
            parse(tmp_path / "Dockerfile")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image")
    with needs_servers():
        if os.geteuid() != 0:
            message = "building without a container engine needs root, and there is another user"
            raise MissingServerError(message)
        image = Builder(folder, ROOT).build(DOCKERFILE)
    yield image
    shutil.rmtree(folder)  # pytest would keep nearly a gigabyte of each run


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(image: Image, tmp_path: Path) -> Run:
    """Run words in the image as its user."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = image.command(words, {}, environment, tmp_path)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    return run


@pytest.mark.timeout(1200)
class TestTheImage:
    def test_runs_as_nobody_in_particular(self, image: Image, run: Run) -> None:
        assert image.told("USER") == f"{USER}:{USER}"
        assert run("id", "-u").stdout.strip() == str(USER)

    def test_says_its_version(self, image: Image, run: Run) -> None:
        done = run(*image.entry, "--version")
        assert done.stdout.startswith("nebuloviz "), done.stderr

    def test_holds_no_compiler_and_nothing_that_installs(self, run: Run) -> None:
        script = f"for tool in {' '.join(FORBIDDEN)}; do command -v $tool; done; python -m pip --version"
        done = run("sh", "-c", script)
        assert done.stdout == ""

    def test_is_no_larger_than_it_must_be(self, image: Image) -> None:
        kilobytes = sum(int(_output("du", "-sk", str(layer)).split()[0]) for layer in image.layers)
        assert kilobytes / 1000 < MAX_MEGABYTES

    def test_has_nothing_that_its_user_could_change(self, image: Image) -> None:
        found = []
        for layer in image.layers:
            for path in layer.rglob("*"):
                name = "/" + str(path.relative_to(layer))
                status = path.lstat()
                open_to_all = status.st_mode & stat.S_IWOTH and not stat.S_ISLNK(status.st_mode)
                if (status.st_uid == USER or open_to_all) and not name.startswith(WRITABLE):
                    found.append(name)
        assert not found

    def test_holds_no_secret_and_no_history(self, image: Image) -> None:
        files = {path.name for path in image.find("/opt/nebuloviz").rglob("*")}
        assert "cli.py" in files
        assert not files & {".env", ".git", "secret_key", "tests"}


class Container(Server):
    """A process of the image: `word` is its command, and `folder` its /data."""

    name: ClassVar[str] = "container"
    start_seconds: ClassVar[float] = 90

    def __init__(self, image: Image, environment: Mapping[str, str], *words: str) -> None:
        super().__init__()
        self._image = image
        self._variables = {**environment, "NEBULOVIZ_HOST": HOST}
        self._words = words

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        (self.folder / "data").mkdir()
        os.chown(self.folder / "data", USER, USER)

    def command(self) -> list[str]:
        return self.inside([*self._image.entry, *self._words])

    def inside(self, words: list[str]) -> list[str]:
        return self._image.command(words, {self.folder / "data": "/data"}, self._variables | self.ports(), self.folder)

    def ports(self) -> dict[str, str]:
        return {"NEBULOVIZ_PORT": str(self.port)}

    def check(self) -> None:
        httpx.get(f"{self.url}/readyz", timeout=5).raise_for_status()


class Ingesting(Container):
    def ports(self) -> dict[str, str]:
        return {"NEBULOVIZ_METRICS_PORT": str(self.port), "NEBULOVIZ_PORT": str(free_port())}


@pytest.fixture
def environment(
    postgres_url: str, redis_url: str, kafka: KafkaServer, kafka_topic: Callable[..., str]
) -> dict[str, str]:
    """An installation with real parts; its database is empty."""
    return {
        "NEBULOVIZ_DATABASE_URL": postgres_url,
        "NEBULOVIZ_REDIS_URL": redis_url,
        "NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS": kafka.url,
        "NEBULOVIZ_KAFKA_TOPIC": kafka_topic(),
        "NEBULOVIZ_INGEST_IN_APP": "false",
        "NEBULOVIZ_SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz",
        "NEBULOVIZ_ADMIN_PASSWORD": "Correct-horse-9",
    }


@pytest.fixture
def started() -> Iterator[Callable[[Container], Container]]:
    containers: list[Container] = []

    def start(container: Container) -> Container:
        containers.append(container)
        container.prepare()
        container.start()
        return container

    yield start
    for container in containers:
        container.close()


@pytest.mark.timeout(1200)
class TestTheEntryPoints:
    @pytest.mark.parametrize(("kind", "word"), [(Container, "serve"), (Ingesting, "ingest")])
    def test_become_ready_and_end_when_asked(
        self,
        image: Image,
        run: Run,
        environment: dict[str, str],
        started: Callable[[Container], Container],
        kind: type[Container],
        word: str,
    ) -> None:
        migrated = run(*image.entry, "migrate", **environment)
        assert migrated.returncode == 0, migrated.stderr
        container = started(kind(image, environment, word))
        healthy = subprocess.run(container.inside(image.health_check), capture_output=True, text=True, check=False)
        assert healthy.returncode == 0, healthy.stdout + healthy.stderr
        process = container._process
        container.end(signal.SIGTERM)
        assert process is not None
        assert process.returncode in {0, -signal.SIGTERM}, container.log_tail()

    def test_back_up_a_postgresql_and_put_it_back(self, image: Image, environment: dict[str, str]) -> None:
        container = Container(image, environment)
        container.prepare()
        for words in (["migrate"], ["backup", "/data/kept.zip"], ["restore", "--force", "/data/kept.zip"]):
            done = subprocess.run(
                container.inside([*image.entry, *words]), capture_output=True, text=True, check=False, timeout=200
            )
            assert done.returncode == 0, done.stdout + done.stderr
        container.close()

    def test_show_the_sample_where_nothing_is_configured(
        self, image: Image, started: Callable[[Container], Container]
    ) -> None:
        container = started(Container(image, {}, *image.runtime["CMD"].words))
        assert httpx.get(f"{container.url}/login", timeout=10).status_code == 200
        assert (container.folder / "data" / "nebuloviz.sqlite3").exists()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
