"""A record against what is published of the same model on the same task, language by language.

Two runs of one model on the same texts should give the same numbers. What is left between them is
the rounding of the published value, and what scores move by when nothing that should matter is
changed (:mod:`harness.analysis.noise`). Both are known, so a difference is

    OK      at most the rounding and the drift that was measured in float32
    close   at most the rounding and the drift that was measured in half precision
    FAIL    larger: something else differs
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from harness.analysis.noise import LEAST
from harness.console import numbers
from harness.data.task import Setting
from harness.errors import NotComparableError
from harness.evaluation.partial import partial
from harness.evaluation.record_fields import ModelFacts, RunFacts, Task, TaskFacts
from harness.interop.published import Published
from harness.metrics import canonical

Verdict = Literal["OK", "close", "FAIL"]
EXIT_CODES: Mapping[Verdict, int] = {"OK": 0, "FAIL": 1, "close": 3}
"""As the gate has them: 2 is wrong usage or bad input, 4 that nothing can be compared."""
_SEVERITY: tuple[Verdict, ...] = ("FAIL", "close", "OK")


class Drift(NamedTuple):
    """What the mean of one query language's queries was seen to move by."""

    model: str
    task: str
    processor: str
    variant: str
    """What was changed: ``batch size 8``, ``float16``."""
    half: bool
    """Whether it computed in half precision."""
    language: str
    queries: int
    measure: str
    size: float
    """Without sign."""


@cache
def known_drifts() -> tuple[Drift, ...]:
    """The drifts that come with the harness: ``known_noise.csv``, made with ``harness noise``."""
    text = files("harness.analysis").joinpath("known_noise.csv").read_text("utf-8")
    return tuple(
        Drift(
            x["model"],
            x["task"],
            x["processor"],
            x["variant"],
            x["precision"] == "half",
            x["language"],
            int(x["queries"]),
            x["measure"],
            float(x["drift"]),
        )
        for x in csv.DictReader(text.splitlines())
    )


def drift_of(
    measure: str, queries: int, *, half: bool, drifts: Sequence[Drift] | None = None
) -> float:
    """How far a mean over ``queries`` queries of one language is expected to move by itself.

    The largest drift that was measured. What moves a mean are single queries whose passages change
    places, each with a small probability and independently of the others, so that the drift of a
    mean over n queries goes with 1 / sqrt(n): one measured over m of them counts sqrt(m / n) times.

    Args:
        measure: one with a cutoff that was not measured counts as the same with another cutoff.
        queries: n.
        half: of computing in half precision; else in float32.
        drifts: those measured; default :func:`known_drifts`. A larger one in float32 counts for
            half precision too.
    """
    listed = [x for x in (known_drifts() if drifts is None else drifts) if half or not x.half]
    base = measure.partition("@")[0]
    here = [x for x in listed if x.measure == measure]
    here = here or [x for x in listed if x.measure.partition("@")[0] == base]
    return max((x.size * math.sqrt(x.queries / queries) for x in here), default=0.0)


@dataclass(frozen=True)
class LanguageCheck:
    """One setting: the value here, and the published one."""

    setting: str
    language: str
    """Of the queries."""
    queries: int
    here: float
    there: float
    ok: float
    """The largest difference that is OK."""
    close: float
    """The largest difference that is close."""
    others: Mapping[str, float]
    """Further measure of both -> difference."""

    @property
    def difference(self) -> float:
        """Ours minus the published one."""
        return self.here - self.there

    @property
    def verdict(self) -> Verdict:
        """Of this setting."""
        size = abs(self.difference)
        return "OK" if size <= self.ok else "close" if size <= self.close else "FAIL"


@dataclass(frozen=True)
class Verification:
    """A record against one published row."""

    model: str
    """As the record has it."""
    task: str
    measure: str
    published: Published
    by_name: bool
    """Whether the row was found by the last part of the model's name alone."""
    checks: tuple[LanguageCheck, ...]
    missing: tuple[str, ...]
    """Languages of the record that the published row lacks."""
    reasons: tuple[str, ...]
    """What may be behind differences, the likeliest first; empty where all is OK."""

    @property
    def verdict(self) -> Verdict:
        """That of the worst language."""
        return min((x.verdict for x in self.checks), key=_SEVERITY.index)

    @property
    def exit_code(self) -> int:
        """See :data:`EXIT_CODES`."""
        return EXIT_CODES[self.verdict]

    def count(self, verdict: Verdict) -> int:
        """Settings with this verdict."""
        return sum(x.verdict == verdict for x in self.checks)

    @property
    def largest(self) -> LanguageCheck:
        """The setting with the largest difference."""
        return max(self.checks, key=lambda x: abs(x.difference))

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "model": self.model,
            "task": self.task,
            "measure": self.measure,
            "published": {
                "model": self.published.model,
                "revision": self.published.revision,
                "origin": self.published.origin,
                "published_as": self.published.published_as,
                "options": self.published.options,
            },
            "by_name": self.by_name,
            "verdict": self.verdict,
            "checks": [
                {**asdict(x), "difference": x.difference, "verdict": x.verdict} for x in self.checks
            ],
            "missing": list(self.missing),
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True)
class Scored:
    """What a record, or its tracked form, says of one task."""

    run: RunFacts
    task: TaskFacts
    scores: Mapping[Setting, Mapping[str, float | None]]
    queries: Mapping[Setting, int]

    @classmethod
    def of_record(cls, run: RunFacts, task: Task) -> Scored:
        """Of a whole record's task."""
        named = {Setting(s.kind, s.query_language, s.passage_language): s for s in task.settings}
        return cls(
            run,
            task,
            {k: s.scores for k, s in named.items()},
            {k: s.queries for k, s in named.items()},
        )


def published_of(
    scored: Scored, rows: Iterable[Published], named: str | None = None
) -> tuple[Published, bool]:
    """The published row of a record's model on its task.

    Of several, that of the record's own revision comes first, then those without options of their
    own, then the later version of mteb.

    Args:
        scored: the record.
        rows: published ones, of any task.
        named: what the model is called there; default: as the record calls it or, where nothing
            published is called so, the one model whose name ends so.

    Returns:
        The row, and whether the last part of the name was all that was equal.

    Raises:
        NotComparableError: there is none.
    """
    task, own = scored.task.task, scored.run.model.name
    here = [x for x in rows if x.source == "imported" and x.task == task]
    if not here:
        raise NotComparableError(
            f"nothing is published of {task}; name mteb's result files with --against FOLDER"
        )
    weights = _OF_MODEL.search(str(scored.run.model.facts.get("weights", "")))
    wanted = named or (weights[1] if weights else own.removeprefix("mteb:").removeprefix("hub:"))
    found = [x for x in here if x.model == wanted]
    by_name = False
    if not found and named is None:
        found = [x for x in here if _last(x.model) == _last(wanted)]
        by_name = True
    models = sorted({x.model for x in found})
    if len(models) > 1:
        raise NotComparableError(
            f"{own} may be {' or '.join(models)}; say which with --as ORG/NAME"
        )
    if not found:
        raise NotComparableError(
            f"nothing is published of {wanted} on {task}; say what the model is called there with "
            "--as ORG/NAME"
        )
    revision = scored.run.model.facts.get("revision")

    def place(row: Published) -> tuple[bool, bool, tuple[int, ...]]:
        version = tuple(int(x) for x in row.origin.split()[-1].split(".") if x.isdigit())
        return (row.revision == revision, not row.options, version)

    return max(found, key=place), by_name


_OF_MODEL = re.compile(r"weights of ([\w.-]+/[\w.-]*\w)")
"""In the facts of a built-in model: whose weights it has."""


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()


def verify(
    scored: Scored,
    rows: Iterable[Published],
    *,
    named: str | None = None,
    measure: str | None = None,
    drifts: Sequence[Drift] | None = None,
) -> Verification:
    """Hold a record's means by language against those published of its model.

    Args:
        scored: the record's task.
        rows: published ones; that of the model is found by :func:`published_of`.
        named: what the model is called there.
        measure: default the task's first that both have.
        drifts: see :func:`drift_of`.

    Raises:
        NotComparableError: nothing is published of the model on the task, the record is of a part
            of it, or the two have no language and measure in common.
    """
    task, measure = scored.task, canonical(measure) if measure else None
    cut = {k: v for k, v in task.partial.to_dict().items() if k != "languages"}
    if cut:
        raise NotComparableError(
            f"the record is of a part of {task.task} ({partial(cut)}), and what is published is of "
            "the whole; run it without that"
        )
    row, by_name = published_of(scored, rows, named)
    if row.published_as is None and row.data_digest != task.data_digest:
        raise NotComparableError(
            f"the record has data {task.data_digest[:12]} and the published row "
            f"{row.data_digest[:12] or 'does not say which'}"
        )
    both = [s for s in scored.scores if s in row.scores]
    listed = [measure] if measure else [m for m in task.measures if _common(scored, row, both, m)]
    shared = [s for s in both if listed and _has(scored, row, s, listed[0])]
    if not shared:
        raise NotComparableError(
            f"the record and {row.model} as published have no setting with "
            f"{measure or 'one measure'} in common"
        )
    chosen = listed[0]
    checks = tuple(_check(scored, row, s, chosen, listed, drifts) for s in shared)
    named_there = {s.query_language for s in row.scores}
    found = Verification(
        model=scored.run.model.name,
        task=task.task,
        measure=chosen,
        published=row,
        by_name=by_name,
        checks=checks,
        missing=tuple(x for x in task.languages if x not in named_there),
        reasons=(),
    )
    if found.verdict == "OK":
        return found
    return Verification(**{**vars(found), "reasons": tuple(_reasons(scored, found))})


def _has(scored: Scored, row: Published, setting: Setting, measure: str) -> bool:
    value = scored.scores[setting].get(measure)
    return value is not None and measure in row.scores[setting]


def _common(scored: Scored, row: Published, settings: Sequence[Setting], measure: str) -> bool:
    return any(_has(scored, row, s, measure) for s in settings)


def _check(
    scored: Scored,
    row: Published,
    setting: Setting,
    measure: str,
    measures: Sequence[str],
    drifts: Sequence[Drift] | None,
) -> LanguageCheck:
    here, there = scored.scores[setting], row.scores[setting]
    value = here[measure]
    assert value is not None
    queries = scored.queries[setting]
    digits = row.decimals.get(measure)
    # Half of the last digit, and what sums in another order differ by.
    least = (0.0 if digits is None else 0.5 * 10.0**-digits) + float(LEAST)
    others = {
        m: x - there[m]
        for m in measures
        if m != measure and m in there and (x := here.get(m)) is not None
    }
    return LanguageCheck(
        setting=setting.name,
        language=setting.query_language,
        queries=queries,
        here=value,
        there=there[measure],
        ok=least + drift_of(measure, queries, half=False, drifts=drifts),
        close=least + drift_of(measure, queries, half=True, drifts=drifts),
        others=others,
    )


def _reasons(scored: Scored, found: Verification) -> Iterable[str]:
    """In the order of what is behind most differences; what is known to be equal is left out."""
    row, model, task = found.published, scored.run.model, scored.task
    if found.by_name:
        yield f"model: {row.model} is taken for {model.name} because its name ends so"
    yield from _of_revision(model, row)
    yield from _of_prompts(model, row)
    length = model.facts.get("max_length")
    if length is not None:
        yield f"length: {length} tokens of a text were read here; mteb publishes no limit"
    dtype = scored.run.options.dtype or "float32"
    worst = found.largest
    near = "more than" if worst.verdict == "FAIL" else "within"
    yield (
        f"precision: {dtype} here, not published there; the largest difference "
        f"({worst.language}, {numbers.amount(abs(worst.difference))}) is {near} the "
        f"{numbers.amount(worst.close)} by which half precision was seen to move "
        f"{numbers.plural(worst.queries, 'query')}"
    )
    close = task.close_comparisons
    seen = f": {numbers.count(close.float64)} scores here were too close for it" if close else ""
    yield (
        "ties: here equal scores are ordered by passage id, whatever the processor; there the "
        f"last digit of a float32 product decides{seen}"
    )
    if row.text is not None and row.text != task.text:
        yield f"text: {task.text} here, {row.text} there"
    elif row.text is None:
        yield f"text: {task.text} here, not published there"


def _of_revision(model: ModelFacts, row: Published) -> Iterable[str]:
    weights, revision = model.facts.get("weights"), model.facts.get("revision")
    there = (row.revision or "not published")[:12]
    if isinstance(weights, str):
        yield f"revision: {weights} here, {there} there"
    elif revision is None:
        yield f"revision: the record names files by their digests and no revision; {there} there"
    elif revision != row.revision:
        yield f"revision: {str(revision)[:12]} here, {there} there"


def _of_prompts(model: ModelFacts, row: Published) -> Iterable[str]:
    words = " and ".join(f"{x!r} before a {role}" for role, x in model.prompts.items() if x)
    there = f"; there: {row.options}" if row.options else "; mteb publishes none"
    yield f"prompts: {words or 'none'} here{there}"
