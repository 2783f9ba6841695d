"""The fields of record.json as frozen models, which also validate files.

``record.schema.json`` is written from these classes (:mod:`harness.evaluation.record_schema`): the
types and bounds here are what files are checked against, the docstrings the schema's descriptions.

The models are pydantic's, which mteb brings anyway. It checks a record ten times as fast as a JSON
Schema does, and gives typed attributes instead of nested dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.data.task import Kind, Role
from harness.errors import RecordError
from harness.evaluation.options import RunOptions

if TYPE_CHECKING:
    Map = Mapping
else:
    Map = dict  # pydantic copies any other mapping, at ten times the cost

T = TypeVar("T")
F = TypeVar("F", bound="Fields")


class _NeverNull:
    """Marks a field that a file may omit; ``null`` is refused."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        inner = next(x for x in get_args(source) if x is not type(None))
        return handler.generate_schema(inner)


Absent = Annotated[T | None, _NeverNull()]
"""``None`` if the file omits the field; never null in a file."""

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Score = float | None
"""``None`` if no query defines the measure."""
ByNumber = Map[Annotated[str, Field(pattern="^[0-9]+$")], Score]
Timestamp = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$"),
]


class Fields(BaseModel):
    """One object of a record. Immutable; unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    version_field: ClassVar[str] = ""
    """For whole files: the name of the field with the schema version."""

    def to_dict(self) -> dict[str, Any]:
        """The fields that the file has, as JSON values."""
        return self.model_dump(mode="json", exclude_unset=True)


def fields_of(model: type[F], raw: bytes | str, where: str, what: str, version: int) -> F:
    """Read JSON into a model.

    Args:
        model: of the whole file.
        raw: the file's text.
        where: its name, for messages.
        what: the kind of file, for messages: ``record``.
        version: the highest known version.

    Raises:
        RecordError: it does not fit; names ``where`` and the first field that is wrong.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as problem:
        errors = problem.errors(include_url=False)
    if errors[0]["type"] == "json_invalid":
        said = errors[0]["msg"].removeprefix("Invalid JSON: ")
        raise RecordError(f"{where}: not valid JSON ({said})")
    for error in errors:
        given = error["input"]
        is_version = error["loc"] == (model.version_field,) and isinstance(given, int)
        if is_version and given > version:
            raise RecordError(
                f"{where} has {model.version_field.replace('_', ' ')} {given}, this harness reads "
                f"up to {version}; install a newer polyglot-harness to read it"
            )
    raise RecordError(f"{where} is not a valid {what}: {_in_words(errors[0])}")


def _in_words(error: Any) -> str:
    """``tasks/0/encoding: 'texts' is a required field``."""
    path = [x for x in error["loc"] if x != "[key]"]
    kind, last = error["type"], path[-1] if path else ""
    if kind in ("missing", "extra_forbidden", "unexpected_keyword_argument"):
        path = path[:-1]
        said = f"{last!r} is {'a required' if kind == 'missing' else 'an unknown'} field"
    else:
        shown = repr(error["input"])
        shown = f"{shown[:60]}..." if len(shown) > 60 else shown
        said = f"{error['msg'].replace('Input should', 'must')}, not {shown}"
    return f"{'/'.join(map(str, path)) or 'top level'}: {said}"


class Overlap(Fields):
    """One task's questions found in training data."""

    task: str
    """Task whose questions were looked for."""
    questions_found: int
    """Questions that are in the training data, equal or nearly so."""
    sentences: tuple[str, ...]
    """The findings in words."""


class Training(Fields):
    """How a model was trained, from the manifest that ``harness train`` writes."""

    recipe: str
    """Kind of batches: hybrid, mono, cross, mixed or english."""
    alpha: float | None
    """Probability of a monolingual batch; null if the recipe has no such choice."""
    cross_batches: str | None
    """Whether a cross-lingual batch had many language pairs (mixed) or one (single)."""
    base: str
    """The model that was trained further."""
    languages: tuple[str, ...]
    """Languages seen in this training; the base may have seen others."""
    seed: int
    """Random seed of batches, validation pairs and dropout."""
    steps: int
    """Optimiser step of the weights."""
    pairs: int
    """Rows of training data that were used."""
    teacher: Absent[str] = None
    """The encoder whose vectors it was trained towards, if the recipe has one."""
    overlap: tuple[Overlap, ...]
    """Evaluation questions in the training data; empty if it was not checked."""
    manifest_sha256: Sha256
    """SHA-256 of the manifest, training.json."""


class ModelFacts(Fields):
    """The model, and everything that changes its numbers."""

    name: Name
    """The name shown on boards."""
    kind: Literal["dense", "sparse", "multi-vector", "lexical", "reranked", "fused"]
    """Output per text: a vector (dense, sparse), one per token (multi-vector), or only scores; or
    reranked: a first stage and a reranker as one system; or fused: the rankings of several."""
    similarity: Literal["cosine", "dot"] | None
    """How vectors are compared; null for lexical models."""
    fingerprint: str | None
    """Digest of everything that changes a vector; null if the encoder offers none."""
    facts: Map[str, Any]
    """The facts the fingerprint is made from: the adapter's own fields."""
    prompts: Map[Role, str]
    """The prompt put before texts, by role; an empty string for none."""
    languages: tuple[str, ...] | None
    """Languages it was trained on; null if unknown."""
    training: Absent[Training] = None
    """How it was trained, if its folder has the manifest of harness train."""
    parameters: Count | None
    """Number of weights; null if unknown."""
    stored: bool
    """Whether its vectors were kept in the embedding store."""


class ModelSettings(Fields):
    """Model options set by the user; absent ones were the model's own defaults."""

    query_prompt: Absent[str] = None
    """Put before each query."""
    passage_prompt: Absent[str] = None
    """Put before each passage."""
    batch_size: Absent[Positive] = None
    """Texts per batch."""
    max_length: Absent[Positive] = None
    """Maximum number of tokens of a text."""
    dtype: Absent[Literal["float32", "bfloat16", "float16"]] = None
    """Number format the model computed with."""
    device: Absent[str] = None
    """Where the model ran."""
    base_url: Absent[str] = None
    """URL of the endpoint."""
    concurrency: Absent[Positive] = None
    """Number of concurrent requests."""
    backend: Absent[Literal["onnx", "openvino"]] = None
    """Backend that runs the model, if not torch."""
    backend_file: Absent[str] = None
    """The export used, if there are several."""
    compile: Absent[bool] = None
    """Whether torch compiled the model."""
    batch_tokens: Absent[Positive] = None
    """Tokens of a batch, padding included."""
    fusion: Absent[str] = None
    """How the rankings of several systems were fused, if not by default."""
    store_dtype: Absent[Literal["float16"]] = None
    """Number format of stored vectors, if not float32."""


class Environment(Fields):
    """Machine and software."""

    python: str
    """Python's version."""
    platform: str
    """Operating system, its release and the architecture."""
    processor: str
    """The processor's name."""
    cores: Positive | None
    """Cores that the process may use."""
    packages: Map[str, str]
    """Installed versions of packages that can change a number."""


class Sample(Fields):
    """Questions drawn: a fixed, stratified sample; all passages stay."""

    drawn: Positive
    """Questions in the sample."""
    of: Positive
    """Questions it was drawn from."""
    whole: Sha256
    """Data digest of the whole task it was drawn from."""


class SampledPassages(Fields):
    """How much of one language's corpus was searched."""

    passages: Positive
    """Passages of the sample."""
    whole: Positive
    """Passages of the whole corpus."""


class SamplePassages(Fields):
    """Passages kept: all relevant ones, and the hardest others by a first stage."""

    passages: Positive
    """The most of one language."""
    by: Name
    """The first stage."""
    of: Map[str, Count]
    """Language -> passages they were taken from."""
    whole: Sha256
    """Data digest of the task with all its passages."""


class Partial(Fields):
    """Why this is less than the whole task; empty if whole."""

    languages: Absent[tuple[str, ...]] = None
    """The languages it was restricted to."""
    limit: Absent[Positive] = None
    """The number of questions it was restricted to."""
    sample: Absent[Sample] = None
    """Questions drawn: a fixed, stratified sample; all passages stay."""
    sampled_corpus: Absent[Annotated[Map[str, SampledPassages], Field(min_length=1)]] = None
    """Language -> passages searched and in the whole corpus, if it is a sample."""
    sample_passages: Absent[SamplePassages] = None
    """Passages kept: all relevant ones, and the hardest others by a first stage."""
    golds_outside_sample: Absent[Positive] = None
    """Relevant passages missing from the sample; they are not counted."""
    questions_without_gold: Absent[Positive] = None
    """Questions left out because they have no relevant passage."""

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self.model_fields_set)


class Counts(Fields):
    """Sizes of the task."""

    questions: Count
    """Different questions."""
    queries: Map[str, Count]
    """Query language -> queries."""
    passages: Map[str, Count]
    """Passage language -> passages."""


class Encoding(Fields):
    """Cost of encoding."""

    texts: Count
    """Texts of the task."""
    distinct: Count
    """Different (role, language, text) among them."""
    from_store: Count
    """Of these, vectors read from the store."""
    encoded: Count
    """Of these, texts encoded in this run."""
    model_seconds: Amount
    """Seconds inside the model."""
    tokens: Absent[Count] = None
    """Tokens of the encoded texts, special tokens included, if the model counts them."""
    tokens_per_second: Amount | None = None
    """Tokens per second of one worker."""
    padding_share: Share | None = None
    """Share of padding among the tokens computed."""
    matrix_share: Amount | None = None
    """Operations per second of the model's matrix products for real tokens, as a share of what
    plain products reach on the device; null if too little was encoded to tell."""


class CloseComparisons(Fields):
    """Comparisons of scores that float32 products left open."""

    float64: Count
    """Pairs whose score was computed in float64."""
    exact: Count
    """Of these, pairs whose score was computed exactly."""


class Setting(Fields):
    """One retrieval run: the queries of one language against one pool."""

    setting: str
    """mono/de, cross/de-en, multi/de, pairs/de-en."""
    kind: Kind
    """Kind of setting."""
    query_language: str
    """Language of the queries."""
    passage_language: str | None
    """Language of the pool; null for the pool of all languages; for pairs the language beside the
    query's."""
    queries: Count
    """Queries scored: those with a relevant passage in the pool."""
    pool: Count
    """Passages in the pool."""
    scores: Map[str, Score]
    """Measure -> mean over the queries, for measures defined for the kind of setting."""


class Means(Fields):
    """The two ways to average over the settings of one kind."""

    macro: Map[str, Score]
    """Mean over each query language's settings, then unweighted over query languages."""
    micro: Map[str, Score]
    """Mean over all queries at once."""


class TopLanguages(Fields):
    """Languages of the top passages in the pool of all languages."""

    depth: Count
    """Passages per query that were counted."""
    share: Map[str, Map[str, Share]]
    """Query language -> passage language -> its share of these passages."""


class Interval(Fields):
    """Uncertainty of a mean."""

    percentile: tuple[Score, Score]
    """Lower and upper end, percentile method."""
    bca: tuple[Score, Score]
    """Lower and upper end, bias-corrected and accelerated."""
    standard_error: float | None
    """Standard deviation over the resamples; null where undefined."""


class Bootstrap(Fields):
    """How intervals were computed."""

    method: str
    """The unit drawn with replacement."""
    level: Annotated[float, Field(gt=0, lt=1)]
    """Confidence level: the share of resamples inside an interval."""
    resamples: Positive
    """Number of resamples."""
    seed: Count
    """Seed of the draws."""
    clusters: Count
    """Number of distinct questions drawn from."""


class Intervals(Bootstrap):
    """How intervals were computed, and the intervals."""

    means: Map[Kind, Map[str, Interval]]
    """Kind of setting -> measure -> interval of its macro mean."""
    languages: Map[Kind, Map[str, Map[str, Interval]]]
    """Kind of setting -> query language -> measure -> interval of the mean over that language's
    settings."""


class TrecFiles(Fields):
    """TREC files that were written."""

    folder: str
    """Folder of the files."""
    depth: Positive
    """Passages per query at most."""


class TableFile(Fields):
    """The per-query table that every mean can be computed from."""

    file: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    """File name, in the folder of record.json."""
    rows: Count
    """One per query and setting."""
    sha256: Sha256
    """SHA-256 of the file."""


class Usage(Fields):
    """An endpoint's counts so far in this run."""

    requests: Count
    """Requests sent, retries included."""
    retries: Count
    """Number of retries."""
    tokens: Count
    """Tokens counted by the endpoint; 0 if it does not count."""


class SearchedCorpus(Fields):
    """One language's corpus."""

    passages: Positive
    """Passages searched."""
    whole: Positive | None
    """Passages of the whole corpus; null if the task does not state it."""
    sha256: Sha256
    """SHA-256 over the files' contents, in order."""
    verified: Literal["hub", "not verified"]
    """What the files were verified against."""


class Corpora(Fields):
    """The corpora of a large task: what was searched."""

    revision: str | None
    """Commit of the corpora's source; null for local files."""
    languages: Map[str, SearchedCorpus]
    """Language -> its corpus."""


class Shards(Fields):
    """How the corpora were divided and stored."""

    passages: Positive
    """Passages of a shard."""
    dtype: Literal["float32", "float16"]
    """Number format of stored vectors."""


class ApproximateSearch(Fields):
    """An approximate index instead of an exact search: what it found, and how fast."""

    index: Name
    """As ``--ann`` takes it."""
    library: Name
    """The library and its version."""
    depth: Positive
    """Passages that were searched for; a relevant one beyond them counts as never found."""
    threads: Positive
    """Threads of building and searching."""
    recall: Map[Kind, Map[str, Map[Annotated[str, Field(pattern="^[0-9]+$")], Share]]]
    """Kind of setting -> query language -> k -> mean share of the exact top k that was found."""
    seconds: Map[Literal["build", "search", "exact_search"], Amount]
    """Of building all indexes, of all searches in them, and of the exact search of the same."""


class FusionWeights(Fields):
    """Weights of fused systems, found by cross-fitting: a fold's are found on the other folds."""

    seed: Count
    """Seed by which questions were divided into folds."""
    weights: tuple[tuple[Amount, ...], ...]
    """Fold -> a weight for each system."""
    questions: tuple[Count, ...]
    """Fold -> its number of questions, on which its weights were not found."""


class TaskFacts(Fields):
    """Fields of one task shared by a record and its tracked form."""

    task: Name
    """The task's name."""
    title: str
    """The task's display name."""
    task_digest: Sha256
    """SHA-256 of the task file."""
    data_digest: Sha256
    """SHA-256 over ids, texts and judgements: equal digests measure the same thing."""
    revision: str | None
    """Commit, tag or version of the source; null for local files."""
    license: str
    """Licence of the data."""
    text: str
    """The text option: what was encoded of a passage."""
    text_default: str
    """The task file's default text option."""
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    """Languages that took part, in the task's order."""
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    """Kinds of setting that were run."""
    partial: Partial
    """Why this is less than the whole task; empty if whole."""
    counts: Counts
    """Sizes of the task."""
    dimensions: Positive | None
    """Width of the vectors; null for lexical models."""
    encoding: Encoding
    """Cost of encoding."""
    usage: Absent[Usage] = None
    """The endpoint's counts so far in this run; absent if the model has none."""
    corpus: Absent[Corpora] = None
    """The corpora of a large task: what was searched."""
    sampled: Absent[Name] = None
    """Note for every report that the corpus is a sample; absent if it is whole."""
    shards: Absent[Shards] = None
    """How the corpora were divided and stored."""
    query_conditions: Absent[Map[str, Map[str, Map[str, Count]]]] = None
    """Robustness condition -> query language -> numbers of what it changed in the queries; absent
    if there is none."""
    prompts: Absent[Map[str, str]] = None
    """Prompts of this task by role; absent if they are the model's for every task."""
    approximate: Absent[ApproximateSearch] = None
    """What an approximate index found, with which the task was searched; absent: search was
    exact."""
    fusion: Absent[FusionWeights] = None
    """The weights of fused systems, if they were tuned."""
    measures: Annotated[tuple[str, ...], Field(min_length=1)]
    """Measures, in the order shown."""
    definitions: Absent[Map[str, Annotated[str, Field(pattern="^[0-9a-f]{12}$")]]] = None
    """Measure -> digest of its definition: equal digests mean the same formula."""
    means: Map[Kind, Means]
    """Kind of setting -> means over its settings."""
    medians: Absent[Map[Kind, Map[str, Score]]] = None
    """Kind of setting -> measure -> median over query languages of each one's mean; for tasks over
    corpora."""
    rank_distance_by_golds: Absent[ByNumber] = None
    """Number of relevant passages -> macro mean of the rank distance; empty if it was not
    measured."""
    top_languages: TopLanguages
    """Languages of the top passages in the pool of all languages."""
    close_comparisons: CloseComparisons | None = None
    """Comparisons of scores that float32 products left open: pairs of a query and a passage whose
    score was computed in float64, and exactly. They depend on processor, memory and threads; ranks
    do not. null: a system without vectors."""
    seconds: Map[str, Amount]
    """Stage -> seconds."""
    peak_bytes: Map[str, Count]
    """Stage -> highest resident memory of the process in bytes."""

    @property
    def all_measures(self) -> tuple[str, ...]:
        """All measures of any kind of setting, whether shown or not."""
        return tuple(dict.fromkeys(m for means in self.means.values() for m in means.macro))


class Task(TaskFacts):
    """The results of one task."""

    settings: Annotated[tuple[Setting, ...], Field(min_length=1)]
    """One entry per setting, in the task's order."""
    rank_distance_by_golds: ByNumber
    """Number of relevant passages -> macro mean of the rank distance; empty if it was not
    measured."""
    intervals: Intervals | None
    """Bootstrap intervals of the macro means; null where none were computed."""
    trec: TrecFiles | None
    """TREC files written; null if none were."""
    per_query: Absent[TableFile] = None
    """The per-query table that every mean can be computed from; ``None`` before the record is
    saved, never in a file."""


class HowRun(Fields):
    """How the run was started; the command that reproduces it is derived from this."""

    tasks: tuple[str, ...]
    """Names of built-in tasks, paths of the files of other tasks."""
    options: RunOptions
    """All options of the run and, under model, of the model; ``named`` is the model as the user
    named it, null if it was passed as a Python object."""


class RunFacts(Fields):
    """Fields of the whole run shared by a record and its tracked form."""

    created: Timestamp
    """When the run ended, ISO 8601 with offset."""
    model: ModelFacts
    """The model, and everything that changes its numbers."""
    options: ModelSettings
    """Model options set by the user; absent ones were the model's own defaults."""
    run: Absent[HowRun] = None
    """How the run was started; absent in records of earlier versions."""
    device: str
    """Device the model and the search ran on."""
    environment: Environment
    """Machine and software."""


class Contents(RunFacts):
    """The results of a run of one model over some tasks, and everything that produced them."""

    version_field = "schema_version"

    schema_version: Literal[1]
    """Version of this schema; readers refuse a higher one than they know."""
    command: tuple[str, ...] | None
    """The command line; null if the run was started from Python."""
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    """One entry per task, in the order they ran."""
