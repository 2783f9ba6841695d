"""Mteb's result files as published results: of our tasks, and of mteb's own on the same texts.

    ORG__NAME/REVISION/TASK.json                          as mteb lays them out
    ORG__NAME/REVISION/model_meta.json                    may be missing or empty
    ORG__NAME/REVISION/experiments/NAME/TASK.json         the model with other settings

Files of every version since 1.0 are read, without mteb. A value, a subset or a file that cannot be
read is left out and named, in one sentence for each kind of problem.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.base.languages import primary_subtag, short_code
from harness.base.reading import object_or_empty, read_object
from harness.data.task import KINDS, RUN_KINDS, Setting, find_task
from harness.errors import RecordError
from harness.interop.mteb.names import (
    OTHER_TEXTS,
    SPLIT,
    THEIR_TASKS,
    TheirTask,
    our_tasks,
    training_data_of,
)
from harness.interop.published import ModelFacts, Published
from harness.metrics import families

META = "model_meta.json"
_NO_RESULT = "cannot be read as an mteb result file"
_EXPERIMENTS = "experiments"
_USUAL, _MORE = 5, 6
"""Decimals: mteb's evaluator rounds to five, all but MRR, which some versions round to six and
others not at all. At most six are kept."""
_LARGEST = 64 << 20
"""Bytes of a file; the largest that mteb publishes has some 2 MB."""
_THEIR_MEASURE = re.compile(r"(ndcg|recall|mrr|map|precision)_at_([1-9][0-9]{0,4})")
_CUT_OFF = re.compile(r"[a-z][a-z0-9_]*@[1-9][0-9]{0,8}")
"""A measure of ours with a cutoff, or of a package that is not installed here."""
_SHORT = {"ndcg@10", "recall@1", "recall@10", "recall@100", "mrr@10", "map@1000"}
"""Measures of mteb's own tasks in tables; mteb's mAP uses at most 1,000 passages."""
_CODE = r"[a-z]{2,3}(?:[_-][A-Z][a-z]{3})?"
_SUBSET = re.compile(rf"(?:[a-z]+[.])?({_CODE})(?:[-.]({_CODE}))?")
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_NAME = re.compile(rf"[^{_UNPRINTABLE}]{{1,200}}")

_NO_SCORE = "has values that are not scores; left out"
_TWICE = "has a subset twice with other scores; the last counts, as where mteb merges results"

Document = Mapping[str, Any]


def _printable(text: str) -> str:
    """On one line and in valid UTF-8: names of files and subsets can contain anything."""
    return re.sub(f"[{_UNPRINTABLE}]", "?", text)


class Problems:
    """Problems found while reading: one sentence for each kind, with its first example."""

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}

    def add(self, kind: str, path: Path, detail: str = "") -> None:
        """Add a problem of this kind."""
        first = _printable(f"{path}: {kind}{detail and f' ({detail})'}")
        self._found.setdefault(kind, [0, first])[0] += 1

    def sentences(self) -> list[str]:
        """One for each kind, in the order in which they first appeared."""
        return [
            first if count == 1 else f"{first}; {count - 1:,} more like it"
            for count, first in self._found.values()
        ]


@dataclass(frozen=True)
class Imports:
    """What was read from some files and folders."""

    rows: tuple[Published, ...]
    files: int
    """Number of result files of known tasks."""
    problems: tuple[str, ...]
    """One sentence for each kind."""


class _UnreadableError(Exception):
    """Nothing can be read from the file: the kind of problem, and its detail."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind, self.detail = kind, detail


def from_results(path: Path) -> list[Published]:
    """Read result files of our tasks, and of mteb's own that have the same texts.

    ``path`` is one file, or a folder in which all such files are taken; files of other tasks in a
    folder are skipped. Rows contain every nDCG, recall, MRR, mAP and precision value of a file.

    Raises:
        RecordError: there is no such file, or nothing can be read of it.
    """
    return list(read_results([Path(path)], every=True).rows)


def read_results(paths: Sequence[Path], *, every: bool = False) -> Imports:
    """Read result files and folders of them.

    Args:
        paths: files, and folders in which every result file of a task that is known here is taken.
        every: take all measures of mteb's own tasks, not only those shown in tables.

    Raises:
        RecordError: nothing can be read: no file, or none of a task that is known here.
    """
    problems = Problems()
    rows = _PublishedRows(problems)
    facts = _Models(problems)
    files = 0
    for path in paths:
        for file in _result_files(path):
            files += 1
            try:
                found = _read(file, facts, problems, every=every)
            except _UnreadableError as reason:
                problems.add(reason.kind, file, reason.detail)
                continue
            for row in found:
                rows.take(row, file)
    sentences = problems.sentences()
    if not rows.by_key:
        named = " ".join(str(x) for x in paths)
        raise RecordError("; ".join(sentences) or f"{named}: {_no_results()}")
    known = tuple(replace(x, trained=facts.trained(x)) for x in rows.by_key.values())
    return Imports(known, files, tuple(sentences))


def _no_results() -> str:
    known = ", ".join(sorted({*our_tasks(), *THEIR_TASKS}))
    return (
        f"contains no mteb result of {known}; name the file, or the folder that mteb's ResultCache "
        "was given"
    )


class _PublishedRows:
    """One row for each model, revision and task, and no two of a task with one id."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._ids: dict[tuple[str, str], tuple[str, ...]] = {}
        self.by_key: dict[tuple[str, str, str, str], Published] = {}

    def take(self, row: Published, file: Path) -> None:
        """Add a row; of two rows of one model, revision and task, keep the later mteb version's."""
        if self._ids.setdefault((row.task, row.id), row.key) != row.key:
            self._problems.add(
                "is of a model whose name differs from another's in punctuation alone; left out",
                file,
                row.model,
            )
            return
        other = self.by_key.get(row.key)
        if other is not None and other != row:
            self._problems.add("is in another file too; the later version of mteb counts", file)
            if _version(other.origin) > _version(row.origin):
                return
        self.by_key[row.key] = row


def _version(origin: str) -> tuple[int, ...]:
    return tuple(int(x[:9]) for x in re.findall(r"[0-9]+", origin))


def _result_files(path: Path) -> Iterator[Path]:
    """Files that may be results of a known task; links to folders are not followed."""
    if not path.is_dir():
        yield path
        return
    known = {*our_tasks(), *THEIR_TASKS, *OTHER_TEXTS}
    for folder, inside, names in os.walk(path):
        inside.sort()
        for name in sorted(names):
            if name.removesuffix(".json") in known and name.endswith(".json"):
                yield Path(folder, name)


def _load(path: Path) -> Document:
    """Read a JSON object; :class:`_UnreadableError` where there is none."""
    try:
        if path.stat().st_size > _LARGEST:
            raise _UnreadableError(_NO_RESULT, f"larger than {_LARGEST >> 20} MiB")
        return read_object(path, RecordError)
    except OSError as problem:
        raise _UnreadableError(_NO_RESULT, problem.strerror or str(problem)) from problem
    except RecordError as problem:
        raise _UnreadableError(_NO_RESULT, str(problem).removeprefix(f"{path}: ")) from problem


def _read(
    path: Path, models: _Models, problems: Problems, *, every: bool
) -> Iterator[Published] | list[Published]:
    document = _load(path)
    name = document.get("task_name", document.get("mteb_dataset_name"))
    if not isinstance(name, str):
        raise _UnreadableError(_NO_RESULT, "without a task_name")
    if name in OTHER_TEXTS:
        raise _UnreadableError(
            f"is of {name}, which searches {OTHER_TEXTS[name]}: not a task of the harness"
        )
    splits = _splits(document)
    if name in THEIR_TASKS:
        found = _of_their_task(name, splits, path, problems, every=every)
    elif name in our_tasks():
        found = [_of_our_task(our_tasks()[name], splits, path, problems)]
    else:
        known = ", ".join(sorted({*our_tasks(), *THEIR_TASKS}))
        raise _UnreadableError(f"is not of a task of the harness; known are {known}", name[:100])
    model, revision, options, facts = models.of(path)
    version = document.get("mteb_version")
    data = document.get("dataset_revision")
    return [
        replace(
            row,
            model=model,
            revision=revision,
            options=", ".join(x for x in (options, row.options) if x),
            origin=f"mteb {version}" if _is_short(version) else "mteb of an unknown version",
            data_digest=str(data) if _is_short(data) else "",
            facts=facts,
        )
        for row in found
    ]


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _splits(document: Document) -> dict[str, list[Document]]:
    """Split -> one mapping per subset, with ``hf_subset``, whatever the version.

    Before 1.11 splits stood at the top, and in them a mapping per subset, or measures alone.
    """
    if "scores" in document:
        scores = document["scores"]
        if not isinstance(scores, dict):
            raise _UnreadableError(_NO_RESULT, "scores is not an object")
        found = {}
        for split, rows in scores.items():
            if not isinstance(rows, list) or not all(
                isinstance(x, dict) and isinstance(x.get("hf_subset"), str) for x in rows
            ):
                raise _UnreadableError(
                    _NO_RESULT,
                    f"scores of {split[:50]} are not a list of objects with hf_subset",
                )
            found[split] = rows
        return found
    return {
        split: [
            {**values, "hf_subset": subset}
            for subset, values in scores.items()
            if isinstance(values, dict)
        ]
        for split, scores in document.items()
        if isinstance(scores, dict)
    }


def _of_our_task(
    task: str, splits: Mapping[str, Sequence[Document]], path: Path, problems: Problems
) -> Published:
    # Those too that run only on request: somebody has run them.
    settings = {s.name: s for s in find_task(task).settings(kinds=RUN_KINDS)}
    scores: dict[Setting, dict[str, float]] = {}
    for row in splits.get(SPLIT, ()):
        setting = settings.get(row["hf_subset"])
        if setting is not None and setting.kind not in KINDS:
            problems.add(
                "has pools of two languages, for which boards have no column; left out",
                path,
                setting.name,
            )
            continue
        if setting is None:
            raise _UnreadableError(f"task {task} has no setting {row['hf_subset'][:100]!r}")
        values = dict(_numbers(row, _our_measure, path, problems))
        if not values:
            continue
        if scores.get(setting, values) != values:
            problems.add(_TWICE, path, setting.name)
        scores[setting] = values
    if not scores:
        raise _UnreadableError(f"contains no scores of the {SPLIT} split")
    return Published(task, "", "imported", "", scores)


def _of_their_task(
    name: str,
    splits: Mapping[str, Sequence[Document]],
    path: Path,
    problems: Problems,
    *,
    every: bool,
) -> list[Published]:
    theirs = THEIR_TASKS[name]
    for split in splits:
        if split not in theirs.splits:
            problems.add(f"has splits other than {' and '.join(theirs.splits)}", path, split[:50])
    found = []
    for split, task in theirs.splits.items():
        scores = _scores(name, split, splits.get(split, ()), path, problems)
        if not scores:
            continue
        _say_missing(task, scores, path, problems)
        if not every:
            kept = {*_SHORT, theirs.main, *find_task(task).measures}
            scores = {s: {m: v for m, v in of.items() if m in kept} for s, of in scores.items()}
        found.append(
            Published(
                task=task,
                model="",
                source="imported",
                origin="",
                scores=scores,
                options=theirs.options,
                published_as=f"{name} {split}",
                text=theirs.text or find_task(task).default_text,
                decimals=_decimals(scores),
            )
        )
    if not found:
        raise _UnreadableError(f"contains no scores of the {' or '.join(theirs.splits)} split")
    return found


def _scores(
    name: str, split: str, rows: Sequence[Document], path: Path, problems: Problems
) -> dict[Setting, dict[str, float]]:
    """Scores of one split, to six decimals."""
    theirs = THEIR_TASKS[name]
    scores: dict[Setting, dict[str, float]] = {}
    for row in rows:
        setting = _setting(name, split, row["hf_subset"], path, problems)
        if setting is None:
            continue
        values = dict(_numbers(row, _their_measure, path, problems))
        _check_main(row, theirs, values, path, problems)
        values = {m: round(x, _MORE) for m, x in values.items()}
        if not values:
            continue
        if scores.get(setting, values) != values:
            problems.add(_TWICE, path, row["hf_subset"][:50])
        scores[setting] = values
    return scores


def _decimals(scores: Mapping[Setting, Mapping[str, float]]) -> dict[str, int]:
    """Measure -> decimals that all its values are rounded to."""
    found: dict[str, int] = {}
    for values in scores.values():
        for measure, value in values.items():
            digits = _USUAL if round(value, _USUAL) == value else _MORE
            found[measure] = max(found.get(measure, 0), digits)
    return found


def _check_main(
    row: Document, theirs: TheirTask, values: dict[str, float], path: Path, problems: Problems
) -> None:
    """``main_score`` is one of the measures, and must be equal to it."""
    main = row.get("main_score")
    if main is None:
        return
    if not _is_score(main) or not 0 <= main <= 1:
        problems.add(_NO_SCORE, path, f"main_score of {row['hf_subset'][:50]}")
        return
    if values.setdefault(theirs.main, float(main)) != main:
        problems.add(f"has a main_score other than its {theirs.main}, which counts", path)


def _setting(name: str, split: str, subset: str, path: Path, problems: Problems) -> Setting | None:
    """Our setting for a subset; ``None``, with an entry in ``problems``, if there is none.

    Subsets of two languages name that of the passages first, here and in mteb's MLQARetrieval and
    BelebeleRetrieval.
    """
    theirs = THEIR_TASKS[name]
    task = theirs.splits[split]
    match = _SUBSET.fullmatch(subset)
    if match is None:
        problems.add("has a subset that names no language; left out", path, subset[:50])
        return None
    passage_language, query_language = short_code(match[1]), short_code(match[2] or match[1])
    if not {passage_language, query_language} <= _languages(task):
        problems.add(
            "has a language that the task here does not have; left out", path, f"{subset} in {task}"
        )
        return None
    if passage_language == query_language:
        return Setting("mono", query_language, query_language)
    if "cross" not in theirs.kinds:
        kind = (
            f"has cross-lingual subsets of {name}, which search {theirs.other_pool}, where the "
            "task here searches all; left out"
        )
        problems.add(kind, path, subset)
        return None
    return Setting("cross", query_language, passage_language)


@cache
def _languages(task: str) -> frozenset[str]:
    return frozenset(find_task(task).languages)


def _say_missing(
    task: str, scores: Mapping[Setting, object], path: Path, problems: Problems
) -> None:
    known = _languages(task)
    available = len({s.query_language for s in scores if s.kind == "mono"})
    if available < len(known):
        problems.add("lacks languages of its task", path, f"{available} of {len(known)} of {task}")


def _numbers(
    row: Document, named: Callable[[str], tuple[str, bool] | None], path: Path, problems: Problems
) -> Iterator[tuple[str, float]]:
    """Values by our measure names. If two names mean one measure, the exact name wins."""
    exact: set[str] = set()
    for key, value in row.items():
        name = named(key)
        if name is None or value is None or name[0] in exact:
            continue
        if _is_score(value) and (named is _our_measure or 0 <= value <= 1):
            if name[1]:
                exact.add(name[0])
            yield name[0], float(value)
        else:
            problems.add(
                _NO_SCORE,
                path,
                f"{key} of {row['hf_subset'][:50]}",
            )


def _is_score(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e15  # not NaN, not infinite, and within the range of a float
    )


@cache
def _their_measure(key: str) -> tuple[str, bool] | None:
    """``ndcg@10`` of ``ndcg_at_10``; mteb's ``map_at_1000`` is ``map@1000``, never our ``map``."""
    match = _THEIR_MEASURE.fullmatch(key)
    return None if match is None else (f"{match[1]}@{match[2]}", True)


@cache
def _our_measure(key: str) -> tuple[str, bool] | None:
    """Our own values with all digits; where they are missing, mteb's rounded ones."""
    if "_mean_" in key:
        return None
    if _CUT_OFF.fullmatch(key) or key in _without_cutoff():
        return key, True
    match = _THEIR_MEASURE.fullmatch(key)
    if match is None or match[1] in ("map", "precision"):
        return None
    return f"{match[1]}@{match[2]}", False


@cache
def _without_cutoff() -> frozenset[str]:
    """Our measures, which are written without a cutoff, next to mteb's."""
    return frozenset(x.base for x in families().values() if x.cutoff != "required")


class _Models:
    """The contents of model_meta.json files, each folder's read once."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._read: dict[Path, Document] = {}
        self._training: dict[str, set[str]] = {}
        self._base: dict[str, str] = {}

    def trained(self, row: Published) -> str | None:
        """The training data of a row's model that are of its task; ``None`` if none are known.

        If it has none itself, those of a model that it was made from, as far as these were read
        too: ``MIRACLRetrieval, through BAAI/bge-m3``.
        """
        same = training_data_of(row.task)
        own = None if row.facts is None else row.facts.training_data
        if found := [x for x in own or () if x in same]:
            return ", ".join(found)
        seen = {row.model}
        name = self._base.get(row.model)
        while name is not None and name not in seen:
            if found := sorted(self._training.get(name, set()) & same):
                return f"{', '.join(found)}, through {name}"
            seen.add(name)
            name = self._base.get(name)
        return None

    def of(self, path: Path) -> tuple[str, str | None, str, ModelFacts | None]:
        """Name, revision, options and facts: from model_meta.json, else from the folders."""
        folder = path.absolute().parent
        options = ""
        at = folder
        if folder.parent.name == _EXPERIMENTS:
            options, at = folder.name, folder.parent.parent
        meta = self._meta(folder) or (self._meta(at) if at != folder else {})
        if not meta:
            self._problems.add(
                f"has no {META} that can be read; name and revision are those of its folders", path
            )
        name, revision = meta.get("name"), meta.get("revision")
        if not _is_short(name):
            name = _printable(at.parent.name.replace("__", "/")) or "unknown"
        if not _is_short(revision):
            revision = _printable(at.name) or None
        facts = _facts(meta) if meta else None
        if facts is not None:
            self._training.setdefault(str(name), set()).update(facts.training_data or ())
        if _is_short(base := meta.get("adapted_from")):
            self._base[str(name)] = str(base)
        return str(name), revision, _printable(options), facts

    def _meta(self, folder: Path) -> Document:
        if folder not in self._read:
            self._read[folder] = object_or_empty(folder / META)
        return self._read[folder]


def _facts(meta: Document) -> ModelFacts:
    is_open = meta.get("open_weights", meta.get("open_source"))
    released = meta.get("release_date")
    licence = meta.get("license")
    languages = _texts(meta.get("languages"))
    return ModelFacts(
        parameters=_count(meta.get("n_parameters")),
        dimensions=_count(meta.get("embed_dim")),
        released=released
        if isinstance(released, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", released)
        else None,
        open_weights=is_open if isinstance(is_open, bool) else None,
        license=licence if _is_short(licence) else None,
        # Scripts are left out: mteb names Latin for most, Amharic among them.
        languages=languages and tuple(sorted({short_code(primary_subtag(x)) for x in languages})),
        training_data=_texts(meta.get("training_datasets")),
    )


def _count(value: Any) -> int | None:
    """A whole number above zero, as one or as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15:
        return None
    return int(value)


def _texts(value: Any) -> tuple[str, ...] | None:
    """The items of a list or the keys of an object: mteb's versions differ in what they write."""
    if not isinstance(value, list | dict):
        return None
    return tuple(sorted({x for x in value if _is_short(x) and ";" not in x}))
