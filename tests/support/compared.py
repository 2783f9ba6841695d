"""Records to compare, and what is asked of a comparison, for several test files."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tiny
from rich.console import Console

from harness import evaluate
from harness.analysis.compare import Comparison, MeasureComparison
from harness.cli.views.comparison import print_comparison
from harness.evaluation.record import Record

Values = Mapping[str, Sequence[float]]


def two_records(folder: Path) -> tuple[str, Record, Record]:
    """The tiny task's file, and on it an encoder and one that leans to the query's language."""
    task = str(tiny.write_task(folder))
    first = evaluate(tiny.WordBag(), tasks=[task], store=False)
    second = evaluate(tiny.WordBag(bias=2.0), tasks=[task], store=False)
    second.document["model"]["name"] = "leaning"
    return task, first, second


def part_of(task: str) -> Record:
    """The first four questions of the tiny task, in two languages."""
    model = tiny.WordBag(bias=2.0)
    return evaluate(model, tasks=[task], limit=4, languages=("de", "en"), store=False)


def with_values(record: Record, values: Values, *, measure: str = "map") -> Record:
    """``record`` with other values of one measure, setting by setting, in question order."""
    table = record.tables["tiny"]
    column = np.full(len(table), math.nan)
    for name, numbers in values.items():
        at = [s.name for s in table.settings].index(name)
        column[table.setting == at] = numbers
    document = copy.deepcopy(record.document)
    document["tasks"][0]["intervals"] = None
    return Record(document, {"tiny": replace(table, values={**table.values, measure: column})})


def mono(tmp_path: Path, questions: int, languages: Sequence[str] = ("en", "de")) -> Record:
    """A record of monolingual settings, every question with a relevant passage per language."""
    path = tiny.write_task(tmp_path, questions=questions, languages=languages)
    return evaluate(tiny.WordBag(), tasks=[str(path)], settings=("mono",), store=False)


def only(found: Comparison, kind: str = "mono", measure: str = "map") -> MeasureComparison:
    of_kind = next(k for k in found.tasks[0].kinds if k.kind == kind)
    return next(m for m in of_kind.measures if m.measure == measure)


def changed(record: Record, **fields: Any) -> Record:
    """``record`` with other facts about its task."""
    document = copy.deepcopy(record.document)
    document["tasks"][0] |= fields
    return Record(document, record.tables)


def printed(found: Comparison, width: int = 80, *, verbose: bool = False) -> str:
    out = io.StringIO()
    plain = Console(file=out, width=width, highlight=False, markup=False, emoji=False)
    print_comparison(plain, found, verbose=verbose)
    return out.getvalue()
