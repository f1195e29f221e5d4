"""Opening hours, as people enter them."""

from __future__ import annotations

#: Of each weekday from Monday on, the minutes of the day from which and until which the shop is open. Both the same: not at all;
#: an end before the beginning lies on the next day. Empty: nobody has said.
OpeningHours = tuple[tuple[int, int], ...]


def is_open(hours: OpeningHours, weekday: int, bucket: int, minutes: int = 60) -> bool:
    """Whether some of that hour, or bucket of so many minutes, of the day lies in the opening hours; always where nobody has said.

    >>> week = ((540, 1080),) * 5 + ((1080, 120), (0, 0))
    >>> [
    ...     is_open(week, 0, 8),
    ...     is_open(week, 0, 9),
    ...     is_open(week, 0, 18),
    ...     is_open(week, 5, 23),
    ...     is_open(week, 6, 1),
    ...     is_open(week, 6, 2),
    ...     is_open(week, 0, 35, 15),
    ... ]
    [False, True, False, True, True, False, False]
    """
    if not hours:
        return True
    begin, end = hours[weekday]
    evening, night = hours[weekday - 1]
    today = begin != end and begin < (bucket + 1) * minutes and (end < begin or bucket * minutes < end)
    return today or (night < evening and bucket * minutes < night)
