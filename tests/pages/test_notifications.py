"""The pages of notifications, with the real service behind them: the list, the log, the form of a channel, and a test."""

from collections.abc import Iterator
from typing import Any

import pytest
from dash import no_update
from dash.exceptions import PreventUpdate

from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.models import NotificationMessage, User
from nebuloviz.services.interfaces import ChannelDraft, NotificationRule
from nebuloviz.web.body import _check_value
from nebuloviz.web.context import act, ask, services
from nebuloviz.web.views import notifications as views
from tests.pages.conftest import Browser, Drawn
from tests.receivers import Hooked, hook

URL = "https://hooks.example.com/services/secret"


@pytest.fixture
def kept(writable: Database) -> Database:
    """With the reader, who has an address."""
    with writable.transaction() as session:
        usual = {"password_hash": "x", "role": "admin", "created_at": utc_now()}
        session.add(User(id=7, username="ann", name_key="ann", email="ann@example.com", **usual))
    return writable


@pytest.fixture
def listing(browser: Browser) -> Any:
    from pages import notifications  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return notifications


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import notification  # noqa: PLC0415 - as above

    return notification


@pytest.fixture
def taken() -> Iterator[Hooked]:
    with hook() as opened:
        yield opened


RULE = {
    "least": "high",
    "metrics": ["orders"],
    "segment": ["region=north", "region=a=b"],
    "days": ["0", "6"],
    "begin": 510,
    "end": 1080,
    "over": False,
    "critical_always": True,
}


def saved(
    page: Any, number: Any = "new", version: Any = None, kind: str = "mail", rules: Any = (RULE,), **fields: Any
) -> tuple[Any, Any, Any, Any]:
    shown = {"name": "Mine", "enabled": True, "group_minutes": 15, "most_per_hour": 6} | fields
    shared = {"kind": kind, "shared": False}
    said = [
        [views.field_id(name) for name in shown],
        list(shown.values()),
        [views.choice_id(name) for name in shared],
        list(shared.values()),
        [views.rule_id(place, name) for place, rule in enumerate(rules) for name in rule],
        [value for rule in rules for value in rule.values()],
    ]
    answer: tuple[Any, Any, Any, Any] = page.save(1, *said, number, version)
    return answer


class TestForm:
    def test_makes_a_channel_as_it_says(self, page: Any, listing: Any, drawn: Drawn) -> None:
        number, _changed, message, secret = saved(page)
        assert "Mine was created" in drawn(message)
        assert secret is None
        draft = ask(services().notifications.channel, number).draft
        rule = NotificationRule("high", ("orders",), (("region", ("a=b", "north")),), False, (0, 6), 510, 1080)
        assert draft == ChannelDraft("Mine", "", (rule,), True, 15, 6)
        text = drawn(listing.show_channels(""))
        for words in ("Mine", "High and above", "Orders", "a=b, north", "Mon, Sun", "8:30", "your own address"):
            assert words in text
        _head, form, rest, version = page.show(number, None)
        assert version == 1
        assert '"value": 510' in drawn(form)
        assert "Send a test" in drawn(rest)

    def test_shows_the_key_of_a_webhook_once_and_its_url_never(self, page: Any, listing: Any, drawn: Drawn) -> None:
        number, _changed, _message, secret = saved(page, kind="webhook", target=URL)
        assert "Copy it now" in drawn(secret)
        shown = drawn(page.show(number, None)) + drawn(listing.show_channels(""))
        assert "hooks.example.com" in shown
        assert "services/secret" not in shown
        assert "Signing key" not in shown

    def test_changes_and_refuses_what_is_stale_or_wrong(self, page: Any, drawn: Drawn) -> None:
        number = saved(page)[0]
        _kept, changed, message, _secret = saved(page, number, 1, name="Other")
        assert changed is not no_update
        assert "Saved" in drawn(message)
        assert "changed in the meantime" in drawn(saved(page, number, 1)[2])
        assert "needs a name" in drawn(saved(page, name="")[2])
        assert "no such channel" in drawn(saved(page, 99, 1)[2])
        assert "no such channel" in drawn(page.show(99, None)[1])

    def test_is_let_through_by_the_guard_as_a_browser_sends_it(self, page: Any) -> None:
        _head, form, _rest, _version = page.show(saved(page)[0], None)
        fields = [part for part in form._traverse() if isinstance(getattr(part, "id", None), dict)]
        sent = [part for part in fields if hasattr(part, "value")]
        assert len(sent) == len(RULE) + 5
        for part in sent:
            _check_value({"id": part.id, "property": "value", "value": part.value})

    def test_takes_whatever_a_browser_says(self, page: Any) -> None:
        for said in (None, 5, "x", [1], {"a": 1}):
            assert isinstance(page.save(1, said, said, said, said, said, said, said, said), tuple)
            assert isinstance(page.show(said, None), tuple)

    def test_has_one_rule_more_or_one_less(self, page: Any, browser: Browser, drawn: Drawn) -> None:
        ids = [views.rule_id(place, name) for place in range(2) for name in RULE]
        values = [*RULE.values(), *(RULE | {"least": "critical"}).values()]
        browser.triggers("notification-rule-add.n_clicks", 1)
        assert drawn(page.change_rules(1, [], ids, values)).count('"nv-rule"') == 3
        browser.triggers('{"rule":0,"type":"notification-rule-remove"}.n_clicks', 1)
        left = drawn(page.change_rules(1, [1, None], ids, values))
        assert left.count('"nv-rule"') == 1
        assert '"value": "critical"' in left
        browser.triggers('{"rule":0,"type":"notification-rule-remove"}.n_clicks', 1)
        assert "only the digest" in drawn(page.change_rules(1, [1], ids[: len(RULE)], values[: len(RULE)]))
        browser.triggers()
        with pytest.raises(PreventUpdate):
            page.change_rules(None, [None], ids, values)

    def test_asks_for_what_a_kind_needs(self, page: Any, drawn: Drawn) -> None:
        ids = [views.choice_id("kind"), views.choice_id("shared")]
        assert "address of your account" in drawn(page.show_target(["mail", False], ids))
        assert "E-mail address" in drawn(page.show_target(["mail", True], ids))
        assert "URL" in drawn(page.show_target(["slack", False], ids))


class TestTrial:
    def test_says_what_the_other_side_says(self, page: Any, drawn: Drawn, taken: Hooked) -> None:
        number = saved(page, kind="slack", target=taken.url)[0]
        assert "private network" in drawn(page.test_channel(1, number))
        version = ask(services().settings.get).version
        act(services().settings.change, version, {"webhook_private_hosts": "127.0.0.1"})
        other = saved(page, kind="slack", target=taken.url)[0]
        assert "Sent and accepted" in drawn(page.test_channel(1, other))
        assert len(taken.requests) == 1
        assert "just now" in drawn(page.test_channel(1, other))

    def test_of_nothing_is_none(self, page: Any) -> None:
        with pytest.raises(PreventUpdate):
            page.test_channel(None, 1)


class TestLists:
    def test_say_what_to_do_where_there_is_nothing(self, listing: Any, drawn: Drawn) -> None:
        assert "No channel yet" in drawn(listing.show_channels(""))
        assert "Nothing was sent yet" in drawn(listing.show_messages(None, None, None, [], None)[0])

    def test_tell_what_became_of_messages(self, page: Any, listing: Any, drawn: Drawn, kept: Database) -> None:
        number = saved(page, name="<b>Mine")[0]
        now = utc_now()
        with kept.transaction() as session:
            for place, (state, reason, status) in enumerate(
                [("sent", "", 0), ("waiting", "answer", 503), ("failed", "private", 0), ("dropped", "gone", 0)]
            ):
                session.add(
                    NotificationMessage(
                        channel_id=number, key=str(place), state=state, attempts=2, next_at=now, created_at=now,
                        done_at=now, reason=reason, status=status,
                    )
                )  # fmt: skip
        text = drawn(listing.show_messages(None, None, None, [], None)[0])
        for words in ("Sent", "Waiting", "status 503", "Next attempt", "Failed", "private network", "Dropped"):
            assert words in text

    def test_are_gone_with_the_channel(self, page: Any, browser: Browser) -> None:
        number = saved(page)[0]
        page.delete(1, number)
        assert browser.props["_pages_location"] == {"pathname": "/notifications"}
        assert ask(services().notifications.channels) == []
