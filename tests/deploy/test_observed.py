"""A real Prometheus watches a real installation: every expression of every rule and dashboard has an answer."""

import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from nebuloviz.db import Database
from nebuloviz.ingest.produce import encoded, send, simulated_sales
from tests.deploy.files import DEPLOY, ROOT, documents
from tests.deploy.questions import conditions, spoken
from tests.servers import HOST, KafkaServer, Server, free_port
from tests.servers.https import https_server
from tests.servers.kafka import kafka_jars
from tests.servers.prometheus import PrometheusServer
from tests.servers.required import needs_servers
from tests.services.watched_shop import payloads, write

PASSWORD = "a long password of the tests"
PATIENCE_SECONDS = 250
WINDOW = "1m"
TOPIC = "sales"
AGENT = DEPLOY / "kafka"


class WatchedKafka(KafkaServer):
    """A broker with the agent of the image, set up by the image's own file."""

    def __init__(self) -> None:
        self._agent = kafka_jars(AGENT / "pom.xml")
        super().__init__()
        self.metrics_port = free_port()

    def agent(self) -> list[str]:
        [jar] = self._agent.glob("jmx_prometheus_javaagent*.jar")
        return [f"-javaagent:{jar}={HOST}:{self.metrics_port}:{AGENT / 'kafka.yaml'}"]


class OurProcess(Server):
    """`serve` or `ingest` from this source tree."""

    name: ClassVar[str] = "nebuloviz"

    def __init__(self, word: str, port_setting: str, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._word = word
        own = {port_setting: str(self.port), "NEBULOVIZ_DATA_DIR": str(self.folder), "PYTHONPATH": str(ROOT)}
        self._environment = {**os.environ, **environment, **own}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        pass

    def command(self) -> list[str]:
        return [sys.executable, "-m", "nebuloviz", self._word]

    def environment(self) -> Mapping[str, str]:
        return self._environment

    def check(self) -> None:
        httpx.get(f"{self.url}/readyz", timeout=5).raise_for_status()


class Installation:
    """`serve`, `ingest` and Kafka with its agent, each with its port of figures; and somebody who uses them."""

    def __init__(self, serve: OurProcess, ingest: OurProcess, kafka: WatchedKafka) -> None:
        self.ports = {"nebuloviz": serve.port, "ingest": ingest.port, "kafka": kafka.metrics_port}
        self._kafka = kafka
        self._api = httpx.Client(base_url=serve.url, timeout=60)
        self._cookies: dict[str, str] = {}
        self._browser = httpx.Client(base_url=serve.url, timeout=60, event_hooks={"response": [self._keep_cookies]})
        self._sign_in()
        self._rounds = 0

    def use(self) -> None:
        """Some sales and some rubbish through Kafka, a question by the API, and a callback of a page."""
        self._rounds += 1
        rubbish = [(b"x", b"not a sale")]
        send(self._kafka.url, TOPIC, [*rubbish, *encoded(one_by_one(50))], 0, None)
        now = datetime.now(UTC)
        span = {"start": (now - timedelta(days=30 + self._rounds)).isoformat(), "end": now.isoformat()}
        answer = self._api.post("/api/v1/query", json=span | {"metrics": ["revenue"], "grain": "day"})
        assert answer.status_code == 200, answer.text
        self._callback()

    def _sign_in(self) -> None:
        credentials = {"username": "admin", "password": PASSWORD}
        token = self._api.post("/api/v1/auth/token", json=credentials).json()["access_token"]
        self._api.headers["Authorization"] = f"Bearer {token}"
        (csrf,) = re.findall(r'name="csrf_token" value="([^"]+)"', self._browser.get("/login").text)
        answer = self._browser.post("/login", data=credentials | {"csrf_token": csrf})
        assert answer.status_code == 303, answer.text

    def _keep_cookies(self, answer: httpx.Response) -> None:
        """Secure ones, too, which a browser would send only through the proxy that ends TLS."""
        given = (line.partition(";")[0].partition("=") for line in answer.headers.get_list("set-cookie"))
        self._cookies |= {name: value for name, _equals, value in given}
        self._browser.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def _callback(self) -> None:
        """The first that runs here and not in the browser, with nothing given: that it is asked is enough."""
        known = next(filter(_plain, self._browser.get("/_dash-dependencies").json()))
        output = dict(zip(("id", "property"), known["output"].split("."), strict=True))
        body = {
            "output": known["output"],
            "outputs": output,
            "inputs": [{**item, "value": None} for item in known["inputs"]],
            "state": [{**item, "value": None} for item in known["state"]],
            "changedPropIds": [f"{item['id']}.{item['property']}" for item in known["inputs"]],
        }
        answer = self._browser.post("/_dash-update-component", json=body)
        assert answer.status_code in {200, 204}, answer.text

    def close(self) -> None:
        self._api.close()
        self._browser.close()


def _plain(callback: dict[str, Any]) -> bool:
    """Whether it runs on the server, and has one output and no patterns."""
    ids = [item["id"] for item in [*callback["inputs"], *callback["state"]]]
    patterns = any("{" in name for name in ids)
    return callback["clientside_function"] is None and callback["output"].count(".") == 1 and not patterns


def one_by_one(count: int) -> Iterator[dict[str, object]]:
    sales = simulated_sales()
    return (next(sales) for _ in range(count))


def started(stack: ExitStack, server: Server) -> Server:
    stack.callback(server.close)
    server.prepare()
    server.start()
    return server


@pytest.fixture
def installation(migrated_postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Installation]:
    """With ten weeks of sales behind it, so that the detectors have something to learn from."""
    with needs_servers(), ExitStack() as stack:
        kafka = WatchedKafka()
        started(stack, kafka)
        an_hour_ago = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        database = Database(migrated_postgres_url)
        write(database, payloads(an_hour_ago - timedelta(weeks=10), an_hour_ago), an_hour_ago)
        database.dispose()
        send(kafka.url, TOPIC, encoded(one_by_one(1)), 0, None)  # makes the topic
        https = stack.enter_context(https_server(tmp_path))
        environment = {
            "NEBULOVIZ_DATABASE_URL": migrated_postgres_url,
            "NEBULOVIZ_REDIS_URL": redis_url,
            "NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS": kafka.url,
            "NEBULOVIZ_KAFKA_TOPIC": TOPIC,
            "NEBULOVIZ_INGEST_IN_APP": "false",
            "NEBULOVIZ_SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz",
            "NEBULOVIZ_ADMIN_PASSWORD": PASSWORD,
            "NEBULOVIZ_WATCHED_SERIES": "10",
            "NEBULOVIZ_PUBLIC_ADDRESS": https.url,
            "NEBULOVIZ_COOKIE_SECURE": "true",
            "SSL_CERT_FILE": str(https.certificate),
        }
        serve = OurProcess("serve", "NEBULOVIZ_PORT", environment)
        ingest = OurProcess("ingest", "NEBULOVIZ_METRICS_PORT", environment)
        for process in (serve, ingest):
            started(stack, process)
        installation = Installation(serve, ingest, kafka)
        stack.callback(installation.close)
        yield installation


@pytest.fixture
def prometheus(installation: Installation) -> Iterator[PrometheusServer]:
    """With the project's own configuration, but for where the processes are, and how long it waits."""
    [configuration] = documents(DEPLOY / "prometheus" / "prometheus.yml")
    jobs = {job["job_name"] for job in configuration["scrape_configs"]}
    assert jobs == {*installation.ports, "prometheus"}
    scraped = [
        {"job_name": job, "static_configs": [{"targets": [f"{HOST}:{port}"]}]}
        for job, port in installation.ports.items()
    ]
    rules = str(DEPLOY / "prometheus" / "rules.yml")
    every_second = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    with needs_servers(), ExitStack() as stack:
        server = PrometheusServer({"global": every_second, "rule_files": [rules], "scrape_configs": scraped})
        started(stack, server)
        yield server


def questions() -> dict[str, str]:
    """Every expression, by where it stands."""
    [rules] = documents(DEPLOY / "prometheus" / "rules.yml")
    found = {
        f"{rule['alert']} {number}": expression
        for group in rules["groups"]
        for rule in group["rules"]
        for number, expression in enumerate(conditions(rule["expr"]), 1)
    }
    return found | {where: target["expr"] for where, target in targets().items()}


def targets() -> dict[str, dict[str, Any]]:
    """What each panel of each dashboard asks, by where it stands."""
    return {
        f"{path.stem}: {panel['title']} {target['refId']}": target
        for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
    }


def unnamed(
    asked: Mapping[str, Mapping[str, Any]], labels: Callable[[str], Sequence[Mapping[str, str]]]
) -> dict[str, str]:
    """Those whose legend has a label that what comes back has not, or does not tell its series apart."""
    found = {}
    for where, target in asked.items():
        legend, series = target["legendFormat"], labels(spoken(target["expr"], WINDOW))
        names = re.findall(r"{{(\w+)}}", legend)
        told = [tuple(each.get(name, "") for name in names) for each in series]
        if any(all(name not in each for each in series) for name in names) or len({*told}) < len(told):
            found[where] = legend
    return found


def unanswered(asked: Mapping[str, str], values: Callable[[str], Sequence[float]]) -> dict[str, str]:
    """Those without one number among what comes back."""
    return {
        where: expression
        for where, expression in asked.items()
        if not any(math.isfinite(value) for value in values(spoken(expression, WINDOW)))
    }


def test_an_expression_about_nothing_is_found(prometheus_of_nothing: PrometheusServer) -> None:
    asked = {"known": "vector(1)", "unknown": "no_such_metric", "not a number": "vector(0) / vector(0)"}
    assert set(unanswered(asked, prometheus_of_nothing.values)) == {"unknown", "not a number"}


def test_a_legend_that_names_nothing_is_found() -> None:
    legends = {"right": "{{a}}", "of no label": "{{b}}", "the same twice": "{{c}}", "without a name": "name"}
    asked = {where: {"legendFormat": legend, "expr": ""} for where, legend in legends.items()}
    series = [{"a": "1", "c": "1"}, {"a": "2", "c": "1"}]
    assert set(unnamed(asked, lambda _: series)) == {*legends} - {"right"}


@pytest.fixture
def prometheus_of_nothing() -> Iterator[PrometheusServer]:
    with needs_servers(), ExitStack() as stack:
        server = PrometheusServer({})
        started(stack, server)
        yield server


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_every_expression_of_rules_and_dashboards_has_an_answer(
    installation: Installation, prometheus: PrometheusServer
) -> None:
    left = questions()
    assert len(left) > 60
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left and time.monotonic() < deadline:
        installation.use()
        time.sleep(1)
        left = unanswered(left, prometheus.values)
    assert not left
    assert not unnamed(targets(), prometheus.labels)
