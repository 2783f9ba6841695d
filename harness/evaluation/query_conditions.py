"""Robustness conditions: queries as people type them, before anything else is done to them.

    --code-switch LEXICON@share   words put into other languages, one by one
    --noise typos@rate            letters swapped, dropped, doubled or replaced
    --romanise                    written in Latin letters

What is drawn depends on the seed, the question, its language and its text alone, so that all models
get the same queries, whatever else runs. Passages stay, and so do ids and judgements: ``harness
compare`` sets such a record beside the clean one, question by question.
"""

from __future__ import annotations

import functools
import hashlib
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.base.files import home_expanded
from harness.base.languages import primary_subtag, three_letters
from harness.base.progress import Progress
from harness.data.lexicon import Lexicon, mixed, read_lexicons
from harness.errors import ModelError, UsageError
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions

Change = Callable[[str, str, random.Random, Counter[str]], str]
"""(text, its language, draws, counts) -> the text under the condition."""


@dataclass(frozen=True)
class QueryCondition:
    """One condition."""

    name: str
    options: Mapping[str, Any]
    """Everything that changes what it does; JSON."""
    seed: int | None
    """``None``: nothing is drawn."""
    change: Change

    @property
    def facts(self) -> Mapping[str, Any]:
        """The options and the seed."""
        seed = {} if self.seed is None else {"seed": self.seed}
        return {"name": self.name, **self.options, **seed}

    def apply(self, prepared: Prepared, progress: Progress) -> Prepared:
        """``prepared`` with its queries changed, and the numbers of what was changed."""
        typed: dict[str, tuple[str, ...]] = {}
        changed: dict[str, Mapping[str, int]] = {}
        progress.start(f"{self.name} {prepared.spec.name}", len(prepared.relevant), "languages")
        for language in prepared.relevant:
            ids, before = prepared.data.queries[language].ids, prepared.typed_texts(language)
            counts: Counter[str] = Counter()
            texts = []
            for question, text in zip(ids, before, strict=True):
                rng = _random(self.seed or 0, self.name, question, language, text)
                new = self.change(text, language, rng, counts)
                counts["queries"] += 1
                counts["queries changed"] += new != text
                texts.append(new)
            typed[language] = tuple(texts)
            changed[language] = dict(sorted(counts.items()))
            progress.advance(1)
        progress.finish()
        conditions = {**prepared.conditions, self.name: changed}
        return replace(prepared, typed=typed, conditions=conditions)


def query_conditions(options: RunOptions) -> list[QueryCondition]:
    """The conditions of a run, in the order in which they apply: words, letters, script.

    Raises:
        UsageError: an option is not written as it must be, or a file's name says no languages.
        DataError: a lexicon is missing or malformed.
        ModelError: the romaniser is not installed.
    """
    found = []
    if options.code_switch is not None:
        found.append(_code_switch(options.code_switch, options.query_seed))
    if options.noise is not None:
        found.append(_typos(options.noise, options.query_seed))
    if options.romanise:
        found.append(_romanised())
    return found


def _random(seed: int, *about: str) -> random.Random:
    key = "\0".join((str(seed), *about)).encode("utf-8", "surrogatepass")
    return random.Random(hashlib.sha256(key).digest())


def _share(flag: str, value: str, example: str) -> tuple[str, float]:
    """``WHAT@share`` in two."""
    what, at, share = value.rpartition("@")
    try:
        number = float(share) if at and what else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise UsageError(f"{flag} {value!r}: write it as {example}, with a share from 0 to 1")
    return what, number


def _code_switch(value: str, seed: int) -> QueryCondition:
    what, share = _share("--code-switch", value, "en-de.tsv@0.3")
    path = home_expanded(what)
    files = [path]
    if path.is_dir():
        files = sorted(x for x in path.iterdir() if re.search(r"\.(tsv|txt)(\.gz)?$", x.name))
        if not files:
            raise UsageError(f"--code-switch {value!r}: the folder has no lexicon, as en-de.tsv")
    lexicon = read_lexicons(files)
    options = {"code_switch": share, "lexicons": [dict(x) for x in lexicon.sources]}
    return QueryCondition(
        f"code-switched {share:g}", options, seed, functools.partial(_switched, lexicon, share)
    )


def _switched(
    lexicon: Lexicon,
    share: float,
    text: str,
    language: str,
    rng: random.Random,
    counts: Counter[str],
) -> str:
    """``text`` with words in other languages; unchanged where no lexicon has its language."""
    source = primary_subtag(language)
    tables = {x: lexicon.entries[source, x] for x in lexicon.targets(source)}
    return mixed(text, tables, share, rng, counts) if tables else text


def _typos(value: str, seed: int) -> QueryCondition:
    what, rate = _share("--noise", value, "typos@0.1")
    if what != "typos":
        raise UsageError(f"--noise {value!r}: the only noise is typos, as in typos@0.1")

    def change(text: str, language: str, rng: random.Random, counts: Counter[str]) -> str:
        return with_typos(text, rate, rng, counts)

    return QueryCondition(f"typos {rate:g}", {"noise": "typos", "rate": rate}, seed, change)


@functools.cache
def _letters() -> re.Pattern[str]:
    """A letter with its marks: a reader's letter in Hindi and Thai, which no typo divides."""
    marks = "".join(chr(c) for c in range(0x20000) if unicodedata.category(chr(c))[0] == "M")
    return re.compile(rf"[^\W\d_][{re.escape(marks)}]*")


def with_typos(text: str, rate: float, rng: random.Random, counts: Counter[str]) -> str:
    """``text`` in which each letter, with probability ``rate``, is mistyped.

    One of four errors, drawn with equal chances: the letter changes places with the next one of its
    word (the last one with the one before), is left out, is typed twice, or is replaced by a letter
    drawn from the same text, which has the right script. Digits, spaces and punctuation stay, and a
    letter keeps its marks. A text of one letter does not become empty.

    Args:
        text: any language.
        rate: per letter, so that it means the same in Thai and Chinese, which have no spaces.
        rng: draws.
        counts: gets the numbers of ``letters`` and of those ``mistyped``.
    """
    found = list(_letters().finditer(text))
    letters = [x.group() for x in found]
    counts["letters"] += len(letters)
    out = list(letters)
    for i in range(len(letters)):
        if rng.random() >= rate:
            continue
        counts["mistyped"] += 1
        error = rng.choice(("swap", "drop", "double", "replace"))
        if error == "swap":
            after = i + 1 < len(found) and found[i + 1].start() == found[i].end()
            before = i > 0 and found[i - 1].end() == found[i].start()
            j = i + 1 if after else i - 1 if before else i
            out[i], out[j] = out[j], out[i]
        elif error == "drop" and len(letters) > 1:
            out[i] = ""
        elif error == "double":
            out[i] *= 2
        else:
            out[i] = rng.choice(letters)
    parts, end = [], 0
    for match, new in zip(found, out, strict=True):
        parts += [text[end : match.start()], new]
        end = match.end()
    typed = "".join((*parts, text[end:]))
    return typed if typed.strip() else text


def _romanised() -> QueryCondition:
    try:
        import uroman
    except ImportError:
        raise ModelError(
            "--romanise needs uroman; install it with: pip install 'polyglot-harness[romanise]'"
        ) from None
    from importlib.metadata import version

    romaniser = uroman.Uroman()
    about = {"romanised_by": "uroman", "version": version("uroman")}

    def change(text: str, language: str, rng: random.Random, counts: Counter[str]) -> str:
        return " ".join(str(romaniser.romanize_string(text, lcode=three_letters(language))).split())

    return QueryCondition("romanised", about, None, change)
