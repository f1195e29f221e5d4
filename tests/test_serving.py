"""The socket that a server listens on, and what a process that serves loads."""

import asyncio
import socket
import subprocess
import sys

import pytest

from nebuloviz import serving
from nebuloviz.bootstrap import core


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_small_answers_are_sent_at_once(host: str) -> None:
    """Without it, each answer but the first waits 40 ms for the client to acknowledge the one before."""
    listener = serving._listen(host, 0)
    at_once: list[int] = []

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_once.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def connect() -> None:
        async with await asyncio.start_server(handle, sock=listener):
            reader, writer = await asyncio.open_connection(host, listener.getsockname()[1])
            await reader.read()
            writer.close()

    listener.listen()
    asyncio.run(connect())
    (set_so,) = at_once
    assert set_so


def test_requests_and_what_works_behind_the_scenes_end_within_ten_seconds_together() -> None:
    """One after the other, each for as long as it may; the rest is for Python to end."""
    assert serving.SHUTDOWN_SECONDS + core.SHUTDOWN_SECONDS <= 9.5


def test_what_is_asked_for_once_in_a_while_is_not_loaded() -> None:
    """Arrow takes 35 MB in each process; it is there for who asks."""
    look = (
        "import sys; from nebuloviz import process; process.begin(); process.spare_arrow(); import nebuloviz.serving; "
        "print(*sorted({'pandas', 'pyarrow', 'sklearn', 'openpyxl'} & {*sys.modules})); "
        # and does its work once it is
        "import types, pandas; from nebuloviz.api.answers import FORMS; "
        "rows = pandas.DataFrame({'category': ['Ü', None], 'lines': [1, 2]}); "
        "made = [form(types.SimpleNamespace(data=rows)) for name, form in FORMS.items() if 'apache' in name]; "
        "import pyarrow, pyarrow.parquet; "
        # Arrow's own reader: threads that still hold a file of Python's at its end may abort the process (apache/arrow#33975)
        "tables = [pyarrow.ipc.open_stream(made[0]).read_all(), pyarrow.parquet.read_table(pyarrow.BufferReader(made[1]))]; "
        "print(rows['category'].dtype, *(table.to_pylist() == rows.to_dict('records') for table in tables))"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["pandas", "object", "True", "True"]


def test_whoever_sends_a_file_waits_for_no_database_to_be_loaded() -> None:
    look = "import sys, nebuloviz.ingest.preview; print(*{'sqlalchemy', 'numpy', 'pandas', 'pyarrow', 'openpyxl'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
