"""Checks of translations: engine errors that are visible without knowing the languages.

    empty       nothing came back
    copied      the source, unchanged but for case, punctuation and spaces
    truncated   the engine stopped at its length limit, or far less came back than was sent
    runaway     far more came back than was sent: an engine that repeats itself
    script      fewer than 3 in 10 letters are of a script that the target language is written in

Lengths are compared in letters: a Han character counts as three letters of an alphabet,
kana and Hangul for two. The bounds are ours and wide on purpose: rejected texts are wrong, accepted
ones may be too. Texts without letters (numbers) may be copied, and texts of up to twenty letters'
worth may be of any length.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal

from harness.base.languages import UNKNOWN, script_of
from harness.models.translation.engine import Translated
from harness.training.overlap.normal_form import normal

Reason = Literal["empty", "copied", "truncated", "runaway", "script"]
REASONS: tuple[Reason, ...] = ("empty", "copied", "truncated", "runaway", "script")

SHORT = 20
"""Letters' worth below which lengths say nothing."""
LEAST, MOST = 0.3, 4.0
"""Bounds of the translation's worth over the source's."""
OWN_SCRIPT = 0.3
"""Least share of letters' worth in the target language's script."""

_WORTH = {"Han": 3, "Hiragana": 2, "Katakana": 2, "Hangul": 2}
# A language's script -> scripts of characters, by the first word of their Unicode names.
_WRITTEN = {
    "Japanese": ("Han", "Hiragana", "Katakana"),
    "Hangul": ("Hangul", "Han"),
    "Canadian syllabics": ("Canadian",),
    "N'Ko": ("Nko",),
    "Odia": ("Oriya",),
    "Ol Chiki": ("Ol",),
}


def verdict(source_text: str, translated: Translated, target: str) -> Reason | None:
    """Why ``translated`` is rejected as the translation of ``source_text``; ``None``: it is not."""
    text = translated.text
    if not text or text.isspace():
        return "empty"
    if not translated.whole:
        return "truncated"
    sent, came = _letters(source_text), _letters(text)
    if sent and normal(text) == normal(source_text):
        return "copied"
    worth_sent, worth_came = _worth(sent), _worth(came)
    if worth_sent > SHORT and worth_came < LEAST * worth_sent:
        return "truncated"
    if worth_came > SHORT and worth_came > MOST * max(worth_sent, SHORT / MOST):
        return "runaway"
    script = script_of(target)
    if script != UNKNOWN and worth_came:
        own = Counter({x: came[x] for x in _WRITTEN.get(script, (script,))})
        if _worth(own) < OWN_SCRIPT * worth_came:
            return "script"
    return None


def _letters(text: str) -> Counter[str]:
    """How many letters of each script."""
    return Counter(_script(x) for x in text if x.isalpha())


def _worth(letters: Counter[str]) -> int:
    return sum(count * _WORTH.get(script, 1) for script, count in letters.items())


@lru_cache(maxsize=65536)
def _script(character: str) -> str:
    """``Latin``, ``Han``: the first word of the character's name, Han's being ``CJK``."""
    name = unicodedata.name(character, "").split()
    if not name:
        return ""
    return "Han" if name[0] == "CJK" else name[0].title()
