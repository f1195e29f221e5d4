"""Translated text. English is the msgid; the catalogs are `translations/<language>/LC_MESSAGES/messages.po`."""

from __future__ import annotations

import gettext as gettext_module
from collections.abc import Collection, Iterable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from nebuloviz.i18n.context import current
from nebuloviz.settings import SUPPORTED_LANGUAGES

TRANSLATIONS = Path(__file__).resolve().parents[2] / "translations"
DEFAULT_LANGUAGE = "en"
#: Languages that write a noun with a capital letter wherever it stands.
_CAPITAL_NOUNS = {"de"}


@lru_cache(maxsize=64)
def catalog(language: str, folder: Path) -> gettext_module.NullTranslations:
    """The translations into `language`; the untranslated English where there is no catalog. Read once, then kept."""
    path = folder / language / "LC_MESSAGES" / "messages.po"
    if not path.is_file():
        return gettext_module.NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext_module.GNUTranslations(compiled)


def _catalog() -> gettext_module.NullTranslations:
    return catalog(current().language, TRANSLATIONS)


def gettext(message: str, /, **values: object) -> str:
    """`message` in the reader's language, its `{placeholders}` filled from `values` (if there are any)."""
    text = _catalog().gettext(message)
    return text.format(**values) if values else text


def ngettext(singular: str, plural: str, n: int, /, **values: object) -> str:
    """The form that the reader's language uses for `n` things; Arabic has six. `n` itself is shown only if it is in `values`."""
    text = _catalog().ngettext(singular, plural, n)
    return text.format(**values) if values else text


def pgettext(context: str, message: str, /, **values: object) -> str:
    """Like `gettext`, for an English word that needs two translations: `context` says which one is meant."""
    text = _catalog().pgettext(context, message)
    return text.format(**values) if values else text


def mid_sentence(noun: object) -> str:
    """A label such as 'Category' as it stands inside a sentence: by category, nach Kategorie."""
    text = str(noun)
    return text if current().language in _CAPITAL_NOUNS else text[:1].lower() + text[1:]


class LazyText:
    """Text that is translated when it is shown, not when the module is imported.

    `str()`, f-strings, Jinja and Dash's and Plotly's JSON show it in the language of the reader at that moment. It is neither
    a `str` nor a dataclass: orjson would write the English content of the one, and the fields of the other, without asking.
    """

    __slots__ = ("message", "values")

    def __init__(self, message: str, values: dict[str, object]) -> None:
        self.message = message
        self.values = values

    def __repr__(self) -> str:
        return f"lazy({self.message!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LazyText) and (self.message, self.values) == (other.message, other.values)

    def __hash__(self) -> int:
        return hash(self.message)

    def __reduce__(self) -> tuple[type[LazyText], tuple[str, dict[str, object]]]:
        return LazyText, (self.message, self.values)

    def __str__(self) -> str:
        return gettext(self.message, **self.values)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __len__(self) -> int:
        return len(str(self))

    def __add__(self, other: object) -> str:
        return str(self) + str(other)

    def __radd__(self, other: object) -> str:
        return str(other) + str(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy, pickle and NumPy probe for protocols, which are the object's, not the text's
            raise AttributeError(name)
        return getattr(str(self), name)

    def to_plotly_json(self) -> str:
        """What Dash and Plotly call to serialise an object."""
        return str(self)


def listed(words: Iterable[object]) -> str:
    """Words one after the other, as the reader's language sets them apart."""
    # Translators: between the items of a list
    return gettext(", ").join(map(str, words))


def lazy(message: str, /, **values: object) -> LazyText:
    """`message` for a constant: translated, and its `{placeholders}` filled, each time it is shown."""
    return LazyText(message, values)


def is_rtl(language: str) -> bool:
    """Whether `language` is written from right to left."""
    return Locale.parse(language, sep="-").character_order == "right-to-left"


def choose_language(
    accept_language_header: str | None,
    preferred: str | None = None,
    default: str = DEFAULT_LANGUAGE,
    offered: Collection[str] = SUPPORTED_LANGUAGES,
) -> str:
    """The language of those `offered` to use: the one the user chose, else the browser's best, else `default`. Never raises."""
    if preferred and preferred in offered:
        return preferred
    for tag in _by_quality(accept_language_header or ""):
        language = tag.split("-")[0]
        if language in offered:
            return language
    return default


def _by_quality(header: str) -> list[str]:
    """The language tags of an Accept-Language header in lower case, most wanted first, refused ones (q=0) left out."""
    wanted = []
    for part in header[:1000].split(","):
        tag, _, quality = part.partition(";")
        weight = _quality(quality)
        if weight > 0:
            wanted.append((weight, tag.strip().lower()))
    return [tag for _, tag in sorted(wanted, key=lambda item: -item[0])]


def _quality(text: str) -> float:
    name, _, value = text.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
