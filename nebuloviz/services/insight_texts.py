"""The sentences of insights: whole templates, so that every language puts its words in its own order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nebuloviz.i18n import _, change_words, money, ngettext, number, percent
from nebuloviz.metrics.registry import dimension
from nebuloviz.services.interfaces import ForecastPoint, SegmentPart
from nebuloviz.services.shown import value_label

NOTABLE_CHANGE = 0.02  # smaller changes are called steady
_ALL = 0.995  # a share from which on it is called all


def relative(now: float, before: float) -> float | None:
    """The change from `before` to `now` as a fraction; None where there is nothing to compare with."""
    return None if math.isnan(now) or math.isnan(before) or before == 0 else float((now - before) / abs(before))


def change_text(revenue: float, before: float, change: float) -> str:
    """What revenue came to, against what it is compared with."""
    if abs(change) < NOTABLE_CHANGE:
        return _("Revenue is steady at {amount}.", amount=money(revenue))
    return _(
        "Revenue is {amount}, {change} from {before}.",
        amount=money(revenue),
        change=change_words(change),
        before=money(before),
    )


def driver_of(orders: float | None, value: float | None) -> str:
    """The metric that moved revenue more, orders or their value (logarithms of the two add up to revenue's); '' if unknown."""
    if orders is None or value is None or min(orders, value) <= -1:
        return ""
    return "orders" if abs(math.log1p(orders)) >= abs(math.log1p(value)) else "average_order_value"


def driver_text(driver: str, changed: float | None) -> str:
    """That this metric moved revenue most, by how much."""
    if driver == "orders":
        return _("The number of orders was the main driver: {change}.", change=change_words(changed))
    return _("Average order value was the main driver: {change}.", change=change_words(changed))


def usual_text(own: float, before: Sequence[float], *, of_a_day: bool) -> str:
    """Whether `own` lies within what the like periods `before` it came to."""
    values = {"count": number(len(before)), "low": money(min(before)), "high": money(max(before))}
    if of_a_day:
        return _usual_day(own, before, values)
    if own < min(before):
        return ngettext(
            "Completed days brought in less than in {count} earlier period: {low} to {high}.",
            "Completed days brought in less than in each of the {count} periods before: {low} to {high}.",
            len(before),
            **values,
        )
    if own > max(before):
        return ngettext(
            "Completed days brought in more than in {count} earlier period: {low} to {high}.",
            "Completed days brought in more than in each of the {count} periods before: {low} to {high}.",
            len(before),
            **values,
        )
    return ngettext(
        "That is normal: completed days brought in {own}, compared with {low} to {high} in {count} earlier period.",
        "That is normal: completed days brought in {own}, compared with {low} to {high} in the {count} periods before.",
        len(before),
        own=money(own),
        **values,
    )


def _usual_day(own: float, before: Sequence[float], values: dict[str, str]) -> str:
    if own < min(before):
        return ngettext(
            "That is lower than on the same weekday {count} week earlier: {low} to {high}.",
            "That is lower than on the same weekday in each of the previous {count} weeks: {low} to {high}.",
            len(before),
            **values,
        )
    if own > max(before):
        return ngettext(
            "That is higher than on the same weekday {count} week earlier: {low} to {high}.",
            "That is higher than on the same weekday in each of the previous {count} weeks: {low} to {high}.",
            len(before),
            **values,
        )
    return ngettext(
        "That is normal: the same weekday {count} week earlier brought in {low} to {high}.",
        "That is normal: the same weekday in the previous {count} weeks brought in {low} to {high}.",
        len(before),
        **values,
    )


def segment_words(segment: Sequence[SegmentPart]) -> str:
    """The segment as it begins a sentence: "Category Dairy · Store 367"."""
    return " · ".join(
        _("{dimension} {name}", dimension=dimension(part.dimension).label, name=value_label(part.value, part.name))
        for part in segment
    )


def cause_text(segment: Sequence[SegmentPart], now: float, before: float, total_move: float) -> str:
    """How much of the move of the whole, `total_move`, the segment's own explains. Both go the same way."""
    values = {
        "segment": segment_words(segment),
        "share": percent(abs((now - before) / total_move), 0),
        "amount": money(abs(now - before)),
        "now": money(now),
    }
    if abs(now - before) >= _ALL * abs(total_move):
        if total_move < 0:
            return _("{segment} explains all of the decline: {amount} less, now {now}.", **values)
        return _("{segment} explains all of the increase: {amount} more, now {now}.", **values)
    if total_move < 0:
        return _("{segment} explains {share} of the decline: {amount} less, now {now}.", **values)
    return _("{segment} explains {share} of the increase: {amount} more, now {now}.", **values)


def spread_text(*, rose: bool) -> str:
    """That no segment stands out."""
    if rose:
        return _("The increase is spread across all sales; no segment stands out.")
    return _("The decline is spread across all sales; no segment stands out.")


def moved_text(slug: str, name: str, now: float, before: float) -> str:
    """How one value of a dimension moved; `before` is NaN or 0 of one that is new."""
    change = relative(now, before)
    values = {
        "dimension": str(dimension(slug).label),
        "name": name,
        "amount": money(abs(now - (0.0 if math.isnan(before) else before))),
        "share": percent(abs(change)) if change is not None else "",
    }
    if change is None:
        return _("{dimension} {name} is new with {amount}.", **values)
    if now > before:
        return _("{dimension} {name} rose by {amount} ({share}).", **values)
    return _("{dimension} {name} fell by {amount} ({share}).", **values)


def alerts_text(count: int) -> str:
    return ngettext(
        "One alert is open for this period.",
        "{count} alerts are open for this period.",
        count,
        count=number(count),
    )


def pace_text(grain: str, point: ForecastPoint, change: float | None) -> str:
    """Where the month or quarter of `point` will end, against the one before where that is known."""
    values = {
        "amount": money(point.value, digits=0),
        "low": money(point.low_80, digits=0),
        "high": money(point.high_80, digits=0),
        "change": change_words(change),
    }
    if grain == "month":
        if change is None:
            return _(
                "This month is on track for {amount}; four times out of five, it ends between {low} and {high}.",
                **values,
            )
        return _(
            "This month is on track for {amount}, {change} from last month; four times out of five, it ends between {low} and {high}.",
            **values,
        )
    if change is None:
        return _(
            "This quarter is on track for {amount}; four times out of five, it ends between {low} and {high}.", **values
        )
    return _(
        "This quarter is on track for {amount}, {change} from last quarter; four times out of five, it ends between {low} and {high}.",
        **values,
    )
