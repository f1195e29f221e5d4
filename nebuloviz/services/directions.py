"""Which way a sentence says that something went, by the words of each language: what a rewording may not turn round.

Words that are missing here cost a sentence its rewording and nothing else: what cannot be confirmed is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby


def _any(words: str, *, whole: bool = True) -> re.Pattern[str]:
    """Of the words, and with a `*` of all that begin so. Not `whole`: letters may stand before them, as Arabic's articles do."""
    ends = (word.removesuffix("*") + (r"\w*" if word.endswith("*") else r"(?!\w)") for word in words.split())
    return re.compile((r"(?<!\w)" if whole else "") + f"(?:{'|'.join(ends)})", re.IGNORECASE)


@dataclass(frozen=True)
class _Words:
    """`aside`: what looks like a direction and is none, such as 'what moved it most'."""

    up: re.Pattern[str]
    down: re.Pattern[str]
    negation: re.Pattern[str]
    aside: re.Pattern[str] | None = None


_LANGUAGES: Mapping[str, _Words] = {
    "en": _Words(
        _any(
            "up upward* upwards rose rise rises risen rising more above higher greater exceed* increas* grew "
            "grow* gain* climb* jump* surg* soar* better stronger expand* plus improv*"
        ),
        _any(
            "down downward* downwards fell fall falls fallen falling less fewer below lower smaller under "
            "decreas* declin* drop* shrank shrink* shrunk lost lose* losing loss* slump* dip* sank sink* slid "
            "slip* tumbl* plung* worse weaker reduc* minus short*"
        ),
        _any("no not never none neither nor without hardly cannot isn wasn didn doesn don aren weren hasn haven"),
    ),
    "de": _Words(
        _any(
            "stieg* steig* gestiegen* anstieg* mehr höher* oberhalb über überstieg* übertr* zunahm* zunehm* "
            "zugenommen zuwachs* wuchs* wachs* gewachsen erhöh* plus zuleg* zugelegt größer* besser stärker "
            "verbesser* gewinn* gewann*"
        ),
        _any(
            "fiel* fällt fallen fallend* gefallen rückgang* rückgäng* sank* sink* gesunken weniger niedriger "
            "geringer* unter unterhalb unterschr* abnahm* abnehm* abgenommen minus verringer* schrumpf* "
            "geschrumpft einbruch* einbrüch* verlor* verlier* verlust* kleiner schlechter schwächer zurückg* "
            "reduzier*"
        ),
        _any("nicht kein* nie niemals ohne weder kaum"),
    ),
    "es": _Words(
        _any("sub* alza aument* crec* más mayor* encima superior* super* increment* gan* mejor* creció"),
        _any(
            "baj* cae* cay* caíd* caer* menos menor* debajo inferior* descen* descien* dismin* reduc* pérdid* "
            "perd* pierd* peor* retroc* merm*"
        ),
        _any("no ni nunca ningún* ninguna ninguno sin tampoco apenas"),
        re.compile(r"\bque más\b|\bla mayor parte\b", re.IGNORECASE),
    ),
    "ar": _Words(
        _any(
            "ارتفاع* ارتفع* يرتفع* ترتفع* مرتفع* زاد* زيادة* يزيد* تزيد* ازداد* ازدياد* أكثر* أعلى* نما نمو* صعد* "
            "صعود* فوق تجاوز* أكبر*",
            whole=False,
        ),
        _any(
            "انخفاض* انخفض* ينخفض* تنخفض* منخفض* تراجع* يتراجع* هبط* هبوط* يهبط* أقل* أدنى* نقص* ينقص* خسر* "
            "خسارة* دون تحت أصغر* تقلص*",
            whole=False,
        ),
        _any(
            "لا لم لن ليس* غير بلا بدون ما",
            whole=True,
        ),
        re.compile("أكثر ما|معظم"),
    ),
}


def directions(text: str, language: str) -> tuple[tuple[str, ...], int] | None:
    """Up and down in the order in which the text says so, repetitions once, and how often it denies something; None if unknown.

    >>> directions("Revenue fell: 3 orders less, though their value rose.", "en")
    (('down', 'up'), 0)
    """
    words = _LANGUAGES.get(language)
    if words is None:
        return None
    text = words.aside.sub(" ", text) if words.aside else text
    found = sorted(
        (match.start(), way)
        for way, pattern in (("up", words.up), ("down", words.down))
        for match in pattern.finditer(text)
    )
    return tuple(way for way, _same in groupby(way for _place, way in found)), len(words.negation.findall(text))


def same_direction(one: str, other: str, language: str) -> bool:
    """Whether both say that things went the same way, as far as can be told."""
    found = directions(one, language)
    return found is not None and found == directions(other, language)
