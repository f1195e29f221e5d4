"""JSON from outside is read strictly, and split without a byte changed."""

import json
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nebuloviz.services.strict_json import NotStrictJson, TooManyItems, items_of, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def split_items(data: bytes, most: int) -> list[bytes]:
    """What there is of it, whatever is read at a time."""
    *windows, whole = (list(items_of(BytesIO(data), most, size)) for size in (1, 2, 7, 1 << 20))
    assert all(items == whole for items in windows)
    return whole


class TestParse:
    @given(JSON)
    def test_reads_all_json(self, value: object) -> None:
        assert parse(json.dumps(value).encode()) == value

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{",
            b"NaN",
            b"[Infinity]",
            b"[-Infinity]",
            b"1e400",
            b'{"a": [-1E+400]}',
            b"\xff",
            b'"\xed\xa0\x80"',
            b'"\\ud800"',
            b'{"\\uDC00": 1}',
            b"[" * 100_000,
            b"[" * 100_000 + b"]" * 100_000,
            b'{"a":' * 50_000,
            b"1" * 5000,
            b"{} {}",
            b"{'a': 1}",
        ],
    )
    def test_refuses_everything_else(self, data: bytes) -> None:
        with pytest.raises(NotStrictJson):
            parse(data)

    def test_whole_pairs_are_text(self) -> None:
        assert parse(b'"\\ud83d\\ude00"') == "😀"


class TestSplitItems:
    @given(st.lists(JSON), st.sampled_from(["", " ", "\n\t "]))
    def test_gives_the_items_of_a_list_as_they_stand(self, values: list[object], space: str) -> None:
        texts = [json.dumps(value, ensure_ascii=False) for value in values]
        data = f"{space}[{space}{f'{space},{space}'.join(texts)}{space}]{space}".encode()
        assert split_items(data, 100) == [text.encode() for text in texts]

    def test_a_single_object_is_a_list_of_one(self) -> None:
        assert split_items(b' {"a": 1.10} ', 1) == [b'{"a": 1.10}']

    def test_a_list_that_is_too_long_is_not_read_to_its_end(self) -> None:
        with pytest.raises(TooManyItems):
            split_items(b"[1, 2, 3, and so on", 2)

    def test_nonsense_in_an_item_is_for_its_reader(self) -> None:
        items = [b"NaN", b"1e999", b"9" * 5000, b'"\\ud800"', b'{"a": 1, "a": 2}']
        assert split_items(b"[" + b", ".join(items) + b"]", 5) == items

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"[",
            b"[1",
            b"[1,",
            b"[1,]",
            b"[,1]",
            b"[1 2]",
            b"[1]]",
            b"[1] [2]",
            b"\xff",
            b"[" * 100_000,
            b"{",
            b"{}{}",
        ],
    )
    def test_refuses_what_has_no_clear_end(self, data: bytes) -> None:
        with pytest.raises(NotStrictJson):
            split_items(data, 9)
