"""The API for programs and notebooks: `Client(url, token).query("revenue", by="department", grain="day").to_frame()`.

    from nebuloviz.client import Client

    shop = Client.sign_in("http://127.0.0.1:8050", "anna", password)
    shop.query("revenue", by="department", start="2026-11-01", end="2026-12-01").to_frame()

Needs httpx, and pandas for `to_frame`. All errors of the server are `ApiError`, with its stable `code`.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import orjson

if TYPE_CHECKING:  # half a second to load, and only for those who want a DataFrame
    import pandas as pd

_PREFIX = "/api/v1"
_SALES_AT_ONCE = 10_000
_DAYS = 28
#: Columns of a forecast, and their types.
_FORECAST = {
    "start": "time",
    "end": "time",
    "value": "number",
    "low_80": "number",
    "high_80": "number",
    "low_95": "number",
    "high_95": "number",
}

Texts = str | Sequence[str]
Moment = str | date | datetime


class ApiError(Exception):
    """What the server refused: HTTP `status`, stable `code`, `detail` for people, and `errors` by field where there are some."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)


@dataclass(frozen=True)
class Answer:
    """Columns (name, type, unit) and rows, as `POST /api/v1/query` gives them."""

    columns: tuple[Mapping[str, str], ...]
    rows: tuple[tuple[Any, ...], ...]

    def to_frame(self) -> pd.DataFrame:
        """A pandas DataFrame: times aware and in the query's zone, missing figures NaN."""
        import pandas as pd  # noqa: PLC0415 - see above

        names = [column["name"] for column in self.columns]
        frame = pd.DataFrame(list(self.rows), columns=names)
        for column in self.columns:
            if column["type"] == "time":
                frame[column["name"]] = pd.Series([datetime.fromisoformat(text) for text in frame[column["name"]]])
            elif column["type"] == "number":
                frame[column["name"]] = pd.to_numeric(frame[column["name"]])
        return frame


@dataclass(frozen=True)
class Written:
    """What became of sales that were sent; `rejected` names the places in what was sent, with the reason."""

    accepted: int
    duplicates: int
    rejected: tuple[tuple[int, str], ...]


class Client:
    """One installation, asked with one token: of a sign-in, or a personal one.

    A context manager, and closed when nobody has it any more; methods raise ApiError, and httpx.HTTPError without an answer.
    """

    def __init__(self, url: str, token: str, *, timeout_seconds: float = 60.0) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers={"Authorization": f"Bearer {token}"}, timeout=timeout_seconds
        )
        weakref.finalize(self, self._http.close)

    @classmethod
    def sign_in(
        cls, url: str, username: str, password: str, *, code: str | None = None, timeout_seconds: float = 60.0
    ) -> Self:
        """A client with an access token, which is good for a quarter of an hour; `code`: of the second factor, if there is one."""
        answer = httpx.post(
            f"{url.rstrip('/')}{_PREFIX}/auth/token",
            json={"username": username, "password": password} | ({"code": code} if code else {}),
            timeout=timeout_seconds,
        )
        return cls(url, _checked(answer)["access_token"], timeout_seconds=timeout_seconds)

    def query(  # noqa: PLR0913 - each is a part of the question, named by its caller
        self,
        metrics: Texts,
        *,
        by: Texts = (),
        grain: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        time_zone: str | None = None,
        where: Mapping[str, Texts] | None = None,
        order: str | None = None,
        limit: int | None = None,
        comparison: str | None = None,
    ) -> Answer:
        """Metrics by dimensions and time; by default of the last 28 days, in days of the user's own time zone.

        `where` keeps some values of a dimension.
        """
        until = _text(end) or datetime.now(UTC).isoformat()
        since = _text(start) or (datetime.fromisoformat(until) - timedelta(days=_DAYS)).isoformat()
        filters = [{"dimension": name, "op": "in", "values": _list(values)} for name, values in (where or {}).items()]
        body = {
            "metrics": _list(metrics),
            "dimensions": _list(by),
            "grain": grain,
            "start": since,
            "end": until,
            "time_zone": time_zone,
            "filters": filters,
            "order": order,
            "limit": limit,
            "comparison": comparison,
        }
        answer = self._ask("POST", "/query", json=body)
        return Answer(tuple(answer["columns"]), tuple(tuple(row) for row in answer["rows"]))

    def forecast(
        self,
        metric: str,
        *,
        grain: str = "day",
        buckets: int = 15,
        time_zone: str | None = None,
        where: Mapping[str, Texts] | None = None,
    ) -> Answer:
        """What the bucket under way and those after it are expected to bring, with ranges; no rows where too little is known."""
        asked = {"metric": metric, "grain": grain, "buckets": buckets, "filter": _chosen(where)}
        found = self._ask("GET", "/forecast", params=asked | _zone(time_zone))
        columns = tuple({"name": name, "type": kind, "unit": found["unit"]} for name, kind in _FORECAST.items())
        return Answer(columns, tuple(tuple(point[name] for name in _FORECAST) for point in found["points"]))

    def insights(
        self,
        *,
        start: Moment,
        end: Moment,
        comparison: str = "previous",
        time_zone: str | None = None,
        where: Mapping[str, Texts] | None = None,
        limit: int = 5,
    ) -> list[dict[str, Any]]:
        """What stands out in a range against its comparison, in the user's language, weightiest first."""
        asked = {"start": _text(start), "end": _text(end), "comparison": comparison, "filter": _chosen(where)}
        found = self._ask("GET", "/insights", params=asked | {"limit": limit} | _zone(time_zone))
        items: list[dict[str, Any]] = found["items"]
        return items

    def digest(
        self, day: date | None = None, *, time_zone: str | None = None, where: Mapping[str, Texts] | None = None
    ) -> dict[str, Any]:
        """What is to be said of a day (yesterday), of the week that it ends, and of what is ahead."""
        named = {"day": day.isoformat()} if day else {}
        found: dict[str, Any] = self._ask(
            "GET", "/insights/digest", params=named | {"filter": _chosen(where)} | _zone(time_zone)
        )
        return found

    def sales(
        self, *, start: Moment, end: Moment, where: Mapping[str, Texts] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Stored sale lines, newest first, page after page."""
        return self._pages(
            "/sales", {"start": _text(start), "end": _text(end), "filter": _chosen(where), "limit": 1000}
        )

    def alerts(self, *, state: Texts = (), severity: Texts = ()) -> Iterator[dict[str, Any]]:
        """Alerts, newest first, page after page."""
        return self._pages("/alerts", {"state": _list(state), "severity": _list(severity), "limit": 500})

    def acknowledge(self, alert_id: int, note: str = "") -> dict[str, Any]:
        """Say that somebody looks after an alert."""
        alert: dict[str, Any] = self._ask("POST", f"/alerts/{alert_id}/acknowledge", json={"note": note})
        return alert

    def snooze(self, alert_id: int, until: Moment, reason: str) -> dict[str, Any]:
        """Put an alert away until then, at which it is open again."""
        body = {"until": _text(until), "reason": reason}
        alert: dict[str, Any] = self._ask("POST", f"/alerts/{alert_id}/snooze", json=body)
        return alert

    def assign(self, alert_id: int, owner: str) -> dict[str, Any]:
        """Give an alert to somebody, by username; to nobody where that is ''."""
        alert: dict[str, Any] = self._ask("POST", f"/alerts/{alert_id}/assign", json={"owner": owner})
        return alert

    def judge(
        self, alert_id: int, verdict: str, *, reason: str = "", until: Moment | None = None, note: str = ""
    ) -> dict[str, Any]:
        """Say what an alert was: "real", "expected" (with a reason), "false_alarm" or "new_normal"."""
        body = {"verdict": verdict, "reason": reason, "until": until and _text(until), "note": note}
        alert: dict[str, Any] = self._ask("PUT", f"/alerts/{alert_id}/verdict", json=body)
        return alert

    def comment(self, alert_id: int, text: str) -> dict[str, Any]:
        """Add to the history of an alert."""
        alert: dict[str, Any] = self._ask("POST", f"/alerts/{alert_id}/comment", json={"text": text})
        return alert

    def resolve(self, alert_id: int, note: str = "") -> dict[str, Any]:
        """Close an alert."""
        alert: dict[str, Any] = self._ask("POST", f"/alerts/{alert_id}/resolve", json={"note": note})
        return alert

    def reopen(self, alert_id: int, note: str = "") -> dict[str, Any]:
        """Open a resolved alert again."""
        alert: dict[str, Any] = self._ask("POST", f"/alerts/{alert_id}/reopen", json={"note": note})
        return alert

    def write(self, sales: Iterable[Mapping[str, Any]]) -> Written:
        """Send sales, ten thousand at a time. What fails on the way can be sent again: nothing counts twice."""
        accepted, duplicates, sent = 0, 0, 0
        rejected: list[tuple[int, str]] = []
        for batch in _batches(sales):
            answer = self._ask(
                "POST", "/sales", content=orjson.dumps(batch), headers={"Content-Type": "application/json"}
            )
            accepted += answer["accepted"]
            duplicates += answer["duplicates"]
            rejected += [
                (sent + row["index"], row["reason"]) for row in answer["results"] if row["status"] == "rejected"
            ]
            sent += len(batch)
        return Written(accepted, duplicates, tuple(rejected))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        return _checked(self._http.request(method, _PREFIX + path, **request))

    def _pages(self, path: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = self._ask("GET", path, params=params | ({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return


def _checked(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
        told = problem["code"], problem["detail"], problem.get("errors") or ()
    except (ValueError, KeyError, TypeError):  # a proxy's own words
        told = "http_error", answer.text[:300], ()
    raise ApiError(answer.status_code, *told)


def _chosen(where: Mapping[str, Texts] | None) -> list[str]:
    return [f"{name}={value}" for name, values in (where or {}).items() for value in _list(values)]


def _zone(name: str | None) -> dict[str, str]:
    return {} if name is None else {"time_zone": name}


def _list(texts: Texts) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)


def _text(moment: Moment | None) -> str | None:
    return moment if moment is None or isinstance(moment, str) else moment.isoformat()


def _batches(sales: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    for sale in sales:
        batch.append(sale)
        if len(batch) == _SALES_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
