"""A fixed, stratified sample of a task's questions: the same one always, on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from harness.data.task_data import Texts

# Part of every hash: raising it draws another sample, and records say so by their digests.
_DRAW = "polyglot-harness sample 1"


def draw_questions(
    queries: Mapping[str, Texts], golds: Mapping[str, int], number: int
) -> frozenset[str]:
    """Draw ``number`` of the questions.

    A stratum is the questions that are asked in the same languages and have equally many golds:
    each gives its share (largest remainders), so that a sample of MLQA-R has the languages and the
    golds of the whole. Within a stratum the order is that of a hash of the id: it depends neither
    on the order of a file nor on a generator of random numbers, and a larger sample of one stratum
    holds the smaller.

    Args:
        queries: by language; ids are question ids.
        golds: question id -> number of golds, of all questions that can be drawn.
        number: how many, at least 1.
    """
    asked: dict[str, list[str]] = {}
    for language, side in queries.items():
        for question in side.ids:
            if question in golds:
                asked.setdefault(question, []).append(language)
    strata: dict[tuple[tuple[str, ...], int], list[str]] = {}
    for question, languages in asked.items():
        strata.setdefault((tuple(languages), golds[question]), []).append(question)
    share = min(number / max(len(asked), 1), 1.0)
    wanted = {key: len(ids) * share for key, ids in strata.items()}
    taken = {key: int(size) for key, size in wanted.items()}
    rest = min(number, len(asked)) - sum(taken.values())
    # Equal remainders go by the stratum's own name, never by the order in which it was met.
    for key in sorted(strata, key=lambda key: (taken[key] - wanted[key], key))[:rest]:
        taken[key] += 1
    return frozenset(
        question
        for key, ids in strata.items()
        for question in sorted(ids, key=_place)[: taken[key]]
    )


def _place(question: str) -> tuple[bytes, str]:
    raw = f"{_DRAW}\0{question}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).digest(), question
