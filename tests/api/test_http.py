"""What every answer has in common: tags that make polls cheap, limits that are told, ids, and problems in the caller's language."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from nebuloviz import errors
from nebuloviz.models import User
from nebuloviz.observability import JsonFormatter
from nebuloviz.settings import load
from tests.api.conftest import Api, running_api
from tests.api.test_data import sale

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


class TestTags:
    @pytest.mark.parametrize(
        "path",
        ["/me", "/metrics", "/alerts", "/alerts/1", "/series?metric=lines&start=2026-03-01&end=2026-03-03", "/stream"],
    )
    def test_an_unchanged_answer_is_not_sent_again(self, api: Api, path: str) -> None:
        with api.client("analyst") as client:
            first = client.get(f"/api/v1{path}")
            tag = first.headers["etag"]
            for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
                again = client.get(f"/api/v1{path}", headers={"If-None-Match": known})
                assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), known
            for unknown in ('"other"', tag.strip('"'), "", '"'):
                assert client.get(f"/api/v1{path}", headers={"If-None-Match": unknown}).json() == first.json()

    def test_figures_are_told_again_once_sales_of_their_days_have_arrived(self, api: Api) -> None:
        asked = {"metrics": ["lines"], "dimensions": "department", "start": "2026-03-02", "end": "2026-03-04"}
        with api.client("data_scientist") as client:
            client.post("/api/v1/sales", json=[sale(700)])
            seen = client.get("/api/v1/query", params=asked)
            known = {"If-None-Match": seen.headers["etag"]}
            assert client.get("/api/v1/query", params=asked, headers=known).status_code == 304
            elsewhere = sale(701, sold_at="2026-05-05T10:00:00Z")
            assert client.post("/api/v1/sales", json=[elsewhere]).json()["accepted"] == 1
            assert client.get("/api/v1/query", params=asked, headers=known).status_code == 304
            within = sale(702, sold_at="2026-03-03T10:00:00Z")
            assert client.post("/api/v1/sales", json=[within]).json()["accepted"] == 1
            changed = client.get("/api/v1/query", params=asked, headers=known)
            csv = client.get("/api/v1/query", params=asked, headers={**known, "Accept": "text/csv"})
        assert (changed.status_code, changed.headers["vary"]) == (200, "Accept")
        assert (csv.status_code, csv.text.splitlines()[0]) == (200, "department,lines")
        assert changed.headers["etag"] not in {seen.headers["etag"], csv.headers["etag"]}

    def test_a_changed_one_is(self, api: Api) -> None:
        with api.client("analyst") as client:
            before = client.get("/api/v1/alerts/5").headers["etag"]
            client.post("/api/v1/alerts/5/acknowledge", json={})
            after = client.get("/api/v1/alerts/5", headers={"If-None-Match": before})
        assert (after.status_code, after.json()["state"]) == (200, "acknowledged")
        assert after.headers["etag"] != before

    def test_a_known_tag_opens_no_door(self, api: Api) -> None:
        with api.client("admin") as admin, api.client("viewer") as viewer, api.client() as nobody:
            tag = {"If-None-Match": admin.get("/api/v1/users").headers["etag"]}
            assert admin.get("/api/v1/users", headers=tag).status_code == 304
            assert viewer.get("/api/v1/users", headers=tag).status_code == 403
            assert nobody.get("/api/v1/users", headers={"If-None-Match": "*"}).status_code == 401

    def test_what_was_read_can_be_edited_by_its_tag(self, api: Api) -> None:
        with api.client("analyst") as client:
            tag = client.get("/api/v1/alerts/6").headers["etag"]
            assert re.fullmatch(r'"\d+\.[0-9a-f]{24}"', tag)
            path, match = "/api/v1/alerts/6/acknowledge", {"If-Match": tag}
            assert client.post(path, json={}, headers=match).status_code == 200
            assert client.post(path, json={}, headers=match).status_code == 412


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(load(data_dir=tmp_path_factory.mktemp("limited"), requests_per_minute=5, demo="off")) as running:
        yield running


class TestLimits:
    """Five requests a minute of a token, ten of an account, twenty of an address."""

    def test_are_told_and_hold_for_token_account_and_address(self, limited: Api) -> None:
        with limited.client("viewer") as first, limited.client("viewer") as second, limited.client("viewer") as third:
            answers = [first.get("/api/v1/me") for _ in range(6)]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429]
            assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
            assert {answer.headers["ratelimit-limit"] for answer in answers} == {"5"}
            assert {answer.headers["ratelimit-policy"] for answer in answers} == {"5;w=60"}
            assert 0 < int(answers[0].headers["ratelimit-reset"]) <= 60
            assert 0 < int(answers[5].headers["retry-after"]) <= 60
            assert answers[5].json()["code"] == "too_many_requests"
            # the account has ten in all, whatever tokens it has
            assert [second.get("/api/v1/me").status_code for _ in range(5)] == [200] * 4 + [429]
            assert third.get("/api/v1/me").headers["ratelimit-limit"] == "10"
        with limited.client() as nobody:
            refused = [nobody.get("/api/v1/me") for _ in range(10)]
        assert [answer.status_code for answer in refused] == [401] * 8 + [429] * 2
        assert refused[0].headers["ratelimit-limit"] == "20"


class TestRequestIds:
    def test_name_the_request_in_answer_problem_and_log(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("nobody foresaw this")

        seen: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: seen.append(json.loads(JsonFormatter().format(record))["request_id"])  # type: ignore[method-assign]
        monkeypatch.setattr(type(api.services.alerts), "list", fail)
        log = logging.getLogger("nebuloviz.api.problems")
        log.addHandler(handler)
        try:
            with api.client("admin") as client:
                answer = client.get("/api/v1/alerts")
        finally:
            log.removeHandler(handler)
        assert answer.json()["request_id"] == answer.headers["x-request-id"] == seen[0]

    def test_are_of_each_request(self, api: Api) -> None:
        with api.client() as client:
            problems = [client.get("/api/v1/nothing") for _ in range(3)]
        assert len({problem.json()["request_id"] for problem in problems}) == 3
        assert all(problem.json()["request_id"] == problem.headers["x-request-id"] for problem in problems)


class TestLanguages:
    @pytest.mark.parametrize(
        ("header", "words"),
        [
            ("de", "Nicht gefunden"),
            ("es-MX,en;q=0.5", "No encontrado"),
            ("ar", "غير موجود"),
            ("fr", "Not found"),
            ("", "Not found"),
        ],
    )
    def test_problems_are_in_the_one_that_is_asked_for(self, api: Api, header: str, words: str) -> None:
        with api.client("viewer") as client:
            answer = client.get("/api/v1/alerts/999999", headers={"Accept-Language": header})
        assert (answer.json()["title"], answer.json()["code"]) == (words, "not_found")

    def test_else_in_the_users_own(self, api: Api) -> None:
        self.choose(api, "de")
        with api.client("viewer") as client:
            own = client.get("/api/v1/alerts/0").json()
            asked = client.get("/api/v1/alerts/0", headers={"Accept-Language": "es"}).json()
        self.choose(api, "")
        assert own["errors"] == [{"where": "path.alert_id", "problem": "Dies muss mindestens 1 sein."}]
        assert asked["errors"][0]["problem"] == "Esto debe ser 1 como mínimo."

    def choose(self, api: Api, language: str) -> None:
        with api.database.transaction() as session:
            session.execute(update(User).where(User.username == "viewer").values(language=language))

    def test_what_is_wrong_with_a_value_is_told_by_field(self, api: Api) -> None:
        body = {"metrics": [], "start": 5, "grain": "eon", "limit": 1.5, "other": "x", "filters": {}, "more": 1}
        with api.client("viewer") as client:
            faults = client.post("/api/v1/query", json=body, headers={"Accept-Language": "de"}).json()["errors"]
        told = {fault["where"]: fault["problem"] for fault in faults}
        assert told["body.metrics"] == "Einträge: mindestens 1."
        assert told["body.start"] == "Dies muss Text sein."
        assert told["body.end"] == "Dies fehlt."
        assert told["body.more"] == "Dieses Feld gibt es nicht."
        assert told["body.filters"] == "Dies muss eine Liste sein."
        assert told["body.grain"].startswith("Dies muss eines davon sein: 'minute'")


class TestCodes:
    def test_the_documented_ones_are_those_that_there_are(self) -> None:
        rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| .+ \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
        kinds = [
            kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.NebuloVizError)
        ]
        known = {(kind.code, str(kind.status)) for kind in kinds if kind is not errors.ConfigurationError}
        assert set(rows) == known | {("method_not_allowed", "405")}
        assert len(rows) == len(set(rows))
