"""A fixed, stratified sample of a task's questions, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from harness.data.task_data import Texts

# Part of every hash: changing it draws another sample, which shows in records' digests.
_DRAW = "polyglot-harness sample 1"


def draw_questions(
    queries: Mapping[str, Texts], relevant: Mapping[str, int], number: int
) -> frozenset[str]:
    """Draw ``number`` of the questions.

    A stratum is the questions with the same languages and the same number of relevant passages:
    each contributes proportionally (largest remainders), so that a sample of MLQA-R has the
    languages and the numbers of relevant passages of the whole. Within a stratum the order is that
    of a hash of the id: it depends neither on the order of a file nor on a random number generator,
    and a larger sample of a stratum contains the smaller.

    Args:
        queries: by language; ids are question ids.
        relevant: question id -> number of relevant passages, for all questions that can be drawn.
        number: how many, at least 1.
    """
    languages_of: dict[str, list[str]] = {}
    for language, side in queries.items():
        for question in side.ids:
            if question in relevant:
                languages_of.setdefault(question, []).append(language)
    strata: dict[tuple[tuple[str, ...], int], list[str]] = {}
    for question, languages in languages_of.items():
        strata.setdefault((tuple(languages), relevant[question]), []).append(question)
    share = min(number / max(len(languages_of), 1), 1.0)
    exact = {key: len(ids) * share for key, ids in strata.items()}
    taken = {key: int(size) for key, size in exact.items()}
    rest = min(number, len(languages_of)) - sum(taken.values())
    # Equal remainders are resolved by the stratum's name, never by the order of occurrence.
    for key in sorted(strata, key=lambda key: (taken[key] - exact[key], key))[:rest]:
        taken[key] += 1
    return frozenset(
        question
        for key, ids in strata.items()
        for question in sorted(ids, key=_place)[: taken[key]]
    )


def _place(question: str) -> tuple[bytes, str]:
    raw = f"{_DRAW}\0{question}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).digest(), question
