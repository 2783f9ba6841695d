"""The same subsets through ``mteb.evaluate`` and through the harness: costs and differences.

    python benchmarks/against_mteb.py --data-dir DIR [--model MODEL] [--languages en,de,ar,th]

Four languages make 20 subsets: 4 monolingual, 12 cross-lingual, 4 with one query language against
the pool of all four; ``--languages all`` makes XQuAD-R's 132. Both sides get the same encoder, the
same texts and the same ids (``de:17-3``), so ties fall the same way, and each has a fresh process:
thread pools that one side leaves behind would slow the other. mteb runs as it comes, without its
result cache; its task is built in memory and its libraries are imported before the clock starts.
Ours reads the data files, uses no vectors from an earlier run, loads its inner loops (the first run
after an installation compiles them: take the second) and computes every measure of the task over
whole rankings. The model's weights are loaded before either clock starts. On a machine with other
work to do, set OMP_NUM_THREADS=1: threads that wait for each other count as CPU seconds.

mteb rounds means to 5 decimals and keeps 1,000 hits, so its mAP lacks the relevant passages below.
A query whose nDCG@10 differs counts as a tie where moving their scores by no more than 1e-6 in
mteb's own ranking gives our value too: equal texts need not get equal scores there, since the last
bit depends on the shape of the product.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

import harness
from harness.data.task import Kind, Role, Setting, find_task
from harness.data.task_data import TaskData, global_id
from harness.errors import HarnessError, ModelError

if TYPE_CHECKING:
    from harness.models import DenseModel

MEASURES = {
    "ndcg@10": "ndcg_at_10",
    "recall@10": "recall_at_10",
    "mrr@10": "mrr_at_10",
    "map": "map_at_1000",
}
"""Our name -> the nearest that mteb reports."""
NEAR = 1e-6
"""Cosines this close are ties for float32: about 16 units in the last place of 1.0."""
SAME = 1e-9
"""Per-query values this close are equal: both sides compute them in float64 from ranks."""


@dataclass
class Cost:
    """What one side took."""

    texts: int = 0
    cpu: float = 0.0
    """CPU seconds of the process, all threads."""
    encoder_cpu: float = 0.0
    """Those of them inside the encoder."""
    wall: float = 0.0


@dataclass(frozen=True)
class Side:
    """What one side found."""

    model: str
    cost: Cost
    scores: Mapping[str, Mapping[str, float]]
    """Subset -> measure of ours -> mean; mteb's are rounded to 5 decimals."""
    per_query: Mapping[tuple[str, str], float]
    """(subset, question) -> nDCG@10; of ours alone."""


class Ties(NamedTuple):
    """How nDCG@10 compares query by query."""

    queries: int
    differing: int
    by_ties: int
    """Those that differ and that ties explain."""


@dataclass(frozen=True)
class Comparison:
    """Both sides of one task and model."""

    theirs: Side
    ours: Side
    ties: Ties

    def largest(self, measure: str) -> tuple[float, str]:
        """Largest absolute difference over the subsets, and where."""
        gaps = {
            subset: abs(scores[measure] - self.theirs.scores[subset][measure])
            for subset, scores in self.ours.scores.items()
        }
        subset = max(gaps, key=lambda name: gaps[name])
        return gaps[subset], subset


class Counted:
    """A loaded model that counts texts and CPU seconds, on behalf of whoever calls it."""

    def __init__(self, model: DenseModel) -> None:
        self._model = model
        self.name, self.similarity, self.prompts = model.name, model.similarity, model.prompts
        self.facts, self.fingerprint = model.facts, model.fingerprint
        self.languages, self.parameters = model.languages, model.parameters
        self._cost = Cost()

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> Any:
        """What the model gives, (n, d) float32."""
        begun = time.process_time()
        vectors = self._model.encode(texts, role=role, language=language)
        self._cost.encoder_cpu += time.process_time() - begun
        self._cost.texts += len(texts)
        return vectors

    @contextmanager
    def clock(self) -> Iterator[Cost]:
        """Measure the block, and count what it has encoded."""
        self._cost = cost = Cost()
        wall, cpu = time.perf_counter(), time.process_time()
        yield cost
        cost.cpu, cost.wall = time.process_time() - cpu, time.perf_counter() - wall


class PerQuery:
    """mteb's nDCG@10 of each query beside ours, while mteb still holds its rankings."""

    def __init__(self, ours: Mapping[tuple[str, str], float]) -> None:
        self.ours = ours
        self.queries = 0
        self.differing: list[tuple[float, dict[str, int], dict[str, float]]] = []

    def add(self, subset: str, theirs: Any, qrels: Any, hits: Any) -> None:
        """Compare one subset; hits are kept only of queries that differ (they are large)."""
        for query, values in theirs.items():
            self.queries += 1
            mine = self.ours[subset, query.split(":", 1)[1]]
            if abs(values["ndcg_cut_10"] - mine) > SAME:
                self.differing.append((mine, qrels[query], hits[query]))

    def ties(self) -> Ties:
        """Count, and look at those that differ."""
        explained = sum(explained_by_ties(*query) for query in self.differing)
        return Ties(self.queries, len(self.differing), explained)


def explained_by_ties(ours: float, relevant: dict[str, int], hits: dict[str, float]) -> bool:
    """Whether nDCG@10 can be ``ours`` if relevant passages' scores move by at most :data:`NEAR`."""
    import pytrec_eval

    # Two "queries", worst and best: every relevant passage moved down, every one moved up.
    run = {
        str(by): {p: score + by * (p in relevant) for p, score in hits.items()}
        for by in (-NEAR, NEAR)
    }
    judge = pytrec_eval.RelevanceEvaluator(dict.fromkeys(run, relevant), {"ndcg_cut.10"})
    low, high = sorted(values["ndcg_cut_10"] for values in judge.evaluate(run).values())
    return bool(low - SAME <= ours <= high + SAME)


def mteb_task(data: TaskData, settings: Sequence[Setting], per_query: PerQuery) -> Any:
    """``data`` as an ``AbsTaskRetrieval`` with one subset per setting, loaded."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    def rows(side: Mapping[str, Any], languages: Sequence[str]) -> dict[str, list[str]]:
        return {
            "id": [global_id(x, i) for x in languages for i in side[x].ids],
            "text": [t for x in languages for t in side[x].texts],
        }

    def subset(setting: Setting) -> dict[str, Any]:
        language, searched = setting.query_language, setting.passage_language
        corpus = rows(data.passages, data.languages if searched is None else [searched])
        present = set(corpus["id"])
        qrels = {
            global_id(language, question): relevant
            for question in data.queries[language].ids
            if (
                relevant := {
                    p: g for p, g in data.qrels[question].items() if p in present and g > 0
                }
            )
        }
        # A query without a relevant passage in this subset is not part of it.
        queries = Dataset.from_dict(rows(data.queries, [language]))
        return {
            "corpus": Dataset.from_dict(corpus),
            "queries": queries.select([n for n, i in enumerate(queries["id"]) if i in qrels]),
            "relevant_docs": qrels,
            "top_ranked": None,
        }

    class InMemory(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name=f"harness-{data.task.name}",
            description=data.task.description,
            type="Retrieval",
            category="t2t",
            dataset={"path": data.task.name, "revision": data.digest},
            main_score="ndcg_at_10",
            # mteb asks for ISO 639-3 codes and prints them; no number depends on them.
            eval_langs={s.name: ["mul"] for s in settings},
        )

        def task_specific_scores(
            self, scores: Any, qrels: Any, results: Any, hf_split: str, hf_subset: str
        ) -> dict[str, float]:
            per_query.add(hf_subset, scores, qrels, results)
            return {}

    task = InMemory()
    task.dataset = {s.name: {"test": subset(s)} for s in settings}
    task.data_loaded = True
    return task


def mteb_encoder(model: Counted) -> Any:
    """``model`` behind mteb's encoder protocol."""
    from mteb.models import ModelMeta
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ScoringFunction
    from mteb.types import PromptType

    similarity = (
        ScoringFunction.COSINE if model.similarity == "cosine" else ScoringFunction.DOT_PRODUCT
    )

    class Encoder(AbsEncoder):
        mteb_model_meta = ModelMeta.create_empty({"similarity_fn_name": similarity})

        def __init__(self) -> None:
            self.model = model

        def encode(self, inputs: Any, *, prompt_type: Any = None, **_: Any) -> Any:
            role: Role = "query" if prompt_type == PromptType.query else "passage"
            # Passages: mteb strips "text" of blanks at its ends, "body" is as the task has it.
            read = [
                (i.split(":", 1)[0], text)
                for batch in inputs
                for i, text in zip(batch["id"], batch.get("body", batch["text"]), strict=True)
            ]
            return np.concatenate(
                [
                    model.encode([text for _, text in group], role=role, language=language)
                    for language, group in itertools.groupby(read, key=lambda x: x[0])
                ]
            )

    return Encoder()


@dataclass(frozen=True)
class Work:
    """What both sides are to do, in a form that a new process can be given."""

    task: str
    model: str
    part: Mapping[str, Any]
    """``languages``, ``limit`` and ``data_dir``, as ``harness.evaluate`` takes them."""
    kinds: tuple[Kind, ...] | None = None
    """Kinds of setting; ``None``: the task's."""

    def data(self) -> TaskData:
        """The task's texts and judgements."""
        from harness.data.loading import load

        return load(find_task(self.task), **self.part)

    def encoder(self, data: TaskData) -> Counted:
        """The model, weights loaded."""
        from harness.models import load

        model = load(self.model)
        if not hasattr(model, "encode"):
            raise ModelError(f"{model.name} gives no vectors; this comparison needs an encoder")
        dense = cast("DenseModel", model)
        first = data.languages[0]
        dense.encode(data.queries[first].texts[:1], role="query", language=first)
        return Counted(dense)


def run_ours(work: Work) -> Side:
    """``harness.evaluate``."""
    model = work.encoder(work.data())
    spec = find_task(work.task)
    with model.clock() as cost:
        record = harness.evaluate(
            model,
            tasks=[spec],
            measures=tuple(dict.fromkeys((*spec.measures, *MEASURES))),
            store=False,
            settings=work.kinds,
            **work.part,
        )
    scores = {row.setting: row.scores for row in record.task(spec.name).settings}
    table = record.per_query(spec.name)
    keys = zip(table.setting, table.question, strict=True)
    return Side(model.name, cost, scores, dict(zip(keys, table["ndcg@10"], strict=True)))


def run_theirs(work: Work, ours: Mapping[tuple[str, str], float]) -> tuple[Side, Ties]:
    """``mteb.evaluate``; ``ours`` is what its per-query values are compared with."""
    import datasets
    import mteb
    import sentence_transformers  # noqa: F401  mteb.evaluate would import it on the clock

    datasets.disable_progress_bars()
    data = work.data()
    per_query = PerQuery(ours)
    task = mteb_task(data, data.task.settings(data.languages, work.kinds), per_query)
    model = work.encoder(data)
    encoder = mteb_encoder(model)
    with model.clock() as cost:
        result = mteb.evaluate(
            encoder, tasks=[task], cache=None, co2_tracker=False, show_progress_bar=False
        )
    scores = {
        row["hf_subset"]: {ours: float(row[theirs]) for ours, theirs in MEASURES.items()}
        for row in result.task_results[0].scores["test"]
    }
    return Side(model.name, cost, scores, {}), per_query.ties()


def compare(work: Work) -> Comparison:
    """Run both sides, one after the other, each in a process of its own.

    Raises:
        HarnessError: an unknown task, model or language; data that is missing.
    """
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh) as process:
        ours = process.submit(run_ours, work).result()
    with ProcessPoolExecutor(1, fresh) as process:
        theirs, ties = process.submit(run_theirs, work, ours.per_query).result()
    return Comparison(theirs, ours, ties)


def show(task: str, found: Comparison) -> None:
    """Print costs and differences."""
    kinds = [name.split("/")[0] for name in found.ours.scores]
    made_of = ", ".join(f"{kinds.count(k)} {k}" for k in dict.fromkeys(kinds))
    questions = len({question for _, question in found.ours.per_query})
    print(
        f"{task}, {found.ours.model}: {len(kinds)} subsets ({made_of}), "
        f"{questions:,} questions, {os.cpu_count()} cores"
    )
    print(f"{'':20}{'mteb ' + version('mteb'):>14}{'harness':>12}{'ratio':>9}")
    theirs, ours = found.theirs.cost, found.ours.cost
    for label, there, here, form in (
        ("texts encoded", theirs.texts, ours.texts, ",d"),
        ("CPU seconds", theirs.cpu, ours.cpu, ",.1f"),
        ("  in the encoder", theirs.encoder_cpu, ours.encoder_cpu, ",.1f"),
        ("  all the rest", theirs.cpu - theirs.encoder_cpu, ours.cpu - ours.encoder_cpu, ",.1f"),
        ("wall seconds", theirs.wall, ours.wall, ",.1f"),
    ):
        ratio = f"{there / here:.2f}" if here else "-"
        print(f"{label:<20}{there:>14{form}}{here:>12{form}}{ratio:>9}")
    print("\nlargest difference over the subsets, mteb's mean (rounded to 5 decimals) against ours")
    for measure, name in MEASURES.items():
        gap, subset = found.largest(measure)
        print(f"  {measure:<10}{gap:>12.7f}  in {subset}, against mteb's {name}")
    print(
        f"nDCG@10 differs in {found.ties.differing:,} of {found.ties.queries:,} queries, "
        f"in {found.ties.by_ties:,} of these by ties alone (scores within {NEAR:g})"
    )


def main() -> None:
    """Run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default=None, help="default: HARNESS_DATA")
    parser.add_argument("--model", default="use-m3", help="a name or folder, as `harness run`")
    parser.add_argument("--task", default="xquad-r")
    parser.add_argument("--languages", default="en,de,ar,th", help="comma-separated, or all")
    parser.add_argument("--limit", type=int, default=None, help="first N questions, all passages")
    given = parser.parse_args()
    languages = None if given.languages == "all" else tuple(given.languages.split(","))
    part = {"languages": languages, "limit": given.limit, "data_dir": given.data_dir}
    try:
        found = compare(Work(given.task, given.model, part))
    except HarnessError as error:
        parser.exit(2, f"{error}\n")
    show(given.task, found)


if __name__ == "__main__":
    main()
