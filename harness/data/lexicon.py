"""Bilingual lexicons: a word and a translation of it on each line, as MUSE's files have them.

    house Haus
    house Gebäude

Two words with a tab or spaces between; a third column, a score, is passed over. Translations of
several words need the tab. The file's name says the languages (``en-de.txt``,
``en-de.0-5000.txt``, ``en-de.tsv``), and a lexicon is read in both directions. Words are looked up
casefolded and composed (NFC), however a text writes its accents.
"""

from __future__ import annotations

import functools
import hashlib
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.base.reading import read_bytes
from harness.data.documents import decode, unpacked
from harness.data.documents import lines as numbered
from harness.data.file_names import pair_of
from harness.errors import DataError


@dataclass(frozen=True)
class Lexicon:
    """Translations of words, from any of its languages into any other."""

    entries: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]]
    """(language, language) -> key of a word -> its translations, in order of first appearance.
    Both directions are there."""
    sources: Sequence[Mapping[str, Any]] = ()
    """The sources of the entries, for the ``.about.json`` of a file of pairs."""

    @classmethod
    def of(
        cls, pair: tuple[str, str], lines: Iterable[Sequence[Any]], source: Mapping[str, Any]
    ) -> Lexicon:
        """From words of the first language and their translations into the second."""
        a, b = pair
        there: dict[str, dict[str, None]] = {}
        back: dict[str, dict[str, None]] = {}
        for one, other, *_ in lines:
            there.setdefault(_key(one), {})[other] = None
            back.setdefault(_key(other), {})[one] = None
        entries = {(a, b): there, (b, a): back}
        return cls({x: {w: tuple(f) for w, f in e.items()} for x, e in entries.items()}, (source,))

    def targets(self, language: str) -> tuple[str, ...]:
        """Languages into which words of ``language`` can be put, by code."""
        return tuple(sorted(b for a, b in self.entries if a == language))


def _key(word: str) -> str:
    """How ``word`` is looked up."""
    return unicodedata.normalize("NFC", word.casefold())


def together(lexicons: Sequence[Lexicon]) -> Lexicon:
    """One lexicon of all."""
    found: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for lexicon in lexicons:
        for pair, entries in lexicon.entries.items():
            known_words = found.setdefault(pair, {})
            for word, translations in entries.items():
                known_words[word] = tuple(
                    dict.fromkeys((*known_words.get(word, ()), *translations))
                )
    return Lexicon(found, tuple(x for lexicon in lexicons for x in lexicon.sources))


@functools.cache
def _word() -> re.Pattern[str]:
    # The word class of regular expressions lacks the vowel signs of Hindi.
    marks = "".join(chr(c) for c in range(0x20000) if unicodedata.category(chr(c))[0] == "M")
    letter, more = r"[^\W\d_]", rf"(?:[^\W\d_]|[{re.escape(marks)}])"
    return re.compile(rf"{letter}{more}*(?:['’]{more}+)*")


def words(text: str) -> Iterator[re.Match[str]]:
    """The words of a text: runs of letters and their marks, with apostrophes inside."""
    return _word().finditer(text)


def read_lexicons(files: Sequence[Path]) -> Lexicon:
    """Read files of one pair of languages each; several of one pair are put together.

    Raises:
        DataError: a file is missing, malformed or empty.
        UsageError: a file's name does not say its two languages.
    """
    return together([_read(file) for file in files])


def _read(file: Path) -> Lexicon:
    pair = pair_of(file)
    raw = unpacked(file, read_bytes(file, DataError))
    lines = []
    for number, line in numbered(decode(file, raw)):
        tabs = "\t" in line
        columns = [x.strip() for x in (line.split("\t") if tabs else line.split())]
        right = len(columns) in (2, 3) and all(columns[:2])
        # Between spaces a third word may be the translation's second.
        if not right or (len(columns) == 3 and not tabs and not _is_number(columns[2])):
            raise DataError(
                f"{file}: line {number}: must have a word and its translation, with a tab between "
                f"or, where both are single words, a space, not {line[:60]!r}"
            )
        lines.append([unicodedata.normalize("NFC", x) for x in columns[:2]])
    if not lines:
        raise DataError(
            f"{file}: contains no words; one word and its translation per line are expected"
        )
    digest = hashlib.sha256(raw).hexdigest()
    return Lexicon.of(pair, lines, {"name": file.name, "sha256": digest, "entries": len(lines)})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_lexicon(path: Path, entries: Iterable[tuple[str, str, float]]) -> None:
    """Write word, translation and score, tab-separated, whole or not at all.

    Raises:
        StoreError: the file cannot be written.
    """
    lines = [f"{one}\t{other}\t{score:.4f}\n" for one, other, score in entries]
    write_atomically(path, "".join(lines).encode())


def mixed(
    text: str,
    tables: Mapping[str, Mapping[str, Sequence[str]]],
    share: float,
    rng: random.Random,
    counts: Counter[str],
) -> str:
    """``text`` with words put into other languages, one by one.

    Args:
        text: in the language whose words ``tables`` have.
        tables: language -> key of a word -> its translations. The language of a word is drawn
            among those that have it.
        share: probability that a word is replaced; words in no table stay.
        rng: draws.
        counts: gets the numbers of ``words``, those ``drawn``, and, of these, those ``not in a
            lexicon`` and those put ``into LANGUAGE``.
    """
    parts, end = [], 0
    for match in words(text):
        counts["words"] += 1
        if rng.random() >= share:
            continue
        counts["drawn"] += 1
        word = match.group()
        key = _key(word)
        able = [x for x, table in tables.items() if key in table]
        if not able:
            counts["not in a lexicon"] += 1
            continue
        language = rng.choice(able)
        translation = rng.choice(tables[language][key])
        counts[f"into {language}"] += 1
        # Keep the capital of a name or of a question's first word.
        capital = word[0].isupper() and translation.islower()
        parts += [text[end : match.start()], translation.capitalize() if capital else translation]
        end = match.end()
    return "".join((*parts, text[end:]))
