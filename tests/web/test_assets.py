from __future__ import annotations

import re
from pathlib import Path

import pytest

ASSETS = Path(__file__).resolve().parents[2] / "assets"
FILES = sorted(path for path in ASSETS.rglob("*") if path.suffix in {".css", ".js"})
STYLES = [path for path in FILES if path.suffix == ".css"]
# `left: 0` and the like; longhand and shorthand of logical properties have no side in their names.
PHYSICAL = re.compile(
    r"(?<![\w-])(?:(?:margin|padding|border)-(?:left|right|top|bottom)(?:-\w+)?|left|right|top|bottom"
    r"|border-(?:top|bottom)-(?:left|right)-radius)\s*:|(?:text-align|float|clear)\s*:\s*(?:left|right)"
)


def code(path: Path) -> str:
    return re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    assert not re.findall(r"https?://|//[a-z]|@import|url\(", code(path).replace('"https:"', ""))


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_styles_know_no_left_and_right(path: Path) -> None:
    assert PHYSICAL.findall(code(path)) == []


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_every_variable_used_is_defined(path: Path) -> None:
    defined = {name for style in STYLES for name in re.findall(r"(--nv-[\w-]+)\s*:", code(style))}
    assert set(re.findall(r"var\((--nv-[\w-]+)", code(path))) <= defined


def test_colours_stand_in_the_tokens_alone() -> None:
    others = [code(path) for path in STYLES if path.name != "tokens.css"]
    assert [re.findall(r"#[0-9a-fA-F]{3,8}\b", re.sub(r"#(?:js|nv)-[\w-]+", "", text)) for text in others] == [
        []
    ] * len(others)


def test_every_class_that_is_styled_is_used() -> None:
    known = (path for folder in ("nebuloviz", "pages", "assets") for path in (ASSETS.parent / folder).rglob("*"))
    used = "".join(path.read_text(encoding="utf-8") for path in known if path.suffix in {".py", ".html", ".js"})
    made = tuple(re.findall(r"(nv-[\w-]+-)\{", used))  # nv-badge-{kind}
    styled = {name for path in STYLES for name in re.findall(r"\.(nv-[\w-]+)", code(path))}
    assert {name for name in styled - set(re.findall(r"[\w-]+", used)) if not name.startswith(made)} == set()


def test_the_pages_before_the_app_have_all_its_sheets_but_the_shells() -> None:
    plain = (ASSETS.parent / "nebuloviz/web/templates/plain.html").read_text(encoding="utf-8")
    linked = re.findall(r"/assets/([\w-]+\.css)", plain)
    assert linked == [
        "tokens.css",
        *sorted(path.name for path in STYLES if not path.name.startswith(("tokens", "shell"))),
    ]


def test_those_who_want_less_motion_get_less() -> None:
    assert "prefers-reduced-motion: reduce" in code(ASSETS / "90-media.css")


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_no_style_looks_deep_into_its_element(path: Path) -> None:
    """`:has()` of anything but a child has every change in a page work out its styles anew: half a second of a visit."""
    found = re.findall(r":has\([^()]*\)", code(path))
    assert [each for each in found if not re.fullmatch(r":has\(> \.[\w-]+\)", each)] == []
