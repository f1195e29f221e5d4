"""The installation's settings as a way in: its logo, its mail server, the links of its e-mails, and what is secret among them."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text

from nebuloviz.models import StoredSetting
from tests.receivers import Mailbox, mailbox
from tests.security.conftest import Target
from tests.served import raw
from tests.services.pictures import encoded, png

SETTINGS, TRIAL = "/api/v1/settings", "/api/v1/settings/test-mail"
SCRIPT = b"<script>window.ran = 1</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="window.ran = 1">' + SCRIPT + b"</svg>"
MARK = b"\x89PNG\r\n\x1a\n"


def part(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def head(width: int, height: int) -> bytes:
    return part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


END = part(b"IEND", b"")
NO_LOGOS: dict[str, Any] = {
    "an SVG": encoded(SVG),
    "a packed SVG": encoded(gzip.compress(SVG)),
    "an SVG behind a PNG's mark": encoded(MARK + SVG),
    "an SVG in a PNG without a picture": encoded(MARK + part(b"IHDR", SVG) + END),
    "a page": encoded(b"<!DOCTYPE html>" + SCRIPT),
    "a page behind a PNG": encoded(png(extra=SCRIPT)),
    "a page before a PNG": encoded(SCRIPT + png()),
    "a GIF that is a script": encoded(b"GIF89a=1;alert(1)//"),
    "a JPEG": encoded(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"),
    "an icon": encoded(b"\x00\x00\x01\x00\x01\x00"),
    "a document": encoded(b"%PDF-1.7"),
    "a bomb": encoded(MARK + head(65_535, 65_535) + part(b"IDAT", zlib.compress(bytes(10**6))) + END),
    "a wide one": encoded(MARK + head(2**31, 1) + END),
    "of no size": encoded(MARK + head(0, 0) + END),
    "of two sizes": encoded(MARK + head(1, 1) + head(9_999, 9_999) + END),
    "a part longer than the file": encoded(MARK + struct.pack(">I4s", 2**32 - 1, b"IHDR")),
    "with its kind": f"data:image/png;base64,{encoded(png())}",
    "with its kind, and that is wrong": f"data:text/html;base64,{encoded(png())}",
    "in lines": "\n".join(encoded(png())[at : at + 20] for at in range(0, 80, 20)),
    "a path": "../../../../etc/passwd",
    "an address": "http://127.0.0.1/logo.png",
    "a file's address": "file:///etc/passwd",
    "too long": "A" * 300_000,
    "bytes": list(png()),
    "an object": {"filename": "../logo.svg", "content": encoded(png())},
    "a number": 7,
}
#: Of the logo, as browsers and proxies may be made to ask for it.
LOGO_PATHS = ("/logo.png?x=.html", "/logo.png/x.html", "/logo.png;.html", "/logo.png%00.html", "/logo.svg", "/LOGO.PNG")
NO_MAIL_SERVERS = (
    "127.0.0.1:25", "http://127.0.0.1", "a@example.com", "localhost\r\nRCPT TO:<a@b>", "localhost\x00", "a b", "[::1]",
    "169.254.169.254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "2852039166", "0xa9fea9fe", "fe80::1", "0.0.0.0", "0",
    "239.1.1.1", "255.255.255.255",
)  # fmt: skip
NO_ADDRESSES = (
    "x@example.com\r\nBcc: evil@example.com", "x@example.com\nBcc: evil@example.com", "x@example.com, evil@example.com",
    "x@example.com>\r\nRCPT TO:<evil@example.com", "Anna <x@example.com>", "x@example.com\x00", "x@example.com\u2028Bcc: y",
    '"x y"@example.com', "x@example.com;evil@example.com", "",
)  # fmt: skip
NO_ORIGINS = (
    "javascript:alert(1)", "//evil.example", "https://evil.example/path", "https://sales@evil.example",
    "https://sales.example.com\\@evil.example", "https://sales.example.com\r\nBcc: evil@example.com", "evil.example", "ftp://x",
    "https://", "https://sales.example.com#evil.example", "https://sales.example.com?evil.example", "https://sales.example.com:0",
)  # fmt: skip
ELSEWHERE = {
    "Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Original-URL": "/evil",
    "X-Host": "evil.example", "X-Forwarded-Server": "evil.example", "X-Forwarded-Proto": "evil", "Referer": "http://evil.example/",
}  # fmt: skip


@pytest.fixture(scope="module")
def box() -> Iterator[Mailbox]:
    with mailbox() as running:
        yield running


@pytest.fixture
def decided(target: Target) -> Iterator[Target]:
    """What the test decides is taken back afterwards."""
    yield target
    change(target, **dict.fromkeys(target.api("admin").get(SETTINGS).json()["stored"]))


def change(target: Target, **values: Any) -> None:
    answer = target.api("admin").patch(SETTINGS, json=values)
    assert answer.status_code == 200, answer.text


class TestLogo:
    def test_is_a_picture_or_is_refused(self, target: Target) -> None:
        client = target.api("admin")
        before = client.get(SETTINGS).json()
        for name, value in NO_LOGOS.items():
            answer = client.patch(SETTINGS, json={"logo": value})
            assert answer.status_code == 422, name
            assert "window" not in answer.text, name
        assert client.get(SETTINGS).json() == before
        with target.nobody() as nobody:
            assert nobody.get("/logo.png").status_code == 404

    def test_is_a_picture_to_everybody_whatever_is_in_it(self, decided: Target) -> None:
        words = part(b"tEXt", b"Comment\x00" + SVG) + part(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + SCRIPT)
        change(decided, logo=encoded(png().replace(part(b"IEND", b""), words + END)))
        with decided.nobody(Accept="text/html,image/svg+xml;q=0.9") as nobody:
            shown = nobody.get("/logo.png")
            assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
            assert shown.headers["x-content-type-options"] == "nosniff"
            assert shown.headers["content-disposition"] == 'inline; filename="logo.png"'
            assert "script-src" in shown.headers["content-security-policy"]
            assert "window.ran" not in nobody.get("/login").text
        for path in LOGO_PATHS:
            answer = raw(decided.url, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()).lower()
            assert b"content-type: image/png" in answer or b"window.ran" not in answer, path


class TestMailServer:
    @pytest.mark.parametrize("encryption", ["none", "tls"])
    def test_is_no_way_to_what_is_none(self, decided: Target, encryption: str) -> None:
        """Refused when it is entered, or before anybody is spoken to; and nothing that was read there is told."""
        client = decided.api("admin")
        for host in NO_MAIL_SERVERS:
            values = {"smtp_host": host, "smtp_from": "sales@example.com", "smtp_encryption": encryption}
            entered = client.patch(SETTINGS, json=values)
            if entered.status_code == 200:
                tried = client.post(TRIAL, json={"to": "anna@example.com"})
                assert tried.status_code == 503, host
                told = tried.json()["detail"]
                assert told.endswith(("its address cannot be that of a mail server.", "cannot be reached.")), (
                    host,
                    told,
                )
            else:
                assert entered.status_code == 422, host

    def test_is_told_of_no_other_reader_and_no_other_header(self, decided: Target, box: Mailbox) -> None:
        client = decided.api("admin")
        change(decided, **box.settings)
        for number, address in enumerate(NO_ADDRESSES):
            assert client.post(TRIAL, json={"to": address}).status_code == 422, address
            for sender in ({"smtp_from": address}, {"name": f"Sales\r\nBcc: {address}" if address else ""}):
                changed = client.patch(SETTINGS, json=sender)
                assert changed.status_code == 422 or "\n" not in str(changed.json()["values"]), sender
            change(decided, **box.settings)
            if address:
                made = client.post("/api/v1/users", json={"username": f"m{number}", "role": "viewer", "email": address})
                assert made.status_code == 422, address
        assert client.post(TRIAL, json={"to": "anna@example.com"}).status_code == 204
        [mail] = box.messages
        box.messages.clear()
        assert (mail["To"], mail["Bcc"], mail["Cc"]) == ("anna@example.com", None, None)


class TestLinks:
    def test_lead_where_the_installation_is_whoever_asks(self, decided: Target, box: Mailbox) -> None:
        client = decided.api("admin")
        user = {"username": f"led-{len(box.messages)}", "role": "viewer", "email": "led@example.com"}
        made = client.post("/api/v1/users", json=user).json()
        path = f"/api/v1/users/{made['user']['id']}/password-mail"
        change(decided, **box.settings)
        assert client.post(path, headers={"Host": "evil.example"}).status_code == 409, "nobody has said where it is"
        change(decided, public_address="https://sales.example.com/")
        for name, value in ELSEWHERE.items():
            assert client.post(path, headers={name: value}).status_code == 202, name
        assert len(box.messages) == len(ELSEWHERE)
        for mail in box.messages:
            shown = "".join(str(each.get_content()) for each in mail.walk() if not each.is_multipart())
            assert "evil" not in str(mail)
            assert shown.count("https://sales.example.com/welcome/") == 2, "in words and in the page"
        box.messages.clear()
        assert client.delete(path.removesuffix("/password-mail")).status_code == 204

    def test_lead_to_nothing_but_an_installation(self, target: Target) -> None:
        for address in NO_ORIGINS:
            answer = target.api("admin").patch(SETTINGS, json={"public_address": address})
            assert answer.status_code == 422, address


class TestSecrets:
    SECRET = "Zauberwort-4711"

    def test_are_shown_and_logged_nowhere(self, decided: Target, box: Mailbox) -> None:
        client, page = decided.api("admin"), decided.browser("admin")
        told = [
            client.patch(SETTINGS, json={"smtp_password": self.SECRET, "smtp_port": -1}),
            client.patch(SETTINGS, json={"smtp_password": [self.SECRET]}),
            client.patch(SETTINGS, json={"smtp_user": "sales", "smtp_password": self.SECRET, **box.settings}),
            client.post(TRIAL, json={"to": "anna@example.com"}),  # which the server does not let sign in
            client.get(SETTINGS),
            client.get("/api/v1/audit"),
            client.get("/api/v1/status"),
            *(client.get("/api/v1/exports/audit", params={"format": form}) for form in ("csv", "ndjson")),
            page.post("/_dash-update-component", json=SHOW_SETTINGS),
            page.get("/settings"),
        ]
        assert [answer.status_code for answer in told] == [422, 422, 200, 503, *[200] * 7]
        assert all(self.SECRET not in answer.text for answer in told)
        assert self.SECRET not in decided.program.log.read_text()
        with decided.database.session() as session:
            kept = {row.name: row.value for row in session.execute(select(StoredSetting.name, StoredSetting.value))}
            noted = session.execute(text("SELECT before, after FROM audit_entry")).all()
        assert self.SECRET not in json.dumps(kept)
        assert kept["smtp_password"]
        assert self.SECRET not in str(noted)

    def test_are_for_administrators_alone(self, target: Target) -> None:
        for role in ("viewer", "analyst", "data_scientist"):
            assert target.api(role).get(SETTINGS).status_code == 403
            assert target.api(role).patch(SETTINGS, json={"smtp_host": "127.0.0.1"}).status_code == 403
            assert target.api(role).post(TRIAL, json={"to": "anna@example.com"}).status_code == 403
            assert target.browser(role).post("/_dash-update-component", json=SHOW_SETTINGS).status_code == 403


SHOW_SETTINGS = {
    "output": "..settings-sections.children...settings-version.data..",
    "outputs": [
        {"id": "settings-sections", "property": "children"},
        {"id": "settings-version", "property": "data"},
    ],
    "inputs": [{"id": "settings-sections", "property": "id", "value": "settings-sections"}],
    "changedPropIds": [],
}
