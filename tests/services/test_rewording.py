"""Insights in other words, by a real server that answers as an endpoint might."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from nebuloviz.errors import ConfigurationError
from nebuloviz.i18n import Preferences, use
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.services.directions import directions, same_direction
from nebuloviz.services.insight_texts import (
    cause_text,
    change_text,
    driver_text,
    moved_text,
    relative,
    spread_text,
    usual_text,
)
from nebuloviz.services.interfaces import Digest, Insight, SegmentPart
from nebuloviz.services.outgoing import MAX_ANSWER_BYTES, Outgoing
from nebuloviz.services.rewording import Rewording, rewording
from nebuloviz.settings import SUPPORTED_LANGUAGES, load
from tests.receivers import Hooked, hook

DAY = datetime(2026, 6, 1, tzinfo=UTC)
NORTH = Filter("region", "in", ("North Sea",))
QUERY = Query(("revenue",), DAY, DAY.replace(day=2), filters=(NORTH,))
SAID = ("Revenue was €1,234, 12.5\u00a0% below the week before.", "Mostly in North Sea: −3 of 7 orders.")
GOOD = ("At €1,234, revenue was 12.5 % below the week before.", "North Sea accounts for most of it: −3 of 7 orders.")
FOUND = Digest(
    date(2026, 6, 1), [Insight(SAID[0], "low", QUERY.with_(filters=()), 2.0)], [], [Insight(SAID[1], "low", QUERY, 1.0)]
)


@pytest.fixture
def server() -> Iterator[Hooked]:
    with hook() as opened:
        opened.answers += [(200, {"Content-Type": "application/json"})] * 3
        yield opened


def answer(texts: object) -> bytes:
    return json.dumps(
        {"choices": [{"message": {"content": texts if isinstance(texts, str) else json.dumps(texts)}}]}
    ).encode()


def reworded(server: Hooked, *, private: bool = True, seconds: float = 5.0) -> Rewording:
    outgoing = Outgoing(lambda: {"127.0.0.1"} if private else (), timeout_seconds=seconds)
    return Rewording(f"{server.url}/v1", "small", "the key", outgoing)


def texts(found: Digest) -> tuple[str, ...]:
    return tuple(item.text for item in (*found.of_day, *found.of_week, *found.ahead))


def test_what_says_the_same_is_taken_and_kept(server: Hooked) -> None:
    server.content = lambda: [answer(GOOD)]
    reword = reworded(server)
    first = reword(FOUND)
    assert texts(first) == GOOD
    assert [len(part) for part in (first.of_day, first.of_week, first.ahead)] == [1, 0, 1]
    assert first.of_day[0].query == FOUND.of_day[0].query
    assert texts(reword(FOUND)) == GOOD
    [(path, headers, body)] = server.requests
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer the key")
    assert json.loads(json.loads(body)["messages"][1]["content"]) == list(SAID)
    assert json.loads(body)["model"] == "small"


@pytest.mark.parametrize(
    "changed",
    [
        "At €1,235, revenue was 12.5 % below the week before.",
        "At €1,234, revenue was −12.5 % below the week before.",
        "At €1,234, revenue was 12.5 below the week before.",
        "At 1,234, revenue was 12.5 % below the week before.",
        "At €1,234, revenue was 12.5 % below the week before, for the 3rd time.",
        "Revenue was well below the week before.",
        "At €1,234, revenue was 12.5 % above the week before.",
        "At €1,234, revenue was not 12.5 % below the week before.",
        "At €1,234, revenue differed by 12.5 % from the week before.",
        "At €1,234, revenue was 12.5 % below\nthe week before.",
        "At €1,234, revenue was 12.5 % below the week before." + " Really." * 20,
        "",
    ],
)
def test_a_sentence_that_says_something_else_is_not_shown(server: Hooked, changed: str) -> None:
    server.content = lambda: [answer((changed, GOOD[1]))]
    assert texts(reworded(server)(FOUND)) == (SAID[0], GOOD[1])


@pytest.mark.parametrize(
    ("language", "said", "same", "turned"),
    [
        ("en", "Store Up rose by $3 (2%).", "Store Up grew by $3, or 2%.", "Store Up fell by $3 (2%)."),
        ("en", "The decline is spread across all sales; no segment stands out.",
         "No segment stands out: the decline is across all sales.",
         "The increase is spread across all sales; no segment stands out."),
        ("de", "Region Nord fiel um 3 € (2 %).", "Region Nord sank um 3 € (2 %).", "Region Nord stieg um 3 € (2 %)."),
        ("de", "Der Umsatz beträgt 9 €, 2 % mehr gegenüber 8 €.", "Mit 9 € liegt der Umsatz 2 % höher als die 8 € davor.",
         "Mit 9 € liegt der Umsatz 2 % niedriger als die 8 € davor."),
        ("es", "Región Norte bajó 3 € (2 %).", "Región Norte cayó 3 € (2 %).", "Región Norte subió 3 € (2 %)."),
        ("es", "Lo que más los movió fue el número de pedidos: bajada del 2 %.",
         "El número de pedidos fue lo que más los movió: un descenso del 2 %.",
         "El número de pedidos fue lo que más los movió: una subida del 2 %."),
        ("ar", "المنطقة الشمال: انخفاض بمقدار 3 (2%).", "المنطقة الشمال: تراجعت بمقدار 3 (2%).",
         "المنطقة الشمال: ارتفعت بمقدار 3 (2%)."),
    ],
)  # fmt: skip
def test_which_way_it_went_stays(language: str, said: str, same: str, turned: str) -> None:
    assert same_direction(said, same, language)
    assert not same_direction(said, turned, language)
    assert not same_direction(said, said, "fr"), "of a language whose words are not known nothing is shown"


@pytest.mark.parametrize("language", SUPPORTED_LANGUAGES)
def test_every_change_that_insights_tell_has_a_direction(language: str) -> None:
    with use(Preferences(language, currency="EUR")):
        for now, before, way in ((9.0, 5.0, "up"), (5.0, 9.0, "down")):
            change = relative(now, before)
            assert change is not None
            sentences = (
                change_text(now, before, change), driver_text("orders", change), moved_text("region", "7", now, before),
                cause_text((SegmentPart("region", "7", "7"),), now, before, 2 * (now - before)),
                spread_text(rose=way == "up"), usual_text(now, [before], of_a_day=True), usual_text(now, [before], of_a_day=False),
            )  # fmt: skip
            for sentence in sentences:
                found = directions(sentence, language)
                assert found is not None
                assert (sentence, found[0]) == (sentence, (way,))


def test_a_name_that_is_lost_is_not_shown(server: Hooked) -> None:
    server.content = lambda: [answer((GOOD[0], "The north accounts for most of it: −3 of 7 orders."))]
    assert texts(reworded(server)(FOUND)) == (GOOD[0], SAID[1])


@pytest.mark.parametrize(
    "content",
    [
        answer(GOOD[:1]), answer([*GOOD, "more"]), answer([1, 2]), answer({"a": 1}), answer("no JSON"), answer("[" * 20_000),
        b"", b"no JSON", b"[]", b'{"choices":[]}', b"\xff\xfe", answer(GOOD)[:-9],
    ],
    ids=range(12),
)  # fmt: skip
def test_an_answer_of_another_shape_changes_nothing(server: Hooked, content: bytes) -> None:
    server.content = lambda: [content]
    assert texts(reworded(server)(FOUND)) == SAID


def slow(ended: threading.Event) -> Iterable[bytes]:
    while not ended.wait(0.05):
        yield b" "


def test_a_slow_huge_or_failing_endpoint_is_not_waited_for_again_at_once(server: Hooked) -> None:
    ended = threading.Event()
    cases: dict[str, Any] = {
        "slow": lambda: slow(ended),
        "huge": lambda: [b" " * MAX_ANSWER_BYTES, answer(GOOD)],
    }
    for content in cases.values():
        server.content = content
        reword = reworded(server, seconds=1.0)
        assert texts(reword(FOUND)) == SAID
        asked = len(server.requests)
        assert texts(reword(FOUND)) == SAID
        assert len(server.requests) == asked
    ended.set()
    server.content = lambda: [answer(GOOD)]
    for status, headers in ((500, {}), (302, {"Location": server.url}), (401, {})):
        server.answers[:] = [(status, headers)]
        assert texts(reworded(server)(FOUND)) == SAID
    asked = len(server.requests)
    assert texts(reworded(server, private=False)(FOUND)) == SAID
    assert len(server.requests) == asked, "a private host that nobody has allowed is not even asked"


def test_it_is_off_unless_its_host_is_allowed(tmp_path: Path) -> None:
    assert rewording(load(data_dir=tmp_path)) is None
    named = {"data_dir": tmp_path, "reword_url": "https://llm.example.com/v1"}
    with pytest.raises(ConfigurationError, match=r"does not name llm\.example\.com"):
        rewording(load(**named))
    with pytest.raises(ConfigurationError, match="REWORD_URL"):
        rewording(load(**named | {"reword_url": "ftp://x"}))
    assert rewording(load(**named, reword_hosts="other.example, llm.example.com"))
