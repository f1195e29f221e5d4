"""How pages and the shell meet: the URL that says what is shown, the stamp that says when to ask again."""

from __future__ import annotations

import secrets

import dash
from dash import ClientsideFunction, Input, Output, clientside_callback, ctx
from dash.exceptions import PreventUpdate

from nebuloviz.web.state import PageState

#: Dash's own: the one Location of the app. Pages read its `search`; `go` changes it.
URL_ID = "_pages_location"
#: A short text that changes with the data. What shows data has it as an input, and is asked anew only when it changes.
STAMP_ID = "shell-stamp"
THEME_ID = "shell-theme"
INTERVAL_ID = "shell-interval"
#: A store of the shell: another text in it, and the browser draws the whole page anew.
SAVED_ID = "shell-saved"
#: The inputs of everything that shows data: what is asked, whether there is news, and the colours.
REFRESH = (Input(URL_ID, "search"), Input(STAMP_ID, "data"), Input(THEME_ID, "data"))


def gets_an_address(store: str) -> None:
    """In the browser: what was created on a page that ends in `/new`, and whose id is then in `store`, has an address of its own."""
    clientside_callback(
        ClientsideFunction("shell", "settle"),
        Output(store, "clear_data"),
        Input(store, "data"),
        prevent_initial_call=True,
    )


def go(state: PageState, search: str | None) -> None:
    """Show `state` instead of what the URL's `search` says; the browser's Back undoes it. Nothing where both say the same."""
    if state != PageState.from_search(search):
        dash.set_props(URL_ID, {"search": state.to_search()})


def news() -> str:
    """Another text each time: whatever has it as an input is asked anew."""
    return secrets.token_hex(4)


def turned(trail: object, following: object, *, older: bool, newer: bool) -> list[str]:
    """Of a list in pages: the cursors of those gone through, the last one being that of the page to show; [] is the newest page."""
    known = [cursor for cursor in trail if isinstance(cursor, str)] if isinstance(trail, list) else []
    if older and isinstance(following, str):
        return [*known, following]
    return known[:-1] if newer else []


def number_of(said: object) -> int:
    """The number in a page's address, or that the browser keeps; 0, which nothing has, where it is none."""
    if isinstance(said, str):
        return int(said) if said.isdecimal() and len(said) < 18 else 0
    return said if isinstance(said, int) else 0


def stay_on_page() -> None:
    """To be called by a page's layout: ends it where only the URL's query changed, for then the page is there already.

    Raises:
        PreventUpdate: to Dash, which then leaves the page as it is.
    """
    if set(ctx.triggered_prop_ids) == {f"{URL_ID}.search"}:
        raise PreventUpdate
