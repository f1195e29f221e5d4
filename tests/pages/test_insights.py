from dataclasses import replace
from typing import Any

import pytest

from nebuloviz.errors import Unavailable
from nebuloviz.services.interfaces import Digest, Insight
from nebuloviz.web.question import query_of
from nebuloviz.web.state import PageState
from tests.fakes import NOW, FakeInsights
from tests.pages.conftest import Browser, Drawn, Shop

QUERY = query_of(PageState(), NOW)
FINDINGS = [
    Insight("Revenue is down.", "medium", QUERY, float("inf")),
    Insight("Store 305 explains it.", "medium", QUERY.with_(dimensions=("store",)), 9.0, kind="segment"),
    Insight("One alert is open.", "high", QUERY, 1.0, alert_id=1, kind="alert"),
]


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import insights  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return insights


def test_tells_of_the_day_its_week_and_the_chosen_range(page: Any, shop: Shop, drawn: Drawn) -> None:
    shop.insights.findings = FINDINGS
    cards, _subtitle = page.show_digest("?range=7d")
    texts = [drawn(each) for each in (*cards, page.show_range("?range=7d", "", "light"))]
    assert [text.count("nv-told-item") for text in texts] == [1, 3, 3]
    assert "Last 7 days" in texts[2]


def test_marks_the_finding_to_look_at_first_and_leads_to_what_backs_each(page: Any, shop: Shop, drawn: Drawn) -> None:
    shop.insights.findings = FINDINGS
    (_day, week), _subtitle = page.show_digest("")
    first, second, third = (drawn(item) for item in week.children[1].children.children)
    assert [("Look here first" in text) for text in (first, second, third)] == [False, True, False]
    assert ["/explore?" in first, "by=store" in second, "/alerts/1" in third] == [True, True, True]


def test_the_digest_is_told_in_other_words_where_there_are_some(page: Any, shop: Shop, drawn: Drawn) -> None:
    class Reworded(FakeInsights):
        def reworded(self, found: Digest) -> Digest:
            return replace(found, of_day=[replace(found.of_day[0], text="It went down.")])

    shop.insights.findings = FINDINGS
    shop.insights.__class__ = Reworded
    cards, _subtitle = page.show_digest("")
    assert "It went down." in drawn(cards[0])
    assert "/explore?" in drawn(cards[0])


def test_without_a_sale_says_that_instead(page: Any, shop: Shop, drawn: Drawn) -> None:
    shop.data.lines = shop.data.lines.iloc[:0]
    text = drawn([page.show_digest("")[0], page.show_range("", "", "light")])
    assert (text.count("No sales yet"), "Nothing stands out" in text) == (1, False)


def test_says_so_where_nothing_stands_out(page: Any, drawn: Drawn) -> None:
    cards, _subtitle = page.show_digest("")
    assert drawn([cards, page.show_range("", "", "light")]).count("Nothing stands out") == 3


def test_says_what_failed(page: Any, shop: Shop, drawn: Drawn) -> None:
    shop.data.failure = Unavailable("The database does not answer.")
    assert "The database does not answer." in drawn(page.show_range("?range=all", "", "light"))


def test_says_where_the_month_and_the_quarter_lead(page: Any, shop: Shop, drawn: Drawn) -> None:
    shop.insights.findings = [*FINDINGS, Insight("This month is heading for more.", "low", QUERY, 3.0, kind="pace")]
    cards, _subtitle = page.show_digest("")
    assert "This month is heading for more." in drawn(cards[2])
    assert "ahead=1" in drawn(cards[2])
