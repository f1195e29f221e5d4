"""Real servers for the tests, started and ended by them alone.

Each runs in a folder of its own, on a port of its own, and is ended by its process id; servers that happen to run on the
machine are neither used nor touched. Port and data outlive `stop` and `kill`, so a test can take a server away and give it
back. `tests/conftest.py` turns them into fixtures.
"""

from tests.servers.base import HOST, MissingServerError, Server, find_chromium, find_program, free_port
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

__all__ = [
    "HOST",
    "KafkaServer",
    "MissingServerError",
    "PostgresServer",
    "RedisServer",
    "Server",
    "find_chromium",
    "find_program",
    "free_port",
]
