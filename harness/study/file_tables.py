"""The tables of a study file, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from harness.base.languages import is_language
from harness.base.toml_table import Table
from harness.data.task import KINDS, Kind
from harness.errors import StudyError, UsageError, did_you_mean
from harness.study.definition import Arm, Axis, DataSet, Point, ReportSpec, Scored, Study
from harness.training.settings import RECIPES, Settings

RESERVED = ("recipe", "data", "validation", "seed")
"""Options of a recipe that a study sets by other keys."""
OPTIONS = tuple(x.name for x in fields(Settings) if x.name not in RESERVED)
PAIRS = "pairs"
_KEYS = ("name", "title", "question", "about", "seeds", "train", "data", "axes", "arms", "score",
         "report")  # fmt: skip
_SOURCE_KEYS = ("languages", "pairing", "part", "label", "rename", "language", "parallel",
                "negatives", "limit", "revision")  # fmt: skip
_MOST_AXES = 2


class _Table(Table):
    """One table of a study file."""

    complaint = StudyError

    def number(self, key: str, least: int = 0) -> int:
        value = self.values[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.error(key, f"must be a whole number, {least} or more, not {value!r}")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, not {value!r}")
        return value

    def codes(self, key: str) -> tuple[str, ...]:
        found = self.strings(key)
        for code in found:
            if not is_language(code):
                raise self.error(key, f"names {code!r}, which is not a language code, as en or de")
        return found

    def names(self, key: str, known: Iterable[str], default: list[str] | None = None) -> Any:
        found = self.strings(key, default)
        return tuple(self.one_of(key, x, known) for x in found)

    def tables(self, key: str) -> list[_Table]:
        value = self.values.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(x, dict) for x in value):
            raise self.error(key, "must be a list of tables, at least one")
        return [_Table(self.path, x, f"{self.prefix}{key}[{i}].") for i, x in enumerate(value)]

    def options(self, key: str) -> dict[str, Any]:
        """Recipe options; their values are looked at cell by cell."""
        found = self.table(key, {})
        for name in found.values:
            if name in RESERVED:
                raise found.error(name, f"is not set here: {_elsewhere(name)}")
        found.only(OPTIONS)
        return {k: tuple(v) if isinstance(v, list) else v for k, v in found.values.items()}


def _elsewhere(name: str) -> str:
    return {
        "recipe": "each of [[arms]] names its recipe",
        "data": "each of [[arms]] names its data",
        "validation": "pairs are held out of the data, as many as 'holdout' says",
        "seed": "the key 'seeds' does it for the whole study",
    }[name]


def read_document(
    document: Mapping[str, Any],
    where: str,
    folder: Path,
    scale: str,
    scales: tuple[str, ...],
    name_form: re.Pattern[str],
) -> Study:
    """See :func:`harness.study.file.study_from`."""
    table = _Table(where, document)
    table.only(_KEYS)
    name = table.string("name")
    if name_form.fullmatch(name) is None:
        raise table.error("name", f"must be lower-case letters, digits, _ and -, not {name!r}")
    data = {
        x: _data_set(x, table.table("data").table(x), name_form) for x in table.table("data").values
    }
    if not data:
        raise table.error("data", "must hold at least one data set, as [data.xnli]")
    axes = {x: _axis(x, table.table("axes").table(x), data) for x in table.table("axes", {}).values}
    if len(axes) > _MOST_AXES:
        raise table.error("axes", f"holds {len(axes)} axes; a study has at most {_MOST_AXES}")
    arms = tuple(_arm(x, data, axes) for x in table.tables("arms"))
    _different(table, "arms", [x.name for x in arms])
    for axis in axes:
        if not any(axis in x.axes for x in arms):
            raise table.error(f"axes.{axis}", "belongs to no arm; take it out")
    score = table.table("score")
    score.only(("tasks", "references"))
    scored = tuple(_scored(x) for x in score.tables("tasks"))
    _different(score, "tasks", [x.name for x in scored])
    references = score.strings("references") if score.values.get("references") else ()
    return Study(
        name=name,
        title=table.string("title"),
        question=table.string("question"),
        about=table.string("about", "").strip(),
        seeds=_seeds(table),
        train=table.options("train"),
        data=data,
        axes=axes,
        arms=arms,
        scored=scored,
        references=references,
        report=_report(table.table("report"), axes, arms),
        scale=scale,
        scales=scales,
        where=where,
        folder=folder,
        document=document,
    )


def _different(table: Table, key: str, names: Sequence[str]) -> None:
    for at, name in enumerate(names):
        if name in names[:at]:
            raise table.error(key, f"holds two of the name {name!r}; give each a name of its own")


def _seeds(table: _Table) -> tuple[int, ...]:
    value = table.values.get("seeds", [0])
    right = isinstance(value, list) and all(
        isinstance(x, int) and not isinstance(x, bool) and x >= 0 for x in value
    )
    if not right or not value:
        raise table.error("seeds", f"must be a list of whole numbers, as [0, 1, 2], not {value!r}")
    if len(set(value)) < len(value):
        raise table.error("seeds", "names a seed twice: two cells would have one name")
    return tuple(value)


def _data_set(name: str, table: _Table, name_form: re.Pattern[str]) -> DataSet:
    from harness.training.sources.conversion import FORMATS
    from harness.training.sources.hub_sets import HUB

    if name_form.fullmatch(name) is None:
        raise StudyError(
            f"{table.path}: [data.{name}] must be named by lower-case letters, digits, _ and -"
        )
    table.only(("format", "files", "clean", "code_switch", "allow_overlap", *_SOURCE_KEYS))
    source = table.one_of("format", table.string("format"), (PAIRS, *FORMATS, *HUB))
    if source in HUB:
        if "files" in table.values:
            raise table.error("files", f"is not for {source!r}, which is fetched by name")
        given: tuple[str, ...] = ()
    else:
        given = table.strings("files")
    options: dict[str, Any] = {}
    for key in ("languages",):
        if key in table.values:
            options[key] = table.codes(key)
    for key in ("pairing", "part", "language", "revision"):
        if key in table.values:
            options[key] = table.string(key)
    if "label" in table.values:
        options["labels"] = table.strings("label")
    if "rename" in table.values:
        renamed = table.table("rename")
        options["rename"] = {x: renamed.string(x) for x in renamed.values}
    if "parallel" in table.values:
        options["parallel"] = table.flag("parallel")
    for key, least in (("negatives", 0), ("limit", 1)):
        if key in table.values:
            options[key] = table.number(key, least)
    switch = table.table("code_switch").values if "code_switch" in table.values else None
    return DataSet(
        name=name,
        source=source,
        files=given,
        options=options,
        clean=table.strings("clean") if "clean" in table.values else (),
        code_switch=switch,
        allow_overlap=table.flag("allow_overlap"),
    )


def _axis(name: str, table: _Table, data: Mapping[str, DataSet]) -> Axis:
    table.only(("label", "values", "data", "points"))
    label = table.string("label", name)
    if "points" in table.values:
        for key in ("values", "data"):
            if key in table.values:
                raise table.error(key, "does not go with 'points', which say what they change")
        points = tuple(_point(x, data) for x in table.tables("points"))
        amount = None
    else:
        values = table.values.get("values")
        if not isinstance(values, list) or not values:
            raise table.error("values", "must be a list, at least one (or give 'points')")
        amount = (
            table.one_of("data", table.string("data"), data) if "data" in table.values else None
        )
        if amount is not None:
            points = tuple(_amount(table, x, amount) for x in values)
        else:
            points = tuple(_option(table, name, x) for x in values)
    _different(table, "points" if "points" in table.values else "values", [x.name for x in points])
    return Axis(name, label, points, amount)


def _amount(table: _Table, value: Any, data: str) -> Point:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise table.error("values", f"must be numbers of rows of {data!r}, not {value!r}")
    return Point(value, rows={data: value})


def _option(table: _Table, name: str, value: Any) -> Point:
    if name not in OPTIONS:
        hint = did_you_mean(name, OPTIONS) or "; `harness train --help` lists them"
        raise StudyError(
            f"{table.path}: [axes.{name}] has 'values' and no 'data', a data set whose rows they "
            f"would count, so it must be named as a recipe option{hint}"
        )
    if not isinstance(value, str | int | float):
        raise table.error("values", f"holds {value!r}; give 'points', each with a name and a table")
    return Point(value, train={name: value})


def _point(table: _Table, data: Mapping[str, DataSet]) -> Point:
    table.only(("name", "train", "data"))
    chosen = table.names("data", data) if "data" in table.values else None
    return Point(table.string("name"), train=table.options("train"), data=chosen)


def _arm(table: _Table, data: Mapping[str, DataSet], axes: Mapping[str, Axis]) -> Arm:
    table.only(("name", "recipe", "data", "axes", "train"))
    own = table.values.get("axes", list(axes))
    arm = Arm(
        name=table.string("name"),
        recipe=table.one_of("recipe", table.string("recipe"), RECIPES),
        data=table.names("data", data),
        axes=table.names("axes", axes, list(axes)) if own else (),
        train=table.options("train"),
    )
    for name in arm.axes:
        axis = axes[name]
        if (
            axis.data is not None
            and axis.data not in arm.data
            and not any(axis.data in (p.data or ()) for x in arm.axes for p in axes[x].points)
        ):
            raise table.error(
                "axes",
                f"names {name!r}, the rows of {axis.data!r}, which the arm does not train on",
            )
        for point in axis.points:
            for option in point.train:
                if option in arm.train:
                    raise table.error(
                        f"train.{option}", f"is also set by the axis {name!r}; set it in one place"
                    )
    return arm


def _scored(table: _Table) -> Scored:
    table.only(("name", "task", "corpus", "languages", "settings", "text", "limit", "sample",
                "domain"))  # fmt: skip
    task = table.string("task")
    default = Path(task).stem if task.endswith(".toml") else task
    kinds = table.names("settings", KINDS) if "settings" in table.values else None
    return Scored(
        name=table.string("name") if "name" in table.values else default,
        task=task,
        corpus=table.one_of("corpus", table.string("corpus", "whole"), ("whole", "sampled")),
        languages=table.codes("languages") if "languages" in table.values else None,
        settings=kinds,
        text=table.string("text") if "text" in table.values else None,
        limit=table.number("limit", 1) if "limit" in table.values else None,
        sample=table.number("sample", 1) if "sample" in table.values else None,
        domain=table.string("domain") if "domain" in table.values else None,
    )


def _report(table: _Table, axes: Mapping[str, Axis], arms: Sequence[Arm]) -> ReportSpec:
    from harness.metrics import parse_measures

    table.only(("x", "measures", "kinds", "baseline", "groups", "fit", "retention"))
    measures = table.strings("measures")
    try:
        parse_measures(measures)
    except UsageError as error:
        raise table.error("measures", f"holds an unknown measure: {error}") from error
    groups = table.table("groups", {})
    fit = (
        table.one_of("fit", table.string("fit"), ("saturation",)) if "fit" in table.values else None
    )
    x = table.one_of("x", table.string("x"), axes) if "x" in table.values else None
    if fit is not None and (x is None or not axes[x].numeric):
        raise table.error("fit", "needs 'x', an axis whose values are numbers")
    retention = None
    if "retention" in table.values:
        held = table.table("retention")
        retention = {key: held.string(key) for key in held.values}
    return ReportSpec(
        x=x,
        measures=measures,
        kinds=cast("tuple[Kind, ...]", table.names("kinds", KINDS, list(KINDS))),
        baseline=table.one_of("baseline", table.string("baseline"), [a.name for a in arms]),
        groups={x: groups.codes(x) for x in groups.values},
        fit=fit,
        retention=retention,
    )
