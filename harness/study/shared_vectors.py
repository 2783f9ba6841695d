"""Compute what all trials share before the first trial.

Where only the head of the built-in encoder is trained, its inputs are the same in every trial. They
are computed once, by all workers together, and stay in the store for the next study on the same
texts: see :mod:`harness.models.use_m3.shared_trunk`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.base.progress import Progress
from harness.evaluation.layout import Prepared, texts_of
from harness.study.prepared import StudyOptions, Task
from harness.study.reading import Reading
from harness.training.pairs import DataSet
from harness.training.settings import Settings
from harness.vectors.store import Store

MOST = 400_000
"""Maximum texts of a set or task to compute beforehand, 2 KiB each in memory. Those of larger ones
are computed on first use."""


class SharedVectors:
    """The vectors computed so far for a process's trials; trials with new inputs add to them.

    Args:
        tasks: that every trial is scored on.
        options: of the study.
        reading: the cache of tasks and pairs.
        progress: gets the number of texts.
    """

    def __init__(
        self, tasks: Sequence[Task], options: StudyOptions, reading: Reading, progress: Progress
    ) -> None:
        self._tasks, self._options = tasks, options
        self._reading, self._progress = reading, progress
        self._done: set[tuple[object, ...]] = set()

    def precompute(self, settings: Settings) -> None:
        """Compute the inputs of a trial's training and scoring, if they can be shared.

        Raises:
            HarnessError: the base or a task cannot be read.
        """
        if settings.base == "me5-small":  # shares nothing; do not load it only to find out
            return
        prompts = settings.query_prompt, settings.passage_prompt
        base_of = (settings.base, settings.freeze, *prompts)
        if not self._is_new(*base_of, settings.data, settings.languages, settings.max_length):
            return
        from harness.training.base_model import load_base

        base = load_base(settings, device=self._options.device, offline=self._options.offline)
        module = base.model[0]
        if not hasattr(module, "prime"):
            return
        store = Store()
        sets = [self._reading.pairs(Path(file)) for file in settings.data]
        _compute(module, list(_of_pairs(settings, sets)), store, self._progress)
        module.max_seq_length = base.longest
        for task in self._tasks:
            if self._is_new(*base_of, task.scored.name):
                prepared = self._reading.task(task.scored.name, task.spec, task.options)
                _compute(module, list(_of_task(prepared, prompts)), store, self._progress)

    def _is_new(self, *key: object) -> bool:
        known = key in self._done
        self._done.add(key)
        return not known


def _compute(module: Any, texts: Sequence[str], store: Store, progress: Progress) -> None:
    if len(texts) > MOST:
        return
    progress.start("compute shared vectors", len(texts), "texts")
    module.prime(texts, store, progress.advance)
    progress.finish()


def _of_pairs(settings: Settings, sets: Sequence[DataSet]) -> Iterator[str]:
    found: dict[str, None] = {}
    chosen = settings.languages
    for pairs in sets:
        for x in pairs.examples:
            for prompt, side in (
                (settings.query_prompt, x.query),
                (settings.passage_prompt, x.passage),
            ):
                found |= {prompt + t: None for k, t in side.items() if not chosen or k in chosen}
            for language, texts in x.negatives.items():
                if not chosen or language in chosen:
                    kept = texts[: settings.hard_negatives]
                    found |= {settings.passage_prompt + t: None for t in kept}
    yield from found


def _of_task(prepared: Prepared, prompts: tuple[str, str]) -> Iterator[str]:
    of_role = dict(zip(("query", "passage"), prompts, strict=True))
    found: dict[str, None] = {}
    for role, _, texts in texts_of(prepared):
        found |= {of_role[role] + x: None for x in texts}
    if sum(map(len, prepared.data.corpora.values())) <= MOST:
        for corpus in prepared.data.corpora.values():
            found |= {of_role["passage"] + x.text: None for x in corpus.read()}
    yield from found
