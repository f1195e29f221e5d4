"""What every `NotificationService` promises of channels, on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from nebuloviz.errors import Conflict, InvalidInput, NotFound, NotSent, PermissionDenied, StaleVersion, TooManyRequests
from nebuloviz.models import NotificationChannel, NotificationMessage, User
from nebuloviz.permissions import ROLES, SYSTEM, Actor, Permission
from nebuloviz.services.interfaces import ChannelDraft, Hook, Mail, NotificationRule, NotificationService
from nebuloviz.services.notifications import MAX_CHANNELS
from tests.contracts.people import audit_from_now_on
from tests.services.newsroom import Newsroom, newsroom

URL = "https://hooks.example.com/services/not-for-everybody/B0/x?y=1"
ADMIN = replace(SYSTEM, username="boss")


#: What no draft may say.
WRONG: list[dict[str, Any]] = [
    *({"name": name} for name in ("", "two\nlines", "x" * 81)),
    *({"rules": rules} for rules in ((), (NotificationRule(),) * 11)),
    *(
        {"rules": (rule,)}
        for rule in (
            NotificationRule(least="awful"),
            NotificationRule(metrics=("no_such",)),
            NotificationRule(segment=(("no_such", ("x",)),)),
            NotificationRule(segment=(("region", ("x\x00",)),)),
            NotificationRule(days=()),
            NotificationRule(days=(7,)),
            NotificationRule(begin=1440),
        )
    ),
    *({"group_minutes": minutes} for minutes in (-1, 1441)),
    {"most_per_hour": 0},
    *({"digest_at": minute} for minute in (-1, 1440, 420)),  # which a webhook has none of
    *(
        {"target": url}
        for url in ("ftp://hooks.example.com/", "https://u:p@hooks.example.com/", "https:///x", "x\r\ny")
    ),
]


@pytest.fixture
def room(migrated_url: str, tmp_path: Path) -> Iterator[Newsroom]:
    with newsroom(migrated_url, tmp_path) as room:
        yield room


@pytest.fixture
def service(room: Newsroom) -> NotificationService:
    return room.parts.services.notifications


@pytest.fixture
def anna(room: Newsroom) -> Actor:
    return room.user("anna")


class TestOwnChannels:
    def test_are_their_owner_s_alone(self, room: Newsroom, service: NotificationService, anna: Actor) -> None:
        made = room.channel(anna, "slack", target=URL)
        olga = room.user("olga", role="analyst")
        with room.database.transaction() as session:
            assert [view.id for view in service.channels(session, anna)] == [made.view.id]
            assert service.channels(session, olga) == []
            assert service.channels(session, ADMIN) == []
            for actor in (olga, ADMIN):
                for asked in (service.channel, service.delete, service.trial):
                    with pytest.raises(NotFound):
                        asked(session, actor, made.view.id)
                with pytest.raises(NotFound):
                    service.change(session, actor, made.view.id, 1, ChannelDraft("Mine"))

    def test_go_with_their_owner(self, room: Newsroom, anna: Actor) -> None:
        room.channel(anna)
        with room.database.transaction() as session:
            session.delete(session.get_one(User, anna.user_id))
        with room.database.session() as session:
            assert session.scalar(select(func.count()).select_from(NotificationChannel)) == 0

    def test_of_mail_go_to_the_address_of_the_account(
        self, room: Newsroom, service: NotificationService, anna: Actor
    ) -> None:
        made = room.channel(anna)
        with room.database.transaction() as session:
            message = service.trial(session, anna, made.view.id)
            session.get_one(User, anna.user_id).email = ""
        assert isinstance(message, Mail)
        assert message.to == "anna@example.com"
        with pytest.raises(InvalidInput, match="address of your account"):
            room.channel(anna, target="olga@example.com")
        with pytest.raises(InvalidInput, match="no e-mail address"):
            room.channel(anna)

    def test_have_a_limit(self, room: Newsroom, anna: Actor) -> None:
        for _number in range(MAX_CHANNELS):
            room.channel(anna)
        with pytest.raises(Conflict):
            room.channel(anna)
        room.channel(ADMIN, shared=True, target="team@example.com")


class TestSharedChannels:
    def test_are_for_those_who_manage_settings(self, room: Newsroom, service: NotificationService, anna: Actor) -> None:
        made = room.channel(ADMIN, "webhook", shared=True, target=URL)
        with room.database.transaction() as session:
            assert [view.shared for view in service.channels(session, ADMIN)] == [True]
            assert service.channels(session, anna) == []
            with pytest.raises(NotFound):
                service.channel(session, anna, made.view.id)
            with pytest.raises(PermissionDenied):
                service.create(session, anna, "slack", ChannelDraft("Mine", URL), shared=True)

    def test_of_mail_need_an_address(self, room: Newsroom) -> None:
        for target in ("", "nobody", "a@b\r\nBcc: c@d"):
            with pytest.raises(InvalidInput):
                room.channel(ADMIN, shared=True, target=target)


class TestSecrets:
    def test_are_sealed_and_told_once(self, room: Newsroom, service: NotificationService, anna: Actor) -> None:
        noted = audit_from_now_on(room.database)
        made = room.channel(anna, "webhook", target=URL)
        assert len(made.secret) == 64
        with room.database.session() as session:
            row = session.scalars(select(NotificationChannel)).one()
            kept = f"{row.target} {row.secret} {service.channel(session, anna, made.view.id)} {noted()[0].after}"
        assert "not-for-everybody" not in kept
        assert made.secret not in kept
        assert made.view.target == "hooks.example.com"

    def test_stay_where_a_change_says_nothing_of_them(
        self, room: Newsroom, service: NotificationService, anna: Actor
    ) -> None:
        made = room.channel(anna, "webhook", target=URL)
        with room.database.transaction() as session:
            service.change(session, anna, made.view.id, 1, ChannelDraft("Renamed"))
            message = service.trial(session, anna, made.view.id)
        assert isinstance(message, Hook)
        assert (message.url, message.secret) == (URL, made.secret)


class TestChanges:
    def test_are_stored_and_stand_in_the_audit_log(
        self, room: Newsroom, service: NotificationService, anna: Actor
    ) -> None:
        noted = audit_from_now_on(room.database)
        made = room.channel(anna)
        rule = NotificationRule("high", ("orders",), (("region", ("south",)),), False, (0, 4), 480, 1080, False)
        draft = ChannelDraft("Weekdays", "", (rule, NotificationRule()), False, 60, 3)
        with room.database.transaction() as session:
            changed = service.change(session, anna, made.view.id, 1, draft)
            assert service.channel(session, anna, made.view.id) == changed
            service.delete(session, anna, made.view.id)
            assert service.channels(session, anna) == []
        assert (changed.draft, changed.version) == (draft, 2)
        assert [entry.action for entry in noted()] == [
            "notifications:create",
            "notifications:change",
            "notifications:delete",
        ]

    def test_of_a_stale_version_are_refused(self, room: Newsroom, service: NotificationService, anna: Actor) -> None:
        made = room.channel(anna)
        with room.database.transaction() as session, pytest.raises(StaleVersion):
            service.change(session, anna, made.view.id, 7, ChannelDraft("Other"))

    def test_that_do_not_fit_are_refused(self, room: Newsroom, service: NotificationService, anna: Actor) -> None:
        for wrong in WRONG:
            usual = {"target": URL, "name": "To me"}
            with room.database.session() as session, pytest.raises(InvalidInput):
                service.create(session, anna, "slack", ChannelDraft(**(usual | wrong)))

    def test_need_the_permission_to_see_alerts(self, room: Newsroom, service: NotificationService) -> None:
        nobody = Actor(1, "nobody", "none", frozenset(ROLES["admin"]) - {Permission.ALERTS_READ})
        with room.database.transaction() as session:
            for asked in (service.channels, service.messages):
                with pytest.raises(PermissionDenied):
                    asked(session, nobody)


class TestTrials:
    def test_are_noted_and_follow_one_another_slowly(
        self, room: Newsroom, service: NotificationService, anna: Actor
    ) -> None:
        noted = audit_from_now_on(room.database)
        made = room.channel(anna, "slack", target=URL)
        with room.database.transaction() as session:
            service.trial(session, anna, made.view.id)
        assert noted()[-1].action == "notifications:test"
        with room.database.transaction() as session, pytest.raises(TooManyRequests):
            service.trial(session, anna, made.view.id)

    def test_tell_what_went_wrong(self, service: NotificationService) -> None:
        with pytest.raises(NotSent) as refused:
            service.send(Mail("anna@example.com", "x", "x", "x"))
        assert refused.value.reason == "no_server"


def test_the_log_has_the_messages_of_those_channels_that_one_sees(
    room: Newsroom, service: NotificationService, anna: Actor
) -> None:
    own, shared = room.channel(anna).view.id, room.channel(ADMIN, shared=True, target="team@example.com").view.id
    with room.database.transaction() as session:
        for number, channel in enumerate((own, own, shared)):
            session.add(NotificationMessage(channel_id=channel, key=str(number), next_at=room.now, created_at=room.now))
            session.flush()
    with room.database.session() as session:
        first = service.messages(session, anna, limit=1)
        second = service.messages(session, anna, first.next_cursor, 1)
        assert [item.key for item in (*first.items, *second.items)] == ["1", "0"]
        assert second.next_cursor is None
        assert [item.key for item in service.messages(session, ADMIN).items] == ["2"]
