"""Lazy text, the reader's language, and numbers, dates and zones in the reader's own form.

Everything depends on the current `Preferences`; set them with `use` (a block) or `set_current` (a request hook).
"""

from nebuloviz.i18n.browser import ag_grid_locale, date_picker_locale, plotly_locale
from nebuloviz.i18n.context import Preferences, current, set_current, use
from nebuloviz.i18n.formats import change, change_words, compact, isolated, money, number, percent, quantity
from nebuloviz.i18n.regions import format_locale, format_regions
from nebuloviz.i18n.text import (
    LazyText,
    choose_language,
    gettext,
    is_rtl,
    lazy,
    listed,
    mid_sentence,
    ngettext,
    pgettext,
)
from nebuloviz.i18n.times import (
    bucket_label,
    date_range,
    duration,
    format_date,
    format_datetime,
    format_time,
    hour_cycle,
    hour_label,
    moment_range,
    month_name,
    relative,
    weekday_name,
)
from nebuloviz.i18n.zones import local, zone, zone_names, zone_words

_ = gettext

__all__ = [
    "LazyText",
    "Preferences",
    "_",
    "ag_grid_locale",
    "bucket_label",
    "change",
    "change_words",
    "choose_language",
    "compact",
    "current",
    "date_picker_locale",
    "date_range",
    "duration",
    "format_date",
    "format_datetime",
    "format_locale",
    "format_regions",
    "format_time",
    "gettext",
    "hour_cycle",
    "hour_label",
    "is_rtl",
    "isolated",
    "lazy",
    "listed",
    "local",
    "mid_sentence",
    "moment_range",
    "money",
    "month_name",
    "ngettext",
    "number",
    "percent",
    "pgettext",
    "plotly_locale",
    "quantity",
    "relative",
    "set_current",
    "use",
    "weekday_name",
    "zone",
    "zone_names",
    "zone_words",
]
