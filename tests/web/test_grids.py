import pytest

from nebuloviz.i18n import Preferences, use
from nebuloviz.web.views.grids import unit_price


@pytest.mark.parametrize(
    ("price", "shown"),
    [(0.0022, "$0.0022"), (0.05, "$0.05"), (0.0, "$0.00"), (-0.0022, "−$0.0022"), (1.2345, "$1.23"), (3.49, "$3.49")],
)
def test_a_small_price_is_not_rounded_to_nothing(price: float, shown: str) -> None:
    with use(Preferences(currency="USD")):
        assert unit_price(price) == shown
