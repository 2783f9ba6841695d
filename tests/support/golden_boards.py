"""The fixed set of records whose boards are kept in tests/boards/golden, and how it was made.

    python tests/support/golden_boards.py records    makes the records anew (their numbers may move)
    python tests/support/golden_boards.py            writes the boards of the records that are there

The expected files are read by people before they are committed: names that are hard to write, a
published row, a sampled corpus, a part of a task, ties, seen and unseen languages.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import tiny

from harness import evaluate
from harness.boards import Leaderboards, card, make_board, read_leaderboards
from harness.boards.render import files, markdown
from harness.boards.render.paper import paper_grids
from harness.boards.tracked.document import add
from harness.boards.tracked.text import text_of

GOLDEN = Path(__file__).parents[1] / "boards" / "golden"
CARD_OF = "acme-plain-encoder"
HARD = '<b>A|B</b> & "C" \\ $x_1$ *y* [z](http://e.org) `t` @me 50% #1 {q} ~^'
RIGHT_TO_LEFT = "מודל/רב-לשוני"
LONG = "long/" + "name-" * 38 + "|end"
_LANGUAGES: dict[str, list[str]] = {CARD_OF: ["de", "en"]}
_MODELS = (
    (CARD_OF, "acme/plain-encoder", 0.2, {"dtype": "float32"}),
    ("hard", HARD, 0.4, {"dtype": "float32", "query_prompt": "query: |", "max_length": 64}),
    ("right-to-left", RIGHT_TO_LEFT, 0.41, {"dtype": "float32"}),
    ("long", LONG, 3.0, {"dtype": "bfloat16"}),
)
_SAMPLE = {"sampled_corpus": {"de": {"passages": 22, "whole": 1000}}, "golds_outside_sample": 3}


def _record(name: str, model: str, bias: float, options: dict[str, Any], folder: Path) -> None:
    """One record of the tiny task under the name of a published one, all facts made fixed."""
    task = tiny.write_task(folder / "task", name="xquad-r")
    tasks = [str(task)]
    if name in (CARD_OF, "long"):
        tasks.append(str(tiny.write_task(folder / "miracl", name="miracl")))
        text = Path(tasks[1]).read_text().replace('["mono", "cross", "multi"]', '["mono"]')
        text = text.replace('"recall@1", "recall@10", ', '"recall@100", ')
        Path(tasks[1]).write_text(text.replace('"map", ', "").replace(', "rank_distance"', ""))
    record = evaluate(tiny.WordBag(bias=bias), tasks=tasks, store=False, resamples=500)
    document = record.document
    document["created"] = "2026-01-02T03:04:05+00:00"
    document["model"] |= {
        "name": model,
        "fingerprint": f"{len(model):064x}",
        "languages": _LANGUAGES.get(name),
        "parameters": 1_234_567 if name == CARD_OF else None,
    }
    document["options"] = options
    document["environment"] |= {"platform": "Linux", "processor": "one|two", "cores": 2}
    document["environment"]["packages"] = {"polyglot-harness": "0.1.0"}
    for number, entry in enumerate(document["tasks"]):
        entry["title"] = {"xquad-r": "XQuAD-R", "miracl": "MIRACL"}[entry["task"]]
        entry["seconds"] = {"encode": 1.5, "search": 0.25}
        entry["peak_bytes"] = {"search": 900 << 20}
        entry["encoding"] |= {"encoded": 3000, "model_seconds": 1.5}
        if number:
            entry["partial"] = _SAMPLE
    if name == "right-to-left":
        part = evaluate(tiny.WordBag(bias=bias), tasks=[str(task)], store=False, limit=4)
        document["tasks"] += part.document["tasks"]
        document["tasks"][-1] |= {
            "task": "own",
            "title": "Own",
            "seconds": {"search": 0.1},
            "peak_bytes": {},
            "intervals": None,
        }
        record.tables["own"] = part.tables["xquad-r"]
    saved = folder / "record"
    record.save(saved)
    path = add(saved, GOLDEN)[-1]
    tracked = json.loads(path.read_text())
    for entry in tracked["tasks"]:
        entry["per_query"]["sha256"] = f"{len(name):064x}"  # parquet's bytes are a library's own
        entry["task_digest"] = "0" * 64
    path.unlink()
    path.with_name(f"{name}.json").write_text(text_of(tracked))


def make_records() -> None:
    """Write the records anew."""
    for path in [*(GOLDEN / "records").glob("*"), *(GOLDEN / "questions").glob("*")]:
        path.unlink()
    for name, model, bias, options in _MODELS:
        with tempfile.TemporaryDirectory() as folder:
            _record(name, model, bias, options, Path(folder))


def expected() -> dict[str, bytes]:
    """Name -> content of every format, from the records that are there."""
    board = make_board(read_leaderboards(GOLDEN))
    whole = files.board_files(board)
    found = {k: v for k, v in whole.items() if Path(k).suffix in (".md", ".tex")}
    # Forms for machines are long: one record of them, the one that is hardest to write.
    one = [x for x in read_leaderboards(GOLDEN).records if x.name == "hard"]
    small = files.board_files(make_board(Leaderboards(GOLDEN, one, ())))
    found |= {k: v for k, v in small.items() if Path(k).suffix not in (".md", ".tex")}
    found["paper.md"] = "\n".join(
        f"### {grid.title}\n\n{markdown.table(grid)}" for grid in paper_grids(board)
    ).encode()
    made = card.make_card([GOLDEN / "records" / f"{CARD_OF}.json"])
    found["card.md"] = card.section(made).encode()
    found["model-index.yaml"] = card.to_yaml({"model-index": card.model_index(made)}).encode()
    for name, entries in card.eval_results(made, source_url="https://example.org/x").items():
        found[f"eval_results.{name}"] = card.to_yaml(entries).encode()
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["records"]:
        make_records()
    files.write(GOLDEN / "expected", expected())
