"""Records that the broker delivers and nobody can read: their partition halts, the others go on, an operator may skip them."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka.record.util import calc_crc32c

from nebuloviz.db import Database
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.models import IngestGap, IngestOffset
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.ingest import SalesIngestService
from nebuloviz.settings import load
from tests.faults.conftest import Running, Till, operators_are_told_of, stored, wait_for
from tests.ingest.support import assert_kept_exactly_once, encoded, line
from tests.servers import KafkaServer

# Of a batch as it lies on disk: base offset, length of what follows, ..., checksum of all from the attributes on
_HEADER = struct.Struct(">qi")
_CHECKSUM, _ATTRIBUTES = 17, 21
_UNKNOWN_CODEC = 6


def flip_a_bit(batch: bytearray) -> None:
    batch[-1] ^= 1


def name_an_unknown_codec(batch: bytearray) -> None:
    """What a codec looks like whose library is not installed; the checksum is right."""
    batch[_ATTRIBUTES + 1] |= _UNKNOWN_CODEC
    struct.pack_into(">I", batch, _CHECKSUM, calc_crc32c(bytes(batch[_ATTRIBUTES:])))


def damage(segment: Path, offset: int, how: Callable[[bytearray], None]) -> None:
    """Change the batch that begins at `offset`, in the broker's own file."""
    content = segment.read_bytes()
    start = 0
    while (found := _HEADER.unpack_from(content, start))[0] != offset:
        start += _HEADER.size + found[1]
    batch = bytearray(content[start : start + _HEADER.size + found[1]])
    how(batch)
    with segment.open("r+b") as file:
        file.seek(start)
        file.write(batch)


def state_of(database: Database, topic: str, number: int) -> tuple[int, str]:
    """Where a partition stands, and why it has halted."""
    with database.session() as session:
        row = session.get(IngestOffset, (topic, number))
        return (row.next_offset, row.halted_reason) if row else (0, "")


@pytest.mark.parametrize("how", [flip_a_bit, name_an_unknown_codec])
def test_what_cannot_be_decoded_halts_its_partition_alone_until_an_operator_skips_it(
    start: Running,
    postgres_database: Database,
    kafka: KafkaServer,
    till: Till,
    tmp_path: Path,
    how: Callable[[bytearray], None],
) -> None:
    till.sell([line(sale_id=f"before-{n}", sold_at=datetime.now(UTC).isoformat()) for n in range(30)], 3)
    first_lost = till.ledger.sent[till.topic, 0]
    for number in range(5):
        till.send(encoded(sale_id=f"lost-{number}"), 0)
    till.flush()
    behind = till.ledger.sent[till.topic, 0]
    damage(kafka.folder / "data" / f"{till.topic}-0" / f"{0:020}.log", first_lost, how)
    till.sell([line(sale_id=f"after-{n}", sold_at=datetime.now(UTC).isoformat()) for n in range(3)], 3)

    consumer: Consumer = start()
    wait_for(lambda: "cannot be decoded" in state_of(postgres_database, till.topic, 0)[1], "it halts")
    wait_for(lambda: stored(postgres_database) == 30 + 2, "the others go on")
    wait_for(lambda: "halted" in consumer.health().detail, "it says so")
    assert state_of(postgres_database, till.topic, 0)[0] == first_lost

    service = SalesIngestService(postgres_database, load(data_dir=tmp_path))
    with postgres_database.transaction() as session:
        service.resume(session, SYSTEM, till.topic, 0, skip_to=behind)
    wait_for(lambda: stored(postgres_database) == 30 + 3, "it goes on behind the damage")
    assert consumer.health().detail == ""
    with postgres_database.session() as session:
        assert session.get_one(IngestGap, (till.topic, 0, first_lost)).next_offset == behind
    operators_are_told_of(postgres_database, behind - first_lost, tmp_path)
    till.ledger.sent[till.topic, 0] -= behind - first_lost
    assert_kept_exactly_once(postgres_database, till.ledger)
