"""Prometheus for the tests."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import httpx
import yaml

from tests.servers.base import HOST, TRUSTED, Server, find_program


class PrometheusServer(Server):
    """Prometheus with a configuration of one's own, asked over HTTP."""

    name: ClassVar[str] = "prometheus"

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self._program = find_program("prometheus")
        super().__init__()
        self._configuration = configuration

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(dict(self._configuration)), encoding="utf-8")

    def command(self) -> list[str]:
        options = {
            "config.file": self.folder / "prometheus.yml",
            "storage.tsdb.path": self.folder / "data",
            "web.listen-address": f"{HOST}:{self.port}",
        }
        return [str(self._program), *(f"--{name}={value}" for name, value in options.items())]

    def check(self) -> None:
        httpx.get(f"{self.url}/-/ready", timeout=5, verify=TRUSTED).raise_for_status()

    def values(self, expression: str) -> Sequence[float]:
        """What the expression is now, one number a series.

        Raises:
            httpx.HTTPStatusError: it is not valid.
        """
        return [float(series["value"][1]) for series in self._asked(expression)]

    def labels(self, expression: str) -> Sequence[Mapping[str, str]]:
        """Those of each series that the expression has now."""
        return [series["metric"] for series in self._asked(expression)]

    def _asked(self, expression: str) -> list[dict[str, Any]]:
        asked = {"query": expression}
        answer = httpx.post(f"{self.url}/api/v1/query", data=asked, timeout=10, verify=TRUSTED).raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found
