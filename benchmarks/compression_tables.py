"""The tables of docs/compression.md, from records: what compression costs each language.

    harness run --model me5-small --task xquad-r --dimensions 256,128,64
    harness run --model me5-small --task xquad-r --bits int8,int4,binary --rescore 0,100
    python benchmarks/compression_tables.py results/me5-small-*

Records are of one model and task, the plain one among them. Differences are paired by question,
with 95 % intervals; a language is marked where the share of its full score that it keeps is shown
to be less (▼) or more (▲) than that of the mean over languages (95 % for all languages together).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from harness.analysis.compare import paired_tables
from harness.analysis.losses import BIAS, language_losses
from harness.console import numbers
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
    parser.add_argument("--name", help="What to call the model.")
    given = parser.parse_args()
    records = sorted(map(Record.load, given.records), key=_place)
    plain = records[0]
    if "treatments" in plain.contents.model.facts:
        parser.error("the plain model's record is missing")
    task, model = plain.contents.tasks[0], given.name or plain.model
    names = [x.model.removeprefix(f"{plain.model} + ").replace(" + ", ", ") for x in records]
    tables = paired_tables(records, task.task, ["map", *BIAS], whole=True)
    print("\n".join(["", f"{model}, {task.title}:", "", *by_kind(names, tables)]))
    cut = [i for i, x in enumerate(names) if i and "dimensions" in x]
    coded = [i for i, x in enumerate(names) if i and "dimensions" not in x]
    for paired in tables:
        for variants in filter(None, (cut, coded)):
            title = f"{model}, {paired.kind} mAP by query language:"
            print("\n".join(["", title, "", *by_language(names, variants, paired)]))


def _place(record: Record) -> tuple[int, ...]:
    """The plain model, fewer and fewer dimensions, fewer and fewer bits."""
    steps = record.contents.model.facts.get("treatments", [])
    levels = next((x["levels"] for x in steps if "levels" in x), 0)
    return bool(steps), levels != 0, -levels, -(record.tasks[0].dimensions or 0), len(steps)


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
            heads.append(f"{paired.kind} {numbers.label(measure)}")
            columns.append([numbers.value(measure, float(macro.value[0]))])
            columns[-1] += [
                _cell(measure, *x) for x in zip(macro.value[1:], macro.bca[1:], strict=True)
            ]
    yield f"| | {' | '.join(heads)} |"
    yield f"|---|{'--:|' * len(heads)}"
    for i, name in enumerate(["full vectors", *names[1:]]):
        yield f"| {name} | {' | '.join(x[i] for x in columns)} |"


def by_language(names: Sequence[str], variants: Sequence[int], paired: Paired) -> Iterator[str]:
    """A row for each language: its full score, and what each variant changes."""
    losses = [language_losses(paired, "map", i, resamples=RESAMPLES) for i in variants]
    yield f"| | full | {' | '.join(names[i] for i in variants)} |"
    yield f"|---|--:|{'--:|' * len(variants)}"
    for line in zip(*losses, strict=True):
        cells = [_cell("map", x.difference, (x.low, x.high)) + _MARKS[x.verdict] for x in line]
        full = numbers.value("map", line[0].plain)
        yield f"| {line[0].language} | {full} | {' | '.join(cells)} |"


def _cell(measure: str, difference: float, ends: Sequence[float]) -> str:
    low, high = (numbers.signed(measure, float(x)) for x in ends)
    return f"{numbers.signed(measure, float(difference))} ({low}, {high})"


if __name__ == "__main__":
    main()
