"""The page of who may do what is the program's own word."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_page_is_what_the_program_says() -> None:
    """In a process of its own, as Dash's registries are global."""
    command = [sys.executable, "-m", "nebuloviz.access_table"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120).stdout.decode()
    page = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert page == said, "python -m nebuloviz.access_table > docs/permissions.md"
