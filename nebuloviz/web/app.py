"""The dashboard: one Flask server with Dash, its pages, and nothing that the guard does not know."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dash_ag_grid
import dash_bootstrap_components
import numpy as np
import pandas as pd
from dash import Dash
from flask import Flask, request
from flask_login import current_user as signed_in

from nebuloviz.db import Database
from nebuloviz.i18n import current, is_rtl
from nebuloviz.i18n import gettext as _
from nebuloviz.services.interfaces import Services
from nebuloviz.services.limits import Counters, RequestLimiter
from nebuloviz.settings import Settings
from nebuloviz.web import shell
from nebuloviz.web.access import hand_pages_to_dash
from nebuloviz.web.context import Context, install_context
from nebuloviz.web.files import install_files
from nebuloviz.web.first_run import install_first_run
from nebuloviz.web.guard import callback_failed, install_guard, verify
from nebuloviz.web.hooks import ContentSecurityPolicy, allow_index, install_hooks, install_reader
from nebuloviz.web.login import install_login
from nebuloviz.web.logo import install_logo
from nebuloviz.web.second_factor import install_second_factor
from nebuloviz.web.sessions import THEME_COOKIE, install_sessions
from nebuloviz.web.vendor import PLOTLY, install_vendor, locale_address, vendor_address
from nebuloviz.web.viewing import install_viewing

if TYPE_CHECKING:  # typeshed's, not there at run time
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROOT = Path(__file__).resolve().parents[2]
_MAX_FORM_BYTES = 8 * 1024 * 1024

#: Loaded now, in one thread: Plotly and Dash import them at first use, and two callbacks at once would then trip over each other.
_LOADED = (np, pd, dash_ag_grid, dash_bootstrap_components)

_INDEX = """<!DOCTYPE html>
<html {%nv_attributes%}>
  <head>
    {%metas%}
    <title>{%title%}</title>
    <link rel="icon" href="/assets/favicon.svg" type="image/svg+xml">
    {%nv_styles%}
    {%css%}
  </head>
  <body>
    {%app_entry%}
    <footer>
      {%config%}
      {%scripts%}
      {%nv_locale%}
      {%renderer%}
    </footer>
  </body>
</html>
"""


def _stylesheets() -> list[str]:
    """The links to the styles that come from a package."""
    return [
        f'<link rel="stylesheet" href="{vendor_address(name)}">'
        for name in ("bootstrap/bootstrap.min.css", "bootstrap/bootstrap-icons.min.css")
    ]


class Dashboard(Dash):
    """Dash, with an index page in the reader's language, direction and theme."""

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]  # called by keyword only
        preferences = current()
        language = preferences.language
        own = theme = signed_in.user.theme if signed_in and signed_in.is_authenticated else ""
        if request.cookies.get(THEME_COOKIE) in {"light", "dark"}:  # what this browser was set to last
            theme = request.cookies[THEME_COOKIE]
        attributes = (
            f'lang="{language}" dir="{"rtl" if is_rtl(language) else "ltr"}" data-nv-plotly="{vendor_address(PLOTLY)}"'
        )
        if theme in {"light", "dark"}:
            attributes += f' data-bs-theme="{theme}"'
        if own == "auto":  # the browser follows the system then, also where that changes
            attributes += ' data-nv-theme="auto"'
        locale = escape(locale_address(preferences))
        loading = _("Loading…")
        parts["app_entry"] = (
            f'<div id="react-entry-point"><div class="_dash-loading" role="status">{loading}</div></div>'
        )
        page = _INDEX.replace("{%nv_attributes%}", attributes)
        page = page.replace("{%nv_styles%}", "\n    ".join(_stylesheets()))
        page = page.replace("{%nv_locale%}", f'<script src="{locale}"></script>')
        for name, text in parts.items():
            page = page.replace(f"{{%{name}%}}", text)
        return page


class _Unchunked:
    """Says of a body without a length that it ends by itself, as the ASGI server sees to; Werkzeug would take it for empty."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input_terminated"] = True
        return self._app(environ, start_response)


def create_dash(
    *,
    services: Services,
    database: Database,
    settings: Settings,
    counters: Counters | None = None,
) -> Dashboard:
    """The dashboard, complete and verified; its WSGI application is `.server`. One a process, as Dash's registries are global.

    Raises:
        ConfigurationError: a page or callback declares no permission.
    """
    server = Flask("nebuloviz.web", static_folder=None, template_folder="templates")
    server.config["MAX_CONTENT_LENGTH"] = _MAX_FORM_BYTES
    server.config["MAX_FORM_MEMORY_SIZE"] = 64 * 1024
    server.wsgi_app = _Unchunked(server.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to wrap it
    policy = ContentSecurityPolicy()
    install_context(server, Context(services, database, settings))
    install_hooks(server, settings, policy)
    install_sessions(server, settings)
    install_guard(server, RequestLimiter(counters or Counters(), lambda: services.settings.current.requests_per_minute))
    install_reader(server)
    install_login(server)
    install_first_run(server)
    install_second_factor(server)
    install_viewing(server)
    install_vendor(server)
    install_files(server)
    install_logo(server)
    app = _dash(server)
    for path in sorted((ROOT / "pages").glob("[!_.]*.py")):
        importlib.import_module(f"pages.{path.stem}")
    hand_pages_to_dash()
    verify(app)
    allow_index(app, server, policy)
    return app


def _dash(server: Flask) -> Dashboard:
    os.environ.pop("DASH_MCP_ENABLED", None)  # it would open a door beside the guard, whatever the code says
    app = Dashboard(
        "nebuloviz",
        server=server,  # type: ignore[arg-type]  # documented, and missing in the annotation
        assets_folder=str(ROOT / "assets"),
        pages_folder="",
        use_pages=True,
        suppress_callback_exceptions=True,
        serve_locally=True,
        compress=False,
        include_pages_meta=False,
        title="NebuloViz",
        update_title=None,  # type: ignore[arg-type]  # documented as the way to leave the title alone
        add_log_handler=False,
        enable_mcp=False,
        on_error=callback_failed,
    )
    app.layout = shell.layout
    return app
