"""Queries whose words change language one by one, from bilingual lexicons.

"Boosting Zero-shot Cross-lingual Retrieval by Training on Artificially Code-Switched Data"
(arXiv 2305.05295) trains on English queries in which each word, with a probability, is put into a
language drawn at random: learning across languages then needs no translated pairs, only words. This
is our version, with two differences: the language of a word is drawn among those whose lexicon has
it, since small lexicons would otherwise change few words; and queries alone are mixed, not
passages.

A mixed query keeps the language of its row: an English question still counts as English, even if
half of its words are not. What is drawn depends on the seed and on the row alone, not on the rows
around it.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from harness.base.digests import file_sha256
from harness.base.environment import versions
from harness.base.languages import is_language
from harness.base.strict import refusal
from harness.data.file_names import pair_of
from harness.data.lexicon import Lexicon, mixed, read_lexicons, together
from harness.errors import DataError, UsageError, did_you_mean
from harness.training.pairs import Example, form_of, stream_examples
from harness.training.sources.alignment import induce
from harness.training.sources.conversion import Made, about, write_about, write_stream


@dataclass(frozen=True)
class Switching:
    """Options of code switching."""

    lexicons: tuple[str, ...] = ()
    """Lexicon files, as MUSE's."""
    bitext: tuple[str, ...] = ()
    """Sentences and their translations, from which lexicons are made: ``de-en.tsv``, or JSON lines
    of language -> text."""
    languages: tuple[str, ...] = ()
    """Target languages of words; none given: all languages of the lexicons."""
    source: str = "en"
    """Language of the queries to mix; other queries stay unchanged."""
    share: float = 0.5
    """Probability that a word is replaced; words in no lexicon stay."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UsageError: names it.
        """
        if not 0 <= self.share <= 1:
            raise UsageError(f"share must be between 0 and 1, not {self.share}")
        if not self.lexicons and not self.bitext:
            raise UsageError("lexicons is missing: files of words and translations (or bitext)")
        for code in (*self.languages, self.source):
            if not is_language(code):
                raise UsageError(f"{code!r} is not a language code, as en or de")
        if self.bitext and not self.languages:
            raise UsageError("languages is missing: those that bitext gives lexicons of")


def read_switching(values: Mapping[str, Any]) -> Switching:
    """Read a table of the options of :class:`Switching`.

    Raises:
        UsageError: an unknown key, or a value of a wrong type or out of range.
    """
    hints = get_type_hints(Switching)
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise UsageError(f"key {name!r} is unknown{did_you_mean(name, hints)}")
        given[name] = tuple(value) if isinstance(value, list) else value
        what = refusal(hints[name], given[name])
        if what is not None:
            raise UsageError(f"key {name!r} {what}")
    return Switching(**given)


def lexicon_of(switching: Switching, find: Callable[[str], Path]) -> Lexicon:
    """The lexicons named, and those made of the bitext, put together.

    Args:
        switching: the options.
        find: resolves the path of a file that it names.

    Raises:
        DataError: a file is missing, malformed or empty.
        UsageError: no lexicon has words of the source language in one of the languages.
    """
    parts = [read_lexicons([find(x) for x in switching.lexicons])] if switching.lexicons else []
    files = [find(x) for x in switching.bitext]
    for language in switching.languages if files else ():
        pair = (switching.source, language)
        among = [x for x in files if ".jsonl" in x.name or set(pair_of(x)) == set(pair)]
        entries = induce(among, pair)
        named = [{"name": x.name, "sha256": file_sha256(x)} for x in among]
        parts.append(
            Lexicon.of(
                pair, entries, {"induced": list(pair), "from": named, "entries": len(entries)}
            )
        )
    whole = together(parts)
    offered = whole.targets(switching.source)
    if not offered:
        raise UsageError(
            f"no lexicon has words of {switching.source}; a file's name says its languages, as "
            "en-de.txt"
        )
    for language in switching.languages:
        if language not in offered:
            raise UsageError(
                f"no lexicon puts words of {switching.source} into {language}; they have "
                f"{', '.join(offered)}"
            )
    return whole


def switched(
    rows: Iterable[Example], lexicon: Lexicon, switching: Switching, counts: Counter[str]
) -> Iterator[Example]:
    """The rows, with mixed queries.

    Args:
        rows: in either form.
        lexicon: has the source language.
        switching: the options.
        counts: gets the numbers of ``queries`` mixed, their ``words``, those ``drawn``, and, of
            these, those ``not in a lexicon`` and those put ``into LANGUAGE``.
    """
    targets = switching.languages or lexicon.targets(switching.source)
    tables = {x: lexicon.entries.get((switching.source, x), {}) for x in targets}
    for row in rows:
        text = row.query.get(switching.source)
        if text is None:
            yield row
            continue
        counts["queries"] += 1
        new = mixed(text, tables, switching.share, _random(switching, row.id, text), counts)
        yield replace(row, query={**row.query, switching.source: new})


def switch_file(
    pairs: Path, output: Path, lexicon: Lexicon, switching: Switching
) -> tuple[Made, Mapping[str, int]]:
    """Write a file of pairs with mixed queries, and its ``.about.json``.

    Returns:
        What was written, and the counts of :func:`switched`.

    Raises:
        DataError: ``pairs`` is missing or malformed, or no query is in the source language.
        StoreError: ``output`` cannot be written.
        UsageError: ``output`` is ``pairs``, or has another ending than files of pairs.
    """
    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise UsageError(f"--output {output}: must end in .jsonl or .jsonl.gz")
    if output.resolve() == pairs.resolve():
        raise UsageError(f"--output {output}: is the file that is read; give another name")
    form = form_of(pairs)
    counts: Counter[str] = Counter()
    rows, digest = write_stream(
        output, _some(switched(stream_examples(pairs), lexicon, switching, counts), counts, pairs,
                      switching.source), form
    )  # fmt: skip
    facts = {
        "source": "code-switch",
        "files": [{"name": pairs.name, "sha256": file_sha256(pairs)}],
        "origin": dict(about(pairs)),
        "form": form,
        "rows": rows,
        "sha256": digest,
        "code_switch": described(lexicon, switching, counts),
        "harness": versions().get("polyglot-harness"),
    }
    write_about(output, facts)
    return Made(output, rows, form, {}, facts), counts


def described(lexicon: Lexicon, switching: Switching, counts: Mapping[str, int]) -> dict[str, Any]:
    """What was mixed, for the ``.about.json`` of a file of pairs."""
    return {
        "source": switching.source,
        "languages": list(switching.languages or lexicon.targets(switching.source)),
        "share": switching.share,
        "seed": switching.seed,
        "lexicons": [dict(x) for x in lexicon.sources],
        "counts": dict(counts),
    }


def _some(
    rows: Iterator[Example], counts: Mapping[str, int], pairs: Path, source: str
) -> Iterator[Example]:
    yield from rows
    if not counts.get("queries"):
        raise DataError(f"{pairs}: no query is in {source}, so there is nothing to mix")


def _random(switching: Switching, row: str, text: str) -> random.Random:
    key = f"{switching.seed}\0{row}\0{text}".encode()
    return random.Random(hashlib.sha256(key).digest())
