"""The ASGI parent: the API, health and figures, and the dashboard behind everything else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from nebuloviz import __version__
from nebuloviz.api import docs
from nebuloviz.api.bodies import WholeBodies
from nebuloviz.api.deps import ApiContext, known, signed_in
from nebuloviz.api.edge import PREFIX, Edge
from nebuloviz.api.problems import install_problems
from nebuloviz.api.reading import refuse_odd_parameters
from nebuloviz.api.routes import (
    alerts,
    audit,
    auth,
    backtests,
    calendar,
    data,
    detectors,
    exports,
    forecasts,
    imports,
    insights,
    me,
    notifications,
    roles,
    rules,
    sales,
    status,
    stream,
    tokens,
    users,
)
from nebuloviz.api.routes import health as health_routes
from nebuloviz.api.routes import settings as settings_routes
from nebuloviz.db import Database
from nebuloviz.observability import HealthChecks
from nebuloviz.services.interfaces import Services
from nebuloviz.services.limits import Counters, RequestLimiter
from nebuloviz.settings import Settings

_DESCRIPTION = (
    "Sales in, figures and alerts out. Sign in with POST /api/v1/auth/token and send the access token as "
    "`Authorization: Bearer <token>`. Errors are RFC 9457 problems with a stable `code`, in the language that `Accept-Language` "
    "asks for. Every answer has an `X-Request-Id`, which the log names too; `RateLimit-Limit`, `RateLimit-Remaining` and "
    "`RateLimit-Reset` say what is left of the requests a minute."
)


def create_api(
    *,
    services: Services,
    database: Database,
    settings: Settings,
    health: HealthChecks,
    counters: Counters | None = None,
    dashboard: ASGIApp | None = None,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[Any]] | None = None,
) -> FastAPI:
    """The whole server as one ASGI application.

    `dashboard` answers every path that is not ours; without one they are 404. `lifespan` is entered at the start and left
    at the end.
    """
    app = FastAPI(
        title="NebuloViz",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[
            Middleware(
                Edge,
                settings=settings,
                live=lambda: services.settings.current,
                dashboard=WholeBodies(dashboard) if dashboard else None,
            )
        ],
        generate_unique_id_function=lambda route: route.name,
    )
    limiter = RequestLimiter(counters or Counters(), lambda: services.settings.current.requests_per_minute)
    app.state.context = ApiContext(services, database, settings, health, limiter)
    install_problems(app)
    docs.install_openapi(app)
    _add_routes(app)
    app.include_router(health_routes.router)
    return app


def _add_routes(app: FastAPI) -> None:
    """Everything under /api/v1. What needs a token is behind it by the router, not by each route.

    Each router stands in the application itself: of routers within routers, every request would try all routes once a level.
    """
    strict = Depends(refuse_odd_parameters)
    parts = (
        data, insights, forecasts, me, exports, alerts, notifications, detectors, rules, backtests, calendar,
        sales, imports, stream, users, roles, tokens, audit, settings_routes, status,
    )  # fmt: skip
    for part in parts:
        app.include_router(part.router, prefix=PREFIX, dependencies=[Depends(signed_in), strict])
    app.include_router(me.setting_up, prefix=PREFIX, dependencies=[Depends(known), strict])
    for public in (auth.public, docs.public):
        app.include_router(public, prefix=PREFIX)
