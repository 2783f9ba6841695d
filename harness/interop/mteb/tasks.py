"""Our tasks as mteb's: one subset per setting, the same texts, ids, judgements and order of ties.

``mteb.evaluate(model, tasks=[XQuADR()])`` works unchanged. Where the model is an encoder, its
texts are encoded once and searched by the harness: subsets get the top 1,000 that mteb keeps, and
the measures that need whole rankings (mAP, rank distance, the bias suite) are in
``task_specific_scores``. Models with their own search, and cross-encoders, take mteb's path and
have no such scores, because mteb keeps too little of a ranking.

mteb strips leading and trailing blanks; the encoder gets the texts as they are in the task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import EncoderProtocol, SearchProtocol
from numpy.typing import NDArray

from harness.base.languages import with_script
from harness.data.task import Kind, Role, Setting, TaskSpec, find_task
from harness.data.task_data import TaskData, global_id
from harness.errors import UsageError
from harness.evaluation.absent import with_absent
from harness.evaluation.corpus_run import read_corpora
from harness.evaluation.layout import Prepared, prepare, texts_of
from harness.evaluation.options import RunOptions
from harness.evaluation.scores import per_query
from harness.evaluation.trec_export import qrels_of
from harness.interop.mteb.names import MAIN_SCORE, SPLIT, mteb_name
from harness.interop.mteb.search import TopPassages, scoring_of
from harness.models.base import Similarity
from harness.models.mteb_registry import encode_with_mteb
from harness.search.exact import normalised
from harness.search.in_memory import DenseScores
from harness.search.own_passages import without_own
from harness.search.results import SearchResult
from harness.search.tiles import rank
from harness.stats.means import MacroMean, setting_means
from harness.vectors import encode as encoding

_TOP = 1000
"""Passages per query that mteb keeps."""

_PASSAGE_BYTES = 16 << 10
"""Bytes of a passage of a corpus here: its text, again in mteb's data set, and its vector twice."""


def subset_languages(setting: Setting, languages: Sequence[str]) -> list[str]:
    """``["deu-Latn", "eng-Latn"]`` of ``cross/de-en``: the query's language first."""
    if setting.kind == "multi":
        named = [setting.query_language, *(x for x in languages if x != setting.query_language)]
    else:
        named = [setting.query_language, str(setting.passage_language)]
    return list(dict.fromkeys(with_script(x) for x in named))


def by_query_language(settings: Sequence[Setting]) -> list[Setting]:
    """Settings in the order they are searched: all of one query language, then the next."""
    query_languages = list(dict.fromkeys(s.query_language for s in settings))
    return sorted(settings, key=lambda s: query_languages.index(s.query_language))


def metadata_of(
    spec: TaskSpec, settings: Sequence[Setting], revision: str, languages: Sequence[str]
) -> TaskMetadata:
    """Mteb's metadata of a task; ``revision`` is the digest of its data."""
    cited = spec.citation.strip()
    return TaskMetadata(
        name=mteb_name(spec),
        description=spec.description,
        type="Retrieval",
        category="t2t",
        dataset={"path": f"polyglot-harness/{spec.name}", "revision": revision},
        eval_splits=[SPLIT],
        eval_langs={s.name: subset_languages(s, languages) for s in by_query_language(settings)},
        main_score=MAIN_SCORE,
        bibtex_citation=cited if cited.startswith("@") else "",
    )


def from_task_file(name_or_path: str | Path) -> type[BridgedTask]:
    """The class of a task: of one that comes with the harness, or of a task file of one's own.

    Its class attribute ``metadata`` describes the whole task; an instance's has the requested
    subsets and, as its revision, the digest of the data that was read.

    Raises:
        TaskError: no such task, or its file is wrong.
    """
    spec = find_task(str(name_or_path))
    whole = metadata_of(spec, spec.settings(), spec.digest, spec.languages)
    return type(mteb_name(spec), (BridgedTask,), {"metadata": whole, "spec": spec})


class BridgedTask(AbsTaskRetrieval):
    """A task of the harness as mteb runs it."""

    spec: TaskSpec
    data_loaded: bool = False

    def __init__(
        self,
        *,
        languages: Sequence[str] | None = None,
        settings: Sequence[Kind] | None = None,
        text: str | None = None,
        data_dir: str | Path | None = None,
        offline: bool = False,
        limit: int | None = None,
        options: RunOptions | None = None,
        **given: Any,
    ) -> None:
        """Read the task's data, fetching what is missing.

        Args:
            languages: some of the task's; default all.
            settings: some of ``mono``, ``cross``, ``multi``.
            text: the text option, where the task has several.
            data_dir: a local copy of the data, as ``harness run --data-dir``.
            offline: never touch the network.
            limit: the first questions alone.
            options: of a run, in place of the arguments above.
            **given: for mteb.

        Raises:
            HarnessError: data is missing or malformed, or an argument does not fit the task; or a
                corpus takes more memory than ``options.memory``, by default a quarter of the
                machine's.
        """
        chosen = options or RunOptions(
            languages=None if languages is None else tuple(languages),
            settings=None if settings is None else tuple(settings),
            data_dir=None if data_dir is None else Path(data_dir),
            offline=offline,
            limit=limit,
        )
        spec = find_task(str(self.spec.path), text=text)
        if spec.images:
            raise UsageError(
                f"task {spec.name}: mteb's runner gets texts from the harness, and its passages "
                "are images: give the text option of their texts, or use `harness run`"
            )
        self.prepared: Prepared = read_corpora(
            prepare(spec, chosen), chosen, "mteb's runner takes", _PASSAGE_BYTES
        )
        data = self.prepared.data
        # Those of a language without passages have no query, which mteb cannot score.
        judged = [s for s in self.prepared.settings if qrels_of(self.prepared, s)]
        self.metadata = metadata_of(spec, judged, data.digest, data.languages)
        super().__init__(**given)
        # Of a model that searches by itself; our search leaves them out anyway.
        self.ignore_identical_ids = bool(spec.source.ignore_identical_ids)
        self._by_name = {s.name: s for s in judged}
        self._searched: _Searched | None = None
        self._found: _OneLanguage | None = None
        self._seen: tuple[Any, dict[str, dict[str, Any]]] = (None, {})

    def load_data(self, num_proc: int | None = None, **given: Any) -> None:
        """Arrange the texts as mteb's datasets; subsets share pools and queries."""
        if self.data_loaded:
            return
        from datasets import Dataset

        data = self.prepared.data
        corpora = {x: Dataset.from_dict(_rows(data, "passage", [x])) for x in data.passages}
        queries = {x: Dataset.from_dict(_rows(data, "query", [x])) for x in self.prepared.relevant}
        multi = any(s.kind == "multi" for s in self.prepared.settings)
        everything = (
            Dataset.from_dict(_rows(data, "passage", list(data.passages))) if multi else None
        )
        self.dataset = {}
        for setting in self._by_name.values():
            judged = qrels_of(self.prepared, setting)
            rows = queries[setting.query_language]
            keep = [i for i, query in enumerate(rows["id"]) if query in judged]
            passages = setting.passage_language
            self.dataset[setting.name] = {
                SPLIT: {
                    "corpus": everything if passages is None else corpora[passages],
                    "queries": rows if len(keep) == len(rows) else rows.select(keep),
                    "relevant_docs": judged,
                    "top_ranked": None,
                }
            }
        self.data_loaded = True

    def unload_data(self) -> None:
        """Release the datasets and the last model's vectors."""
        own = self.metadata
        super().unload_data()
        self.metadata = own  # mteb would go back to the class's, which knows no data
        self._searched = self._found = None

    def evaluate(self, model: Any, *args: Any, **given: Any) -> Any:
        """As mteb does, adding each kind's mean over its settings to every subset of the kind.

        mteb calls this once a subset and keeps what it gets: the means in subsets that were scored
        before are brought up to date in place.
        """
        scores = super().evaluate(model, *args, **given)
        made_with = (model, dict(given["encode_kwargs"]))
        if self._seen[0] != made_with:  # scores of another run belong to no mean of this one
            self._seen = (made_with, {})
        seen = self._seen[1]
        seen.update(scores)
        for kind in {self._by_name[name].kind for name in scores}:
            means = self._means_over(kind, seen)
            for name, subset in seen.items():
                if self._by_name[name].kind == kind:
                    subset.update(means)
        return scores

    def _means_over(self, kind: Kind, scores: Mapping[str, Any]) -> dict[str, float]:
        """``mono_mean_ndcg_at_10``: macro means."""
        of_kind = {n: s for n, s in self._by_name.items() if s.kind == kind and n in scores}
        means: dict[str, float] = {}
        for key in (MAIN_SCORE, *(m.name for m in self.prepared.measures if kind in m.kinds)):
            values = {
                setting: value
                for name, setting in of_kind.items()
                if (value := scores[name].get(key)) is not None
            }
            if values:
                means[f"{kind}_mean_{key}"] = MacroMean(tuple(values)).mean(list(values.values()))
        return means

    def _evaluate_subset(self, model: Any, data_split: Any, *, hf_subset: str, **given: Any) -> Any:
        self._found = None
        searcher = model
        if isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):
            made_with = (model, dict(given["encode_kwargs"]))
            if self._searched is None or self._searched.made_with != made_with:
                self._searched = None  # free the last model's vectors before encoding with the next
                self._searched = _Searched(*made_with, self.metadata, self.prepared)
            self._found = self._searched.of(self._by_name[hf_subset].query_language)
            searcher = TopPassages(model, self._found.rankings(self._by_name[hf_subset]))
        return super()._evaluate_subset(searcher, data_split, hf_subset=hf_subset, **given)

    def task_specific_scores(
        self, scores: Any, qrels: Any, results: Any, hf_split: str, hf_subset: str
    ) -> dict[str, float]:
        """The harness's measures of this setting, by their own names, from whole rankings."""
        if self._found is None:
            return {}
        return self._found.scores(self._by_name[hf_subset])


def _rows(data: TaskData, role: Role, languages: Sequence[str]) -> dict[str, list[str]]:
    side = data.queries if role == "query" else data.passages
    return {
        "id": [global_id(x, i) for x in languages for i in side[x].ids],
        "text": [t for x in languages for t in side[x].texts],
    }


class _Given:
    """A caller's mteb encoder, in the harness's interface."""

    fingerprint: str | None = None
    prompts: Mapping[Role, str] = {}
    facts: Mapping[str, Any] = {}
    languages: frozenset[str] | None = None
    parameters: int | None = None

    def __init__(self, model: Any, metadata: TaskMetadata, encode_kwargs: Mapping[str, Any]):
        self._model, self._metadata, self._kwargs = model, metadata, dict(encode_kwargs)
        meta = getattr(model, "mteb_model_meta", None)
        self.name = str(getattr(meta, "name", None) or type(model).__name__)
        self.similarity: Similarity = scoring_of(model)

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        return encode_with_mteb(
            self._model,
            texts,
            metadata=self._metadata,
            subset=language,
            role=role,
            name=self.name,
            **self._kwargs,
        )


class _Searched:
    """Vectors of a whole task; searched one query language at a time, for memory's sake."""

    def __init__(
        self,
        model: Any,
        encode_kwargs: dict[str, Any],
        metadata: TaskMetadata,
        prepared: Prepared,
    ) -> None:
        self.made_with = (model, encode_kwargs)
        encoder = _Given(model, metadata, encode_kwargs)
        counts = encoding.EncodingCounts()
        self._prepared = prepared
        self._queries: dict[str, NDArray[np.float32]] = {}
        passages: list[NDArray[np.float32]] = []
        for role, language, texts in texts_of(prepared):
            made = encoding.encode(encoder, role, language, texts, store=None, counts=counts)
            if not texts:
                continue  # a language without passages
            if encoder.similarity == "cosine":
                made = normalised(made)
            if role == "query":
                self._queries[language] = made
            else:
                passages.append(made)
        self._scores = DenseScores(np.concatenate(passages)[prepared.pool.rows])
        self._last: _OneLanguage | None = None

    def of(self, language: str) -> _OneLanguage:
        """The search result for the queries of ``language``."""
        if self._last is None or self._last.language != language:
            settings = [s for s in self._prepared.settings if s.query_language == language]
            found = rank(
                self._scores.of(self._queries[language]),
                language,
                self._prepared.relevant[language],
                self._prepared.pool,
                top=_TOP,
                block_tops={
                    s.passage_language: _TOP for s in settings if s.passage_language is not None
                },
                scored=True,
            )
            self._last = _OneLanguage(language, without_own(found), settings, self._prepared)
        return self._last


class _OneLanguage:
    """One query language's results, setting by setting."""

    def __init__(
        self, language: str, found: SearchResult, settings: Sequence[Setting], prepared: Prepared
    ) -> None:
        self.language, self._found, self._prepared = language, found, prepared
        table = per_query(
            with_absent(prepared, {language: found}),
            prepared.pool,
            settings,
            # Agreement across query languages cannot be computed from one of them.
            [m for m in prepared.measures if "rank_correlation" not in m.needs],
            {language: np.zeros(len(found.relevant.questions), np.int32)},
        )
        self._means = setting_means(table)
        self._at = {s: i for i, s in enumerate(table.settings)}

    def scores(self, setting: Setting) -> dict[str, float]:
        """Measure -> mean over the setting's queries; undefined ones are left out."""
        values = {name: float(v[self._at[setting]]) for name, v in self._means.items()}
        return {name: value for name, value in values.items() if not np.isnan(value)}

    def rankings(self, setting: Setting) -> dict[str, dict[str, float]]:
        """Query id -> passage id -> score, the best 1,000."""
        found = self._found
        top_k, scores = (
            (found.top_k, found.top_k_scores)
            if setting.passage_language is None
            else found.block_top_k[setting.passage_language]
        )
        ids = self._prepared.pool.ids
        return {
            global_id(self.language, question): dict(
                zip(ids[top_k[i]].tolist(), scores[i].tolist(), strict=True)
            )
            for i, question in enumerate(found.relevant.questions)
        }
