"""The tables of a study file, and the constraints between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from harness.base.strict import (
    MANY,
    Check,
    Complaints,
    Languages,
    Text,
    Texts,
    at_least,
    different,
    read_as,
)
from harness.errors import StudyError, did_you_mean
from harness.study.definition import (
    OPTIONS,
    Arm,
    Axis,
    DataSet,
    Point,
    PostProcessing,
    RecipeOptions,
    ReportSpec,
    Scored,
    Study,
)

PAIRS = "pairs"
_MOST_AXES = 2
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def _plain_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"must be lower-case letters, digits, _ and -, not {name!r}")
    return name


Name = Annotated[Text, Check(_plain_name)]


@dataclass(frozen=True)
class _DataTable:
    format: Text
    files: Texts = ()
    clean: Texts = ()
    code_switch: Mapping[str, Any] | None = None
    allow_overlap: bool = False
    # The rest are options of harness.training.sources.conversion.
    languages: Languages | None = None
    pairing: Text | None = None
    part: Text | None = None
    label: Texts | None = None
    rename: Mapping[str, Text] | None = None
    language: Text | None = None
    parallel: bool | None = None
    negatives: Annotated[int, at_least(0)] | None = None
    limit: Annotated[int, at_least(1)] | None = None
    revision: Text | None = None

    def data_set(self, name: str) -> DataSet:
        own = ("format", "files", "clean", "code_switch", "allow_overlap")
        options = {k: v for k, v in vars(self).items() if k not in own and v is not None}
        if "label" in options:
            options["labels"] = options.pop("label")
        return DataSet(
            name, self.format, self.files, options, self.clean, self.code_switch, self.allow_overlap
        )


@dataclass(frozen=True)
class _PointTable:
    name: Text
    train: RecipeOptions = field(default_factory=dict)
    data: Texts | None = None


@dataclass(frozen=True)
class _AxisTable:
    label: str = ""
    values: tuple[Any, ...] | None = None
    data: Text | None = None
    points: tuple[_PointTable, ...] | None = None


@dataclass(frozen=True)
class _ScoreTable:
    tasks: Annotated[tuple[Scored, ...], *MANY]
    references: Annotated[tuple[str, ...], Check(different)] = ()
    post_processing: PostProcessing | None = None


@dataclass(frozen=True)
class _StudyTable:
    name: Name
    title: Text
    question: Text
    data: Mapping[Name, _DataTable]
    arms: Annotated[tuple[Arm, ...], *MANY]
    score: _ScoreTable
    report: ReportSpec
    about: str = ""
    seeds: Annotated[tuple[Annotated[int, at_least(0)], ...], *MANY] = (0,)
    train: RecipeOptions = field(default_factory=dict)
    axes: Mapping[str, _AxisTable] = field(default_factory=dict)


class _Checked:
    """The constraints between the tables; errors name the file and the key."""

    def __init__(self, where: str, table: _StudyTable) -> None:
        self.where, self.table = where, table
        self.refuse = Complaints(where, StudyError)
        if not table.data:
            self.refuse("data", "must have at least one data set, as [data.xnli]")
        for name, data in table.data.items():
            self._data(f"data.{name}", data)
        self.axes = {x: self._axis(x, table.axes[x]) for x in table.axes}
        if len(self.axes) > _MOST_AXES:
            self.refuse("axes", f"has {len(self.axes)} axes; a study has at most {_MOST_AXES}")
        for number, arm in enumerate(table.arms, 1):
            self._arm(f"arms[{number}]", arm)
        self.refuse.unless_different("arms", [x.name for x in table.arms])
        for axis in self.axes:
            if not any(axis in x.axes for x in table.arms):
                self.refuse(f"axes.{axis}", "belongs to no arm; remove it")
        self.refuse.unless_different("score.tasks", [x.name for x in table.score.tasks])
        steps = table.score.post_processing
        if steps is not None and steps.fitted and steps.texts is None:
            self.refuse(
                "score.post_processing.texts",
                f"is missing: {steps.steps[0]} and the like are fitted on a file of parallel texts",
            )
        self.refuse.unless_one_of(
            "report.baseline", table.report.baseline, [x.name for x in table.arms]
        )
        x = table.report.x
        if x is not None:
            self.refuse.unless_one_of("report.x", x, self.axes)
        if table.report.fit is not None and (x is None or not self.axes[x].numeric):
            self.refuse("report.fit", "needs 'x', an axis whose values are numbers")

    def _data(self, key: str, data: _DataTable) -> None:
        from harness.training.sources.conversion import FORMATS
        from harness.training.sources.hub_sets import HUB

        self.refuse.unless_one_of(f"{key}.format", data.format, (PAIRS, *FORMATS, *HUB))
        if data.format in HUB and data.files:
            self.refuse(f"{key}.files", f"is not for {data.format!r}, which is fetched by name")
        if data.format not in HUB and not data.files:
            self.refuse(f"{key}.files", "is missing: it must be a list of strings")

    def _axis(self, name: str, axis: _AxisTable) -> Axis:
        key, label = f"axes.{name}", axis.label or name
        if axis.points is not None:
            for other in ("values", "data"):
                if getattr(axis, other) is not None:
                    self.refuse(
                        f"{key}.{other}",
                        "excludes 'points', which say what they change; give one of them",
                    )
            for number, point in enumerate(axis.points, 1):
                for data in point.data or ():
                    self.refuse.unless_one_of(f"{key}.points[{number}].data", data, self.table.data)
            points = tuple(Point(x.name, train=x.train, data=x.data) for x in axis.points)
        elif not axis.values:
            self.refuse(f"{key}.values", "must be a list with at least one item (or give 'points')")
        elif axis.data is not None:
            self.refuse.unless_one_of(f"{key}.data", axis.data, self.table.data)
            points = tuple(self._amount(f"{key}.values", x, axis.data) for x in axis.values)
        else:
            points = tuple(self._option(name, x) for x in axis.values)
        given = "values" if axis.points is None else "points"
        self.refuse.unless_different(f"{key}.{given}", [x.name for x in points])
        return Axis(name, label, points, axis.data)

    def _amount(self, key: str, value: Any, data: str) -> Point:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.refuse(key, f"must be numbers of rows of {data!r}, not {value!r}")
        return Point(value, rows={data: value})

    def _option(self, name: str, value: Any) -> Point:
        if name not in OPTIONS:
            hint = did_you_mean(name, OPTIONS) or "; `harness train --help` lists them"
            raise StudyError(
                f"{self.where}: [axes.{name}] has 'values' but no 'data', a data set whose rows "
                f"they would count, so it must be named as a recipe option{hint}"
            )
        if not isinstance(value, str | int | float):
            self.refuse(
                f"axes.{name}.values",
                f"contains {value!r}; give 'points', each with a name and a table",
            )
        return Point(value, train={name: value})

    def _arm(self, key: str, arm: Arm) -> None:
        for data in arm.data:
            self.refuse.unless_one_of(f"{key}.data", data, self.table.data)
        for name in arm.axes:
            self.refuse.unless_one_of(f"{key}.axes", name, self.axes)
        points = [point for name in arm.axes for point in self.axes[name].points]
        for name in arm.axes:
            axis = self.axes[name]
            if axis.data not in (None, *arm.data) and not any(
                axis.data in (x.data or ()) for x in points
            ):
                self.refuse(
                    f"{key}.axes",
                    f"names {name!r}, the rows of {axis.data!r}, which the arm does not train on",
                )
            for option in (x for point in axis.points for x in point.train):
                if option in arm.train:
                    self.refuse(
                        f"{key}.train.{option}",
                        f"is also set by the axis {name!r}; set it in one place",
                    )


def read_document(
    document: Mapping[str, Any], where: str, folder: Path, scale: str, scales: tuple[str, ...]
) -> Study:
    """See :func:`harness.study.file.study_from`."""
    values = dict(document)
    arms, axes = values.get("arms"), values.get("axes", {})
    if isinstance(arms, list) and isinstance(axes, dict):
        # An arm that names no axes has all of them.
        values["arms"] = [{"axes": [*axes]} | x if isinstance(x, dict) else x for x in arms]
    table = read_as(_StudyTable, values, where, StudyError)
    checked = _Checked(where, table)
    return Study(
        name=table.name,
        title=table.title,
        question=table.question,
        about=table.about.strip(),
        seeds=table.seeds,
        train=table.train,
        data={name: x.data_set(name) for name, x in table.data.items()},
        axes=checked.axes,
        arms=table.arms,
        scored=table.score.tasks,
        post_processing=table.score.post_processing,
        references=table.score.references,
        report=table.report,
        scale=scale,
        scales=scales,
        where=where,
        folder=folder,
        document=document,
    )
