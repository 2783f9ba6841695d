"""A task small enough to check by hand or by trec_eval, and encoders for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

WORDS = ("river", "salt", "bridge", "moon", "bread", "clock", "stone", "wind", "glass", "copper")
LANGUAGES = ("en", "de", "zh")

TASK = """\
name = "{name}"
title = "Tiny"
description = "A parallel set made by a test."
reader = "simple"
languages = [{languages}]
settings = ["mono", "cross", "multi"]
text = "text"
texts = ["text"]
measures = ["map", "recall@1", "recall@10", "mrr@10", "ndcg@10", "rank_distance"]
size = "small"
license = "CC0-1.0"
citation = "none"

[source]
folder = "data"
"""


def write_task(
    folder: Path,
    *,
    name: str = "tiny",
    languages: Sequence[str] = LANGUAGES,
    questions: int = 10,
    distractors: int = 12,
) -> Path:
    """Write a parallel task in the simple format; the last question has no gold in ``zh``.

    Question ``qNN`` is answered by passage ``pNN`` of each language; distractors repeat words.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    lines = ["query-id\tlanguage\tpassage-id\tscore"]
    for n in range(questions):
        lines += [
            f"q{n:02d}\t{x}\tp{n:02d}\t1"
            for x in languages
            if not (n == questions - 1 and x == "zh")
        ]
    (data / "qrels.tsv").write_text("\n".join(lines) + "\n")
    for x in languages:
        requested = [
            {"id": f"q{n:02d}", "text": f"{x} what is {WORDS[n % 10]} number {n}"}
            for n in range(questions)
        ]
        told = [
            {"id": f"p{n:02d}", "text": f"{x} {WORDS[n % 10]} is told of in passage {n}"}
            for n in range(questions)
        ]
        told += [
            # Two of each, so that equal texts tie.
            {"id": f"d{n:02d}", "text": f"{x} {WORDS[n // 2 % 10]} and {WORDS[n // 4 % 10]}"}
            for n in range(distractors)
        ]
        for role, rows in (("queries", requested), ("passages", told)):
            text = "".join(json.dumps(r) + "\n" for r in rows)
            (data / f"{role}.{x}.jsonl").write_text(text)
    path = folder / f"{name}.toml"
    path.write_text(TASK.format(name=name, languages=", ".join(f'"{x}"' for x in languages)))
    return path


class WordBag:
    """A deterministic encoder: hashed words, with a nudge by language so that it is biased."""

    name = "word-bag"
    fingerprint = "word-bag-1"

    def __init__(self, dimensions: int = 24, bias: float = 0.4) -> None:
        self.dimensions = dimensions
        self.bias = bias
        self.requested: list[str] = []

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        """Sum of one random vector per word, seeded by the word."""
        self.requested += texts
        out = np.zeros((len(texts), self.dimensions), np.float32)
        for i, text in enumerate(texts):
            for word in text.split():
                seed = int.from_bytes(word.encode()[:8], "little")
                weight = self.bias if word in LANGUAGES else 1.0
                out[i] += weight * np.random.default_rng(seed).standard_normal(self.dimensions)
        return out


def factory() -> WordBag:
    """For ``--model python:tiny:factory``."""
    return WordBag()
