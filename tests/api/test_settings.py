"""The installation's settings over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from nebuloviz.services.interfaces import SECRET_IS_SET
from tests.api.conftest import Api

ADDRESS = "/api/v1/settings"


@pytest.fixture
def admin(api: Api) -> Iterator[httpx.Client]:
    with api.client("admin") as client:
        yield client
        found = client.get(ADDRESS).json()
        assert client.patch(ADDRESS, json=dict.fromkeys(found["stored"])).status_code == 200


def test_are_read_with_what_the_environment_decides(admin: httpx.Client) -> None:
    found = admin.get(ADDRESS).json()
    assert found["fixed"] == ["requests_per_minute"]
    assert found["values"]["requests_per_minute"] == 0
    assert found["values"]["languages"] == ["en", "de", "es", "ar"]


def test_change_at_once_with_their_version(admin: httpx.Client) -> None:
    read = admin.get(ADDRESS)
    assert admin.get(ADDRESS, headers={"If-None-Match": read.headers["etag"]}).status_code == 304
    answer = admin.patch(
        ADDRESS, json={"language": "de", "fiscal_year_start": 4}, headers={"If-Match": read.headers["etag"]}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == read.json()["version"] + 1
    assert answer.json()["stored"] == ["fiscal_year_start", "language"]
    assert admin.patch(ADDRESS, json={"name": "x"}, headers={"If-Match": read.headers["etag"]}).status_code == 412


def test_that_do_not_fit_are_told_one_by_one(admin: httpx.Client) -> None:
    answer = admin.patch(ADDRESS, json={"name": "", "week_start": 9, "requests_per_minute": 5})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_settings"
    assert {error["where"] for error in answer.json()["errors"]} == {
        "body.name", "body.week_start", "body.requests_per_minute",
    }  # fmt: skip
    assert admin.get(ADDRESS).json()["values"]["name"] == "NebuloViz"


def test_of_another_type_or_name_are_refused(admin: httpx.Client) -> None:
    bodies: tuple[object, ...] = ({"week_start": "1"}, {"nothing": 1}, {"languages": "en"}, {"detection": 1}, [], None)
    for body in bodies:
        assert admin.patch(ADDRESS, json=body).status_code == 422


def test_tell_no_secret_and_take_what_they_told_back(api: Api, admin: httpx.Client) -> None:
    answer = admin.patch(ADDRESS, json={"smtp_password": "hush hush"})
    assert answer.json()["values"]["smtp_password"] == SECRET_IS_SET
    assert "hush" not in answer.text
    sealed = api.services.settings.current.smtp_password
    assert admin.patch(ADDRESS, json={"smtp_password": SECRET_IS_SET, "name": "Acme"}).status_code == 200
    assert api.services.settings.current.smtp_password == sealed


def test_of_limits_hold_from_the_next_request_on(api: Api, admin: httpx.Client) -> None:
    assert admin.patch(ADDRESS, json={"languages": ["en", "ar"], "language": "ar"}).status_code == 200
    with api.client() as stranger:
        german = stranger.get("/api/v1/me", headers={"Accept-Language": "de"}).json()["detail"]
        arabic = stranger.get("/api/v1/me", headers={"Accept-Language": "ar"}).json()["detail"]
    assert german == arabic
