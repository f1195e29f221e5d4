"""Real servers that take what the program sends out: a mailbox, and a hook that remembers requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.servers import free_port

START_SECONDS = 60.0  # of a mail server, where a machine is busy


@dataclass
class Mailbox:
    """What a mail server has taken."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        found = message_from_bytes(bytes(envelope.original_content or b""), policy=default)
        assert isinstance(found, EmailMessage)
        self.messages.append(found)
        return "250 OK"

    @property
    def settings(self) -> dict[str, Any]:
        """Of an installation that sends by it."""
        return {
            "smtp_host": "127.0.0.1",
            "smtp_port": self.port,
            "smtp_encryption": "none",
            "smtp_from": "sales@example.com",
        }


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox(free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port, ready_timeout=START_SECONDS)
    controller.start()
    yield box
    controller.stop()


@dataclass
class Hooked:
    """What a hook was sent: path, headers and body of each; it answers by `answers`, one after the other, and then by 204.

    After the head of an answer comes what `content` says, piece by piece.
    """

    url: str = ""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    content: Callable[[], Iterable[bytes]] = tuple

    @property
    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for _path, headers, _body in self.requests]


@contextmanager
def hook() -> Iterator[Hooked]:
    taken = Hooked()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = taken.answers.pop(0) if taken.answers else (204, {})
            taken.requests.append((self.path, dict(self.headers), body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # who asked has left
                for piece in taken.content():
                    self.wfile.write(piece)

        def log_message(self, *_args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
