import numpy as np
import pytest

from nebuloviz.detection.forecast import LEVELS, MIN_DAYS, Planned, outlooks

WEEK = np.array([10.0, 10.0, 10.0, 12.0, 16.0, 20.0, 8.0])
DAYS = [(ahead, ahead + 1) for ahead in range(14)]


def test_a_week_that_repeats_itself_goes_on() -> None:
    found = outlooks(np.tile(WEEK, 20), [*DAYS, (0, 7), (3, 10)])
    assert [look.expected for look in found if look] == pytest.approx([*WEEK, *WEEK, 86.0, 86.0])
    assert all(low == pytest.approx(high) for look in found if look for low, high in look.ranges)


def test_a_new_level_is_followed_within_weeks() -> None:
    days = np.concatenate([np.tile(WEEK, 20), np.tile(2 * WEEK, 4)])
    (week,) = outlooks(days, [(0, 7)])
    assert week is not None
    assert week.expected > 1.8 * WEEK.sum()


def test_one_festive_week_hardly_changes_the_shape_of_the_next() -> None:
    days = np.tile(WEEK, 20)
    days[-3] *= 3
    (day,) = outlooks(days, [(4, 5)])
    assert day is not None
    assert day.expected < 1.4 * WEEK[4]


def test_nothing_is_expected_of_a_day_on_which_nothing_is_ever_sold() -> None:
    found = outlooks(np.tile(np.where(WEEK == 20.0, 0.0, WEEK), 20), DAYS[:7])
    assert [look.expected for look in found if look][5] == 0.0
    assert found[5] is not None
    assert found[5].ranges == ((0.0, 0.0), (0.0, 0.0))


@pytest.mark.parametrize(
    "days",
    [np.tile(WEEK, 20)[: MIN_DAYS - 1], np.concatenate([np.tile(WEEK, 20), np.zeros(42)])],
    ids=["too few days", "nothing sold lately"],
)
def test_nothing_is_said_where_nothing_is_known(days: np.ndarray) -> None:
    assert outlooks(days, [(0, 1)]) == [None]


def test_nothing_is_said_where_nothing_is_asked() -> None:
    assert outlooks(np.tile(np.arange(1.0, 8.0), 20), []) == []


def test_nothing_is_said_of_more_days_than_could_be_tried() -> None:
    near, far = outlooks(np.tile(WEEK, 14), [(0, 7), (0, 92)])
    assert near is not None
    assert far is None


def test_ranges_hold_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(5)
    days = np.tile(WEEK, 130) * random.gamma(25, 1 / 25, 7 * 130)
    held = []
    for now in range(200, len(days) - 7, 7):
        for ahead, look in enumerate(outlooks(days[:now], DAYS[:7])):
            assert look is not None
            held.append([low <= days[now + ahead] <= high for low, high in look.ranges])
    assert np.abs(np.mean(held, axis=0) - LEVELS).max() < 0.03


def told(*, closed: tuple[int, ...] = (), promoted: tuple[int, ...] = ()) -> Planned:
    planned = Planned.nothing(7 * 22)
    planned.closed[list(closed)], planned.promoted[list(promoted)] = True, True
    return planned


def test_nothing_is_expected_of_closed_days_ahead_and_those_before_are_no_example() -> None:
    shut = (7 * 18 + 4, 7 * 19 + 4)
    days = np.tile(WEEK, 20)
    days[list(shut)] = 0.0
    day, week, next_friday = outlooks(days, [(4, 5), (0, 7), (11, 12)], told(closed=(*shut, 7 * 20 + 4)))
    assert day is not None
    assert (day.expected, day.ranges) == (0.0, ((0.0, 0.0), (0.0, 0.0)))
    assert week is not None
    assert week.expected == pytest.approx(WEEK.sum() - WEEK[4])
    assert next_friday is not None
    assert next_friday.expected == pytest.approx(WEEK[4])


def test_a_promotion_ahead_brings_what_earlier_ones_have_brought() -> None:
    earlier = tuple(range(7 * 15, 7 * 15 + 6))
    days = np.tile(WEEK, 20)
    days[list(earlier)] *= [1.4, 1.5, 1.5, 1.5, 1.5, 1.8]
    first, second, week = outlooks(days, [(0, 1), (1, 2), (0, 7)], told(promoted=(*earlier, 7 * 20 + 1)))
    assert [look.expected for look in (first, second, week) if look] == pytest.approx([10.0, 15.0, WEEK.sum() + 5])
    assert second is not None
    low, high = second.ranges[0]
    assert low < 15.0 < high
    unknown = outlooks(days, [(1, 2)], told(promoted=(earlier[0], 7 * 20 + 1)))[0]
    assert unknown is not None
    assert unknown.expected < 11.0
