"""The definition of a study: data sets, axes, arms, tasks and report; frozen and picklable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from harness.base.digests import digest_of
from harness.base.strict import (
    MANY,
    Check,
    Languages,
    Text,
    Texts,
    WrongKeyError,
    at_least,
    different,
)
from harness.data.task import KINDS, Kind
from harness.errors import UsageError, did_you_mean
from harness.training.settings import RecipeName, Settings

_ELSEWHERE = {
    "recipe": "each of [[arms]] names its recipe",
    "data": "each of [[arms]] names its data",
    "validation": "validation pairs are taken from the data; set how many with 'holdout'",
    "seed": "the key 'seeds' does it for the whole study",
}
"""Recipe options that a study sets through other keys."""
OPTIONS = tuple(x.name for x in fields(Settings) if x.name not in _ELSEWHERE)

Value = str | int | float | bool
"""A value of an axis: an option's value, a number of rows, or a point's name."""


@dataclass(frozen=True)
class DataSet:
    """A named set of pairs, made once for all trials."""

    name: str
    source: str
    """A format or hub name of ``harness pairs``; ``pairs``: the files are pairs already."""
    files: tuple[str, ...]
    """Paths in the data directory, or relative to the study file if they begin with a dot."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of :class:`harness.training.sources.conversion.Options`, by name."""
    clean: tuple[str, ...] = ()
    """Tasks whose questions are removed from the data."""
    code_switch: Mapping[str, Any] | None = None
    """Code switching: how words of the queries are translated."""
    allow_overlap: bool = False
    """Whether questions of the scored tasks may stay in the data; it is reported."""


@dataclass(frozen=True)
class Point:
    """One value of an axis, and what it changes."""

    value: Value
    """The value in a trial's ``values``; the name of a named point."""
    train: Mapping[str, Any] = field(default_factory=dict)
    """Recipe options."""
    data: tuple[str, ...] | None = None
    """The arm's data sets instead of its own."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Data set -> number of its rows; 0 leaves it out."""

    @property
    def name(self) -> str:
        """The name in trials and tables."""
        return named(self.value)


@dataclass(frozen=True)
class Axis:
    """Something that varies: a recipe option, the amount of a data set, or named points."""

    name: str
    label: str
    """The label for readers, with its unit if it has one."""
    points: tuple[Point, ...]
    data: str | None = None
    """The data set whose amount varies."""

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers on a numeric scale."""
        return all(
            isinstance(x.value, int | float) and not isinstance(x.value, bool) for x in self.points
        )

    @property
    def values(self) -> tuple[Value, ...]:
        """The values of its points, in order."""
        return tuple(x.value for x in self.points)


def _recipe_options(table: Mapping[str, Any]) -> dict[str, Any]:
    for name in table:
        if name in _ELSEWHERE:
            raise WrongKeyError(name, f"is not set here: {_ELSEWHERE[name]}")
        if name not in OPTIONS:
            hint = did_you_mean(name, OPTIONS) or f"; known keys are {', '.join(OPTIONS)}"
            raise WrongKeyError(name, f"is unknown{hint}")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}


RecipeOptions = Annotated[Mapping[str, Any], Check(_recipe_options)]
"""Recipe options; their values are checked trial by trial."""


@dataclass(frozen=True)
class Arm:
    """One recipe on some data sets, at every value of its axes."""

    name: Text
    recipe: RecipeName
    data: Texts
    axes: Annotated[tuple[str, ...], Check(different)]
    train: RecipeOptions = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """A task that every model is scored on, and how."""

    task: Text
    """A name, or a path relative to the study file."""
    name: Text = ""
    """Key of its records: the task's name, or ``name`` where one task is scored in two ways."""
    corpus: Literal["whole", "sampled"] = "whole"
    languages: Languages | None = None
    settings: Annotated[tuple[Kind, ...], *MANY] | None = None
    text: Text | None = None
    limit: Annotated[int, at_least(1)] | None = None
    sample: Annotated[int, at_least(1)] | None = None
    sample_passages: Annotated[int, at_least(1)] | None = None
    """Passages of each language, as :mod:`harness.evaluation.pool_sample` chooses them."""
    domain: Text | None = None
    """The domain of the task: the name of a point of the axis ``domain``."""

    def __post_init__(self) -> None:
        """Default the name to the task's."""
        default = Path(self.task).stem if self.task.endswith(".toml") else self.task
        object.__setattr__(self, "name", self.name or default)


PLAIN = "none"
"""Name of what is scored without post-processing."""


def _known_steps(steps: tuple[str, ...]) -> tuple[str, ...]:
    from harness.evaluation.postprocessing.specs import NAMES

    forms = [x.replace(":FILE", "") for x in NAMES]
    for step in steps:
        kind, at, number = step.partition("@")
        form = next((x for x in forms if x.partition("@")[0] == kind), None)
        if form is None or (at and "@" not in form):
            hint = did_you_mean(kind, [x.partition("@")[0] for x in forms])
            raise ValueError(f"contains {step!r}; steps are {', '.join(forms)}{hint}")
        if at and not number.replace(".", "", 1).isdecimal():
            raise ValueError(f"contains {step!r}; after @ comes a number, 0 or more")
    return steps


@dataclass(frozen=True)
class PostProcessing:
    """Steps of post-processing; every model is scored with each of them too."""

    steps: Annotated[Texts, Check(_known_steps)]
    """As ``--treatment`` takes them, without the file: ``shift@1``, ``center``, ``balanced``."""
    texts: Text | None = None
    """The parallel texts that they are fitted on: a path like those of data sets."""
    limit: Annotated[int, at_least(1)] | None = None
    """The number of the file's first texts that are used; ``None``: all."""

    @property
    def fitted(self) -> bool:
        """Whether a step is fitted on texts."""
        return any(x != "balanced" for x in self.steps)


def _known_measures(names: tuple[str, ...]) -> tuple[str, ...]:
    from harness.metrics import parse_measures

    try:
        parse_measures(names)
    except UsageError as error:
        raise ValueError(f"contains an unknown measure: {error}") from error
    return names


@dataclass(frozen=True)
class ReportSpec:
    """What the report of a study shows."""

    measures: Annotated[Texts, Check(_known_measures)]
    baseline: Text
    """The arm that others are compared with."""
    x: Text | None = None
    """The axis on the x axis; ``None``: the arms themselves."""
    kinds: Annotated[tuple[Kind, ...], *MANY] = KINDS
    groups: Mapping[str, Languages] = field(default_factory=dict)
    """Groups of query languages that are reported separately."""
    fit: Literal["saturation"] | None = None
    retention: Mapping[str, Text] | None = None


@dataclass(frozen=True)
class Study:
    """A whole study, at one scale."""

    name: str
    title: str
    question: str
    about: str
    seeds: tuple[int, ...]
    train: Mapping[str, Any]
    data: Mapping[str, DataSet]
    axes: Mapping[str, Axis]
    arms: tuple[Arm, ...]
    scored: tuple[Scored, ...]
    post_processing: PostProcessing | None
    references: tuple[str, ...]
    report: ReportSpec
    scale: str
    scales: tuple[str, ...]
    """All scales of the file, ``small`` first."""
    where: str
    """The file's name in messages."""
    folder: Path
    """The folder that paths beginning with a dot are relative to."""
    document: Mapping[str, Any]
    """The file's content at the chosen scale and seeds, as kept in ``study.json``."""

    @property
    def digest(self) -> str:
        """SHA-256 of ``document``."""
        return digest_of(self.document)

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(x for x in self.arms if x.name == name)


def named(value: Value) -> str:
    """A value as written in trial names and tables: ``0.1``, ``4000``, ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
