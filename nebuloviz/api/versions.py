"""Versions of what can be edited: told as ETag, demanded as If-Match. An edit of what has changed meanwhile is refused."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Response

from nebuloviz.errors import InvalidInput

_MOST_DIGITS = 18


def show_version(response: Response, version: int) -> None:
    """Tell the version that was read or made."""
    response.headers["ETag"] = f'"{version}"'


def _version(
    if_match: Annotated[
        str | None,
        Header(
            max_length=40, description="The ETag of what was read: the edit is refused (412) if it has changed since."
        ),
    ] = None,
) -> int | None:
    """The version of the If-Match header; None where there is none, or any will do ('*').

    Raises:
        InvalidInput: it is no ETag of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix('"').removesuffix('"')
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise InvalidInput('If-Match takes the ETag that came with the answer, such as "3".')
    return int(text)


#: Of what is being edited, as far as the client says.
IfMatch = Annotated[int | None, Depends(_version)]
