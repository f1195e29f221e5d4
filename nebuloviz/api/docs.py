"""The OpenAPI document, and Swagger UI from the installed package to read it with."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, Response

from nebuloviz.api.problems import MEDIA_TYPE
from nebuloviz.api.schemas.base import Problem

_UI = "vendor/swagger-ui-4.15.5"
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_STARTER = """window.onload = () => SwaggerUIBundle({
  url: "/api/v1/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
});
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>NebuloViz API</title>
  <link rel="icon" href="/assets/favicon.svg">
  <link rel="stylesheet" href="/api/v1/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/v1/docs/swagger-ui-bundle.js"></script>
<script src="/api/v1/docs/start.js"></script>
</body>
</html>
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

#: Reached without a token: what an API is like is no secret of an installation.
public = APIRouter(include_in_schema=False)


@public.get("/docs")
async def docs() -> Response:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@public.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    if name == "start.js":
        return Response(_STARTER, media_type="text/javascript")
    if name not in _ASSETS:
        raise HTTPException(404)
    content = files("swagger_ui_bundle").joinpath(_UI, name).read_bytes()
    return Response(content, media_type=_ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})


def install_openapi(app: FastAPI) -> None:
    """Let `app` describe itself in OpenAPI 3.0, which is what the packaged Swagger UI reads."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                openapi_version="3.0.3",
            )
            app.openapi_schema = _as_3_0(_with_problems(document))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to change the document


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Every operation answers errors as problems, which FastAPI cannot be told for all of them at once."""
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answers = {
        status: {"description": text, "content": {MEDIA_TYPE: reference}}
        for status, text in (("4XX", "What is wrong, and what to do."), ("503", "The database does not answer."))
    }
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    document["components"] |= {"headers": {"ETag": _ETAG}, "parameters": {"IfNoneMatch": _IF_NONE_MATCH}}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            operation["responses"] |= answers
            if method == "get" and "application/json" in operation["responses"]["200"]["content"]:
                _describe_tags(operation)
    return document


def _describe_tags(operation: dict[str, Any]) -> None:
    """What is read can be asked for again at no cost."""
    operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IfNoneMatch"})
    operation["responses"]["200"]["headers"] = {"ETag": {"$ref": "#/components/headers/ETag"}}
    operation["responses"]["304"] = {"description": "The answer is still the one of that ETag."}


_ETAG = {"description": "Changes with the answer.", "schema": {"type": "string"}}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of the answer that you have: 304 without a body while it is still that one.",
    "schema": {"type": "string"},
}


def _as_3_0(node: Any) -> Any:
    """`node` in the dialect of OpenAPI 3.0: null is a flag there and not a type, and a constant is an enum of one."""
    if isinstance(node, list):
        return [_as_3_0(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: _as_3_0(value) for name, value in node.items()}
    choices = node.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        node.pop("anyOf")
        only = rest[0] if len(rest) == 1 else {"anyOf": rest}
        node |= {"nullable": True} | ({"allOf": rest} if "$ref" in only else only)  # nothing may stand beside a $ref
    if "const" in node:
        node["enum"] = [node.pop("const")]
    return node
