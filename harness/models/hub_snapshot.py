"""From a hub name to a local snapshot folder, with errors that say what to do."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.models.fingerprint import relevant_files
from harness.models.sentence_transformer import first_line, read_config

NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?")


def snapshot(repo: str, revision: str | None, *, offline: bool) -> Path:
    """The local folder of a hub model's files, fetched if need be; its name is the commit.

    Only files that can change a vector are fetched, safetensors rather than pickles where a
    folder holds both.

    Raises:
        ModelError: no such model or revision, no access, no network and no local copy, or a copy
            that is not whole.
    """
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise ModelError(
            f"{repo}: models from the hub need the package huggingface_hub: "
            "pip install sentence-transformers"
        ) from error
    shown = repo if revision is None else f"{repo}@{revision}"
    # Read at each call, not from the library's constants, which are fixed at its import.
    local = offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    why = "--offline (or HF_HUB_OFFLINE) keeps the harness off the network"
    if not local:
        try:
            found = huggingface_hub.HfApi().model_info(repo, revision=revision)
            names = relevant_files(x.rfilename for x in found.siblings or ())
            # By its name rather than its commit, so that the name is known offline afterwards.
            folder = huggingface_hub.snapshot_download(
                repo, revision=revision, allow_patterns=[_literal(name) for name in names]
            )
            return _whole(Path(folder), shown, _command(repo, revision))
        except errors.GatedRepoError as error:
            raise ModelError(
                f"{shown}: accept this model's terms on its page on the hub, then: hf auth login"
            ) from error
        except errors.RevisionNotFoundError as error:
            raise ModelError(f"{repo}: the hub has no revision {revision!r} of it") from error
        except errors.RepositoryNotFoundError as error:
            raise ModelError(
                f"{repo}: no folder of that name here, and the hub has no public model of that name"
            ) from error
        except errors.HFValidationError as error:
            raise ModelError(f"{repo}: not a valid hub name ({error})") from error
        except Exception as error:  # the HTTP library's errors differ between hub versions
            if not isinstance(error, OSError) and "http" not in type(error).__module__:
                raise
            why = f"the hub cannot be reached ({first_line(error)})"
    return _local_copy(huggingface_hub, repo, revision, why)


def _local_copy(huggingface_hub: Any, repo: str, revision: str | None, why: str) -> Path:
    from huggingface_hub import errors

    shown = repo if revision is None else f"{repo}@{revision}"
    command = _command(repo, revision)
    try:
        folder = huggingface_hub.snapshot_download(repo, revision=revision, local_files_only=True)
    except (errors.LocalEntryNotFoundError, errors.HFValidationError) as error:
        # Newer hub versions call a copy incomplete that lacks files nobody asked for.
        partial = getattr(error, "snapshot_path", None)
        if partial is not None:
            return _whole(Path(partial), shown, command)
        raise ModelError(
            f"{shown}: no local copy, and {why}; fetch it where there is a network with: {command}"
        ) from error
    return _whole(Path(folder), shown, command)


def _whole(folder: Path, shown: str, command: str) -> Path:
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
            f"{shown}: the copy in {folder} lacks {', '.join(missing)}; "
            f"fetch the rest with: {command}"
        )
    return folder


def _command(repo: str, revision: str | None) -> str:
    return f"hf download {repo}" + (f" --revision {revision}" if revision else "")


def _literal(name: str) -> str:
    """A pattern that matches just this name."""
    return re.sub(r"([*?\[])", r"[\1]", name)
