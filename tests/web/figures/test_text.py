from __future__ import annotations

import math

import pytest

from nebuloviz.metrics.registry import metric
from nebuloviz.web import figures
from nebuloviz.web.figures.axes import round_ticks
from nebuloviz.web.figures.text import points_text


class TestText:
    @pytest.mark.parametrize(
        ("slug", "value", "exact", "short"),
        [
            ("revenue", 1234567.891, "$1,234,567.89", "$1.2M"),
            ("revenue", 187_392.84, "$187,392.84", "$187K"),
            ("revenue", 12.5, "$12.50", "$13"),
            ("orders", 1234.0, "1,234", "1.2K"),
            ("units", 12.375, "12.375", "12.375"),
            ("discount_rate", 0.1234, "12.3%", "12.3%"),
            ("revenue", None, "–", "–"),
            ("revenue", math.nan, "–", "–"),
            ("revenue", math.inf, "–", "–"),
        ],
    )
    def test_values_by_their_unit(self, slug: str, value: float | None, exact: str, short: str) -> None:
        assert figures.value_text(metric(slug), value) == exact
        assert figures.value_text(metric(slug), value, short=True) == short

    @pytest.mark.parametrize(("step", "text"), [(0.012, "▲ +1.2 pts"), (-0.008, "▼ −0.8 pts"), (0.0, "■ 0.0 pts")])
    def test_ratios_change_by_points(self, step: float, text: str) -> None:
        assert points_text(step) == text

    @pytest.mark.parametrize(
        ("text", "shown"),
        [("<br>", "&lt;br&gt;"), ("&lt;", "&amp;lt;"), ("a\nb\r\n c", "a b c"), ("مخبز", "مخبز"), ("", "")],
    )
    def test_markup_becomes_text(self, text: str, shown: str) -> None:
        assert figures.escape(text) == shown

    @pytest.mark.parametrize(
        ("low", "high", "ticks"),
        [
            (0, 9, [0, 2.5, 5, 7.5]),
            (0, 1, [0, 0.25, 0.5, 0.75, 1]),
            (-20, 50, [-20, 0, 20, 40]),
            (0, 1e-7, None),
            (0, 3e12, None),
        ],
    )
    def test_ticks_are_round(self, low: float, high: float, ticks: list[float] | None) -> None:
        found = round_ticks(low, high)
        assert 2 <= len(found) <= 5
        assert ticks is None or found == ticks
