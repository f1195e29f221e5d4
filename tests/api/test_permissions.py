"""Each role against each route, by one declared table; nothing is reachable that the table does not name."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from nebuloviz.api.deps import known
from nebuloviz.models import User
from nebuloviz.permissions import ROLES, Permission
from tests.api.conftest import PASSWORD, Api

QUERY = {"metrics": ["revenue"], "start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}

#: (method, path) -> what it needs: nothing, a token, or a token whose role has the permission.
TABLE: dict[tuple[str, str], str | Permission] = {
    ("GET", "/healthz"): "nothing",
    ("HEAD", "/healthz"): "nothing",
    ("GET", "/readyz"): "nothing",
    ("HEAD", "/readyz"): "nothing",
    ("GET", "/metrics"): "nothing",
    ("HEAD", "/metrics"): "nothing",
    ("GET", "/api/v1/openapi.json"): "nothing",
    ("HEAD", "/api/v1/openapi.json"): "nothing",
    ("GET", "/api/v1/docs"): "nothing",
    ("GET", "/api/v1/docs/{name}"): "nothing",
    ("POST", "/api/v1/auth/token"): "nothing",
    ("POST", "/api/v1/auth/refresh"): "nothing",
    ("POST", "/api/v1/auth/password-link"): "nothing",
    ("GET", "/api/v1/me"): "token",
    ("PATCH", "/api/v1/me"): "token",
    ("PUT", "/api/v1/me/password"): "token",
    ("GET", "/api/v1/me/second-factor"): "token",
    ("POST", "/api/v1/me/second-factor"): "token",
    ("POST", "/api/v1/me/second-factor/confirm"): "token",
    ("POST", "/api/v1/me/second-factor/recovery-codes"): "token",
    ("POST", "/api/v1/me/second-factor/turn-off"): "token",
    ("GET", "/api/v1/me/sessions"): "token",
    ("DELETE", "/api/v1/me/sessions"): "token",
    ("DELETE", "/api/v1/me/sessions/{session_id}"): "token",
    ("GET", "/api/v1/tokens"): "token",
    ("POST", "/api/v1/tokens"): "token",
    ("DELETE", "/api/v1/tokens/{token_id}"): "token",
    ("GET", "/api/v1/metrics"): Permission.DATA_READ,
    ("GET", "/api/v1/dimensions"): Permission.DATA_READ,
    ("GET", "/api/v1/dimensions/{name}/values"): Permission.DATA_READ,
    ("GET", "/api/v1/query"): Permission.DATA_READ,
    ("POST", "/api/v1/query"): Permission.DATA_READ,
    ("POST", "/api/v1/insights"): Permission.DATA_READ,
    ("GET", "/api/v1/insights"): Permission.DATA_READ,
    ("GET", "/api/v1/insights/digest"): Permission.DATA_READ,
    ("GET", "/api/v1/series"): Permission.DATA_READ,
    ("GET", "/api/v1/series/expected"): Permission.ALERTS_READ,
    ("GET", "/api/v1/freshness"): Permission.DATA_READ,
    ("GET", "/api/v1/forecast"): Permission.DATA_READ,
    ("GET", "/api/v1/alerts"): Permission.ALERTS_READ,
    ("GET", "/api/v1/alerts/{alert_id}"): Permission.ALERTS_READ,
    ("GET", "/api/v1/alerts/{alert_id}/history"): Permission.ALERTS_READ,
    ("GET", "/api/v1/alerts/{alert_id}/counted"): Permission.ALERTS_READ,
    ("GET", "/api/v1/alerts/{alert_id}/segments"): Permission.ALERTS_READ,
    ("GET", "/api/v1/alerts/{alert_id}/split"): Permission.ALERTS_READ,
    ("POST", "/api/v1/alerts/{alert_id}/acknowledge"): Permission.ALERTS_MANAGE,
    ("POST", "/api/v1/alerts/{alert_id}/assign"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/alerts/{alert_id}/assignable"): Permission.ALERTS_MANAGE,
    ("POST", "/api/v1/alerts/{alert_id}/comment"): Permission.ALERTS_MANAGE,
    ("POST", "/api/v1/alerts/{alert_id}/reopen"): Permission.ALERTS_MANAGE,
    ("POST", "/api/v1/alerts/{alert_id}/snooze"): Permission.ALERTS_MANAGE,
    ("PUT", "/api/v1/alerts/{alert_id}/verdict"): Permission.ALERTS_MANAGE,
    ("DELETE", "/api/v1/alerts/{alert_id}/verdict"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/alerts/incidents"): Permission.ALERTS_READ,
    ("GET", "/api/v1/alerts/incidents/{incident_id}"): Permission.ALERTS_READ,
    ("GET", "/api/v1/alerts/taught"): Permission.ALERTS_READ,
    ("POST", "/api/v1/alerts/{alert_id}/resolve"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/notifications/channels"): Permission.ALERTS_READ,
    ("POST", "/api/v1/notifications/channels"): "token",
    ("GET", "/api/v1/notifications/channels/{channel_id}"): Permission.ALERTS_READ,
    ("PUT", "/api/v1/notifications/channels/{channel_id}"): "token",
    ("DELETE", "/api/v1/notifications/channels/{channel_id}"): "token",
    ("POST", "/api/v1/notifications/channels/{channel_id}/test"): "token",
    ("GET", "/api/v1/notifications/messages"): Permission.ALERTS_READ,
    ("GET", "/api/v1/rules"): Permission.ALERTS_READ,
    ("POST", "/api/v1/rules"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/rules/detectors"): Permission.ALERTS_READ,
    ("GET", "/api/v1/rules/{rule_id}"): Permission.ALERTS_READ,
    ("PUT", "/api/v1/rules/{rule_id}"): Permission.ALERTS_MANAGE,
    ("DELETE", "/api/v1/rules/{rule_id}"): Permission.ALERTS_MANAGE,
    ("POST", "/api/v1/backtests"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/backtests/latest"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/backtests/{backtest_id}"): Permission.ALERTS_MANAGE,
    ("POST", "/api/v1/backtests/{backtest_id}/stop"): Permission.ALERTS_MANAGE,
    ("PUT", "/api/v1/backtests/{backtest_id}/labels"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/sales"): Permission.SALES_READ,
    ("POST", "/api/v1/sales"): Permission.SALES_WRITE,
    ("GET", "/api/v1/stream"): Permission.STREAM_READ,
    ("POST", "/api/v1/stream/resume"): Permission.STREAM_MANAGE,
    ("GET", "/api/v1/imports"): Permission.STREAM_READ,
    ("POST", "/api/v1/imports"): Permission.SALES_WRITE,
    ("GET", "/api/v1/imports/{import_id}"): Permission.STREAM_READ,
    ("POST", "/api/v1/uploads"): Permission.SALES_WRITE,
    ("POST", "/api/v1/uploads/{upload_id}/import"): Permission.SALES_WRITE,
    ("GET", "/api/v1/exports/figures"): Permission.DATA_READ,
    ("GET", "/api/v1/exports/sales"): Permission.SALES_READ,
    ("GET", "/api/v1/exports/audit"): Permission.AUDIT_READ,
    ("GET", "/api/v1/calendar/agenda"): Permission.ALERTS_READ,
    ("GET", "/api/v1/calendar/entries"): Permission.ALERTS_READ,
    ("POST", "/api/v1/calendar/entries"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/calendar/entries/{entry_id}"): Permission.ALERTS_READ,
    ("PUT", "/api/v1/calendar/entries/{entry_id}"): Permission.ALERTS_MANAGE,
    ("DELETE", "/api/v1/calendar/entries/{entry_id}"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/calendar/countries"): Permission.ALERTS_READ,
    ("GET", "/api/v1/calendar/hours"): Permission.ALERTS_READ,
    ("PUT", "/api/v1/calendar/hours"): Permission.ALERTS_MANAGE,
    ("GET", "/api/v1/detectors"): Permission.ALERTS_READ,
    ("GET", "/api/v1/detectors/{name}/series"): Permission.ALERTS_READ,
    ("GET", "/api/v1/dead-letters"): Permission.STREAM_READ,
    ("GET", "/api/v1/dead-letters/{letter_id}"): Permission.STREAM_READ,
    ("POST", "/api/v1/dead-letters/retry"): Permission.STREAM_MANAGE,
    ("POST", "/api/v1/dead-letters/discard"): Permission.STREAM_MANAGE,
    ("GET", "/api/v1/status"): Permission.SETTINGS_MANAGE,
    ("GET", "/api/v1/settings"): Permission.SETTINGS_MANAGE,
    ("PATCH", "/api/v1/settings"): Permission.SETTINGS_MANAGE,
    ("POST", "/api/v1/settings/test-mail"): Permission.SETTINGS_MANAGE,
    ("POST", "/api/v1/users/{user_id}/password-mail"): Permission.USERS_MANAGE,
    ("GET", "/api/v1/users"): Permission.USERS_MANAGE,
    ("POST", "/api/v1/users"): Permission.USERS_MANAGE,
    ("GET", "/api/v1/users/{user_id}"): Permission.USERS_MANAGE,
    ("PUT", "/api/v1/users/{user_id}"): Permission.USERS_MANAGE,
    ("DELETE", "/api/v1/users/{user_id}"): Permission.USERS_MANAGE,
    ("PUT", "/api/v1/users/{user_id}/state"): Permission.USERS_MANAGE,
    ("POST", "/api/v1/users/{user_id}/unlock"): Permission.USERS_MANAGE,
    ("POST", "/api/v1/users/{user_id}/end-sessions"): Permission.USERS_MANAGE,
    ("POST", "/api/v1/users/{user_id}/reset-second-factor"): Permission.USERS_MANAGE,
    ("POST", "/api/v1/users/{user_id}/password-link"): Permission.USERS_MANAGE,
    ("POST", "/api/v1/users/{user_id}/view-token"): Permission.USERS_MANAGE,
    ("POST", "/api/v1/users/import"): Permission.USERS_MANAGE,
    ("GET", "/api/v1/roles"): Permission.USERS_MANAGE,
    ("POST", "/api/v1/roles"): Permission.USERS_MANAGE,
    ("GET", "/api/v1/roles/{slug}"): Permission.USERS_MANAGE,
    ("PUT", "/api/v1/roles/{slug}"): Permission.USERS_MANAGE,
    ("DELETE", "/api/v1/roles/{slug}"): Permission.USERS_MANAGE,
    ("GET", "/api/v1/audit"): Permission.AUDIT_READ,
}
PROTECTED = sorted((key, need) for key, need in TABLE.items() if need != "nothing")

_SPAN = {"start": "2026-03-01", "end": "2026-03-02"}
_NOBODY = {
    "alert_id": 999_999,
    "backtest_id": 999_999,
    "channel_id": 999_999,
    "entry_id": 999_999,
    "rule_id": 999_999,
    "import_id": 999_999,
    "incident_id": 999_999,
    "letter_id": 999_999,
    "user_id": 999_999,
    "token_id": 999_999,
    "upload_id": "0" * 32,
    "name": "category",
    "slug": "nobodys",
    "session_id": "none",
}
_PATHS = {"/api/v1/detectors/{name}/series": {"name": "series"}}

#: What goes with a request, where it needs anything.
REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/api/v1/query"): {"params": QUERY},
    ("POST", "/api/v1/query"): {"json": QUERY},
    ("POST", "/api/v1/insights"): {"json": QUERY | {"comparison": "previous"}},
    ("GET", "/api/v1/insights"): {"params": _SPAN},
    ("GET", "/api/v1/forecast"): {"params": {"metric": "revenue"}},
    ("GET", "/api/v1/series"): {"params": {"metric": "revenue", **_SPAN}},
    ("GET", "/api/v1/series/expected"): {"params": {"metric": "revenue", **_SPAN}},
    ("GET", "/api/v1/exports/figures"): {"params": QUERY},
    ("GET", "/api/v1/exports/sales"): {"params": _SPAN},
    ("POST", "/api/v1/uploads/{upload_id}/import"): {"json": {}},
    ("GET", "/api/v1/sales"): {"params": _SPAN},
    ("POST", "/api/v1/sales"): {"json": []},
    ("POST", "/api/v1/alerts/{alert_id}/acknowledge"): {"json": {}},
    ("POST", "/api/v1/alerts/{alert_id}/resolve"): {"json": {}},
    ("POST", "/api/v1/alerts/{alert_id}/reopen"): {"json": {}},
    ("POST", "/api/v1/alerts/{alert_id}/assign"): {"json": {"owner": "admin"}},
    ("POST", "/api/v1/alerts/{alert_id}/comment"): {"json": {"text": "Seen"}},
    ("POST", "/api/v1/alerts/{alert_id}/snooze"): {"json": {"until": "2100-01-01T00:00:00Z", "reason": "known"}},
    ("PUT", "/api/v1/alerts/{alert_id}/verdict"): {"json": {"verdict": "false_alarm"}},
    ("GET", "/api/v1/calendar/agenda"): {"params": {"first": "2026-03-01", "last": "2026-03-02"}},
    ("POST", "/api/v1/calendar/entries"): {"json": {"kind": "closure", "name": "x"}},
    ("PUT", "/api/v1/calendar/entries/{entry_id}"): {"json": {"kind": "holidays", "country": "DE"}},
    ("PUT", "/api/v1/calendar/hours"): {"json": {"days": []}},
    ("POST", "/api/v1/rules"): {"json": {"name": "x", "detector": "none", "metric": "orders"}},
    ("PUT", "/api/v1/rules/{rule_id}"): {"json": {"name": "x", "detector": "none", "metric": "orders"}},
    ("POST", "/api/v1/backtests"): {"json": {"settings": [{"name": "x", "detector": "none", "metric": "orders"}]}},
    ("PUT", "/api/v1/backtests/{backtest_id}/labels"): {"json": {"series": "orders", **_SPAN, "verdict": None}},
    ("POST", "/api/v1/notifications/channels"): {"json": {"name": "x", "kind": "slack", "target": "none"}},
    ("PUT", "/api/v1/notifications/channels/{channel_id}"): {"json": {"name": "x"}},
    ("POST", "/api/v1/stream/resume"): {"json": {"topic": "none", "partition": 0}},
    ("POST", "/api/v1/dead-letters/retry"): {"json": {"ids": [999_999]}},
    ("POST", "/api/v1/dead-letters/discard"): {"json": {"ids": [999_999]}},
    ("PATCH", "/api/v1/me"): {"json": {"theme": "dark"}},
    ("PUT", "/api/v1/me/password"): {"json": {"current": PASSWORD, "new": "short"}},
    ("POST", "/api/v1/me/second-factor"): {"json": {"password": PASSWORD}},
    ("POST", "/api/v1/me/second-factor/confirm"): {"json": {"ticket": "none", "code": "000000"}},
    ("POST", "/api/v1/me/second-factor/recovery-codes"): {"json": {"password": PASSWORD}},
    ("POST", "/api/v1/me/second-factor/turn-off"): {"json": {"password": PASSWORD}},
    ("POST", "/api/v1/users"): {"json": {"username": "viewer", "role": "viewer"}},
    ("POST", "/api/v1/tokens"): {"json": {"name": "none", "permissions": ["no:such"]}},
    ("POST", "/api/v1/users/import"): {
        "content": "username,role\nviewer,viewer\n",
        "headers": {"Content-Type": "text/csv"},
    },
    ("POST", "/api/v1/roles"): {"json": {"name": "Viewer", "permissions": []}},
    ("PUT", "/api/v1/roles/{slug}"): {"json": {"name": "Nobody's", "permissions": []}},
    ("PATCH", "/api/v1/settings"): {"json": {}},
    ("POST", "/api/v1/settings/test-mail"): {"json": {"to": "anna@example.com"}},
    ("PUT", "/api/v1/users/{user_id}"): {"json": {"role": "viewer", "scope": {}}},
    ("PUT", "/api/v1/users/{user_id}/state"): {"json": {"disabled": True}},
}
#: What is asked of something that there is not, or that there is already, is answered so to whoever may ask.
ANSWERS: dict[tuple[str, str], int] = {
    key: 404 for key in TABLE if any(f"{{{name}}}" in key[1] for name in set(_NOBODY) - {"name"})
} | {
    ("POST", "/api/v1/imports"): 415,
    ("POST", "/api/v1/uploads"): 415,
    ("POST", "/api/v1/tokens"): 422,
    ("POST", "/api/v1/notifications/channels"): 422,
    ("POST", "/api/v1/calendar/entries"): 422,
    ("POST", "/api/v1/rules"): 422,
    ("POST", "/api/v1/backtests"): 422,
    ("GET", "/api/v1/backtests/latest"): 404,
    ("PUT", "/api/v1/me/password"): 422,
    ("POST", "/api/v1/me/second-factor/confirm"): 422,
    ("POST", "/api/v1/me/second-factor/recovery-codes"): 409,
    ("POST", "/api/v1/me/second-factor/turn-off"): 409,
    ("POST", "/api/v1/users"): 409,
    ("POST", "/api/v1/settings/test-mail"): 409,
    ("POST", "/api/v1/roles"): 409,
    ("POST", "/api/v1/stream/resume"): 404,
}


def found_routes(app: FastAPI) -> dict[tuple[str, str], Any]:
    """Every route that the application answers, those of its routers with what the routers add."""
    return {
        (method, context.path or ""): context
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
    }


def calls_of(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from calls_of(inner)


class TestTable:
    def test_names_every_route_and_no_other(self, api: Api) -> None:
        assert set(found_routes(api.app)) == set(TABLE)

    @pytest.mark.parametrize(("key", "need"), PROTECTED)
    def test_is_what_the_routes_depend_on(self, api: Api, key: tuple[str, str], need: str | Permission) -> None:
        calls = list(calls_of(found_routes(api.app)[key].dependant))
        assert known in calls
        needed = [call.required_permission for call in calls if hasattr(call, "required_permission")]
        assert needed == ([] if need == "token" else [need])


class TestRoutes:
    @pytest.mark.parametrize(("key", "need"), PROTECTED)
    @pytest.mark.parametrize("role", [*sorted(ROLES), None])
    def test_answer_those_whom_the_table_names(
        self, api: Api, role: str | None, key: tuple[str, str], need: str | Permission
    ) -> None:
        method, path = key
        with api.client(role) as client:
            answer = client.request(method, path.format(**_NOBODY | _PATHS.get(path, {})), **REQUESTS.get(key, {}))
        allowed = role is not None and (need == "token" or need in ROLES[role])
        assert answer.status_code == (ANSWERS.get(key, 200) if allowed else 401 if role is None else 403), answer.text
        if not allowed:
            assert set(answer.json()) == {"type", "title", "status", "code", "detail", "request_id"}

    def test_a_change_of_role_counts_from_the_next_request_on(self, api: Api) -> None:
        def set_role(role: str) -> None:
            with api.database.transaction() as session:
                session.query(User).filter_by(username="analyst").one().role = role

        with api.client("analyst") as client:
            assert client.post("/api/v1/sales", json=[]).status_code == 403
            set_role("data_scientist")
            assert client.post("/api/v1/sales", json=[]).status_code == 200
            set_role("analyst")
            assert client.post("/api/v1/sales", json=[]).status_code == 403


class TestAuthorizationHeader:
    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Basic {token}",
            "{token}",
            "Bearer {token} x",
            "Token {token}",
            "Bearer {token}.",
            "Bearer x{token}",
        ],
    )
    def test_of_another_form_is_no_token(self, api: Api, header: str) -> None:
        with api.client() as client:
            answer = client.get("/api/v1/me", headers={"Authorization": header.format(token=api.token("viewer"))})
        assert answer.status_code == 401

    def test_given_twice_is_refused(self, api: Api) -> None:
        headers = [
            ("Authorization", f"Bearer {api.token('viewer')}"),
            ("Authorization", f"Bearer {api.token('admin')}"),
        ]
        with api.client() as client:
            assert client.get("/api/v1/me", headers=headers).status_code == 401

    @pytest.mark.parametrize("place", ["access_token", "token", "authorization", "jwt"])
    def test_a_token_elsewhere_does_not_count(self, api: Api, place: str) -> None:
        token = api.token("admin")
        with api.client(cookies={place: token}) as client:
            assert client.get("/api/v1/me", params={place: token}).status_code == 401
            assert client.post("/api/v1/query", json={**QUERY, place: token}).status_code in {401, 422}

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_is_read_in_any_case(self, api: Api, scheme: str) -> None:
        with api.client() as client:
            answer = client.get("/api/v1/me", headers={"Authorization": f"{scheme} {api.token('viewer')}"})
        assert answer.json()["username"] == "viewer"


class TestSignIn:
    def test_gives_a_pair_of_tokens_that_work(self, api: Api) -> None:
        with api.client() as client:
            answer = client.post("/api/v1/auth/token", json={"username": "Viewer", "password": PASSWORD})
            tokens = answer.json()
            assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
            assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
            me = client.get("/api/v1/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
            assert me.json()["username"] == "viewer"
            assert me.json()["permissions"] == sorted(ROLES["viewer"])

    def test_refresh_token_works_once_and_then_ends_the_family(self, api: Api) -> None:
        with api.client() as client:
            first = client.post("/api/v1/auth/token", json={"username": "viewer", "password": PASSWORD}).json()
            second = client.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
            assert second.status_code == 200
            again = client.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
            assert (again.status_code, again.json()["code"]) == (401, "token_reused")
            for token in (first["access_token"], second.json()["access_token"]):
                assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
            last = client.post("/api/v1/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
            assert last.status_code == 401

    def test_refresh_token_is_no_access_token(self, api: Api) -> None:
        with api.client() as client:
            tokens = client.post("/api/v1/auth/token", json={"username": "viewer", "password": PASSWORD}).json()
            headers = {"Authorization": f"Bearer {tokens['refresh_token']}"}
            assert client.get("/api/v1/me", headers=headers).status_code == 401
            body = {"refresh_token": tokens["access_token"]}
            assert client.post("/api/v1/auth/refresh", json=body).status_code == 401

    def test_user_who_must_change_the_password_does_so_first(self, api: Api) -> None:
        with api.database.transaction() as session:
            api.services.auth.create_user(session, "fresh", PASSWORD, "viewer", must_change_password=True)
        own, address = {"username": "fresh", "password": PASSWORD}, "/api/v1/auth/token"
        with api.client() as client:
            answer = client.post(address, json=own)
            assert (answer.status_code, answer.json()["code"]) == (403, "password_change_required")
            for easy in ("short", PASSWORD, ""):
                assert client.post(address, json=own | {"new_password": easy}).status_code == 422
            tokens = client.post(address, json=own | {"new_password": f"{PASSWORD} 2"}).json()
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            assert client.get("/api/v1/me", headers=headers).json()["username"] == "fresh"
            assert client.post(address, json=own | {"password": f"{PASSWORD} 2"}).status_code == 200

    def test_spoofed_addresses_do_not_help_a_guesser(self, api: Api) -> None:
        with api.client() as client:
            answers = [
                client.post(
                    "/api/v1/auth/token",
                    json={"username": f"guess{number}", "password": "wrong"},
                    headers={"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"},
                )
                for number in range(7)
            ]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
        told = [answer.json() | {"request_id": ""} for answer in answers[:5]]
        assert told == told[:1] * 5
        assert 0 < int(answers[-1].headers["retry-after"]) <= 300
