"""The dashboards: as their code says, provisioned, and with a place for each panel."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.build import DASHBOARDS, FOLDER, rendered
from tests.deploy.files import DEPLOY, documents

FILES = sorted(FOLDER.glob("*.json"))


def test_are_three_and_as_the_code_says() -> None:
    assert {path.stem for path in FILES} == set(DASHBOARDS) == {"service", "stream", "detection"}
    for path, text in rendered().items():
        assert path.read_text(encoding="utf-8") == text, "run: python deploy/grafana/build.py"


def test_are_provisioned_with_their_source() -> None:
    [sources] = documents(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")
    [providers] = documents(DEPLOY / "grafana/provisioning/dashboards/nebuloviz.yaml")
    compose = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert [source["uid"] for source in sources["datasources"]] == ["prometheus"]
    [provider] = providers["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestEveryDashboard:
    def panels(self, path: Path) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["panels"]
        return found

    def test_has_panels_that_say_what_they_show(self, path: Path) -> None:
        panels = self.panels(path)
        assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels)
        assert all(panel["description"].endswith(".") and panel["targets"] for panel in panels)

    def test_leaves_no_row_half_empty(self, path: Path) -> None:
        widths: dict[int, int] = {}
        for panel in self.panels(path):
            place = panel["gridPos"]
            widths[place["y"]] = widths.get(place["y"], 0) + place["w"]
        assert set(widths.values()) == {24}

    def test_has_room_for_each(self, path: Path) -> None:
        places = [panel["gridPos"] for panel in self.panels(path)]
        assert all(place["x"] + place["w"] <= 24 for place in places)
        for a, b in combinations(places, 2):
            beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
