"""Parallel pairs from monolingual ones: ``harness translate``.

Rows are processed in windows. Of each window the texts that have never been translated go to the
engine, longest first, batch by batch into its memory
(:mod:`~harness.models.translation.memory`); then the window's rows are written from there. Rejected
translations (:mod:`~harness.training.translation_checks`) are left out of their row, counted by
reason and language. The original texts stay unchanged.

Next to ``FILE.jsonl`` are ``FILE.jsonl.about.json`` with the engine of each target language and its
counts, and ``FILE.jsonl.translations.jsonl``: for each row, in order, which engine and model its
texts are from, and which were left out and why.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from harness.base.digests import file_sha256
from harness.base.environment import versions
from harness.base.files import open_atomically, write_atomically
from harness.base.languages import is_language
from harness.base.progress import Progress, Silent
from harness.errors import DataError, UsageError
from harness.models.translation.engine import Engine, EngineOptions
from harness.models.translation.memory import Memory
from harness.models.translation.open_engine import open_engine
from harness.training.pairs import Example, stream_examples
from harness.training.sources.conversion import about, about_path, write_stream
from harness.training.translation_checks import REASONS, Reason, verdict

__all__ = ["REASONS", "Translation", "translate_file", "translations_path"]

WINDOW = 2000
"""Rows processed together."""


@dataclass(frozen=True)
class Translation:
    """A file of parallel pairs that has been written."""

    path: Path
    rows: int
    counts: Mapping[str, Mapping[str, int]]
    """Target language -> ``kept``, ``given`` (the row had it already), and each reason."""
    engines: Mapping[str, Mapping[str, Any]]
    """Target language -> the engine's facts."""
    translated: int
    """Number of texts sent to an engine."""
    cached: int
    """Texts that an earlier run, or an earlier row, had translated."""


def translations_path(pairs: Path) -> Path:
    """The path of the file with the origin of each text."""
    return pairs.with_name(f"{pairs.name}.translations.jsonl")


def translate_file(
    data: Path,
    output: Path,
    targets: Sequence[str],
    engine: str | Engine,
    *,
    source: str | None = None,
    options: EngineOptions | None = None,
    negatives: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Translation:
    """Write ``data`` with translations into ``targets``, in the parallel form.

    Args:
        data: pairs in either form.
        output: where to, ``.jsonl`` or ``.jsonl.gz``.
        targets: languages to translate into; what a row has in one of them already stays.
        engine: its name, as :mod:`~harness.models.translation.engine` has it, or an engine.
        source: language to translate from; ``None``: of each row its query's first.
        options: how the engine is to work.
        negatives: whether hard negatives are translated too.
        limit: number of rows.
        progress: gets the number of texts.

    Raises:
        UsageError: a language, a file name or an option is wrong.
        DataError: ``data`` is missing or malformed, or a row lacks ``source``.
        ModelError: the engine is missing, or failed.
        StoreError: the disk is full or not writable.
    """
    _check(output, data, targets, source)
    chosen = open_engine(engine, options or EngineOptions()) if isinstance(engine, str) else engine
    work = _Work(chosen, targets, source, negatives, progress or Silent())
    facts_file = translations_path(output)
    rows = islice(stream_examples(data), limit)
    sha = hashlib.sha256()
    with closing(work), open_atomically(facts_file) as facts:

        def written() -> Iterator[Example]:
            for example, fact in work.run(rows):
                line = (json.dumps(fact, ensure_ascii=False) + "\n").encode()
                sha.update(line)
                facts.write(line)
                yield example

        count, digest = write_stream(output, written(), "parallel")
    counts = {x: dict(work.counts[x]) for x in targets}
    described = {
        "format": 1,
        "source": "translate",
        "files": [{"name": data.name, "sha256": file_sha256(data)}],
        "origin": dict(about(data)),
        "engines": {x: dict(work.engines[x]) for x in work.engines},
        "counts": counts,
        "form": "parallel",
        "rows": count,
        "sha256": digest,
        "translations_sha256": sha.hexdigest(),
        "harness": versions().get("polyglot-harness"),
    }
    write_atomically(
        about_path(output), json.dumps(described, ensure_ascii=False, indent=1).encode()
    )
    return Translation(output, count, counts, dict(work.engines), work.translated, work.cached)


class _Work:
    """Rows in, rows and facts out, window by window."""

    def __init__(
        self,
        engine: Engine,
        targets: Sequence[str],
        source: str | None,
        negatives: bool,
        progress: Progress,
    ) -> None:
        self.engine, self.targets, self.source, self.negatives = engine, targets, source, negatives
        self.progress = progress
        self.counts: dict[str, Counter[str]] = {x: Counter() for x in targets}
        self.engines: dict[str, Mapping[str, Any]] = {}
        self.translated = self.cached = 0
        self._memories: dict[tuple[str, str], tuple[Memory, Mapping[str, Any]]] = {}

    def close(self) -> None:
        for memory, _ in self._memories.values():
            memory.close()

    def run(self, rows: Iterable[Example]) -> Iterator[tuple[Example, dict[str, Any]]]:
        rows = iter(rows)
        self.progress.start("translate", 0, "texts")
        while window := list(islice(rows, WINDOW)):
            self._translate(window)
            for example in window:
                yield self._row(example)
        self.progress.finish()

    def _memory(self, source: str, target: str) -> tuple[Memory, Mapping[str, Any]]:
        pair = (source, target)
        if pair not in self._memories:
            facts = self.engine.facts(source, target)
            self._memories[pair] = (Memory(facts), facts)
            name = target if target not in self.engines else f"{source}-{target}"
            self.engines.setdefault(name, facts)
        return self._memories[pair]

    def _from(self, example: Example) -> str:
        if self.source is None:
            return next(iter(example.query))
        for side, texts in (("query", example.query), ("passage", example.passage)):
            if self.source not in texts:
                raise DataError(
                    f"row {example.id}: its {side} is not in {self.source!r} but in "
                    f"{', '.join(texts)}; name another language with --from"
                )
        return self.source

    def _translate(self, window: Sequence[Example]) -> None:
        """Translate every text of the window into the memories."""
        untranslated: dict[tuple[str, str], list[str]] = {}
        for example in window:
            for target in self.targets:
                for source, text in self._texts(example, target):
                    untranslated.setdefault((source, target), []).append(text)
        for (source, target), texts in untranslated.items():
            memory, _ = self._memory(source, target)
            missing = memory.missing(texts)
            self.cached += len(texts) - len(missing)
            self.translated += len(missing)
            # Longest first: batches have about equal lengths, and memory runs out early if at all.
            missing.sort(key=lambda x: (-len(x), x))
            for start in range(0, len(missing), self.engine.batch_size):
                batch = missing[start : start + self.engine.batch_size]
                memory.put(batch, self.engine.translate(batch, source, target))
                self.progress.advance(len(batch))

    def _texts(self, example: Example, target: str) -> Iterator[tuple[str, str]]:
        """The texts of a row to translate: source language and text."""
        source = self._from(example)
        if target not in example.query:
            yield source, example.query[source]
        answered = source if source in example.passage else next(iter(example.passage))
        if target not in example.passage:
            yield answered, example.passage[answered]
        if self.negatives and target not in example.negatives:
            for text in example.negatives.get(answered, ()):
                yield answered, text

    def _row(self, example: Example) -> tuple[Example, dict[str, Any]]:
        query, passage = dict(example.query), dict(example.passage)
        negatives = dict(example.negatives)
        source = self._from(example)
        answered = source if source in passage else next(iter(passage))
        fact: dict[str, Any] = {"id": example.id, "from": source, "to": {}}
        for target in self.targets:
            here: dict[str, Any] = {}
            for name, side, language in (
                ("query", query, source),
                ("passage", passage, answered),
            ):
                if target in side:
                    self.counts[target]["given"] += 1
                    here[name] = "given"
                    continue
                text, reason = self._one(side[language], language, target)
                here[name] = reason or "kept"
                if reason is None:
                    side[target] = text
            if self.negatives and target not in negatives and answered in negatives:
                judged = [self._one(x, answered, target) for x in negatives[answered]]
                here["negatives"] = [reason or "kept" for _, reason in judged]
                kept = tuple(text for text, reason in judged if reason is None)
                if kept:
                    negatives[target] = kept
            if "kept" in here.values():
                # Of the pair of languages that was used: a query given in the target has none.
                used = source if here["query"] == "kept" else answered
                facts = self._memory(used, target)[1]
                here |= {x: facts[x] for x in ("engine", "model", "digest")}
            fact["to"][target] = here
        row = Example(example.id, query, passage, example.passage_id, negatives)
        return row, fact

    def _one(self, text: str, source: str, target: str) -> tuple[str, Reason | None]:
        memory, _ = self._memory(source, target)
        found = memory.require(text)  # _translate() has been over this window
        reason = verdict(text, found, target)
        self.counts[target][reason or "kept"] += 1
        return found.text, reason


def _check(output: Path, data: Path, targets: Sequence[str], source: str | None) -> None:
    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise UsageError(f"--output {output}: must end in .jsonl or .jsonl.gz")
    if output.resolve() == data.resolve():
        raise UsageError(f"--output {output}: is the input file; give another name")
    for language in (*targets, *([] if source is None else [source])):
        if not is_language(language):
            raise UsageError(f"{language!r} is not a language code, as en, de or zh-Hant")
    if not targets:
        raise UsageError("--to: give at least one language")
    if source in targets:
        raise UsageError(f"--to {source}: is the language that is translated from")
