"""The dashboards, as code: `python deploy/grafana/build.py` writes them as Grafana reads them. A test fails when they lag behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
RATE = "$__rate_interval"
_COLUMNS = 24
_GREEN, _AMBER, _RED = "green", "orange", "red"


@dataclass(frozen=True)
class Panel:
    """One picture. `queries` are (expression, legend); a figure turns amber and red at `limits`, or below them if they fall."""

    title: str
    about: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    limits: tuple[float, float] | None = None
    stacked: bool = False
    words: Mapping[str, str] = field(default_factory=dict)  # what a figure is called

    def expressions(self) -> list[str]:
        return [expression for expression, _legend in self.queries]


def tile(
    title: str, about: str, expression: str, unit: str = "short", limits: tuple[float, float] | None = None
) -> Panel:
    """One figure, as it is now."""
    return Panel(title, about, [(expression, "")], unit, "stat", 4, limits)


def p95(metric: str, by: str) -> str:
    return f"histogram_quantile(0.95, sum by (le, {by}) (rate({metric}_bucket[{RATE}])))"


def or_none(expression: str, label: str) -> str:
    """And a line at 0 of the name `none`: that nothing is there can be told from a question that is wrong."""
    return f'{expression} or label_replace(vector(0), "{label}", "none", "", "")'


ERRORS = (
    f'((sum(rate(nebuloviz_http_requests_total{{status=~"5.."}}[{RATE}])) or vector(0))'
    f" + (sum(rate(nebuloviz_callback_errors_total[{RATE}])) or vector(0)))"
    f" / sum(rate(nebuloviz_http_requests_total[{RATE}]))"
)
CACHED = (
    f'(sum(rate(nebuloviz_cache_requests_total{{outcome=~"hit|shared"}}[{RATE}])) or vector(0))'
    f" / sum(rate(nebuloviz_cache_requests_total[{RATE}]))"
)
REJECTED = 'sum(increase(nebuloviz_sales_total{outcome="rejected"}[15m])) / sum(increase(nebuloviz_sales_total[15m]))'
TRAINING = (
    'sum by (detector) (nebuloviz_detector_seconds_sum{step="train"})'
    ' / sum by (detector) (nebuloviz_detector_seconds_count{step="train"})'
)
DAYS_LEFT = "(min(nebuloviz_certificate_expiry_timestamp_seconds) - time()) / 86400"

SERVICE = [
    Panel(
        "Processes that answer",
        "Those that Prometheus reaches: that serve, that ingest, and brokers of Kafka.",
        [
            (f'sum(up{{job="{job}"}}) or vector(0)', name)
            for job, name in (("nebuloviz", "serve"), ("ingest", "ingest"), ("kafka", "Kafka"))
        ],
        kind="stat",
        width=4,
        limits=(1, 0.5),
    ),
    tile("Errors", "Requests and callbacks that failed, of all.", ERRORS, "percentunit", (0.01, 0.02)),
    tile("Sessions", "Browser sessions that have not ended.", "max(nebuloviz_sessions)"),
    replace(
        tile(
            "Database revision",
            "Whether it is at the one that each process needs.",
            "min(nebuloviz_database_revision)",
            limits=(1, 0.5),
        ),
        words={"0": "another", "1": "current"},
    ),
    tile("Certificate", "Days until it ends; negative where it is not accepted.", DAYS_LEFT, "d", (30, 14)),
    tile(
        "Free disk",
        "Where the data folder is, of the process with the least.",
        "min(nebuloviz_disk_free_bytes{job='nebuloviz'} / nebuloviz_disk_size_bytes{job='nebuloviz'})",
        "percentunit",
        (0.2, 0.1),
    ),
    Panel(
        "Alerts for operators",
        "Rules that are broken now, by their name.",
        [
            (
                or_none('count by (alertname) (ALERTS{alertstate="firing"})', "alertname"),
                "{{alertname}}",
            )
        ],
        stacked=True,
    ),
    Panel(
        "Requests",
        "By status.",
        [(f"sum by (status) (rate(nebuloviz_http_requests_total[{RATE}]))", "{{status}}")],
        "reqps",
        stacked=True,
    ),
    Panel(
        "Slowest routes, p95",
        "Of the API and the dashboard, by route.",
        [(f"topk(8, {p95('nebuloviz_http_request_seconds', 'route')})", "{{route}}")],
        "s",
    ),
    Panel(
        "Slowest callbacks, p95",
        "By the page that asks, and the function that draws.",
        [(f"topk(8, {p95('nebuloviz_callback_seconds', 'page, callback')})", "{{page}}: {{callback}}")],
        "s",
    ),
    Panel(
        "Failed callbacks",
        "In an unforeseen way, by the page and function that draw.",
        [
            (
                or_none(f"sum by (callback) (rate(nebuloviz_callback_errors_total[{RATE}])) > 0", "callback"),
                "{{callback}}",
            )
        ],
        "ops",
        stacked=True,
    ),
    Panel(
        "Cache",
        "Look-ups by branch and outcome.",
        [(f"sum by (branch, outcome) (rate(nebuloviz_cache_requests_total[{RATE}]))", "{{branch}} {{outcome}}")],
        "reqps",
        stacked=True,
    ),
    Panel("Answered from the cache", "Of all look-ups.", [(CACHED, "share")], "percentunit"),
    Panel(
        "Queries, p95",
        "By the rollup that answered; facts are the last resort.",
        [(p95("nebuloviz_query_seconds", "source"), "{{source}}")],
        "s",
    ),
    Panel(
        "Database connections",
        "In use and idle, by pool.",
        [("sum by (pool, state) (nebuloviz_db_connections)", "{{pool}} {{state}}")],
    ),
    Panel(
        "Memory",
        "Of each process, without its children.",
        [('process_resident_memory_bytes{job=~"nebuloviz|ingest"}', "{{job}} {{instance}}")],
        "bytes",
    ),
    Panel(
        "Processor",
        "Cores in use.",
        [(f'rate(process_cpu_seconds_total{{job=~"nebuloviz|ingest"}}[{RATE}])', "{{job}} {{instance}}")],
    ),
    Panel("Database size", "On its disk.", [("max(nebuloviz_database_bytes)", "size")], "bytes"),
    Panel(
        "Versions",
        "Of the program and of Python, by process.",
        [("nebuloviz_build_info", "{{instance}} {{version}} Python {{python}}")],
        kind="table",
        width=24,
    ),
]

STREAM = [
    tile(
        "Last sale",
        "Seconds since one was accepted.",
        "time() - max(nebuloviz_last_sale_timestamp_seconds)",
        "s",
        (300, 900),
    ),
    replace(
        tile(
            "Sales are due",
            "Yes: at this hour there were some in three of the last four weeks.",
            "max(nebuloviz_sales_expected)",
        ),
        words={"0": "no", "1": "yes"},
    ),
    tile(
        "Records waiting", "In Kafka, not yet stored.", "sum(nebuloviz_consumer_lag_records)", limits=(10_000, 100_000)
    ),
    tile(
        "Halted partitions", "Each waits for an operator.", "sum(nebuloviz_consumer_halted_partitions)", limits=(1, 1)
    ),
    tile("Rejected", "Of what arrived in 15 minutes.", REJECTED, "percentunit", (0.005, 0.01)),
    tile("Open dead letters", "Rejected records that nobody has dealt with.", "max(nebuloviz_dead_letters_open)"),
    Panel(
        "Sales",
        "By what became of them.",
        [(f"sum by (outcome) (rate(nebuloviz_sales_total[{RATE}]))", "{{outcome}}")],
        "ops",
        stacked=True,
    ),
    Panel(
        "Rejected sales",
        "By reason.",
        [(f"sum by (reason) (rate(nebuloviz_sales_rejected_total[{RATE}]))", "{{reason}}")],
        "ops",
        stacked=True,
    ),
    Panel(
        "Waiting",
        "By partition.",
        [("sum by (partition) (nebuloviz_consumer_lag_records)", "{{partition}}")],
        stacked=True,
    ),
    Panel(
        "Without progress",
        "Time since a partition's last batch; long where little comes, and bad where records wait.",
        [("time() - max by (partition) (nebuloviz_consumer_progress_timestamp_seconds)", "{{partition}}")],
        "s",
    ),
    Panel(
        "Failed tries",
        "To read or to store a batch, by process; each is tried again.",
        [(f"rate(nebuloviz_consumer_failures_total[{RATE}])", "{{job}} {{instance}}")],
        "ops",
    ),
    Panel(
        "Records lost",
        "Of the last day: removed by Kafka before they were read, or skipped by an operator.",
        [("max(nebuloviz_records_lost)", "lost")],
    ),
    Panel(
        "Batch size",
        "Sales in one transaction.",
        [
            (f"histogram_quantile(0.5, sum by (le) (rate(nebuloviz_batch_sales_bucket[{RATE}])))", "median"),
            (f"histogram_quantile(0.95, sum by (le) (rate(nebuloviz_batch_sales_bucket[{RATE}])))", "p95"),
        ],
        width=12,
    ),
    Panel(
        "Time to store a batch",
        "Written and committed.",
        [
            (f"histogram_quantile(0.5, sum by (le) (rate(nebuloviz_batch_commit_seconds_bucket[{RATE}])))", "median"),
            (f"histogram_quantile(0.95, sum by (le) (rate(nebuloviz_batch_commit_seconds_bucket[{RATE}])))", "p95"),
        ],
        "s",
        width=12,
    ),
    Panel(
        "Kafka: messages in",
        "By topic.",
        [(f'sum by (topic) (rate(kafka_topic_messagesin_total{{topic!~"__.*"}}[{RATE}]))', "{{topic}}")],
        "ops",
    ),
    Panel(
        "Kafka: bytes",
        "In and out, of all topics.",
        [
            (f"sum(rate(kafka_topic_bytesin_total[{RATE}]))", "in"),
            (f"sum(rate(kafka_topic_bytesout_total[{RATE}]))", "out"),
        ],
        "Bps",
    ),
    Panel(
        "Kafka: time to answer, p99",
        "By request.",
        [("max by (request) (kafka_request_milliseconds_p99)", "{{request}}")],
        "ms",
    ),
    Panel(
        "Kafka: on disk", "By topic.", [('sum by (topic) (kafka_partition_bytes{topic!~"__.*"})', "{{topic}}")], "bytes"
    ),
    Panel("Kafka: heap in use", "Of the broker.", [("max(kafka_heap_used_bytes)", "heap")], "bytes"),
    Panel(
        "Kafka: partitions in trouble",
        "Without a leader, or with replicas that lag.",
        [("max(kafka_offline_partitions)", "offline"), ("max(kafka_under_replicated_partitions)", "under-replicated")],
    ),
]

DETECTION = [
    tile(
        "Last look",
        "Seconds since the elected process had judged all closed hours.",
        "time() - max(nebuloviz_detector_checked_timestamp_seconds)",
        "s",
        (600, 1800),
    ),
    tile("Series watched", "By the elected process.", "max(nebuloviz_series_watched)"),
    tile("Open alerts", "Nobody has taken them on.", 'sum(max by (severity) (nebuloviz_alerts{state="open"}))'),
    tile(
        "Acknowledged alerts",
        "Somebody looks after them.",
        'sum(max by (severity) (nebuloviz_alerts{state="acknowledged"}))',
    ),
    tile(
        "Lines not judged",
        "In 24 hours: more came than could be judged.",
        "sum(increase(nebuloviz_lines_unjudged_total[24h]))",
        limits=(1, 10_000),
    ),
    tile(
        "Watch lost",
        "Times in 24 hours that the watching process ended by itself.",
        "sum(increase(nebuloviz_watch_lost_total[24h]))",
        limits=(1, 3),
    ),
    Panel(
        "Alerts",
        "Those not resolved, by severity.",
        [("sum by (severity) (max by (state, severity) (nebuloviz_alerts))", "{{severity}}")],
        stacked=True,
    ),
    Panel(
        "Alerts raised",
        "In an hour, by severity.",
        [("sum by (severity) (increase(nebuloviz_alerts_raised_total[1h]))", "{{severity}}")],
        stacked=True,
    ),
    Panel(
        "Notifications",
        "Messages about alerts in an hour, by channel and what came of the try.",
        [("sum by (channel, outcome) (increase(nebuloviz_notifications_total[1h]))", "{{channel}} {{outcome}}")],
        stacked=True,
    ),
    Panel(
        "Time to train",
        "Mean since the processes began, by detector: they seldom train.",
        [
            (
                TRAINING,
                "{{detector}}",
            )
        ],
        "s",
    ),
    Panel(
        "Time to score, p95",
        "Of one batch in the last hour, by detector.",
        [
            (
                'histogram_quantile(0.95, sum by (le, detector) (rate(nebuloviz_detector_seconds_bucket{step="score"}[1h])))',
                "{{detector}}",
            )
        ],
        "s",
    ),
    Panel(
        "Steps of the detectors",
        "Training and scoring, per second.",
        [(f"sum by (detector, step) (rate(nebuloviz_detector_seconds_count[{RATE}]))", "{{detector}} {{step}}")],
    ),
]

DASHBOARDS = {
    "service": ("NebuloViz: service health", SERVICE),
    "stream": ("NebuloViz: streaming", STREAM),
    "detection": ("NebuloViz: detection and alerts", DETECTION),
}


def dashboard(slug: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    """One dashboard as Grafana reads it."""
    return {
        "uid": f"nebuloviz-{slug}",
        "title": title,
        "tags": ["nebuloviz"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": []},
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "title": "NebuloViz", "tags": ["nebuloviz"], "asDropdown": False, "keepTime": True}
        ],
        "panels": [_panel(number, panel, place) for number, (panel, place) in enumerate(_placed(panels), 1)],
    }


def _placed(panels: Sequence[Panel]) -> Iterator[tuple[Panel, dict[str, int]]]:
    """Side by side while there is room, then below; all in one row are of one height."""
    x = y = height = 0
    for panel in panels:
        if x + panel.width > _COLUMNS:
            x, y = 0, y + height
        height = 4 if panel.kind == "stat" else 8
        yield panel, {"x": x, "y": y, "w": panel.width, "h": height}
        x += panel.width


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    instant = panel.kind != "timeseries"
    custom = {"stacking": {"mode": "normal" if panel.stacked else "none"}, "fillOpacity": 20 if panel.stacked else 0}
    defaults: dict[str, Any] = {"unit": panel.unit, "noValue": "no data", "thresholds": _thresholds(panel.limits)}
    if not instant:
        defaults |= {"min": 0}  # bars and lines begin there; a tile may fall below
    if panel.words:
        texts = {value: {"text": text} for value, text in panel.words.items()}
        defaults |= {"mappings": [{"type": "value", "options": texts}]}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults if instant else {**defaults, "custom": custom}, "overrides": []},
        "targets": [
            {
                "refId": "ABCD"[at],
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": instant,
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for at, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _thresholds(limits: tuple[float, float] | None) -> dict[str, Any]:
    if limits is None:
        return {"mode": "absolute", "steps": [{"color": _GREEN, "value": None}]}
    amber, red = limits
    steps = (
        [(None, _GREEN), (amber, _AMBER), (red, _RED)]
        if amber <= red
        else [(None, _RED), (red, _AMBER), (amber, _GREEN)]
    )
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def rendered() -> dict[Path, str]:
    """Each file's text."""
    return {
        FOLDER / f"{slug}.json": json.dumps(dashboard(slug, title, panels), indent=1) + "\n"
        for slug, (title, panels) in DASHBOARDS.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in rendered().items():
        path.write_text(text, encoding="utf-8")
