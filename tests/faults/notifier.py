"""One process that raises an alert and tells of it: `python -m tests.faults.notifier FOLDER MINUTES_AHEAD raise` or `tell`.

Its clock is ahead by so many minutes, so that nobody has to wait for what is tried again later.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nebuloviz.bootstrap.parts import parts
from nebuloviz.settings import load
from tests.services.newsroom import Newsroom


def main(folder: str, minutes_ahead: str, task: str) -> None:
    made = parts(load(data_dir=Path(folder), demo="off"))
    with made.database.session() as session:
        made.services.settings.refresh(session)
    room = Newsroom(made, datetime.now(UTC) + timedelta(minutes=int(minutes_ahead)))
    if task == "raise":
        room.alert()
    room.deliver()
    room.deliverer("the test").stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
