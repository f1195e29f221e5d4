"""The API as a real server over a real database, with one user of each role."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI

from nebuloviz import migrate
from nebuloviz.api.app import create_api
from nebuloviz.cache import Cache, day_node
from nebuloviz.db import Database
from nebuloviz.models import Alert
from nebuloviz.observability import Health, HealthChecks
from nebuloviz.permissions import ROLES
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.api_tokens import DatabaseApiTokens
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.backtests import RuleBacktests
from nebuloviz.services.business_calendar import DatabaseCalendar
from nebuloviz.services.checkup import Checkup
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.forecasts import DayForecasts
from nebuloviz.services.ingest import SalesIngestService
from nebuloviz.services.insights import FigureInsights
from nebuloviz.services.interfaces import Services
from nebuloviz.services.limits import Counters
from nebuloviz.services.mail import SmtpMail
from nebuloviz.services.notifications import DatabaseNotifications
from nebuloviz.services.profile import DatabaseProfiles
from nebuloviz.services.roles import DatabaseRoles
from nebuloviz.services.rules import DatabaseRules
from nebuloviz.services.second_factor import DatabaseSecondFactor
from nebuloviz.services.stored_settings import DatabaseSettings, settings_seal
from nebuloviz.services.user_imports import DatabaseUserImports
from nebuloviz.services.users import DatabaseUsers
from nebuloviz.services.viewing import DatabaseViewing
from nebuloviz.settings import Settings, load
from tests.served import Served

PASSWORD = "correct horse battery"
BUCKET = datetime(2026, 3, 2, 13, tzinfo=UTC)


@dataclass(frozen=True)
class Api:
    """A running API. `app` is its application, `health` its checks, `services` what is behind it."""

    served: Served
    app: FastAPI
    database: Database
    services: Services
    health: HealthChecks

    def client(self, role: str | None = None, **options: object) -> httpx.Client:
        """A client with the access token of the user named like `role`, or with none."""
        headers = {"Authorization": f"Bearer {self.token(role)}"} if role else {}
        return self.served.client(headers=headers, **options)

    def token(self, role: str) -> str:
        with self.database.transaction() as session:
            user = next(user for user in self.services.auth.users(session) if user.username == role)
            return self.services.auth.issue_tokens(session, user).access_token


def alert(number: int, **changes: object) -> Alert:
    """An alert as the detector would have written it."""
    usual: dict[str, object] = {
        "detector": "series",
        "series": f"revenue|category=Part {number}",
        "metric": "revenue",
        "dimensions": f'{{"category": "Part {number}"}}',
        "bucket_start": BUCKET,
        "bucket_end": BUCKET.replace(hour=14),
        "observed": 12.5,
        "expected": 40.0,
        "expected_low": 25.0,
        "expected_high": 60.0,
        "score": 0.8,
        "severity": "high",
        "created_at": BUCKET.replace(hour=14),
        "updated_at": BUCKET.replace(hour=14),
        "incident_id": number + 1,
    }
    return Alert(**(usual | changes))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(load(data_dir=tmp_path_factory.mktemp("data"), requests_per_minute=0, demo="off")) as running:
        yield running


@contextmanager
def running_api(settings: Settings) -> Iterator[Api]:
    """The API over the database of `settings`, with a user of each role and seven alerts in it."""
    database = Database(settings.resolved_database_url)
    migrate.upgrade(database)
    counters = Counters()
    auth = DatabaseAuth(settings, counters=counters, rounds=4)
    cache = Cache(None, secret=settings.secret())
    data = SalesDataService(cache, ZoneInfo("UTC"))
    alerts = DatabaseAlerts(data)
    audit = DatabaseAudit()
    ingest = SalesIngestService(
        database, settings, on_written=[lambda written: cache.invalidate(*map(day_node, written.days))]
    )
    users, roles = DatabaseUsers(auth, audit), DatabaseRoles(audit)
    decided = DatabaseSettings(settings, audit)
    mail = SmtpMail(decided.live, settings_seal(settings))
    services = Services(
        auth,
        data,
        alerts,
        FigureInsights(data, alerts, DayForecasts(data)),
        ingest,
        audit,
        users,
        DatabaseApiTokens(audit),
        decided,
        roles,
        DatabaseProfiles(settings, audit),
        DatabaseSecondFactor(settings.secret(), auth, audit, required=lambda: decided.current.require_second_factor),
        DatabaseViewing(auth, audit),
        DatabaseUserImports(users, roles, audit, data),
        mail,
        DatabaseNotifications(settings, mail, audit, decided.live),
        DayForecasts(data),
        Checkup(settings, database, cache, decided.live),
        DatabaseCalendar(audit, ZoneInfo("UTC")),
        DatabaseRules(audit),
        RuleBacktests(database, ZoneInfo("UTC"), audit),
    )
    with database.transaction() as session:
        for role in ROLES:
            auth.create_user(session, role, PASSWORD, role)
        session.add_all(alert(number) for number in range(7))
    health = HealthChecks()
    health.register("database", lambda: Health(ok=True))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await database.dispose_async()

    app = create_api(
        services=services, database=database, settings=settings, health=health, counters=counters, lifespan=lifespan
    )
    with Served(app) as served:
        yield Api(served, app, database, services, health)
    database.dispose()
