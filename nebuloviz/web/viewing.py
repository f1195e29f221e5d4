"""Looking through a user's eyes: where it begins and ends. Both load the whole page anew, as another one's."""

from __future__ import annotations

from flask import Flask, redirect
from flask.typing import ResponseReturnValue
from flask_login import current_user as signed_in

from nebuloviz.db import answering
from nebuloviz.permissions import Permission
from nebuloviz.web.access import route
from nebuloviz.web.context import act, context, services


def install_viewing(server: Flask) -> None:
    """The routes /view-as/<user_id> and /view-as/stop; the guard has refused other sites already."""

    @route(server, "/view-as/<int:user_id>", Permission.USERS_MANAGE, methods=["POST"])
    def look(user_id: int) -> ResponseReturnValue:
        act(services().viewing.start, signed_in.get_id(), user_id)
        return redirect("/", 303)

    @route(server, "/view-as/stop", "signed-in", methods=["POST"])
    def stop_looking() -> ResponseReturnValue:
        with answering(), context().database.transaction() as session:
            user_id = services().viewing.stop(session, signed_in.get_id())
        return redirect(f"/users/{user_id}", 303)
