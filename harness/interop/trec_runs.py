"""TREC runs made by any other system, scored by trec_eval and broken down by a task's settings.

A run file of a known task uses the ids that exports have: queries ``LANG:QUESTION``, passages
``LANG:PASSAGE``. Which setting its rankings belong to follows from them. A file in which queries
of some language retrieve passages of several languages is a run over the pool of all: ``multi``.
Else each query language is ``mono``, or ``cross`` into the one language that it retrieves. The
decision is made per file, not per query: in a ``multi`` run of a biased system some queries, or all
of a language, retrieve only one language, and they still belong to ``multi``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.base import option_text
from harness.data.pool import own_passages
from harness.data.task import KINDS, Kind, Setting, TaskSpec, find_task
from harness.data.task_data import TaskData, global_id, question_id
from harness.data.trec import Run, read_qrels, read_run, run_files_in
from harness.errors import RunFileError, UsageError, did_you_mean
from harness.interop.trec_eval import by_setting, run_scores
from harness.stats.means import MacroMean

MEASURES = ("map", "recip_rank", "ndcg_cut_10", "recall_1", "recall_10", "recall_100")
"""The measures shown by default."""


@dataclass(frozen=True)
class Scored:
    """One run file, or the part of it that belongs to one setting."""

    path: Path
    setting: Setting | None
    """``None`` without a task."""
    queries: int
    """Judged queries, all of which count."""
    missing: int
    """Judged queries that the run lacks: they count as zero."""
    unjudged: int
    """Unjudged queries of the run: they do not count."""
    depth: int
    """The largest number of passages that the run has for one query."""
    scores: Mapping[str, float]
    """Measure -> its value over the queries, as trec_eval sums it up."""


def score_run(
    runs: str | Path | Sequence[str | Path],
    *,
    qrels: str | Path | None = None,
    task: str | TaskSpec | None = None,
    measures: str | Sequence[str] = MEASURES,
    settings: str | Sequence[str] | None = None,
    languages: str | Sequence[str] | None = None,
    sample: int | None = None,
    corpus: Literal["whole", "sampled"] = "whole",
    data_dir: str | Path | None = None,
    offline: bool = False,
) -> list[Scored]:
    """Score one system's TREC run files by a qrels file, or setting by setting by a task's.

    With neither, or a folder of qrels, each run is judged by the file that ``harness run --trec``
    wrote beside it: :func:`score_exported`.

    Args:
        runs: a path, or several; a folder stands for the ``*.run`` files in it.
        qrels: judgements, for all of them.
        task: name, path of a task file or spec, instead of ``qrels``.
        measures: names, trec_eval's or ours.
        settings: as :func:`score_with_task`; with a task alone.
        languages: only these languages of the task.
        sample: only this fixed sample of the task's questions, as ``harness run`` draws it.
        corpus: ``sampled`` if the available corpus is a sample, outside which nothing is relevant.
        data_dir: local copy of the task's data.
        offline: never touch the network.

    Raises:
        UsageError: both ``qrels`` and ``task``, or neither and no judgements beside the runs, or as
            the functions below.
        RunFileError: as the two functions below.
    """
    paths = run_files([runs] if isinstance(runs, str | Path) else runs)
    names = option_text.words(measures)
    if qrels is not None and task is not None:
        raise UsageError("name either the task or the qrels that the runs are judged by")
    if task is None:
        if settings or languages or sample is not None or corpus != "whole":
            raise UsageError(
                "settings and languages need a task, as do sample and corpus: qrels alone know none"
            )
        if qrels is None or Path(qrels).is_dir():
            return score_exported(paths, None if qrels is None else Path(qrels), names)
        return score_with_qrels(paths, Path(qrels), names)
    from harness.data.loading import load

    data = load(
        find_task(task) if isinstance(task, str) else task,
        languages=option_text.languages(languages) if languages else None,
        sample=sample,
        sampled=corpus == "sampled",
        data_dir=Path(data_dir) if data_dir else None,
        offline=offline,
        corpora=corpus == "sampled",  # else the judgements are enough
    )
    chosen = option_text.words(settings) if settings else None
    return score_with_task(paths, data, names, settings=chosen)


def run_files(paths: Sequence[str | Path]) -> list[Path]:
    """The run files of ``paths``: a folder stands for the ``*.run`` files in it, by name.

    Raises:
        UsageError: a folder has none.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        inside = run_files_in(path) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"{path} has no run file, whose name ends in .run")
        found += inside
    return found


def score_exported(
    paths: Sequence[Path], folder: Path | None = None, measures: Sequence[str] = MEASURES
) -> list[Scored]:
    """Score run files of ``harness run --trec``, each by the qrels of its name.

    Setting and languages follow from the file's name and its ids.

    Args:
        paths: run files, as ``mono.de.run``.
        folder: where the qrels are; default: beside each run.
        measures: names, trec_eval's or ours.

    Raises:
        RunFileError: a file cannot be read or is malformed.
        UsageError: a run has no qrels, or another name; or as :func:`score_with_qrels`.
    """
    found: dict[Setting, Scored] = {}
    for path in paths:
        qrels = (folder or path.parent) / f"{path.stem}.qrels"
        if not qrels.exists() or qrels == path:
            if not path.exists():
                raise RunFileError(f"{path} cannot be read: there is no such file")
            raise UsageError(
                f"name either the task or the qrels that the runs are judged by, with --task or "
                f"--qrels: {path} has no {qrels.name} {'there' if folder else 'beside it'}, as "
                "harness run --trec writes them"
            )
        run, judged = read_run(path), read_qrels(qrels)
        setting = _exported_setting(path, judged)
        if setting in found:
            raise UsageError(
                f"{found[setting].path} and {path} both contain setting {setting.name}; score one "
                "system at a time"
            )
        found[setting] = _scored(path, setting, run, judged, measures)
    return [found[x] for x in sorted(found, key=lambda x: KINDS.index(x.kind))]


def _exported_setting(path: Path, judged: Mapping[str, Mapping[str, int]]) -> Setting:
    """``cross.de-en.run`` as a setting; a hyphen in a language's code makes the ids decide."""
    kind = next((x for x in KINDS if path.name.startswith(f"{x}.")), None)
    query, grades = next(iter(judged.items()), ("", {}))
    language, passage_language = (x.partition(":")[0] for x in (query, next(iter(grades), "")))
    if kind is not None:
        setting = Setting(kind, language, None if kind == "multi" else passage_language)
        if path.stem == setting.name.replace("/", "."):
            return setting
    raise UsageError(
        f"{path} is not named as harness run --trec names its files (mono.de.run, cross.de-en.run, "
        "multi.de.run): give the task with --task, or one file with --qrels"
    )


def score_with_qrels(
    paths: Sequence[Path], qrels: Path, measures: Sequence[str] = MEASURES
) -> list[Scored]:
    """Score run files against one qrels file, as ``trec_eval -c`` does.

    Raises:
        RunFileError: a file cannot be read or is malformed.
        UsageError: a measure is unknown, or a run has none of the judged queries.
    """
    judged = read_qrels(qrels)
    return [_scored(path, None, read_run(path), judged, measures) for path in paths]


def score_with_task(
    paths: Sequence[Path],
    data: TaskData,
    measures: Sequence[str] = MEASURES,
    *,
    settings: Sequence[str] | None = None,
) -> list[Scored]:
    """Score one system's run files setting by setting, in the task's order.

    Args:
        paths: run files; each setting is in at most one of them.
        data: the task's data. Queries and passages in other languages of the task are dropped from
            the runs, as is a query's own passage where the task ignores it.
        measures: names, trec_eval's or ours.
        settings: kinds (``multi``) or names (``cross/de-en``) to score the runs as, whatever they
            look like; passages of other languages are left out of their rankings. Where one name is
            given, ids without a language are taken as those of its languages.

    Raises:
        RunFileError: a file is malformed or names a passage that the task does not have.
        UsageError: a setting or measure is unknown, nothing is left to score, or two files have the
            same setting.
    """
    # Those too that run only on request: somebody has run them.
    offered = data.task.settings(data.languages, KINDS)
    chosen = None if settings is None else _choose(settings, offered, data.task.name)
    qrels = {
        language: {global_id(language, x): _judged(data, language, x) for x in side.ids}
        for language, side in data.queries.items()
    }
    passages = {global_id(x, i) for x, side in data.passages.items() for i in side.ids}
    found: dict[Setting, Scored] = {}
    for path in paths:
        run = _in_task(path, read_run(path), data, passages, chosen)
        kept = set(_detected(run) if chosen is None else chosen)
        if chosen is None and not kept <= set(offered):
            absent = min(kept - set(offered))
            raise UsageError(
                f"{path} looks like setting {absent.name}, which task {data.task.name} does not "
                "have; give the right one with --setting"
            )
        spoken = {query.partition(":")[0] for query in run}
        judged = {q: grades for x in qrels if x in spoken for q, grades in qrels[x].items()}
        for part in by_setting(run, judged, [s for s in offered if s in kept]):
            if part.setting in found:
                raise UsageError(
                    f"{found[part.setting].path} and {path} both contain setting "
                    f"{part.setting.name}; "
                    "score one system at a time, with one file per setting, or say with "
                    "--setting what they are"
                )
            found[part.setting] = _scored(path, part.setting, part.run, part.qrels, measures)
    if not found:
        raise UsageError(
            f"nothing to score: no query of {', '.join(map(str, paths))} has a relevant passage in "
            f"{'its setting' if chosen is None else ' '.join(s.name for s in chosen)}"
        )
    return [found[s] for s in offered if s in found]


def kind_means(scored: Sequence[Scored]) -> dict[Kind, dict[str, float]]:
    """Kind -> measure -> macro mean: over each query language's settings, then over languages.

    Counts (``num_...``) are added up, and geometric means averaged as logarithms, as trec_eval does
    over queries.
    """
    means: dict[Kind, dict[str, float]] = {}
    for kind in KINDS:
        of_kind = {x.setting: x.scores for x in scored if x.setting and x.setting.kind == kind}
        if of_kind:
            macro = MacroMean(tuple(of_kind))
            measures = next(iter(of_kind.values()))
            means[kind] = {m: _macro(m, macro, [x[m] for x in of_kind.values()]) for m in measures}
    return means


def _macro(measure: str, macro: MacroMean, values: Sequence[float]) -> float:
    if measure.startswith("num_"):
        return float(sum(values))
    if measure.startswith("gm_"):
        return float(np.exp(macro.mean(np.log(values))))
    return macro.mean(values)


def _scored(
    path: Path,
    setting: Setting | None,
    run: Run,
    qrels: Mapping[str, Mapping[str, int]],
    measures: Sequence[str],
) -> Scored:
    result = run_scores(run, qrels, measures)
    return Scored(
        path=path,
        setting=setting,
        queries=len(result.queries),
        missing=len(result.missing),
        unjudged=len(result.unjudged),
        depth=max(map(len, run.values())),
        scores=result.means(),
    )


def _choose(requested: Sequence[str], offered: Sequence[Setting], task: str) -> list[Setting]:
    """The settings that kinds and names refer to."""
    for name in requested:
        known = [*dict.fromkeys(s.kind for s in offered), *(s.name for s in offered)]
        if name not in known:
            examples = [next(s.name for s in offered if s.kind == k) for k in known if k in KINDS]
            raise UsageError(
                f"--setting: task {task} has no setting {name!r} over the languages loaded; "
                f"a setting is a kind or a name such as {', '.join(examples)}"
                f"{did_you_mean(name, known)}"
            )
    return [s for s in offered if s.kind in requested or s.name in requested]


def _detected(run: Run) -> set[Setting]:
    """The setting of each query language, by the languages of what was retrieved."""
    retrieved: dict[str, set[str]] = {}
    for query, scores in run.items():
        passage_languages = retrieved.setdefault(query.partition(":")[0], set())
        passage_languages.update(passage.partition(":")[0] for passage in scores)
    if any(len(passage_languages) > 1 for passage_languages in retrieved.values()):
        return {Setting("multi", query_language, None) for query_language in retrieved}
    return {
        Setting(
            "mono" if passage_languages == {query_language} else "cross",
            query_language,
            min(passage_languages),
        )
        for query_language, passage_languages in retrieved.items()
    }


def _judged(data: TaskData, language: str, question: str) -> dict[str, int]:
    own = own_passages(data, language, question, data.languages)
    return {p: grade for p, grade in data.qrels[question].items() if p not in own}


def _in_task(
    path: Path,
    run: Run,
    data: TaskData,
    passages: Set[str],
    chosen: Sequence[Setting] | None,
) -> dict[str, dict[str, float]]:
    """``run`` with global ids, without languages that ``data`` lacks."""
    only = chosen[0] if chosen is not None and len(chosen) == 1 else None
    spoken = data.task.languages
    searched = data.task.with_passages(data.languages)
    queries = {global_id(x, i) for x, side in data.queries.items() for i in side.ids}
    kept: dict[str, dict[str, float]] = {}
    for named, scores in run.items():
        query, query_language = named, named.partition(":")[0]
        if ":" not in query or query_language not in spoken:
            if only is None:
                raise RunFileError(
                    f"{path}: query {query!r} does not say its language: write it as "
                    f"{global_id(data.languages[0], query)!r}, or name the setting of the file, as "
                    f"in --setting mono/{data.languages[0]}"
                )
            query, query_language = global_id(only.query_language, query), only.query_language
        if query not in queries:
            # Ids as a task's own files have them, where they mean another question per language.
            own = global_id(
                query_language,
                question_id(query_language, query.removeprefix(f"{query_language}:")),
            )
            query = own if own in queries else query
        if query_language not in data.queries:
            continue
        _refuse_second_name(path, "query", query, named, kept)
        row: dict[str, float] = {}
        for name, score in scores.items():
            passage, language = name, name.partition(":")[0]
            if (":" not in passage or language not in spoken) and only and only.passage_language:
                passage, language = global_id(only.passage_language, passage), only.passage_language
            _refuse_second_name(path, f"for query {named!r} passage", passage, name, row)
            # A streamed corpus is not searched for unjudged ids.
            if passage in passages or (not passages and language in searched):
                row[passage] = score
            elif not passages and language in spoken:
                continue
            elif language not in spoken or language in data.passages:
                example = min(passages, default=global_id(data.languages[0], "ID"))
                raise RunFileError(
                    f"{path}: task {data.task.name} has no passage {passage!r} (query {query!r}); "
                    f"its ids look like {example!r}{did_you_mean(passage, [example])}"
                )
        question = query.removeprefix(f"{query_language}:")
        for own in own_passages(data, query_language, question, data.languages):
            row.pop(own, None)
        if row:
            kept[query] = row
    if not queries & kept.keys():
        raise RunFileError(
            f"{path}: none of its queries is one of task {data.task.name} in "
            f"{', '.join(data.languages)}; ids look like {min(queries)!r}"
        )
    return kept


def _refuse_second_name(
    path: Path, what: str, name: str, written: str, there: Mapping[str, object]
) -> None:
    """Refuse what has been ranked already, with its language in the id or without."""
    if name in there:
        raise RunFileError(
            f"{path}: {what} {name!r} is there under two names, {written!r} the second; keep "
            "one of them"
        )
