"""Two processes that serve behind nginx, three that ingest, one PostgreSQL, Redis and Kafka: they behave as one, whoever dies."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select

from benchmarks.load import READERS, SALES_A_SECOND, p95, reading
from benchmarks.soak import Memory
from nebuloviz.db import Database
from nebuloviz.ingest.produce import simulated_sales
from nebuloviz.models import QUANTITY_SCALE, Lease
from nebuloviz.services.watch_process import SERIES_TASK
from tests.cluster import Cluster, Member, scaled_out
from tests.faults.conftest import UNREADY_SECONDS, Till, stored, wait_for
from tests.ingest.support import assert_kept_exactly_once, line
from tests.program import PASSWORD, csrf_token
from tests.servers import KafkaServer, PostgresServer, RedisServer
from tests.servers.required import needs_servers
from tests.services.watched_shop import payloads, write
from tests.shown import Figures, Tiles, all_show, in_api

PARTITIONS, SOAK_SECONDS, AT_ONCE = 6, 120.0, 100
PATIENCE_SECONDS = 300.0
STALE_SECONDS = 4 * 60.0
READING, NOT_REACHED = 4, 0
FLAT = 1.4  # of what a process held in the second fifth of the soak it may hold so much in the last


@pytest.fixture(scope="module")
def database(postgres: PostgresServer, _postgres_template: str) -> Iterator[Database]:
    postgres.start()
    name = postgres.create_database(template=_postgres_template)
    database = Database(postgres.database_url(name))
    yield database
    database.dispose()
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def till(kafka: KafkaServer, database: Database) -> Iterator[Till]:
    """With seven weeks of a shop behind it; its south sold nothing during a day of this week."""
    kafka.start()
    till = Till(kafka, kafka.create_topic(partitions=PARTITIONS))
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    quiet = now - timedelta(days=3)
    past = payloads(now - timedelta(weeks=7), quiet) + payloads(quiet, quiet + timedelta(days=1), ["south"])
    past += payloads(quiet + timedelta(days=1), now)
    write(database, past, datetime.now(UTC))
    till.ledger.add(map(orjson.loads, past))
    till.ledger.sent["shop", 0] = len(past)
    yield till
    till.close()


@pytest.fixture(scope="module")
def cluster(
    database: Database,
    redis_server: RedisServer,
    kafka: KafkaServer,
    till: Till,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    redis_server.start()
    redis_server.flush()
    url, folder = database.url.render_as_string(hide_password=False), tmp_path_factory.mktemp("cluster")
    with needs_servers(), scaled_out(folder, url, redis_server.url, kafka.url, till.topic) as cluster:
        yield cluster


@pytest.fixture
def apis(cluster: Cluster) -> Iterator[list[httpx.Client]]:
    """A program signed in at each process that serves."""
    clients = [api(app.url) for app in cluster.serving]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture
def tiles(cluster: Cluster) -> Iterator[list[Tiles]]:
    """Overview at each process that serves, as one browser sees it."""
    with closing(cluster.signed_in()) as browser:
        yield [Tiles(browser, app.url) for app in cluster.serving]


def api(url: str) -> httpx.Client:
    client = httpx.Client(base_url=url, timeout=60)
    answer = client.post("/api/v1/auth/token", json={"username": "admin", "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
    return client


def sell(till: Till, count: int, name: str) -> None:
    """Sales of the last minute, round all partitions."""
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    ids = [f"{name}-{number}" for number in range(count)]
    till.sell([line(sale_id=each, order_id=each, sold_at=at) for each in ids], PARTITIONS)


def wrong_password(app: Member, username: str) -> int:
    """The answer to a sign-in that fails, or is not even tried any more."""
    elsewhere = {"X-Forwarded-For": f"198.18.0.{len(username)}"}
    with httpx.Client(base_url=app.url, timeout=60, headers=elsewhere) as stranger:
        form = {"username": username, "password": "wrong", "csrf_token": csrf_token(stranger.get("/login"))}
        return stranger.post("/login", data=form).status_code


def shows_all(client: httpx.Client, till: Till) -> Callable[[], bool]:
    """Whether an answer has every unit that was ever sold."""
    now = datetime.now(UTC)
    ends = {"start": (now - timedelta(weeks=8)).date().isoformat(), "end": (now + timedelta(days=1)).date().isoformat()}

    def shows() -> bool:
        answer = client.post("/api/v1/query", json={"metrics": ["units"], **ends}).raise_for_status()
        sold = sum(quantity for quantity, _ in till.ledger.sales.values()) / QUANTITY_SCALE
        return bool(answer.json()["rows"][0][-1] == sold)

    return shows


def alerts_on_the_south(client: httpx.Client) -> dict[tuple[str, str], dict[str, Any]]:
    """By series and time, of the day on which it sold nothing: later hours may close while the test looks."""
    young = datetime.now(UTC) - timedelta(days=1)
    answer = client.get("/api/v1/alerts", params={"limit": 500, "end": young.isoformat()})
    items = answer.raise_for_status().json()["items"]
    old = [item for item in items if datetime.fromisoformat(item["bucket_end"]) < young]
    found = {(item["series"], item["bucket_start"]): item for item in old}
    assert len(found) == len(old), "no alert is raised twice"
    return found


def elected(cluster: Cluster, database: Database) -> Member | None:
    """The member whose name the living lease bears, `host:pid:...`."""
    with database.session() as session:
        found = session.execute(select(Lease).where(Lease.name == SERIES_TASK)).scalar_one_or_none()
    if found is None or found.expires_at <= datetime.now(UTC):
        return None
    pid = int(found.holder.split(":")[-2])
    return next((member for member in cluster.members if member.process.pid == pid), None)


def watching(cluster: Cluster) -> Member:
    """The one that has looked at all series, by the processes' own figures; waits for it."""
    found: list[Member] = []

    def one() -> bool:
        found[:] = [member for member in cluster.members if member.watches_series()]
        return len(found) == 1

    wait_for(one, "one process watches series", PATIENCE_SECONDS)
    return found[0]


@pytest.mark.timeout(1200)
def test_sessions_limits_figures_and_alerts_are_those_of_one_program(
    cluster: Cluster, till: Till, apis: list[httpx.Client]
) -> None:
    with closing(cluster.signed_in()) as browser:
        for status in (200, 302):
            for app in cluster.serving:
                assert browser.get(f"{app.url}/", follow_redirects=False).status_code == status
            browser.post("/logout")
    assert [wrong_password(cluster.serving[number % 2], "nobody") for number in range(6)].index(429) == 5
    one, two = apis
    for name in ("first", "second"):  # the first answers are kept, and must not outlive the sales that follow
        sell(till, 30, name)
        wait_for(shows_all(one, till), "what was sold is seen at one", PATIENCE_SECONDS)
        assert shows_all(two, till)()
    wait_for(lambda: bool(alerts_on_the_south(one)), "an alert on the south", PATIENCE_SECONDS)
    alert = f"/api/v1/alerts/{next(iter(alerts_on_the_south(two).values()))['id']}"
    known = two.get(alert).headers["ETag"]
    answer = one.put(f"{alert}/verdict", json={"verdict": "real"}, headers={"If-Match": known})
    assert answer.raise_for_status().json()["verdict"] == two.get(alert).json()["verdict"] == "real"
    late = two.put(f"{alert}/verdict", json={"verdict": "false_alarm"}, headers={"If-Match": known})
    assert late.status_code == 412, "somebody else has said what it was"


@pytest.mark.timeout(1800)
def test_two_minutes_of_sales_and_readers_while_processes_are_killed(
    cluster: Cluster,
    till: Till,
    database: Database,
    apis: list[httpx.Client],
    tiles: list[Tiles],
    record_property: Callable[[str, object], None],
) -> None:
    """500 sales a second, 25 readers; whoever is elected is killed, and one of the other kind, and both come back."""
    first = watching(cluster)
    raised = alerts_on_the_south(apis[0])
    other = next(member for member in cluster.members if member.kind != first.kind)
    steady = [member for member in cluster.members if member not in {first, other}]
    before = till.sent
    selling = threading.Thread(target=keep_selling, args=(till,))
    looked_at = {member.log.stem: member.process.pid for member in steady}
    with reading(cluster.url, PASSWORD) as readers, Memory(looked_at) as memory:
        selling.start()
        for victim in (first, other):
            wait_for(lambda n=till.sent: stored(database) > n + 5_000, "sales go on", PATIENCE_SECONDS)  # type: ignore[misc]
            victim.kill()
            left = {None, victim}
            took = wait_for(lambda but=left: elected(cluster, database) not in but, "one is elected", PATIENCE_SECONDS)  # type: ignore[misc]
            record_property(f"one is elected after the end of a process that can {victim.kind}, s", f"{took:.1f}")
            victim.start()
            victim.ready()
        selling.join()
    wait_for(lambda: stored(database) >= till.sent, "nothing waits any more", PATIENCE_SECONDS)
    record_property("sales", till.sent - before)
    for what in ("stamp", "page"):
        met = readers.met(what)
        record_property(f"the {what}, p95 of {len(met)}, s", p95(met))
    for member in steady:
        last, second = memory.last_and_second(member.log.stem)
        record_property(
            f"memory of {member.log.stem} in the second and the last fifth, MB", f"{second:.0f}, {last:.0f}"
        )
        assert last <= FLAT * second
    assert len(readers.refused()) == READERS
    assert max(readers.refused().values()) <= 1, f"what was under way in the one that served: {readers.log}"
    assert readers.denied() == 0
    assert_kept_exactly_once(database, till.ledger)
    for client in apis:
        wait_for(shows_all(client, till), "it shows all", PATIENCE_SECONDS)
    everywhere(database, apis, tiles)
    watching(cluster)
    assert alerts_on_the_south(apis[0]) == alerts_on_the_south(apis[1]) == raised


def everywhere(database: Database, apis: list[httpx.Client], tiles: list[Tiles]) -> None:
    """What the database holds is in each API and on each page: there once news has come to whoever asks."""
    shown: list[Callable[[], Figures]] = [*(partial(in_api, client) for client in apis), *tiles]
    equal = "API and tiles equal the database"
    wait_for(lambda: all_show(database, *shown), equal, PATIENCE_SECONDS, every_seconds=1.0)


def keep_selling(till: Till) -> None:
    """At an even pace; the lines of an order go to several partitions, and so to several processes."""
    sales, start = simulated_sales(seed=1), time.monotonic()
    for number in range(1, int(SALES_A_SECOND * SOAK_SECONDS) // AT_ONCE + 1):
        till.sell(list(islice(sales, AT_ONCE)), PARTITIONS)
        time.sleep(max(0.0, start + number * AT_ONCE / SALES_A_SECOND - time.monotonic()))


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_without_redis_it_is_slower_and_never_wrong(
    cluster: Cluster,
    till: Till,
    database: Database,
    apis: list[httpx.Client],
    tiles: list[Tiles],
    redis_server: RedisServer,
    record_property: Callable[[str, object], None],
) -> None:
    looks = [partial(look_at_all, *each) for each in zip(tiles, apis, strict=True)]
    try:
        with looking(looks) as seen:
            redis_server.kill()
            look_on(seen)
        assert {each for some in seen for each in some} == {200}
        assert all(shows_all(client, till)() for client in apis), "what each now keeps by itself"
        sell(till, 30, "without Redis")
        wait_for(lambda: stored(database) >= till.sent, "everything is stored", PATIENCE_SECONDS)
        told = time.monotonic()
        for client in apis:
            soon = "nobody can be told of it, and all ask again soon"
            wait_for(shows_all(client, till), soon, STALE_SECONDS, every_seconds=1.0)
        record_property("without Redis all is shown after, s", f"{time.monotonic() - told:.1f}")
        everywhere(database, apis, tiles)
        assert [wrong_password(cluster.serving[1], "somebody") for _ in range(6)].index(429) == 5
        with looking(looks) as seen:
            redis_server.start()
            look_on(seen)
        assert {each for some in seen for each in some} == {200}
    finally:
        redis_server.start()
    sell(till, 30, "with Redis again")
    wait_for(lambda: stored(database) >= till.sent, "everything is stored", PATIENCE_SECONDS)
    everywhere(database, apis, tiles)
    assert_kept_exactly_once(database, till.ledger)


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_nginx_and_postgresql_are_killed_under_readers_and_nobody_is_signed_out(
    cluster: Cluster,
    till: Till,
    database: Database,
    apis: list[httpx.Client],
    tiles: list[Tiles],
    postgres: PostgresServer,
    record_property: Callable[[str, object], None],
) -> None:
    with ExitStack() as stack:
        readers = [stack.enter_context(closing(cluster.signed_in())) for _ in range(READING)]
        for server in (cluster.nginx, postgres):
            with looking([partial(status, reader, "/") for reader in readers]) as seen:
                wait_for(lambda met=seen: all(200 in each for each in met), "they read", PATIENCE_SECONDS)  # type: ignore[misc]
                server.kill()
                sell(till, 300, server.name)
                wait_for(lambda met=seen: any({*each} - {200} for each in met), "they are told so", PATIENCE_SECONDS)  # type: ignore[misc]
                if server is postgres:
                    told = readers[0].get("/", headers={"Accept": "text/html"}).text
                    assert "Try again</a>" in told, "it is a page that tells them"
                    took = wait_for(lambda: none_is_ready(cluster), "no process is ready", UNREADY_SECONDS)
                    record_property("no process is ready without the database after, s", f"{took:.1f}")
                server.start()
                took = wait_for(lambda: stored(database) >= till.sent, "nothing waits any more", PATIENCE_SECONDS)
                record_property(f"all is stored after the return of {server.name}, s", f"{took:.1f}")
                back = "the page is there, and they are signed in"
                wait_for(lambda: all(status(each, "/") == 200 for each in readers), back, PATIENCE_SECONDS)
            met = {each for some in seen for each in some}
            assert met <= {NOT_REACHED, 200, *range(500, 505)}, "nobody is sent to sign in again"
    for member in cluster.members:
        member.ready()
    for client in apis:
        wait_for(shows_all(client, till), "it shows all", PATIENCE_SECONDS)
    everywhere(database, apis, tiles)
    assert_kept_exactly_once(database, till.ledger)


@contextmanager
def looking(looks: Sequence[Callable[[], int]]) -> Iterator[list[list[int]]]:
    """While the block runs each of `looks` is done again and again; what each of them has found."""
    over = threading.Event()
    seen: list[list[int]] = [[] for _ in looks]

    def keep_looking(look: Callable[[], int], found: list[int]) -> None:
        while not over.wait(0.1):
            found.append(look())

    threads = [threading.Thread(target=keep_looking, args=each) for each in zip(looks, seen, strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def look_on(seen: list[list[int]]) -> None:
    """Wait until all have looked some more times."""
    before = [len(each) for each in seen]
    wait_for(lambda: all(len(e) > n + 3 for e, n in zip(seen, before, strict=True)), "all look on", PATIENCE_SECONDS)


def none_is_ready(cluster: Cluster) -> bool:
    return not any(member.is_ready() for member in cluster.members)


def status(reader: httpx.Client, url: str) -> int:
    """What the address answers; a redirect would lead to the sign-in."""
    try:
        return reader.get(url).status_code
    except httpx.TransportError:
        return NOT_REACHED


def look_at_all(tiles: Tiles, api: httpx.Client) -> int:
    """At a page, at what fills it and at the API of one process; the worst that is answered."""
    asked = {"metrics": ["orders"], "start": "2026-01-01", "end": "2026-01-02"}
    answers = [tiles.client.get(f"{tiles.url}/"), tiles.ask(), api.post("/api/v1/query", json=asked)]
    return max(answer.status_code for answer in answers)
