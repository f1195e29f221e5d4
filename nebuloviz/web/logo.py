"""The installation's logo, served from its own address: a picture and nothing else, whatever is in its bytes."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from flask import Flask, Response, abort, make_response
from flask import request as asked

from nebuloviz.web.access import route
from nebuloviz.web.context import installation

_PATH = "/logo.png"


def install_logo(server: Flask) -> None:
    """The route /logo.png; the sign-in page shows it, so everybody may see it."""

    @route(server, _PATH, "public")
    def logo() -> Response:
        value = installation().logo
        if not value:
            abort(404)
        response = make_response(base64.b64decode(value))
        response.headers["Content-Type"] = "image/png"
        response.headers["Content-Disposition"] = 'inline; filename="logo.png"'
        response.set_etag(_version(value))
        response.make_conditional(asked)
        return response


def logo_address() -> str:
    """Where the logo is, another address for another picture; '' where there is none."""
    value = installation().logo
    return f"{_PATH}?v={_version(value)}" if value else ""


@lru_cache(maxsize=8)
def _version(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:12]
