"""The page of settings with the real service behind it: a form for each section, what is stored, and what a browser may say."""

import json
from typing import Any

import pytest
from dash import Dash, no_update
from dash.exceptions import PreventUpdate

from nebuloviz.db import Database
from nebuloviz.errors import MalformedRequest
from nebuloviz.services.interfaces import SettingsRecord
from nebuloviz.services.interfaces.installation import ENTRIES
from nebuloviz.services.setting_entries import SECTIONS
from nebuloviz.settings import Settings
from nebuloviz.web import body
from nebuloviz.web.components import id_in_page
from nebuloviz.web.context import act, ask, installation, services
from nebuloviz.web.views import settings as views
from tests.pages.conftest import Browser, Drawn
from tests.services.pictures import encoded, png


@pytest.fixture
def kept(writable: Database) -> Database:
    return writable


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import settings  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return settings


def stored() -> SettingsRecord:
    return ask(services().settings.get)


def click(browser: Browser, page: Any, section: str, button: str = "save", **typed: Any) -> Any:
    """What the page answers to a button of that section's form, with that typed into its fields."""
    browser.triggers(f"{id_in_page(views.part_id(button, section))}.n_clicks", 1)
    ids = [views.field_id(section, name) for name in typed]
    return page.save(1, None, ids, list(typed.values()), stored().version)


class TestPage:
    def test_has_a_field_for_each_entry_in_its_section(self, page: Any, drawn: Drawn) -> None:
        cards, version = page.show("")
        assert version == stored().version
        assert len(cards) == len(SECTIONS)
        for card, section in zip(cards, SECTIONS, strict=True):
            found = {name for name in ENTRIES if json.dumps(name) in drawn(card) and name in views.entries_of(section)}
            assert found == set(views.entries_of(section))

    def test_says_what_the_environment_has_decided(self, page: Any, drawn: Drawn) -> None:
        cards, _version = page.show("")
        calendar = drawn(cards[list(SECTIONS).index("calendar")])
        assert calendar.count("Set by an environment variable") == 1  # the currency of the fixture

    @pytest.mark.parametrize("role", ["viewer", "data_scientist"])
    def test_is_for_administrators(self, page: Any, drawn: Drawn) -> None:
        answer, version = page.show("")
        assert "smtp_host" not in drawn(answer)
        assert version is no_update


class TestSaving:
    def test_stores_what_was_typed_and_tells_the_page_the_new_version(
        self, browser: Browser, page: Any, drawn: Drawn
    ) -> None:
        before = stored().version
        form = click(browser, page, "security", session_hours=9, requests_per_minute=100)
        assert (installation().session_hours, installation().requests_per_minute) == (9, 100)
        assert '"value": 9' in drawn(form)
        assert browser.props["settings-version"] == {"data": before + 1}
        assert "Saved" in drawn(browser.props["nv-toasts"])

    def test_says_beside_the_field_what_does_not_fit_and_stores_nothing(
        self, browser: Browser, page: Any, drawn: Drawn
    ) -> None:
        form = click(browser, page, "security", session_hours=9, session_idle_minutes=-1)
        assert drawn(form).count('"nv-error"') == 1
        assert "A whole number from 1 to 525,600." in drawn(form)
        assert '"value": 9' in drawn(form)  # what was typed is not lost
        assert stored().stored == frozenset()

    def test_refuses_what_somebody_else_has_changed_meanwhile(self, browser: Browser, page: Any, drawn: Drawn) -> None:
        seen = stored().version
        act(services().settings.change, seen, {"session_hours": 5})
        browser.triggers(f"{id_in_page(views.part_id('save', 'security'))}.n_clicks", 1)
        form = page.save(1, None, [views.field_id("security", "session_hours")], [9], seen)
        assert form is no_update
        said = drawn(browser.props["nv-toasts"])
        assert "This was not done" in said
        assert "in the meantime" in said
        assert "Show it as it is now" in said
        assert installation().session_hours == 5

    def test_leaves_a_password_alone_that_was_not_typed(self, browser: Browser, page: Any, drawn: Drawn) -> None:
        mail: dict[str, Any] = {"smtp_host": "mail.example.com", "smtp_from": "shop@example.com", "smtp_port": 587}
        click(browser, page, "mail", **mail, smtp_password="secret 1")
        sealed = installation().smtp_password
        form = click(browser, page, "mail", **mail | {"smtp_port": 465}, smtp_password="")
        assert (installation().smtp_port, installation().smtp_password) == (465, sealed)
        assert sealed
        assert "secret 1" not in drawn(form)
        assert sealed not in drawn(form)

    def test_goes_back_to_the_defaults_of_one_section(self, browser: Browser, page: Any) -> None:
        click(browser, page, "security", session_hours=9)
        click(browser, page, "installation", name="Acme")
        click(browser, page, "security", "reset", session_hours=7)
        assert stored().stored == {"name"}

    @pytest.mark.parametrize(
        ("ids", "values"),
        [
            (None, None),
            ([5, "x", {"of": 1}], [1, 2, 3]),
            ([{"of": "name"}], ["another section's"]),
            ([{"of": "currency"}], ["EUR"]),  # the environment's
        ],
    )
    def test_takes_nothing_else_from_a_browser(self, browser: Browser, page: Any, ids: Any, values: Any) -> None:
        browser.triggers(f"{id_in_page(views.part_id('save', 'calendar'))}.n_clicks", 1)
        page.save(1, None, ids, values, stored().version)
        assert stored().stored == frozenset()

    @pytest.mark.parametrize("trigger", ["", "x.n_clicks", '{"section":"nothing","type":"settings-save"}.n_clicks'])
    def test_waits_for_a_click_on_a_section_s_button(self, browser: Browser, page: Any, trigger: str) -> None:
        browser.triggers(trigger, 1)
        with pytest.raises(PreventUpdate):
            page.save(1, None, [], [], 1)


@pytest.mark.parametrize("section", SECTIONS)
class TestFromTheBrowser:
    """What passes the gate, where a callback's body is compared with what fields can hold."""

    @pytest.fixture
    def registered(self, page: Any, dashboard: tuple[Dash, Settings, Database]) -> dict[str, Any]:
        return next(item for output, item in dashboard[0].callback_map.items() if "settings-body" in output)

    def request(self, section: str, **instead: Any) -> dict[str, Any]:
        """The body of a click on the section's button."""
        ids = [views.field_id(section, name) for name in views.entries_of(section)]
        values = [instead.get(id["of"], stored().values.get(id["of"])) for id in ids]
        state = [
            [{"id": id, "property": "id", "value": id} for id in ids],
            [{"id": id, "property": "value", "value": value} for id, value in zip(ids, values, strict=True)],
            {"id": "settings-version", "property": "data", "value": 1},
        ]
        buttons = [views.part_id(kind, section) for kind in ("save", "reset")]
        clicked = [{"id": id, "property": "n_clicks", "value": 1} for id in buttons]
        output = {"id": views.part_id("body", section), "property": "children"}
        sent: dict[str, Any] = json.loads(json.dumps({"inputs": clicked, "state": state, "outputs": output}))
        return sent

    def test_every_section_comes_through_as_it_is(self, section: str, registered: dict[str, Any]) -> None:
        body.check(self.request(section), registered)

    def test_an_object_is_no_value_of_a_field(self, section: str, registered: dict[str, Any]) -> None:
        name = next(iter(views.entries_of(section)))
        with pytest.raises(MalformedRequest):
            body.check(self.request(section, **{name: {"a": 1}}), registered)


class TestPictures:
    def choose(self, browser: Browser, page: Any, contents: Any, removed: Any = None) -> Any:
        kind = "upload" if removed is None else "remove"
        browser.triggers(f"{id_in_page(views.picture_id(kind, 'installation', 'logo'))}.x", 1)
        return page.choose_picture(contents, removed)

    def test_are_shown_before_they_are_saved(self, browser: Browser, page: Any, drawn: Drawn) -> None:
        value, shown = self.choose(browser, page, f"data:image/png;base64,{encoded(png())}")
        assert value == encoded(png())
        assert f"data:image/png;base64,{value}" in drawn(shown)
        click(browser, page, "installation", logo=value)
        assert installation().logo == value

    def test_can_be_taken_away(self, browser: Browser, page: Any, drawn: Drawn) -> None:
        value, shown = self.choose(browser, page, None, removed=1)
        assert (value, "data:image" in drawn(shown)) == ("", False)

    @pytest.mark.parametrize(("contents", "removed"), [(None, None), ("no comma", None), ([], None), (None, 0)])
    def test_wait_for_a_file_or_a_click(self, browser: Browser, page: Any, contents: Any, removed: Any) -> None:
        with pytest.raises(PreventUpdate):
            self.choose(browser, page, contents, removed)


class TestTestMail:
    def test_says_what_keeps_it_from_being_sent(self, page: Any, drawn: Drawn) -> None:
        assert "No mail server is set up" in drawn(page.test_mail(1, "ann@example.com"))

    def test_waits_for_a_click(self, page: Any) -> None:
        with pytest.raises(PreventUpdate):
            page.test_mail(None, "ann@example.com")
