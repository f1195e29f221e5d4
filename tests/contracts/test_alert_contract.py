"""What every `AlertService` promises: the real one on both databases, and the double that page tests use."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.errors import Conflict, InvalidInput, NotFound
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.models import Alert, AlertEvent, Expectation, User
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.interfaces import AlertFilter, AlertService, AlertVerdict, AlertView
from tests.fakes import FakeAlertService, alert

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOUTHERNER = replace(SYSTEM, username="sue", scope=(("region", ("south",)),))


class Case(ABC):
    """One implementation, and a way to put alerts behind it."""

    service: AlertService
    session: Session

    @abstractmethod
    def put(self, view: AlertView) -> None: ...

    def have(self, **fields: object) -> int:
        """An alert about orders in the south, an hour's later than the one before; returns its id."""
        self.last = getattr(self, "last", 0) + 1
        start = NOW - timedelta(days=2) + self.last * HOUR
        usual = alert(
            self.last,
            series=f"orders|region=south,store={self.last}",
            metric="orders",
            dimensions={"region": "south", "store": str(self.last)},
            bucket_start=start,
            bucket_end=start + HOUR,
        )
        self.put(replace(usual, **fields))  # type: ignore[arg-type]  # the fields' own types hold
        return self.last

    def ids(self, actor: object = SYSTEM, **which: object) -> list[int]:
        page = self.service.list(self.session, actor, AlertFilter(**which))  # type: ignore[arg-type]  # as above
        return [item.id for item in page.items]


class FakeCase(Case):
    def __init__(self, session: Session) -> None:
        self.service = self.fake = FakeAlertService(alerts={}, now=NOW)
        self.session = session

    def put(self, view: AlertView) -> None:
        self.fake.alerts[view.id] = view


class SqlCase(Case):
    def __init__(self, session: Session) -> None:
        data = SalesDataService(Cache(secret="of no importance here"), ZoneInfo("UTC"), lambda: NOW)
        self.service = DatabaseAlerts(data, lambda: NOW)
        self.session = session
        hours = [NOW - timedelta(days=3) + n * HOUR for n in range(72)]
        people = [
            ("bob", "analyst", ""),
            ("ann", "admin", '{"region": ["south"]}'),
            ("eve", "viewer", ""),
            ("dan", "admin", '{"region": ["north"]}'),
        ]
        session.add_all(
            User(username=name, name_key=name, password_hash="x", role=role, scope=scope or "{}", created_at=NOW)
            for name, role, scope in people
        )
        session.add_all(Expectation(series="revenue", bucket=at, expected=10.0, low=5.0, high=20.0) for at in hours)

    def put(self, view: AlertView) -> None:
        own = {name: getattr(view, name) for name in Alert.__table__.columns.keys()}  # noqa: SIM118 - not a mapping
        own["dimensions"] = str(dict(view.dimensions)).replace("'", '"')
        self.session.add(Alert(**own))
        self.session.flush()
        self.session.add(AlertEvent(alert_id=view.id, at=view.created_at, kind="raised"))
        self.session.flush()


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    kind = "migrated_postgres_url" if request.param == "postgresql" else "migrated_sqlite_url"
    database = Database(request.getfixturevalue(kind))
    with database.transaction() as session:
        yield FakeCase(session) if request.param == "fake" else SqlCase(session)
    database.dispose()


class TestList:
    def test_is_empty_without_alerts(self, case: Case) -> None:
        page = case.service.list(case.session, SYSTEM)
        assert (page.items, page.next_cursor) == ((), None)

    def test_shows_newest_first_and_everything_that_is_known(self, case: Case) -> None:
        first, second = case.have(), case.have(severity="critical", sale_id="s-1")
        newest, oldest = case.service.list(case.session, SYSTEM).items
        assert (newest.id, newest.severity, newest.sale_id) == (second, "critical", "s-1")
        assert oldest == case.service.get(case.session, SYSTEM, first)
        assert oldest.bucket_start == NOW - timedelta(days=2) + HOUR

    def test_pages_follow_each_other_without_gap_or_repeat(self, case: Case) -> None:
        ids = [case.have() for _ in range(7)]
        seen: list[int] = []
        cursor = None
        for _ in range(4):
            page = case.service.list(case.session, SYSTEM, None, cursor, 2)
            seen += [item.id for item in page.items]
            cursor = page.next_cursor
        assert seen == ids[::-1]
        assert cursor is None

    def test_a_page_that_ends_with_the_last_alert_has_no_next(self, case: Case) -> None:
        case.have()
        case.have()
        assert case.service.list(case.session, SYSTEM, None, None, 2).next_cursor is None

    def test_pages_count_what_passes_the_filters(self, case: Case) -> None:
        ids = [case.have(severity="high" if n % 3 else "low") for n in range(9)]
        which = AlertFilter(severities=("low",))
        page = case.service.list(case.session, SYSTEM, which, None, 2)
        assert [item.id for item in page.items] == [ids[6], ids[3]]
        rest = case.service.list(case.session, SYSTEM, which, page.next_cursor, 2)
        assert [item.id for item in rest.items] == [ids[0]]

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "٣", "1 OR 1=1", "9" * 40])
    def test_refuses_a_cursor_that_it_did_not_give(self, case: Case, cursor: str) -> None:
        with pytest.raises(InvalidInput):
            case.service.list(case.session, SYSTEM, None, cursor)

    def test_a_huge_limit_is_taken_as_the_largest(self, case: Case) -> None:
        case.have()
        assert len(case.service.list(case.session, SYSTEM, None, None, 10**9).items) == 1


class TestFilters:
    @pytest.mark.parametrize(
        ("which", "expected"),
        [
            ({"states": ("resolved",)}, [2]),
            ({"states": ("open", "resolved")}, [3, 2, 1]),
            ({"severities": ("critical",)}, [3]),
            ({"metrics": ("revenue",)}, [1]),
            ({"metrics": ("customers",)}, []),
            ({"series": "STORE=2"}, [2]),
            ({"series": "store=_"}, []),
            ({"series": "%"}, []),
            ({"start": NOW - timedelta(days=2) + 3 * HOUR}, [3]),
            ({"end": NOW - timedelta(days=2) + 2 * HOUR}, [1]),
            ({"filters": (Filter("store", "in", ("1", "3")),)}, [3, 1]),
            ({"filters": (Filter("store", "not_in", ("1", "3")),)}, [2]),
            ({"filters": (Filter("channel", "in", ("web",)),)}, []),
            ({"filters": (Filter("channel", "not_in", ("web",)),)}, [3, 2, 1]),
        ],
    )
    def test_keep_what_passes_them(self, case: Case, which: dict[str, object], expected: list[int]) -> None:
        case.have(metric="revenue", series="revenue|region=south,store=1")
        case.have(state="resolved")
        case.have(severity="critical")
        assert case.ids(**which) == expected


class TestOne:
    @pytest.mark.parametrize("alert_id", [0, -1, 99, 2**63, 2**80])
    def test_that_is_not_there_is_not_found(self, case: Case, alert_id: int) -> None:
        with pytest.raises(NotFound):
            case.service.get(case.session, SYSTEM, alert_id)
        with pytest.raises(NotFound):
            case.service.history(case.session, SYSTEM, alert_id)
        with pytest.raises(NotFound):
            case.service.resolve(case.session, SYSTEM, alert_id)
        with pytest.raises(NotFound):
            case.service.explanation(case.session, SYSTEM, alert_id)
        with pytest.raises(NotFound):
            case.service.comment(case.session, SYSTEM, alert_id, "To whom?")

    def test_begins_its_history_when_it_is_raised(self, case: Case) -> None:
        (entry,) = case.service.history(case.session, SYSTEM, case.have())
        assert (entry.kind, entry.username) == ("raised", "")


class TestLife:
    def test_acknowledged_by_somebody_with_a_note(self, case: Case) -> None:
        before = case.service.get(case.session, SYSTEM, case.have())
        after = case.service.acknowledge(case.session, SOUTHERNER, before.id, "I look into it.")
        assert (after.state, after.version) == ("acknowledged", before.version + 1)
        assert case.service.get(case.session, SYSTEM, before.id) == after
        entry = case.service.history(case.session, SYSTEM, before.id)[-1]
        assert (entry.kind, entry.username, entry.note) == ("acknowledged", "sue", "I look into it.")

    def test_acknowledged_again_takes_another_note(self, case: Case) -> None:
        number = case.have()
        case.service.acknowledge(case.session, SYSTEM, number, "One.")
        case.service.acknowledge(case.session, SYSTEM, number, "Two.")
        notes = [entry.note for entry in case.service.history(case.session, SYSTEM, number)]
        assert notes[-2:] == ["One.", "Two."]

    def test_whoever_acknowledges_it_owns_it_unless_somebody_does(self, case: Case) -> None:
        number = case.have()
        assert case.service.acknowledge(case.session, SOUTHERNER, number).owner == "sue"
        assert case.service.acknowledge(case.session, SYSTEM, number).owner == "sue"

    def test_snoozed_until_a_time_for_a_reason(self, case: Case) -> None:
        number, until = case.have(), NOW + timedelta(days=2)
        after = case.service.snooze(case.session, SOUTHERNER, number, until, "The carrier knows.")
        assert (after.state, after.snoozed_until) == ("snoozed", until)
        entry = case.service.history(case.session, SYSTEM, number)[-1]
        assert (entry.kind, entry.until, entry.note) == ("snoozed", until, "The carrier knows.")
        assert case.ids(states=("snoozed",)) == [number]
        assert case.service.resolve(case.session, SYSTEM, number).snoozed_until is None

    @pytest.mark.parametrize(
        ("ends", "reason"),
        [(timedelta(0), "Why"), (timedelta(hours=-1), "Why"), (timedelta(days=91), "Why"), (HOUR, " "), (HOUR, "\x00")],
    )
    def test_not_snoozed_without_a_reason_or_for_ever(self, case: Case, ends: timedelta, reason: str) -> None:
        number = case.have()
        with pytest.raises(InvalidInput):
            case.service.snooze(case.session, SYSTEM, number, NOW + ends, reason)
        assert case.service.get(case.session, SYSTEM, number).state == "open"

    def test_given_to_somebody_who_may_decide_and_to_nobody(self, case: Case) -> None:
        number = case.have()
        assert list(case.service.assignable(case.session, SYSTEM, number)) == ["ann", "bob"]
        assert case.service.assign(case.session, SYSTEM, number, "bob").owner == "bob"
        assert case.service.assign(case.session, SYSTEM, number, "").owner == ""
        kinds = [(entry.kind, entry.note) for entry in case.service.history(case.session, SYSTEM, number)[1:]]
        assert kinds == [("assigned", "bob"), ("released", "")]
        with pytest.raises(InvalidInput):
            case.service.assign(case.session, SYSTEM, number, "eve")

    def test_commented_on_in_any_state(self, case: Case) -> None:
        number = case.have(state="resolved")
        version = case.service.comment(case.session, SOUTHERNER, number, "It was the road.").version
        assert version == 1, "a comment makes nobody's view of the alert stale"
        entry = case.service.history(case.session, SYSTEM, number)[-1]
        assert (entry.kind, entry.username, entry.note) == ("commented", "sue", "It was the road.")
        with pytest.raises(InvalidInput):
            case.service.comment(case.session, SYSTEM, number, " ")

    @pytest.mark.parametrize("first", ["open", "acknowledged", "snoozed"])
    def test_resolved_once(self, case: Case, first: str) -> None:
        number = case.have(state=first)
        assert case.service.resolve(case.session, SYSTEM, number).state == "resolved"
        with pytest.raises(Conflict):
            case.service.resolve(case.session, SYSTEM, number)
        with pytest.raises(Conflict):
            case.service.acknowledge(case.session, SYSTEM, number)

    def test_opened_again_where_it_is_resolved(self, case: Case) -> None:
        number = case.have(state="resolved")
        assert case.service.reopen(case.session, SOUTHERNER, number, "It is back.").state == "open"
        entry = case.service.history(case.session, SYSTEM, number)[-1]
        assert (entry.kind, entry.username, entry.note) == ("reopened", "sue", "It is back.")
        with pytest.raises(Conflict):
            case.service.reopen(case.session, SYSTEM, number)

    def test_a_stale_edit_is_refused_and_changes_nothing(self, case: Case) -> None:
        seen = case.service.get(case.session, SYSTEM, case.have())
        changed = case.service.acknowledge(case.session, SYSTEM, seen.id, "First.", seen.version)
        with pytest.raises(Conflict):
            case.service.resolve(case.session, SYSTEM, seen.id, "Second.", seen.version)
        assert case.service.get(case.session, SYSTEM, seen.id) == changed
        assert case.service.resolve(case.session, SYSTEM, seen.id, "", changed.version).state == "resolved"

    @pytest.mark.parametrize("note", ["x" * 2001, "a\x00b"], ids=["too long", "with a NUL"])
    def test_an_impossible_note_is_refused(self, case: Case, note: str) -> None:
        number = case.have()
        with pytest.raises(InvalidInput):
            case.service.acknowledge(case.session, SYSTEM, number, note)
        assert case.service.get(case.session, SYSTEM, number).state == "open"

    @pytest.mark.parametrize("note", ["x" * 2000, "<b>'; DROP TABLE alert; --", "ملاحظة 📈"])
    def test_any_other_is_kept_as_it_is(self, case: Case, note: str) -> None:
        number = case.have()
        case.service.resolve(case.session, SYSTEM, number, note)
        assert case.service.history(case.session, SYSTEM, number)[-1].note == note


class TestIncidents:
    @pytest.fixture
    def three(self, case: Case) -> list[int]:
        """An incident of an alert about all sales and of one in the north, after one that stands for itself."""
        alone = case.have(incident_id=1)
        first = case.have(dimensions={}, series="orders", severity="medium", incident_id=2, state="resolved")
        second = case.have(
            dimensions={"region": "north"}, series="orders|region=north", severity="critical", incident_id=2
        )
        return [alone, first, second]

    def test_are_listed_with_all_their_alerts(self, case: Case, three: list[int]) -> None:
        alone, first, second = three
        page = case.service.incidents(case.session, SYSTEM, AlertFilter(states=("open",)))
        assert [[each.id for each in incident.alerts] for incident in page.items] == [[first, second], [alone]]
        assert page.next_cursor is None
        together = page.items[0]
        assert (together.id, together.lead.id, together.state, together.severity) == (2, first, "open", "critical")
        assert (together.start, together.end) == (together.alerts[0].bucket_start, together.alerts[1].bucket_end)
        assert case.service.incident(case.session, SYSTEM, 2) == together

    def test_come_in_pages(self, case: Case, three: list[int]) -> None:
        first = case.service.incidents(case.session, SYSTEM, None, None, 1)
        rest = case.service.incidents(case.session, SYSTEM, None, first.next_cursor, 1)
        assert [page.items[0].id for page in (first, rest)] == [2, 1]
        assert rest.next_cursor is None

    def test_show_what_lies_in_the_scope_and_nothing_else(self, case: Case, three: list[int]) -> None:
        northerner = replace(SYSTEM, scope=(("region", ("north",)),))
        (seen,) = case.service.incidents(case.session, northerner).items
        assert [each.id for each in seen.alerts] == three[2:]
        assert [each.id for each in case.service.incidents(case.session, SOUTHERNER).items] == [1]
        for number in (2, 0, -1, 99, 2**63):
            with pytest.raises(NotFound):
                case.service.incident(case.session, SOUTHERNER, number)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("said", "state", "kind"),
        [
            (AlertVerdict("real"), "open", "real"),
            (AlertVerdict("expected", "promotion"), "resolved", "promotion"),
            (AlertVerdict("expected", "holiday", NOW + timedelta(days=2)), "resolved", "holiday"),
            (AlertVerdict("false_alarm"), "resolved", "false_alarm"),
            (AlertVerdict("new_normal"), "resolved", "new_normal"),
        ],
        ids=str,
    )
    def test_are_remembered_with_who_and_why(self, case: Case, said: AlertVerdict, state: str, kind: str) -> None:
        number = case.have(severity="high")
        after = case.service.judge(case.session, SOUTHERNER, number, said, "As I was told.")
        assert (after.verdict, after.state) == (said.verdict, state)
        entry = case.service.history(case.session, SYSTEM, number)[-1]
        assert (entry.kind, entry.username, entry.note, entry.until) == (kind, "sue", "As I was told.", said.until)
        (taught,) = case.service.taught(case.session, SYSTEM)
        assert (taught.alert, taught.verdict, taught.username) == (after, said, "sue")
        assert taught.bar == (100 if said.verdict == "false_alarm" else 1)

    def test_one_takes_the_place_of_another_and_is_taken_back(self, case: Case) -> None:
        number = case.have(state="resolved")
        case.service.judge(case.session, SYSTEM, number, AlertVerdict("false_alarm"))
        case.service.judge(case.session, SYSTEM, number, AlertVerdict("real"))
        assert [each.verdict.verdict for each in case.service.taught(case.session, SYSTEM)] == ["real"]
        assert case.service.unjudge(case.session, SYSTEM, number).verdict == ""
        assert list(case.service.taught(case.session, SYSTEM)) == []
        assert case.service.history(case.session, SYSTEM, number)[-1].kind == "unjudged"
        with pytest.raises(Conflict):
            case.service.unjudge(case.session, SYSTEM, number)

    @pytest.mark.parametrize(
        "said",
        [
            AlertVerdict("strange"),
            AlertVerdict("expected"),
            AlertVerdict("expected", "whim"),
            AlertVerdict("real", "promotion"),
            AlertVerdict("false_alarm", until=NOW + HOUR),
            AlertVerdict("expected", "other", NOW),
            AlertVerdict("expected", "other", NOW + timedelta(days=91)),
        ],
        ids=str,
    )
    def test_others_are_refused(self, case: Case, said: AlertVerdict) -> None:
        number = case.have()
        with pytest.raises(InvalidInput):
            case.service.judge(case.session, SYSTEM, number, said)
        assert case.service.get(case.session, SYSTEM, number).state == "open"

    def test_a_stale_one_is_refused(self, case: Case) -> None:
        number = case.have(version=3)
        with pytest.raises(Conflict):
            case.service.judge(case.session, SYSTEM, number, AlertVerdict("real"), "", 2)

    def test_on_what_one_may_not_see_are_neither_given_nor_shown(self, case: Case) -> None:
        north = case.have(dimensions={"region": "north"}, series="orders|region=north")
        case.service.judge(case.session, SYSTEM, north, AlertVerdict("real"))
        assert list(case.service.taught(case.session, SOUTHERNER)) == []
        with pytest.raises(NotFound):
            case.service.judge(case.session, SOUTHERNER, north, AlertVerdict("real"))
        with pytest.raises(NotFound):
            case.service.unjudge(case.session, SOUTHERNER, north)


class TestScope:
    @pytest.fixture
    def elsewhere(self, case: Case) -> list[int]:
        """Alerts that somebody who may see the south alone must not know of."""
        return [
            case.have(dimensions={"region": "north"}, series="orders|region=north"),
            case.have(dimensions={}, series="orders"),
            case.have(dimensions={"channel": "web"}, series="orders|channel=web"),
        ]

    def test_hides_alerts_of_series_outside_it(self, case: Case, elsewhere: list[int]) -> None:
        inside = case.have()
        assert case.ids(SOUTHERNER) == [inside]
        assert case.service.counts(case.session, SOUTHERNER)["open"] == 1
        assert case.service.get(case.session, SOUTHERNER, inside).id == inside

    def test_there_is_no_way_round(self, case: Case, elsewhere: list[int]) -> None:
        for number in elsewhere:
            for ask in ("get", "history", "acknowledge", "resolve", "explanation", "assignable"):
                with pytest.raises(NotFound):
                    getattr(case.service, ask)(case.session, SOUTHERNER, number)
            with pytest.raises(NotFound):
                case.service.comment(case.session, SOUTHERNER, number, "Hidden.")
        assert {item.state for item in case.service.list(case.session, SYSTEM).items} == {"open"}

    def test_a_filter_does_not_widen_it(self, case: Case, elsewhere: list[int]) -> None:
        assert case.ids(SOUTHERNER, filters=(Filter("region", "in", ("north",)),)) == []

    def test_a_scope_that_allows_nothing_shows_nothing(self, case: Case) -> None:
        case.have()
        assert case.ids(replace(SYSTEM, scope=(("region", ()),))) == []


class TestCounts:
    def test_are_by_state_with_zeros(self, case: Case) -> None:
        case.have()
        case.have()
        case.have(state="resolved")
        assert dict(case.service.counts(case.session, SYSTEM)) == {
            "open": 2,
            "acknowledged": 0,
            "snoozed": 0,
            "resolved": 1,
        }
        later = AlertFilter(start=NOW + timedelta(days=1))
        assert set(case.service.counts(case.session, SYSTEM, later).values()) == {0}


class TestExpected:
    day = Query(("revenue",), NOW - timedelta(days=1), NOW, grain="hour")

    def test_has_a_row_a_bucket_in_the_zone_of_the_query(self, case: Case) -> None:
        frame = case.service.expected(case.session, SYSTEM, self.day.with_(time_zone="Asia/Tokyo"))
        assert frame is not None
        assert list(frame.columns) == ["bucket", "expected", "expected_low", "expected_high"]
        assert len(frame) == 24
        assert frame["bucket"].iloc[0].isoformat() == "2026-06-14T21:00:00+09:00"
        assert (frame["expected_low"] <= frame["expected"]).all()
        assert (frame["expected"] <= frame["expected_high"]).all()

    @pytest.mark.parametrize(
        "change",
        [
            {"grain": None},
            {"grain": "minute", "start": NOW - HOUR},
            {"metrics": ("average_order_value",)},
            {"metrics": ("revenue", "orders")},
            {"dimensions": ("region",)},
            {"filters": (Filter("region", "in", ("nowhere",)),)},
            {"filters": (Filter("region", "not_in", ("south",)),)},
        ],
        ids=str,
    )
    def test_is_none_for_what_is_not_watched(self, case: Case, change: dict[str, object]) -> None:
        assert case.service.expected(case.session, SYSTEM, self.day.with_(**change)) is None

    def test_is_none_for_who_sees_only_a_part(self, case: Case) -> None:
        assert case.service.expected(case.session, SOUTHERNER, self.day) is None
