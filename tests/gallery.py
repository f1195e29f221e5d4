"""Every component and figure on one page, with real data, to look at while changing them: `python -m tests.gallery`.

Cookies choose what is shown: `nebuloviz_theme` (light, dark) and `gallery_language` (en, de, es, ar).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import dash_ag_grid
import flask
import flask_bootstrap
from dash import Dash, dcc, html

from nebuloviz.i18n import Preferences, ag_grid_locale, current, is_rtl, plotly_locale, use
from nebuloviz.metrics.registry import metric
from nebuloviz.services.interfaces import AlertView, SaleLine
from nebuloviz.web import components as ui
from nebuloviz.web import figures
from nebuloviz.web.figures import AnomalyMark, Severity, Style
from nebuloviz.web.theme import Theme
from tests.gallery_data import NOW, ZONE, by_category, daily, daily_by_category, hourly, sales

REVENUE, ORDERS, AVERAGE, DISCOUNT = (
    metric(slug) for slug in ("revenue", "orders", "average_order_value", "discount_rate")
)
BOOTSTRAP = Path(flask_bootstrap.__file__).parent / "static" / "bootstrap5"
MARKS: tuple[tuple[int, Severity], ...] = ((12, "high"), (22, "critical"), (30, "medium"), (36, "low"))
NASTY = '<b>Bold</b> <a href="javascript:alert(1)">link</a> & Söhne'


def alerts() -> list[AlertView]:
    def alert(number: int, severity: str, state: str, observed: float, expected: float, **dims: str) -> AlertView:
        start = NOW - timedelta(hours=3 * number + 1)
        return AlertView(
            id=number,
            detector="forest",
            series="revenue",
            metric="revenue",
            dimensions=dims,
            bucket_start=start,
            bucket_end=start + timedelta(hours=1),
            observed=observed,
            expected=expected,
            expected_low=expected * 0.8,
            expected_high=expected * 1.2,
            score=0.8,
            severity=severity,
            state=state,
            created_at=start,
            updated_at=start,
            version=1,
        )

    return [
        alert(1, "critical", "open", 620.4, 1004.2, category="Produce", store="367"),
        alert(2, "high", "open", 1810.0, 1100.0),
        alert(9, "medium", "acknowledged", 88.5, 131.0, category="Floral"),
        alert(30, "low", "resolved", 45.0, 38.0, category=NASTY),
    ]


def ticker_rows() -> list[html.Li]:
    rows = []
    for index, (_label, row) in enumerate(sales().tail(9).iloc[::-1].iterrows()):
        line = SaleLine(
            sale_id=str(index),
            order_id="1",
            sold_at=row["sold_at"].to_pydatetime(),
            customer_id="1",
            product_id=str(row["product_id"]),
            product=str(row["product_type"]).title() if index != 2 else NASTY,
            category=row["category"],
            region="",
            country="",
            channel="",
            store=row["store"],
            quantity=float(row["quantity"]) if index != 4 else -1.0,
            unit_price=1.0,
            discount=0.0,
            revenue=float(row["sales_value"]) if index != 4 else -float(row["sales_value"]),
        )
        rows.append(ui.ticker_row(line, fresh=index == 0))
    return rows


def tiles(style: Style) -> html.Div:
    frame = daily()
    ended, before = frame.iloc[-8:-1], frame.iloc[-15:-8]
    made = []
    for each, value, earlier in (
        (REVENUE, ended["revenue"].sum(), before["revenue"].sum()),
        (ORDERS, ended["orders"].sum(), before["orders"].sum()),
        (AVERAGE, ended["revenue"].sum() / ended["orders"].sum(), before["revenue"].sum() / before["orders"].sum()),
        (DISCOUNT, ended["discount_rate"].mean(), before["discount_rate"].mean()),
        (metric("customers"), 1204.0, 0.0),
    ):
        spark = figures.sparkline(frame, each, style=style) if each.slug in frame else None
        made.append(
            ui.tile(
                each, value, before=earlier, comparison="previous 7 days", spark=spark, href=f"/explore?m={each.slug}"
            )
        )
    return html.Div(made, className="nv-tiles")


def charts(style: Style) -> list[html.Section]:
    frame, parts, split = daily(), by_category(), daily_by_category()
    nasty = parts.replace({"category": {"Grocery": NASTY, "Fuel": ""}})
    marks = [
        AnomalyMark(
            frame["bucket"].iloc[i].to_pydatetime(), frame["revenue"].iloc[i], severity, i, "far below a normal day"
        )
        for i, severity in MARKS
    ]
    table = ui.data_table(frame, [REVENUE], grain="day", comparison=style.comparison)
    one = split[split["category"].isin(["Grocery", "Fuel", "Produce", "Meat"])]
    return [
        ui.chart_card(
            figures.title_of(REVENUE),
            figures.trend(frame, REVENUE, "day", anomalies=marks, style=style),
            graph_id="trend",
            table=table,
            span=8,
            height=320,
            downloads={"CSV": "#", "XLSX": "#"},
            subtitle="Last 42 days",
        ),
        ui.card(
            "Alerts", ui.feed([ui.feed_item(a, href=f"/alerts/{a.id}", now=NOW) for a in alerts()]), span=4, flush=True
        ),
        ui.chart_card(
            figures.title_of(REVENUE, "category"),
            figures.bars(parts, REVENUE, "category", style=style),
            graph_id="bars",
            table=ui.data_table(parts, [REVENUE], dimensions=["category"]),
            span=4,
            height=None,
        ),
        ui.chart_card(
            figures.title_of(REVENUE, "category"),
            figures.treemap(parts, REVENUE, ["category"], style=style),
            graph_id="treemap",
            span=4,
        ),
        ui.chart_card(
            "Hostile names",
            figures.bars(nasty, REVENUE, "category", style=style),
            graph_id="nasty",
            span=4,
            height=None,
        ),
        ui.chart_card(
            "Revenue per hour and weekday",
            figures.heat_map(hourly(), REVENUE, style=style),
            graph_id="heat",
            span=6,
        ),
        ui.chart_card(
            figures.title_of(REVENUE, "category"),
            figures.trend(one, REVENUE, "day", split="category", style=style),
            graph_id="split",
            span=6,
        ),
        ui.chart_card(
            figures.title_of(REVENUE, "category"),
            figures.stacked(split, REVENUE, "category", "day", style=style),
            graph_id="stacked",
            span=6,
        ),
        ui.chart_card(
            figures.title_of(REVENUE, "category"),
            figures.stacked(split, REVENUE, "category", "day", kind="area", style=style),
            graph_id="area",
            span=6,
        ),
        ui.chart_card(
            "Discount rate against revenue",
            figures.scatter(parts, REVENUE, DISCOUNT, "category", size=ORDERS, style=style),
            graph_id="scatter",
            span=6,
        ),
        ui.chart_card(
            figures.title_of(REVENUE),
            figures.trend(hourly().tail(60), REVENUE, "hour", kind="area", style=style),
            graph_id="hours",
            span=6,
        ),
        ui.chart_card(
            figures.title_of(REVENUE),
            figures.single_value(parts, REVENUE, style=style),
            graph_id="single",
            span=3,
            height=140,
        ),
        ui.chart_card(
            figures.title_of(REVENUE),
            figures.trend(frame.iloc[:0], REVENUE, "day", style=style),
            graph_id="none",
            span=3,
            height=140,
        ),
        ui.card("Live", ui.ticker(ticker_rows()), span=6, flush=True),
    ]


def states() -> list[Any]:
    return [
        html.Div([ui.skeleton_tile() for _ in range(4)], className="nv-tiles"),
        ui.card("Loading", ui.skeleton_chart(200), span=4),
        ui.card("Loading", ui.skeleton_bars(), span=4),
        ui.card("Loading", ui.skeleton_feed(2), span=4, flush=True),
        ui.card(
            "Empty", ui.nothing_matches(["Category: Dairy", "Store: 367"], clear=ui.button("Clear filters")), span=4
        ),
        ui.card(
            "Error",
            ui.error_state(
                "The sales could not be read",
                "The database did not answer within 30 s. Try a shorter range.",
                retry_id="retry",
            ),
            span=4,
        ),
        ui.card("Quiet", ui.feed([]), span=4),
        ui.alert_card(alerts()[0], now=NOW, actions=[ui.button("Acknowledge"), ui.button("Resolve", kind="primary")]),
    ]


def controls() -> list[Any]:
    upload = dcc.Upload(
        html.Div(
            [
                ui.icon("cloud-upload"),
                html.Strong("Drop a file here, or choose one"),
                html.Span("CSV, XLSX or Parquet", className="nv-muted"),
            ],
            className="nv-upload",
        )
    )
    fields = [
        html.Div(
            [
                html.Label("Category"),
                dcc.Dropdown(["Grocery", "Fuel", NASTY], ["Grocery", "Fuel"], multi=True, id="dd"),
            ],
            className="nv-field",
        ),
        html.Div(
            [html.Label("Grain"), dcc.Dropdown(["Hour", "Day"], "Day", id="dd2", clearable=False)], className="nv-field"
        ),
        html.Div(
            [
                html.Label("Range"),
                dcc.DatePickerRange(
                    start_date="2017-10-01", end_date="2017-10-17", id="dates", is_RTL=is_rtl(current().language)
                ),
            ],
            className="nv-field",
        ),
        html.Div([html.Label("Name"), dcc.Input(placeholder="Search", id="input")], className="nv-field"),
        dcc.RadioItems(["Line", "Area", "Bar"], "Line", className="nv-segmented", id="kind", inline=True),
        html.Div(
            [
                ui.button("Save", kind="primary", icon_name="check2"),
                ui.button("Cancel"),
                ui.button("Delete", kind="danger"),
                ui.button("Quiet", kind="quiet", icon_name="gear"),
            ],
            className="nv-row",
        ),
        html.Div(
            [
                ui.badge("Live", "good", icon_name="broadcast"),
                ui.stale_badge(640),
                *[ui.severity_badge(s) for s in ("low", "medium", "high", "critical")],
            ],
            className="nv-row",
        ),
    ]
    tabs = dcc.Tabs([dcc.Tab(label="Chart", value="a"), dcc.Tab(label="Sales", value="b")], value="a", id="tabs")
    grid = dash_ag_grid.AgGrid(
        id="grid",
        columnDefs=[
            {"field": "category"},
            {"field": "revenue", "type": "numericColumn"},
            {"field": "orders", "type": "numericColumn", "filter": "agNumberColumnFilter"},
        ],
        rowData=by_category().round(2).to_dict("records"),
        style={"height": "300px"},
        columnSize="sizeToFit",
        dashGridOptions={"enableRtl": is_rtl(current().language), "localeText": ag_grid_locale(current().language)},
    )
    return [
        ui.card("Controls", html.Div([*fields], className="nv-stack"), span=4),
        ui.card(
            "Import",
            html.Div(
                [
                    tabs,
                    upload,
                    ui.progress(
                        341_209, 541_909, label="online_retail.csv", rate=21_400, seconds_left=9.4, unit="lines"
                    ),
                    ui.progress(12_000, None, label="Counting"),
                    ui.kpi_list([("Rate", "512/s"), ("Lag", "0"), ("Age", "2 s")]),
                    ui.toast("541,909 lines stored.", "good", title="Import finished"),
                    ui.toast("Kafka does not answer.", "bad"),
                ],
                className="nv-stack",
            ),
            span=4,
        ),
        ui.card("Grid", grid, span=4, flush=True),
    ]


def top() -> html.Div:
    presets = dcc.RadioItems(
        ["Today", "7 days", "28 days", "Year"], "28 days", className="nv-segmented", inline=True, id="preset"
    )
    filters = [
        presets,
        dcc.DatePickerRange(
            start_date="2017-09-20", end_date="2017-10-17", id="range", is_RTL=is_rtl(current().language)
        ),
        dcc.Dropdown(["Grocery", "Fuel"], placeholder="Category", id="f1", multi=True),
        ui.chips(
            [ui.chip("Category", "Grocery", id="c1"), ui.chip("Store", "367", id="c2", excluded=True)], clear_id="clear"
        ),
    ]
    return ui.topbar(filters, end=[ui.data_age(3), ui.theme_button()])


def cookie(name: str, default: str) -> str:
    return str(flask.request.cookies.get(name, default)) if flask.has_request_context() else default


def layout() -> Any:
    theme: Theme = "dark" if cookie("nebuloviz_theme", "light") == "dark" else "light"
    language = cookie("gallery_language", "en")
    with use(Preferences(language, ZONE, "USD")):
        style = Style(
            theme=theme, comparison="same days last week", order={"category": tuple(by_category(30)["category"])}
        )
        items = [
            ui.NavItem("Overview", "/", "grid-1x2", "g o"),
            ui.NavItem("Explore", "/explore", "bar-chart-line", "g e"),
            ui.NavItem("Alerts", "/alerts", "bell", "g a", count=3),
            ui.NavItem("Data", "/data", "database", "g d"),
        ]
        content = ui.page(
            [
                ui.page_header(
                    "Overview", subtitle="Complete Journey, 457 stores", actions=[ui.button("Share", icon_name="share")]
                ),
                tiles(style),
                *charts(style),
                *states(),
                *controls(),
            ]
        )
        return ui.frame(ui.rail(items, "/"), top(), content)


INDEX = """<!DOCTYPE html><html lang="{language}" dir="{dir}" data-bs-theme="{theme}"><head><meta name="viewport"
content="width=device-width, initial-scale=1">{{%metas%}}<title>Gallery</title>{{%css%}}</head><body>{{%app_entry%}}<footer>
{{%config%}}{{%scripts%}}<script>nebuloviz.registerLocale({locale})</script>{{%renderer%}}</footer></body></html>"""


class Gallery(Dash):
    """A Dash app whose document says its language, direction and theme."""

    def interpolate_index(self, *args: Any, **kwargs: Any) -> str:
        language, theme = cookie("gallery_language", "en"), cookie("nebuloviz_theme", "light")
        locale = flask.json.dumps(plotly_locale(language, "USD"))
        page = INDEX.format(language=language, dir="rtl" if is_rtl(language) else "ltr", theme=theme, locale=locale)
        for name, value in kwargs.items():
            page = page.replace("{%" + name + "%}", value)
        return page


def build() -> Dash:
    app = Gallery(
        __name__,
        assets_folder=str(Path(__file__).resolve().parents[1] / "assets"),
        external_stylesheets=[
            "/vendor/bootstrap/css/bootstrap.min.css",
            "/vendor/bootstrap/css/font/bootstrap-icons.min.css",
        ],
        enable_mcp=False,
    )
    app.layout = layout
    app.server.add_url_rule(
        "/vendor/bootstrap/<path:name>", "vendor", lambda name: flask.send_from_directory(BOOTSTRAP, name)
    )
    return app


if __name__ == "__main__":
    build().run(port=8077, debug=False)
