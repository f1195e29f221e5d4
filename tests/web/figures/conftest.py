from __future__ import annotations

from collections.abc import Iterator

import pytest

from nebuloviz.i18n import Preferences, use
from tests.web.figures.frames import BERLIN


@pytest.fixture(autouse=True)
def reader() -> Iterator[None]:
    with use(Preferences("en", BERLIN, "USD")):
        yield
