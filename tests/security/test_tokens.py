"""Tokens that nobody should believe, over the wire: forged, expired, of another kind, stolen, or outlived."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import jwt
import pytest

from nebuloviz.services.tokens import AUDIENCE, ISSUER, derived_key
from tests.program import PASSWORD, csrf_token
from tests.security.conftest import SECRET, Target

KEY = derived_key(SECRET, "api token access")
ME = "/api/v1/me"


def claims(target: Target, **changes: object) -> dict[str, Any]:
    """Those of a good token of the viewer, but for `changes`; None leaves one out."""
    token = target.api("viewer").headers["Authorization"].removeprefix("Bearer ")
    good = jwt.decode(token, options={"verify_signature": False})
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(claims_: dict[str, Any], key: Any = KEY, algorithm: str = "HS256", **headers: str) -> str:
    return jwt.encode(claims_, key, algorithm=algorithm, headers=headers or None)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def status(target: Target, token: str) -> int:
    with target.bearing(token) as client:
        answer = client.get(ME)
    assert answer.status_code == 200 or answer.json()["code"] == "not_signed_in"
    return answer.status_code


# Constants, as the names of tests are made of them, which must be the same in every process
LONG_AGO, FAR_AHEAD = 1_000_000_000, 4_000_000_000


def test_a_token_made_as_ours_are_is_believed(target: Target) -> None:
    """Else all that follows would prove nothing."""
    assert status(target, signed(claims(target))) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": LONG_AGO},
        {"exp": None},
        {"exp": "never"},
        {"exp": 1e400},
        {"exp": -1},
        {"nbf": FAR_AHEAD},
        {"nbf": None},
        {"iat": FAR_AHEAD},
        {"iat": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": [AUDIENCE, "another"]},
        {"aud": ""},
        {"iss": "another"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"type": "refresh"},
        {"type": None},
        {"type": ["access"]},
        {"sub": "1 OR 1=1"},
        {"sub": "-1"},
        {"sub": "0"},
        {"sub": "9" * 30},
        {"sub": None},
        {"sub": 1},
        {"sub": "1"},
        {"epoch": 999},
        {"epoch": None},
        {"epoch": "x"},
        {"epoch": 2**70},
        {"family": "0" * 32},
        {"family": None},
        {"family": {"$ne": 1}},
        {"family": "\x00"},
        {"jti": None},
        {"jti": 5},
    ],
    ids=repr,
)
def test_claims_that_are_not_ours_are_not_believed(target: Target, changes: dict[str, object]) -> None:
    """Signed with the right key: nothing else stands between them and the API."""
    body = json.dumps(claims(target, **changes)).replace("Infinity", "1e400")
    head = part({"alg": "HS256", "typ": "JWT"})
    signing = f"{head}.{base64.urlsafe_b64encode(body.encode()).rstrip(b'=').decode()}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing.encode(), KEY)
    token = f"{signing}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert status(target, token) == 401


class TestSignature:
    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
    @pytest.mark.parametrize("signature", ["", "x", "AAAA"])
    def test_of_no_algorithm_is_none(self, target: Target, name: str, signature: str) -> None:
        assert status(target, f"{part({'alg': name, 'typ': 'JWT'})}.{part(claims(target))}.{signature}") == 401

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
    @pytest.mark.filterwarnings("ignore:The HMAC key")
    def test_of_another_algorithm_is_none(self, target: Target, algorithm: str) -> None:
        assert status(target, signed(claims(target), KEY, algorithm)) == 401

    @pytest.mark.parametrize(
        "key",
        [
            "x",
            "secret",
            SECRET,
            derived_key(SECRET, "api token refresh"),
            derived_key(SECRET, "browser cookie"),
            KEY + b"x",
        ],
    )
    @pytest.mark.filterwarnings("ignore:The HMAC key")
    def test_by_another_key_is_none(self, target: Target, key: str | bytes) -> None:
        assert status(target, signed(claims(target), key)) == 401

    def test_that_was_tampered_with_is_none(self, target: Target) -> None:
        head, body, signature = signed(claims(target)).split(".")
        admin = target.api("admin").get(ME).json()["id"]
        for token in (
            f"{head}.{part(claims(target, sub=str(admin)))}.{signature}",
            f"{head}.{body}.{signature[:-4]}AAAA",
            f"{head}.{body}.",
            f"{head}.{body}",
            f"{head}..{signature}",
            f".{body}.{signature}",
            f"{head}.{body}.{signature}.{signature}",
            "..",
            "a.b.c",
            f"{part([])}.{body}.{signature}",
            f"{part('x')}.{body}.{signature}",
            f"{head}.{part([1])}.{signature}",
            f"{head}.{'A' * 200_000}.{signature}"[:60_000],
        ):
            assert status(target, token) == 401, token[:200]

    @pytest.mark.parametrize(
        "headers",
        [
            {"kid": "../../../../dev/null"},
            {"kid": "' UNION SELECT 'x' --"},
            {"jku": "http://127.0.0.1:1/keys"},
            {"x5u": "http://127.0.0.1:1/cert"},
            {"jwk": '{"kty": "oct", "k": "eA"}'},
            {"x5c": "eA"},
            {"cty": "JWT"},
        ],
        ids=repr,
    )
    def test_is_checked_by_our_key_whatever_its_head_proposes(self, target: Target, headers: dict[str, str]) -> None:
        assert status(target, signed(claims(target), "x" * 32, **headers)) == 401

    def test_with_demands_of_its_own_is_none(self, target: Target) -> None:
        assert status(target, signed(claims(target), crit="b64", b64="false")) == 401


class TestPlace:
    @pytest.mark.parametrize("name", ["access_token", "token", "authorization", "jwt", "Authorization"])
    def test_in_the_address_is_none(self, target: Target, name: str) -> None:
        token = signed(claims(target))
        with target.nobody() as client:
            assert client.get(ME, params={name: token}).status_code == 401
            headers = {"Cookie": f"{name}={token}"}
            assert client.get(ME, params={name: f"Bearer {token}"}, headers=headers).status_code == 401

    def test_of_the_browser_opens_no_api_and_a_token_no_page(self, target: Target) -> None:
        """Else another site's form could write through the API, which checks no origin."""
        assert target.browser("admin").get(ME).status_code == 401
        assert target.browser("admin").post("/api/v1/sales", json=[]).status_code == 401
        assert target.api("admin").get("/explore").status_code == 302
        assert target.api("admin").get("/_dash-layout").status_code == 401


class TestRefresh:
    def refresh(self, target: Target, token: str) -> tuple[int, dict[str, Any]]:
        with target.nobody() as client:
            answer = client.post("/api/v1/auth/refresh", json={"refresh_token": token})
        return answer.status_code, answer.json()

    def test_used_twice_at_once_works_once_and_ends_the_family(self, target: Target) -> None:
        first = target.tokens("analyst")
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: self.refresh(target, first["refresh_token"]), range(6)))
        assert sorted(code for code, _body in answers).count(200) <= 1
        for code, body in [*answers, (200, first)]:
            if code == 200:
                assert status(target, body["access_token"]) == 401
                assert self.refresh(target, body["refresh_token"])[0] == 401

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "\x00", "é" * 100, "x" * 4096])
    def test_of_nonsense_is_refused(self, target: Target, token: str) -> None:
        assert self.refresh(target, token)[0] == 401

    def test_by_an_access_token_is_refused(self, target: Target) -> None:
        assert self.refresh(target, signed(claims(target)))[0] == 401
        forged = signed(claims(target, type="refresh"), derived_key(SECRET, "api token access"))
        assert self.refresh(target, forged)[0] == 401


class TestEnd:
    """What a user had in hand when something changed is worth nothing from the next request on."""

    def made(self, target: Target, name: str) -> tuple[int, list[str], str]:
        """A new user's id, tokens (of a sign-in and a personal one), and refresh token."""
        number = target.add_user(name)
        tokens = target.tokens(name)
        with target.bearing(tokens["access_token"]) as client:
            body = {"name": "program", "permissions": ["data:read"]}
            personal = client.post("/api/v1/tokens", json=body).json()["token"]
        found = [tokens["access_token"], personal]
        assert [status(target, token) for token in found] == [200, 200]
        return number, found, tokens["refresh_token"]

    def test_comes_with_a_new_password(self, target: Target) -> None:
        _number, tokens, refresh = self.made(target, "changes-password")
        with closing(target.program.signed_in("changes-password")) as client:
            form = {"current": PASSWORD, "new": "another fine password", "again": "another fine password"}
            page = client.get("/password")
            assert client.post("/password", data=form | {"csrf_token": csrf_token(page)}).status_code == 303
        assert [status(target, token) for token in tokens] == [401, 401]
        assert TestRefresh().refresh(target, refresh)[0] == 401

    @pytest.mark.parametrize("act", ["disable", "delete", "end-sessions"])
    def test_comes_with_what_an_administrator_does(self, target: Target, act: str) -> None:
        number, tokens, refresh = self.made(target, f"meets-{act}")
        admin, path = target.api("admin"), "/api/v1/users/{}"
        if act == "disable":
            assert admin.put(f"{path.format(number)}/state", json={"disabled": True}).status_code == 200
        elif act == "delete":
            assert admin.delete(path.format(number)).status_code == 204
        else:
            assert admin.post(f"{path.format(number)}/end-sessions").status_code == 200
        assert [status(target, token) for token in tokens] == [401, 401]
        assert TestRefresh().refresh(target, refresh)[0] == 401

    def test_of_what_a_role_allowed_comes_with_another_role(self, target: Target) -> None:
        number = target.add_user("demoted", "data_scientist")
        tokens = target.tokens("demoted")
        with target.bearing(tokens["access_token"]) as client, closing(target.program.signed_in("demoted")) as browser:
            assert client.post("/api/v1/sales", json=[]).status_code == 200
            assert browser.get("/data").status_code == 200
            change = {"role": "viewer", "scope": {}}
            assert target.api("admin").put(f"/api/v1/users/{number}", json=change).status_code == 200
            assert client.post("/api/v1/sales", json=[]).status_code == 403
            assert browser.get("/data").status_code == 403
