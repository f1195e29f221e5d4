"""Files that are not what they seem, sent as a browser does: uploaded, looked into, imported, and what of them is kept."""

import csv
import gzip
import io
import itertools
import json
import time
import zipfile
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import openpyxl
import psutil
import pytest

from tests.dash_requests import body_of, post
from tests.security.conftest import MAX_UPLOAD_MB, YESTERDAY, Target
from tests.served import raw

STREAM = {"Content-Type": "application/octet-stream"}
WHEN = YESTERDAY.isoformat()
COLUMNS = ("sale_id", "order_id", "sold_at", "product_id", "product", "category", "quantity", "amount")
_numbers = itertools.count()


def upload(client: httpx.Client, content: bytes, name: str = "sales.csv") -> httpx.Response:
    return client.post(f"/uploads?name={quote(name)}", content=content, headers=STREAM)


def stored(client: httpx.Client, content: bytes, name: str = "sales.csv") -> str:
    sent = upload(client, content, name)
    assert sent.status_code == 201, sent.text
    upload_id: str = sent.json()["upload_id"]
    return upload_id


def ask(client: httpx.Client, beginning: str, clicked: str, **values: Any) -> str:
    """The answer of the callback whose outputs begin so, with these values of its components; those of the mapping by field."""
    entries = client.get("/_dash-dependencies").json()
    entry = next(found for found in entries if found["output"].strip(".").startswith(beginning))
    body = body_of(entry) | {"changedPropIds": [clicked]}
    body["state"] = [
        _mapping(item, values) if isinstance(item, list) else item | {"value": values.get(item["id"])}
        for item in body["state"]
    ]
    body["inputs"] = [item | {"value": values.get(item["id"])} for item in body["inputs"]]
    answer = post(client, body)
    assert answer.status_code == 200, answer.text
    return answer.text


def _mapping(pattern: list[dict[str, Any]], values: dict[str, Any]) -> list[dict[str, Any]]:
    """Each column named like a field is that field."""
    kind = pattern[0]["id"]["type"]
    ids = [{"type": kind, "of": field} for field in values["columns"]]
    return [
        {"id": id_, "property": pattern[0]["property"], "value": id_ if pattern[0]["property"] == "id" else id_["of"]}
        for id_ in ids
    ]


def looked_into(client: httpx.Client, content: bytes, name: str = "sales.csv") -> str:
    """What the page says of a file."""
    return ask(client, "data-form.children", "data-upload.data", **{"data-upload": stored(client, content, name)})


def imported(target: Target, content: bytes, name: str = "sales.csv") -> dict[str, Any]:
    """The import of a file, once it is over."""
    client = target.browser("data_scientist")
    before = _last_import(target).get("id")
    values = {"data-upload": stored(client, content, name), "data-start": 1, "columns": COLUMNS}
    said = ask(client, "data-upload.data", "data-start.n_clicks", **values)
    assert "has started" in said, said
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        last = _last_import(target)
        if last.get("id") != before and last["state"] in {"done", "failed"}:
            return last
        time.sleep(0.2)
    raise AssertionError(last)


def _last_import(target: Target) -> dict[str, Any]:
    items = target.api("analyst").get("/api/v1/imports", params={"limit": 1}).json()["items"]
    return items[0] if items else {}


def table(*rows: dict[str, str], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    """A CSV file of good sales but for what each row says."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, delimiter=delimiter)
    writer.writeheader()
    for row in rows:
        number = next(_numbers)
        usual = {"sale_id": f"f-{number}", "order_id": f"of-{number}", "sold_at": WHEN, "product_id": "p"}
        writer.writerow(usual | {"product": "Milk", "category": "File", "quantity": "1", "amount": "2"} | row)
    return out.getvalue().encode(encoding)


class TestSize:
    def test_is_limited_whatever_was_announced(self, target: Target) -> None:
        client = target.browser("data_scientist")
        limit = MAX_UPLOAD_MB * 1_000_000
        pieces = (b"x" * 100_000 for _ in range(limit // 100_000 + 1))
        assert client.post("/uploads?name=a", content=pieces, headers=STREAM).status_code == 413
        assert upload(client, b"x" * (limit + 1)).status_code == 413
        assert upload(client, b"x" * limit).status_code == 201

    @pytest.mark.parametrize("announced", ["-5", "1e3", "99999999999999999999", "", "0x5", "5, 5, 6"])
    def test_that_is_no_number_is_refused(self, target: Target, announced: str) -> None:
        assert self.sent(target, f"Content-Length: {announced}", b"sale_id\n1\n").split(b" ")[1] in {b"400", b"413"}

    @pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
    def test_that_was_not_reached_leaves_nothing(self, target: Target, framing: str) -> None:
        """Killed half-way: what has come is not a file, and there is nothing to be imported by mistake."""
        folder = target.data_dir / "uploads"
        before = set(folder.iterdir()) if folder.is_dir() else set()
        sent = b"sale_id\n1\n" if framing.startswith("Content") else b"a\r\nsale_id\n1\n\r\n"
        answer = self.sent(target, framing, sent, hang_up=True)
        assert b"upload_id" not in answer
        deadline = time.monotonic() + 60
        while set(folder.iterdir()) - before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not set(folder.iterdir()) - before

    @staticmethod
    def sent(target: Target, framing: str, content: bytes, *, hang_up: bool = False) -> bytes:
        cookies = "; ".join(f"{name}={value}" for name, value in target.browser("data_scientist").cookies.items())
        head = f"POST /uploads?name=a HTTP/1.1\r\nHost: {urlsplit(target.url).netloc}\r\nCookie: {cookies}\r\n"
        head += f"Connection: close\r\nContent-Type: application/octet-stream\r\n{framing}\r\n\r\n"
        return raw(target.url, head.encode() + content, hang_up=hang_up)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "../../../etc/passwd",
            "..\\..\\windows\\win.ini",
            "/etc/passwd",
            "a\x00.csv",
            "a\r\nSet-Cookie: x=1.csv",
            "<img src=x onerror=alert(1)>.csv",
            "javascript:alert(1)",
            "\u202egnp.exe",
            "con",
            "'; DROP TABLE sale; --.csv",
            "x" * 3000,
            "",
            "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"),
            "=cmd|' /C calc'!A0.csv",
        ],
        ids=ascii,
    )
    def test_are_only_words(self, target: Target, name: str) -> None:
        client = target.browser("data_scientist")
        if "\x00" in name:
            assert upload(client, table({}), name).status_code == 400
            return
        said = json.loads(looked_into(client, table({}), name))["response"]["data-form"]["children"]
        heading = said["props"]["children"][0]["props"]["children"]
        assert isinstance(heading, str), "text, which React shows as such"
        assert heading.isprintable()
        assert len(heading) < 300
        assert not any("passwd" in path.name or "win.ini" in path.name for path in target.data_dir.rglob("*"))

    def test_stay_words_in_what_is_kept_of_an_import(self, target: Target) -> None:
        name = "=cmd|' /C calc'!A0\r\nSet-Cookie: x=1 <img src=x>.csv"
        last = imported(target, table({}), name)
        assert (last["state"], last["accepted"]) == ("done", 1)
        assert last["name"] == name.replace("\r\n", "")


@pytest.mark.parametrize(
    "target", ["sqlite"], indirect=True, scope="session"
)  # none of them comes as far as a database
class TestBombs:
    """Small files that grow, and wide and deep ones: refused with a reason, at once, and in little memory."""

    def bombs(self) -> dict[str, bytes]:
        return {
            "gzip": gzip.compress(b"sale_id,order_id\n" + b"\n" * (60 << 20)),
            "gzip in gzip": gzip.compress(gzip.compress(b"x" * (60 << 20))),
            "zip": _zipped({"xl/workbook.xml": b"<x/>", "xl/worksheets/sheet1.xml": b" " * (60 << 20)}),
            "entities": _workbook_with(
                b'<!DOCTYPE l [<!ENTITY a "lol">'
                + b"".join(b'<!ENTITY %c "%s">' % (97 + n, b"&%c;" % (96 + n) * 10) for n in range(1, 20))
                + b"]>"
            ),
            "external entity": _workbook_with(b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
            "columns": ",".join(f"c{n}" for n in range(200_000)).encode() + b"\n",
            "workbook of many columns": _wide_workbook(),
            "zip that is none": b"PK\x03\x04" + b"\x00" * 1000,
            "parquet that is none": b"PAR1" + b"\xff" * 1000 + b"PAR1",
            "gzip that ends early": gzip.compress(b"sale_id,order_id\n1,2\n" * 1000)[:100],
            "nothing but a mark": b"\xef\xbb\xbf",
            "nothing": b"",
            "nul": b"\x00" * 10_000,
            "one line": b"x" * 1_900_000,
            "quote that never ends": b'sale_id,order_id\n"' + b"a,b\n" * 400_000,
        }

    def test_are_refused_with_a_reason_and_without_harm(self, target: Target) -> None:
        client, process = target.browser("data_scientist"), psutil.Process(target.program.process.pid)
        before = process.memory_info().rss
        for name, content in self.bombs().items():
            said = looked_into(client, content)
            assert "root:" not in said, name
            assert "internal_error" not in said, (name, said)
            assert "nv-mapping" not in said or name in {"one line", "quote that never ends"}, (name, said[:500])
        assert process.memory_info().rss - before < 300 << 20
        assert target.browser("viewer").get("/").status_code == 200


def _zipped(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def _workbook_with(doctype: bytes) -> bytes:
    """A workbook whose one cell is an entity of its own."""
    out, book = io.BytesIO(), openpyxl.Workbook()
    book.active.append(["CELL"])
    book.save(out)
    with zipfile.ZipFile(out) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b"CELL", b"&s;" if b"&s" in doctype else b"&a;")
    head, mark, rest = sheet.rpartition(b"?>")
    parts["xl/worksheets/sheet1.xml"] = head + mark + doctype + rest
    return _zipped(parts)


def _wide_workbook() -> bytes:
    out, book = io.BytesIO(), openpyxl.Workbook()
    book.active.append([f"c{number}" for number in range(16_000)])
    book.save(out)
    return out.getvalue()


class TestContent:
    @pytest.mark.parametrize(
        "encoding",
        ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32", "utf-7", "cp037", "shift_jis"],
    )
    def test_of_any_encoding_is_read_or_refused_with_a_reason(self, target: Target, encoding: str) -> None:
        said = looked_into(target.browser("data_scientist"), table({"product": "Cafe"}, encoding=encoding))
        assert ("nv-mapping" in said) != ("nv-problem" in said or "cannot be read" in said or "not text" in said), said[
            :500
        ]

    def test_of_odd_numbers_and_times_is_rejected_line_by_line(self, target: Target) -> None:
        good = [{}, {"quantity": "-1", "amount": "-2"}, {"amount": "0.10"}]
        bad = [
            *({"amount": amount} for amount in ("NaN", "inf", "-Infinity", "1e999", "0x10", "1_000", "٣٤")),
            *({"amount": amount} for amount in (str(2**63), "9" * 5000, "1,2,3.4.5", "=1+1", "<b>1</b>", "--1")),
            *({"quantity": quantity} for quantity in ("", "true", "1 OR 1=1", "²", "9" * 40)),
            *(
                {"sold_at": moment}
                for moment in ("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59")
            ),
            *(
                {"sold_at": moment}
                for moment in ("0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z")
            ),
            *(
                {"sold_at": moment}
                for moment in ("now", "", "-1", "1e10", "2999-01-01T00:00:00Z", "1969-12-31T23:59:59Z")
            ),
            *({name: ""} for name in ("sale_id", "order_id", "product_id")),
            {"sale_id": "x" * 5000},
            {"product": "nul\x00"},
            {"category": "x" * 200},
        ]
        rows = [row for pair in zip(bad, itertools.cycle(good), strict=False) for row in pair]
        last = imported(target, table(*rows))
        assert (last["state"], last["accepted"], last["rejected"]) == ("done", len(bad), len(bad)), last
        letters = target.api("analyst").get("/api/v1/dead-letters", params={"limit": 200}).json()["items"]
        assert all(letter["reason"] for letter in letters)

    def test_that_comes_twice_counts_once(self, target: Target) -> None:
        content = table(*({} for _ in range(20)))
        assert imported(target, content)["accepted"] == 20
        again = imported(target, content + b"\n", "another name.csv")
        assert (again["accepted"], again["duplicate"]) == (0, 20)


class TestPlaces:
    @pytest.mark.parametrize(
        "upload_id",
        [
            "0" * 32,
            "../nebuloviz.sqlite3",
            "..",
            "",
            "%2e%2e/secret_key",
            "a" * 31,
            "A" * 32,
            "a" * 32 + "\n",
            "a" * 32 + ".json",
        ],
    )
    def test_that_are_no_uploads_cannot_be_looked_into(self, target: Target, upload_id: str) -> None:
        client = target.browser("data_scientist")
        said = ask(client, "data-form.children", "data-upload.data", **{"data-upload": upload_id})
        assert "not there any more" in said
        values = {"data-upload": upload_id, "data-start": 1, "columns": COLUMNS}
        assert "not there any more" in ask(client, "data-upload.data", "data-start.n_clicks", **values)
