"""Questions that stand beside their passages: equal texts become one, as mteb makes them one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.data.collection import Reading, Texts, global_id


class Pair(NamedTuple):
    """A question and a passage that answers it, in one language."""

    question_id: str
    """The same in every language that asks the question."""
    question: str
    passage_id: str
    passage: str


def reading_of(pairs: Mapping[str, Sequence[Pair]]) -> Reading:
    """Lay out the pairs of each language as a task.

    In a language a passage id stands for one passage, the first of that id. Questions with equal
    texts are one: with one passage, the first of them; with several, a question of its own, called
    after all of them (``12+40``), that each of its passages answers. A question's golds in all
    languages are one parallel set.

    Args:
        pairs: language -> its pairs, in the order of its file.
    """
    queries: dict[str, Texts] = {}
    passages: dict[str, Texts] = {}
    answers: dict[str, dict[str, str]] = {}
    merged: dict[str, list[str]] = {}
    for language, held in pairs.items():
        by_text: dict[str, dict[str, str]] = {}
        texts: dict[str, str] = {}
        for pair in held:
            texts.setdefault(pair.passage_id, pair.passage)
            # Of equal questions with one passage the first stands for all.
            by_text.setdefault(pair.question, {}).setdefault(pair.passage_id, pair.question_id)
            answers.setdefault(pair.question_id, {})[language] = pair.passage_id
        passages[language] = Texts(tuple(texts), tuple(texts.values()))
        asked = {"+".join(ids.values()): question for question, ids in by_text.items()}
        merged |= {"+".join(ids.values()): list(ids.values()) for ids in by_text.values()}
        queries[language] = Texts(tuple(asked), tuple(asked.values()))
    qrels = {
        question: {
            global_id(language, passage): 1
            for one in parts
            for language, passage in answers[one].items()
        }
        for question, parts in merged.items()
    }
    return Reading(queries, passages, qrels)
