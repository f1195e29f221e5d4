"""The page on which users set up, renew and turn off their own second factor; it works without scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import segno
from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from nebuloviz.errors import Conflict, FormExpired, InvalidInput, NebuloVizError, NotSignedIn, TooManyRequests
from nebuloviz.services.interfaces import Enrolment
from nebuloviz.web.access import route
from nebuloviz.web.context import act, ask, current_user, services
from nebuloviz.web.forms import check_csrf, form_page

PROFILE = "/profile"
_REFUSED = (Conflict, FormExpired, InvalidInput, NotSignedIn, TooManyRequests)


def install_second_factor(server: Flask) -> None:
    """The page /second-factor."""

    @route(server, "/second-factor", "signed-in", methods=["GET", "POST"])
    def second_factor() -> ResponseReturnValue:
        if request.method == "POST":
            return _STEPS.get(request.form.get("do", ""), _page)()
        return _page()


def _page(error: NebuloVizError | None = None) -> Response:
    """What can be done now, each with the password."""
    user, state = current_user(), ask(services().second_factor.state)
    due = services().second_factor.is_due(user)
    return form_page("second_factor.html", error, state=state, due=due, username=user.username)


def _begin() -> Response:
    try:
        check_csrf()
        enrolment = ask(services().second_factor.begin, request.form.get("password", ""))
    except _REFUSED as error:
        return _page(error)
    return _enrolment_page(enrolment)


def _confirm() -> Response:
    ticket = request.form.get("ticket", "")
    try:
        check_csrf()
        codes = act(services().second_factor.confirm, ticket, request.form.get("code", ""))
    except (NotSignedIn, TooManyRequests) as error:  # the code was wrong, and another may be right
        return _enrolment_page(ask(services().second_factor.resume, ticket), error)
    except _REFUSED as error:
        return _page(error)
    return _codes_page(codes)


def _renew() -> Response:
    try:
        check_csrf()
        return _codes_page(act(services().second_factor.renew_codes, request.form.get("password", "")))
    except _REFUSED as error:
        return _page(error)


def _turn_off() -> ResponseReturnValue:
    try:
        check_csrf()
        act(services().second_factor.turn_off, request.form.get("password", ""))
    except _REFUSED as error:
        return _page(error)
    return redirect(PROFILE, 303)


_STEPS: dict[str, Callable[[], ResponseReturnValue]] = {
    "begin": _begin,
    "confirm": _confirm,
    "renew": _renew,
    "turn-off": _turn_off,
}


def _enrolment_page(enrolment: Enrolment, error: NebuloVizError | None = None) -> Response:
    return form_page("second_factor_code.html", error, enrolment=enrolment, picture=qr_picture(enrolment.address))


def _codes_page(codes: Sequence[str]) -> Response:
    return form_page("recovery_codes.html", codes=codes)


def qr_picture(text: str) -> str:
    """`text` as a QR code: an SVG as an address of its own, dark on light in every theme, for cameras read no other."""
    return segno.make(text, error="m").svg_data_uri(scale=4, border=3, dark="#000", light="#fff")
