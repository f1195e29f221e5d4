"""Requests to addresses that users name: none gets into a private network, however it is spelled or led there; none waits for long."""

import contextlib
import hashlib
import hmac
import ipaddress
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from nebuloviz.errors import InvalidInput, NotSent
from nebuloviz.services.interfaces import Hook
from nebuloviz.services.outgoing import MAX_ANSWER_BYTES, SIGNATURE_HEADER, Outgoing, is_public, target_of
from tests.receivers import Hooked, hook
from tests.security.conftest import Target

DOCS = Path(__file__).parents[2] / "docs" / "notifications.md"


@pytest.fixture(scope="module")
def taken() -> Iterator[Hooked]:
    with hook() as opened:
        yield opened


def post(url: str, *private: str, timeout_seconds: float = 5.0, secret: str = "", body: bytes = b"{}") -> None:
    Outgoing(lambda: private, timeout_seconds).post(Hook(url, body, "key-1", secret))


def refused(url: str, *private: str, timeout_seconds: float = 5.0) -> NotSent:
    with pytest.raises(NotSent) as found:
        post(url, *private, timeout_seconds=timeout_seconds)
    return found.value


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001"),
        *("0", "0.0.0.0", "localhost", "LOCALHOST", "localhost.", "127.0.0.1."),
        *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]"),
        *("[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]"),
        *(
            "10.0.0.1",
            "10.1",
            "0xa.1",
            "012.0.0.1",
            "167772161",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.168.257",
        ),
        *(
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "[::ffff:169.254.169.254]",
            "[fe80::1]",
        ),
        *("[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[100::1]", "[2001:db8::1]"),
        *(
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
        ),
        "255.255.255.255",
    ],
)
def test_an_address_that_is_not_public_is_refused_however_it_is_spelled(host: str) -> None:
    assert refused(f"http://{host}:9/").reason == "private"
    assert refused(f"https://{host}/").reason == "private"


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_one(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "x",
            "//example.com/",
            "/x",
            "file:///etc/passwd",
            "gopher://example.com/",
            "ftp://example.com/",
            "javascript:alert(1)",
        ),
        *(
            "http://",
            "http:///x",
            "http://:80/",
            "http://user@example.com/",
            "http://a:b@127.0.0.1/",
            "http://example.com@127.0.0.1/",
        ),
        *(
            "http://example.com#@127.0.0.1/",
            "http://example.com\\@127.0.0.1/",
            "http://exa mple.com/",
            "http://example.com/\r\nX: y",
        ),
        *(
            "http://example.com:0/",
            "http://example.com:65536/",
            "http://example.com:x/",
            "http://[::1/",
            "http://[fe80::1%25eth0]/",
        ),
        *(
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
            "http://ⓔxample.com/",
            "http://example.com/\x00",
            "http://.../",
        ),
        "http://example.com/" + "x" * 1000,
    ],
)
def test_what_is_no_plain_url_is_refused_before_anybody_is_asked(url: str) -> None:
    with pytest.raises(InvalidInput):
        target_of(url)
    assert refused(url).reason == "url"


def test_a_running_program_sends_nothing_there_either(target: Target, taken: Hooked) -> None:
    client, channels, before = target.api("viewer"), "/api/v1/notifications/channels", len(taken.requests)
    port = urlsplit(taken.url).port
    for host in (
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "LocalHost",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::1]",
    ):
        made = client.post(channels, json={"kind": "webhook", "name": "Inside", "target": f"http://{host}:{port}/"})
        assert made.status_code == 201, host
        path = f"{channels}/{made.json()['item']['id']}"
        tried = client.post(f"{path}/test")
        assert (tried.status_code, tried.json()["code"]) == (503, "not_sent"), host
        assert client.delete(path).status_code == 204
    for url in (
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        f"http://example.com@127.0.0.1:{port}/",
        "http://a/\r\nX: y",
    ):
        assert client.post(channels, json={"kind": "webhook", "name": "x", "target": url}).status_code == 422, url
    assert len(taken.requests) == before


Resolve = Callable[..., None]


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """`resolves(one, another)`: what any name leads to at the first question, at the next one, and so on."""
    answers: list[list[str]] = []

    def ask(_host: str, port: int, **_options: Any) -> list[Any]:
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    def set_(*found: list[str]) -> None:
        answers[:] = found

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    return set_


class TestNames:
    @pytest.mark.parametrize("found", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["169.254.169.254"]], ids=repr)
    def test_that_lead_into_a_private_network_are_refused(self, resolves: Resolve, found: list[str]) -> None:
        resolves(found)
        assert refused("http://harmless.example/").reason == "private"

    def test_are_asked_once_and_what_was_looked_at_is_connected_to(self, resolves: Resolve, taken: Hooked) -> None:
        """Were the name asked again for the connection, it would lead to an address where nothing listens."""
        resolves(["127.0.0.1"], ["127.0.0.2"])
        before = len(taken.requests)
        post(taken.url.replace("127.0.0.1", "named.example"), "named.example")
        assert taken.requests[before][1]["Host"].startswith("named.example:")

    def test_that_the_installation_allows_may_be_private_but_not_link_local(
        self, resolves: Resolve, taken: Hooked
    ) -> None:
        resolves(["169.254.169.254"])
        assert refused("http://named.example/", "named.example").reason == "private"
        resolves(["10.0.0.1", "169.254.169.254"])
        assert refused("http://named.example/", "named.example").reason == "private"
        resolves(["127.0.0.1"])
        assert refused(taken.url.replace("127.0.0.1", "sub.named.example"), "named.example").reason == "private"

    def test_that_there_are_not_are_told_apart(self) -> None:
        assert refused("http://no-such-host.invalid/").reason == "unknown_host"


class TestAnswers:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_that_lead_elsewhere_are_not_followed(self, taken: Hooked, status: int) -> None:
        before = len(taken.requests)
        taken.answers.append((status, {"Location": f"{taken.url}/elsewhere"}))
        assert refused(taken.url, "127.0.0.1").reason == "redirect"
        assert [path for path, _headers, _body in taken.requests[before:]] == ["/"]

    @pytest.mark.parametrize(
        ("start", "part", "reason"),
        [
            (b"HTTP/1.1 200 OK\r\nX: ", b"x", "timeout"),  # a byte at a time, and never an end
            (b"", b"", "timeout"),  # silence
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"", "no_answer"),
        ],
        ids=["drop by drop", "silent", "another protocol"],
    )
    def test_that_do_not_come_end_in_time(self, start: bytes, part: bytes, reason: str) -> None:
        with answering(start, part) as url:
            begun = time.monotonic()
            assert refused(url, "127.0.0.1", timeout_seconds=0.5).reason == reason
            assert time.monotonic() - begun < 30

    def test_without_end_are_read_to_a_limit(self) -> None:
        with answering(b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 8_000 + b"\r\n") as url:
            assert refused(url, "127.0.0.1").reason == "no_answer"

    def test_of_a_server_that_is_away_and_of_no_tls(self, taken: Hooked) -> None:
        assert refused("http://127.0.0.1:9/", "127.0.0.1").reason == "unreachable"
        assert refused(taken.url.replace("http:", "https:"), "127.0.0.1").reason == "broken"

    def test_come_from_the_first_address_that_can_be_reached(self, resolves: Resolve, taken: Hooked) -> None:
        resolves(["127.0.0.2", "127.0.0.1"])
        before = len(taken.requests)
        post(taken.url.replace("127.0.0.1", "named.example"), "named.example")
        assert len(taken.requests) == before + 1


@contextlib.contextmanager
def answering(start: bytes, part: bytes) -> Iterator[str]:
    """A server that says `start`, and then `part` for ever: a short one now and then, a long one as fast as it is taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as client:
                client.recv(MAX_ANSWER_BYTES)
                client.sendall(start)
                while not _gone(client, 0.0 if len(part) > 1 else 0.02):
                    client.sendall(part)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def _gone(client: socket.socket, seconds: float) -> bool:
    """Whether the client has gone, within so long."""
    return bool(select.select([client], [], [], seconds)[0]) and client.recv(1) == b""


def test_a_signature_is_checked_as_the_documentation_says(taken: Hooked) -> None:
    code = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    documented: dict[str, Any] = {}
    exec(code[1], documented)  # noqa: S102 - our own page
    post(taken.url + "/path?x=1", "127.0.0.1", secret="s3cret", body='{"ü":1}'.encode())
    path, headers, body = taken.requests[-1]
    assert (path, headers["Idempotency-Key"], headers["Content-Type"]) == ("/path?x=1", "key-1", "application/json")
    value, now = headers[SIGNATURE_HEADER], time.time()
    assert documented["is_genuine"]("s3cret", value, body, now)
    assert not documented["is_genuine"]("another", value, body, now)
    assert not documented["is_genuine"]("s3cret", value, body + b" ", now)
    assert not documented["is_genuine"]("s3cret", value, body, now + 3600)
    at = value.partition(",")[0].removeprefix("t=")
    assert value.endswith(hmac.new(b"s3cret", f"{at}.".encode() + body, hashlib.sha256).hexdigest())
