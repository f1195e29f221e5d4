"""nginx, in front of several processes that serve, as the documentation tells operators to set it up."""

import re
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.servers.base import HOST, TRUSTED, Server, find_program

DOCUMENTED = Path(__file__).parents[2] / "docs" / "scale.md"
_PATIENCE = "proxy_read_timeout 60s;"  # longer here: how fast the machine is decides nothing
_AROUND = """
daemon off;
pid nginx.pid;
worker_processes 1;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
access_log off;
client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
{configuration}
}}
"""


class NginxServer(Server):
    """Shares requests out among `addresses` (`host:port`), by the lines of `docs/scale.md`."""

    name = "nginx"

    def __init__(self, addresses: Sequence[str]) -> None:
        super().__init__()
        self._program = find_program("nginx")
        self._addresses = addresses

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        found = re.search(r"```nginx\n(.*?)```", DOCUMENTED.read_text(encoding="utf-8"), re.DOTALL)
        assert found, f"{DOCUMENTED.name} has the configuration"
        text = found[1].replace("listen 80;", f"listen {HOST}:{self.port};")
        assert _PATIENCE in text
        text = text.replace(_PATIENCE, "proxy_read_timeout 600s;")
        for number, address in enumerate(self._addresses, 1):
            assert f"app-{number}:8050" in text
            text = text.replace(f"app-{number}:8050", address)
        self.configure(text)

    def configure(self, text: str) -> None:
        """With what `http` shall hold."""
        (self.folder / "nginx.conf").write_text(_AROUND.format(configuration=text), encoding="utf-8")

    def command(self) -> list[str]:
        return [str(self._program), "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]

    def check(self) -> None:
        httpx.get(f"{self.url}/healthz", timeout=5, verify=TRUSTED)
