"""The database's tables, one file per subject. Alembic (`migrations/`) brings a database to them."""

from nebuloviz.models.alert import (
    Alert,
    AlertEvent,
    AlertFeedback,
    DetectorState,
    Expectation,
    Lease,
    QuarterExpectation,
    WatchedSeries,
)
from nebuloviz.models.audit import AuditEntry
from nebuloviz.models.base import Base
from nebuloviz.models.calendar import CalendarEntry, OpeningDay
from nebuloviz.models.ingest import DeadLetter, ImportJob, IngestGap, IngestMinute, IngestOffset
from nebuloviz.models.notification import AlertOutbox, NotificationChannel, NotificationItem, NotificationMessage
from nebuloviz.models.rollup import (
    GRAINS,
    MEASURES,
    ROLLED_DIMENSIONS,
    ROLLUPS,
    CustomerNumber,
    DayArrival,
    DayMembers,
    DayVersion,
    Rollup,
)
from nebuloviz.models.rule import AlertRule, Backtest, BucketLabel
from nebuloviz.models.sale import Installation, OrderDays, Product, SaleKey, SaleRow, SpreadOrder
from nebuloviz.models.settings import SettingsVersion, StoredSetting
from nebuloviz.models.types import EPOCH, MAX_ID, MONEY_SCALE, QUANTITY_SCALE, UtcDateTime, microseconds, money
from nebuloviz.models.user import ApiToken, BrowserSession, CustomRole, PasswordLink, RecoveryCode, RefreshToken, User

__all__ = [
    "EPOCH",
    "GRAINS",
    "MAX_ID",
    "MEASURES",
    "MONEY_SCALE",
    "QUANTITY_SCALE",
    "ROLLED_DIMENSIONS",
    "ROLLUPS",
    "Alert",
    "AlertEvent",
    "AlertFeedback",
    "AlertOutbox",
    "AlertRule",
    "ApiToken",
    "AuditEntry",
    "Backtest",
    "Base",
    "BrowserSession",
    "BucketLabel",
    "CalendarEntry",
    "CustomRole",
    "CustomerNumber",
    "DayArrival",
    "DayMembers",
    "DayVersion",
    "DeadLetter",
    "DetectorState",
    "Expectation",
    "ImportJob",
    "IngestGap",
    "IngestMinute",
    "IngestOffset",
    "Installation",
    "Lease",
    "NotificationChannel",
    "NotificationItem",
    "NotificationMessage",
    "OpeningDay",
    "OrderDays",
    "PasswordLink",
    "Product",
    "QuarterExpectation",
    "RecoveryCode",
    "RefreshToken",
    "Rollup",
    "SaleKey",
    "SaleRow",
    "SettingsVersion",
    "SpreadOrder",
    "StoredSetting",
    "User",
    "UtcDateTime",
    "WatchedSeries",
    "microseconds",
    "money",
]
