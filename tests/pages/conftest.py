"""The pages' layouts and callbacks as plain functions, answered by the doubles of `tests.fakes` for a signed-in reader."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dash import Dash
from dash._callback_context import context_value
from dash._utils import AttributeDict, to_json
from flask_login import login_user

from nebuloviz.db import Database
from nebuloviz.i18n import Preferences, set_current, use
from nebuloviz.permissions import ROLES
from nebuloviz.services.api_tokens import DatabaseApiTokens
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.backtests import RuleBacktests
from nebuloviz.services.business_calendar import DatabaseCalendar
from nebuloviz.services.forecasts import DayForecasts
from nebuloviz.services.interfaces import Services, UserView
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
from nebuloviz.settings import Settings
from nebuloviz.web.app import create_dash
from nebuloviz.web.context import Context, SignedIn, install_context
from tests import fakes

SECRET = "an unguessable secret of the tests, 0123456789"


@dataclass
class Shop:
    """The doubles behind the pages of one test."""

    data: fakes.FakeDataService = field(default_factory=lambda: fakes.FakeDataService(now=datetime.now(UTC)))
    alerts: fakes.FakeAlertService = field(default_factory=fakes.FakeAlertService)
    insights: fakes.FakeInsights = field(default_factory=fakes.FakeInsights)
    ingest: fakes.FakeIngestService = field(default_factory=fakes.FakeIngestService)
    audit: fakes.FakeAudit = field(default_factory=fakes.FakeAudit)
    status: fakes.FakeStatus = field(default_factory=fakes.FakeStatus)


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dash, Settings, Database]:
    """Dash's registries are global: one dashboard a process, whose services each test replaces."""
    folder: Path = tmp_path_factory.mktemp("pages")
    settings = Settings(data_dir=folder, secret_key=SECRET, currency="USD")
    database = Database(f"sqlite:///{folder / 'none.sqlite3'}")
    return create_dash(services=services_of(settings, Shop()), database=database, settings=settings), settings, database


def services_of(settings: Settings, shop: Shop) -> Services:
    auth = DatabaseAuth(settings, rounds=4, audit=shop.audit)
    users, roles = DatabaseUsers(auth, shop.audit), DatabaseRoles(shop.audit)
    decided = DatabaseSettings(settings, shop.audit)
    mail = SmtpMail(decided.live, settings_seal(settings))
    return Services(
        auth,
        shop.data,
        shop.alerts,
        shop.insights,
        shop.ingest,
        shop.audit,
        users,
        DatabaseApiTokens(shop.audit),
        decided,
        roles,
        DatabaseProfiles(settings, shop.audit),
        DatabaseSecondFactor(settings.secret(), auth, shop.audit),
        DatabaseViewing(auth, shop.audit),
        DatabaseUserImports(users, roles, shop.audit, shop.data),
        mail,
        DatabaseNotifications(settings, mail, shop.audit, decided.live),
        DayForecasts(shop.data, lambda: shop.data.now),
        shop.status,
        DatabaseCalendar(shop.audit, ZoneInfo("UTC")),
        DatabaseRules(shop.audit),
        RuleBacktests(Database("sqlite://"), ZoneInfo("UTC"), shop.audit),
    )


@pytest.fixture(scope="session")
def _lines() -> Any:
    return fakes.sale_lines(now=datetime.now(UTC))


@pytest.fixture
def kept(dashboard: tuple[Dash, Settings, Database]) -> Database:
    """Where the page's services keep things: nowhere. Where something must be kept, override it with `writable`."""
    return dashboard[2]


@pytest.fixture
def writable(migrated_sqlite_url: str) -> Iterator[Database]:
    database = Database(migrated_sqlite_url)
    yield database
    database.dispose()


@pytest.fixture
def shop(dashboard: tuple[Dash, Settings, Database], kept: Database, _lines: Any) -> Shop:
    app, settings, _none = dashboard
    now, lines = datetime.now(UTC), _lines.copy()
    lines.loc[lines.index[-1], "sold_at"] = now  # so that there is a sale of today, even right after midnight
    shop = Shop(data=fakes.FakeDataService(lines, now))
    install_context(app.server, Context(services_of(settings, shop), kept, settings))
    return shop


@pytest.fixture
def role() -> str:
    """Override by parametrizing it."""
    return "admin"


@pytest.fixture
def _reading(dashboard: tuple[Dash, Settings, Database], shop: Shop, role: str) -> Iterator[None]:
    user = UserView(
        7, "ann", role, "en", "UTC", "light", disabled=False, must_change_password=False, epoch=1, granted=ROLES[role]
    )
    with dashboard[0].server.test_request_context("/"), use(Preferences(currency="USD")):
        login_user(SignedIn(user, "token"))
        set_current(Preferences(currency="USD"))
        yield


@dataclass
class Browser:
    """What the browser says triggers a callback, and what callbacks set beside their outputs."""

    props: dict[str, dict[str, Any]] = field(default_factory=dict)

    def triggers(self, prop: str = "", value: Any = None) -> None:
        """`prop` as in 'overview-trend.clickData'; an id of several keys as JSON without spaces and with sorted keys."""
        inputs = [{"prop_id": prop, "value": value}] if prop else []
        context_value.set(AttributeDict(triggered_inputs=inputs, updated_props=self.props))

    @property
    def search(self) -> str | None:
        """The URL's query that a callback went to, None if it went nowhere."""
        found = self.props.get("_pages_location", {}).get("search")
        return found if found is None else str(found)


@pytest.fixture
def browser(_reading: None) -> Browser:
    """A reader who has opened a page."""
    browser = Browser()
    browser.triggers()
    return browser


Drawn = Callable[[Any], str]


@pytest.fixture
def drawn() -> Drawn:
    """Components or an answer of a callback as JSON text: what goes to the browser."""
    return lambda components: json.dumps(json.loads(to_json(components)), ensure_ascii=False)  # type: ignore[no-untyped-call]  # Dash has no types
