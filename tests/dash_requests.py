"""What a browser sends to Dash: requests for callbacks, and for pages."""

import json
from typing import Any

import httpx

ROUTER = ".._pages_content.children..._pages_store.data.."
UPDATE = "/_dash-update-component"
JSON = {"Content-Type": "application/json"}
#: Components whose value is never null in a browser.
NEVER_EMPTY: dict[str, Any] = {"alert-id": 1}


def body_of(entry: dict[str, Any], value: Any = None) -> dict[str, Any]:
    """A request for a callback as the browser would send it, every input and state being `value`."""
    inputs = [_part(item, value) for item in entry["inputs"]]
    names = [name for name in entry["output"].strip(".").split("...") if name]
    outputs = [_output(name) for name in names]
    return {
        "output": entry["output"],
        "outputs": outputs if entry["output"].startswith("..") else outputs[0] if outputs else [],
        "inputs": inputs,
        "state": [_part(item, value) for item in entry["state"]],
        "changedPropIds": [],
    }


def _part(item: dict[str, Any], value: Any) -> Any:
    if not item["id"].startswith("{"):
        own = item["id"] if item["property"] == "id" else value if value is not None else NEVER_EMPTY.get(item["id"])
        return {"id": item["id"], "property": item["property"], "value": own}
    pattern = json.loads(item["id"])
    concrete = {key: "x" if isinstance(part, list) else part for key, part in pattern.items()}
    part = {"id": concrete, "property": item["property"], "value": concrete if item["property"] == "id" else value}
    return [part] if ["ALL"] in pattern.values() else part


def _output(name: str) -> Any:
    component, _dot, prop = name.rpartition(".")
    if not component.startswith("{"):
        return {"id": component, "property": prop}
    pattern = json.loads(component.replace("\\.", "."))
    part = {"id": {key: "x" if isinstance(kind, list) else kind for key, kind in pattern.items()}, "property": prop}
    return [part] if ["ALL"] in pattern.values() else part


def post(client: httpx.Client, content: bytes | str | dict[str, Any], **headers: str) -> httpx.Response:
    data = json.dumps(content) if isinstance(content, dict) else content
    return client.post(UPDATE, content=data, headers=JSON | headers)


def callbacks_of(client: httpx.Client) -> dict[str, Any]:
    """Output -> what Dash tells the browser of the callback; those that run in the browser are left out."""
    found = client.get("/_dash-dependencies").json()
    return {entry["output"]: entry for entry in found if not entry["clientside_function"]}


def ask(
    client: httpx.Client, callbacks: dict[str, Any], trigger: str, changed: str, url: str = "", /, **values: Any
) -> httpx.Response:
    """Call the callback that `trigger`'s property `changed` sets off; `values` are what the page's components hold, by id.

    `url`: of the process that is asked, where the browser would not be told of it.
    """
    entry = next(each for each in callbacks.values() if any(item["id"] == trigger for item in each["inputs"]))
    body = body_of(entry)
    for part in [*body["inputs"], *body["state"]]:
        known = part[0]["id"] if isinstance(part, list) else part["id"]
        if isinstance(known, dict):
            part[:] = [
                {"id": {**known, "of": of}, "property": part[0]["property"], "value": value}
                for of, value in values["fields"].items()
            ]
            if part and part[0]["property"] == "id":
                for one in part:
                    one["value"] = one["id"]
        elif known in values:
            part["value"] = values[known]
    body["changedPropIds"] = [f"{trigger}.{changed}"]
    url = url or str(client.base_url).rstrip("/")
    return client.post(f"{url}{UPDATE}", json=body, headers={"Origin": url})


def visit(path: object, search: object = "") -> dict[str, Any]:
    """What the browser sends when it comes to `path`."""
    return {
        "output": ROUTER,
        "outputs": [{"id": "_pages_content", "property": "children"}, {"id": "_pages_store", "property": "data"}],
        "inputs": [
            {"id": "_pages_location", "property": "pathname", "value": path},
            {"id": "_pages_location", "property": "search", "value": search},
        ],
        "changedPropIds": ["_pages_location.pathname"],
    }
