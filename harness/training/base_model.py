"""The base model of a training: found by name, loaded as a sentence-transformers model."""

from __future__ import annotations

import contextlib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from harness.base.files import home_expanded
from harness.errors import ModelError, did_you_mean
from harness.models import peft_adapter
from harness.models.fingerprint import digest_folder
from harness.models.quiet_loading import quiet_loading
from harness.models.random_weights import no_random_weights
from harness.models.sentence_transformer import check_tokenizer
from harness.models.trained_folder import is_use_m3
from harness.training.built_in import BUILT_IN, built_in
from harness.training.settings import NOTHING, Settings


class Base(NamedTuple):
    """A model before its training."""

    model: Any
    """The ``SentenceTransformer``."""
    longest: int | None
    """Its own length limit, restored after training: texts are only truncated for training."""
    facts: dict[str, Any]
    """Name, revision and digests, for the manifest."""


def load_base(settings: Settings, *, device: str | None, offline: bool) -> Base:
    """The base model with the recipe's prompts, length limit and frozen parts.

    Raises:
        ModelError: it cannot be found or loaded, has no tokenizer, or lacks a part to freeze.
    """
    name = settings.base
    if not name:
        raise ModelError("no base model; give --base NAME, as in --base me5-small")
    if (own := built_in(name)) is not None:
        model, facts = own.load(device), {"name": own.name} | own.facts()
    else:
        model, facts = _from_folder(name, device, offline)
    model.prompts = {"query": settings.query_prompt, "document": settings.passage_prompt}
    model.default_prompt_name = None
    model.similarity_fn_name = "cosine"
    longest = model.max_seq_length
    _limit(model, settings.max_length)
    facts["frozen"] = _freeze(model, settings.freeze)
    facts["parameters"] = sum(p.numel() for p in model.parameters())
    facts["trained_parameters"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Base(model, longest, facts)


def find_base(name: str, offline: bool) -> dict[str, Any]:
    """Revision and digests of a base, whose weights are not loaded.

    Raises:
        ModelError: it cannot be found.
    """
    if (own := built_in(name)) is not None:
        return own.facts()
    folder, revision = _find(name, offline)
    return _facts(folder, revision, name, offline)


def _facts(folder: Path, revision: str | None, name: str, offline: bool) -> dict[str, Any]:
    """Revision and digests, those of an adapter's own base too, which is fetched if needed."""
    facts: dict[str, Any] = {"revision": revision, "files": digest_folder(folder)}
    below = peft_adapter.base_facts(folder, name=f"--base {name}", offline=offline)
    return facts if below is None else facts | {"base": below}


def _from_folder(name: str, device: str | None, offline: bool) -> tuple[Any, dict[str, Any]]:
    from sentence_transformers import SentenceTransformer

    folder, revision = _find(name, offline)
    facts = _facts(folder, revision, name, offline)
    check_tokenizer(folder, facts["files"], f"--base {name}")
    try:
        if is_use_m3(folder):
            from harness.models.use_m3.module import load_folder

            model = load_folder(folder, device=device, prompts={})
        else:
            with quiet_loading():
                with no_random_weights():
                    model = SentenceTransformer(
                        str(folder), device=device, local_files_only=True, trust_remote_code=False
                    )
                if "base" in facts:
                    peft_adapter.check_loaded(model, folder, f"--base {name}")
                    peft_adapter.merge(model)
    except ModelError:
        raise
    except Exception as error:
        first = str(error).strip().split("\n")[0] or type(error).__name__
        raise ModelError(f"--base {name}: cannot be loaded from {folder}: {first}") from error
    return model, {"name": name, **facts}


def _find(name: str, offline: bool) -> tuple[Path, str | None]:
    from harness.models.hub_snapshot import CONFIGURATIONS, NAME, snapshot

    path = home_expanded(name)
    if path.is_dir():
        if any((path / x).is_file() for x in CONFIGURATIONS):
            return path, None
        raise ModelError(
            f"--base {name}: a folder without modules.json or config.json, so neither a "
            "sentence-transformers nor a transformers model"
        )
    match = NAME.fullmatch(name)
    if match and not name.startswith((".", "/", "~")):
        folder = snapshot(match["repo"], match["revision"], offline=offline)
        return folder, folder.name
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, [*siblings, *BUILT_IN])
    raise ModelError(
        f"--base {name}: no such folder{hint}; a base is {', '.join(BUILT_IN)}, a ./folder or "
        "ORG/NAME on the hub"
    )


def _limit(model: Any, longest: int) -> None:
    """The length limit, unless the model's own is shorter."""
    own = model.max_seq_length
    if own is None or own > longest:
        set_limit(model, longest)


def set_limit(model: Any, longest: int | None) -> None:
    """Set the maximum number of tokens, if the model has such a limit."""
    with contextlib.suppress(AttributeError):  # static embeddings read whole texts
        model.max_seq_length = longest


def _freeze(model: Any, patterns: tuple[str, ...]) -> list[str]:
    """Freeze the weights that ``patterns`` name; returns their names.

    Layers below the lowest trained weight need no backward pass, and autograd makes none.
    """
    if patterns == NOTHING:
        patterns = ()
    names = [name for name, _ in model.named_parameters()]
    frozen: set[str] = set()
    for pattern in patterns:
        hit = [x for x in names if fnmatch(x, pattern) or fnmatch(x, f"*{pattern}*")]
        if not hit:
            raise ModelError(
                f"--freeze {pattern}: the base has no weights of that name"
                f"{did_you_mean(pattern, names)}; it has {', '.join(names[:6])}, ..."
            )
        frozen.update(hit)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    if len(frozen) == len(names):
        raise ModelError("--freeze: leaves nothing to train")
    return sorted(frozen)
