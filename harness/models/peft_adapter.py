"""Adapters (LoRA and other methods of the package peft): small weights on top of a base model.

An adapter's folder names its base, and sentence-transformers loads both. The base changes the
vectors as much as the adapter does, so its files are facts of the model, too. The base is taken at
its main branch, as sentence-transformers takes it.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from harness.base.files import home_expanded
from harness.base.reading import read_object
from harness.errors import ModelError
from harness.models.fingerprint import digest_folder
from harness.models.hub_snapshot import NAME, snapshot

CONFIGURATION = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"


def base_facts(folder: Path, *, name: str, offline: bool) -> dict[str, Any] | None:
    """Name, commit and digests of an adapter's base, which is fetched if needed.

    ``None`` if the folder is not an adapter's.

    Raises:
        ModelError: the folder does not say what its base is, or the base cannot be had.
    """
    path = folder / CONFIGURATION
    if not path.is_file():
        return None
    stated = read_object(path, ModelError).get("base_model_name_or_path")
    if not isinstance(stated, str) or not stated:
        raise ModelError(f"{name}: {path} does not name the adapter's base model")
    local = home_expanded(stated)
    if local.is_dir():
        return {"name": stated, "revision": None, "files": digest_folder(local)}
    if NAME.fullmatch(stated) is None:
        raise ModelError(f"{name} is an adapter for {stated}: there is no such folder")
    try:
        found = snapshot(stated, None, offline=offline)
    except ModelError as error:
        raise ModelError(f"{name} is an adapter for {error}") from error
    return {"name": stated, "revision": found.name, "files": digest_folder(found)}


def check_loaded(model: Any, folder: Path, name: str) -> None:
    """Refuse an adapter whose weights are not those of its folder once it is loaded.

    transformers 5.0 to 5.3 does not find LoRA weights under peft's names, draws others at random
    and only prints a table: every run would score another model.

    Args:
        model: the loaded ``SentenceTransformer``.
        folder: the model's folder; one that is no LoRA adapter's is not looked at.
        name: of the model, for the message.

    Raises:
        ModelError: a weight has another value.
    """
    if not (folder / CONFIGURATION).is_file() or not (folder / _WEIGHTS).is_file():
        return
    import torch
    from safetensors.torch import load_file

    loaded = {k: v for k, v in model.state_dict().items() if ".lora_" in k}
    for key, stored in load_file(folder / _WEIGHTS).items():
        bare = key.removeprefix("base_model.model.").removesuffix(".weight")
        for own, weight in loaded.items():
            same = own.removesuffix(".weight").removesuffix(".default").endswith(f".{bare}")
            # Apart by no more than bfloat16 rounds.
            if same and not torch.allclose(weight.cpu().float(), stored.float(), 1e-2, 1e-6):
                raise ModelError(
                    f"{name}: transformers {metadata.version('transformers')} did not load the "
                    f"adapter's weights ({bare} has others): pip install -U transformers"
                )


def merge(model: Any) -> None:
    """Make an adapter's weights part of its base's, in place: the model is one like any other.

    As an adapter it would be saved without the weights of its base, trained or not.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    inner = model[0].auto_model
    for path, module in list(inner.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            whole = module.get_base_layer()
        elif isinstance(module, ModulesToSaveWrapper):
            whole = module.modules_to_save[module.active_adapters[0]]
        else:
            continue
        parent, _, child = path.rpartition(".")
        setattr(inner.get_submodule(parent), child, whole)
    # A model that an adapter was once loaded into is saved under the adapter's names.
    plain = type(inner).from_pretrained(
        inner.name_or_path, dtype=inner.dtype, local_files_only=True
    )
    plain.load_state_dict(inner.state_dict())
    name = next(x for x, child in model[0].named_children() if child is inner)
    setattr(model[0], name, plain.to(inner.device))
