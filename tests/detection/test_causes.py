import itertools

import numpy as np
import pytest

from nebuloviz.detection.causes import Level, causes, grain_of, likelihood_ratio

REGIONS, CHANNELS, CATEGORIES = ("north", "south", "west"), ("shop", "web"), ("a", "b", "c", "d", "e", "f")
VALUES = {"region": REGIONS, "channel": CHANNELS, "category": CATEGORIES}
Cells = dict[tuple[str, ...], float]


def sold(seed: int, usual: float = 12.0, **factors: float) -> list[Cells]:
    """Counts of now and of four weeks before by region, channel and category; now those named are multiplied."""
    random = np.random.default_rng(seed)
    weeks: list[Cells] = []
    for week in range(5):
        cells: Cells = {}
        for cell in itertools.product(*VALUES.values()):
            touched = [factor for values, factor in factors.items() if set(values.split("_")) <= set(cell)]
            cells[cell] = float(random.poisson(usual * (np.prod(touched) if week == 0 else 1.0)))
        weeks.append(cells)
    return weeks


def level(weeks: list[Cells], dimensions: tuple[str, ...], own: dict[str, str] | None = None) -> Level:
    segments: dict[tuple[tuple[str, str], ...], np.ndarray] = {}
    for week, cells in enumerate(weeks):
        for cell, count in cells.items():
            of = dict(zip(VALUES, cell, strict=True))
            if all(of[name] == value for name, value in (own or {}).items()):
                key = tuple(sorted([(name, of[name]) for name in dimensions] + list((own or {}).items())))
                segments.setdefault(key, np.zeros(5))[week] += count
    sums = np.stack(list(segments.values()), axis=1)
    return Level(tuple(segments), sums[0], sums[1:])


def levels(weeks: list[Cells], **own: str) -> list[Level]:
    free = [name for name in VALUES if name not in own]
    singles = [level(weeks, ()), *(level(weeks, (name,)) for name in free)]
    if own:
        return [*singles, level(weeks, (), own), *(level(weeks, (name,), own) for name in free)]
    return [*singles, *(level(weeks, pair) for pair in itertools.combinations(free, 2))]


@pytest.mark.parametrize("seed", range(5))
class TestCauses:
    def test_of_a_fall_of_all_are_all(self, seed: int) -> None:
        weeks = sold(seed, north=0.3, south=0.3, west=0.3)
        (all_sales,) = causes((), levels(weeks), rising=False, counted=True)
        assert all_sales.segment == ()
        assert all_sales.share == pytest.approx(1.0)

    @pytest.mark.parametrize(
        ("named", "segment"),
        [
            ("south", (("region", "south"),)),
            ("c", (("category", "c"),)),
            ("west_web", (("channel", "web"), ("region", "west"))),
        ],
    )
    def test_are_at_the_right_depth(self, seed: int, named: str, segment: tuple[tuple[str, str], ...]) -> None:
        first = causes((), levels(sold(seed, **{named: 0.1})), rising=False, counted=True)[0]
        assert first.segment == segment
        assert first.observed < first.expected

    def test_of_a_rise_rise(self, seed: int) -> None:
        found = causes((), levels(sold(seed, web=2.0, south=0.8)), rising=True, counted=True)
        assert found[0].segment == (("channel", "web"),)
        assert all(cause.observed > cause.expected for cause in found)

    def test_are_two_where_two_have_changed(self, seed: int) -> None:
        weeks = sold(seed, usual=30.0, north_shop=0.2, west_web=0.2)
        found = causes((), levels(weeks), rising=False, counted=True)
        wanted = [(("channel", "shop"), ("region", "north")), (("channel", "web"), ("region", "west"))]
        assert sorted(cause.segment for cause in found[:2]) == wanted

    def test_of_a_part_are_what_it_is_a_part_of(self, seed: int) -> None:
        weeks = sold(seed, north=0.2, south=0.2, west=0.2)
        found = causes((("category", "b"),), levels(weeks, category="b"), rising=False, counted=True)
        assert found[0].segment == ()
        assert found[0].share == pytest.approx(1.0, abs=0.4)

    def test_of_a_segment_are_itself_where_only_it_has_changed(self, seed: int) -> None:
        own = (("region", "south"),)
        (first, *_) = causes(own, levels(sold(seed, south=0.1), region="south"), rising=False, counted=True)
        assert first.segment == own
        assert first.share == pytest.approx(1.0)

    def test_of_nothing_are_none(self, seed: int) -> None:
        weeks = sold(seed)
        assert causes((), levels([weeks[1], *weeks[1:]]), rising=True, counted=True, limit=0) == []
        nothing: list[Cells] = [dict.fromkeys(weeks[0], 0.0) for _ in range(5)]
        assert causes((), levels(nothing), rising=True, counted=False) == []


def test_a_grain_is_what_one_sale_comes_to() -> None:
    random = np.random.default_rng(3)
    before = np.asarray(random.poisson(20.0, (4, 400)) * 7.5, np.float64)
    assert grain_of([Level(tuple((("product", str(n)),) for n in range(400)), before[0], before)]) == pytest.approx(
        7.5, rel=0.4
    )


def test_the_likelihood_ratio_grows_with_the_deviation_and_with_what_there_was() -> None:
    assert likelihood_ratio(10, 10, 1.0) == 0
    assert likelihood_ratio(0, 20, 1.0) > likelihood_ratio(5, 20, 1.0) > likelihood_ratio(25, 20, 1.0) > 0
    assert likelihood_ratio(100, 200, 10.0) == pytest.approx(likelihood_ratio(10, 20, 1.0))
    assert np.isfinite(likelihood_ratio(5, 0, 1.0))
