"""What others add to the program: the Python files of one folder, imported at the start (docs/how-to/)."""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from pathlib import Path
from types import ModuleType

from nebuloviz.errors import ConfigurationError, NebuloVizError

PACKAGE = "nebuloviz_extensions"

_log = logging.getLogger(__name__)


def load(folder: Path | None) -> tuple[str, ...]:
    """Import the files of `folder` in the order of their names, each once a process; returns the names of their modules.

    The file `my_metric.py` becomes the module `nebuloviz_extensions.my_metric`: what it defines can be pickled, and other
    files can import it. A file whose name begins with `_` or `.` is left for them to import.

    Raises:
        ConfigurationError: there is no such folder, or a file cannot be imported; names it and the line.
    """
    if folder is None:
        return ()
    if not folder.is_dir():
        raise ConfigurationError(f"NEBULOVIZ_EXTENSIONS_DIR names {folder}, which is no folder.")
    package = sys.modules.setdefault(PACKAGE, ModuleType(PACKAGE))
    package.__path__ = [str(folder.resolve())]
    importlib.invalidate_caches()
    return tuple(_load(path) for path in sorted(folder.resolve().glob("[!_.]*.py")))


def _load(path: Path) -> str:
    name = f"{PACKAGE}.{path.stem}"
    if name in sys.modules:
        return name
    try:
        importlib.import_module(name)
    except Exception as error:  # a stranger's code can fail in any way, and each must be said
        raise ConfigurationError(f"The extension {_place(path, error)} cannot be loaded: {_words(error)}") from error
    _log.info("The extension %s is loaded.", path)
    return name


def _place(path: Path, error: Exception) -> str:
    """The file, and the last of its lines that was reached."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f"{path}, line {lines[-1]}," if lines else str(path)


def _words(error: Exception) -> str:
    if isinstance(error, NebuloVizError):
        return error.message
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
