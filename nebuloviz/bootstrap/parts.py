"""The services, on what they stand."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from nebuloviz.bootstrap.core import Core, core
from nebuloviz.bootstrap.watches import closed_days
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.api_tokens import DatabaseApiTokens
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.backtests import RuleBacktests
from nebuloviz.services.business_calendar import DatabaseCalendar
from nebuloviz.services.channel_messages import notification_seal
from nebuloviz.services.checkup import Checkup
from nebuloviz.services.customer_sets import CustomerSetBuilder
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.delivery import Deliverer
from nebuloviz.services.forecasts import DayForecasts
from nebuloviz.services.ingest import SalesIngestService
from nebuloviz.services.insights import FigureInsights
from nebuloviz.services.interfaces import Services
from nebuloviz.services.limits import Counters
from nebuloviz.services.mail import SmtpMail
from nebuloviz.services.notifications import DatabaseNotifications
from nebuloviz.services.profile import DatabaseProfiles
from nebuloviz.services.rewording import rewording
from nebuloviz.services.roles import DatabaseRoles
from nebuloviz.services.rules import DatabaseRules
from nebuloviz.services.second_factor import DatabaseSecondFactor
from nebuloviz.services.stored_settings import DatabaseSettings, settings_seal
from nebuloviz.services.user_imports import DatabaseUserImports
from nebuloviz.services.users import DatabaseUsers
from nebuloviz.services.viewing import DatabaseViewing
from nebuloviz.settings import Settings


@dataclass(frozen=True)
class Parts(Core):
    """What a process that serves consists of; the commands use some of it."""

    counters: Counters
    auth: DatabaseAuth
    ingest: SalesIngestService
    backtests: RuleBacktests
    status: Checkup
    services: Services
    deliverer: Deliverer


def parts(settings: Settings) -> Parts:
    """As the settings have it, extensions included. Opens no connection yet.

    Raises:
        ConfigurationError: production without a proper secret; an extension cannot be loaded; no such detector.
    """
    base = core(settings)
    counters = Counters(settings.redis_url.get_secret_value() if settings.redis_url else None)
    zone = ZoneInfo(settings.time_zone)
    audit = DatabaseAudit()
    decided = DatabaseSettings(settings, audit)
    auth = DatabaseAuth(settings, counters=counters, audit=audit, live=decided.live)
    data = SalesDataService(base.cache, zone, sets=CustomerSetBuilder(base.database, zone))
    alerts = DatabaseAlerts(data, audit=audit)
    forecasts = DayForecasts(data)
    ingest = SalesIngestService(
        base.database, settings, on_written=[base.sales_written], audit=audit, live=decided.live
    )
    second_factor = DatabaseSecondFactor(
        settings.secret(), auth, audit, required=lambda: decided.current.require_second_factor
    )
    mail = SmtpMail(decided.live, settings_seal(settings))
    notifications = DatabaseNotifications(settings, mail, audit, decided.live)
    status = Checkup(settings, base.database, base.cache, decided.live)
    users, roles = DatabaseUsers(auth, audit), DatabaseRoles(audit)
    backtests = RuleBacktests(base.database, zone, audit, settings.extensions_dir, closed_days(settings))
    services = Services(
        auth,
        data,
        alerts,
        FigureInsights(data, alerts, forecasts, reword=rewording(settings)),
        ingest,
        audit,
        users,
        DatabaseApiTokens(audit),
        decided,
        roles,
        DatabaseProfiles(settings, audit, live=decided.live),
        second_factor,
        DatabaseViewing(auth, audit),
        DatabaseUserImports(users, roles, audit, data),
        mail,
        notifications,
        forecasts,
        status,
        DatabaseCalendar(audit, zone),
        DatabaseRules(audit),
        backtests,
    )
    deliverer = Deliverer(base.database, services, notification_seal(settings))
    return Parts(
        **vars(base),
        counters=counters,
        auth=auth,
        ingest=ingest,
        backtests=backtests,
        status=status,
        services=services,
        deliverer=deliverer,
    )
