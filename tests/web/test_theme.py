from __future__ import annotations

import re
from dataclasses import fields
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from nebuloviz.services.interfaces import OTHER
from nebuloviz.web.theme import (
    DARK,
    LIGHT,
    THEMES,
    Theme,
    Tokens,
    color_of,
    colors_of,
    comparison_color,
    contrast,
    heat_scale,
    rgb,
    template,
)

CSS = Path(__file__).resolve().parents[2] / "assets" / "tokens.css"
DEPARTMENTS = [f"Department {number}" for number in range(32)]

# What dichromats see, in linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.0.
SEEN_BY = {
    "all cones": np.eye(3),
    "no long": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no medium": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no short": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
LMS = np.array(
    [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.629978701]]
)
LAB = np.array(
    [
        [0.21045426, 0.79361779, -0.00407205],
        [1.9779985, -2.42859221, 0.45059371],
        [0.0259040371, 0.78277177, -0.80867577],
    ]
)


def css_tokens(theme: Theme) -> dict[str, str]:
    light, dark = CSS.read_text(encoding="utf-8").split('[data-bs-theme="dark"] {')
    return dict(re.findall(r"--nv-([a-z0-9-]+): (#[0-9a-f]{6});", dark if theme == "dark" else light))


def python_tokens(of: Tokens) -> dict[str, str]:
    plain = {field.name.replace("_", "-"): getattr(of, field.name) for field in fields(of) if field.name != "series"}
    return plain | {f"series-{number}": color for number, color in enumerate(of.series, 1)}


def perceived(color: str, by: str) -> np.ndarray:
    part = np.array(rgb(color)) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return np.asarray(LAB @ np.cbrt(LMS @ np.clip(SEEN_BY[by] @ linear, 0, 1)))


@pytest.mark.parametrize("theme", ["light", "dark"])
class TestTokens:
    def test_python_and_the_style_sheet_hold_the_same_colours(self, theme: Theme) -> None:
        assert python_tokens(THEMES[theme]) == css_tokens(theme)

    @pytest.mark.parametrize("ink", ["text", "muted", "accent", "accent_strong", "good", "bad", "warn"])
    @pytest.mark.parametrize("ground", ["raised", "surface", "sunken", "hover"])
    def test_text_can_be_read_on_every_ground(self, theme: Theme, ink: str, ground: str) -> None:
        assert contrast(getattr(THEMES[theme], ink), getattr(THEMES[theme], ground)) >= 4.5

    @pytest.mark.parametrize("ink", ["accent", "good", "bad", "warn"])
    def test_badges_can_be_read_on_their_own_tint(self, theme: Theme, ink: str) -> None:
        assert contrast(getattr(THEMES[theme], ink), getattr(THEMES[theme], f"{ink}_soft")) >= 4.5

    def test_buttons_can_be_read(self, theme: Theme) -> None:
        of = THEMES[theme]
        assert min(contrast(of.on_accent, of.accent), contrast(of.on_accent, of.accent_strong)) >= 4.5

    def test_marks_stand_out_from_the_card(self, theme: Theme) -> None:
        of = THEMES[theme]
        assert min(contrast(color, of.raised) for color in (*of.series, of.other, of.line_strong)) >= 3

    @pytest.mark.parametrize(
        ("by", "least"), [("all cones", 0.1), ("no long", 0.07), ("no medium", 0.07), ("no short", 0.05)]
    )
    def test_no_two_series_look_alike_to_anyone(self, theme: Theme, by: str, least: float) -> None:
        seen = [perceived(color, by) for color in THEMES[theme].series]
        assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) >= least


class TestColourOfAValue:
    def test_is_the_same_on_every_chart_that_shares_the_order(self) -> None:
        everywhere = colors_of("category", DEPARTMENTS)
        assert [colors_of("category", DEPARTMENTS)[value] for value in DEPARTMENTS[3:9]] == [
            everywhere[value] for value in DEPARTMENTS[3:9]
        ]

    def test_does_not_depend_on_values_that_come_later_in_the_order(self) -> None:
        assert colors_of("category", DEPARTMENTS[:5]) == dict(list(colors_of("category", DEPARTMENTS).items())[:5])

    def test_the_first_sixteen_differ(self) -> None:
        colors = colors_of("category", DEPARTMENTS)
        assert len({colors[value] for value in DEPARTMENTS[:16]}) == 16
        assert {colors[value] for value in DEPARTMENTS[:8]} == set(LIGHT.series)

    def test_alone_a_value_gets_what_it_asks_for(self) -> None:
        assert colors_of("store", ["367"]) == {"367": color_of("store", "367")}

    def test_themes_agree_on_the_place_in_the_palette(self) -> None:
        assert LIGHT.series.index(color_of("store", "367")) == DARK.series.index(color_of("store", "367", "dark"))

    @pytest.mark.parametrize("value", [OTHER, ""])
    def test_the_rest_and_the_unknown_are_grey(self, value: str) -> None:
        assert (
            colors_of("category", ["Dairy", value], "dark")[value] == DARK.other == color_of("category", value, "dark")
        )

    @pytest.mark.parametrize("value", ["\ud800", "مخبز", "a" * 10_000])
    def test_any_text_has_one(self, value: str) -> None:
        assert color_of("product", value) in LIGHT.series

    def test_the_comparison_is_between_the_colour_and_the_card(self) -> None:
        faint = comparison_color(LIGHT.accent, "light")
        assert 3 <= contrast(faint, LIGHT.raised) < contrast(LIGHT.accent, LIGHT.raised)


@pytest.mark.parametrize("theme", ["light", "dark"])
class TestTemplate:
    def test_more_is_louder_on_the_heat_scale(self, theme: Theme) -> None:
        loudness = [contrast(color, THEMES[theme].sunken) for _share, color in heat_scale(theme)]
        assert loudness == sorted(loudness)

    def test_the_ground_is_the_card_itself(self, theme: Theme) -> None:
        layout = template(theme).layout
        assert (layout.paper_bgcolor, layout.plot_bgcolor) == ("rgba(0,0,0,0)", "rgba(0,0,0,0)")
        assert layout.colorway == THEMES[theme].series
