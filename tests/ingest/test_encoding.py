import os

import orjson
import psutil

from nebuloviz.ingest.encoding import json_bytes


def test_it_is_the_same_text() -> None:
    value = {"b": 1, "a": [1.5, None, "ä"], "c": 1 + 2j}
    options = {"default": str, "option": orjson.OPT_SORT_KEYS}
    assert json_bytes(value, str, orjson.OPT_SORT_KEYS) == orjson.dumps(value, **options)  # type: ignore[arg-type]  # as named


def test_many_kept_at_once_take_about_their_length() -> None:
    process = psutil.Process(os.getpid())
    value = {"text": "x" * 250}
    before = process.memory_info().rss
    kept = [json_bytes(value) for _ in range(40_000)]
    assert process.memory_info().rss - before < 4 * sum(map(len, kept))
