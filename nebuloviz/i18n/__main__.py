"""`python -m nebuloviz.i18n`: collect every text of the program and bring `translations/` up to date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.pofile import read_po, write_po

from nebuloviz import __version__
from nebuloviz.i18n.text import DEFAULT_LANGUAGE, TRANSLATIONS
from nebuloviz.settings import SUPPORTED_LANGUAGES

ROOT = TRANSLATIONS.parent
KEYWORDS = {**DEFAULT_KEYWORDS, "lazy": None}
# The day of extraction in the header would make each run a change.
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
# Babel numbers the last two forms the other way round than every Arabic translator and tool.
PLURAL_FORMS = {
    "ar": "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5)",
}


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    """The Python files and the templates whose texts are translated, with Babel's method for each, in a fixed order."""
    code = [*root.glob("app.py"), *root.glob("nebuloviz/**/*.py"), *root.glob("pages/**/*.py")]
    yield from (("python", path) for path in sorted(code))
    yield from (("jinja2", path) for path in sorted(root.glob("nebuloviz/**/templates/*.html")))


def extract(root: Path = ROOT) -> Catalog:
    """Every text of the program below `root` that is marked for translation."""
    template = _empty(None)
    for method, path in sources(root):
        name = path.relative_to(root).as_posix()
        for line, message, comments, context in extract_from_file(
            method, path, keywords=KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=True
        ):
            template.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    return template


def update(folder: Path = TRANSLATIONS, root: Path = ROOT) -> dict[str, int]:
    """Write the template and each language's catalog; what is translated stays. The texts still untranslated, by language."""
    template = extract(root)
    _write(folder / "messages.pot", template)
    missing = {}
    for language in SUPPORTED_LANGUAGES:
        if language != DEFAULT_LANGUAGE:
            path = folder / language / "LC_MESSAGES" / "messages.po"
            catalog = _read(path, language)
            catalog.update(template, no_fuzzy_matching=True, update_creation_date=False)
            catalog.obsolete.clear()
            _write(path, catalog)
            missing[language] = sum(1 for message in catalog if message.id and not _translated(message))
    return missing


def _translated(message: Message) -> bool:
    return bool(message.string) if isinstance(message.string, str) else all(message.string or [""])


def _read(path: Path, language: str) -> Catalog:
    if not path.is_file():
        catalog = _empty(language)
        if language in PLURAL_FORMS:
            catalog.mime_headers = [("Plural-Forms", PLURAL_FORMS[language])]
        return catalog
    with path.open("rb") as file:
        return read_po(file, locale=language)


def _empty(language: str | None) -> Catalog:
    """A catalog without texts, and without the names and addresses that Babel would leave to be filled in."""
    return Catalog(
        locale=language,
        header_comment="# The texts of NebuloViz. Refresh with: python -m nebuloviz.i18n",
        project="NebuloViz",
        version=__version__,
        copyright_holder="NebuloViz",
        msgid_bugs_address="none",
        creation_date=CREATED,
        revision_date=CREATED,
        last_translator="NebuloViz",
        language_team="NebuloViz",
        charset="utf-8",
        fuzzy=False,
    )


def _write(path: Path, catalog: Catalog) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        # File names without lines: lines move with every edit above them.
        write_po(file, catalog, width=120, include_lineno=False, sort_output=True)


if __name__ == "__main__":
    for language, count in update().items():
        print(f"{language}: {count} texts to translate")  # noqa: T201 - this is a command
