"""What every `RuleService` promises, on both databases."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete

from nebuloviz.db import Database
from nebuloviz.errors import Conflict, InvalidInput, NotFound, PermissionDenied, StaleVersion
from nebuloviz.metrics.line_figures import STREAM_FIGURES
from nebuloviz.models import AlertRule, AuditEntry
from nebuloviz.permissions import ROLES, Actor
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.interfaces import RuleDraft, RuleService, RuleView
from nebuloviz.services.rules import MAX_RULES, DatabaseRules
from tests.contracts.people import Clock, audit_from_now_on

ANNA = Actor(1, "anna", "analyst", ROLES["analyst"])
NORTH = replace(ANNA, user_id=2, username="nora", scope=(("region", ("North",)),))
VIEWER = Actor(3, "vic", "viewer", ROLES["viewer"])
DRAFT = RuleDraft("Few orders", "threshold", "orders", parameters=(("below", 5.0),))
IN_NORTH = replace(DRAFT, name="North", dimension="region", value="North")
#: What no draft may say.
WRONG: list[dict[str, Any]] = [
    *({"name": name} for name in ("", "two\nlines", "x" * 81)),
    *({"metric": metric} for metric in ("no_such", "customers", "unit_price")),
    *({"dimension": name} for name in ("product", "no_such")),
    {"grain": "minute"},
    {"metric": "new_values"},
    {"detector": "no_such"},
    {"dimension": "region", "value": "x\x00"},
    *({"dimension": "", "value": value} for value in ("North", "")),
    *({"parameters": given} for given in ((), (("colour", 1.0),), (("below", float("nan")),), (("below", 1e300),))),
    {"detector": "silence", "parameters": (("buckets", 1.5),)},
    {"detector": "silence", "parameters": (("buckets", None),)},
]


@pytest.fixture
def database(kept_database: Database) -> Database:
    with kept_database.transaction() as session:
        session.execute(delete(AlertRule))
    return kept_database


@pytest.fixture
def service(clock: Clock) -> RuleService:
    return DatabaseRules(DatabaseAudit(clock), clock)


@pytest.fixture
def noted(database: Database) -> Callable[[], Sequence[AuditEntry]]:
    return audit_from_now_on(database)


def create(database: Database, service: RuleService, draft: RuleDraft = DRAFT, actor: Actor = ANNA) -> RuleView:
    with database.transaction() as session:
        return service.create(session, actor, draft)


class TestARule:
    def test_is_kept_as_it_was_made_with_all_parameters(self, database: Database, service: RuleService) -> None:
        made = create(database, service)
        with database.session() as session:
            assert service.rule(session, ANNA, made.id) == made
            assert service.rules(session, VIEWER) == [made]
        assert made.draft.parameters == (("below", 5.0), ("above", None))
        assert (made.version, made.made_by, made.judged_until, made.alerts, made.open) == (1, "anna", None, 0, 0)

    @pytest.mark.parametrize("wrong", WRONG, ids=str)
    def test_that_cannot_be_is_refused(self, database: Database, service: RuleService, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            create(database, service, replace(DRAFT, **wrong))

    def test_is_changed_and_deleted_and_every_step_is_noted(
        self, database: Database, service: RuleService, noted: Callable[[], Sequence[AuditEntry]]
    ) -> None:
        made = create(database, service)
        with database.transaction() as session:
            changed = service.change(session, ANNA, made.id, 1, replace(DRAFT, enabled=False))
        assert (changed.version, changed.draft.enabled) == (2, False)
        with database.transaction() as session, pytest.raises(StaleVersion):
            service.change(session, ANNA, made.id, 1, DRAFT)
        with database.transaction() as session:
            service.delete(session, ANNA, made.id)
        with database.session() as session, pytest.raises(NotFound):
            service.rule(session, ANNA, made.id)
        assert [entry.action for entry in noted()] == ["rule:create", "rule:change", "rule:delete"]

    def test_is_made_by_those_who_decide_on_alerts(self, database: Database, service: RuleService) -> None:
        with pytest.raises(PermissionDenied):
            create(database, service, actor=VIEWER)

    @pytest.mark.parametrize("figure", STREAM_FIGURES)
    def test_on_the_stream_is_for_those_who_may_see_it(
        self, database: Database, service: RuleService, figure: str
    ) -> None:
        blind = replace(ANNA, permissions=ROLES["analyst"] - {"stream:read"})
        draft = replace(DRAFT, metric=figure, dimension="region")
        with pytest.raises(PermissionDenied):
            create(database, service, draft, blind)
        made, other = create(database, service, draft), create(database, service)
        assert made.draft.dimension == ""
        with database.session() as session:
            assert [view.id for view in service.rules(session, blind)] == [other.id]
            assert {view.id for view in service.rules(session, ANNA)} == {made.id, other.id}
        _is_not_there(database, service, blind, made)
        with database.transaction() as session, pytest.raises(PermissionDenied):
            service.change(session, blind, other.id, 1, draft)  # into one of them

    def test_is_one_of_so_many(self, database: Database, service: RuleService) -> None:
        for place in range(MAX_RULES):
            create(database, service, replace(DRAFT, name=f"{place}"))
        with pytest.raises(Conflict):
            create(database, service)


class TestARowScope:
    @pytest.mark.parametrize(
        "beyond",
        [{}, {"dimension": "region"}, {"dimension": "region", "value": "South"}, {"dimension": "store", "value": "1"}],
        ids=str,
    )
    def test_keeps_rules_within_it(self, database: Database, service: RuleService, beyond: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            create(database, service, replace(DRAFT, **beyond), NORTH)
        other = create(database, service, replace(DRAFT, **beyond))
        own = create(database, service, IN_NORTH, NORTH)
        with database.session() as session:
            assert service.rules(session, NORTH) == [own]
        _is_not_there(database, service, NORTH, other)


def _is_not_there(database: Database, service: RuleService, actor: Actor, rule: RuleView) -> None:
    """For `actor`, whatever is done with it."""
    for step in (
        lambda session: service.rule(session, actor, rule.id),
        lambda session: service.change(session, actor, rule.id, 1, IN_NORTH),
        lambda session: service.delete(session, actor, rule.id),
    ):
        with database.transaction() as session, pytest.raises(NotFound):
            step(session)
