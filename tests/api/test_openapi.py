"""The document that describes the API: pinned, and true of what the API does.

To accept a change of the document: `python -m tests.api.test_openapi`.
"""

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from nebuloviz.api.app import create_api
from nebuloviz.observability import HealthChecks
from nebuloviz.permissions import SYSTEM
from nebuloviz.settings import load
from tests.api.conftest import Api

SNAPSHOT = Path(__file__).with_name("openapi.json")
USUAL_EXAMPLES = 3
EXAMPLES = int(
    os.environ.get("NEBULOVIZ_TEST_EXAMPLES", USUAL_EXAMPLES)
)  # of each operation and mode; more for a thorough look

#: An import answers once a process of its own has looked into the file, which takes its time on a busy machine.
PATIENCE_SECONDS = 120

#: What a thorough look takes is known to nobody; a usual one ends in the time of any test.
PATIENT = pytest.mark.timeout(0 if EXAMPLES > USUAL_EXAMPLES else None)

#: How what fits the document may be answered but by what was asked for, as what it means goes beyond a schema: known already (304),
#: NUL in an address (400), an end before its start, a name that is taken, a version that is over, a mail server that is away.
WITH_REASON = [304, 400, 401, 403, 404, 409, 412, 413, 422, 428, 429, 503]
#: How what does not fit is refused: as usual, and by its size alone where it has too much of it to be read.
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["2xx", *map(str, WITH_REASON)]},
            "negative_data_rejection": {
                "expected-statuses": [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]
            },
        }
    }
)


def document() -> Any:
    """The document of this version; nothing behind the routes is needed for it."""
    nothing = cast("Any", None)
    return create_api(services=nothing, database=nothing, settings=load(), health=HealthChecks()).openapi()


class TestDocument:
    def test_is_the_pinned_one(self) -> None:
        assert document() == json.loads(SNAPSHOT.read_text())

    def test_is_served(self, api: Api) -> None:
        with api.client() as client:
            assert client.get("/api/v1/openapi.json").json() == document()

    def test_is_in_the_dialect_of_the_packaged_reader(self) -> None:
        text = json.dumps(document())
        assert document()["openapi"] == "3.0.3"
        assert '"type": "null"' not in text
        assert '"const"' not in text

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/api/v1/docs", "text/html"),
            ("/api/v1/docs/swagger-ui.css", "text/css"),
            ("/api/v1/docs/swagger-ui-bundle.js", "text/javascript"),
            ("/api/v1/docs/start.js", "text/javascript"),
        ],
    )
    def test_can_be_read_with_a_browser(self, api: Api, path: str, kind: str) -> None:
        with api.client() as client:
            answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "unsafe-eval" not in answer.headers["content-security-policy"]

    @pytest.mark.parametrize(
        "name", ["index.html", "swagger-ui.js", "..%2f..%2f__init__.py", "%2e%2e", "swagger-ui.css.map"]
    )
    def test_no_other_file_of_the_package_is_served(self, api: Api, name: str) -> None:
        with api.client() as client:
            assert client.get(f"/api/v1/docs/{name}").status_code == 404


def operations() -> list[APIOperation[Any, Any, Any, Any]]:
    schema = schemathesis.openapi.from_dict(json.loads(SNAPSHOT.read_text()), config=CONFIG)
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def is_sent(value: object) -> bool:
    """Whether a value of a query reaches the server: of empty lists and objects, and of what has no name, an address has no trace."""
    if isinstance(value, dict):
        value = [inside for name, inside in value.items() if name]
    inside = value if isinstance(value, list) else None
    return inside is None or any(map(is_sent, inside))


@PATIENT
@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
@pytest.mark.parametrize("mode", GenerationMode)
def test_api_is_as_described(api: Api, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> None:
    """Whatever is sent, the answer has a described status and shape, and is none of 500."""
    send_all(api, operation, mode, EXAMPLES)


def send_all(api: Api, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, examples: int) -> None:
    """Send so many requests of an operation, always the same, and check each answer."""
    headers = {"Authorization": f"Bearer {api.token('admin')}"}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case[Any]) -> None:
        assume(all(map(is_sent, case.query.values())))
        case.call_and_validate(base_url=api.served.url, headers=headers, timeout=PATIENCE_SECONDS)

    try:
        send()
    finally:
        _as_before(api)


def _as_before(api: Api) -> None:
    """What holds for all requests is put back, so that the next operation is asked as this one was."""
    service = api.services.settings
    with api.database.transaction() as session:
        found = service.get(session, SYSTEM)
        if found.stored:
            service.change(session, SYSTEM, found.version, dict.fromkeys(found.stored))


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")
