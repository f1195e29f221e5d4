"""Rules of one's own, in the database."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.detection.registry import series_detector
from nebuloviz.detection.series_detector import Parameter
from nebuloviz.errors import ConfigurationError, Conflict, InvalidInput, NotFound, StaleVersion
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number, quantity
from nebuloviz.metrics.line_figures import NEW_VALUES, SCHEMA_FIGURES, STREAM_FIGURES
from nebuloviz.metrics.registry import METRICS
from nebuloviz.models import MAX_ID, MEASURES, ROLLED_DIMENSIONS, Alert, AlertRule
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.alert_rows import passes
from nebuloviz.services.alert_store import resolve_all
from nebuloviz.services.interfaces import (
    RULE_GRAINS,
    AuditAction,
    AuditService,
    RuleDraft,
    RuleGrain,
    RuleService,
    RuleView,
)
from nebuloviz.services.rule_series import detector_of
from nebuloviz.services.rule_words import detector_words
from nebuloviz.services.scope import scope_filters

MAX_RULES = 50
MAX_NAME_LENGTH = 80
_MAX_VALUE_LENGTH = 256
_COUNTED = timedelta(days=30)


class DatabaseRules(RuleService):
    """The `RuleService` over our own table; `services.rule_watch` watches by it."""

    def __init__(self, audit: AuditService, now: Callable[[], datetime] = utc_now) -> None:
        self._audit = audit
        self._now = now

    @require(Permission.ALERTS_READ)
    def rules(self, session: Session, actor: Actor) -> Sequence[RuleView]:
        rows = session.scalars(select(AlertRule).order_by(func.lower(AlertRule.name), AlertRule.id))
        return [self._view(session, row) for row in rows if visible(actor, draft_of(row))]

    @require(Permission.ALERTS_READ)
    def rule(self, session: Session, actor: Actor, rule_id: int) -> RuleView:
        return self._view(session, _row(session, actor, rule_id))

    @require(Permission.ALERTS_MANAGE)
    def create(self, session: Session, actor: Actor, draft: RuleDraft) -> RuleView:
        draft = checked(actor, draft)
        if (session.scalar(select(func.count()).select_from(AlertRule)) or 0) >= MAX_RULES:
            raise Conflict(_("There are {limit} rules already; delete one first.", limit=number(MAX_RULES)))
        row = AlertRule(made_by=actor.username, made_at=self._now(), version=1, problem="", **_columns(draft))
        session.add(row)
        session.flush()
        self._audit.record(session, actor, AuditAction.RULE_CREATED, _subject(row), after=_told(draft))
        return self._view(session, row)

    @require(Permission.ALERTS_MANAGE)
    def change(self, session: Session, actor: Actor, rule_id: int, version: int, draft: RuleDraft) -> RuleView:
        row = _row(session, actor, rule_id, locked=True)
        if row.version != version:
            raise StaleVersion(_("This rule was changed in the meantime; look at it as it is now, then decide."))
        before, draft = draft_of(row), checked(actor, draft)
        if not draft.enabled or _watches(draft) != _watches(before):
            resolve_all(session, detector_of(before, row.id), self._now())
        if _watches(draft) != _watches(before) or (draft.enabled and not before.enabled):
            row.judged_until = None
        for name, value in _columns(draft).items():
            setattr(row, name, value)
        row.version, row.problem = version + 1, ""
        session.flush()
        self._audit.record(
            session, actor, AuditAction.RULE_CHANGED, _subject(row), before=_told(before), after=_told(draft)
        )
        return self._view(session, row)

    @require(Permission.ALERTS_MANAGE)
    def delete(self, session: Session, actor: Actor, rule_id: int) -> None:
        row = _row(session, actor, rule_id)
        resolve_all(session, detector_of(draft_of(row), row.id), self._now())
        self._audit.record(session, actor, AuditAction.RULE_DELETED, _subject(row), before=_told(draft_of(row)))
        session.delete(row)

    def _view(self, session: Session, row: AlertRule) -> RuleView:
        draft = draft_of(row)
        own = Alert.detector == detector_of(draft, row.id)
        recent = select(func.count()).where(own, Alert.created_at > self._now() - _COUNTED)
        alerts = session.scalar(recent) or 0
        unresolved = session.scalar(select(func.count()).where(own, Alert.state != "resolved")) or 0
        facts = (row.version, row.made_by, row.made_at, row.judged_until, row.problem)
        return RuleView(row.id, draft, *facts, alerts, unresolved)


def rule_metrics() -> tuple[str, ...]:
    """The metrics that rules can watch: those that sums are kept of, what is known of the stream, what sales lack or bring anew."""
    summed = [metric.slug for metric in METRICS if metric.measures <= set(MEASURES)]
    return (*summed, *STREAM_FIGURES, *SCHEMA_FIGURES)


def draft_of(row: AlertRule) -> RuleDraft:
    parameters = tuple(json.loads(row.parameters).items())
    grain = cast("RuleGrain", row.grain)
    return RuleDraft(row.name, row.detector, row.metric, grain, row.dimension, row.value, parameters, row.enabled)


def checked(actor: Actor, draft: RuleDraft) -> RuleDraft:
    """The draft in the one form that it is kept in, with all parameters.

    Raises:
        InvalidInput: says what cannot be.
        PermissionDenied: it watches the stream, which the actor may not see.
    """
    name = draft.name.strip()
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidInput(_("A rule needs a name of at most {limit} characters.", limit=number(MAX_NAME_LENGTH)))
    if draft.metric not in rule_metrics() or draft.grain not in RULE_GRAINS:
        raise InvalidInput(_("A rule cannot monitor that metric."))
    if draft.metric in STREAM_FIGURES:
        actor.demand(Permission.STREAM_READ)
    if draft.metric in {*STREAM_FIGURES, *SCHEMA_FIGURES} - {NEW_VALUES}:
        draft = replace(draft, dimension="", value=None)
    if draft.metric == NEW_VALUES:
        if not draft.dimension:
            raise InvalidInput(_("Choose a dimension: “each region separately”, for instance."))
        draft = replace(draft, value=None)
    if draft.dimension not in {"", *ROLLED_DIMENSIONS}:
        raise InvalidInput(_("A rule cannot be split by that dimension."))
    _demand_value(draft)
    draft = replace(draft, name=name, parameters=_parameters(draft))
    if not visible(actor, draft):
        raise InvalidInput(_("You see some of the rows alone. Choose one value that lies within them."))
    return draft


def _demand_value(draft: RuleDraft) -> None:
    """Raise InvalidInput for a value of no dimension, which would make it a rule on everything, and for one that is none."""
    if draft.value is None:
        return
    if not draft.dimension:
        raise InvalidInput(_("Say of which dimension {value} is a value.", value=repr(draft.value[:_MAX_VALUE_LENGTH])))
    if len(draft.value) > _MAX_VALUE_LENGTH or "\x00" in draft.value:
        raise InvalidInput(_("Choose at most {limit} values of those that there are.", limit=number(1)))


def _parameters(draft: RuleDraft) -> tuple[tuple[str, float | None], ...]:
    try:
        kind = series_detector(draft.detector)
        given = kind(parameters=dict(draft.parameters)).of
    except (ConfigurationError, ValueError) as error:
        raise InvalidInput(_("There is no such detector, or no such parameter.")) from error
    if all(value is None for value in given.values()) and given:
        raise InvalidInput(_("Enter at least one number for the detector to go by."))
    return tuple((each.name, _number(each, given[each.name])) for each in kind.parameters)


def _number(parameter: Parameter, value: float | None) -> float | None:
    if value is None and parameter.default is None:
        return None
    inside = value is not None and math.isfinite(value) and parameter.least <= value <= parameter.most
    if not inside or (parameter.whole and value != int(value or 0)):
        bounds = {"least": quantity(parameter.least), "most": quantity(parameter.most)}
        raise InvalidInput(
            _("{name}: a number from {least} to {most}.", name=detector_words(parameter.label), **bounds)
        )
    return value


def visible(actor: Actor, draft: RuleDraft) -> bool:
    """Whether the actor may see all that the rule watches, as role and row scope are now."""
    if draft.metric in STREAM_FIGURES and not actor.may(Permission.STREAM_READ):
        return False
    one = {draft.dimension: draft.value} if draft.dimension and draft.value is not None else {}
    return passes(json.dumps(one), scope_filters(actor))


def _watches(draft: RuleDraft) -> RuleDraft:
    """What makes it another watch when it changes."""
    return replace(draft, name="", parameters=(), enabled=True)


def _columns(draft: RuleDraft) -> dict[str, object]:
    return asdict(draft) | {"parameters": json.dumps(dict(draft.parameters))}


def _told(draft: RuleDraft) -> Mapping[str, object]:
    """What the audit log tells of a rule."""
    return asdict(draft) | {"parameters": dict(draft.parameters)}


def _subject(row: AlertRule) -> str:
    return f"rule {row.name}"


def _row(session: Session, actor: Actor, rule_id: int, *, locked: bool = False) -> AlertRule:
    found = select(AlertRule).where(AlertRule.id == rule_id)
    row = session.scalar(found.with_for_update() if locked else found) if 0 < rule_id <= MAX_ID else None
    if row is None or not visible(actor, draft_of(row)):
        raise NotFound(_("There is no such rule."))
    return row
