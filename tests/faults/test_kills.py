"""Processes killed at every place of a batch, stopped past their session, and asked to end: each sale is kept exactly once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from nebuloviz.db import Database
from nebuloviz.ingest.failpoints import FAILPOINTS, VARIABLE
from nebuloviz.ingest.recount import differences
from tests.faults.conftest import ENDS_SECONDS, ROOT, Till, Workers, stored, wait_for
from tests.ingest.support import assert_kept_exactly_once, shop
from tests.servers import KafkaServer

PARTITIONS = 3


def sales(n_orders: int, seed: int = 1, first: str = "") -> list[dict[str, object]]:
    return shop(n_orders, seed, first, days=3)


@pytest.fixture
def database(migrated_postgres_url: str) -> Database:
    return Database(migrated_postgres_url)


def die_at_each(workers: Workers, till: Till, database: Database, steady: int) -> float:
    """A worker dies at each failpoint in its second batch, one after the other; `steady` more live on beside it.

    How long it took at most until the next one stored something, or those beside it had stored all. The last has the program's own
    session, which the group waits for.
    """
    longest = 0.0
    for _ in range(steady):
        workers.start()
    for number, failpoint in enumerate(FAILPOINTS):
        known = stored(database)
        till.sell(sales(200, seed=number, first=f"{failpoint}-"), PARTITIONS)
        if steady:
            longest = max(longest, wait_for(lambda: stored(database) >= till.sent, "the steady workers catch up"))
            assert_kept_exactly_once(database, till.ledger)
        victim = workers.start(f"{failpoint}:1", *(["patient"] if failpoint == FAILPOINTS[-1] else []))
        if steady:
            # Sold while the victim takes its share of the partitions
            deadline = time.monotonic() + 40
            extra = 0
            while victim.poll() is None and time.monotonic() < deadline:
                till.sell(sales(30, seed=1000 + extra, first=f"{failpoint}+"), PARTITIONS)
                extra += 1
                time.sleep(0.3)
        else:
            longest = max(longest, wait_for(lambda n=known: stored(database) > n, "it ingests again"))  # type: ignore[misc]
        try:
            assert victim.wait(timeout=90) == -signal.SIGKILL, failpoint
        except subprocess.TimeoutExpired:
            pytest.fail(f"{failpoint} was not reached\n{workers.log_of(victim)}")
        assert differences(database, "UTC") == [], failpoint
    return longest


@pytest.mark.timeout(600)
@pytest.mark.parametrize("steady", [0, 2], ids=["alone", "beside two others"])
def test_sigkill_at_each_failpoint(
    workers: Workers, till: Till, database: Database, steady: int, record_property: Callable[[str, object], None]
) -> None:
    longest = die_at_each(workers, till, database, steady)
    known = stored(database)
    till.sell(sales(50, seed=99, first="after-"), PARTITIONS)
    if steady:
        longest = max(longest, wait_for(lambda: stored(database) >= till.sent, "the steady workers catch up"))
    else:
        workers.start()
        longest = max(longest, wait_for(lambda: stored(database) > known, "it ingests again"))
    how = f"all of it, by {steady} beside it" if steady else "with the start of a process"
    record_property(f"ingests again after SIGKILL, {how}, at most, s", f"{longest:.1f}")
    wait_for(lambda: stored(database) >= till.sent, "everything is stored")
    assert_kept_exactly_once(database, till.ledger)


def test_the_mutant_with_rollups_in_a_second_transaction_is_caught(
    workers: Workers, till: Till, database: Database
) -> None:
    till.sell(sales(200), PARTITIONS)
    assert workers.start("after_commit:1", "mutant").wait(timeout=60) == -signal.SIGKILL
    workers.start("", "mutant")
    wait_for(lambda: stored(database) >= till.sent, "everything is stored")
    with pytest.raises(AssertionError, match=r"Difference\(rollup="):
        assert_kept_exactly_once(database, till.ledger)


@pytest.mark.parametrize("place", ["before_tx", "after_keys"])
def test_a_process_stopped_past_its_session_cannot_write_when_it_wakes(
    workers: Workers, till: Till, database: Database, place: str
) -> None:
    """`after_keys`: asleep within its transaction, and holding the writers' lock, which the database takes from it."""
    till.sell(sales(200), PARTITIONS)
    zombie = workers.start(f"{place}:1:stop")
    _, status = os.waitpid(zombie.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    workers.start()
    wait_for(lambda: stored(database) >= till.sent, "the other takes over")
    zombie.send_signal(signal.SIGCONT)
    till.sell(sales(200, seed=2), PARTITIONS)
    wait_for(lambda: stored(database) >= till.sent, "both go on")
    zombie.terminate()
    _, log = zombie.communicate(timeout=ENDS_SECONDS)
    assert ("taken over" in log) if place == "before_tx" else ("after a failure" in log)
    assert_kept_exactly_once(database, till.ledger)


def test_sigterm_in_the_middle_ends_the_command_cleanly_and_another_goes_on(
    migrated_postgres_url: str,
    kafka: KafkaServer,
    till: Till,
    database: Database,
    record_property: Callable[[str, object], None],
) -> None:
    """The first is stopped within its second batch, so that the signal finds it there."""
    till.sell(sales(3000), PARTITIONS)
    environment = {
        **os.environ,
        "NEBULOVIZ_DATABASE_URL": migrated_postgres_url,
        "NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS": kafka.url,
        "NEBULOVIZ_KAFKA_TOPIC": till.topic,
        "NEBULOVIZ_KAFKA_GROUP": f"group-{till.topic}",
        "NEBULOVIZ_SECRET_KEY": "a secret that is used by this test only",
        "NEBULOVIZ_INGEST_BATCH_SIZE": "200",
    }
    command = [sys.executable, "-m", "nebuloviz", "ingest"]
    with subprocess.Popen(command, cwd=ROOT, env=environment | {VARIABLE: "after_facts:1:stop"}) as process:
        stopped = os.WUNTRACED | os.WNOHANG
        wait_for(lambda: os.WIFSTOPPED(os.waitpid(process.pid, stopped)[1]), "it is within a batch")
        process.terminate()
        process.send_signal(signal.SIGCONT)
        took = wait_for(lambda: process.poll() is not None, "it ends", ENDS_SECONDS)
        assert process.returncode == 0
    record_property("ended after SIGTERM in a batch, s", f"{took:.1f}")
    assert 200 < stored(database) < till.sent, "it has finished the batch, and no more than it had begun"
    assert differences(database, "UTC") == []
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        wait_for(lambda: stored(database) >= till.sent, "everything is stored")
        process.terminate()
        assert process.wait(timeout=ENDS_SECONDS) == 0
    assert_kept_exactly_once(database, till.ledger)
