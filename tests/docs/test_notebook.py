"""Carries out the cells of docs/notebook.md, in their order, against a running server."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nebuloviz.clock import utc_now
from tests.api.conftest import PASSWORD, Api, api
from tests.api.test_data import sale

__all__ = ["api"]  # the fixture

PAGE = Path(__file__).parents[2] / "docs/notebook.md"
CELLS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_every_cell_does_what_the_page_says(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with api.client("data_scientist") as client:
        lately = sale(8, sold_at=(utc_now() - timedelta(days=2)).isoformat())
        client.post("/api/v1/sales", json=[*(sale(number) for number in range(8)), lately])
    with api.database.transaction() as session:
        api.services.auth.create_user(session, "anna", PASSWORD, "data_scientist")
    with api.client("anna") as own:
        made = own.post("/api/v1/tokens", json={"name": "notebook", "permissions": ["data:read"]}).json()
    monkeypatch.setenv("NEBULOVIZ_TOKEN", made["token"])
    monkeypatch.setenv("NEBULOVIZ_URL", api.served.url)
    monkeypatch.setenv("NEBULOVIZ_PASSWORD", PASSWORD)
    names: dict[str, Any] = {}
    for number, cell in enumerate(CELLS):
        exec(compile(cell, f"{PAGE.name}, cell {number + 1}", "exec"), names)  # noqa: S102 - our own page
    names["shop"].close()
    assert {"bucket", "department", "revenue"} <= set(names["departments"])
    assert names["departments"]["revenue"].sum() == 2.5
    assert names["daily"]["revenue"].sum() == 8 * 2.5
    assert names["week"]["revenue"].iloc[0] == 4 * 2.5
    assert len(names["lines"]) == 4
    assert names["result"].accepted == 3
