"""The audit log over real HTTP: what the edges add to it, and who gets it."""

import csv
import io
from dataclasses import asdict

import pytest

from nebuloviz.i18n import Preferences, use
from nebuloviz.permissions import ROLES, Permission
from nebuloviz.services.audit_words import change_lines
from nebuloviz.services.interfaces import NotificationRule
from tests.program import PASSWORD, Program

FIGURES = "/export/csv?m=revenue&from=2026-11-01&to=2026-11-02"


def log(program: Program, search: str) -> list[list[str]]:
    """Who, what, on what, and from where, of the entries that `search` finds, the newest first."""
    answer = program.as_("admin").get("/export/audit", params={"search": search})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    return [[who, what, subject, where] for _when, who, what, subject, _change, where in rows[1:]]


class TestEntries:
    def test_tell_of_a_visit_from_the_refused_sign_in_to_the_sign_out(self, program: Program) -> None:
        program.add_user("visitor")
        with program.client() as client:
            address = client.headers["X-Forwarded-For"]
            assert program.sign_in(client, "visitor", "wrong").status_code == 401
            assert program.sign_in(client, "who is this", "wrong").status_code == 401
            assert program.sign_in(client, "visitor", PASSWORD).status_code == 303
            assert client.get(FIGURES).status_code == 200
            assert client.post("/logout").status_code == 303
        assert log(program, address) == [
            ["visitor", "Signed out", "", address],
            ["visitor", "Exported figures", "revenue-2026-11-01-2026-11-01.csv", address],
            ["visitor", "Signed in", "", address],
            ["Nobody signed in", "Sign-in refused", "", address],
            ["Nobody signed in", "Sign-in refused", "user visitor", address],
        ]

    def test_tell_of_programs_too(self, program: Program) -> None:
        with program.client() as client:
            address = client.headers["X-Forwarded-For"]
            for password, status in (("wrong", 401), (PASSWORD, 200)):
                answer = client.post("/api/v1/auth/token", json={"username": "analyst", "password": password})
                assert answer.status_code == status
        assert log(program, address) == [
            ["analyst", "Signed in", "", address],
            ["Nobody signed in", "Sign-in refused", "user analyst", address],
        ]

    def test_believe_no_address_that_a_client_puts_before_the_proxys(self, program: Program) -> None:
        mine = program.address()
        with program.client(**{"X-Forwarded-For": f"203.0.113.99, {mine}"}) as client:
            program.sign_in(client, "viewer", "wrong")
        assert log(program, "203.0.113.99") == []
        assert len(log(program, mine)) == 1

    @pytest.mark.parametrize(
        ("path", "understood"),
        [
            (FIGURES, {}),
            (f"{FIGURES}&grain=day&with=forecast&sort=-revenue", {"with": ["forecast"], "sort": ["-revenue"]}),
            (f"{FIGURES}&grain=hour&shape=week", {"shape": ["week"], "top": ["10"]}),
            (FIGURES.replace("/csv", "/lines/csv"), {"sort": ["-sold_at"]}),
        ],
    )
    def test_tell_of_a_download_what_was_understood_alone(
        self, program: Program, path: str, understood: dict[str, list[str]]
    ) -> None:
        long = "x" * 5_000  # an address of more than 32 kB is refused where it comes in pieces
        assert program.as_("analyst").get(f"{path}&junk={long}&with={long}").status_code == 200
        with program.client() as client:
            given = client.post("/api/v1/auth/token", json={"username": "admin", "password": PASSWORD}).json()
            bearer = {"Authorization": f"Bearer {given['access_token']}"}
            found = client.get("/api/v1/audit", params={"action": "data:export", "limit": 1}, headers=bearer).json()
        (told,) = found["items"]
        assert long not in str(told)
        filters = told["after"]["filters"]
        assert {name: filters.get(name) for name in ("shape", "sort", "top", "with") if name in filters} == understood
        assert filters["m"] == ["revenue"]

    def test_tell_of_the_download_itself(self, program: Program) -> None:
        log(program, "nothing of this name")
        assert log(program, "admin")[0][:2] == ["admin", "Exported the audit log"]


class TestFile:
    @pytest.mark.parametrize("role", sorted(ROLES))
    def test_is_for_those_alone_who_may_read_the_log(self, program: Program, role: str) -> None:
        allowed = Permission.AUDIT_READ in ROLES[role]
        assert program.as_(role).get("/export/audit").status_code == (200 if allowed else 403)

    def test_is_not_for_everybody(self, program: Program) -> None:
        with program.client() as client:
            assert client.get("/export/audit").status_code == 302

    @pytest.mark.parametrize(
        "parameters", ["from=x", "to=2026-01-01", "from=2026-13-01T00:00:00Z", "to=٢٠٢٦", "from=%00"]
    )
    def test_of_no_moment_is_refused(self, program: Program, parameters: str) -> None:
        assert program.as_("admin").get(f"/export/audit?{parameters}").status_code in {400, 422}

    @pytest.mark.parametrize(
        "parameters", ["search=%25_%27", "action=nope", "from=0001-01-01T00:00:00Z", "search=" + "x" * 5000]
    )
    def test_survives_any_filter(self, program: Program, parameters: str) -> None:
        assert program.as_("admin").get(f"/export/audit?{parameters}").status_code == 200


class TestWhatChanged:
    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("role", "data_scientist", "Role: Data scientist"),
            ("role", "gone-1", "Role: gone-1"),
            ("by", "browser", "Via: Browser"),
            ("expires_at", "2027-02-28T14:15:24.210877+00:00", "Valid until: Feb 28, 2027, 2:15\u202fPM"),
            ("snoozed_until", "tomorrow", "Snoozed until: tomorrow"),
            ("metric", "rejected_records", "Metric: Share of rejected records"),
            ("metric", "gone", "Metric: gone"),
            ("state", "snoozed", "State: Snoozed"),
            ("verdict", "false_alarm", "Verdict: False alarm"),
            ("kind", "holidays", "Kind: Public holidays"),
            ("week_start", 6, "Week starts on: Sunday"),
            ("languages", ["ar", "de"], "Languages offered: العربية, Deutsch"),
            ("digest_at", 450, "Daily digest, by e-mail: 7:30\u202fAM"),
            ("fiscal_year_start", 4, "First month of the fiscal year: April"),
            ("language", "ar", "Language: العربية"),
            ("permissions", ["data:read", "gone"], "Permissions: View figures, gone"),
            ("rules", [asdict(NotificationRule("high", ("orders",)))], "Sends: High and above · Orders"),
            ("scope", {"store": ["1", "2"], "gone": ["3"]}, "Sees only: Store = 1, 2; gone = 3"),
        ],
    )
    def test_is_told_in_the_words_of_the_pages(self, field: str, value: object, words: str) -> None:
        assert change_lines({}, {field: value}) == [words]

    def test_leads_on_in_the_direction_of_reading(self) -> None:
        with use(Preferences("ar")):
            assert change_lines({"role": "viewer"}, {"role": "admin"}) == ["الدور: قارئ ← مدير النظام"]
