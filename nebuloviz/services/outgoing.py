"""Requests to addresses that users name: to public ones alone, however they are spelled, and to the very one that was looked at.

A name is resolved once, every address that it has is judged, and the connection is made to one of these, so a name that leads
elsewhere a moment later leads nowhere. Redirects are not followed. Of an answer the head is read, and nothing shown but its status.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException, HTTPResponse
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from nebuloviz import __version__
from nebuloviz.clock import utc_now
from nebuloviz.errors import InvalidInput, NotSent
from nebuloviz.i18n import gettext as _
from nebuloviz.services.interfaces import Hook
from nebuloviz.services.notification_words import not_sent

TIMEOUT_SECONDS = 5.0  # for all of it, from the connection to the answer
MAX_ANSWER_BYTES = 65_536
MAX_URL_LENGTH = 1_000
SIGNATURE_HEADER = "X-NebuloViz-Signature"
_URL = re.compile(r"[!-~]+")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r\n]")
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})

_T = TypeVar("_T")
#: Sends a request by a connection, and makes something of the answer.
Exchange = Callable[[socket.socket, bytes], _T]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> list[Network]:
    return [ipaddress.ip_network(text) for text in texts]


#: What Python does not call private everywhere: IPv6 that stands for IPv4 or leads into a tunnel, and networks for special uses.
_NOT_PUBLIC = _networks(
    "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
    "fc00::/7", "fec0::/10", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
)  # fmt: skip
#: What an installation may allow a host to be. Link-local addresses, which clouds tell their secrets at, are never.
_PRIVATE = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"
)


@dataclass(frozen=True)
class Target:
    """Where a URL leads. `host` is as a certificate names it; `path` includes the query."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As the header `Host` names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Where `url` leads.

    Raises:
        InvalidInput: it is no URL of http or https, or it has a user or a fragment.
    """
    problem = InvalidInput(
        _("Write the URL like https://hooks.example.com/services/T0/B0/x, without a user or a fragment.")
    )
    if len(url) > MAX_URL_LENGTH or not _URL.fullmatch(url) or "\\" in url:
        raise problem
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise problem from None
    tls = parts.scheme == "https"
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or port == 0
        or "@" in parts.netloc
        or "#" in url
        or "%" in host
    ):
        raise problem
    return Target(tls, host, port or (443 if tls else 80), _path(parts))


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def is_public(address: Address) -> bool:
    """Whether anybody may be sent to an address: not to this machine, its networks, its neighbours or the cloud's own services."""
    address = _plain(address)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(_within(address, network) for network in _NOT_PUBLIC)


def is_private(address: Address) -> bool:
    """Whether a host that an administrator names may have it: of this machine, or of a private network."""
    address = _plain(address)
    return any(_within(address, network) for network in _PRIVATE)


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


class Outgoing:
    """Sends hooks. `private_hosts` gives the hosts that may be private, as they are when something is sent."""

    def __init__(
        self,
        private_hosts: Callable[[], Collection[str]],
        timeout_seconds: float = TIMEOUT_SECONDS,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._private_hosts = private_hosts
        self._timeout_seconds = timeout_seconds
        self._now = now

    def post(self, hook: Hook) -> None:
        """Returns once it was answered that it is taken (2xx).

        Raises:
            NotSent: says why it was not taken.
        """
        try:
            target = target_of(hook.url)
        except InvalidInput as error:
            raise not_sent("url") from error
        status = self._answer(target, _request(target, hook, self._now()), _exchange)
        if 300 <= status < 400:
            raise not_sent("redirect", status)
        if not 200 <= status < 300:
            raise not_sent("answer", status, again=status >= 500 or status in _WORTH_ANOTHER_TRY)

    def fetch(self, url: str, body: bytes, bearer: str = "") -> bytes:
        """What is answered to JSON sent there, of at most `MAX_ANSWER_BYTES`.

        Raises:
            NotSent: says why there is no answer of 200.
        """
        try:
            target = target_of(url)
        except InvalidInput as error:
            raise not_sent("url") from error
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        status, content = self._answer(target, _head(target, len(body), headers) + body, _content)
        if status != 200:
            raise not_sent("redirect" if 300 <= status < 400 else "answer", status)
        return content

    def _answer(self, target: Target, request: bytes, exchange: Exchange[_T]) -> _T:
        """What `exchange` makes of the answer; of several addresses the first counts that can be reached."""
        deadline = time.monotonic() + self._timeout_seconds
        addresses = self._addresses(target)
        for address in addresses[:-1]:
            try:
                return _asked(address, target, request, deadline, exchange)
            except NotSent as error:
                if error.reason != "unreachable":
                    raise
        return _asked(addresses[-1], target, request, deadline, exchange)

    def _addresses(self, target: Target) -> list[Address]:
        """Those that the host has now, of which all are public, or all such as the installation allows this host to have."""
        found = resolved(target.host, target.port, self._timeout_seconds)
        named = target.host in self._private_hosts()
        if not all(is_public(address) or (named and is_private(address)) for address in found):
            raise not_sent("private")
        return found


def _asked(address: Address, target: Target, request: bytes, deadline: float, exchange: Exchange[_T]) -> _T:
    """What `exchange` makes of the answer of what is there. Every step ends at the deadline, when the connection is taken away."""
    left = max(0.1, deadline - time.monotonic())
    family, reason = socket.AF_INET6 if address.version == 6 else socket.AF_INET, "unreachable"
    with socket.socket(family, socket.SOCK_STREAM) as plain, _ended_after(left, plain) as late:
        plain.settimeout(left)
        try:
            plain.connect((str(address), target.port))
            reason = "broken"
            if not target.tls:
                return exchange(plain, request)
            with ssl.create_default_context().wrap_socket(plain, server_hostname=target.host) as secure:
                return exchange(secure, request)
        except ssl.SSLCertVerificationError as error:
            raise not_sent("certificate") from error
        except (OSError, NotSent) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                raise not_sent("timeout") from error
            if isinstance(error, NotSent):
                raise
            raise not_sent(reason) from error


def resolved(host: str, port: int, timeout_seconds: float) -> list[Address]:
    """All addresses of a host. The system's resolver cannot be interrupted, so it is left alone when it takes too long.

    Raises:
        NotSent: it has none.
    """
    answers: list[list[Address]] = []

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError, ValueError):
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.append([ipaddress.ip_address(str(info[4][0])) for info in infos])

    asking = threading.Thread(target=ask, name="resolve", daemon=True)
    asking.start()
    asking.join(timeout_seconds)
    if not answers or not answers[0]:
        raise not_sent("unknown_host")
    return answers[0]


@contextlib.contextmanager
def _ended_after(seconds: float, connection: socket.socket) -> Iterator[threading.Event]:
    """Take `connection` away after so long, in whatever it is then; the event says that it was."""
    late, handle = threading.Event(), connection.dup()  # which stays when TLS takes the other over

    def end() -> None:
        late.set()
        with contextlib.suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()
        handle.close()


def _exchange(connection: socket.socket, request: bytes) -> int:
    """Send, and read the head of the answer."""
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < MAX_ANSWER_BYTES:
        part = connection.recv(min(16_384, MAX_ANSWER_BYTES - len(answer)))
        if not part:
            break
        answer += part
    status = _STATUS.match(answer)
    if status is None or b"\r\n\r\n" not in answer:
        raise not_sent("no_answer")
    return int(status[1])


def _content(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send, and read the answer: its status, and what it holds, if that is not too much."""
    connection.sendall(request)
    try:
        with HTTPResponse(connection, method="POST") as answer:
            answer.begin()
            content = answer.read(MAX_ANSWER_BYTES + 1)
            status = answer.status
    except HTTPException as error:
        raise not_sent("no_answer") from error
    if len(content) > MAX_ANSWER_BYTES:
        raise not_sent("no_answer")
    return status, content


def _request(target: Target, hook: Hook, now: datetime) -> bytes:
    headers = {"Idempotency-Key": hook.key}
    if hook.secret:
        headers[SIGNATURE_HEADER] = signature(hook.secret, hook.body, int(now.timestamp()))
    return _head(target, len(hook.body), headers) + hook.body


def _head(target: Target, size: int, more: Mapping[str, str]) -> bytes:
    """Of a POST of so many bytes of JSON."""
    headers = {
        "Host": target.authority,
        "User-Agent": f"NebuloViz/{__version__}",
        "Content-Type": "application/json",
        "Content-Length": str(size),
        **more,
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii")


def signature(secret: str, body: bytes, at: int) -> str:
    """The value of the header: the Unix time of sending, and the HMAC-SHA256 of that time, a dot and the body.

    >>> signature("secret", b"{}", 1700000000)[:21]
    't=1700000000,v1=b8569'
    """
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"
