"""From a model's name on the hub to a complete local folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from harness.base.hub import Repository, UnreachableError, is_offline
from harness.base.reading import read_object
from harness.errors import ModelError
from harness.models.fingerprint import relevant_files

CONFIGURATIONS = ("modules.json", "config.json", "adapter_config.json")
"""A model folder has one of them: sentence-transformers', transformers' or an adapter's."""

NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?")


def snapshot(repo: str, revision: str | None, *, offline: bool, export: str | None = None) -> Path:
    """The local folder of a hub model's files, downloaded if needed; its name is the commit.

    Only files that can change a vector are downloaded, and safetensors rather than pickles if there
    are both. Exports for other backends are not, but for ``export``, the one that the user names
    (``onnx/model_O3.onnx``), with the files beside it that belong to it.

    Raises:
        ModelError: no such model or revision, no access, no network and no local copy, an
            incomplete copy, or a repository without weights or the export.
    """
    repository = Repository(repo, revision, "model")
    why = "--offline (or HF_HUB_OFFLINE) keeps the harness off the network"
    if not is_offline(offline):
        try:
            every = repository.file_names()
            names = relevant_files(every)
            if lacking := _lacking(names):
                raise ModelError(
                    f"{repository}: not a model that can be loaded: the repository has no "
                    f"{' and no '.join(lacking)}"
                )
            if export is not None:
                if export not in every:
                    raise ModelError(f"--backend-file {export}: {repository} has no such file")
                same = str(PurePosixPath(export).with_suffix("")) + "."
                names += [x for x in every if x.startswith(same) and x not in names]
            # By its name rather than its commit, so that the name resolves offline afterwards.
            folder = repository.snapshot([_literal(name) for name in names])
            return _whole(folder, repository, "the hub does not have the rest", export)
        except UnreachableError as error:
            why = error.why
    copy = repository.local_copy()
    if copy is None:
        raise ModelError(
            f"{repository}: no local copy, and {why}; fetch it where there is a network with: "
            f"{repository.command}"
        )
    return _whole(copy, repository, why, export)


def _lacking(names: Iterable[str]) -> list[str]:
    """What every model needs and these files do not have: configuration, weights."""
    names, missing = list(names), []
    if not any(x in CONFIGURATIONS for x in names):
        missing.append("config.json")
    if not any(x.endswith((".safetensors", ".bin")) for x in names):
        missing.append("weights (safetensors or pytorch_model.bin)")
    return missing


def _whole(folder: Path, repository: Repository, why: str, export: str | None = None) -> Path:
    """Refuse a local copy that lacks configuration, weights or one of its parts.

    ``why`` the rest cannot be fetched now.
    """
    present = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    missing = _lacking(present)
    # Not those of other libraries (TensorFlow, Flax), or of pickles where there are safetensors:
    # their weights are not fetched, nor read.
    for name in relevant_files(present):
        shards = read_object(folder / name, ModelError).get("weight_map") if _is_index(name) else {}
        if isinstance(shards, dict):
            beside = PurePosixPath(name).parent
            needed = relevant_files({str(beside / str(x)) for x in shards.values()})
            missing += [x for x in needed if x not in present]
    if export is not None and export not in present:
        missing.append(export)
    if missing:
        raise ModelError(
            f"{repository}: the copy in {folder} lacks {', '.join(missing)}, and {why}; "
            f"fetch the rest where there is a network with: {repository.command}"
        )
    return folder


def _is_index(name: str) -> bool:
    return name.endswith(".index.json")


def _literal(name: str) -> str:
    """A pattern that matches just this name."""
    return re.sub(r"([*?\[])", r"[\1]", name)
