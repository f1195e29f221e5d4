"""The servers and fixtures that other tests rely on really do what they promise."""

import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import URLError
from urllib.parse import quote, unquote

import psutil
import psycopg2
import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from playwright.sync_api import Error
from sqlalchemy import create_engine, func, select, text

from nebuloviz import migrate
from nebuloviz.db import Database
from nebuloviz.models import Base
from tests.browser import NewPage, Watch
from tests.servers import HOST, KafkaServer, MissingServerError, PostgresServer, RedisServer, find_program, free_port
from tests.servers.kafka import kafka_jars
from tests.servers.postgres_copies import PostgresCopies
from tests.servers.required import needs_servers

pytestmark = pytest.mark.thorough  # they change as seldom as what they try

ROOT = Path(__file__).parents[1]


def ask(url: str, statement: str) -> Any:
    """The one value that the statement returns, if any."""
    with closing(psycopg2.connect(url, connect_timeout=60)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index] # all statements here return a row


class TestPostgres:
    def test_gives_each_test_an_empty_database(self, postgres_url: str) -> None:
        assert ask(postgres_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        ask(postgres_url, "CREATE TABLE left_behind (n int)")

    test_also_when_the_test_before_left_a_table = test_gives_each_test_an_empty_database

    def test_has_a_zone_that_is_not_utc(self, postgres_url: str) -> None:
        assert ask(postgres_url, "SHOW timezone") == "Asia/Kathmandu"

    @pytest.mark.faults
    @pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill, PostgresServer.crash])
    def test_keeps_port_and_data_however_it_ends(
        self, end: Callable[[PostgresServer], None], postgres: PostgresServer, postgres_url: str
    ) -> None:
        ask(postgres_url, "CREATE TABLE kept AS SELECT 42 AS n")
        children = psutil.Process(postgres.pid).children()
        end(postgres)
        assert not postgres.running
        assert not psutil.wait_procs(children, timeout=30)[1], "backends outlived the server"
        with pytest.raises(psycopg2.OperationalError):
            ask(postgres_url, "SELECT 1")
        postgres.start()
        assert ask(postgres_url, "SELECT n FROM kept") == 42

    @pytest.mark.faults
    def test_answers_nothing_while_paused(self, postgres: PostgresServer, postgres_url: str) -> None:
        with closing(psycopg2.connect(postgres_url)) as connection:
            postgres.pause()
            with pytest.raises(psycopg2.OperationalError):
                psycopg2.connect(postgres_url, connect_timeout=2)
            postgres.resume()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 7")
                assert cursor.fetchone() == (7,)

    def test_copies_a_template(self, postgres: PostgresServer, postgres_url: str) -> None:
        ask(postgres_url, "CREATE TABLE copied AS SELECT 1 AS n")
        copy = postgres.create_database(template=postgres_url.rsplit("/", 1)[1])
        assert ask(postgres.database_url(copy), "SELECT n FROM copied") == 1
        postgres.drop_database(copy)


class TestPostgresCopies:
    @pytest.fixture
    def copies(self, postgres: PostgresServer, postgres_url: str) -> PostgresCopies:
        ask(postgres_url, "CREATE TABLE seeded (id serial, n int)")
        ask(postgres_url, "INSERT INTO seeded (n) VALUES (7)")
        ask(postgres_url, "CREATE TABLE parted (n int PRIMARY KEY) PARTITION BY RANGE (n)")
        return PostgresCopies(postgres, postgres_url.rsplit("/", 1)[1])

    def test_are_used_again_as_if_they_were_new(self, copies: PostgresCopies, postgres: PostgresServer) -> None:
        name = copies.take()
        url = postgres.database_url(name)
        ask(url, "INSERT INTO seeded (n) VALUES (8)")
        ask(url, "UPDATE seeded SET n = 9")
        ask(url, "CREATE TABLE part PARTITION OF parted FOR VALUES FROM (1) TO (2)")
        with closing(psycopg2.connect(url)) as forgotten, forgotten.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE passing AS SELECT * FROM seeded")
            copies.give_back(name)
        assert copies.take() == name
        assert ask(url, "SELECT array_agg(n) FROM seeded") == [7]
        assert ask(url, "INSERT INTO seeded (n) VALUES (8) RETURNING id") == 1
        postgres.drop_database(name)

    @pytest.mark.parametrize(
        "change",
        [
            "DROP TABLE seeded",
            "ALTER TABLE seeded ADD COLUMN more int",
            "ALTER TABLE seeded ALTER n SET NOT NULL",
            "CREATE INDEX another ON seeded (n)",
            "CREATE TABLE another (n int)",
            "INSERT INTO seeded (n) SELECT generate_series(1, 200000)",
        ],
    )
    def test_are_not_where_they_were_changed_or_grew(
        self, copies: PostgresCopies, postgres: PostgresServer, change: str
    ) -> None:
        name = copies.take()
        ask(postgres.database_url(name), change)
        copies.give_back(name)
        other = copies.take()
        assert other != name
        postgres.drop_database(other)


def test_database_url_is_empty_on_both_kinds(database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE fresh (n int)"))
        assert connection.execute(text("SELECT count(*) FROM fresh")).scalar_one() == 0
    engine.dispose()


def test_database_has_all_tables_and_no_rows(database: Database) -> None:
    assert migrate.current(database) == migrate.head()
    with database.session() as session:
        for table in Base.metadata.sorted_tables:
            counter = table.name == "settings_version"  # how often settings were changed: one row from the beginning
            assert session.scalar(select(func.count()).select_from(table)) == counter, table.name


class TestRedis:
    def test_is_empty_at_the_start_of_a_test(self, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url) as client:
            assert client.ping()
            assert client.dbsize() == 0
            client.set("left", "behind")

    test_also_when_the_test_before_left_a_key = test_is_empty_at_the_start_of_a_test

    @pytest.mark.faults
    @pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill])
    def test_keeps_port_and_data_however_it_ends(
        self, end: Callable[[RedisServer], None], redis_server: RedisServer, redis_url: str
    ) -> None:
        with redis.Redis.from_url(redis_url) as client:
            client.set("kept", "42")
        end(redis_server)
        with redis.Redis.from_url(redis_url) as client, pytest.raises(redis.ConnectionError):
            client.ping()
        redis_server.start()
        with redis.Redis.from_url(redis_url) as client:
            assert client.get("kept") == b"42"

    @pytest.mark.faults
    def test_answers_nothing_while_paused(self, redis_server: RedisServer, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url, socket_timeout=0.5, retry=None) as client:
            redis_server.pause()
            with pytest.raises(redis.TimeoutError):
                client.ping()
        redis_server.resume()
        with redis.Redis.from_url(redis_url) as client:
            assert client.ping()


def produce(kafka: KafkaServer, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.url, acks="all")
    for value in values:
        producer.send(topic, value, partition=0)
    producer.flush(timeout=60)
    producer.close(timeout=60)


def consume(kafka: KafkaServer, topic: str, count: int) -> list[bytes]:
    """The first `count` values of partition 0; fewer, if no more arrive within 20 s."""
    consumer = KafkaConsumer(bootstrap_servers=kafka.url, consumer_timeout_ms=20_000, auto_offset_reset="earliest")
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


class TestKafka:
    def test_carries_a_message(self, kafka: KafkaServer, kafka_topic: Callable[..., str]) -> None:
        topic = kafka_topic()
        produce(kafka, topic, [b"a sale"])
        assert consume(kafka, topic, 1) == [b"a sale"]

    def test_makes_topics_with_as_many_partitions_as_asked(
        self, kafka: KafkaServer, kafka_topic: Callable[..., str]
    ) -> None:
        topics = [kafka_topic(partitions=3), kafka_topic(partitions=2)]
        with kafka.admin() as admin:
            found = admin.describe_topics(topics)
        assert {t["name"]: len(t["partitions"]) for t in found} == {topics[0]: 3, topics[1]: 2}

    @pytest.mark.faults
    @pytest.mark.parametrize("end", [KafkaServer.stop, KafkaServer.kill])
    def test_keeps_port_and_data_however_it_ends(
        self, end: Callable[[KafkaServer], None], kafka: KafkaServer, kafka_topic: Callable[..., str]
    ) -> None:
        topic = kafka_topic()
        produce(kafka, topic, [b"one", b"two"])
        end(kafka)
        assert not kafka.running
        kafka.start()
        produce(kafka, topic, [b"three"])
        assert consume(kafka, topic, 3) == [b"one", b"two", b"three"]

    def test_keeps_its_jars(self, kafka: KafkaServer) -> None:
        assert any(jar.name.startswith("kafka_2.13-4.") for jar in kafka_jars().glob("*.jar"))


class PageHandler(BaseHTTPRequestHandler):
    """`/?TEXT` is a page with that HTML in its body; anything else is missing."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.send_response(200 if path == "/" else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        body = unquote(query)
        self.wfile.write(f"<!doctype html><link rel=icon href=data:,><body>{body}</body>".encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = HTTPServer((HOST, free_port()), PageHandler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{HOST}:{server.server_port}/?"
    server.shutdown()
    thread.join()
    server.server_close()


class TestBrowser:
    def test_opens_a_data_page(self, new_page: NewPage) -> None:
        page = new_page()
        page.goto("data:text/html,<h1>Hello</h1>")
        assert page.inner_text("h1") == "Hello"

    def test_takes_language_zone_and_size(self, new_page: NewPage) -> None:
        page = new_page(locale="ar", timezone_id="Asia/Kolkata", viewport={"width": 390, "height": 844})
        page.goto("data:text/html,<p>")
        script = "[navigator.language, Intl.DateTimeFormat().resolvedOptions().timeZone, innerWidth]"
        assert page.evaluate(script) == ["ar", "Asia/Calcutta", 390]

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            ("<img src='https://example.com/x.png'>", "request to another host: GET https://example.com/x.png"),
            ("<script src='http://10.0.0.1/x.js'></script>", "request to another host: GET http://10.0.0.1/x.js"),
            ("<script>console.error('broken')</script>", "console error: broken"),
            ("<script>null.x</script>", "exception on the page: "),
            ("<img src='/missing.png'>", "status of 404"),
        ],
    )
    def test_notices(self, body: str, problem: str, chromium: Any, site: str) -> None:
        watch = Watch(expected=[])
        context = chromium.new_context()
        watch.observe(context)
        context.new_page().goto(site + quote(body))
        context.close()
        assert any(problem in noticed for noticed in watch.problems), watch.problems

    def test_lets_ordinary_pages_pass(self, chromium: Any, site: str) -> None:
        watch = Watch(expected=["meant"])
        context = chromium.new_context()
        watch.observe(context)
        context.new_page().goto(site + quote("<script>console.log(1); console.error('meant')</script>"))
        context.close()
        assert watch.problems == []

    def test_cannot_reach_another_host(self, chromium: Any) -> None:
        watch = Watch(expected=[])
        context = chromium.new_context()
        watch.observe(context)
        with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
            context.new_page().goto("http://example.com/")
        context.close()
        assert watch.problems == ["request to another host: GET http://example.com/"]


class TestMissingServers:
    @pytest.mark.parametrize(
        ("setting", "outcome"), [("required", pytest.fail.Exception), (None, pytest.skip.Exception)]
    )
    def test_skip_a_test_or_fail_it_where_they_are_required(
        self, setting: str | None, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NEBULOVIZ_TEST_SERVERS", raising=False)
        if setting:
            monkeypatch.setenv("NEBULOVIZ_TEST_SERVERS", setting)
        with pytest.raises(outcome, match="no-such-program is not installed"), needs_servers():
            find_program("no-such-program")


class TestIsolation:
    def test_no_test_connects_to_another_machine(self, refused_hosts: list[str]) -> None:
        with pytest.raises(URLError, match="tests reach no other host"):
            urllib.request.urlopen("http://192.0.2.1/", timeout=1)
        assert refused_hosts == ["192.0.2.1"]
        refused_hosts.clear()

    def test_names_the_program_that_is_missing(self) -> None:
        with pytest.raises(MissingServerError, match="no-such-program is not installed"):
            find_program("no-such-program")

    def test_ports_are_never_given_twice(self) -> None:
        ports = [free_port() for _ in range(200)]
        assert len(set(ports)) == 200

    @pytest.mark.faults
    @pytest.mark.servers
    def test_a_killed_test_run_leaves_nothing_behind(self, redis_server: RedisServer) -> None:
        program = """
            import time
            from tests.servers import RedisServer
            server = RedisServer.started()
            print(server.pid, server.folder, flush=True)
            time.sleep(60)
        """
        command = [sys.executable, "-c", textwrap.dedent(program)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout
            pid, folder = run.stdout.readline().split()
            server = psutil.Process(int(pid))
            assert server.is_running()
            run.send_signal(signal.SIGKILL)
        server.wait(timeout=20)
        _wait_until_gone(Path(folder))


def _wait_until_gone(folder: Path) -> None:
    for _ in range(100):
        if not folder.exists():
            return
        time.sleep(0.1)
    pytest.fail(f"{folder} is still there")
