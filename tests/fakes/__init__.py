"""In-memory doubles of the services: the interfaces' promises kept by plain pandas over a few thousand made-up sale lines.

For tests of pages and other callers, which want real answers quickly. What the doubles promise is what the interfaces
promise; the real services have contract suites of their own.
"""

from tests.fakes.alerts import FakeAlertService, alert
from tests.fakes.data import FakeDataService
from tests.fakes.ingest import FakeIngestService, dead_letter
from tests.fakes.notes import FakeAudit, FakeInsights, FakeStatus
from tests.fakes.sales import NOW, sale_lines

__all__ = [
    "NOW",
    "FakeAlertService",
    "FakeAudit",
    "FakeDataService",
    "FakeIngestService",
    "FakeInsights",
    "FakeStatus",
    "alert",
    "dead_letter",
    "sale_lines",
]
