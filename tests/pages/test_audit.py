"""The audit log's page: filters, pages, words, and its file."""

from dataclasses import replace
from typing import Any

import pytest

from nebuloviz.errors import Unavailable
from nebuloviz.i18n import Preferences, use
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.audit_files import audit_sheet
from nebuloviz.services.audit_words import ACTION_WORDS, change_lines, subject_words
from nebuloviz.services.export import csv_bytes
from nebuloviz.services.interfaces import AuditAction, AuditEntryView
from tests.fakes import NOW
from tests.pages.conftest import Browser, Drawn, Shop

ALL_TIME = "?range=all"


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import audit  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return audit


@pytest.fixture
def log(shop: Shop) -> Shop:
    """120 exports by ann, and one user created by the program, the newest entry."""
    for number in range(120):
        actor = replace(SYSTEM, username="ann")
        shop.audit.record(None, actor, AuditAction.DATA_EXPORTED, f"file {number}")  # type: ignore[arg-type]
    shop.audit.record(None, SYSTEM, AuditAction.USER_CREATED, "user <b>ben</b>", after={"role": "viewer"})  # type: ignore[arg-type]
    return shop


def show(page: Any, search: str = "", action: str = "all", trail: Any = None, following: Any = None) -> dict[str, Any]:
    answer = page.show(ALL_TIME, search, action, None, None, trail, following)
    return dict(zip(("table", "trail", "next", "no_newer", "no_older", "link"), answer, strict=True))


class TestTable:
    def test_says_who_what_and_how(self, page: Any, log: Shop, drawn: Drawn) -> None:
        text = drawn(show(page)["table"])
        assert "Created a user" in text
        assert "Command line or program" in text
        assert "user <b>ben</b>" in text
        assert "Role: Viewer" in text
        assert "file 119" in text

    def test_every_action_has_words(self) -> None:
        assert set(ACTION_WORDS) == set(AuditAction)

    def test_is_filtered_by_who_and_action(self, page: Any, log: Shop, drawn: Drawn) -> None:
        assert "file 1" not in drawn(show(page, search="ben")["table"])
        assert "ben" not in drawn(show(page, action=str(AuditAction.DATA_EXPORTED))["table"])

    def test_without_entries_says_so(self, page: Any, drawn: Drawn) -> None:
        assert "Nothing was recorded" in drawn(show(page)["table"])

    def test_of_a_database_that_is_away_says_so(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.audit.failure = Unavailable("The database does not answer.")
        assert "does not answer" in drawn(show(page)["table"])


class TestPages:
    def test_lead_to_the_oldest_and_back(self, page: Any, log: Shop, browser: Browser, drawn: Drawn) -> None:
        first = show(page)
        assert (first["no_newer"], first["no_older"]) == (True, False)
        browser.triggers("audit-older.n_clicks", 1)
        second = show(page, trail=first["trail"], following=first["next"])
        last = show(page, trail=second["trail"], following=second["next"])
        assert "file 0" in drawn(last["table"])
        assert (last["no_newer"], last["no_older"]) == (False, True)
        browser.triggers("audit-newer.n_clicks", 1)
        assert drawn(show(page, trail=last["trail"])["table"]) == drawn(second["table"])

    @pytest.mark.parametrize("trail", [None, 5, "x", {"a": 1}, [None, {}], ["x"]])
    def test_survive_whatever_a_browser_says(self, page: Any, log: Shop, browser: Browser, trail: Any) -> None:
        browser.triggers("audit-older.n_clicks", 1)
        assert show(page, trail=trail, following=trail)["table"] is not None

    def test_begin_anew_with_another_filter(self, page: Any, log: Shop, browser: Browser) -> None:
        browser.triggers("audit-search.value", "ann")
        assert show(page, search="ann", trail=["40"], following="20")["trail"] == []


class TestFile:
    def test_is_linked_with_the_filters(self, page: Any, drawn: Drawn) -> None:
        link = drawn(show(page, search="a&b=c", action="user:create")["link"])
        assert "/export/audit?search=a%26b%3Dc&action=user%3Acreate" in link

    def test_takes_no_text_for_a_formula(self, shop: Shop, browser: Browser) -> None:
        shop.audit.record(None, replace(SYSTEM, username="=1+1"), AuditAction.SIGN_IN, "@sum")  # type: ignore[arg-type]
        lines = csv_bytes(audit_sheet(shop.audit.kept)).decode("utf-8-sig").splitlines()
        assert lines[0] == "When,Who,What,Object,Change,Address"
        assert "'=1+1,Signed in,'@sum" in lines[1]


@pytest.mark.parametrize(
    ("action", "subject", "words"),
    [
        ("user:change", "user anna {0}", "المستخدم anna {0}"),
        ("settings:change", "settings", "الإعدادات"),
        ("alert:resolve", "alert 7", "التنبيه 7"),
        ("import:start", "user list.csv", "user list.csv"),
        ("stream:resume", "sales 0", "sales 0"),
        ("session:start", "", ""),
    ],
)
def test_what_it_was_done_to_is_told_in_the_readers_language(action: str, subject: str, words: str) -> None:
    entry = AuditEntryView(1, NOW, "root", "", action, subject, {}, {})
    with use(Preferences("ar")):
        assert subject_words(entry) == words


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({}, {}, []),
        ({"role": "viewer"}, {"role": "admin"}, ["Role: Viewer → Administrator"]),
        ({"role": "viewer"}, {"role": "viewer"}, []),
        ({}, {"ids": [1, 2]}, ["Records: 1, 2"]),
        ({"x": True}, {"x": None}, ["x: yes → –"]),
        ({}, {"mapping": {"store": "Shop"}}, ["Columns: store = Shop"]),
    ],
)
def test_a_change_is_told_field_by_field(before: dict[str, Any], after: dict[str, Any], lines: list[str]) -> None:
    assert change_lines(before, after) == lines
