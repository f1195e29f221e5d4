"""Performs what the how-to pages say: their files go into one folder, the program starts with it, and what they add is used."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/how-to").glob("add-a-*.md"))
PASSWORD = "a long password of the tests"
START_SECONDS = 180
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
#: sale, order, customer, product, quantity, unit price, when
SALES = (
    ("s1", "o1", "Ada", "Tea", 2, 10, NOW - 3 * DAY),
    ("s2", "o1", "Ada", "Milk", 1, 5, NOW - 3 * DAY),
    ("s3", "o2", "Bo", "Tea", 3, 10, NOW - 2 * DAY),
    ("s4", "o3", "Ada", "Cake", 1, 2, NOW - timedelta(minutes=10)),
)


def write_extension(page: Path, folder: Path) -> Path:
    """The page's one Python file, under the name that the page gives it."""
    text = page.read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (name,) = re.findall(r"^Save this as `extensions/(\w+\.py)`", text, re.MULTILINE)
    path = folder / str(name)
    path.write_text(code, encoding="utf-8")
    return path


@dataclass(frozen=True)
class Program:
    """The running program, and two ways to speak to it: as another program does, and as a browser in which `admin` is signed in."""

    api: httpx.Client
    browser: httpx.Client

    def query(self, **body: Any) -> list[dict[str, Any]]:
        """The answer to a question about this week, as rows by column."""
        span = {"start": (NOW - 7 * DAY).isoformat(), "end": (NOW + DAY).isoformat()}
        answer = self.api.post("/api/v1/query", json=span | body)
        assert answer.status_code == 200, answer.text
        names = [column["name"] for column in answer.json()["columns"]]
        return [dict(zip(names, row, strict=True)) for row in answer.json()["rows"]]

    def callback(self, output: str, **values: Any) -> dict[str, Any]:
        """What the callback with this output answers; `values` are inputs by their property, the others are null."""
        (known,) = (each for each in self.browser.get("/_dash-dependencies").json() if output in each["output"])
        parts = [_part(name) for name in known["output"].strip(".").split("...")]
        inputs = [
            item | {"value": item["id"] if item["property"] == "id" else values.get(item["property"])}
            for item in known["inputs"]
        ]
        body = {
            "output": known["output"],
            "outputs": parts if known["output"].startswith("..") else parts[0],
            "inputs": inputs,
            "state": [item | {"value": values.get(item["property"])} for item in known["state"]],
            "changedPropIds": [f"{item['id']}.{item['property']}" for item in inputs],
        }
        answer = self.browser.post("/_dash-update-component", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["response"]
        return found


def _part(name: str) -> dict[str, str]:
    id, _, prop = name.rpartition(".")
    return {"id": id, "property": prop}


@pytest.fixture(scope="module")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the files of all pages."""
    folder = tmp_path_factory.mktemp("extensions")
    for page in PAGES:
        write_extension(page, folder)
    return folder


@pytest.fixture(scope="module")
def environment(extensions: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEBULOVIZ_")}
    return kept | {
        "NEBULOVIZ_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "NEBULOVIZ_DEMO": "off",
        "NEBULOVIZ_PORT": "0",
        "NEBULOVIZ_CURRENCY": "EUR",
        "NEBULOVIZ_ADMIN_PASSWORD": PASSWORD,
        "NEBULOVIZ_EXTENSIONS_DIR": str(extensions),
        "NEBULOVIZ_DETECTOR": "mahalanobis",
    }


@pytest.fixture(scope="module")
def program(environment: dict[str, str]) -> Iterator[Program]:
    """Started once for all pages, with a few sales posted to it."""
    log = Path(environment["NEBULOVIZ_DATA_DIR"]) / "program.log"
    serve = [sys.executable, "-m", "nebuloviz", "serve"]
    with log.open("w") as said:
        process = subprocess.Popen(serve, env=environment, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
    try:
        url = _address(process, log)
        with httpx.Client(base_url=url, timeout=60) as api, httpx.Client(base_url=url, timeout=60) as browser:
            _sign_in(api, browser)
            _post_sales(api)
            yield Program(api, browser)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r'ready: (http[^\s"]+)', log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the program is not ready:\n{log.read_text(encoding='utf-8')}")


def _sign_in(api: httpx.Client, browser: httpx.Client) -> None:
    credentials = {"username": "admin", "password": PASSWORD}
    token = api.post("/api/v1/auth/token", json=credentials).json()["access_token"]
    api.headers["Authorization"] = f"Bearer {token}"
    (csrf,) = re.findall(r'name="csrf_token" value="([^"]+)"', browser.get("/login").text)
    answer = browser.post("/login", data=credentials | {"csrf_token": csrf})
    assert answer.status_code == 303, answer.text


def _post_sales(api: httpx.Client) -> None:
    names = ("sale_id", "order_id", "customer_id", "product", "quantity", "unit_price")
    lines = [
        dict(zip(names, sale[:-1], strict=True)) | {"product_id": sale[3], "sold_at": sale[-1].isoformat()}
        for sale in SALES
    ]
    answer = api.post("/api/v1/sales", json=lines)
    assert answer.json()["accepted"] == len(SALES), answer.text


class TestEveryPage:
    def test_is_one_of_the_six_that_the_readme_names(self) -> None:
        named = re.findall(r"docs/how-to/(add-a-[\w-]+\.md)", (ROOT / "README.md").read_text(encoding="utf-8"))
        assert sorted(named) == [page.name for page in PAGES]
        assert len(PAGES) == 6

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
    def test_names_only_files_that_there_are(self, page: Path) -> None:
        named = re.findall(r"`((?:nebuloviz|pages|translations)/[\w/.]*)`", page.read_text(encoding="utf-8"))
        assert named
        assert [path for path in named if not (ROOT / path).exists()] == []


class TestAddAMetric:
    def test_is_asked_for_through_the_api(self, program: Program) -> None:
        assert program.query(metrics=["units_per_order"]) == [{"units_per_order": pytest.approx(7 / 3)}]

    def test_is_offered_in_explore_and_has_a_tile(self, program: Program) -> None:
        controls = program.callback("explore-metric.options", search="")
        labels = [option["label"] for option in controls["explore-metric"]["options"]]
        assert "Units per order" in labels
        page = program.callback("overview-content.children", search="", data="light")
        assert "Units per order" in str(page["overview-content"]["children"][2])


class TestAddADimension:
    def test_is_asked_for_through_the_api(self, program: Program) -> None:
        rows = program.query(metrics=["revenue", "orders"], dimensions=["customer"], order="-revenue", limit=10)
        assert [(row["customer"], row["revenue"], row["orders"]) for row in rows] == [("Bo", 30, 1), ("Ada", 27, 2)]

    def test_filters(self, program: Program) -> None:
        filters = [{"dimension": "customer", "op": "not_in", "values": ["Ada"]}]
        assert program.query(metrics=["revenue"], filters=filters) == [{"revenue": 30}]

    def test_is_offered_in_explore_and_drawn(self, program: Program) -> None:
        controls = program.callback("explore-metric.options", search="?by=customer&axis=value")
        assert {"label": "Customer", "value": "customer"} in controls["explore-axis"]["options"]
        drawn = program.callback("explore-chart-figure.figure", search="?by=customer&axis=value", data="light")
        assert {"Ada", "Bo"} <= set(drawn["explore-chart-figure"]["figure"]["data"][0]["y"])


class TestAddAChart:
    def test_is_offered_where_it_suits(self, program: Program) -> None:
        assert "Running total" in str(program.callback("explore-metric.options", search=""))
        assert "Running total" not in str(program.callback("explore-metric.options", search="?m=margin"))

    def test_draws_the_sum_so_far(self, program: Program) -> None:
        assert self._drawn(program, "line") == {2, 25, 30}
        assert self._drawn(program, "running_total") == {25, 55, 57}

    @staticmethod
    def _drawn(program: Program, chart: str) -> set[float]:
        answer = program.callback("explore-chart-figure.figure", search=f"?chart={chart}", data="light")
        traces = answer["explore-chart-figure"]["figure"]["data"]
        return {value for trace in traces for value in trace.get("y", []) if value}


class TestAddAPage:
    def test_is_served_to_those_who_are_signed_in(self, program: Program) -> None:
        assert program.browser.get("/leaders").status_code == 200
        answer = httpx.get(f"{program.browser.base_url}/leaders", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (302, "/login?next=/leaders")

    def test_has_its_place_in_the_rail(self, program: Program) -> None:
        frame = program.browser.get("/_dash-layout", headers={"Referer": f"{program.browser.base_url}/leaders"}).json()
        rail = re.findall(r"'path': '(/\w*)', 'type': 'rail-link'|'type': 'rail-link', 'path': '(/\w*)'", str(frame))
        assert "".join(rail[-1]) == "/leaders"

    def test_is_laid_out_and_filled(self, program: Program) -> None:
        laid_out = program.callback("_pages_content.children", pathname="/leaders", search="")
        assert "leaders-table" in str(laid_out)
        filled = program.callback("leaders-table.children", search="", data="light")
        shown = re.findall("Tea|Milk|Cake|€[0-9.]+", str(filled))
        assert shown == ["Tea", "€50.00", "Milk", "€5.00", "Cake", "€2.00"]


class TestAddADetector:
    @pytest.mark.parametrize("file", ["mahalanobis.py", "record_low.py"])
    def test_passes_the_checks_that_the_page_runs(self, extensions: Path, file: str) -> None:
        command = [sys.executable, str(extensions / file)]
        checked = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")

    def test_is_chosen_by_its_name(self, program: Program) -> None:
        assert program.api.get("/readyz").status_code == 200  # the program runs with it

    def test_is_chosen_for_a_rule(self, program: Program) -> None:
        form = str(program.callback("rule-form.children", data="new")["rule-form"])
        assert {"mahalanobis", "Record low"} <= set(re.findall("mahalanobis|Record low", form))
