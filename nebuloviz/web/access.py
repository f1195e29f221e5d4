"""Who may reach what: pages, callbacks and routes declare it here, and what declares nothing is not served."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

import dash
from dash import Input, Output, no_update
from flask import Flask

from nebuloviz.errors import ConfigurationError
from nebuloviz.i18n import LazyText
from nebuloviz.permissions import Permission
from nebuloviz.web.context import installation

#: Reached by anybody, by whoever is signed in, or by those whose role includes the permission.
Access = Literal["public", "signed-in"] | Permission

_P = ParamSpec("_P")
_R = TypeVar("_R")
_ACCESS = "nebuloviz_access"
_PRESSES = {"n_clicks", "submit_n_clicks"}
_waiting: list[dict[str, Any]] = []  # the pages that Dash does not know yet


def protected_callback(
    permission: Permission, *dependencies: Any, **options: Any
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """`dash.callback` for those whose role includes `permission`; the guard gives all others 403. Returns the bare function.

    What a press answers (a callback of clicks alone, with `prevent_initial_call`) reaches the page although its button is drawn anew
    meanwhile. What it draws may hold no input of a callback that Dash should call as soon as it is there: it does not.
    """
    aside = _outputs_sent_aside(dependencies) if options.get("prevent_initial_call") else []

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def protected(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            answer = function(*args, **kwargs)
            return _send_aside(aside, answer) if aside else answer

        protected.required_permission = permission  # type: ignore[attr-defined]  # read by `required_permission`
        dash.callback(*dependencies, **options)(protected)
        return function

    return decorate


def _outputs_sent_aside(dependencies: Sequence[Any]) -> list[Output]:
    """The outputs of a press, where each is one known component.

    Dash asks a callback again when one of its buttons is drawn anew, and then throws away an answer that is still on its way:
    the work would be done, and nothing would say so.
    """
    inputs = [each for each in dependencies if isinstance(each, Input)]
    outputs = [each for each in dependencies if isinstance(each, Output)]
    presses = bool(inputs) and all(each.component_property in _PRESSES for each in inputs)
    return outputs if presses and all(isinstance(each.component_id, str) for each in outputs) else []


def _send_aside(outputs: Sequence[Output], answer: Any) -> Any:
    if answer is no_update:
        return no_update
    for output, value in zip(outputs, answer if len(outputs) > 1 else [answer], strict=True):
        if value is not no_update:
            dash.set_props(str(output.component_id), {output.component_property: value})
    return no_update if len(outputs) == 1 else [no_update] * len(outputs)


def register_page(
    module: str, *, permission: Permission, name: LazyText | str, icon: str = "", shortcut: str = "", **options: Any
) -> None:
    """Let `module` be a page for those whose role includes `permission`; all others get 403.

    One with an `icon` (of Bootstrap Icons, "bell") has a place in the rail, under its `name`; `shortcut` is what the rail says
    of keys. `options` are those of `dash.register_page`: `path`, `order` (pages without one come last), `layout` where it is not
    the module's own. May be called before there is a dashboard, as from an extension: Dash gets the pages when it is made.
    """

    def title(**_variables: str) -> str:
        return f"{name!s} · {installation().name}"

    _waiting.append(
        {"module": module, "permission": permission, "name": name, "icon": icon, "shortcut": shortcut, "title": title}
        | options
    )


def hand_pages_to_dash() -> None:
    """Give Dash all pages that were registered since the last time; there must be a `Dash` by now.

    Raises:
        ConfigurationError: one has no layout.
    """
    while _waiting:
        page = _waiting.pop(0)
        layout = page.pop("layout", None) or getattr(sys.modules[page["module"]], "layout", None)
        if layout is None:
            raise ConfigurationError(f"The page {page['module']} has no layout: define a function of that name.")
        dash.register_page(layout=layout, **page)  # type: ignore[no-untyped-call]  # Dash has no types here


def route(
    server: Flask, rule: str, access: Access, *, methods: Sequence[str] = ("GET",)
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a view under its function's name, for those whom `access` names."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        server.extensions.setdefault(_ACCESS, {})[view.__name__] = access
        server.add_url_rule(rule, endpoint=view.__name__, view_func=view, methods=list(methods))
        return view

    return decorate


def declared_access(server: Flask) -> dict[str, Access]:
    """Endpoint -> access, for the views registered by `route`."""
    found: dict[str, Access] = server.extensions.setdefault(_ACCESS, {})
    return found
