"""What goes to and fro as files, over real HTTP: uploads and exports."""

import re
from pathlib import Path
from typing import Any

import pytest

from nebuloviz.permissions import ROLES, Permission
from nebuloviz.services.uploads import MAX_WAITING
from nebuloviz.web.files import name_of_lines
from tests.program import PASSWORD, Program


def program_data(program: Program) -> Path:
    return Path(program.environment["NEBULOVIZ_DATA_DIR"])


class TestUploads:
    @pytest.mark.parametrize("role", sorted(ROLES))
    def test_need_the_permission_to_write_sales(self, program: Program, role: str) -> None:
        answer = program.as_(role).post(
            "/uploads?name=a.csv", content=b"a,b\n1,2\n", headers={"Content-Type": "application/octet-stream"}
        )
        allowed = Permission.SALES_WRITE in ROLES[role]
        assert answer.status_code == (201 if allowed else 403)
        assert not allowed or re.fullmatch(r"[0-9a-f]{32}", answer.json()["upload_id"])

    @pytest.mark.parametrize("chunked", [False, True])
    def test_are_kept_whole_and_limited(self, program: Program, chunked: bool) -> None:
        client = program.as_("admin")
        headers = {"Content-Type": "application/octet-stream"}
        for size, status in ((999_999, 201), (1_000_001, 413), (3_000_000, 413)):
            pieces = (b"x" * 1000 for _ in range(size // 1000)), b"x" * (size % 1000)
            content: Any = (part for part in [*pieces[0], pieces[1]]) if chunked else b"x" * size
            answer = client.post("/uploads?name=a.csv", content=content, headers=headers)
            assert answer.status_code == status, answer.text
            if status == 201:
                kept = program_data(program) / "uploads" / answer.json()["upload_id"]
                assert kept.stat().st_size == size

    def test_of_one_user_so_many_wait(self, program: Program) -> None:
        program.add_user("piler", "data_scientist")
        headers = {"Content-Type": "application/octet-stream"}
        others = program.as_("admin").post("/uploads?name=b.csv", content=b"b\n", headers=headers).json()["upload_id"]
        with program.client() as client:
            program.sign_in(client, "piler", PASSWORD)
            ids = [
                client.post("/uploads?name=a.csv", content=b"a\n%d\n" % number, headers=headers).json()["upload_id"]
                for number in range(MAX_WAITING + 2)
            ]
        kept = [(program_data(program) / "uploads" / upload_id).exists() for upload_id in [others, *ids]]
        assert kept == [True, False, False] + [True] * MAX_WAITING

    @pytest.mark.parametrize(
        "name",
        [
            "../../x.csv",
            "a\r\nSet-Cookie: x=1",
            "<img src=x>.csv",
            "\u202egnp.csv",
            "x" * 5000,
            "",
            "a/b\\c",
            "con.csv",
        ],
    )
    def test_names_are_only_words(self, program: Program, name: str) -> None:
        answer = program.as_("admin").post(
            "/uploads", params={"name": name}, content=b"a\n1\n", headers={"Content-Type": "application/octet-stream"}
        )
        assert answer.status_code == 201
        assert "x" not in answer.cookies
        assert {path.parent.name for path in program_data(program).rglob("*.csv")} <= {program_data(program).name}


class TestExports:
    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_are_downloads(self, program: Program, kind: str) -> None:
        query = "?m=revenue&by=category&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z"
        answer = program.as_("viewer").get(f"/export/{kind}{query}")
        assert answer.status_code == 200
        assert re.fullmatch(rf'attachment; filename="[\w.-]+\.{kind}"', answer.headers["content-disposition"])
        assert answer.headers["cache-control"] == "no-store"

    def test_of_a_heat_map_are_the_heat_map(self, program: Program) -> None:
        week = "?m=revenue&grain=hour&shape=week&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z"
        answer = program.as_("viewer").get(f"/export/csv{week}")
        assert [len(row.split(",")) for row in answer.text.splitlines()] == [25] * 8
        assert "revenue-by-weekday-and-hour-2026-11-01" in answer.headers["content-disposition"]
        pairs = "?m=revenue&by=store&by=channel&shape=pairs&top=5&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z"
        answer = program.as_("viewer").get(f"/export/csv{pairs}")
        assert answer.text.removeprefix("\ufeff").startswith("Revenue: Store × Channel")
        assert "revenue-by-store-channel-2026-11-01" in answer.headers["content-disposition"]

    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_of_sale_lines_are_downloads_for_those_who_may_see_them(self, program: Program, kind: str) -> None:
        path = f"/export/lines/{kind}?m=revenue&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z"
        answer = program.as_("analyst").get(path)
        assert answer.status_code == 200
        name = f"sale-lines-2026-11-01-2026-11-21.{kind}"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert program.as_("viewer").get(path).status_code == 403

    def test_of_too_many_lines_are_named_as_what_they_hold(self) -> None:
        assert [name_of_lines(count) for count in (20_000, 20_001)] == ["sale-lines", "sale-lines-newest-20000"]
        assert name_of_lines(20_001, "-revenue") == "sale-lines-first-20000"

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/export/lines/csv?m=revenue&sort=-revenue", 200),
            ("/export/lines/csv?m=revenue&sort=nonsense", 422),
            ("/export/csv?m=revenue&grain=day&sort=-revenue", 200),
            ("/export/csv?m=revenue&grain=day&sort=nonsense", 422),
            ("/export/csv?m=revenue&grain=day&with=expected&with=calendar&with=forecast&with=nonsense", 200),
            ("/export/csv?m=revenue&m=orders&by=store&grain=hour&with=expected&with=calendar&with=forecast", 200),
        ],
    )
    def test_are_put_in_order_and_filled_up_as_asked(self, program: Program, path: str, status: int) -> None:
        answer = program.as_("analyst").get(f"{path}&from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z")
        assert answer.status_code == status

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/export/pdf?m=revenue&from=2026-11-01&to=2026-11-02", 404),
            ("/export/csv", 422),
            ("/export/csv?m=nope&from=2026-11-01&to=2026-11-02", 422),
            ("/export/csv?m=revenue%0d%0aSet-Cookie:x&from=2026-11-01&to=2026-11-02", 422),
            ("/export/csv?m=revenue&from=x&to=y", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&limit=1e9", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&tz=../../etc/passwd", 422),
            ("/export/csv?m=revenue&from=0001-01-01&to=9999-12-31&grain=minute", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&f.category=%00", 400),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&f.Category=FUEL", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&f.category!!=FUEL", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&f.=FUEL", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&shape=cube", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&shape=week", 422),
            ("/export/csv?m=revenue&from=2026-11-01&to=2026-11-02&by=store&shape=pairs", 422),
        ],
    )
    def test_that_cannot_be_made_are_refused(self, program: Program, path: str, status: int) -> None:
        assert program.as_("viewer").get(path).status_code == status
