import socket
from collections.abc import Iterator

import pytest

from nebuloviz.ingest.brokers import brokers_health
from tests.servers import free_port


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_one_that_listens_is_enough(listening: str) -> None:
    assert brokers_health(f"127.0.0.1:{free_port()}, {listening}").ok


@pytest.mark.parametrize("server", ["127.0.0.1:{port}", "127.0.0.1:no-port", ""])
def test_where_none_does_it_is_said_which_were_asked(server: str) -> None:
    named = server.format(port=free_port())
    found = brokers_health(named)
    assert not found.ok
    assert named in found.detail
