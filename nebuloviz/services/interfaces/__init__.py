"""The services' interfaces, and the values that they take and give.

Every method takes a SQLAlchemy `Session` and, where somebody asks, the `Actor`; it is ordinary synchronous code. Pages call it
with a synchronous session, the API through `AsyncSession.run_sync`. No method commits: the edge that opened the session does.
"""

from __future__ import annotations

from dataclasses import dataclass

from nebuloviz.services.interfaces.alert_values import (
    EXPECTED_REASONS,
    VERDICTS,
    AlertFilter,
    AlertHistoryEntry,
    AlertPage,
    AlertVerdict,
    AlertView,
    Contribution,
    DetectorView,
    Explanation,
    IncidentPage,
    IncidentView,
    RevenueSplit,
    SegmentPart,
    TaughtView,
    WatchedView,
)
from nebuloviz.services.interfaces.alerts import AlertService
from nebuloviz.services.interfaces.api_tokens import (
    TOKEN_PREFIX,
    ApiTokenService,
    ApiTokenView,
    NewApiToken,
)
from nebuloviz.services.interfaces.audit import (
    AuditAction,
    AuditEntryView,
    AuditFilter,
    AuditPage,
    AuditService,
    user_subject,
)
from nebuloviz.services.interfaces.auth import (
    NOWHERE,
    AuthService,
    TokenPair,
    UserView,
    Visitor,
)
from nebuloviz.services.interfaces.calendar import (
    ENTRY_KINDS,
    CalendarDraft,
    CalendarEntryView,
    CalendarService,
    EntryKind,
    PlannedDays,
    PlannedTime,
)
from nebuloviz.services.interfaces.data import (
    OTHER,
    DataService,
    Frame,
    FrameColumn,
    Freshness,
    Made,
    SaleLine,
    SalePage,
)
from nebuloviz.services.interfaces.forecasts import Forecast, ForecastPoint, ForecastService, can_be_forecast
from nebuloviz.services.interfaces.ingest import (
    MAX_POSTED,
    DeadLetterPage,
    DeadLetterView,
    FilePreview,
    ImportView,
    IngestService,
    PartitionStatus,
    PostResult,
    RowResult,
    StreamStatus,
)
from nebuloviz.services.interfaces.insights import (
    AIInsights,
    Digest,
    FindingKind,
    Insight,
)
from nebuloviz.services.interfaces.installation import InstallationSettings
from nebuloviz.services.interfaces.mail import Mail, MailService
from nebuloviz.services.interfaces.notifications import (
    CHANNEL_KINDS,
    ChannelDraft,
    ChannelKind,
    ChannelView,
    Hook,
    MessagePage,
    MessageView,
    NewChannel,
    NotificationRule,
    NotificationService,
    OutgoingMessage,
)
from nebuloviz.services.interfaces.profile import (
    ProfileChanges,
    ProfileService,
    SessionView,
)
from nebuloviz.services.interfaces.roles import RoleDraft, RoleService, RoleView
from nebuloviz.services.interfaces.rules import (
    BACKTEST_WEEKS,
    RULE_GRAINS,
    BacktestCourse,
    BacktestService,
    BacktestSide,
    BacktestView,
    RuleDraft,
    RuleGrain,
    RuleService,
    RuleView,
    WouldBeAlert,
)
from nebuloviz.services.interfaces.second_factor import (
    Enrolment,
    SecondFactorService,
    SecondFactorState,
)
from nebuloviz.services.interfaces.settings import SECRET_IS_SET, SettingsRecord, SettingsService
from nebuloviz.services.interfaces.status import Finding, Level, StatusService
from nebuloviz.services.interfaces.user_imports import ImportedUser, UserImportService
from nebuloviz.services.interfaces.users import (
    USER_ORDERS,
    USER_STATES,
    PasswordOffer,
    UserDraft,
    UserFilter,
    UserOrder,
    UserPage,
    UserRecord,
    UserService,
    UserState,
)
from nebuloviz.services.interfaces.viewing import ViewingService, ViewToken

__all__ = [
    "BACKTEST_WEEKS",
    "CHANNEL_KINDS",
    "ENTRY_KINDS",
    "EXPECTED_REASONS",
    "MAX_POSTED",
    "NOWHERE",
    "OTHER",
    "RULE_GRAINS",
    "SECRET_IS_SET",
    "TOKEN_PREFIX",
    "USER_ORDERS",
    "USER_STATES",
    "VERDICTS",
    "AIInsights",
    "AlertFilter",
    "AlertHistoryEntry",
    "AlertPage",
    "AlertService",
    "AlertVerdict",
    "AlertView",
    "ApiTokenService",
    "ApiTokenView",
    "AuditAction",
    "AuditEntryView",
    "AuditFilter",
    "AuditPage",
    "AuditService",
    "AuthService",
    "BacktestCourse",
    "BacktestService",
    "BacktestSide",
    "BacktestView",
    "CalendarDraft",
    "CalendarEntryView",
    "CalendarService",
    "ChannelDraft",
    "ChannelKind",
    "ChannelView",
    "Contribution",
    "DataService",
    "DeadLetterPage",
    "DeadLetterView",
    "DetectorView",
    "Digest",
    "Enrolment",
    "EntryKind",
    "Explanation",
    "FilePreview",
    "Finding",
    "FindingKind",
    "Forecast",
    "ForecastPoint",
    "ForecastService",
    "Frame",
    "FrameColumn",
    "Freshness",
    "Hook",
    "ImportView",
    "ImportedUser",
    "IncidentPage",
    "IncidentView",
    "IngestService",
    "Insight",
    "InstallationSettings",
    "Level",
    "Made",
    "Mail",
    "MailService",
    "MessagePage",
    "MessageView",
    "NewApiToken",
    "NewChannel",
    "NotificationRule",
    "NotificationService",
    "OutgoingMessage",
    "PartitionStatus",
    "PasswordOffer",
    "PlannedDays",
    "PlannedTime",
    "PostResult",
    "ProfileChanges",
    "ProfileService",
    "RevenueSplit",
    "RoleDraft",
    "RoleService",
    "RoleView",
    "RowResult",
    "RuleDraft",
    "RuleGrain",
    "RuleService",
    "RuleView",
    "SaleLine",
    "SalePage",
    "SecondFactorService",
    "SecondFactorState",
    "SegmentPart",
    "Services",
    "SessionView",
    "SettingsRecord",
    "SettingsService",
    "StatusService",
    "StreamStatus",
    "TaughtView",
    "TokenPair",
    "UserDraft",
    "UserFilter",
    "UserImportService",
    "UserOrder",
    "UserPage",
    "UserRecord",
    "UserService",
    "UserState",
    "UserView",
    "ViewToken",
    "ViewingService",
    "Visitor",
    "WatchedView",
    "WouldBeAlert",
    "can_be_forecast",
    "user_subject",
]


@dataclass(frozen=True)
class Services:
    """The implementations that `nebuloviz.bootstrap` chose."""

    auth: AuthService
    data: DataService
    alerts: AlertService
    insights: AIInsights
    ingest: IngestService
    audit: AuditService
    users: UserService
    api_tokens: ApiTokenService
    settings: SettingsService
    roles: RoleService
    profile: ProfileService
    second_factor: SecondFactorService
    viewing: ViewingService
    user_imports: UserImportService
    mail: MailService
    notifications: NotificationService
    forecasts: ForecastService
    status: StatusService
    calendar: CalendarService
    rules: RuleService
    backtests: BacktestService
