"""The pages of roles, with the real service behind them: the matrix, the form, and what is refused."""

from typing import Any

import pytest
from dash import no_update
from dash.exceptions import PreventUpdate

from nebuloviz.db import Database
from nebuloviz.permissions import ROLES, Permission
from nebuloviz.services.interfaces import UserDraft
from nebuloviz.services.shown import PERMISSION_WORDS
from nebuloviz.web.context import act, services
from nebuloviz.web.views.roles import role_options
from tests.pages.conftest import Browser, Drawn


@pytest.fixture
def kept(writable: Database) -> Database:
    return writable


@pytest.fixture
def listing(browser: Browser) -> Any:
    from pages import roles  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return roles


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import role  # noqa: PLC0415 - as above

    return role


def saved(page: Any, name: Any, permissions: Any, slug: Any = "new", version: Any = None) -> tuple[Any, Any, Any]:
    """The role's slug, whether there is news of it, and all that is said, above the form and beside its fields."""
    kept, changed, *said = page.save(1, name, "what for", permissions, slug, version)
    return kept, changed, [each for each in said if each is not None]


def test_every_permission_has_words() -> None:
    assert set(PERMISSION_WORDS) == set(Permission)


class TestMatrix:
    def test_shows_each_role_and_what_it_includes(self, listing: Any, page: Any, drawn: Drawn) -> None:
        saved(page, "Auditor", ["audit:read"])
        text = drawn(listing.show("roles-matrix"))
        for words in ("Viewer", "Administrator", "Auditor", "View the audit log", "0 users", "/roles/auditor"):
            assert words in text
        included = sum(len(permissions) for permissions in ROLES.values()) + 2  # the auditor reads data as well
        assert text.count("check-lg") == included
        assert "/roles/viewer" not in text
        assert "copy=viewer" in text

    def test_takes_names_literally(self, listing: Any, page: Any, drawn: Drawn) -> None:
        saved(page, "<img src=x onerror=1>", [])
        assert "DangerouslyAllowHtml" not in drawn(listing.show("roles-matrix"))


class TestForm:
    def test_of_a_new_role_is_empty_but_for_what_every_role_may(self, page: Any, drawn: Drawn) -> None:
        _head, form, rest, version = page.show("new", None, "")
        assert '"value": ["data:read"]' in drawn(form)
        assert (rest, version) == (None, None)

    def test_of_a_copy_has_what_is_copied(self, page: Any, drawn: Drawn) -> None:
        form = drawn(page.show("new", None, "viewer")[1])
        assert "Copy of Viewer" in form
        assert '"value": ["data:read", "alerts:read"]' in form

    def test_of_a_ready_made_role_cannot_be_saved(self, page: Any, drawn: Drawn) -> None:
        form = drawn(page.show("admin", None, "")[1])
        assert "Copy it, and change the copy" in form
        assert "role-delete" not in drawn(page.show("admin", None, "")[2])

    def test_names_who_has_the_role_which_then_stays(self, page: Any, drawn: Drawn) -> None:
        saved(page, "Auditor", ["audit:read"])
        assert "role-delete" in drawn(page.show("auditor", None, "")[2])
        act(services().users.create, "olga", UserDraft("auditor"))
        rest = drawn(page.show("auditor", None, "")[2])
        assert "olga" in rest
        assert "role-delete" not in rest
        assert "have this role" in drawn(page.delete(1, "auditor", 1))

    @pytest.mark.parametrize("slug", ["gone", "", None, 5, "x" * 5_000, "\x00"])
    def test_of_no_role_says_so(self, page: Any, drawn: Drawn, slug: Any) -> None:
        assert "no such role" in drawn(page.show(slug, None, "")[1])
        if isinstance(slug, str) and slug:
            assert "no such role" in drawn(page.show("new", None, slug)[1])


class TestSaving:
    def test_creates_and_changes(self, page: Any, drawn: Drawn) -> None:
        slug, _changed, message = saved(page, " Team lead ", ["users:manage", "no:such"])
        assert (slug, "Team lead was created" in drawn(message)) == ("team_lead", True)
        kept, changed, message = saved(page, "Lead", ["alerts:manage"], slug, 1)
        assert kept is no_update
        assert changed is not no_update
        assert "Saved" in drawn(message)
        form = drawn(page.show(slug, None, "")[1])
        assert '"value": ["data:read", "alerts:read", "alerts:manage"]' in form

    @pytest.mark.parametrize(
        ("name", "permissions", "words"),
        [
            ("", [], "needs a name"),
            (None, None, "needs a name"),
            ({"a": 1}, "x", "needs a name"),
            ("Viewer", [], "already"),
            ("x" * 61, [], "at most"),
        ],
    )
    def test_says_beside_a_field_what_cannot_be(
        self, page: Any, drawn: Drawn, name: Any, permissions: Any, words: str
    ) -> None:
        slug, changed, message = saved(page, name, permissions)
        assert words in drawn(message)
        assert (slug, changed) == (no_update, no_update)
        above, beside, *_rest = page.save(1, name, "", permissions, "new", None)[2:]
        assert (above, words in beside) == (None, True)

    @pytest.mark.parametrize("version", [2, None, "1", 1.5])
    def test_of_another_version_is_refused(self, page: Any, drawn: Drawn, version: Any) -> None:
        slug, *_rest = saved(page, "Lead", [])
        assert "somebody else" in drawn(saved(page, "Lead 2", [], slug, version)[2])
        assert "somebody else" in drawn(page.delete(1, slug, version))

    def test_waits_for_a_click(self, page: Any) -> None:
        for clicks in (None, 0):
            with pytest.raises(PreventUpdate):
                page.save(clicks, "a", "", [], "new", None)
            with pytest.raises(PreventUpdate):
                page.delete(clicks, "a", 1)

    def test_deletes_and_goes_to_the_list(self, page: Any, browser: Browser) -> None:
        slug, *_rest = saved(page, "Lead", [])
        browser.triggers()
        assert page.delete(1, slug, 1) is no_update
        assert browser.props["_pages_location"] == {"pathname": "/roles"}


def test_roles_that_include_more_than_ones_own_are_seen_and_not_chosen(browser: Browser) -> None:
    from nebuloviz.web.context import ask  # noqa: PLC0415 - only inside a request

    found = ask(services().roles.list)
    options = {option["value"]: option["disabled"] for option in role_options(found, ROLES["analyst"], "admin")}
    assert options == {"viewer": False, "analyst": False, "data_scientist": True, "admin": False}
