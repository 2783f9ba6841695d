"""MIRACL's official files, written by a test: topics, judgements, and gzipped passages."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

from tiny import WORDS

TASK = """\
name = "{name}"
title = "Tiny MIRACL"
description = "MIRACL's form, made by a test."
reader = "miracl"
languages = [{languages}]
settings = ["mono", "multi"]
optional = ["multi"]
text = "title-newline-text"
texts = ["title-newline-text", "title-space-text", "text"]
measures = ["ndcg@10", "recall@100", "mrr@10"]
size = "large"
license = "CC0-1.0"

[source]
folder = "data"
"""


def passage(language: str, number: int) -> dict[str, str]:
    """Passage ``number``; titles repeat, and every seventh text is that of the one before."""
    text = number - 1 if number % 7 == 6 else number
    return {
        "docid": f"{number // 3}#{number % 3}",
        "title": f"{language} {WORDS[number // 3 % 10]}",
        "text": f"{language} {WORDS[text % 10]} {WORDS[text // 10 % 10]} told of in {text}",
    }


def write_miracl(
    folder: Path,
    *,
    name: str = "tiny-miracl",
    languages: Sequence[str] = ("sw", "yo"),
    passages: int = 60,
    files: int = 2,
    questions: int = 12,
    whole: dict[str, int] | None = None,
    only: Sequence[int] | None = None,
) -> Path:
    """Write a task; question ``q`` of a language asks for passages ``2q`` and ``2q + 25``.

    Judged are these with grade 1 and passage ``2q + 1`` with grade 0. Query ids are the same
    numbers in every language, as in MIRACL. ``whole`` is what the task file says the whole corpus
    has, ``only`` the passages that are written.
    """
    data = folder / "data"
    for x in languages:
        for kind in ("topics", "qrels"):
            (data / f"miracl-v1.0-{x}" / kind).mkdir(parents=True, exist_ok=True)
        topics = data / f"miracl-v1.0-{x}" / "topics" / f"topics.miracl-v1.0-{x}-dev.tsv"
        qrels = data / f"miracl-v1.0-{x}" / "qrels" / f"qrels.miracl-v1.0-{x}-dev.tsv"
        requested = [
            f"{x} what is {WORDS[2 * q % 10]} {WORDS[2 * q // 10]}" for q in range(questions)
        ]
        topics.write_text("".join(f"{q}\t{text}\n" for q, text in enumerate(requested)))
        judged = [
            f"{q}\tQ0\t{passage(x, n)['docid']}\t{grade}\n"
            for q in range(questions)
            for n, grade in ((2 * q, 1), (2 * q + 25, 1), (2 * q + 1, 0))
        ]
        qrels.write_text("".join(judged))
        corpus = data / f"miracl-corpus-v1.0-{x}"
        corpus.mkdir(exist_ok=True)
        numbers = list(range(passages)) if only is None else list(only)
        each = -(-len(numbers) // files)
        for i in range(files):
            lines = [json.dumps(passage(x, n)) for n in numbers[i * each : (i + 1) * each]]
            raw = "".join(line + "\n" for line in lines).encode()
            (corpus / f"docs-{i}.jsonl.gz").write_bytes(gzip.compress(raw, mtime=0))
    path = folder / f"{name}.toml"
    text = TASK.format(name=name, languages=", ".join(f'"{x}"' for x in languages))
    if whole:
        counts = "".join(f"{x} = {n}\n" for x, n in whole.items())
        numbers_of_files = "".join(f"{x} = {files}\n" for x in whole)
        text += f"\n[source.corpus.passages]\n{counts}\n[source.corpus.files]\n{numbers_of_files}"
    path.write_text(text)
    return path
