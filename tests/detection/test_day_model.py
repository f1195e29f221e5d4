import numpy as np
import pytest

from nebuloviz.detection.day_model import Kind, Sums, expected_range


@pytest.mark.parametrize(("numerators", "reaches_below_zero"), [([1.0, 0.0], False), ([1.0, -0.5], True)])
def test_a_share_is_expected_below_zero_only_where_it_has_been_there(
    numerators: list[float], reaches_below_zero: bool
) -> None:
    """A rate of discounts never is; a margin may be."""
    column = np.array([[1.0], [1.0]])
    sums = Sums(np.array(numerators)[:, None], column, column * 10, column * 4)
    low, high = expected_range(Kind.SHARE, sums, np.array([1.0]))
    assert (low < 0).tolist() == [[reaches_below_zero]] * 2
    assert reaches_below_zero or (low == 0).all()
    assert (high > sums.expected_ratio).all()
