"""The trials of a study: one training each, in the order of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from harness.errors import StudyError, UsageError
from harness.study.definition import Arm, Point, Study, Value, named
from harness.training.settings import Settings, made

_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+")


class Portion(NamedTuple):
    """A data set of a trial, or its first rows in a fixed order."""

    data: str
    rows: int | None = None
    """``None``: all."""


@dataclass(frozen=True)
class Trial:
    """One training: an arm, a value of each of its axes, a seed."""

    name: str
    """``ARM.AXIS=VALUE.seed=N``, usable as a folder name."""
    arm: str
    values: Mapping[str, Value]
    """Axis -> value; of a named point its name. Axes that the arm lacks are not in it."""
    seed: int
    options: Mapping[str, Any]
    """The fields of :class:`~harness.training.settings.Settings`, except its data."""
    data: tuple[Portion, ...]

    def settings(self, files: Sequence[str] = ()) -> Settings:
        """The training's settings, on ``files`` of pairs.

        Raises:
            UsageError: an option's value is out of range, or does not go with the recipe.
        """
        return made({**self.options, "data": tuple(files)})


def trials_of(study: Study) -> tuple[Trial, ...]:
    """All trials: arm by arm, then the values of its axes, then the seeds.

    Raises:
        StudyError: an option's value is invalid, or two trials have one name; names the file.
    """
    found: dict[str, Trial] = {}
    for arm in study.arms:
        axes = [study.axes[x] for x in arm.axes]
        for points in product(*(x.points for x in axes)):
            for seed in study.seeds:
                trial = _trial(study, arm, points, seed)
                _check(study, trial)
                # Some file systems ignore case.
                other = found.setdefault(trial.name.lower(), trial)
                if other is not trial:
                    raise StudyError(
                        f"{study.where}: two trials have the name {trial.name!r}: "
                        f"arm {other.arm!r} {_at(other)} and arm {trial.arm!r} "
                        f"{_at(trial)}; give arms and points names that differ in more than signs "
                        "and case"
                    )
    return tuple(found.values())


def _trial(study: Study, arm: Arm, points: Sequence[Point], seed: int) -> Trial:
    options = {**study.train, **arm.train}
    data = arm.data
    rows: dict[str, int] = {}
    for point in points:
        options |= point.train
        data = point.data or data
        rows |= point.rows
    values = {axis: point.value for axis, point in zip(arm.axes, points, strict=True)}
    parts = [arm.name, *(f"{x}={named(v)}" for x, v in values.items()), f"seed={seed}"]
    return Trial(
        name=".".join(_UNSAFE.sub("-", x).strip("-.") for x in parts),
        arm=arm.name,
        values=values,
        seed=seed,
        options={**options, "recipe": arm.recipe, "seed": seed},
        data=tuple(Portion(x, rows.get(x)) for x in data if rows.get(x) != 0),
    )


def _check(study: Study, trial: Trial) -> None:
    try:
        settings = trial.settings()
    except UsageError as error:
        raise StudyError(f"{study.where}: trial {trial.name}: {in_keys(error)}") from error
    if not settings.base:
        raise StudyError(f"{study.where}: key 'train.base' is missing: the model to train further")
    if not trial.data:
        raise StudyError(
            f"{study.where}: trial {trial.name} has no data left: arm {trial.arm!r} trains on "
            "nothing "
            "but what the axis leaves out; give it another data set, or leave 0 out of the values"
        )


def _at(trial: Trial) -> str:
    return (
        ", ".join(f"{x}={named(v)}" for x, v in trial.values.items()) or f"with seed {trial.seed}"
    )


def in_keys(error: Exception) -> str:
    """A message about flags, rephrased for keys of the file."""
    return re.sub(r"(?<!\S)--([a-z][a-z-]*)", lambda m: repr(m[1].replace("-", "_")), str(error))
