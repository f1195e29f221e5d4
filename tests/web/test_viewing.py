"""Looking through a user's eyes over real HTTP: as that user, changing nothing, and back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dash_requests import ROUTER, UPDATE, body_of, post, visit
from tests.program import PASSWORD, Program, csrf_token

#: What the program writes by itself, and the session's own marks.
_ON_ITS_OWN = {
    "browser_session",
    "lease",
    "day_arrival",  # which is deleted soon
    "detector_state",
    "expectation",
    "watched_series",
    "alembic_version",
    "sqlite_sequence",
}


def user_id(program: Program, name: str) -> int:
    with closing(sqlite3.connect(_database(program))) as connection:
        found = connection.execute("SELECT id FROM app_user WHERE username = ?", [name]).fetchone()
    return int(found[0])


def _database(program: Program) -> Path:
    (path,) = Path(program.environment["NEBULOVIZ_DATA_DIR"]).glob("*.sqlite3")
    return path


def _stored(program: Program) -> dict[str, list[Any]]:
    """All rows of all tables that people change."""
    with closing(sqlite3.connect(_database(program))) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in {*names} - _ON_ITS_OWN}


def acts(program: Program) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(_database(program))) as connection:
        return connection.execute("SELECT action, username, subject FROM audit_entry ORDER BY id").fetchall()


@pytest.fixture
def root(program: Program) -> Iterator[httpx.Client]:
    """An administrator's browser that no other test uses."""
    with closing(program.signed_in("admin")) as client:
        client.headers["Origin"] = program.url
        yield client


def look(program: Program, client: httpx.Client, name: str) -> httpx.Response:
    return client.post(f"/view-as/{user_id(program, name)}")


class TestLooking:
    def test_shows_every_page_as_the_user_has_it_until_stopped(self, program: Program, root: httpx.Client) -> None:
        assert root.get("/users").status_code == 200
        started = look(program, root, "viewer")
        assert (started.status_code, started.headers["Location"]) == (303, "/")
        for path, status in (("/", 200), ("/alerts", 200), ("/data", 403), ("/users", 403), ("/audit", 403)):
            assert root.get(path).status_code == status
            assert post(root, visit(path)).status_code == status
        layout = str(root.get("/_dash-layout").json())
        assert "Viewing as viewer (Viewer)" in layout
        assert "/view-as/stop" in layout
        assert "Stop viewing" in root.get("/users", headers={"Accept": "text/html"}).text

        stopped = root.post("/view-as/stop")
        assert (stopped.status_code, stopped.headers["Location"]) == (303, f"/users/{user_id(program, 'viewer')}")
        assert root.get("/users").status_code == 200
        assert "nv-looking" not in root.get("/_dash-layout").text
        assert acts(program)[-2:] == [*(("view:start", "admin", "user viewer"), ("view:end", "admin", "user viewer"))]

    def test_changes_nothing_by_any_callback_or_route(
        self, program: Program, root: httpx.Client, callbacks: dict[str, Any]
    ) -> None:
        """Through the eyes of another administrator, who may everything."""
        program.add_user("deputy", "admin")
        assert look(program, root, "deputy").status_code == 303
        before = _stored(program)
        for name, entry in callbacks.items():
            if name != ROUTER:
                for value in (1, "x", ["x"]):
                    answer = post(root, body_of(entry, value))
                    assert answer.status_code < 500, (name, answer.text[:300])
        me, other = user_id(program, "deputy"), user_id(program, "viewer")
        for path in ("/uploads", "/password", f"/view-as/{other}", f"/view-as/{me}"):
            refused = root.post(path, content=b"x", headers={"Content-Type": "application/octet-stream"})
            assert (refused.status_code, refused.json()["code"]) == (403, "view_only"), path
        for path in ("/export/csv?m=revenue", "/export/lines/csv?m=lines", "/export/audit"):
            assert root.get(path, headers={"Accept": "application/json"}).status_code in {403, 422}
        assert _stored(program) == before
        assert root.post("/view-as/stop").status_code == 303

    def test_sends_no_mail(self, program: Program, root: httpx.Client, callbacks: dict[str, Any]) -> None:
        program.add_user("postmaster", "admin")
        assert look(program, root, "postmaster").status_code == 303
        answer = post(root, body_of(callbacks["settings-mail-result.children"], 1))
        assert "as another user" in answer.text
        assert root.post("/view-as/stop").status_code == 303

    def test_is_for_those_who_manage_users_and_for_our_own_pages(self, program: Program, root: httpx.Client) -> None:
        for role in ("viewer", "analyst", "data_scientist"):
            assert look(program, program.as_(role), "viewer").status_code == 403
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = root.post(f"/view-as/{user_id(program, 'viewer')}", headers=headers)
            assert answer.status_code == 403
        assert root.get(f"/view-as/{user_id(program, 'viewer')}").status_code in {404, 405}
        assert root.post("/view-as/999999").status_code == 404
        assert root.post("/view-as/stop").status_code == 409
        assert root.get("/users").status_code == 200

    def test_ends_for_everybody_who_looks_when_the_user_is_shut_out(self, program: Program, root: httpx.Client) -> None:
        program.add_user("looked_at")
        looked = user_id(program, "looked_at")
        assert look(program, root, "looked_at").status_code == 303
        with program.client() as other:
            given = other.post("/api/v1/auth/token", json={"username": "admin", "password": PASSWORD}).json()
            other.headers["Authorization"] = f"Bearer {given['access_token']}"
            assert other.put(f"/api/v1/users/{looked}/state", json={"disabled": True}).status_code == 200
        assert root.get("/users", headers={"Accept": "text/html"}).status_code == 302
        assert root.post(UPDATE, json=visit("/")).status_code == 401

    def test_ends_with_signing_out(self, program: Program, root: httpx.Client) -> None:
        assert look(program, root, "viewer").status_code == 303
        assert root.post("/logout").status_code == 303
        assert acts(program)[-2:] == [("view:end", "admin", "user viewer"), ("session:end", "admin", "")]
        assert csrf_token(root.get("/login"))
