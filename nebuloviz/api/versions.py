"""Versions: of what is read, told as ETag and asked for as If-None-Match; of what is edited, taken as If-Match.

A tag is a digest of the answer, and what can be edited has its version in front: `"3.5f0c3d9e"`. So a poll notices every change of
the answer, and an edit is refused only where the thing itself has changed.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Depends, Header, Request, Response

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import _

_MAX_DIGITS = 18
_DIGEST_BYTES = 12


def digest_of(content: bytes) -> str:
    """The part of a tag that changes with every byte."""
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def show_version(response: Response, version: int) -> None:
    """Tell the version that was read or made."""
    response.headers["ETag"] = f'"{version}"'


def tagged(request: Request, response: Response) -> Response:
    """The answer to a GET with its tag; 304 without a body where the client has it already."""
    if response.status_code != 200 or not hasattr(response, "body"):
        return response
    version = response.headers.get("etag", "").strip('"')
    if not version or version.isdecimal():
        digest = digest_of(bytes(response.body))
        response.headers["ETag"] = f'"{version}.{digest}"' if version else f'"{digest}"'
    tag = response.headers["ETag"]
    if not is_known(request, tag):
        return response
    kept = {name: response.headers[name] for name in ("ETag", "Vary") if name in response.headers}
    return Response(status_code=304, headers=kept)


def is_known(request: Request, tag: str) -> bool:
    """Whether If-None-Match names `tag`, strong or weak."""
    told = {
        part.strip().removeprefix("W/") for line in request.headers.getlist("if-none-match") for part in line.split(",")
    }
    return tag in told or "*" in told


def _version(
    if_match: Annotated[
        str | None,
        Header(
            max_length=80, description="The ETag of what was read: the edit is refused (412) if it has changed since."
        ),
    ] = None,
) -> int | None:
    """The version of the If-Match header; None where there is none, or any will do ('*').

    Raises:
        InvalidInput: it is no ETag of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix('"').removesuffix('"').partition(".")[0]
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise InvalidInput(_('If-Match takes the ETag that came with the answer, such as "3".'))
    return int(text)


#: Of what is being edited, as far as the client says.
IfMatch = Annotated[int | None, Depends(_version)]
