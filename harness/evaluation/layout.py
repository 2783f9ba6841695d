"""The layout of a task for a run: data loaded, pool ordered, settings chosen, nothing encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.data.download import Progress as DownloadProgress
from harness.data.loading import load as load_data
from harness.data.pool import Pool, RelevantPassages
from harness.data.task import Role, Setting, TaskSpec, default_tasks, find_task
from harness.data.task_data import TaskData
from harness.errors import UsageError
from harness.evaluation.options import RunOptions, check_word
from harness.metrics import (
    BIAS_SUITE,
    INTRUSION_SUITE,
    OUTSIDE_SUITE,
    PAIR_SUITE,
    Measure,
    parse_measures,
)


class RewrittenQueries(NamedTuple):
    """The queries of one language as searched, in order."""

    language: str
    """The language of the texts."""
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """A loaded task and its layout, before any vector exists."""

    data: TaskData
    pool: Pool
    settings: tuple[Setting, ...]
    relevant: Mapping[str, RelevantPassages]
    """Query language -> relevant passages, for every query language of some setting."""
    shown: tuple[Measure, ...]
    """The measures to show, chosen by the task or the user."""
    measures: tuple[Measure, ...]
    """All measures computed: those shown, then the bias suite if there is a multilingual pool."""

    typed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Query language -> its queries under robustness conditions, if any
    (:mod:`harness.evaluation.query_conditions`)."""
    conditions: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    """Name of a condition -> query language -> numbers of what it changed."""
    rewritten: Mapping[str, RewrittenQueries] = field(default_factory=dict)
    """Query language -> its rewritten queries, if any
    (:mod:`harness.evaluation.query_rewriting`)."""

    @property
    def spec(self) -> TaskSpec:
        """The task."""
        return self.data.task

    def query_texts(self, language: str) -> Sequence[str]:
        """The text of the queries of a language, rewritten or not."""
        return (
            self.rewritten[language].texts
            if language in self.rewritten
            else self.typed_texts(language)
        )

    def typed_texts(self, language: str) -> Sequence[str]:
        """The queries of a language as they are typed, before they are rewritten."""
        return self.typed.get(language, self.data.queries[language].texts)

    def encoded_in(self, role: Role, language: str) -> str:
        """The language that texts of a role and language are in once they are encoded."""
        rewritten = self.rewritten.get(language) if role == "query" else None
        return language if rewritten is None else rewritten.language


def choose_tasks(names: Sequence[str | TaskSpec] | None, text: str | None) -> list[TaskSpec]:
    """The named tasks, each once, or the default ones.

    Raises:
        UsageError: two different tasks have one name, by which a record tells them apart, or none
            is named.
    """
    if names is None:
        return [find_task(t.name, text=text) for t in default_tasks()]
    found: dict[str, TaskSpec] = {}
    for x in names:
        spec = x if isinstance(x, TaskSpec) else find_task(x, text=text)
        check_word("--task", spec.path)
        first = found.setdefault(spec.name, spec)
        # Files with the same words in two folders have data of their own.
        if (first.path.resolve(), first.text) != (spec.path.resolve(), spec.text):
            raise UsageError(f"two different tasks are called {spec.name}; run one after the other")
    if not found:
        raise UsageError("no task is named; leave tasks out for the default ones")
    return list(found.values())


def prepare(
    spec: TaskSpec, options: RunOptions, progress: DownloadProgress | None = None
) -> Prepared:
    """Load a task's data and lay out its pool, settings and relevant passages.

    ``progress`` gets the downloaded bytes.

    Raises:
        DataError: data is missing or malformed.
        UsageError: the task lacks a language, or nothing is left to run.
    """
    if spec.images and options.rerank:
        raise UsageError(
            f"--rerank reads texts, and the passages of {spec.name} are images; leave it out, or "
            "choose a --text that is no image"
        )
    data = load_data(
        spec,
        languages=options.languages,
        data_dir=options.data_dir,
        offline=options.offline,
        limit=options.limit,
        sampled=options.corpus == "sampled",
        sample=options.sample,
        progress=progress,
    )
    if options.corpus == "sampled" and not any(c.sampled for c in data.corpora.values()):
        raise UsageError(
            f"--corpus sampled is for a sample of a corpus, but task {spec.name} has a whole one; "
            "drop the flag"
        )
    sides = data.corpora or data.passages
    # The pool of a corpus is unknown before the search: until then it has only relevant passages.
    pool = Pool.of_ids(_relevant_ids(data)) if data.corpora else Pool.of(data)
    chosen = spec.settings(data.languages, options.settings)
    settings = tuple(
        s
        for s in chosen
        if s.query_language in data.queries
        and (s.passage_language is None or s.passage_language in sides)
        and (s.kind != "pairs" or s.query_language in sides)
    )
    if not settings:
        kinds = ", ".join(options.settings or spec.kinds)
        raise UsageError(
            f"task {spec.name} has no setting of kind {kinds} over the languages "
            f"{', '.join(data.languages)}; its kinds are {', '.join(spec.kinds)}"
        )
    shown = parse_measures(options.measures or spec.measures)
    suite: tuple[Measure, ...] = ()
    if options.bias and len(sides) > 1 and any(s.kind == "multi" for s in settings):
        suite = parse_measures(_bias_suite(data, settings))
    if any(s.kind == "pairs" for s in settings):
        if options.rerank:
            raise UsageError(
                "--settings pairs takes the ranks of single passages from the pool of all "
                "languages, and --rerank changes them in the top k alone; leave one out"
            )
        suite += parse_measures(PAIR_SUITE)
    measures = tuple({m.name: m for m in shown + suite}.values())
    if options.top_k is not None and any(s.kind == "multi" for s in settings):
        _check_top_k(options.top_k, sum(data.passage_counts.values()), measures)
    query_languages = [x for x in data.languages if any(s.query_language == x for s in settings)]
    return Prepared(
        data=data,
        pool=pool,
        settings=settings,
        relevant={x: RelevantPassages.of(data, x, pool) for x in query_languages},
        shown=shown,
        measures=measures,
    )


def _check_top_k(top_k: int, pool: int, measures: Sequence[Measure]) -> None:
    """Refuse to keep fewer passages than a measure of the languages on top looks at."""
    for m in measures:
        needed = min(m.cutoff or 1, pool)
        if "top_k_languages" in m.needs and needed > top_k:
            raise UsageError(
                f"--top-k {top_k} keeps fewer passages of each ranking than {m.name} needs; take "
                f"{needed} or more, or leave it out"
            )


def _bias_suite(data: TaskData, settings: Sequence[Setting]) -> tuple[str, ...]:
    """The bias measures of a pool of several languages."""
    sides = data.corpora or data.passages
    if not any(s.query_language in sides for s in settings if s.kind == "multi"):
        return OUTSIDE_SUITE
    return INTRUSION_SUITE if data.corpora else BIAS_SUITE


def _relevant_ids(data: TaskData) -> dict[str, list[str]]:
    """Language -> local ids of its relevant passages."""
    found: dict[str, dict[str, None]] = {language: {} for language in data.corpora}
    for judged in data.qrels.values():
        for passage, grade in judged.items():
            language, _, local = passage.partition(":")
            if grade > 0:
                found[language][local] = None
    return {language: list(ids) for language, ids in found.items()}


def refuse_corpora(spec: TaskSpec, what: str) -> None:
    """Raise :class:`UsageError` if ``what`` needs passages in memory that are streamed.

    Raises:
        UsageError: the task's passages are streamed.
    """
    if spec.streamed:
        raise UsageError(
            f"task {spec.name} is too large for {what}, which needs all passages in memory; name a "
            "small task"
        )


def texts_of(prepared: Prepared) -> list[tuple[Role, str, Sequence[str]]]:
    """The texts to encode: (role, language, texts), queries first; none of corpora."""
    queries: list[tuple[Role, str, Sequence[str]]] = [
        ("query", x, prepared.query_texts(x)) for x in prepared.relevant
    ]
    passages: list[tuple[Role, str, Sequence[str]]] = [
        ("passage", x, t.texts) for x, t in prepared.data.passages.items()
    ]
    return queries + passages
