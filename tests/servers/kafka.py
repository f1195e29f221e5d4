"""Apache Kafka for the tests: the broker itself, one node, from the jars that `kafka.pom.xml` names."""

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

from kafka.admin import KafkaAdminClient, NewTopic

from tests.servers.base import HOST, MissingServerError, Server, find_program, free_port

HERE = Path(__file__).parent
POM = HERE / "kafka.pom.xml"


def kafka_jars(pom: Path = POM) -> Path:
    """Folder with the broker's jars; fetched by Maven at the first call, kept in the user's cache for all that follow.

    `NEBULOVIZ_TEST_CACHE` moves the cache. A changed `kafka.pom.xml` gets a folder of its own, and so does another one.
    """
    cache = cache_folder()
    jars = cache / f"kafka-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if not jars.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix="kafka-part-", dir=cache))
        _fetch(pom, part)
        try:
            part.rename(jars)
        except OSError:  # another run was faster, and its jars are the same
            shutil.rmtree(part)
    return jars


def cache_folder() -> Path:
    """Where what tests fetch is kept."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("NEBULOVIZ_TEST_CACHE") or user / "nebuloviz-tests")


def _fetch(pom: Path, folder: Path) -> None:
    command = [str(find_program("mvn")), "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    done = subprocess.run([*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(folder)
        message = f"Maven could not fetch Kafka: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise MissingServerError(message)


class KafkaServer(Server):
    """One KRaft broker, with topics made on demand only."""

    name = "kafka"

    def __init__(self) -> None:
        self._java = find_program("java", folders=(f"{os.environ.get('JAVA_HOME', '/nowhere')}/bin",))
        self._jars = kafka_jars()
        super().__init__()
        self._controller_port = free_port()
        self._properties = self.folder / "server.properties"

    @property
    def url(self) -> str:
        """`host:port`, as clients call bootstrap servers."""
        return f"{HOST}:{self.port}"

    def prepare(self) -> None:
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "listeners": f"PLAINTEXT://{self.url},CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.url}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            # A killed broker may come back as soon as its own controller has missed it for so long
            "broker.session.timeout.ms": 2000,
            "broker.heartbeat.interval.ms": 500,
            # One node, and groups that form at once
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
        }
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        cluster_id = base64.urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode()
        self.run(
            *self._jvm(), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", self._properties
        )

    def command(self) -> list[str]:
        java, *options = self._jvm()
        return [java, *self.agent(), *options, "kafka.Kafka", str(self._properties)]

    def agent(self) -> list[str]:
        """What else the broker's Java is told; nothing here."""
        return []

    def _jvm(self) -> list[str]:
        # The serial collector and the first compiler only: a broker up in seconds matters more here than its top speed
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        log = f"-Dlog4j2.configurationFile={HERE / 'kafka-log4j2.properties'}"
        return [str(self._java), *options, log, "-cp", f"{self._jars}/*"]

    def check(self) -> None:
        socket.create_connection((HOST, self.port), timeout=1).close()  # the client would wait much longer
        with self.admin() as admin:
            admin.describe_cluster()

    def admin(self) -> KafkaAdminClient:
        """A new administrative client; the caller closes it."""
        return KafkaAdminClient(bootstrap_servers=self.url, request_timeout_ms=10_000)

    def create_topic(self, partitions: int = 1) -> str:
        """Name of a new, empty topic."""
        name = f"test-{uuid4().hex[:12]}"
        with self.admin() as admin:
            admin.create_topics(
                [NewTopic(name=name, num_partitions=partitions, replication_factor=1)], wait_for_metadata=True
            )
        return name
