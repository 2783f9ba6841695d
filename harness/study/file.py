"""Study files: TOML, read strictly; every error names the file and the key.

A scale changes some of it: the table ``[scale.full]`` is laid over the file where the study is run
with ``--scale full``, table by table and key by key; lists replace lists. Without ``--scale`` the
file is read unchanged, which is the scale ``small``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.base.reading import read_toml
from harness.errors import StudyError, UsageError, did_you_mean
from harness.study.definition import (
    Arm,
    Axis,
    DataSet,
    Point,
    ReportSpec,
    Scored,
    Study,
    Value,
    named,
)
from harness.study.file_tables import read_document

__all__ = [
    "SMALL",
    "Arm",
    "Axis",
    "DataSet",
    "Point",
    "ReportSpec",
    "Scored",
    "Study",
    "Value",
    "list_studies",
    "named",
    "read_study",
    "study_folder",
    "study_from",
]

SMALL = "small"


def study_folder() -> Path:
    """The folder of the built-in studies."""
    return Path(str(files("harness") / "study" / "files"))


def list_studies() -> list[Study]:
    """All built-in studies, by name.

    Raises:
        StudyError: one of their files is wrong.
    """
    return [read_study(path) for path in sorted(study_folder().glob("*.toml"))]


def read_study(
    name_or_path: str | Path, scale: str = SMALL, seeds: Sequence[int] | None = None
) -> Study:
    """Read a study by name (``alpha``) or from a user's file (``./my-study.toml``).

    Args:
        name_or_path: a name that ``harness study list`` shows, or a path ending in ``.toml``.
        scale: one of the file's.
        seeds: replace the file's.

    Raises:
        StudyError: no such study or scale, or its file is wrong.
    """
    path = _find(str(name_or_path))
    values = read_toml(path, StudyError)
    scales = values.pop("scale", {})
    if not isinstance(scales, dict) or not all(isinstance(x, dict) for x in scales.values()):
        raise StudyError(f"{path}: key 'scale' must have tables, as [scale.full]")
    known = tuple(dict.fromkeys((SMALL, *scales)))
    if scale not in known:
        raise StudyError(
            f"{path}: has no scale {scale!r}; it has {', '.join(known)}{did_you_mean(scale, known)}"
        )
    document = _laid_over(values, scales.get(scale, {}))
    if seeds is not None:
        document["seeds"] = list(seeds)
    study = study_from(document, str(path), path.parent, scale, known)
    if study.name != path.stem:
        raise StudyError(f"{path}: key 'name' must be the file's name, {path.stem!r}")
    return study


def study_from(
    document: Mapping[str, Any],
    where: str,
    folder: Path,
    scale: str = SMALL,
    scales: Sequence[str] = (SMALL,),
) -> Study:
    """A study from the content of its file, ``scale`` already chosen.

    Args:
        document: as TOML or JSON gives it.
        where: the file, for messages.
        folder: the folder that paths beginning with a dot are relative to.
        scale: the chosen scale.
        scales: all scales of the file.

    Raises:
        StudyError: names file and key.
    """
    return read_document(document, where, folder, scale, tuple(scales))


def _find(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    known = sorted(path.stem for path in study_folder().glob("*.toml"))
    if name in known:
        return study_folder() / f"{name}.toml"
    raise UsageError(
        f"unknown study {name!r}: known are {', '.join(known) or 'none'}, or the path of a study "
        f"file ending in .toml{did_you_mean(name, known)}"
    )


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` overridden by ``above``: tables merge key by key, other values are replaced."""
    found = copy.deepcopy(dict(below))
    for key, value in above.items():
        present = found.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            found[key] = _laid_over(present, value)
        else:
            found[key] = copy.deepcopy(value)
    return found
