import pytest

from nebuloviz.detection.line_model import DROPS, PRICE, QUANTITY, REPEATS
from nebuloviz.errors import InvalidQuery
from nebuloviz.metrics.line_figures import SCHEMA_FIGURES, figure, metric_behind
from nebuloviz.metrics.registry import METRICS, Metric, metric


@pytest.mark.parametrize("slug", [PRICE, QUANTITY, DROPS, REPEATS, *SCHEMA_FIGURES])
def test_whatever_alerts_are_about_has_a_label_and_a_metric_to_chart(slug: str) -> None:
    assert str(figure(slug).label) != slug
    assert metric(metric_behind(slug)) in METRICS


@pytest.mark.parametrize("each", METRICS, ids=lambda each: each.slug)
def test_a_metric_stands_for_itself(each: Metric) -> None:
    slug = each.slug
    assert figure(slug) is each
    assert metric_behind(slug) == slug


def test_anything_else_is_refused() -> None:
    with pytest.raises(InvalidQuery):
        figure("weather")
