"""TREC run and qrels files of a run, one pair per setting, for trec_eval and similar tools.

Query ids are ``LANG:QUESTION`` and passage ids ``LANG:PASSAGE`` in every file, so that
``harness score`` can tell which setting a file is of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.progress import Stages
from harness.data.task import Setting
from harness.data.task_data import global_id
from harness.data.trec import Ranking, write_qrels, write_run
from harness.errors import StoreError
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.evaluation.search_stage import cut, export_depth, kept_depth, looked_at
from harness.search.results import SearchResult


def file_stem(setting: Setting) -> str:
    """``cross/de-en`` -> ``cross.de-en``."""
    return setting.name.replace("/", ".")


def qrels_of(prepared: Prepared, setting: Setting) -> dict[str, dict[str, int]]:
    """The judgements of one setting by global query id; only queries with a relevant passage."""
    prefix = None if setting.passage_language is None else f"{setting.passage_language}:"
    qrels: dict[str, dict[str, int]] = {}
    for question in prepared.relevant[setting.query_language].questions:
        relevant = {
            passage: grade
            for passage, grade in prepared.data.qrels.get(question, {}).items()
            if grade > 0 and (prefix is None or passage.startswith(prefix))
        }
        if relevant:
            qrels[global_id(setting.query_language, question)] = relevant
    return qrels


def _rankings(
    prepared: Prepared, setting: Setting, found: SearchResult, judged: Mapping[str, Any], depth: int
) -> Iterator[Ranking]:
    if setting.passage_language is None:
        top_k, scores = found.top_k, found.top_k_scores
    else:
        top_k, scores = found.block_top_k[setting.passage_language]
    for i, question in enumerate(found.relevant.questions):
        query = global_id(setting.query_language, question)
        if query in judged:
            yield Ranking(query, list(prepared.pool.ids[top_k[i, :depth]]), scores[i, :depth])


@dataclass(frozen=True)
class TrecExport:
    """``SETTING.run`` and ``SETTING.qrels`` for every setting of a run, in ``folder``."""

    folder: Path
    """Created if missing; files of the same names are replaced atomically."""
    prepared: Prepared
    tag: str
    """Last column of the run files; white space becomes ``-``."""
    depth: int
    """Passages per query at most."""

    def write(self, found: SearchResult) -> None:
        """Write the settings of one query language; its top k must be ``depth`` deep."""
        for setting in self.prepared.settings:
            # No ranking of a pool of two languages is kept, only the ranks in it.
            if setting.query_language != found.language or setting.kind == "pairs":
                continue
            judged = qrels_of(self.prepared, setting)
            if not judged:
                continue
            stem = self.folder / file_stem(setting)
            rankings = _rankings(self.prepared, setting, found, judged, self.depth)
            write_run(stem.with_name(stem.name + ".run"), rankings, tag="-".join(self.tag.split()))
            write_qrels(stem.with_name(stem.name + ".qrels"), judged)


@dataclass(frozen=True)
class Exporter:
    """Exports each query language's rankings as they are computed, if requested.

    Whole rankings of all languages would not fit into memory, so once written they are truncated to
    the depth needed later.
    """

    options: RunOptions
    tag: str
    stages: Stages
    problems: list[StoreError]
    """Why files could not be written: a full disk must not cost the run its record, so the first
    problem is added here, and nothing more is exported."""

    def __call__(self, task: Prepared, found: SearchResult) -> SearchResult:
        """Write ``found``; returns the part to keep."""
        options = self.options
        if options.trec is None:
            return found
        if not self.problems:
            self._export(task, found)
        kept = kept_depth(task, options)
        return cut(found, max(looked_at(task, options), kept), kept)

    def _export(self, task: Prepared, found: SearchResult) -> None:
        assert self.options.trec is not None
        with self.stages.stage("export"):
            folder, depth = (
                self.options.trec / task.spec.name,
                export_depth(self.options, task.pool),
            )
            try:
                TrecExport(folder, task, self.tag, depth).write(found)
            except StoreError as problem:
                self.problems.append(problem)

    def summary(self, task: Prepared) -> dict[str, Any] | None:
        """The export's entry in the record; ``None`` if there is none, or it is incomplete."""
        if self.options.trec is None or self.problems:
            return None
        folder = self.options.trec / task.spec.name
        return {"folder": str(folder), "depth": export_depth(self.options, task.pool)}


def raise_first(problems: Sequence[StoreError], output: str | Path | None) -> None:
    """Raise the first problem of an export, if any, once the record is complete in ``output``."""
    if problems:
        where = "" if output is None else f" (the record is complete, in {output})"
        raise StoreError(f"{problems[0]}{where}")
