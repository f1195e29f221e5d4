import pytest

from nebuloviz.errors import ConfigurationError, InvalidQuery
from nebuloviz.i18n import lazy
from nebuloviz.metrics import registry
from nebuloviz.metrics.registry import DIMENSIONS, METRICS, Dimension, Metric, add_dimension, add_metric

LABEL = lazy("Sale lines")


@pytest.fixture(autouse=True)
def _own_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "METRICS", list(METRICS))
    monkeypatch.setattr(registry, "DIMENSIONS", list(DIMENSIONS))


class TestAMetric:
    def test_that_is_added_is_found_like_the_others(self) -> None:
        entry = Metric("net_revenue", LABEL, "money", ("revenue", "-cost"))
        add_metric(entry)
        assert registry.metric("net_revenue") is entry

    @pytest.mark.parametrize(
        ("slug", "numerator", "words"),
        [
            ("revenue", ("revenue",), "There is a metric 'revenue' already"),
            ("Net revenue", ("revenue",), "a to z and _"),
            ("", ("revenue",), "a to z and _"),
            ("profit", ("revenue", "-profit"), "unknown measures: profit"),
        ],
    )
    def test_is_refused_with_the_reason(self, slug: str, numerator: tuple[str, ...], words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            add_metric(Metric(slug, LABEL, "money", numerator))

    def test_that_is_unknown_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(InvalidQuery, match="no metric 'joy'; known are revenue, orders"):
            registry.metric("joy")

    @pytest.mark.parametrize(
        ("numerator", "denominator", "value"),
        [
            (("revenue",), (), 123.0),
            (("revenue", "-cost"), (), 82.0),
            (("quantity",), ("orders",), 1.5),
            (("revenue",), ("lines",), None),
            (("revenue", "quantity"), (), 126.0),
        ],
    )
    def test_is_formed_from_stored_integers(
        self, numerator: tuple[str, ...], denominator: tuple[str, ...], value: float | None
    ) -> None:
        stored = {"revenue": 1_230_000, "cost": 410_000, "quantity": 3_000, "orders": 2}
        assert Metric("any", LABEL, "money", numerator, denominator).value(stored) == value


class TestADimension:
    def test_that_is_added_is_found_like_the_others(self) -> None:
        entry = Dimension("customer", LABEL, "customer_id")
        add_dimension(entry)
        assert registry.dimension("customer") is entry

    @pytest.mark.parametrize(
        ("slug", "column", "words"),
        [
            ("store", "customer_id", "There is a dimension 'store' already"),
            ("customer no", "customer_id", "a to z and _"),
            ("colour", "colour", "needs a column of text that sales have"),
            ("size", "quantity", "needs a column of text that sales have"),
            ("shop", "store", "'store' has a dimension already: 'store'"),
        ],
    )
    def test_is_refused_with_the_reason(self, slug: str, column: str, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            add_dimension(Dimension(slug, LABEL, column))

    @pytest.mark.parametrize(
        ("slug", "rolled"), [("store", True), ("category", True), ("product", True), ("customer", False)]
    )
    def test_knows_whether_its_sums_are_kept(self, slug: str, rolled: bool) -> None:
        add_dimension(Dimension("customer", LABEL, "customer_id"))
        assert registry.dimension(slug).rolled is rolled
