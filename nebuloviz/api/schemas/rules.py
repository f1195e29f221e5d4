"""Rules of one's own, and the detectors that they can go by."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Outgoing, Slug, Text
from nebuloviz.services.interfaces import RuleGrain

_Numbers = dict[Annotated[str, Field(max_length=64)], float | None]


class RuleBody(Incoming):
    """Which series a detector watches: of all sales, of one `value` of a `dimension`, or without one of each of its largest."""

    name: Annotated[Text, Field(min_length=1, max_length=80)]
    detector: Slug
    metric: Slug
    grain: RuleGrain = "hour"
    dimension: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]*)?$", max_length=64)] = ""
    value: Annotated[Text | None, Field(max_length=256)] = None
    parameters: Annotated[_Numbers, Field(default_factory=dict, max_length=20, description="Others are as by default.")]
    enabled: bool = True


class RuleSetting(Outgoing):
    """What was decided of a rule, as a rule is made of it."""

    name: str
    detector: str
    metric: str
    grain: str
    dimension: str
    value: str | None
    parameters: dict[str, float | None]
    enabled: bool


class RuleItem(RuleSetting):
    """`alerts` were raised in the last 30 days; `open` are those not resolved. `problem` says why it could not judge, last time."""

    id: int
    version: int
    made_by: str
    made_at: datetime
    judged_until: datetime | None
    problem: str
    alerts: int
    open: int


class RuleList(Outgoing):
    items: list[RuleItem]


class ParameterItem(Outgoing):
    """A number from `least` to `most`; without a default it may be left out."""

    name: str
    label: str
    default: float | None
    least: float
    most: float
    whole: bool


class RuleDetectorItem(Outgoing):
    name: str
    label: str
    about: str
    parameters: list[ParameterItem]


class RuleDetectorList(Outgoing):
    """`metrics` are those that a rule can watch."""

    items: list[RuleDetectorItem]
    metrics: list[str]
