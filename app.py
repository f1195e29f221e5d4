"""The composition root: `python app.py` serves NebuloViz; `uvicorn app:app` does under a supervisor of your own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def __getattr__(name: str) -> Any:
    """`app` is built when a server asks for it, so that importing this module costs nothing."""
    if name == "app":
        return _build()
    raise AttributeError(name)


def _build() -> ASGIApp:
    from nebuloviz import process, settings  # noqa: PLC0415 - see __getattr__

    process.begin()
    process.spare_arrow()
    from nebuloviz.bootstrap.program import build  # noqa: PLC0415
    from nebuloviz.observability import configure_logging  # noqa: PLC0415

    loaded = settings.load()
    configure_logging(loaded)
    return build(loaded)


if __name__ == "__main__":
    from nebuloviz.cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
