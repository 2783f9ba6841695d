"""Peak memory of a task in 122 languages: texts of the shape of Belebele's, scored whole.

    python benchmarks/many_languages.py [--settings mono,cross,multi] [--dimensions 384]

Writes made texts in the layout of the task `belebele` (122 languages, 488 passages and 900
questions each), encodes them as random vectors that favour the right passage and the own language,
and prints seconds and peak memory by stage. Vectors and texts go to a temporary folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import harness
from harness.data.task import find_task

PASSAGES, QUESTIONS = 488, 900


class Noisy:
    """Vectors of a passage, a language and noise, as words of the text say."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.name = f"noisy-{dimensions}"
        self.fingerprint = f"passage + language + 2 noise, PCG64 by SHA-256, {dimensions}"

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        """(n, d) float32."""
        return np.stack([self._vector(text, role, language) for text in texts])

    def _vector(self, text: str, role: str, language: str) -> np.ndarray:
        passage = text.split()[1]
        parts = ((passage, 1.0), (language, 1.0), (f"{role} {language} {text}", 2.0))
        return np.sum([scale * self._noise(key) for key, scale in parts], axis=0, dtype=np.float32)

    def _noise(self, key: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
        rng = np.random.Generator(np.random.PCG64(seed))
        return rng.standard_normal(self.dimensions, dtype=np.float32)


def write_texts(folder: Path) -> None:
    """One file a language, as the hub has them."""
    folder.mkdir(parents=True)
    codes = find_task("belebele").source.codes
    for code in codes.values():
        with (folder / f"{code}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(QUESTIONS):
                passage = number * PASSAGES // QUESTIONS
                row = {
                    "link": f"{passage}",
                    "question_number": number,
                    "flores_passage": f"{code} {passage}",
                    "question": f"{code} {passage} {number}?",
                }
                file.write(json.dumps(row) + "\n")


def main() -> None:
    """Write, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", default="mono,multi")
    parser.add_argument("--dimensions", type=int, default=384)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["HARNESS_CACHE"] = str(folder / "cache")
        write_texts(folder / "belebele" / "data")
        record = harness.evaluate(
            Noisy(arguments.dimensions),
            "belebele",
            settings=arguments.settings.split(","),
            data_dir=folder,
        )
    task = record.tasks[0]
    print(f"{len(task.settings):,} settings, {sum(s.queries for s in task.settings):,} rankings")
    for stage, seconds in task.seconds.items():
        print(f"{stage:<10} {seconds:7.1f} s   peak {task.peak_bytes[stage] / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
