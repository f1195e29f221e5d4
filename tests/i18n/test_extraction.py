"""Collecting texts into catalogs, and what a catalog must not get wrong."""

import re
import string
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from nebuloviz.i18n.__main__ import extract, update
from nebuloviz.i18n.text import TRANSLATIONS, catalog
from nebuloviz.settings import SUPPORTED_LANGUAGES

SOURCE = """
from nebuloviz.i18n import _, lazy, ngettext, pgettext
# Translators: the tile's title
TITLE = lazy("Revenue")
def f(n):
    return _("Hello {name}", name=n), ngettext("{n} sale", "{n} sales", n), pgettext("verb", "Order"), "not marked"
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program of two files."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "one.py").write_text(SOURCE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text('_("only in a test")')
    return tmp_path


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def test_every_marked_text_is_found(program: Path) -> None:
    found = {message.id: (message.context, message.auto_comments) for message in extract(program) if message.id}
    assert found == {
        "Revenue": (None, ["the tile's title"]),
        "Hello {name}": (None, []),
        ("{n} sale", "{n} sales"): (None, []),
        "Order": ("verb", []),
    }


def test_an_update_keeps_translations_and_is_repeatable(program: Path) -> None:
    folder = program / "translations"
    assert update(folder, program) == {"de": 4, "es": 4, "ar": 4}
    path = folder / "de" / "LC_MESSAGES" / "messages.po"
    edited = path.read_text(encoding="utf-8").replace('msgid "Revenue"\nmsgstr ""', 'msgid "Revenue"\nmsgstr "Umsatz"')
    path.write_text(edited, encoding="utf-8")
    (program / "pages" / "one.py").write_text(SOURCE.replace("Hello {name}", "Welcome {name}"))
    assert update(folder, program)["de"] == 3
    updated = {message.id: message.string for message in read(path)}
    assert updated["Revenue"] == "Umsatz"
    assert ("Hello {name}" in updated, updated["Welcome {name}"]) == (False, "")
    before = {file: file.read_bytes() for file in folder.rglob("*.po*")}
    update(folder, program)
    assert {file: file.read_bytes() for file in folder.rglob("*.po*")} == before


@pytest.mark.parametrize(
    ("n", "form"), [(0, 0), (1, 1), (2, 2), (3, 3), (110, 3), (11, 4), (99, 4), (100, 5), (102, 5)]
)
def test_arabic_plurals_are_numbered_as_its_translators_expect(program: Path, n: int, form: int) -> None:
    update(program / "translations", program)
    assert catalog("ar", program / "translations").plural(n) == form  # type: ignore[attr-defined]  # set by gettext when it reads the header


def test_the_program_itself_can_be_read() -> None:
    assert len(extract()) > 50


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def pairs(message: Message) -> list[tuple[str, str]]:
    """Each translation of the message with the English it must fit (a plural's every form fits the plural)."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    return [(message.id[1], text) for text in message.string or () if text]


@pytest.mark.parametrize("language", [language for language in SUPPORTED_LANGUAGES if language != "en"])
def test_translations_have_the_placeholders_and_ends_of_their_english(language: str) -> None:
    texts = read(TRANSLATIONS / language / "LC_MESSAGES" / "messages.po")
    wrong = [
        (english, translated)
        for message in texts
        if message.id
        for english, translated in pairs(message)
        if translated and (not placeholders(translated) <= placeholders(english) or ends(translated) != ends(english))
    ]
    assert not wrong


def ends(text: str) -> tuple[str, ...]:
    """The white space at both ends, which is easily lost and glues texts together."""
    return tuple(re.findall(r"^\s*|\s*$", text))
