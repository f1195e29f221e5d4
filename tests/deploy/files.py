"""The files under deploy/, as the tests read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nebuloviz.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def unknown_settings(environment: Mapping[str, str]) -> set[str]:
    """Variables of ours that no setting reads: the typing errors of whoever deploys."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return {name for name in environment if name.startswith(PREFIX) and not {name, name.removesuffix("_FILE")} & known}
