"""Doors that are none: paths in other spellings, what is another's, fields that nobody asked for, the last key to the house."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from nebuloviz.models import User
from nebuloviz.permissions import ROLES
from tests.dash_requests import post, visit
from tests.program import PASSWORD, csrf_token
from tests.security.conftest import Target, sale
from tests.served import raw

#: What only administrators may reach; as the guard knows it.
ADMINS_OWN = ("/users", "/users/1", "/roles", "/audit", "/status", "/export/audit")
SPELLINGS = (
    "{path}",
    "/{path}",
    "//{path}",
    "/.{path}",
    "/x/..{path}",
    "{path}/",
    "{path}//",
    "{path}/.",
    "{path};a=b",
    "{path}%20",
    "{path}%09",
    "{path}%0a",
    "{path}%2f",
    "{path}?",
    "{path}#",
    "{path}/%2e",
    "{path}%3f",
    "/%2f{path}",
    "/\\{path}",
    "/explore/..{path}",
    "/assets/..{path}",
    "/assets/%2e%2e{path}",
    "/login/..{path}",
    "/vendor/..{path}",
    "/api/v1/..{path}",
    "/healthz/..{path}",
    "http://127.0.0.1{path}",
    "http://evil.example{path}",
)


def encoded(path: str) -> list[str]:
    """The path in the forms that a browser never sends."""
    first = path[1]
    return [
        f"/%{ord(first):02x}{path[2:]}",
        f"/%25{ord(first):02x}{path[2:]}",
        path.upper(),
        path.title(),
        f"/\uff55{path[2:]}".encode().decode("latin-1"),
        *(spelling.format(path=path) for spelling in SPELLINGS),
    ]


def plain(target: Target, path: str, role: str, method: str = "GET") -> bytes:
    """The answer to a path byte for byte."""
    cookies = "; ".join(f"{name}={value}" for name, value in target.browser(role).cookies.items())
    head = f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(target.url).netloc}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n"
    return raw(target.url, head.encode("latin-1"))


class TestSpellings:
    @pytest.mark.parametrize("path", ADMINS_OWN)
    def test_of_an_administrators_page_open_it_for_nobody_else(self, target: Target, path: str) -> None:
        for spelled in encoded(path):
            answer = plain(target, spelled, "analyst")
            status = int(answer.split(b" ")[1])
            assert 300 <= status < 500, (spelled, answer[:200])
            if status < 400:
                assert b"evil" not in answer.split(b"\r\n\r\n")[0].lower().partition(b"location:")[2][:200].replace(
                    b"/login?next=", b""
                ), answer[:500]

    @pytest.mark.parametrize("path", ["/users", "/users/1", "/audit"])
    def test_in_a_callbacks_body_neither(self, target: Target, path: str) -> None:
        """Dash's router takes the page from the body."""
        client = target.browser("analyst")
        for spelled in [*encoded(path), path + "\x00", path.replace("/", "\\"), path.replace("u", "\u1d58")]:
            answer = post(client, visit(spelled))
            drawn = answer.status_code == 200 and "There is no such page" not in answer.text
            assert not drawn, (spelled, answer.text[:300])
            assert answer.status_code < 500

    @pytest.mark.parametrize(
        "header", ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-HTTP-Method-Override"]
    )
    def test_in_a_header_count_for_nothing(self, target: Target, header: str) -> None:
        value = "DELETE" if "Method" in header else "/users"
        answer = target.browser("analyst").get("/explore", headers={header: value})
        assert answer.status_code == 200
        assert target.api("viewer").post("/api/v1/users/1", headers={header: value}).status_code == 405
        assert target.api("viewer").get("/api/v1/users", headers={header: "/api/v1/me"}).status_code == 403

    @pytest.mark.parametrize("method", ["get", "Get", "post", "Post", "pOST", "put", "delete"])
    def test_of_a_method_are_none(self, target: Target, method: str) -> None:
        """Methods are told apart by case, but not by everybody: what is meant for a POST alone must not be missed by `post`."""
        for path in ("/login", "/users", "/_dash-update-component", "/api/v1/me", "/api/v1/auth/token"):
            assert plain(target, path, "admin", method).startswith(b"HTTP/1.1 400 "), path

    @pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/audit"])
    def test_of_a_route_open_it_for_nobody_else(self, target: Target, path: str) -> None:
        token = target.api("viewer").headers["Authorization"]
        for spelled in encoded(path):
            head = f"GET {spelled} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
            answer = raw(target.url, head.encode("latin-1"))
            status = int(answer.split(b" ")[1])
            assert 300 <= status < 500, (spelled, answer[:200])
            assert b'"items"' not in answer


class TestWhatIsAnothers:
    def test_personal_token_is_not_seen_and_not_ended(self, target: Target) -> None:
        body = {"name": "mine alone", "permissions": ["data:read"]}
        made = target.api("admin").post("/api/v1/tokens", json=body).json()["item"]
        for role in ("viewer", "analyst", "data_scientist"):
            client = target.api(role)
            assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 404
            assert "mine alone" not in client.get("/api/v1/tokens").text
        assert target.api("admin").delete(f"/api/v1/tokens/{made['id']}").status_code == 204

    def test_personal_token_may_no_more_than_its_owner(self, target: Target) -> None:
        body = {"name": "more than I may", "permissions": ["users:manage", "data:read"]}
        answer = target.api("viewer").post("/api/v1/tokens", json=body)
        if answer.status_code == 201:
            with target.bearing(answer.json()["token"]) as client:
                assert client.get("/api/v1/users").status_code == 403
        else:
            assert answer.status_code in {403, 422}

    @pytest.mark.parametrize("number", ["0", "-1", "1e3", "0x1", "١", "9" * 40, "null", "true", "1;2", "1,2", "%00"])
    def test_ids_that_are_none_are_refused(self, target: Target, number: str) -> None:
        for path in ("users", "alerts", "dead-letters"):
            answer = target.api("admin").get(f"/api/v1/{path}/{number}")
            assert answer.status_code in {400, 404, 422}, (path, answer.text)
        for path in ("/users/", "/alerts/"):
            answer = post(target.browser("admin"), visit(f"{path}{number}"))
            assert answer.status_code in {200, 400, 404}, answer.text

    def test_scope_holds_whatever_is_asked(self, target: Target) -> None:
        """Sums, values, lines, exports and filters of what is outside, in every door."""
        hidden = [
            sale(n, category="Hidden treasure", product_id="ht", product="Hidden product", amount=777)
            for n in range(50, 53)
        ]
        shown = [
            sale(n, category="Open shelf", product_id="os", product="Shown product", amount=1) for n in range(60, 63)
        ]
        assert target.api("data_scientist").post("/api/v1/sales", json=hidden + shown).json()["rejected"] == 0
        number = target.add_user("scoped", "analyst")
        scope = {"role": "analyst", "scope": {"category": ["Open shelf"]}}
        assert target.api("admin").put(f"/api/v1/users/{number}", json=scope).status_code == 200
        with (
            target.bearing(target.tokens("scoped")["access_token"]) as client,
            closing(target.program.signed_in("scoped")) as page,
        ):
            self.ask_everything(client, page)

    @staticmethod
    def ask_everything(client: httpx.Client, page: httpx.Client) -> None:
        span: dict[str, Any] = {"start": "2020-01-01", "end": "2100-01-01"}
        lines = {"m": "revenue", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
        body = {"metrics": ["revenue"], **span}
        total = client.post("/api/v1/query", json=body)
        assert total.json()["rows"] == [[3.0]]
        tries: list[dict[str, Any]] = [
            {"dimensions": ["category"]},
            {"dimensions": ["product"]},
            {"filters": [{"dimension": "category", "values": ["Hidden treasure"]}]},
            {"filters": [{"dimension": "category", "op": "not_in", "values": ["Open shelf"]}]},
            {"filters": [{"dimension": "category", "values": ["Hidden treasure", "Open shelf"]}]},
            {"dimensions": ["category"], "limit": 1, "other": True},
            {"dimensions": ["store"], "comparison": "previous"},
        ]
        answers = [client.post("/api/v1/query", json=body | change) for change in tries]
        answers += [
            client.get("/api/v1/dimensions/category/values"),
            client.get("/api/v1/dimensions/category/values", params={"search": "Hidden"}),
            client.get("/api/v1/dimensions/product/values"),
            client.get(
                "/api/v1/series",
                params={"metric": "revenue", **span, "filter": "category=Hidden treasure", "grain": "year"},
            ),
            client.get("/api/v1/sales", params=span),
            client.get("/api/v1/sales", params=span | {"filter": "category=Hidden treasure"}),
            client.get("/api/v1/sales", params=span | {"filter": "category!=Open shelf", "order": "revenue"}),
            client.get("/api/v1/alerts"),
            page.get("/export/csv", params=lines | {"by": "category"}),
            page.get("/export/lines/csv", params=lines),
            post(page, visit("/")),
            post(page, visit("/explore", "?m=revenue&by=category&f.category=Hidden%20treasure")),
        ]
        for answer in answers:
            assert answer.status_code < 500, answer.text
            assert "Hidden product" not in answer.text, answer.url
            assert not re.search(r"(?<![\d.])777", answer.text), answer.url  # which a moment's fractions may spell
        for path in ("/api/v1/stream", "/api/v1/imports", "/api/v1/dead-letters", "/api/v1/users", "/api/v1/audit"):
            assert client.get(path).status_code == 403, path
        assert client.post("/api/v1/sales", json=[]).status_code == 403


class TestFields:
    """What a body says beyond what is asked of it."""

    @pytest.mark.parametrize(
        "more",
        [
            {"id": 1},
            {"password": "x" * 20},
            {"password_hash": ""},
            {"version": 99},
            {"sign_in_epoch": 0},
            {"disabled": False},
            {"must_change_password": False},
            {"permissions": ["users:manage"]},
            {"__class__": "admin"},
            {"created_at": "2000-01-01T00:00:00Z"},
        ],
        ids=repr,
    )
    def test_of_a_user_is_refused(self, target: Target, more: dict[str, object]) -> None:
        answer = target.api("admin").post("/api/v1/users", json={"username": "more", "role": "viewer"} | more)
        assert answer.status_code == 422, answer.text
        number = target.api("admin").get("/api/v1/users", params={"search": "viewer"}).json()["items"][0]["id"]
        answer = target.api("admin").put(f"/api/v1/users/{number}", json={"role": "viewer", "scope": {}} | more)
        assert answer.status_code == 422, answer.text

    @pytest.mark.parametrize(
        "more",
        [
            {"user_id": 1},
            {"owner": "admin"},
            {"token": "nvt_known"},
            {"expires_at": None},
            {"days": 10**9},
            {"days": -1},
        ],
        ids=repr,
    )
    def test_of_a_token_is_refused(self, target: Target, more: dict[str, object]) -> None:
        body = {"name": "more", "permissions": ["data:read"]} | more
        assert target.api("viewer").post("/api/v1/tokens", json=body).status_code == 422

    @pytest.mark.parametrize(
        "more", [{"role": "admin"}, {"scope": {}}, {"remember": True}, {"grant_type": "password"}], ids=repr
    )
    def test_of_a_sign_in_is_refused(self, target: Target, more: dict[str, object]) -> None:
        with target.nobody() as client:
            body = {"username": "viewer", "password": PASSWORD} | more
            assert client.post("/api/v1/auth/token", json=body).status_code == 422

    def test_of_ones_own_form_changes_nothing(self, target: Target) -> None:
        target.add_user("form-filler")
        with closing(target.program.signed_in("form-filler")) as client:
            new = "another fine password"
            form = {"current": PASSWORD, "new": new, "again": new, "csrf_token": csrf_token(client.get("/password"))}
            assert (
                client.post("/password", data=form | {"role": "admin", "user_id": "1", "username": "admin"}).status_code
                == 303
            )
            assert client.get("/users").status_code == 403
        with target.nobody() as client:
            assert client.post("/api/v1/auth/token", json={"username": "admin", "password": new}).status_code == 401


class TestLastAdministrator:
    """Two administrators take each other away at once, again and again: one is always left."""

    @pytest.mark.parametrize("how", ["demote", "disable", "delete"])
    def test_is_left_when_two_take_each_other_away(self, target: Target, how: str) -> None:
        admin = target.api("admin")
        own = admin.get("/api/v1/me").json()["id"]
        other = target.add_user(f"second-{how}", "admin")
        with target.bearing(target.tokens(f"second-{how}")["access_token"]) as second, ThreadPoolExecutor(8) as pool:
            # each of them several times, with a fresh version, as fast as it goes
            victims = [(second, own), (admin, other)] * 4
            statuses = list(pool.map(lambda pair: self.take(pair[0], pair[1], how), victims))
        left = self.administrators(target)
        assert len(left) >= 1, statuses
        assert all(status < 500 for status in statuses)
        self.restore(target, own, other)

    @staticmethod
    def take(client: httpx.Client, number: int, how: str) -> int:
        path = f"/api/v1/users/{number}"
        if how == "demote":
            return client.put(path, json={"role": "viewer", "scope": {}}).status_code
        if how == "disable":
            return client.put(f"{path}/state", json={"disabled": True}).status_code
        return client.delete(path).status_code

    @staticmethod
    def administrators(target: Target) -> list[str]:
        with target.database.session() as session:
            found = session.query(User).filter(User.role == "admin", ~User.disabled, User.password_hash != "")
            return [user.username for user in found]

    @staticmethod
    def restore(target: Target, own: int, other: int) -> None:
        """`admin` as before, whatever came of it."""
        with target.database.transaction() as session:
            mine = session.get(User, own)
            if mine is None:
                settings_user = session.query(User).filter(User.id == other).one()
                settings_user.username, settings_user.name_key = "admin", "admin"
            else:
                mine.role, mine.disabled = "admin", False
                session.query(User).filter(User.id == other).delete()
        target.forget("admin")

    def test_cannot_take_itself_away(self, target: Target) -> None:
        admin = target.api("admin")
        own = admin.get("/api/v1/me").json()["id"]
        for how in ("demote", "disable", "delete"):
            assert self.take(admin, own, how) == 409
        assert self.administrators(target) == ["admin"]


class TestVersions:
    def test_of_five_changes_of_one_version_one_is_made(self, target: Target) -> None:
        number = target.add_user("contested")
        path = f"/api/v1/users/{number}"
        tag = target.api("admin").get(path).headers["etag"]

        def change(role: str) -> int:
            with target.bearing(target.api("admin").headers["Authorization"].removeprefix("Bearer ")) as client:
                return client.put(path, json={"role": role, "scope": {}}, headers={"If-Match": tag}).status_code

        with ThreadPoolExecutor(5) as pool:
            assert Counter(pool.map(change, ["analyst"] * 5)) == {200: 1, 412: 4}

    @pytest.mark.parametrize(
        "tag", ["*", '"0"', "0", 'W/"1"', '"1", "2"', '"\'"', '"99999999999999999999"', '""', "x" * 5000]
    )
    def test_that_are_none_of_ours_change_nothing(self, target: Target, tag: str) -> None:
        number = target.add_user(f"tag-{abs(hash(tag)) % 10**9}")
        path = f"/api/v1/users/{number}"
        answer = target.api("admin").put(path, json={"role": "analyst", "scope": {}}, headers={"If-Match": tag})
        assert answer.status_code in ({200} if tag in {"*", 'W/"1"'} else {400, 412, 422}) or answer.status_code in {
            412,
            422,
        }, answer.text


def test_every_role_is_one_of_those_that_these_tests_know() -> None:
    assert set(ROLES) == {"viewer", "analyst", "data_scientist", "admin"}
