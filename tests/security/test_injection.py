"""Text that means something elsewhere: to databases, spreadsheets, browsers, headers and logs. Here it is text, everywhere."""

import csv
import io
import json
from typing import Any

import httpx
import openpyxl
import pytest

from tests.dash_requests import body_of, post, visit
from tests.program import PASSWORD
from tests.security.conftest import YESTERDAY, Target, sale

SPAN: dict[str, Any] = {"start": "2020-01-01", "end": "2100-01-01"}
EXPORT = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "m": "revenue"}

SQL = [
    "' OR '1'='1",
    "'; DROP TABLE sale; --",
    '" OR ""="',
    "') UNION SELECT username, password_hash FROM app_user --",
    "\\'; SELECT pg_sleep(5); --",
    "1; ATTACH DATABASE '/tmp/x' AS x",
    "$$; SELECT 1; $$",
    "/**/OR/**/1=1#",
    "%27%20OR%201=1",
    "ʼ OR 1=1",
    ":start",
    "%(x)s",
    "?",
    "{0}",
]
FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example")',
    "＝1+1",
    "x;=1+1",
    "=1+1;x",
]
HTML = [
    "<b>bold</b>",
    '<a href="javascript:alert(1)">click</a>',
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    "[x](javascript:alert(1))",
    "{{7*7}}",
    "&lt;b&gt;",
    "<br>two",
    "$\\frac{1}{2}$",
    "%{y}<extra>x</extra>",
]


@pytest.fixture(scope="module")
def filled(target: Target) -> Target:
    """A sale of each of these names."""
    names = [*SQL, *FORMULAS, *HTML]
    sales = [
        sale(
            1000 + number,
            product=name,
            product_id=f"id {name}",
            category=name,
            store=name,
            region=name,
            customer_id=name,
        )
        for number, name in enumerate(names)
    ]
    answer = target.api("data_scientist").post("/api/v1/sales", json=sales).json()
    assert answer["rejected"] == 0, answer
    return target


class TestDatabase:
    @pytest.mark.parametrize("text", [*SQL, "%", "_", "\\", "\\%", "[a-z]", "*"])
    def test_takes_text_for_text_in_every_filter(self, filled: Target, text: str) -> None:
        client = filled.api("analyst")
        body = {"metrics": ["lines"], **SPAN, "filters": [{"dimension": "category", "values": [text]}]}
        found = client.post("/api/v1/query", json=body)
        assert found.json()["rows"] == [[1 if text in SQL else 0]] or (
            text not in SQL and found.json()["rows"] in ([], [[0]])
        )
        lines = client.get("/api/v1/sales", params=SPAN | {"filter": f"category={text}"})
        assert lines.json()["total"] == (1 if text in SQL else 0)
        values = client.get("/api/v1/dimensions/category/values", params={"search": text, "limit": 500}).json()["items"]
        assert all(text.lower() in item["label"].lower() or text in item["value"] for item in values), values
        for path, name in (("alerts", "series"), ("users", "search"), ("audit", "search")):
            answer = filled.api("admin").get(f"/api/v1/{path}", params={name: text})
            assert answer.status_code == 200, answer.text
        page = filled.browser("analyst")
        assert page.get("/export/csv", params=EXPORT | {"f.category": text, "by": "category"}).status_code == 200
        assert (
            post(page, visit("/explore", str(httpx.QueryParams({"f.category": text, "m": "revenue"})))).status_code
            == 200
        )

    @pytest.mark.parametrize("text", SQL)
    def test_is_not_asked_by_names_from_outside(self, filled: Target, text: str) -> None:
        client = filled.api("analyst")
        base = {"metrics": ["revenue"], **SPAN}
        for change in (
            {"metrics": [text]},
            {"dimensions": [text]},
            {"order": text},
            {"time_zone": text},
            {"grain": text},
            {"comparison": text},
            {"start": text},
            {"filters": [{"dimension": text, "values": ["x"]}]},
            {"filters": [{"dimension": "category", "op": text, "values": ["x"]}]},
        ):
            assert client.post("/api/v1/query", json=base | change).status_code == 422, change
        for parameters in ({"order": text}, {"cursor": text}, {"limit": text}, {"time_zone": text}):
            assert client.get("/api/v1/sales", params=SPAN | parameters).status_code == 422, parameters
        assert client.get("/api/v1/dimensions/x/values", params={"search": text}).status_code in {404, 422}
        page = filled.browser("analyst")
        for name in ("m", "by", "grain", "tz", "from", "to", "limit", "order", "cmp"):
            answer = page.get("/export/csv", params=EXPORT | {name: text})
            assert answer.status_code in {200, 422}, answer.text
            assert answer.status_code == 422 or name in {"order", "cmp"}, (name, answer.text[:200])

    @pytest.mark.parametrize("limit", [0, -1, 10**9, 2**63, "1e3", "NaN", "null", ""])
    def test_gives_no_more_than_a_page(self, filled: Target, limit: int | str) -> None:
        for path in ("sales", "alerts", "audit", "dead-letters", "imports"):
            params: dict[str, Any] = {"limit": limit} | (SPAN if path == "sales" else {})
            assert filled.api("admin").get(f"/api/v1/{path}", params=params).status_code == 422, path

    @pytest.mark.parametrize(
        "cursor", ["", "x", "0", "-1-1", "eyJ4IjoxfQ==", "9" * 4000, "W10=", "bnVsbA==", "AAAA", "\x7f", "é"]
    )
    def test_knows_its_own_cursors(self, filled: Target, cursor: str) -> None:
        for path in ("sales", "alerts", "audit", "dead-letters"):
            params = {"cursor": cursor} | (SPAN if path == "sales" else {})
            answer = filled.api("admin").get(f"/api/v1/{path}", params=params)
            assert answer.status_code in {200, 422}, (path, answer.text)


class TestSpreadsheets:
    @pytest.mark.parametrize("by", ["category", "product", "store"])
    def test_find_no_formula_in_figures(self, filled: Target, by: str) -> None:
        page, question = filled.browser("analyst"), EXPORT | {"by": by}
        self.check_csv(page.get("/export/csv", params=question).content)
        self.check_xlsx(page.get("/export/xlsx", params=question).content)
        body = {"metrics": ["revenue"], "dimensions": [by], **SPAN}
        self.check_csv(filled.api("analyst").post("/api/v1/query", json=body, headers={"Accept": "text/csv"}).content)

    def test_find_no_formula_in_sale_lines(self, filled: Target) -> None:
        page = filled.browser("analyst")
        self.check_csv(page.get("/export/lines/csv", params=EXPORT).content)
        self.check_xlsx(page.get("/export/lines/xlsx", params=EXPORT).content)

    def test_find_no_formula_in_the_audit_log(self, filled: Target) -> None:
        for number, formula in enumerate(FORMULAS):
            with filled.nobody() as client:  # who may write into the log without being anybody
                body = {"username": f"{formula}{number}", "password": "x"}
                assert client.post("/api/v1/auth/token", json=body).status_code in {401, 422}
        filled.browser("analyst").get("/export/csv", params=EXPORT | {"f.category": "=1+1"})
        self.check_csv(filled.browser("admin").get("/export/audit").content)

    @staticmethod
    def check_csv(content: bytes) -> None:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        assert len(rows) > 1
        for delimiter in ",;\t":
            for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter):
                for cell in row:
                    assert not cell.startswith(("=", "+", "@", "\t", "\r", "＝", "＋", "＠")), cell
                    assert not cell.startswith("-") or cell[1:].replace(".", "").isdigit(), cell

    @staticmethod
    def check_xlsx(content: bytes) -> None:
        book = openpyxl.load_workbook(io.BytesIO(content))
        cells = [cell for row in book.worksheets[0].iter_rows() for cell in row]
        assert any(str(cell.value).startswith("=") for cell in cells), "as text, to the letter"
        assert {cell.data_type for cell in cells} <= {"s", "n", "d", "b", "inlineStr"}
        assert not any(cell.hyperlink for cell in cells)


class TestPages:
    def test_hold_no_markup_of_others_in_any_figure(self, filled: Target) -> None:
        """Plotly reads pseudo-HTML and templates in texts; those of figures are escaped."""
        client, checked = filled.browser("analyst"), 0
        entries = [entry for entry in client.get("/_dash-dependencies").json() if not entry["clientside_function"]]
        for search in (
            "?m=revenue&by=category",
            "?m=revenue&by=product&chart=treemap",
            "?m=orders&by=store&by=region&chart=heatmap",
        ):
            for entry in entries:
                body = body_of(entry)
                for item in (*body["inputs"], *body["state"]):
                    if isinstance(item, dict) and item["property"] in {"search", "pathname"}:
                        item["value"] = search if item["property"] == "search" else "/explore"
                answer = post(client, body)
                assert answer.status_code in {200, 204, 403, 400}, answer.text
                if answer.status_code == 200:
                    checked += sum(self.check(figure) for figure in figures(answer.json()))
        assert checked > 20

    @staticmethod
    def check(figure: dict[str, Any]) -> int:
        found = 0
        for text in texts(figure):
            found += "alert(1)" in text or "bold" in text
            assert "<img" not in text, text
            assert "<a " not in text, text
            assert "<b>bold" not in text, text
            assert "<script" not in text, text
            assert "<extra>x" not in text, text
        return found

    @pytest.mark.parametrize("text", HTML)
    def test_show_what_is_typed_as_it_is(self, filled: Target, text: str) -> None:
        with filled.nobody() as client:
            for path in ("/login", "/nope", f"/login?next=/{text}", f"/welcome/{text.replace('/', '')}"):
                answer = client.get(path, params={"q": text} if "?" not in path else None)
                assert answer.status_code < 500
                if text.startswith("<"):
                    assert text not in answer.text, path
        page = filled.browser("admin").get("/", params={"f.category": text, "next": text})
        assert not text.startswith("<") or text not in page.text


def figures(answer: Any) -> list[dict[str, Any]]:
    """Every figure in a callback's answer, wherever it stands."""
    if isinstance(answer, list):
        return [found for part in answer for found in figures(part)]
    if not isinstance(answer, dict):
        return []
    if "layout" in answer and "data" in answer:
        return [answer]
    return [found for part in answer.values() for found in figures(part)]


#: What figures hold of values as they are: by them clicks, colours and places find their way. Axes are read by their `ticktext`,
#: which `test_shown` sees in a browser.
UNSEEN = {"ids", "parents", "meta", "uid", "uirevision", "legendgroup", "x", "y", "tickvals", "categoryarray"}
READ_BY_CLICKS = 3  # so many parts of a point's customdata; those behind are shown


def texts(node: Any) -> list[str]:
    """All that is shown."""
    if isinstance(node, str):
        return [node]
    if isinstance(node, dict):
        return [text for name, part in node.items() if name not in UNSEEN for text in texts(part)]
    if not isinstance(node, list):
        return []
    is_mark = len(node) >= READ_BY_CLICKS and isinstance(node[1], list)
    return [text for part in (node[READ_BY_CLICKS:] if is_mark else node) for text in texts(part)]


class TestHeaders:
    BREAKS = (
        "\r\nSet-Cookie: x=1",
        "\nX-Evil: 1",
        "\r\n\r\n<html>",
        "\u2028X-Evil: 1",
        "%0d%0aX-Evil: 1",
        "\x85X-Evil: 1",
        "嘊嘍X-Evil: 1",
    )

    @pytest.mark.parametrize("text", BREAKS, ids=ascii)
    def test_get_no_lines_from_outside(self, filled: Target, text: str) -> None:
        page = filled.browser("admin")
        answers = [
            page.get("/export/csv", params=EXPORT | {"f.category": text, "by": "category"}),
            page.get("/export/csv", params=EXPORT | {"m": f"revenue{text}"}),
            page.get("/export/audit", params={"search": text}),
            page.get("/login", params={"next": f"/{text}", "lang": f"de{text}"}),
            page.get("/locale/de.js", params={"currency": text, "v": text, "week": text}),
            filled.api("admin").get("/api/v1/users", params={"search": text}),
        ]
        with filled.nobody() as client:
            answers += [
                client.get("/explore", params={"x": text}),
                client.get(f"/x{text}".replace("\r", "%0d").replace("\n", "%0a")),
            ]
            answers.append(client.post("/api/v1/auth/token", json={"username": f"x{text}", "password": "x"}))
        for answer in answers:
            assert answer.status_code < 500, answer.text
            assert "x-evil" not in answer.headers
            assert "x" not in answer.cookies
        log = filled.program.log.read_text().splitlines()
        assert all(line.startswith(("{", "NebuloViz", "Sign in")) for line in log), "one event, one line"

    @pytest.mark.parametrize("header", ["X-Request-Id", "X-Correlation-Id", "User-Agent", "Accept-Language", "Referer"])
    def test_are_not_given_back(self, target: Target, header: str) -> None:
        with target.nobody() as client:
            answer = client.get("/login", headers={header: "planted-<b>-value"})
        assert "planted" not in answer.text
        assert not any("planted" in value for value in answer.headers.values())

    @pytest.mark.parametrize(
        "header", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Forwarded-Server", "X-Forwarded-Proto", "Host"]
    )
    def test_do_not_say_where_links_lead(self, target: Target, header: str) -> None:
        """Neither in what is answered now nor, by a cache, to the next one."""
        value = "host=evil.example" if header == "Forwarded" else "evil.example"
        with target.nobody(**{header: value}) as client:
            for path in ("/login", "/explore", "/assets/tokens.css", "/", "/api/v1/openapi.json", "/api/v1/docs"):
                answer = client.get(path)
                assert "evil" not in answer.text
                assert "evil" not in str(answer.headers)
        made = target.api("admin").post(
            "/api/v1/users", json={"username": f"linked-{header.lower()}", "role": "viewer"}, headers={header: value}
        )
        assert (made.status_code, "evil" in made.text) == (201, False)


class TestJson:
    BODIES = (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"metrics": ["revenue"], "metrics": ["orders"], "start": "2026-01-01", "end": "2026-01-02", "limit": '
        + b"9" * 5000
        + b"}",
        b'{"start": NaN}',
        b'{"start": 1e400}',
        b'{"start": "\\ud800"}',
        b'\xef\xbb\xbf{"start": "x"}',
        b'{"__proto__": {"role": "admin"}}',
        b'{"$where": "1"}',
        b"'single'",
        b"{/* comment */}",
        b"\x00",
        b"\xff\xfe{\x00}\x00",
        b"1" * 1_000_000,
        b'"' + b"\\u0000" * 1000 + b'"',
    )

    @pytest.mark.parametrize("body", BODIES, ids=lambda body: ascii(body[:20]))
    @pytest.mark.parametrize(
        "path", ["/api/v1/query", "/api/v1/users", "/api/v1/tokens", "/api/v1/stream/resume", "/_dash-update-component"]
    )
    def test_of_no_sense_is_refused(self, target: Target, path: str, body: bytes) -> None:
        client = target.browser("admin") if path.startswith("/_") else target.api("admin")
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("body", BODIES, ids=lambda body: ascii(body[:20]))
    def test_of_no_sense_is_no_sale(self, target: Target, body: bytes) -> None:
        for kind in ("application/json", "application/x-ndjson"):
            answer = target.api("data_scientist").post("/api/v1/sales", content=body, headers={"Content-Type": kind})
            assert answer.status_code in {200, 400, 413}, answer.text
            assert answer.status_code != 200 or answer.json()["accepted"] == 0

    def test_bad_neighbours_harm_no_sale(self, target: Target) -> None:
        good = json.dumps(sale(9_001)).encode()
        bad = [
            b'{"sale_id": NaN}',
            b"[" * 500 + b"]" * 500,
            b'"x"',
            b"null",
            b'{"sale_id": "\\ud800"}',
            b'{"a": ' + b"9" * 5000 + b"}",
        ]
        content = b"[" + b",".join([bad[0], good, *bad[1:], json.dumps(sale(9_002)).encode()]) + b"]"
        answer = target.api("data_scientist").post(
            "/api/v1/sales", content=content, headers={"Content-Type": "application/json"}
        )
        assert [row["status"] for row in answer.json()["results"]] == [
            "rejected",
            "accepted",
            *["rejected"] * 5,
            "accepted",
        ]


def test_what_is_noted_of_a_stranger_is_cut_and_clean(target: Target) -> None:
    """The log takes a name only of somebody that there is, and no password, whatever field it was typed into."""
    with target.nobody() as client:
        client.post("/api/v1/auth/token", json={"username": PASSWORD, "password": "x"})
        client.post("/api/v1/auth/token", json={"username": "viewer", "password": "secret-typed-wrongly"})
    audit = target.api("admin").get("/api/v1/audit", params={"limit": 50}).text
    assert PASSWORD not in audit
    assert "secret-typed" not in audit
    assert "secret-typed" not in target.program.log.read_text()
    assert PASSWORD not in target.program.log.read_text()
    assert YESTERDAY.isoformat() not in target.program.log.read_text()
