"""Files that browsers need and that come from installed packages or are generated: never from another host, never copied in."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, abort, make_response, request

from nebuloviz.i18n import Preferences, ag_grid_locale, date_picker_locale, format_locale, is_rtl, plotly_locale
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web.access import route

_YEAR_SECONDS = 31_536_000
_CSS = "text/css; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
_BOOTSTRAP = "static/bootstrap5/css"
PLOTLY = "plotly/plotly.min.js"

#: Path under /vendor -> package, file in it, content type. Nothing else of a package can be had.
FILES: dict[str, tuple[str, str, str]] = {
    "bootstrap/bootstrap.min.css": ("flask_bootstrap", f"{_BOOTSTRAP}/bootstrap.min.css", _CSS),
    "bootstrap/bootstrap-icons.min.css": ("flask_bootstrap", f"{_BOOTSTRAP}/font/bootstrap-icons.min.css", _CSS),
    "bootstrap/fonts/bootstrap-icons.woff2": (
        "flask_bootstrap",
        f"{_BOOTSTRAP}/font/fonts/bootstrap-icons.woff2",
        "font/woff2",
    ),
    "bootstrap/fonts/bootstrap-icons.woff": (
        "flask_bootstrap",
        f"{_BOOTSTRAP}/font/fonts/bootstrap-icons.woff",
        "font/woff",
    ),
    PLOTLY: ("plotly", "package_data/plotly.min.js", _SCRIPT),
}


@lru_cache(maxsize=len(FILES))
def vendor_address(name: str) -> str:
    """The address of one of `FILES`; it carries a version, so that browsers need not ask for the file again."""
    return f"/vendor/{name}?v={hashlib.sha256(_content(name)).hexdigest()[:12]}"


def install_vendor(server: Flask) -> None:
    """The routes /vendor/... and /locale/<language>.js."""

    @route(server, "/vendor/<path:name>", "public")
    def vendor(name: str) -> Response:
        if name not in FILES:
            abort(404)
        return _cached(_content(name), FILES[name][2])

    @route(server, "/locale/<language>.js", "public")
    def locale(language: str) -> Response:
        if language not in SUPPORTED_LANGUAGES:
            abort(404)
        currency = request.args.get("currency", "")
        known = len(currency) == 3 and currency.isascii() and currency.isalpha()
        week_start = request.args.get("week", default=0, type=int)
        form = format_locale(language, request.args.get("form", "")) or language
        script = locale_script(language, currency.upper() if known else "", week_start % 7, form)
        return _cached(script.encode(), _SCRIPT)


def locale_address(reader: Preferences) -> str:
    """Where the reader's browser gets `locale_script` from; it carries a version, as `vendor_address` does."""
    form = reader.number_locale or reader.language
    script = locale_script(reader.language, reader.currency, reader.week_start, form)
    parameters = {
        "currency": reader.currency,
        "week": reader.week_start,
        "form": form.partition("-")[2],
        "v": hashlib.sha256(script.encode()).hexdigest()[:12],
    }
    return f"/locale/{reader.language}.js?{urlencode(parameters)}"


@lru_cache(maxsize=len(FILES))
def _content(name: str) -> bytes:
    package, path, _type = FILES[name]
    return files(package).joinpath(path).read_bytes()


@lru_cache(maxsize=64)
def locale_script(language: str, currency: str, week_start: int, form: str) -> str:
    """A script that teaches the page's components `language`, with numbers and dates as the locale `form` has them.

    Plotly knows it at once; for AG Grid and the date pickers it sets `window.nebulovizLocale = {language, rtl, agGrid, datePicker}`.
    """
    texts: dict[str, Any] = {
        "language": language,
        "rtl": is_rtl(language),
        "agGrid": ag_grid_locale(language, form),
        "datePicker": date_picker_locale(language, week_start, form),
    }
    # the script may come before or after those of the page, so it takes Plotly's own way for early locales too
    return (
        f"window.nebulovizLocale = {json.dumps(texts)};\n"
        "(function (locale) {\n"
        "  if (window.nebuloviz) { window.nebuloviz.registerLocale(locale); }\n"
        "  else { (window.PlotlyLocales = window.PlotlyLocales || []).push(locale); }\n"
        f"}})({json.dumps(plotly_locale(language, currency, form))});\n"
    )


def _cached(content: bytes, content_type: str) -> Response:
    """Kept by the browser for a year where the address carries a version, else checked by its tag each time."""
    response = make_response(content)
    response.headers["Content-Type"] = content_type
    response.set_etag(hashlib.sha256(content).hexdigest()[:32])
    if request.args.get("v"):
        response.cache_control.max_age = _YEAR_SECONDS
        response.cache_control.immutable = True
    else:
        response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response
