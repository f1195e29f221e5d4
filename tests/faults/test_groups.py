"""A consumer and its group on the real broker, on a path where the library would go silent for ever."""

from datetime import UTC, datetime
from typing import Any

import pytest
from kafka.net.manager import KafkaConnectionManager
from kafka.protocol.consumer import SyncGroupRequest

from nebuloviz.db import Database
from nebuloviz.ingest import kafka_source
from nebuloviz.ingest.consumer import POLL_SECONDS
from tests.faults.conftest import Running, Till, stored, wait_for
from tests.ingest.support import assert_kept_exactly_once, line
from tests.servers import KafkaServer

PARTITIONS, MORE = 3, 5


def test_added_partitions_are_read_where_the_group_takes_longer_to_agree_than_a_poll(
    monkeypatch: pytest.MonkeyPatch, kafka: KafkaServer, till: Till, start: Running, postgres_database: Database
) -> None:
    """A poll that ends between the leader's plan and the group's consent makes the library forget that it has not joined."""
    send = KafkaConnectionManager.send

    async def sent_late(manager: Any, request: Any, node_id: Any) -> Any:
        await manager._net.sleep(3 * POLL_SECONDS)
        return await send(manager, request, node_id=node_id)

    def send_or_hold(manager: Any, request: Any, *rest: Any, **options: Any) -> Any:
        slow = isinstance(request, SyncGroupRequest)
        return (sent_late if slow else send)(manager, request, *rest, **options)

    monkeypatch.setattr(KafkaConnectionManager, "send", send_or_hold)
    monkeypatch.setattr(kafka_source, "METADATA_MAX_AGE_MS", 500)
    now = datetime.now(UTC).isoformat()
    consumer = start()
    for name, partitions in (("old", PARTITIONS), ("new", MORE)):
        if partitions > PARTITIONS:
            with kafka.admin() as admin:
                admin.create_partitions({till.topic: MORE})
            wait_for(lambda: till.knows(MORE), "the producer knows the new partitions")
        till.sell([line(sale_id=f"{name}-{number}", sold_at=now) for number in range(2 * MORE)], partitions)
        wait_for(lambda: stored(postgres_database) >= till.sent, f"what is {name} is stored")
    assert consumer.health().ok
    assert_kept_exactly_once(postgres_database, till.ledger)
