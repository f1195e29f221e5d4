"""Insights in other words, by an OpenAI-compatible endpoint, where an operator wants that: only the words may change.

What comes back is held against what was sent: a sentence whose numbers or names are not the very same, or that cannot be told to
say that things went the same way, is not shown; the original is.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from nebuloviz.errors import ConfigurationError, InvalidInput, NotSent
from nebuloviz.i18n import current
from nebuloviz.services.directions import same_direction
from nebuloviz.services.interfaces import Digest, Insight
from nebuloviz.services.outgoing import Outgoing, target_of
from nebuloviz.settings import Settings

PAUSE_SECONDS = 60.0  # after an endpoint that did not answer nobody waits for it again so soon
_KEPT = 256
_MAX_LONGER = 2  # times
_NUMBER = re.compile(r"[^\s()\[\]]*\d[^\s()\[\]]*")
_HARD_SPACES = str.maketrans("", "", "\u00a0\u202f\u2007\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_BEFORE_UNIT = re.compile(r"(?<=\d)\s+(?=[%‰٪$€£¥₹])")
_AROUND = ".,;:!?…\"'«»“”„‘’،؛؟"
_TASK = (
    "You reword sentences of a sales report so that they read naturally. The input is a JSON array of sentences. Answer with a JSON "
    "array of as many sentences, in the same order and language, and nothing else. Copy every number with its sign, unit and spaces, "
    "and every name, exactly. Add nothing and leave nothing out."
)

_log = logging.getLogger(__name__)

Texts = tuple[str, ...]


class Rewording:
    """Callable: a digest -> the same in other words. Takes no session: never call it inside a transaction."""

    def __init__(self, url: str, model: str, key: str, outgoing: Outgoing) -> None:
        self._url, self._model, self._key = f"{url.rstrip('/')}/chat/completions", model, key
        self._outgoing = outgoing
        self._kept: OrderedDict[tuple[str, Texts], Texts] = OrderedDict()
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def __call__(self, found: Digest) -> Digest:
        said = [*found.of_day, *found.of_week, *found.ahead]
        texts = self._texts(tuple(item.text for item in said))
        worded = [
            replace(item, text=text) if says_the_same(item, text) else item
            for item, text in zip(said, texts, strict=True)
        ]
        day, week = len(found.of_day), len(found.of_day) + len(found.of_week)
        return replace(found, of_day=worded[:day], of_week=worded[day:week], ahead=worded[week:])

    def _texts(self, texts: Texts) -> Texts:
        """In other words, as they were given before; unchanged where the endpoint has none, or was silent just now."""
        key = current().language, texts
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            if not texts or time.monotonic() < self._silent_until:
                return texts
        try:
            answered = sentences_of(self._outgoing.fetch(self._url, self._question(texts), self._key), len(texts))
        except NotSent as error:
            _log.warning("insights could not be reworded: %s %s", error.reason, error.answer or "")
            with self._lock:
                self._silent_until = time.monotonic() + PAUSE_SECONDS
            return texts
        with self._lock:
            self._kept[key] = answered or texts
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    def _question(self, texts: Texts) -> bytes:
        said = json.dumps(list(texts), ensure_ascii=False)
        messages = [{"role": "system", "content": _TASK}, {"role": "user", "content": said}]
        return json.dumps({"model": self._model, "temperature": 0, "messages": messages}).encode()


def sentences_of(answer: bytes, count: int) -> Texts | None:
    """The sentences of a chat completion; None where it holds not just so many."""
    try:
        found = json.loads(json.loads(answer)["choices"][0]["message"]["content"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    if not isinstance(found, list) or len(found) != count or not all(isinstance(text, str) for text in found):
        return None
    return tuple(found)


def says_the_same(item: Insight, text: str) -> bool:
    """Whether `text` holds the numbers of the finding, each as often and in the same form, its names, and which way it went.

    In a line like its own.
    """
    names = [value for each in item.query.filters for value in each.values if value in item.text]
    return (
        numbers_of(text) == numbers_of(item.text)
        and all(name in text for name in names)
        and same_direction(_without(names, item.text), _without(names, text), current().language)
        and 0 < len(text) <= _MAX_LONGER * len(item.text)
        and not any(letter < " " or letter == "\x7f" for letter in text)
    )


def _without(names: Sequence[str], text: str) -> str:
    for name in names:
        text = text.replace(name, " ")
    return text


def numbers_of(text: str) -> Sequence[str]:
    """All that has a digit, with sign and unit, whatever kind of space is between them.

    >>> numbers_of("Revenue fell by 12.5\u00a0% to €1,234, of 3 stores.")
    ['12.5%', '3', '€1,234']
    """
    return sorted(found.strip(_AROUND) for found in _NUMBER.findall(_BEFORE_UNIT.sub("", text.translate(_HARD_SPACES))))


def rewording(settings: Settings) -> Callable[[Digest], Digest] | None:
    """As the settings have it; None where they have none.

    Raises:
        ConfigurationError: the endpoint is no URL, or its host is not one that insights may be sent to.
    """
    if not settings.reword_url:
        return None
    hosts: Collection[str] = frozenset(settings.reword_hosts.lower().replace(",", " ").split())
    try:
        host = target_of(settings.reword_url).host
    except InvalidInput as error:
        raise ConfigurationError(f"NEBULOVIZ_REWORD_URL: {error.message}") from error
    if host not in hosts:
        raise ConfigurationError(f"NEBULOVIZ_REWORD_URL: NEBULOVIZ_REWORD_HOSTS does not name {host}.")
    key = settings.reword_key.get_secret_value() if settings.reword_key else ""
    return Rewording(settings.reword_url, settings.reword_model, key, Outgoing(lambda: hosts))
