"""The dashboards: as their code says, as Grafana reads them, provisioned, and with a place for each panel.

No Grafana runs here. What its own library for dashboards as code does not read, or reads as something else than it may be, is
found; how a panel looks is not. That each expression has an answer, and each name a label, is in `test_observed`.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from itertools import combinations
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import ConfigDict, TypeAdapter, ValidationError

from deploy.grafana.build import DASHBOARDS, FOLDER, rendered
from tests.deploy.files import DEPLOY, documents

FILES = sorted(FOLDER.glob("*.json"))
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
COLOURS = ["green", "orange", "red"]  # names of Grafana's palette


def not_read(given: Any, read: Any, where: str = "") -> Iterator[str]:
    """Where `read`, which may have more, has not what is `given`."""
    if isinstance(given, dict) and isinstance(read, dict):
        for name in given:
            yield from not_read(given[name], read.get(name), f"{where}/{name}")
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for number, pair in enumerate(zip(given, read, strict=True)):
            yield from not_read(*pair, f"{where}/{number}")
    elif given != read:
        yield where


def misread(read: Any, where: str = "") -> Iterator[str]:
    """Where something is not of the kind that Grafana's schema has there."""
    if isinstance(read, dict | list):
        for name, value in read.items() if isinstance(read, dict) else enumerate(read):
            yield from misread(value, f"{where}/{name}")
    elif type(read).__module__.startswith("grafana_foundation_sdk") and not isinstance(read, Enum):
        for name, hint in get_type_hints(type(read)).items():
            value = getattr(read, name)
            try:
                TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
            except ValidationError:
                yield f"{where}/{name}"
            yield from misread(value, f"{where}/{name}")


def faults(text: str) -> list[str]:
    """What Grafana's library finds in a dashboard."""
    register_default_plugins()
    given = json.loads(text)
    read = Dashboard.from_json(given)
    return [*not_read(given, json.loads(JSONEncoder().encode(read))), *misread(read)]


class TestWhatGrafanaWouldNotReadIsFound:
    @pytest.mark.parametrize(
        ("right", "wrong"),
        [
            ('"fillOpacity"', '"fill"'),
            ('"mode": "normal"', '"mode": "stacked"'),
            ('"legendFormat"', '"legend"'),
            ('"mode": "absolute"', '"mode": "total"'),
            ('"h": 8', '"h": "high"'),
            ('"thresholds"', '"limits"'),
        ],
    )
    def test_names_and_values(self, right: str, wrong: str) -> None:
        text = rendered()[FOLDER / "service.json"]
        assert right in text
        assert faults(text.replace(right, wrong))


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

    def test_is_read_by_grafana_as_it_is_written(self, path: Path) -> None:
        assert faults(path.read_text(encoding="utf-8")) == []

    def test_asks_for_nothing_that_a_reader_would_have_to_choose(self, path: Path) -> None:
        assert set(re.findall(r"\$\w+|\$\{\w+", path.read_text(encoding="utf-8"))) <= {"$__rate_interval"}

    def test_has_units_that_grafana_knows(self, path: Path) -> None:
        assert {panel["fieldConfig"]["defaults"]["unit"] for panel in self.panels(path)} <= UNITS

    def test_names_each_line_where_there_are_several(self, path: Path) -> None:
        for panel in self.panels(path):
            legends = [target["legendFormat"] for target in panel["targets"]]
            assert len(set(legends)) == len(legends), panel["title"]
            assert all(legends) or panel["type"] == "stat", panel["title"]

    def test_has_colours_from_the_best_to_the_worst_or_the_other_way_round(self, path: Path) -> None:
        for panel in self.panels(path):
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            values = [step["value"] for step in steps[1:]]
            colours = [step["color"] for step in steps]
            assert steps[0]["value"] is None
            assert values == sorted(values)
            assert colours in (["green"], COLOURS, COLOURS[::-1])

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
