"""The data of one training: read files, check rows against the recipe, split off validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.training.batches import PairDataset
from harness.training.epoch_plan import Plan, check_epochs
from harness.training.pairs import DataSet, Example, read_examples
from harness.training.settings import Settings
from harness.training.strata import Ints, PairRows, RecipeCells, check_usable, rows_of, strata_of


@dataclass(frozen=True)
class Side:
    """Pairs of the training or of the validation, and the plan of their batches."""

    pairs: PairDataset
    plan: Plan


@dataclass(frozen=True)
class TrainingData:
    """What a training reads."""

    train: Side
    validation: Side | None
    files: list[dict[str, Any]]
    """Name, digest and counts of each file, for the manifest."""
    languages: tuple[str, ...]
    """Languages that a training batch can contain: those the model sees."""

    @property
    def silent_validation(self) -> bool:
        """Whether no batch of the validation can have two pairs, so that their loss is always 0."""
        side = self.validation
        return side is not None and not _contrasted(
            side.plan.rows, side.pairs.examples, side.plan.settings
        )


def read_data(
    settings: Settings, *, processes: int = 1, read: Callable[[Path], DataSet] = read_examples
) -> TrainingData:
    """Read, check and plan everything before the first step.

    ``read`` reads a file of pairs, or has it in memory.

    Raises:
        DataError: a file is missing or malformed.
        UsageError: no data, rows the recipe cannot use, too few pairs.
    """
    if not settings.data:
        raise UsageError("no training data; give --data FILE, as in --data pairs.jsonl")
    sets = _read(settings.data, "--data", read)
    # A loss on the pairs trained on would fall whatever the model unlearns.
    validation_sets = _read(settings.validation, "--validation", read, other_than=sets)
    rows, examples = rows_of(sets, settings.languages)
    if not len(rows):
        raise UsageError(
            f"--languages {','.join(settings.languages)}: no row of the data has them; "
            f"the data have {', '.join(dict.fromkeys(x for s in sets for x in s.languages))}"
        )
    cells = RecipeCells(settings.recipe, rows.languages, single=settings.cross_batches == "single")
    unusable = strata_of(rows, cells, settings.batch_size)[1]
    if not settings.skip_unusable:
        check_usable(rows, examples, unusable, settings.recipe)
    kept = np.setdiff1d(np.arange(len(rows)), unusable)
    out = np.zeros(0, np.int64)
    if len(kept) >= settings.batch_size:  # too few have a message of their own
        _check_contrast(rows.take(kept), [examples[i] for i in kept], settings)
    if not validation_sets and settings.holdout:
        before = len(kept)
        kept, out = _hold_out(rows, kept, settings)
        if before and not len(kept):
            raise UsageError(
                "--holdout: all rows share ids or passages, so that validation pairs would be all "
                "of them; give --validation FILE, or --holdout 0 --patience 0 to train without"
            )
    train = _side(rows.take(kept), [examples[i] for i in kept], settings, processes)
    _check_contrast(train.plan.rows, train.pairs.examples, settings)
    if settings.epoch == "drawn":
        train.plan.check_alpha()
    validation = None
    if validation_sets:
        validation = _validation(*rows_of(validation_sets), settings, processes)
    elif len(out):
        validation = _validation(rows.take(out), [examples[i] for i in out], settings, processes)
    check_epochs(train.plan, range(_epochs(settings, len(train.plan) // processes)))
    used = np.bincount(rows.data_set[kept], minlength=len(sets))
    withheld = np.bincount(rows.data_set[out], minlength=len(sets))
    files = [
        {
            "name": s.name,
            "role": role,
            "form": s.form,
            "sha256": s.digest,
            "rows": len(s),
            "languages": list(s.languages),
            "trained_on": int(used[i]) if role == "train" else 0,
            "held_out": int(withheld[i]) if role == "train" else len(s),
        }
        for role, group in (("train", sets), ("validation", validation_sets))
        for i, s in enumerate(group)
    ]
    return TrainingData(train, validation, files, seen_languages(train.plan))


def _epochs(settings: Settings, batches: int) -> int:
    """Epochs that are begun, of so many batches each."""
    if not settings.steps:
        return math.ceil(settings.epochs)
    return math.ceil(settings.steps / math.ceil(batches / settings.accumulation))


def seen_languages(plan: Plan) -> tuple[str, ...]:
    """Languages of queries or passages that batches of ``plan`` can contain, in data order."""
    n = len(plan.rows.languages)
    seen = np.zeros(n, bool)
    for s in plan.strata:
        query, passage = plan.rows.query[s.rows], plan.rows.passage[s.rows]
        both, cells = query & passage, s.cells
        seen[cells[cells < n]] = True
        if (cells == n).any():
            seen |= both.any(0)
        if (cells == n + 1).any():
            # A language counts where the other side has another one.
            seen |= (query & (passage.sum(1, keepdims=True) > passage)).any(0)
            seen |= (passage & (query.sum(1, keepdims=True) > query)).any(0)
        if (cells == plan.cells.apart).any():
            seen |= query.any(0) | passage.any(0)
        for cell in cells[(cells > n + 1) & (cells < plan.cells.apart)] - n - 2:
            seen[[cell // n, cell % n]] = True
    return tuple(x for x, here in zip(plan.rows.languages, seen, strict=True) if here)


def _read(
    names: Sequence[str],
    flag: str,
    read: Callable[[Path], DataSet],
    other_than: Sequence[DataSet] = (),
) -> list[DataSet]:
    sets = [read(Path(name)) for name in names]
    digests = {s.digest: s for s in other_than}
    for s in sets:
        if s.digest in digests:
            raise UsageError(f"{flag} {s.path}: the same content as {digests[s.digest].path}")
        digests[s.digest] = s
    return sets


def _hold_out(rows: PairRows, kept: Ints, settings: Settings) -> tuple[Ints, Ints]:
    """Whole groups of rows for validation, about ``holdout`` of them, drawn by the seed.

    The same rows whatever the recipe, as long as it can use them all, so that recipes compare.
    """
    groups = np.unique(rows.group[kept])
    rng = np.random.default_rng([settings.seed, 2])
    target = settings.holdout * len(kept)
    shuffled = rng.permutation(groups)
    sizes = np.bincount(rows.group[kept])[shuffled]
    enough = int(np.searchsorted(np.cumsum(sizes), target) + 1)
    out = np.isin(rows.group[kept], shuffled[:enough])
    return kept[~out], kept[out]


def _side(rows: PairRows, examples: Sequence[Example], settings: Settings, processes: int) -> Side:
    plan = Plan(rows, settings, processes=processes)
    return Side(PairDataset(examples, rows.languages, second=settings.recipe == "lakda"), plan)


def _validation(
    rows: PairRows, examples: Sequence[Example], settings: Settings, processes: int
) -> Side:
    """Validation pairs in batches of the recipe's kinds, or of other kinds that they fit.

    A recipe's validation pairs need not be of its own kind: SQuADShifts is English whatever is
    trained.
    """
    size = min(settings.batch_size, len(rows))
    if size < 2:
        raise UsageError(
            "validation needs at least two pairs; give more data, a larger --holdout, or "
            "--holdout 0 --patience 0 to train without"
        )
    own = replace(settings, batch_size=size, epoch="drawn", seed=0)
    cells = RecipeCells(own.recipe, rows.languages, single=own.cross_batches == "single")
    unusable = strata_of(rows, cells, size)[1]
    if len(unusable):
        own = replace(own, recipe="hybrid", alpha=0.5, teacher="", distillation=0.5, alignment=0.5)
    return _side(rows, examples, own, processes)


def _check_contrast(rows: PairRows, examples: Sequence[Example], settings: Settings) -> None:
    """Check that there is something to learn from.

    Raises:
        UsageError: no pair can have a negative.
    """
    if not _contrasted(rows, examples, settings):
        raise UsageError(
            "the rows to train on all share ids or passages, so that no batch can have two and "
            "nothing can be learnt; add pairs of other questions and passages, or hard negatives"
        )


def _contrasted(rows: PairRows, examples: Sequence[Example], settings: Settings) -> bool:
    """Whether a batch can have two pairs, or a pair alone a loss above 0."""
    of_set, _ = np.unique(np.stack([rows.data_set, rows.group]), axis=1)
    return bool(
        (np.bincount(of_set) > 1).any()
        or (settings.hard_negatives and any(x.negatives for x in examples))
        or settings.recipe == "mimo"  # whose teacher needs no negatives
    )
