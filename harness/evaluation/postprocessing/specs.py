"""The steps that ``--treatment`` names: ``shift:texts.jsonl@0.5``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from harness.base.files import home_expanded
from harness.data.task import Role
from harness.errors import UsageError, did_you_mean
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.evaluation.postprocessing.approximate import Approximate
from harness.evaluation.postprocessing.balance import Balanced
from harness.evaluation.postprocessing.center import Center
from harness.evaluation.postprocessing.compress import compression
from harness.evaluation.postprocessing.lir import LanguageInformationRemoval
from harness.evaluation.postprocessing.offset import Offset
from harness.evaluation.postprocessing.parallel_texts import ParallelTexts, read_parallel
from harness.evaluation.postprocessing.shift import SOURCE, Shift
from harness.evaluation.postprocessing.step import FittedProcessor, PostProcessor
from harness.search.approximate import import_faiss, read_index

NAMES = (
    "balanced", "offset:FILE", "center:FILE", "shift:FILE@a", "shift-both:FILE@a", "lir:FILE@r",
)  # fmt: skip

_STANDARD = {"shift": 1.0, "shift-both": 1.0, "lir": 1.0}
"""Step -> the number it has where none is given."""


def steps_of(options: RunOptions, model: object, tasks: Sequence[Prepared]) -> list[PostProcessor]:
    """All post-processing of a run: what ``--treatment`` names, then compression.

    Raises:
        UsageError: as :func:`parse_postprocessors`, or options exclude each other.
        DataError: as :func:`parse_postprocessor`.
    """
    steps = parse_postprocessors(options.treatments, model, tasks)
    compressed = compression(options.dimensions, options.bits, options.rescore)
    if compressed and not hasattr(model, "encode"):
        raise UsageError(
            "--dimensions, --bits and --rescore are for models that return vectors; this one "
            "gives scores, or sparse or token vectors"
        )
    if options.rescore and any(x.balances for x in steps):
        raise UsageError("--rescore orders by score, --treatment balanced by share; take one")
    if options.rescore and any(s.kind == "pairs" for task in tasks for s in task.settings):
        raise UsageError(
            "--settings pairs takes the ranks of single passages from the pool of all languages, "
            "and --rescore changes them in the top k alone; leave one out"
        )
    if options.rescore and options.trec:
        raise UsageError(
            "--rescore writes no TREC files: below the rescored passages the scores of a ranking "
            "are those of compressed vectors"
        )
    return [*steps, *compressed, *_approximate(options, model, tasks, [*steps, *compressed])]


def _approximate(
    options: RunOptions, model: object, tasks: Sequence[Prepared], before: Sequence[PostProcessor]
) -> list[PostProcessor]:
    """The step of ``--ann``, if it is given.

    Raises:
        UsageError: it is not written as it must be, or options exclude each other.
        ModelError: faiss is not installed.
    """
    if options.ann is None:
        return []
    kind = read_index(options.ann)
    if not hasattr(model, "encode"):
        raise UsageError("--ann is for models that return vectors")
    if options.streamed or any(task.data.corpora for task in tasks):
        raise UsageError("--ann is for tasks in memory; leave --streamed out, or take a small task")
    if any(x.balances or x.rescores for x in before):
        raise UsageError("--ann goes without --treatment balanced and --rescore")
    if any(s.kind == "pairs" for task in tasks for s in task.settings):
        raise UsageError("--ann knows no ranks in the pool of two languages: leave pairs out")
    if options.trec or options.rerank:
        raise UsageError("--ann writes no TREC files and has no reranker")
    if options.name is not None and "approximate" not in options.name.casefold():
        raise UsageError("--name of a run with --ann must have the word approximate")
    import_faiss()
    return [Approximate(f"approximate {kind.name}", kind)]


def parse_postprocessors(
    specs: Sequence[str], model: object, tasks: Sequence[Prepared]
) -> list[PostProcessor]:
    """The post-processing steps of a run, in the order they are applied.

    Raises:
        UsageError: as :func:`parse_postprocessor`, the model does not support it, or it would be
            fitted on questions of a task.
        DataError: as :func:`parse_postprocessor`.
    """
    if specs and not hasattr(model, "encode"):
        raise UsageError(
            "--treatment is for models that return vectors; this one gives scores, or sparse or "
            "token vectors"
        )
    if len(set(specs)) < len(specs):
        raise UsageError("--treatment has the same value twice")
    languages = list(dict.fromkeys(x for p in tasks for x in p.data.languages))
    found = [parse_postprocessor(x, languages) for x in specs]
    for step in found:
        if isinstance(step, FittedProcessor):
            for task in tasks:
                queries = {x: texts.texts for x, texts in task.data.queries.items()}
                step.texts.refuse_questions(queries, task.spec.name)
    return found


def parse_postprocessor(spec: str, languages: Sequence[str]) -> PostProcessor:
    """The step named by ``--treatment SPEC``, for a task's ``languages``.

    Raises:
        UsageError: no such step, its file is missing in SPEC, or its number is out of range.
        DataError: the file cannot be read, or has too few texts.
    """
    kind, _, rest = spec.partition(":")
    if spec == "balanced":
        return Balanced()
    known = [x.partition(":")[0] for x in NAMES]
    if kind not in known:
        hint = did_you_mean(kind, known)
        raise UsageError(f"--treatment {spec!r} is not known; known are {', '.join(NAMES)}{hint}")
    if kind == "balanced" or not rest:
        raise UsageError(f"--treatment {spec}: write {' or '.join(NAMES)}")
    if kind in _STANDARD:
        path, number = split_number(spec)
        return _numbered(kind, path, _STANDARD[kind] if number is None else number, languages)
    path = home_expanded(rest)
    if kind == "offset":
        return Offset("offset", read_parallel(path, languages, fewest=2))
    return Center("center", read_parallel(path, languages))


def split_number(spec: str) -> tuple[Path, float | None]:
    """File and number of ``KIND:FILE@number``; the number is ``None`` where there is none."""
    rest = spec.partition(":")[2]
    name, at, text = rest.rpartition("@")
    try:
        number = float(text)
    except ValueError:
        return home_expanded(rest), None
    return (Path(name), number) if at and name else (home_expanded(rest), None)


def with_number(spec: str, number: float) -> str:
    """``KIND:FILE@number``, whatever number ``spec`` has.

    Raises:
        UsageError: the step takes no number.
    """
    kind, _, rest = spec.partition(":")
    if kind not in _STANDARD or not rest:
        raise UsageError(
            f"--sweep: --treatment {spec} has no number to go through; "
            f"{', '.join(x for x in NAMES if '@' in x)} have"
        )
    if split_number(spec)[1] is not None:
        rest = rest.rpartition("@")[0]
    return f"{kind}:{rest}@{written(number)}"


def written(number: float) -> str:
    """A number as short as it can be written without losing a digit: ``1``, ``0.25``."""
    return str(int(number)) if number == int(number) else repr(number)


def swept(specs: Sequence[str]) -> int:
    """Which of ``specs`` a sweep goes through.

    Raises:
        UsageError: none of them takes a number, or several do.
    """
    able = [i for i, x in enumerate(specs) if x.partition(":")[0] in _STANDARD]
    if len(able) != 1:
        names = ", ".join(x for x in NAMES if "@" in x)
        raise UsageError(f"--sweep goes through the number of one --treatment of {names}")
    return able[0]


def _numbered(kind: str, path: Path, number: float, languages: Sequence[str]) -> PostProcessor:
    path = home_expanded(path)
    if not (math.isfinite(number) and number >= 0):
        raise UsageError(f"--treatment {kind}: {number:g} must be 0 or more")
    if kind == "lir":
        if number != int(number):
            raise UsageError(f"--treatment lir: {number:g} must be a whole number of directions")
        texts = read_parallel(path, languages)
        return LanguageInformationRemoval(f"lir {written(number)}", texts, int(number))
    both: tuple[Role, ...] = ("query", "passage")
    roles = both if kind == "shift-both" else both[1:]
    return Shift(f"{kind} {written(number)}", _with_source(path, languages), number, roles)


def _with_source(path: Path, languages: Sequence[str]) -> ParallelTexts:
    """Parallel texts of some of ``languages``, and of the language that they are moved towards.

    Raises:
        UsageError: the file lacks that language.
        DataError: as :func:`read_parallel`.
    """
    texts = read_parallel(path, list(dict.fromkeys([*languages, SOURCE])), fewest=2)
    if SOURCE not in texts.sides:
        raise UsageError(f"{path}: has no texts in {SOURCE!r}, which the others are moved towards")
    return texts
