"""Values that no page would send, in every place of every callback: refused, or answered, but never a failure of ours."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.dash_requests import ROUTER, body_of, post
from tests.program import Program

BEYOND = 2**63  # the first integer that no database has
INFINITE = "1e400"  # as Python's JSON writes no such number, it is put in the place of a text
FORGED: tuple[Any, ...] = (
    1.5,
    "x",
    [],
    {},
    [[1]],
    ["x", "x"],
    BEYOND,
    {"id": BEYOND},
    [{"id": BEYOND}],
    "9" * 40,
    INFINITE,
    {"startRow": INFINITE, "endRow": INFINITE},
    {"startRow": "x", "sortModel": [{"colId": ["x"], "sort": {}}]},
)
FORGED_IDS: tuple[Any, ...] = (1, 1.5, None, BEYOND, ["x"])
#: What else a page would hold, so that a callback does not end before it comes to what is forged.
USUAL: dict[str, Any] = {
    "data-upload.data": "x",
    "explore-cursors.data": {},
    "n_clicks": 1,
    "submit_n_clicks": 1,
}
USUAL_IDS = {
    "data-correction": 7,
    "data-field": "sold_at",
    "filter-operator": "region",
    "filter-values": "region",
    "overview-view": "trend",
}

Body = dict[str, Any]


@pytest.fixture(scope="module")
def forger(program: Program) -> Iterator[httpx.Client]:
    """Signed in as an administrator whose sessions and preferences are nobody else's."""
    program.add_user("forger", "admin")
    client = program.signed_in("forger")
    yield client
    client.close()


def usual(entry: dict[str, Any]) -> Body:
    """A request for the callback from a page on which all has been clicked that can be."""
    body = body_of(entry)
    for part in parts_of(body):
        if isinstance(part["id"], dict) and part["id"].get("of") == "x":
            part["id"]["of"] = USUAL_IDS.get(part["id"]["type"], "x")
        part["value"] = USUAL.get(name_of(part), USUAL.get(part["property"], part["value"]))
    return body


def name_of(part: dict[str, Any]) -> str:
    """The property and the kind of component that it is of."""
    kind = part["id"]["type"] if isinstance(part["id"], dict) else part["id"]
    return f"{kind}.{part['property']}"


def parts_of(body: Body) -> list[dict[str, Any]]:
    """Inputs and states; of a pattern's, each component."""
    given = [*body["inputs"], *body["state"]]
    return [part for item in given for part in (item if isinstance(item, list) else [item])]


def set_off(body: Body, place: int = 0, otherwise: int = 0) -> Body:
    """Set off by the place where something is forged; where that is a state, by the input `otherwise`."""
    inputs = parts_of(body | {"state": []})
    part = inputs[place if place < len(inputs) else otherwise]
    known = part["id"]
    name = json.dumps(known, separators=(",", ":"), sort_keys=True) if isinstance(known, dict) else known
    return body | {"changedPropIds": [f"{name}.{part['property']}"]}


def forged_values(entry: dict[str, Any]) -> Iterator[tuple[object, Body]]:
    """Each value in each place in turn; and what of it decides whether it is refused."""
    for place, part in enumerate(parts_of(usual(entry))):
        for value in FORGED:
            body = usual(entry)
            parts_of(body)[place]["value"] = value
            for otherwise in (0, -1) if isinstance(value, (dict, list)) else (0,):
                yield f"{name_of(part)} {value}", set_off(body, place, otherwise)


def forged_ids(entry: dict[str, Any]) -> Iterator[tuple[object, Body]]:
    """Each part of a pattern's ids as something else: in one place, and everywhere."""
    for place, part in enumerate(parts_of(usual(entry))):
        for key in part["id"] if isinstance(part["id"], dict) else ():
            for value in FORGED_IDS:
                here, everywhere = usual(entry), usual(entry)
                parts_of(here)[place]["id"][key] = value
                for each in parts_of(everywhere):
                    if isinstance(each["id"], dict) and key in each["id"]:
                        each["id"][key] = value
                yield str(here), set_off(here, place)
                yield str(everywhere), set_off(everywhere, place)


def uneven_lists(entry: dict[str, Any]) -> Iterator[tuple[object, Body]]:
    """Of lists of components that stand side by side, one that is empty, twice as long, or none."""
    for name in ("inputs", "state"):
        for place, item in enumerate(usual(entry)[name]):
            for other in ([], item * 2, item[0]) if isinstance(item, list) else ():
                body = usual(entry)
                body[name][place] = other
                if body["inputs"][0]:
                    yield str(body), set_off(body)


def sent(client: httpx.Client, body: Body) -> httpx.Response:
    return post(client, json.dumps(body).replace(f'"{INFINITE}"', INFINITE))


def errors_of(program: Program) -> dict[str, float]:
    """Callback -> how often it failed."""
    with program.client() as client:
        text = client.get("/metrics").text
    found = re.findall(r'^nebuloviz_callback_errors_total\{callback="([^"]*)"\} (\S+)', text, re.MULTILINE)
    return {name: float(count) for name, count in found}


class TestNoCallbackFails:
    def test_where_nothing_is_forged(self, forger: httpx.Client, callbacks: dict[str, Any]) -> None:
        for name, entry in callbacks.items():
            if name != ROUTER:
                answer = sent(forger, set_off(usual(entry)))
                assert answer.status_code in {200, 204}, (name, answer.text[:300])

    @pytest.mark.parametrize("forged", [forged_values, forged_ids, uneven_lists])
    def test_whatever_is_forged(
        self, program: Program, forger: httpx.Client, callbacks: dict[str, Any], forged: Any
    ) -> None:
        before = errors_of(program)
        refused: set[object] = set()  # by the guard: no callback of any page comes to see that
        for name, entry in callbacks.items():
            for what, body in forged(entry) if name != ROUTER else ():
                if what not in refused:
                    answer = sent(forger, body)
                    assert answer.status_code < 500, (name, body)
                    assert "internal_error" not in answer.text, (name, body)
                    refused |= {what} if answer.status_code == 400 else set()
        assert errors_of(program) == before
        assert len(refused) > 30
