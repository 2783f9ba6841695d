"""All boards, in every format, of many records with the 132 settings of XQuAD-R.

    python benchmarks/boards.py [--records 200]

Records are synthetic: each question has a difficulty, each model a quality of its own, so that some
models tie and some do not. Prints the seconds of each step, by the clock and of CPU (all threads;
on a busy machine the clock counts the others' work as well), and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
QUESTIONS = 1190
POOL = 1183
RETRIEVAL = ("map", "recall@1", "recall@10", "mrr@10", "ndcg@10")
KEY = ("rank_distance", "own_language_first", "other_language_recall@10")


def bias_suite() -> tuple[str, ...]:
    """Measures of the pool of all languages alone."""
    from harness.metrics import BIAS_SUITE

    return BIAS_SUITE


def synthetic(number: int, difficulty: np.ndarray) -> dict[str, Any]:
    """A tracked record of XQuAD-R, valid against its schema."""
    from harness.boards.tracked.questions import Hits, Questions, ids_text, to_document

    rng = np.random.default_rng(number)
    quality = rng.normal(0, 0.3)
    settings = [["mono", x, x, QUESTIONS, POOL] for x in LANGUAGES]
    settings += [["cross", q, p, QUESTIONS, POOL] for q in LANGUAGES for p in LANGUAGES if q != p]
    settings += [["multi", x, None, QUESTIONS, POOL * len(LANGUAGES)] for x in LANGUAGES]
    measures = [*RETRIEVAL, *bias_suite()]
    of_kind = {"mono": RETRIEVAL, "cross": RETRIEVAL, "multi": (*RETRIEVAL, *bias_suite())}
    scale = {m: 8000.0 if m == "rank_distance" else 1.0 for m in measures}

    def some(measure: str) -> float:
        return round(float(rng.random()) * scale[measure], 9)

    def interval(measure: str) -> list[float]:
        low, high = sorted((some(measure), some(measure)))
        return [low, high, round(high - low, 6)]

    columns = [(k, m) for k in of_kind for m in (*RETRIEVAL, *KEY) if m in of_kind[k]]
    noise = rng.normal(0, 0.6, (QUESTIONS, len(columns)))
    values = 1 / (1 + np.exp(-(quality + difficulty[:, None] + noise)))
    means = {key: float(column.mean()) for key, column in zip(columns, values.T, strict=True)}
    bits = rng.random((2, QUESTIONS, len(LANGUAGES))) < 0.5
    everywhere = np.ones_like(bits[0])
    questions = Questions(
        QUESTIONS,
        hashlib.sha256(ids_text([f"{i:024x}" for i in range(QUESTIONS)])).hexdigest(),
        tuple(columns),
        values,
        {"mono": Hits(everywhere, bits[0]), "multi": Hits(everywhere, bits[1])},
    )
    macro = {
        kind: {m: round(means.get((kind, m), some(m)), 9) for m in of}
        for kind, of in of_kind.items()
    }
    task = {
        "task": "xquad-r",
        "title": "XQuAD-R",
        "task_digest": "0" * 64,
        "data_digest": "1" * 64,
        "revision": None,
        "license": "none",
        "text": "sentence",
        "text_default": "sentence",
        "languages": list(LANGUAGES),
        "kinds": list(of_kind),
        "partial": {},
        "measures": [*RETRIEVAL, "rank_distance"],
        "counts": {
            "questions": QUESTIONS,
            "queries": dict.fromkeys(LANGUAGES, QUESTIONS),
            "passages": dict.fromkeys(LANGUAGES, POOL),
        },
        "dimensions": 384,
        "encoding": {
            "texts": 26104, "distinct": 26029, "from_store": 0, "encoded": 26029,
            "model_seconds": 60.0,
        },
        "seconds": {"encode": 61.0, "search": 1.0},
        "peak_bytes": {"search": 1 << 30},
        "settings": settings,
        "scores": {
            m: [some(m) if m in of_kind[s[0]] else None for s in settings] for m in measures
        },
        "means": {kind: {"macro": of, "micro": of} for kind, of in macro.items()},
        "intervals": {
            "method": "synthetic",
            "level": 0.95,
            "resamples": 10_000,
            "seed": 1,
            "clusters": QUESTIONS,
            "means": {kind: {m: interval(m) for m in of} for kind, of in of_kind.items()},
            "languages": {
                kind: {x: {m: interval(m) for m in of} for x in LANGUAGES}
                for kind, of in of_kind.items()
            },
        },
        "rank_distance_by_golds": {},
        "top_languages": {
            "depth": 10,
            "share": {x: {y: round(1 / len(LANGUAGES), 6) for y in LANGUAGES} for x in LANGUAGES},
        },
        "per_query": {"rows": 157_080, "sha256": "2" * 64},
        "questions": to_document(questions),
    }  # fmt: skip
    return {
        "tracked_version": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "command": ["harness", "run", "--model", f"org/model-{number}", "--task", "xquad-r"],
        "model": {
            "name": f"org/model-{number}",
            "kind": "dense",
            "similarity": "cosine",
            "fingerprint": f"{number:064x}",
            "facts": {"adapter": "synthetic"},
            "prompts": {},
            "languages": list(LANGUAGES[: 1 + number % len(LANGUAGES)]),
            "parameters": 10_000_000 * (1 + number),
            "stored": True,
        },
        "options": {"dtype": "float32"},
        "device": "cpu",
        "environment": {
            "python": "3.11",
            "platform": "synthetic",
            "processor": "synthetic",
            "cores": 2,
            "packages": {"polyglot-harness": "0"},
        },
        "tasks": [task],
    }


def main() -> None:
    """Make the records, time every step, print the total."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200, metavar="N", help="default 200")
    records = parser.parse_args().records

    from harness.boards import commands, make_board, read_leaderboards
    from harness.boards.render import files
    from harness.boards.tracked.text import text_of

    difficulty = np.random.default_rng(0).normal(0, 1.0, QUESTIONS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "records").mkdir()
        size = 0  # of all records
        for number in range(records):
            text = text_of(synthetic(number, difficulty))
            (folder / "records" / f"model-{number:04d}.json").write_text(text)
            size += len(text)
        print(f"{records} records of {size / records / 1000:.0f} kB, 132 settings each")
        steps: list[tuple[str, float, float]] = []

        def step(what: str, action: Callable[[], Any]) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            found = action()
            steps.append((what, time.perf_counter() - wall, time.process_time() - cpu))
            return found

        found = step("read and check records", lambda: read_leaderboards(folder))
        board = step("lay side by side, test all pairs", lambda: make_board(found))
        made = step("all formats", lambda: files.board_files(board))
        page = step("page", lambda: commands.html(board).encode())
        step("write", lambda: files.write(folder, {**made, commands.HTML: page}))
    steps.append(("all", sum(x[1] for x in steps), sum(x[2] for x in steps)))
    for what, wall, cpu in steps:
        print(f"{what:35} {wall:6.2f} s, {cpu:6.2f} s of CPU")
    pairs = sum(r.tested for t in board.tasks for r in t.rankings.values())
    size = sum(map(len, made.values())) + len(page)
    print(f"{pairs:,} paired tests, {size / 1e6:.1f} MB written, {len(page) / 1e6:.2f} the page")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
