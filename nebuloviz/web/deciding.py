"""Decisions on all alerts of an incident at once, for the pages that offer them."""

from __future__ import annotations

from collections.abc import Callable

from dash.development.base_component import Component

from nebuloviz.errors import Conflict, NebuloVizError
from nebuloviz.i18n import ngettext, number
from nebuloviz.services.interfaces import AlertView
from nebuloviz.web.charts import refusal
from nebuloviz.web.components import toast
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import number_of


def decide_all(incident_id: object, decide: Callable[[AlertView], object]) -> Component:
    """Have `decide` called with each alert of the incident that is not resolved; and what a page says to it.

    What somebody else has changed meanwhile is left to them: the page shows it as it is then.
    """
    done = 0
    try:
        incident = ask(services().alerts.incident, number_of(incident_id))
        for alert in incident.alerts:
            if alert.state == "resolved":
                continue
            try:
                decide(alert)
                done += 1
            except Conflict:
                continue
    except NebuloVizError as error:
        return refusal(error)
    return toast(ngettext("Done for {count} alert.", "Done for {count} alerts.", done, count=number(done)), "good")
