from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nebuloviz.errors import InvalidQuery
from nebuloviz.metrics.query import COMPARISONS, GRAINS, REST, Filter, Query
from nebuloviz.metrics.registry import DIMENSIONS, METRICS

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 29, tzinfo=UTC)

_text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
_slugs = st.sampled_from([entry.slug for entry in DIMENSIONS])
_filters = st.builds(
    Filter, _slugs, st.sampled_from(["in", "not_in"]), st.lists(_text, min_size=1, max_size=3).map(tuple)
)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    metrics = draw(st.lists(st.sampled_from([entry.slug for entry in METRICS]), min_size=1, max_size=3, unique=True))
    start = draw(st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
    return Query(
        metrics=tuple(metrics),
        start=start,
        end=start + draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=400))),
        dimensions=tuple(draw(st.lists(_slugs, max_size=2, unique=True))),
        grain=draw(st.none() | st.sampled_from(GRAINS)),
        filters=tuple(draw(st.lists(_filters, max_size=4))),
        time_zone=draw(st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"])),
        week_start=draw(st.integers(0, 6)),
        comparison=draw(st.none() | st.sampled_from(COMPARISONS)),
        order=draw(st.sampled_from([None, metrics[0], f"-{metrics[0]}"])),
        limit=draw(st.none() | st.integers(1, 10_000)),
        other=draw(st.booleans()),
    )


class TestTheUrl:
    @settings(max_examples=200, deadline=None)
    @given(queries())
    def test_holds_the_whole_question(self, query: Query) -> None:
        url = urlencode(query.to_params(), doseq=True)
        assert Query.from_params(parse_qs(url, keep_blank_values=True)) == query

    @pytest.mark.parametrize("missing", ["from", "to", "m"])
    def test_without_what_is_needed_is_refused(self, missing: str) -> None:
        params = Query(("revenue",), START, END).to_params()
        del params[missing]
        with pytest.raises(InvalidQuery):
            Query.from_params(params)

    @pytest.mark.parametrize("slip", ["f.Category", "f.", "f.!", "f.category!!", "f.category ", "f.colour"])
    def test_with_a_filter_that_names_no_dimension_is_refused(self, slip: str) -> None:
        params = Query(("revenue",), START, END).to_params() | {slip: ["FUEL"]}
        with pytest.raises(InvalidQuery, match="no dimension"):
            Query.from_params(params)


class TestTheKey:
    @settings(max_examples=100, deadline=None)
    @given(queries(), st.randoms())
    def test_does_not_depend_on_the_order_of_filters(self, query: Query, dice: Random) -> None:
        shuffled = list(query.filters)
        dice.shuffle(shuffled)
        assert query.with_(filters=tuple(shuffled)).key == query.key

    @settings(max_examples=100, deadline=None)
    @given(queries(), queries())
    def test_is_equal_for_equal_questions_only(self, one: Query, another: Query) -> None:
        assert (one.key == another.key) is (one == another)


class TestFilters:
    def test_on_the_same_dimension_must_all_hold(self) -> None:
        narrow = (Filter("region", "in", ("a", "b")), Filter("region", "in", ("b", "c")))
        assert Query(("revenue",), START, END, filters=narrow).filters == (Filter("region", "in", ("b",)),)

    def test_that_exclude_each_other_leave_nothing(self) -> None:
        none = (Filter("region", "in", ("a",)), Filter("region", "in", ("b",)))
        assert Query(("revenue",), START, END, filters=none).filters == (Filter("region", "in", (REST,)),)

    def test_that_exclude_values_exclude_all_of_them(self) -> None:
        both = (Filter("region", "not_in", ("a",)), Filter("region", "not_in", ("b",)))
        assert Query(("revenue",), START, END, filters=both).filters == (Filter("region", "not_in", ("a", "b")),)

    @pytest.mark.parametrize("values", [(), ("a\x00",), tuple(map(str, range(1001)))])
    def test_of_no_too_many_or_impossible_values_are_refused(self, values: tuple[str, ...]) -> None:
        with pytest.raises(InvalidQuery):
            Filter("region", "in", values)


class TestAQuestion:
    @pytest.mark.parametrize(
        "changes",
        [
            {"metrics": ()},
            {"metrics": ("profit",)},
            {"dimensions": ("shelf",)},
            {"end": START},
            {"grain": "decade"},
            {"comparison": "never"},
            {"week_start": 7},
            {"limit": 0},
            {"limit": 10_001},
            {"order": "units"},
            {"order": "bucket"},
            {"time_zone": "Mars/Olympus"},
            {"time_zone": "../etc/passwd"},
        ],
    )
    def test_that_makes_no_sense_is_refused(self, changes: dict[str, object]) -> None:
        with pytest.raises(InvalidQuery):
            Query(("revenue",), START, END).with_(**changes)

    def test_takes_a_moment_without_zone_as_one_of_its_own(self) -> None:
        query = Query(("revenue",), datetime(2026, 11, 1), datetime(2026, 11, 2), time_zone="Asia/Kolkata")
        assert query.start == datetime(2026, 10, 31, 18, 30, tzinfo=UTC)

    def test_may_call_a_dimension_by_another_name(self) -> None:
        other = Query(
            ("revenue",),
            START,
            END,
            ("department",),
            order="-department",
            filters=(Filter("department", "in", ("a",)),),
        )
        own = Query(
            ("revenue",), START, END, ("category",), order="-category", filters=(Filter("category", "in", ("a",)),)
        )
        assert other == own
