"""What all cells compute alike, computed before the first.

Where only the head of the built-in encoder is trained, every cell gives it the same inputs. They
are computed once, by all workers together, and stay in the store for the next study on the same
texts: see :mod:`harness.models.use_m3.shared_trunk`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.base.progress import Progress
from harness.evaluation.layout import prepare, texts_of
from harness.study.prepared import StudyOptions, Task
from harness.training.settings import Settings
from harness.vectors.store import Store

MOST = 400_000
"""Texts of a set or task that are computed beforehand: 2 KiB each in memory. Of larger ones each
text is computed when it is met."""


def precompute(
    settings: Settings,
    tasks: Sequence[Task],
    options: StudyOptions,
    primed: set[Any],
    progress: Progress,
) -> None:
    """Have at hand what a cell's training and scoring will be given, where that can be.

    Args:
        settings: of the training.
        tasks: that the cell is scored on.
        options: of the study.
        primed: what is at hand already; added to.
        progress: told of texts.

    Raises:
        HarnessError: the base or a task cannot be read.
    """
    prompts = settings.query_prompt, settings.passage_prompt
    of_pairs = (settings.base, settings.freeze, prompts, settings.data, settings.languages,
                settings.max_length)  # fmt: skip
    if of_pairs in primed:
        return
    primed.add(of_pairs)
    from harness.training.base_model import load_base

    base = load_base(settings, device=options.device, offline=options.offline)
    module = base.model[0]
    if not hasattr(module, "prime"):
        return
    store = Store()
    _compute(module, list(_of_pairs(settings)), store, progress)
    module.max_seq_length = base.longest
    for task in tasks:
        of_task = settings.base, settings.freeze, prompts, task.scored.name
        if of_task not in primed:
            primed.add(of_task)
            _compute(module, list(_of_task(task, prompts)), store, progress)


def _compute(module: Any, texts: Sequence[str], store: Store, progress: Progress) -> None:
    if len(texts) > MOST:
        return
    progress.start("compute what cells share", len(texts), "texts")
    module.prime(texts, store, progress.advance)
    progress.finish()


def _of_pairs(settings: Settings) -> Iterator[str]:
    from harness.training.pairs import read_examples

    found: dict[str, None] = {}
    wanted = settings.languages
    for file in settings.data:
        for x in read_examples(file).examples:
            for prompt, side in (
                (settings.query_prompt, x.query),
                (settings.passage_prompt, x.passage),
            ):
                found |= {prompt + t: None for k, t in side.items() if not wanted or k in wanted}
            for language, texts in x.negatives.items():
                if not wanted or language in wanted:
                    kept = texts[: settings.hard_negatives]
                    found |= {settings.passage_prompt + t: None for t in kept}
    yield from found


def _of_task(task: Task, prompts: tuple[str, str]) -> Iterator[str]:
    prepared = prepare(task.spec, task.options)
    of_role = dict(zip(("query", "passage"), prompts, strict=True))
    found: dict[str, None] = {}
    for role, _, texts in texts_of(prepared):
        found |= {of_role[role] + x: None for x in texts}
    if sum(map(len, prepared.data.corpora.values())) <= MOST:
        for corpus in prepared.data.corpora.values():
            found |= {of_role["passage"] + x.text: None for x in corpus.read()}
    yield from found
