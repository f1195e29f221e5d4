"""A reader and its group on the real broker, on a path where the library would go silent for ever."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.net.manager import KafkaConnectionManager
from kafka.protocol.consumer import SyncGroupRequest

from nebuloviz.ingest import kafka_source
from nebuloviz.ingest.kafka_source import KafkaSource
from tests.faults.conftest import wait_for
from tests.servers import KafkaServer

POLL_SECONDS = 0.1


def read_until(source: KafkaSource, wanted: bytes) -> None:
    """Read each partition from its beginning until `wanted` comes."""

    def came() -> bool:
        polled = source.poll(POLL_SECONDS)
        for partition in source.waiting():
            source.seek(partition, 0)
        return any(record.value == wanted for records in polled.values() for record in records)

    wait_for(came, f"{wanted!r} is read")


def test_added_partitions_are_read_where_the_group_takes_longer_to_agree_than_a_poll(
    monkeypatch: pytest.MonkeyPatch, kafka: KafkaServer, kafka_topic: Callable[..., str]
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
    topic = kafka_topic(partitions=1)
    with (
        closing(KafkaProducer(bootstrap_servers=kafka.url, metadata_max_age_ms=200)) as producer,
        closing(KafkaSource(kafka.url, topic, f"group-{topic}")) as source,
    ):
        producer.send(topic, b"old", partition=0).get(30)
        read_until(source, b"old")
        with kafka.admin() as admin:
            admin.create_partitions({topic: 2})
        wait_for(lambda: 1 in producer.partitions_for(topic), "the producer knows the new partition")
        producer.send(topic, b"new", partition=1).get(30)
        read_until(source, b"new")
