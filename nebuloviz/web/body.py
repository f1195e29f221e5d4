"""The body of a callback request: read with care, and compared with what the callback was registered with.

Dash itself believes the browser; a body that does not fit then fails somewhere inside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from nebuloviz.errors import MalformedRequest
from nebuloviz.models import MAX_ID
from nebuloviz.services import strict_json

_MAX_CHANGED = 10_000


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        MalformedRequest: it is not strict JSON, too deeply nested, not text throughout, or no object.
    """
    try:
        body = strict_json.parse(data)
    except strict_json.NotStrictJson:
        raise MalformedRequest("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise MalformedRequest("The body must be a JSON object.")
    return body


def output_of(body: Mapping[str, Any]) -> str:
    """The callback that is asked for."""
    output = body.get("output")
    if not isinstance(output, str):
        raise MalformedRequest("The body names no output.")
    return output


#: Dash's own Location, which most callbacks read.
LOCATION_ID = "_pages_location"
_TEXT, _COUNT, _TEXTS, _OBJECT = (str, NoneType), (int, NoneType), (list, NoneType), (dict, NoneType)
_PLAIN = (str, int, float, NoneType)
#: What properties hold that callbacks read, by name or, where it differs, by component or its type;
#: a browser sends nothing else.
_TYPES: Mapping[str, tuple[type, ...]] = {
    "alert-id.data": (int,),
    "alert-note.value": _TEXT,
    "audit-next.data": _TEXT,
    "audit-trail.data": _TEXTS,
    "clickData": _OBJECT,
    "contents": _TEXT,
    "data-correction.value": _TEXT,
    "data-date-order.value": _TEXT,
    "data-field.value": _TEXT,
    "data-letters-changed.data": _COUNT,
    "data-reason.value": _TEXT,
    "data-resumed.data": _COUNT,
    "data-seen.data": _OBJECT,
    "data-upload.data": _TEXT,
    "data-zone.value": _TEXT,
    "end_date": _TEXT,
    "explore-cursors.data": _OBJECT,
    "filename": _TEXT,
    "filter-comparison.value": _TEXT,
    "filter-operator.value": _TEXT,
    "filter-range.value": _TEXT,
    "filter-values.value": _TEXTS,
    "getRowsRequest": _OBJECT,
    "hash": _TEXT,
    "href": _TEXT,
    "n_clicks": _COUNT,
    "n_intervals": _COUNT,
    "notification-choice.value": (*_PLAIN, bool),
    "notification-field.value": (*_PLAIN, bool),
    "notification-rule.value": (*_PLAIN, bool, list),
    "notifications-next.data": _TEXT,
    "notifications-trail.data": _TEXTS,
    "pathname": _TEXT,
    "profile-field.value": _TEXT,
    "rule-field.value": (*_PLAIN, bool),
    "search": _TEXT,
    "search_value": _TEXT,
    "selectedRows": (list, NoneType),
    "settings-field.value": (*_PLAIN, bool, list),
    "shell-arrival.data": _TEXT,
    "shell-error.data": _OBJECT,
    "shell-open-alerts.data": _COUNT,
    "shell-stamp.data": _TEXT,
    "shell-theme-choice.data": _TEXT,
    "shell-theme.data": _TEXT,
    "start_date": _TEXT,
    "submit_n_clicks": _COUNT,
    "users-next.data": _TEXT,
    "users-trail.data": _TEXTS,
    "value": (*_PLAIN, list),
}


#: Parts of patterns' ids that are numbers, and the types of components whose `of` is one; all else in an id is text.
_NUMBERS = frozenset({"alert", "course", "day", "offset", "partition", "rule", "side", "skips"})
_NUMBERED = frozenset({"data-correction", "inbox-act", "taught-back"})


def check(body: Mapping[str, Any], callback: Mapping[str, Any]) -> None:
    """Compare `body` with the entry of Dash's callback map.

    Raises:
        MalformedRequest: inputs, state or outputs are not those that the callback was registered with.
    """
    inputs: Any = body.get("inputs")
    state: Any = body.get("state", [])
    _check_dependencies(inputs, callback["inputs"])
    _check_dependencies(state, callback["state"])
    _check_companions([*inputs, *state], [*callback["inputs"], *callback["state"]])
    changed = body.get("changedPropIds", [])
    if (
        not isinstance(changed, list)
        or len(changed) > _MAX_CHANGED
        or not all(_is_input(item, callback["inputs"]) for item in changed)
    ):
        raise MalformedRequest("changedPropIds must be a list of the callback's inputs.")
    if not callback.get("no_output"):
        _check_outputs(body.get("outputs"), callback["output"])


def _is_input(name: Any, registered: Sequence[Mapping[str, Any]]) -> bool:
    """Whether `name` is an input, such as 'id.value', or of the form of a pattern's; its component may be gone from the page."""
    if not isinstance(name, str):
        return False
    component, _dot, prop = name.rpartition(".")
    wanted = [item["id"] for item in registered if item["property"] == prop]
    if not component.startswith("{"):
        return component in wanted
    try:
        given = json.loads(component)
    except (ValueError, RecursionError):
        return False
    return any(_is_pattern_id(given, json.loads(id)) for id in wanted if id.startswith("{"))


def _check_outputs(given: Any, registered: Any) -> None:
    several = isinstance(registered, (list, tuple))
    expected = [
        {"id": output.component_id_str(), "property": output.component_property}
        for output in (registered if several else [registered])
    ]
    # a pattern's output is itself a list, so the two cannot be told apart by type alone
    _check_dependencies(given if several else [given], expected)


def _check_dependencies(given: Any, expected: Sequence[Mapping[str, Any]]) -> None:
    if not isinstance(given, list) or len(given) != len(expected):
        raise MalformedRequest("The inputs do not fit the callback.")
    for item, wanted in zip(given, expected, strict=True):
        _check_dependency(item, wanted)


def _check_dependency(item: Any, wanted: Mapping[str, Any]) -> None:
    if not wanted["id"].startswith("{"):
        if not isinstance(item, dict) or item.get("id") != wanted["id"] or not _same_property(item, wanted):
            raise MalformedRequest("An input does not fit the callback.")
        _check_value(item)
        return
    pattern = json.loads(wanted["id"])
    if isinstance(item, list) != (["ALL"] in pattern.values()):
        raise MalformedRequest("An input does not fit the callback's pattern.")
    for part in item if isinstance(item, list) else [item]:
        if (
            not isinstance(part, dict)
            or not _same_property(part, wanted)
            or not _is_pattern_id(part.get("id"), pattern)
        ):
            raise MalformedRequest("An input does not fit the callback's pattern.")
        _check_value(part)


def _check_companions(given: Sequence[Any], expected: Sequence[Mapping[str, Any]]) -> None:
    """Lists of one pattern are of the same components, and MATCH stands for the same in all."""
    listed: dict[str, list[Any]] = {}
    matched: dict[str, Any] = {}
    for item, wanted in zip(given, expected, strict=True):
        if not wanted["id"].startswith("{"):
            continue
        ids = [part["id"] for part in (item if isinstance(item, list) else [item])]
        same = listed.setdefault(wanted["id"], ids) == ids
        for key in (key for key, kind in json.loads(wanted["id"]).items() if kind == ["MATCH"]):
            same = same and all(matched.setdefault(key, id[key]) == id[key] for id in ids)
        if not same:
            raise MalformedRequest("The components of a pattern do not fit each other.")


def _check_value(item: Mapping[str, Any]) -> None:
    """The value is of its property's type, the id is the component's own, and a list holds rows or texts."""
    name, value = item["property"], item.get("value")
    of = item["id"].get("type") if isinstance(item["id"], dict) else item["id"]
    types = _TYPES.get(f"{of}.{name}", _TYPES.get(name))
    fits = types is None or (isinstance(value, types) and (bool in types or not isinstance(value, bool)))
    if types is not None and isinstance(value, list):
        fits = fits and all(isinstance(each, dict if name == "selectedRows" else str) for each in value)
    if name == "id" and "value" in item:
        fits = value == item["id"]
    if "value" in item and not fits:
        raise MalformedRequest("A value does not fit its property.")


def _same_property(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Of outputs that several callbacks share, the browser sends the property with a suffix after '@'."""
    found = item.get("property")
    return isinstance(found, str) and found.partition("@")[0] == wanted["property"]


def _is_pattern_id(value: Any, pattern: Mapping[str, Any]) -> bool:
    """Whether `value` is the id of a component that `pattern` may stand for."""
    if not isinstance(value, dict) or value.keys() != pattern.keys():
        return False
    numbered = _NUMBERS | ({"of"} if pattern["type"] in _NUMBERED else set())
    return all(
        _may_stand(value[key], number=key in numbered) if isinstance(wanted, list) else value[key] == wanted
        for key, wanted in pattern.items()
    )


def _may_stand(part: Any, *, number: bool) -> bool:
    return isinstance(part, str) or (number and isinstance(part, int) and -MAX_ID <= part <= MAX_ID)
