"""Somebody who shows a certificate of 127.0.0.1 to whoever connects, and closes."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.servers.base import HOST


@dataclass(frozen=True)
class Https:
    """`url` is where; `certificate` is the file of the certificate, which is its own authority and lasts thirty days."""

    url: str
    certificate: Path


def certificate(folder: Path) -> tuple[Path, Path]:
    """The files of a key, and of its certificate for 127.0.0.1."""
    key, shown = folder / "server.key", folder / "server.crt"
    subject = ["-subj", "/CN=nebuloviz test", "-addext", f"subjectAltName=IP:{HOST}", "-days", "30"]
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", str(key), "-out", str(shown)]
    subprocess.run([*making, *subject], check=True, capture_output=True)
    return key, shown


@contextmanager
def https_server(folder: Path) -> Iterator[Https]:
    """Open within the block; `folder` gets key and certificate."""
    key, shown = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, key)
    with socket.create_server((HOST, 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    with suppress(OSError):  # the other side does not like the certificate
                        context.wrap_socket(connection, server_side=True).close()

        threading.Thread(target=answer, daemon=True).start()
        yield Https(f"https://{HOST}:{listener.getsockname()[1]}", shown)
