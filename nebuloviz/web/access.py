"""Pages and callbacks with the permission that they need. Nothing is served that does not declare one.

register_page(__name__, path="/alerts", permission=Permission.ALERTS_READ, ...)

@protected_callback(Permission.ALERTS_MANAGE, Output(...), Input(...))
def resolve(...): ...
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import dash

from nebuloviz.permissions import Permission

_P = ParamSpec("_P")
_R = TypeVar("_R")


def protected_callback(
    permission: Permission, *dependencies: Any, **options: Any
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """`dash.callback` for those whose role includes `permission`; all others get 403 from the guard and from the callback itself."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            return function(*args, **kwargs)

        guarded.required_permission = permission  # type: ignore[attr-defined]  # read by `required_permission`
        dash.callback(*dependencies, **options)(guarded)
        return function

    return decorate


def register_page(module: str, *, permission: Permission, **options: Any) -> None:
    """`dash.register_page` for those whose role includes `permission`; all others get 403."""
    dash.register_page(module, permission=permission, **options)  # type: ignore[no-untyped-call]  # Dash has no types here
