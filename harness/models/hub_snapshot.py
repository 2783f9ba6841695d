"""From a model's name on the hub to a complete local folder."""

from __future__ import annotations

import re
from pathlib import Path

from harness.base.hub import Repository, UnreachableError, is_offline
from harness.errors import ModelError
from harness.models.fingerprint import relevant_files
from harness.models.sentence_transformer import read_config

NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?")


def snapshot(repo: str, revision: str | None, *, offline: bool) -> Path:
    """The local folder of a hub model's files, downloaded if needed; its name is the commit.

    Only files that can change a vector are downloaded, and safetensors rather than pickles if there
    are both.

    Raises:
        ModelError: no such model or revision, no access, no network and no local copy, or an
            incomplete copy.
    """
    repository = Repository(repo, revision, "model")
    why = "--offline (or HF_HUB_OFFLINE) keeps the harness off the network"
    if not is_offline(offline):
        try:
            names = relevant_files(repository.file_names())
            # By its name rather than its commit, so that the name resolves offline afterwards.
            return _whole(repository.snapshot([_literal(name) for name in names]), repository)
        except UnreachableError as error:
            why = error.why
    copy = repository.local_copy()
    if copy is None:
        raise ModelError(
            f"{repository}: no local copy, and {why}; fetch it where there is a network with: "
            f"{repository.command}"
        )
    return _whole(copy, repository)


def _whole(folder: Path, repository: Repository) -> Path:
    """Refuse a snapshot that lacks configuration, weights or one of its parts."""
    missing: list[str] = []
    if not any((folder / name).is_file() for name in ("modules.json", "config.json")):
        missing.append("config.json")
    weights = [p for ext in ("safetensors", "bin") for p in folder.rglob(f"*.{ext}")]
    if not weights:
        missing.append("weights (safetensors or pytorch_model.bin)")
    for index in folder.rglob("*.index.json"):
        shards = read_config(index).get("weight_map")
        if isinstance(shards, dict):
            missing += sorted(
                {str(x) for x in shards.values() if not (index.parent / str(x)).is_file()}
            )
    if missing:
        raise ModelError(
            f"{repository}: the copy in {folder} lacks {', '.join(missing)}; "
            f"fetch the rest with: {repository.command}"
        )
    return folder


def _literal(name: str) -> str:
    """A pattern that matches just this name."""
    return re.sub(r"([*?\[])", r"[\1]", name)
