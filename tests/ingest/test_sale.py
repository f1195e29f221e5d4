import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nebuloviz.ingest.sale import MAX_RECORD_BYTES, Reason, Record, Rejected, Sale, parse, parse_record
from nebuloviz.metrics.query import REST
from nebuloviz.models import MONEY_SCALE
from tests.ingest.support import NOW, encoded, line, sale


def reason_of(value: bytes | None, **options: Any) -> Reason:
    parsed = parse(value, NOW, **options)
    assert isinstance(parsed, Rejected), parsed
    assert parsed.detail
    return parsed.reason


class TestFields:
    def test_a_sale_has_its_moment_in_utc_and_its_figures_as_scaled_integers(self) -> None:
        parsed = sale()
        assert parsed.sold_at == datetime(2026, 3, 30, 8, 15, tzinfo=UTC)
        assert parsed.sold_at.utcoffset() == timedelta(0)
        assert (parsed.quantity, parsed.unit_price, parsed.discount, parsed.revenue) == (2000, 25_000, 5_000, 45_000)

    def test_only_the_required_fields_are_required(self) -> None:
        least = {
            "sale_id": "1",
            "order_id": "1",
            "sold_at": "2026-01-01T00:00Z",
            "product_id": "p",
            "quantity": 1,
            "amount": 1,
        }
        parsed = parse(orjson.dumps(least), NOW)
        assert isinstance(parsed, Sale)
        assert parsed[4] == parsed.customer_id == parsed.region == parsed.currency == ""
        assert parsed.cost is None

    @pytest.mark.parametrize("field", ["sale_id", "order_id", "sold_at", "product_id", "quantity", "unit_price"])
    @pytest.mark.parametrize("value", [None, ""])
    def test_a_missing_field_is_named(self, field: str, value: str | None) -> None:
        fields = line() | {field: value} if value is not None else line(**{field: None})
        parsed = parse(orjson.dumps(fields), NOW)
        assert isinstance(parsed, Rejected)
        assert field in parsed.detail

    def test_unknown_fields_are_ignored(self) -> None:
        assert sale(loyalty={"points": [1, 2]}) == sale()

    def test_a_null_is_a_missing_field(self) -> None:
        assert parse(orjson.dumps(line() | {"discount": None, "region": None}), NOW) == sale(discount=None, region=None)

    def test_ids_may_be_numbers(self) -> None:
        assert sale(product_id=4711, customer_id=900).product_id == "4711"

    @pytest.mark.parametrize("number", [1.5, 10**30])
    def test_a_number_that_would_not_keep_its_digits_is_told_to_be_text(self, number: float) -> None:
        found = parse(json.dumps(line() | {"order_id": number}).encode(), NOW)
        assert found == Rejected(Reason.INVALID_TEXT, "order_id must be text, not a fraction or of more than 64 bits")

    def test_control_characters_become_spaces_and_ends_are_trimmed(self) -> None:
        assert sale(product=" a\tb\nc\x7f\x1f ").product == "a b c"

    @pytest.mark.parametrize("escaped", [True, False])
    def test_so_does_what_is_no_character(self, escaped: bool) -> None:
        record = json.dumps(line() | {"region": REST, "product": "a\ufffeb"}, ensure_ascii=escaped).encode()
        found = parse(record, NOW)
        assert isinstance(found, Sale)
        assert (found.region, found.product) == ("other", "a b")

    @pytest.mark.parametrize("text", ["<b>Tea</b>", "=1+1", "Ünïcödé", "شاي", "🫖", "a\u2028b", "back\\slash"])
    def test_other_text_is_kept_as_it_is(self, text: str) -> None:
        assert sale(product=text).product == text

    def test_a_currency_is_read_in_any_case(self) -> None:
        assert sale(currency="eur").currency == "EUR"


class TestFigures:
    @pytest.mark.parametrize(
        ("fields", "revenue"),
        [
            ({"quantity": 3, "unit_price": 0.1, "discount": None}, 3_000),
            ({"quantity": 3, "unit_price": "0.10", "discount": "0.05"}, 2_500),
            ({"quantity": -2, "unit_price": 2.5, "discount": 0}, -50_000),
            ({"quantity": 0, "unit_price": 2.5, "discount": 0}, 0),
            ({"quantity": 1, "unit_price": -11_062.06, "discount": 0}, -110_620_600),
            ({"quantity": 0.333, "unit_price": 1.99, "discount": 0}, 6_627),  # 0.66267
            ({"quantity": 1000, "unit_price": 0.00015, "discount": 0}, 1_500),  # the product is rounded, not the price
            ({"quantity": 1, "unit_price": 0.00005, "discount": 0}, 0),  # half to even
            ({"quantity": 1, "unit_price": 0.00015, "discount": 0}, 2),
            ({"quantity": 2, "unit_price": 9, "amount": 1.1, "discount": 7}, 11_000),  # the line's own total wins
            ({"quantity": 2, "unit_price": None, "amount": 1e-7}, 0),
        ],
    )
    def test_revenue_is_exact(self, fields: dict[str, Any], revenue: int) -> None:
        assert sale(**fields).revenue == revenue

    def test_a_price_that_is_not_given_follows_from_the_amount(self) -> None:
        assert sale(quantity=3, unit_price=None, amount=10, discount=0.5).unit_price == 35_000

    @given(
        st.decimals(-9_999_999, 9_999_999, places=4),
        st.integers(-10_000, 10_000),
        st.decimals(-999, 999, places=2),
        st.sampled_from([float, str]),
    )
    def test_a_product_of_decimals_is_what_decimal_arithmetic_gives(
        self, price: Decimal, quantity: int, discount: Decimal, form: Any
    ) -> None:
        parsed = parse(encoded(quantity=quantity, unit_price=form(price), discount=form(discount)), NOW)
        expected = (price * quantity - discount) * MONEY_SCALE
        if abs(expected) > 10**14:
            assert isinstance(parsed, Rejected)
        else:
            assert isinstance(parsed, Sale)
            assert parsed.revenue == int(expected)

    @given(st.floats(-1e9, 1e9, allow_nan=False))
    def test_a_float_means_its_shortest_decimal_form(self, number: float) -> None:
        parsed = parse(encoded(amount=number), NOW)
        expected = (Decimal(repr(number)) * MONEY_SCALE).quantize(Decimal(1), ROUND_HALF_EVEN)
        assert isinstance(parsed, Sale)
        assert parsed.revenue == int(expected)

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (True, Reason.INVALID_NUMBER),
            ("", Reason.INVALID_NUMBER),
            ("NaN", Reason.INVALID_NUMBER),
            ("Infinity", Reason.INVALID_NUMBER),
            ("1_000", Reason.INVALID_NUMBER),
            ("1,5", Reason.INVALID_NUMBER),
            ("٣", Reason.INVALID_NUMBER),
            ("1 000", Reason.INVALID_NUMBER),
            ([1], Reason.INVALID_NUMBER),
            ({}, Reason.INVALID_NUMBER),
            ("9" * 41, Reason.INVALID_NUMBER),
            (1e300, Reason.NUMBER_RANGE),
            ("1e999999999", Reason.NUMBER_RANGE),
            (2**63 - 1, Reason.NUMBER_RANGE),
            (-(2**63), Reason.NUMBER_RANGE),
            (10**10 + 1, Reason.NUMBER_RANGE),
        ],
    )
    @pytest.mark.parametrize("field", ["quantity", "unit_price", "discount", "amount", "cost"])
    def test_what_is_no_amount_is_rejected(self, field: str, value: object, reason: Reason) -> None:
        assert reason_of(encoded(**{field: value})) == reason

    def test_a_product_may_not_exceed_an_amount(self) -> None:
        assert reason_of(encoded(quantity=10**9, unit_price=10**9)) == Reason.NUMBER_RANGE


class TestMoment:
    @pytest.mark.parametrize(
        "text",
        ["2026-03-30T08:15:00Z", "2026-03-30 08:15:00+00:00", "2026-03-30T13:45:00.000000+05:30", "20260330T081500Z"],
    )
    def test_every_iso_form_with_an_offset_is_read(self, text: str) -> None:
        assert sale(sold_at=text).sold_at == datetime(2026, 3, 30, 8, 15, tzinfo=UTC)

    @pytest.mark.parametrize(
        "value",
        [
            "2026-03-30T08:15:00",
            "2026-03-30",
            "yesterday",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "2026-02-30T00:00:00Z",
            "2026-03-30T25:00:00Z",
            "2026-03-30T00:00:00+99:00",
            "2026-03-30T00:00:00Z" + " " * 40,
            1774858500,
            True,
            {},
        ],
    )
    def test_what_is_no_moment_is_rejected(self, value: object) -> None:
        assert reason_of(encoded(sold_at=value)) == Reason.INVALID_TIME

    @pytest.mark.parametrize(
        ("age", "reason"),
        [
            (timedelta(minutes=-4), None),
            (timedelta(minutes=-6), Reason.FUTURE),
            (timedelta(days=29), None),
            (timedelta(days=31), Reason.TOO_LATE),
        ],
    )
    def test_age_has_limits(self, age: timedelta, reason: Reason | None) -> None:
        parsed = parse(encoded(sold_at=(NOW - age).isoformat()), NOW, timedelta(days=30))
        assert (parsed.reason if isinstance(parsed, Rejected) else None) == reason

    def test_without_a_horizon_only_the_epoch_limits(self) -> None:
        assert sale(sold_at="1970-01-01T00:00:00Z").sold_at.year == 1970
        assert reason_of(encoded(sold_at="1969-12-31T23:59:59Z")) == Reason.TOO_LATE


class TestBadRecords:
    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (None, Reason.EMPTY),
            (b"", Reason.EMPTY),
            (b"not json", Reason.MALFORMED),
            (b"[]", Reason.MALFORMED),
            (b"null", Reason.MALFORMED),
            (b"1", Reason.MALFORMED),
            (b"\xff\xfe", Reason.MALFORMED),
            (b'{"sale_id": "\xff"}', Reason.MALFORMED),
            (encoded()[:-1], Reason.MALFORMED),
            (encoded() + encoded(), Reason.MALFORMED),
            (b'{"sale_id": "\\ud800"}', Reason.MALFORMED),
            (b'{"quantity": NaN}', Reason.MALFORMED),
            (b'{"quantity": Infinity}', Reason.MALFORMED),
            (b'{"quantity": 1e999}', Reason.MALFORMED),
            (b'{"quantity": ' + b"9" * 5000 + b"}", Reason.MALFORMED),
            (b"[" * 100_000, Reason.MALFORMED),
            (b'{"a":' * 100_000, Reason.MALFORMED),
            (encoded(product="x" * MAX_RECORD_BYTES), Reason.TOO_LARGE),
            (encoded(sale_id="nul\x00"), Reason.INVALID_TEXT),
            (encoded(region="nul\x00"), Reason.INVALID_TEXT),
            (encoded(sale_id=["a"]), Reason.INVALID_TEXT),
            (encoded(customer_id=1.5), Reason.INVALID_TEXT),
            (encoded(store=True), Reason.INVALID_TEXT),
            (encoded(currency="euro"), Reason.INVALID_TEXT),
            (encoded(currency="ÄÖÜ"), Reason.INVALID_TEXT),
            (encoded(sale_id="x" * 201), Reason.TOO_LONG),
            (encoded(region="x" * 129), Reason.TOO_LONG),
            (encoded(product="x" * 501), Reason.TOO_LONG),
        ],
    )
    def test_each_is_rejected_for_its_reason(self, value: bytes | None, reason: Reason) -> None:
        assert reason_of(value) == reason

    @given(st.binary(max_size=200))
    def test_no_bytes_raise(self, value: bytes) -> None:
        assert isinstance(parse(value, NOW), Rejected)

    @given(
        st.dictionaries(
            st.sampled_from(list(line())),
            st.recursive(
                st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(2**63), 2**63) | st.text(),
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
                max_leaves=4,
            ),
        )
    )
    def test_no_values_raise(self, fields: dict[str, object]) -> None:
        try:
            value = orjson.dumps(line() | fields)
        except TypeError:  # a lone surrogate is no JSON, see above
            return
        assert isinstance(parse(value, NOW), Sale | Rejected)

    def test_what_a_source_could_not_read_says_why(self) -> None:
        assert parse_record(Record("t", 0, 1, b"", b"a;b", "3 cells under 2 columns"), NOW) == Rejected(
            Reason.MALFORMED, "3 cells under 2 columns"
        )


class TestIdentity:
    def test_the_key_is_of_the_sale_id_alone(self) -> None:
        assert sale(quantity=5).key == sale().key != sale(sale_id="s2").key

    @pytest.mark.parametrize(
        "same",
        [
            {"unit_price": "2.50"},
            {"sold_at": "2026-03-30T08:15:00Z"},
            {"product": " Tea "},
            {"extra": 1},
            {"amount": 4.5},
        ],
    )
    def test_payloads_that_mean_the_same_have_one_fingerprint(self, same: dict[str, Any]) -> None:
        assert sale(**same).fingerprint == sale().fingerprint

    @pytest.mark.parametrize(
        "other",
        [{"quantity": 3}, {"region": "South"}, {"sold_at": "2026-03-30T08:15:01Z"}, {"cost": 0}, {"currency": "EUR"}],
    )
    def test_payloads_that_mean_something_else_have_another(self, other: dict[str, Any]) -> None:
        assert sale(**other).fingerprint != sale().fingerprint

    def test_a_fingerprint_fits_the_database(self) -> None:
        assert 0 <= sale().fingerprint <= 2**63 - 1
