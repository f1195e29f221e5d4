"""Whoever guesses learns nothing, and not for long; and what a password may be."""

import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import httpx
import psutil
import pytest

from nebuloviz.services.passwords import ROUNDS
from tests.program import PASSWORD, csrf_token
from tests.security.conftest import Target
from tests.servers.base import TRUSTED

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
#: Passwords that have made programs stumble.
ODD = {
    "empty": "",
    "nul": "\x00",
    "behind a nul": f"{PASSWORD}\x00x",
    "emoji": "\U0001f469\u200d\U0001f680" * 20,
    "half an emoji": "\ud83d",
    "4 kB": "x" * 4096,
    "73 bytes": "é" * 36 + "x",
    "60 kB": "x" * 60_000,
    "line break": "a\r\nb",
    "spaces": " " * 20,
    "format": "%s%n{0}${jndi:ldap://x}",
    "quotes": "' OR '1'='1' --",
}


def sign_in(client: httpx.Client, username: str, password: str) -> httpx.Response:
    """By the form, byte for byte."""
    token = csrf_token(client.get("/login"))
    content = urlencode({"username": username, "csrf_token": token})
    content += f"&password={quote(password.encode('utf-8', 'surrogatepass'))}"
    return client.post("/login", content=content, headers=FORM)


def sign_in_api(client: httpx.Client, username: str, password: str) -> httpx.Response:
    return client.post("/api/v1/auth/token", json={"username": username, "password": password})


def worked(target: Target) -> float:
    """How many seconds of a processor the program has used up to now."""
    used = psutil.Process(target.program.process.pid).cpu_times()
    return float(used.user + used.system)


class TestRefusals:
    def test_say_the_same_whatever_was_wrong(self, target: Target) -> None:
        target.add_user("shut-out")
        target.api("admin").put(f"/api/v1/users/{_id(target, 'shut-out')}/state", json={"disabled": True})
        invited = target.api("admin").post("/api/v1/users", json={"username": "invited", "role": "viewer"})
        assert invited.status_code == 201
        said = set()
        for name in ("viewer", "no-such-user", "shut-out", "invited"):
            password = "not the password" if name == "viewer" else PASSWORD
            with target.nobody() as client:
                answer = sign_in_api(client, name, password)
                problem = answer.json()
                assert problem.pop("request_id") == answer.headers["x-request-id"]  # the one thing that differs
                said.add((answer.status_code, str(problem), frozenset(answer.headers) - {"date"}))
                page = sign_in(client, name, password)
                assert (page.status_code, "is incorrect" in page.text) == (401, True)
        assert len(said) == 1

    @pytest.mark.parametrize("sign_in", [sign_in, sign_in_api], ids=["form", "api"])
    def test_take_the_same_time(self, target: Target, sign_in: Callable[..., httpx.Response]) -> None:
        """Time of a processor: what passes by the clock tells more of the machine's other work."""

        def least(name: str) -> float:
            costs = []
            for _ in range(3):
                with target.nobody() as client:
                    before = worked(target)
                    assert sign_in(client, name, "not the password").status_code == 401
                    costs.append(worked(target) - before)
            return min(costs)

        known_name, unknown_name = (f"{name}-{sign_in.__name__}" for name in ("known", "nobody-at-all"))
        target.program.add_user(known_name, rounds=ROUNDS)
        known, unknown = least(known_name), least(unknown_name)
        assert known < 4 * unknown, "no password was compared for a name that nobody has"
        assert unknown < 4 * known

    @pytest.mark.parametrize("name", sorted(ODD))
    def test_meet_any_password(self, target: Target, name: str) -> None:
        with target.nobody() as client:
            assert sign_in(client, f"odd {name}", ODD[name]).status_code == 401
            if name in {"nul", "emoji", "4 kB"}:
                assert sign_in_api(client, f"odd {name}", ODD[name]).status_code in {401, 422}

    @pytest.mark.parametrize(
        "username",
        ["", "\x00", "viewer\x00", "x" * 10_000, "\u202eviewer", "viewer ", "' OR 1=1 --", "*", "%", "a\r\nb: c"],
    )
    def test_meet_any_name(self, target: Target, username: str) -> None:
        with target.nobody() as client:
            assert sign_in(client, username, PASSWORD).status_code == 401


class TestFailures:
    def test_of_an_account_are_five_in_a_burst_from_everywhere(self, target: Target) -> None:
        target.add_user("burst")

        def fail(_number: int) -> httpx.Response:
            with target.nobody() as client:
                return sign_in_api(client, "burst", "not the password")

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(fail, range(20)))
        assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 15
        assert all(0 < int(answer.headers["retry-after"]) <= 300 for answer in answers if answer.status_code == 429)
        with target.nobody() as client:
            assert sign_in_api(client, "BURST", PASSWORD).status_code == 429
            assert sign_in(client, "ｂｕｒｓｔ", PASSWORD).status_code == 429

    def test_of_an_address_count_whatever_the_client_calls_itself(self, target: Target) -> None:
        """The one trusted proxy adds the last entry of X-Forwarded-For; all else anybody may have written."""
        own = target.program.address()
        statuses = []
        for number in range(7):
            claimed = f"203.0.113.{number}"
            headers = dict.fromkeys(("X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Via"), claimed)
            headers |= {
                "Forwarded": f"for={claimed}",
                "X_Forwarded_For": claimed,
                "X-Forwarded-For": f"{claimed}, {own}",
            }
            with httpx.Client(base_url=target.url, headers=headers, verify=TRUSTED, timeout=60) as client:
                statuses.append(sign_in_api(client, f"spoof-{number}", "x").status_code)
        assert statuses == [401] * 5 + [429] * 2

    def test_of_one_ipv6_network_count_together(self, target: Target) -> None:
        statuses = []
        for number in range(6):
            with target.nobody(**{"X-Forwarded-For": f"2001:db8:99:1::{number:x}"}) as client:
                statuses.append(sign_in_api(client, f"network-{number}", "x").status_code)
        assert statuses == [401] * 5 + [429]

    def test_are_shared_by_the_form_and_the_api(self, target: Target) -> None:
        target.add_user("both-ways")
        with target.nobody() as client:
            statuses = [sign_in(client, "both-ways", "x").status_code for _ in range(3)]
        with target.nobody() as client:
            statuses += [sign_in_api(client, "both-ways", "x").status_code for _ in range(3)]
        assert statuses == [401] * 5 + [429]

    def test_are_forgotten_after_a_success(self, target: Target) -> None:
        target.add_user("forgetful")
        for _ in range(2):
            with target.nobody() as client:
                assert [sign_in_api(client, "forgetful", "x").status_code for _ in range(4)] == [401] * 4
            with target.nobody() as client:
                assert sign_in_api(client, "forgetful", PASSWORD).status_code == 200


class TestNames:
    @pytest.mark.parametrize("twin", ["ADMIN", "Admin", "ａｄｍｉｎ", "ⓐdmin", "ADMİN".replace("İ", "I"), "ᵃdmin"])
    def test_that_read_alike_are_one(self, target: Target, twin: str) -> None:
        answer = target.api("admin").post("/api/v1/users", json={"username": twin, "role": "viewer"})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    @pytest.mark.parametrize(
        "name",
        [
            " admin",
            "admin ",
            "ad min",
            "admin\u200b",
            "\u202eadmin",
            "ad\x00min",
            "admin\n",
            "a/b",
            "a<b>",
            "x" * 65,
            "\ufeffa",
        ],
    )
    def test_that_could_pass_for_others_are_refused(self, target: Target, name: str) -> None:
        answer = target.api("admin").post("/api/v1/users", json={"username": name, "role": "viewer"})
        assert answer.status_code == 422, answer.text

    def test_sign_in_in_any_of_their_forms(self, target: Target) -> None:
        target.add_user("Straße")
        for spelled in ("Straße", "STRASSE", unicodedata.normalize("NFKC", "Ｓtraße")):
            with target.nobody() as client:
                assert sign_in_api(client, spelled, PASSWORD).status_code == 200


class TestPasswords:
    @pytest.mark.parametrize(
        "password",
        [
            "1234567",
            "password",
            "PASSWORD",
            "Password1",
            "iloveyou1",
            "qwertyuiop",
            "1q2w3e4r5t",
            "11111111111111",
            "chooser",
            "chooser1",
            "Chooser!",
            "nebuloviz",
            "NebuloViz1",
            "nebuloviz2026",
            "x" * 129,
            "\ud83d" * 20,
        ],
        ids=ascii,
    )
    def test_that_are_easily_guessed_are_refused(self, target: Target, password: str) -> None:
        path = self.link(target)
        with target.nobody() as client:
            token = csrf_token(client.get(path))
            raw = quote(password.encode("utf-8", "surrogatepass"))
            answer = client.post(path, content=f"csrf_token={token}&new={raw}&again={raw}", headers=FORM)
        assert answer.status_code == 422, answer.text

    @pytest.mark.parametrize(
        "password",
        ["all lower case words", "𝓾nicode ✓ ünd 🚀", " spaces count ", "x7" * 64, "0aZ\t,;'\"\\<&>", "пароль для всех"],
    )
    def test_of_any_other_kind_work_to_the_letter(self, target: Target, password: str) -> None:
        """No rules on what it is made of, 64 characters and more, nothing cut or trimmed."""
        path = self.link(target)
        with target.nobody() as client:
            form = {"csrf_token": csrf_token(client.get(path)), "new": password, "again": password}
            assert client.post(path, data=form).status_code == 303
            assert client.get("/").status_code == 200
            assert client.get(path).status_code == 404, "a link works once"
        with target.nobody() as client:
            assert sign_in_api(client, "chooser", f"{password} ").status_code == 401
            assert sign_in_api(client, "chooser", password).status_code == 200

    @staticmethod
    def link(target: Target) -> str:
        """The address where the user `chooser` sets a password."""
        admin = target.api("admin")
        made = admin.post("/api/v1/users", json={"username": "chooser", "role": "viewer"})
        if made.status_code == 409:
            made = admin.post(f"/api/v1/users/{_id(target, 'chooser')}/password-link")
        path: str = made.json()["path"]
        return path


def _id(target: Target, name: str) -> int:
    found = target.api("admin").get("/api/v1/users", params={"search": name}).json()["items"]
    return next(int(user["id"]) for user in found if user["username"] == name)
