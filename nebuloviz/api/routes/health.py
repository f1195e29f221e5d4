"""Alive, ready, and Prometheus' figures: for machines, without a token, and fast whatever the rest does."""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from nebuloviz.api.deps import context_of
from nebuloviz.observability import EXPOSITION_TYPE, exposition

router = APIRouter(include_in_schema=False)


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def healthz() -> dict[str, str]:
    """The process lives and answers."""
    return {"status": "alive"}


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def readyz(request: Request) -> Response:
    """200 when every part works, else 503; `parts` says which does not."""
    context = context_of(request)
    ready, report = await to_thread.run_sync(context.health.readiness, limiter=context.health_threads)
    body: dict[str, Any] = {"status": "ready" if ready else "not ready", "parts": report}
    return JSONResponse(body, 200 if ready else 503)


@router.api_route("/metrics", methods=["GET", "HEAD"])
async def metrics(request: Request) -> Response:
    content = await to_thread.run_sync(exposition, limiter=context_of(request).health_threads)
    return Response(content, media_type=EXPOSITION_TYPE)
