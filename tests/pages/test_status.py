"""The page of the status: every finding in its words, and what they come to."""

from typing import Any

import pytest

from nebuloviz.errors import Unavailable
from nebuloviz.services.interfaces import Finding, Level
from nebuloviz.web.views.status import summary
from tests.pages.conftest import Browser, Drawn, Shop


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import status  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return status


def finding(level: Level, detail: str = "") -> Finding:
    return Finding("disk", "Disk", level, detail)


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([Level.GOOD], "Everything is working"),
        ([Level.GOOD, Level.NOTE], "Everything is working, with notes"),
        ([Level.NOTE, Level.BAD], "One part needs attention"),
        ([Level.BAD, Level.GOOD, Level.BAD], "2 parts need attention"),
    ],
)
def test_says_in_a_sentence_what_the_findings_come_to(levels: list[Level], words: str) -> None:
    assert summary([finding(level) for level in levels]) == words


def test_shows_what_failed_as_text_whatever_it_contains(page: Any, shop: Shop, drawn: Drawn) -> None:
    shop.status.found = [finding(Level.BAD, "<b>12 MiB</b> are free. Make room.")]
    shown = drawn(page.look(None))
    assert "<b>12 MiB</b> are free. Make room." in shown
    assert "Failing" in shown
    assert "exclamation-octagon" in shown


def test_that_cannot_be_had_says_so(page: Any, shop: Shop, drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_actor: Any) -> Any:
        raise Unavailable("Nothing answers.")

    monkeypatch.setattr(shop.status, "findings", fail)
    assert "Nothing answers." in drawn(page.look(1))
