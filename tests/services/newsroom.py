"""A program whose alerts are told to somebody: its own services over a database, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from nebuloviz.bootstrap.parts import Parts, parts
from nebuloviz.db import Database
from nebuloviz.detection.alerts import Finding, OpenAlert, Severity
from nebuloviz.detection.series import SeriesKey
from nebuloviz.models import NotificationMessage, User
from nebuloviz.permissions import SYSTEM, Actor
from nebuloviz.services.alert_store import raise_alert
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.channel_messages import notification_seal
from nebuloviz.services.delivery import Deliverer
from nebuloviz.services.interfaces import ChannelDraft, ChannelKind, NewChannel
from nebuloviz.services.scope import scope_to_json
from nebuloviz.settings import load

HOUR = timedelta(hours=1)


@dataclass
class Newsroom:
    """`now` is the clock of its delivery."""

    parts: Parts
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    raised: int = 0

    @property
    def database(self) -> Database:
        return self.parts.database

    def deliverer(self, holder: str = "") -> Deliverer:
        seal = notification_seal(self.parts.settings)
        return Deliverer(self.database, self.parts.services, seal, now=lambda: self.now, holder=holder)

    def settings(self, **changes: Any) -> None:
        service = self.parts.services.settings
        with self.database.transaction() as session:
            service.change(session, SYSTEM, service.get(session, SYSTEM).version, changes)

    def user(self, name: str, **fields: Any) -> Actor:
        """A user with an address, and a password that is hashed in the cheapest way, as an actor."""
        scope = fields.pop("scope", None)
        auth = DatabaseAuth(self.parts.settings, rounds=4)
        with self.database.transaction() as session:
            view = auth.create_user(session, name, "correct horse battery", fields.pop("role", "viewer"))
            row = session.get_one(User, view.id)
            row.email = f"{name}@example.com"
            for field_name, value in fields.items():
                setattr(row, field_name, value)
            if scope:
                row.scope = scope_to_json(scope)
        return self.actor(view.id)

    def actor(self, user_id: int) -> Actor:
        with self.database.session() as session:
            user = next(user for user in self.parts.auth.users(session) if user.id == user_id)
        return self.parts.auth.actor(user)

    def channel(self, actor: Actor, kind: ChannelKind = "mail", *, shared: bool = False, **draft: Any) -> NewChannel:
        with self.database.transaction() as session:
            return self.parts.services.notifications.create(
                session, actor, kind, ChannelDraft("To me", **draft), shared=shared
            )

    def alert(self, severity: str = "high", metric: str = "revenue", ago: timedelta = HOUR, **segment: str) -> int:
        """Raised as the watch does it, about an hour that ended `ago` before now; each about a series of its own."""
        self.raised += 1
        key = SeriesKey.of(metric, **(segment or {"region": "north", "store": f"s{self.raised}"}))
        end = self.now.replace(minute=0, second=0, microsecond=0) - ago + HOUR
        finding = Finding(
            key, end - HOUR, end, observed=620.5, expected=1000.0, expected_low=900.0, expected_high=1100.0,
            score=2.0, severity=Severity(severity), detector="series",
        )  # fmt: skip
        with self.database.transaction() as session:
            raised = raise_alert(session, OpenAlert(finding, end - HOUR, end), end)
        assert raised is not None
        return raised

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)

    def deliver(self) -> None:
        """All that can be told by now."""
        deliverer = self.deliverer("the test")
        while deliverer.collect():
            pass
        while deliverer.deliver():
            pass

    def messages(self) -> list[NotificationMessage]:
        with self.database.session() as session:
            return list(session.scalars(select(NotificationMessage).order_by(NotificationMessage.id)))


@contextmanager
def newsroom(url: str, folder: Path) -> Iterator[Newsroom]:
    """One over the migrated database at `url`."""
    secret = "the secret of an installation that only tests know"
    made = parts(load(data_dir=folder / "data", database_url=url, secret_key=secret, demo="off"))
    yield Newsroom(made)
    made.database.dispose()
