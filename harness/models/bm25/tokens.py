"""Tokens of the lexical model: words and character n-grams, for every script.

A text is put into NFKC, casefolded and cut into runs of letters, digits and combining marks
(the word class of regular expressions drops the vowel signs of Hindi and Thai). Then, by script:

- alphabetic runs: the word between marks (``<word>``), and its character 3-grams with the marks
  (``<wo wor ord rd>``), which stand in for a stemmer and carry names across languages;
- Han and Kana, written without spaces: characters and pairs of characters;
- Thai, Lao, Khmer and Burmese, written without spaces: 2-grams and 3-grams.
"""

from __future__ import annotations

import functools
import re
import unicodedata

_HAN = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_SOUTHEAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# All combining marks are below this point, except variation selectors, which do not matter here.
_LAST_MARK = 0x20000

DESCRIPTION = (
    "NFKC, casefold; <word> + 3-grams; Han and Kana 1+2-grams; Thai, Lao, Khmer, Burmese 2+3-grams"
)


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    marks = "".join(chr(c) for c in range(_LAST_MARK) if unicodedata.category(chr(c))[0] == "M")
    run = re.compile(rf"(?:[^\W_]|[{re.escape(marks)}])+")
    segment = re.compile(rf"([{_HAN}]+)|([{_SOUTHEAST}]+)|[^{_HAN}{_SOUTHEAST}]+")
    return run, segment


def tokens(text: str) -> list[str]:
    """The tokens of one text, in order, repeated as often as they occur."""
    run, segment = _patterns()
    found: list[str] = []
    for piece in run.findall(unicodedata.normalize("NFKC", text).casefold()):
        for match in segment.finditer(piece):
            chars = match.group()
            if match.group(1):
                found += chars
                found += _ngrams(chars, 2)
            elif match.group(2):
                # A single character has no 2-gram; it must still be findable.
                found += _ngrams(chars, 2) or [chars]
                found += _ngrams(chars, 3)
            else:
                word = f"<{chars}>"
                found.append(word)
                if len(word) > 3:  # "<a>" is its own only 3-gram
                    found += _ngrams(word, 3)
    return found


def _ngrams(chars: str, n: int) -> list[str]:
    return [chars[i : i + n] for i in range(len(chars) - n + 1)]
