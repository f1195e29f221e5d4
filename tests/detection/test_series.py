import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nebuloviz.detection.series import Buckets, Lines, SeriesKey, hour_of_time, runs, time_of_hour

_NAMES = st.text("abcdefghij_", min_size=1, max_size=8)


class TestTheNameOfASeries:
    @given(_NAMES, st.dictionaries(_NAMES, st.text(max_size=12), max_size=3))
    def test_is_read_back_whatever_its_values_hold(self, metric: str, dimensions: dict[str, str]) -> None:
        key = SeriesKey.of(metric, **dimensions) if "metric" not in dimensions else SeriesKey(metric)
        assert SeriesKey.parse(str(key)) == key

    def test_does_not_depend_on_the_order_of_its_dimensions(self) -> None:
        assert str(SeriesKey.of("revenue", region="Europe", channel="web")) == "revenue|channel=web,region=Europe"
        assert SeriesKey.parse("revenue|region=Europe,channel=web") == SeriesKey.of(
            "revenue", channel="web", region="Europe"
        )

    @pytest.mark.parametrize("text", ["", "|a=b", "orders|", "orders|region", "orders|=x"])
    def test_is_refused_when_it_names_none(self, text: str) -> None:
        if text == "orders|":
            assert SeriesKey.parse(text) == SeriesKey("orders")
            return
        with pytest.raises(ValueError, match="not the name"):
            SeriesKey.parse(text)


class TestHours:
    def test_are_counted_from_1970_in_utc(self) -> None:
        assert time_of_hour(0).isoformat() == "1970-01-01T00:00:00+00:00"
        assert hour_of_time(time_of_hour(473_352)) == 473_352

    def test_of_buckets_can_be_cut(self) -> None:
        buckets = Buckets(10, (SeriesKey("orders"),), np.arange(5.0)[:, None])
        assert buckets.between(12, 14).values[:, 0].tolist() == [2.0, 3.0]
        assert (buckets.between(0, 99).start, buckets.between(0, 99).end) == (10, 15)
        assert len(buckets.between(20, 30).values) == 0

    def test_need_a_value_for_each_series(self) -> None:
        with pytest.raises(ValueError, match="1 series"):
            Buckets(0, (SeriesKey("orders"),), np.zeros((3, 2)))

    def test_runs_of_equal_neighbours(self) -> None:
        assert runs(np.array([4, 4, 5, 4])) == [(0, 2), (2, 3), (3, 4)]
        assert runs(np.array([])) == []


def _lines(*rows: tuple[float, str, str, float, float]) -> Lines:
    hours, orders, regions, quantities, prices = zip(*rows, strict=True)
    return Lines(
        sold_at=(np.array(hours) * 3_600_000_000).astype(np.int64),
        order_id=np.array(orders, object),
        product_id=np.array(["P"] * len(rows), object),
        quantity=np.array(quantities, float),
        unit_price=np.array(prices, float),
        dimensions={"region": np.array(regions, object)},
    )
