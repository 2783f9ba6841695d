"""The tables of docs/compression.md, from records: what compression costs each language.

    harness run --model me5-small --task xquad-r --dimensions 256,128,64
    harness run --model me5-small --task xquad-r --bits int8,int4,binary --rescore 0,100
    python benchmarks/compression_tables.py results/me5-small-*

Records are of one model and task, the plain one among them. Differences are paired by question,
with 95 % intervals; a language is marked where the share of its full score that it keeps is shown
to differ from that of the mean over languages (95 % for all languages together).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from harness.analysis.compare import paired_tables
from harness.analysis.losses import BIAS, language_losses
from harness.evaluation.intervals import SEED
from harness.evaluation.record import Record
from harness.stats.per_query import Paired
from harness.stats.resampling import cluster_bootstrap

RESAMPLES = 2000
_MARKS = {"keeps less": " ▼", "keeps more": " ▲", "": ""}


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="+", metavar="RECORD", help="Folders of records.")
    paths: Sequence[str] = parser.parse_args().records
    records = sorted(map(Record.load, paths), key=lambda x: (x.model.count("+"), -_size(x)))
    plain = records[0]
    if plain.contents.model.facts.get("adapter") == "treatment":
        parser.error("the plain model's record is missing")
    task = plain.contents.tasks[0]
    names = [x.model.removeprefix(f"{plain.model} + ").replace(" + ", ", ") for x in records]
    tables = paired_tables(records, task.task, ["map", *BIAS], whole=True)
    print(f"\n### {plain.model}, {task.title}\n")
    for line in by_kind(names, tables):
        print(line)
    for paired in tables:
        if "map" in paired.measures:
            print(f"\n{plain.model}, {paired.kind}: mAP, and change by query language\n")
            for line in by_language(names, paired):
                print(line)


def _size(record: Record) -> int:
    return record.contents.tasks[0].dimensions or 0


def by_kind(names: Sequence[str], tables: Sequence[Paired]) -> Iterator[str]:
    """A row for each variant: mAP by kind of setting, and the measures of bias."""
    heads, columns = [], []
    for paired in tables:
        for at, measure in enumerate(paired.measures):
            values = paired.values[:, :, at].T
            table = np.concatenate([values[:, :1], values[:, 1:] - values[:, :1]], axis=1)
            macro = cluster_bootstrap(
                table, **paired.rows.levels, seed=SEED, resamples=RESAMPLES
            ).macro
            heads.append(f"{paired.kind} {measure}")
            digits = 0 if measure == "rank_distance" else 4
            cells = [f"{macro.value[0]:.{digits}f}"]
            cells += [
                f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
                for value, (low, high) in zip(macro.value[1:], macro.bca[1:], strict=True)
            ]
            columns.append(cells)
    yield f"| | {' | '.join(heads)} |"
    yield f"|---|{'--:|' * len(heads)}"
    for i, name in enumerate(["full vectors", *names[1:]]):
        yield f"| {name} | {' | '.join(x[i] for x in columns)} |"


def by_language(names: Sequence[str], paired: Paired) -> Iterator[str]:
    """A row for each language: its full score, and what each variant changes."""
    losses = [language_losses(paired, "map", i, resamples=RESAMPLES) for i in range(1, len(names))]
    yield f"| | full | {' | '.join(names[1:])} |"
    yield f"|---|--:|{'--:|' * (len(names) - 1)}"
    for line in zip(*losses, strict=True):
        cells = [
            f"{x.difference:+.4f} ({x.low:+.4f} to {x.high:+.4f}) {x.kept:.1%}{_MARKS[x.verdict]}"
            for x in line
        ]
        yield f"| {line[0].language} | {line[0].plain:.4f} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
