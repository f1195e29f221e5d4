"""The tree at the top of `nebuloviz.errors` is the whole one."""

import ast
import re
from pathlib import Path

from nebuloviz import errors

ROOT = Path(__file__).parents[1]
KNOWN = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.NebuloVizError)
}


def test_the_drawing_shows_each_with_its_status() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) +(\d{3})?", errors.__doc__ or ""))
    told = {
        name: str(kind.status) for name, kind in KNOWN.items() if name not in {"NebuloVizError", "ConfigurationError"}
    }
    assert drawn == told | {"ConfigurationError": ""}


def test_codes_tell_them_apart() -> None:
    codes = [kind.code for kind in KNOWN.values()]
    assert len(codes) == len(set(codes))


def test_none_stands_elsewhere() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in (ROOT / "nebuloviz").rglob("*.py")
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and {ast.unparse(base) for base in node.bases} & KNOWN.keys()
    ]
    assert not found
