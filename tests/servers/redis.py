"""Redis for the tests."""

import redis

from tests.servers.base import HOST, Server, find_program


class RedisServer(Server):
    """Redis that writes every change to its log, so that data outlive a kill."""

    name = "redis"

    def __init__(self) -> None:
        self._program = find_program("redis-server")
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def prepare(self) -> None:
        pass

    def command(self) -> list[str]:
        # Without fsync a write is never put off, so a killed process loses nothing; a killed machine would
        log = {"appendonly": "yes", "appendfsync": "no"}
        options = {"port": self.port, "bind": HOST, "dir": self.folder, "save": "", **log}
        return [str(self._program), *(part for key, value in options.items() for part in (f"--{key}", str(value)))]

    def check(self) -> None:
        with redis.Redis.from_url(self.url, socket_timeout=5) as client:
            client.ping()

    def flush(self) -> None:
        """Forget everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
