"""The encoders that come as packages, as bases of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class BuiltIn(NamedTuple):
    """A built-in encoder that can be trained."""

    name: str
    facts: Callable[[], dict[str, Any]]
    """Revision and digests, without loading its weights."""
    load: Callable[[str | None], Any]
    """The trainable ``SentenceTransformer`` on a device."""


def built_in(name: str) -> BuiltIn | None:
    """The built-in encoder of a name; ``None`` if there is none."""
    return _BY_NAME.get(name)


def _use_m3_facts() -> dict[str, Any]:
    from harness.models.fingerprint import digest_file
    from harness.models.use_m3.encoder import resource

    files = {x: digest_file(resource(x)) for x in ("weights.npz", "sp.model")}
    return {"revision": None, "files": files}


def _use_m3(device: str | None) -> Any:
    from sentence_transformers import SentenceTransformer

    from harness.models.use_m3.module import UseM3Module

    return SentenceTransformer(modules=[UseM3Module.pretrained()], device=device)


def _me5_small_facts() -> dict[str, Any]:
    from harness.models.fingerprint import digest_file
    from harness.models.me5_small.encoder import weights_path

    path = weights_path()
    return {"revision": None, "files": {path.name: digest_file(path)}}


def _me5_small(device: str | None) -> Any:
    from harness.models.me5_small.encoder import PROMPTS, weights_path
    from harness.models.me5_small.module import trainable_model
    from harness.models.quiet_loading import quiet_loading

    with quiet_loading():
        return trainable_model(weights_path(), PROMPTS, device)


_USE_M3 = BuiltIn("use-m3", _use_m3_facts, _use_m3)
_BY_NAME: Mapping[str, BuiltIn] = {
    "use-m3": _USE_M3,
    "default": _USE_M3,
    "me5-small": BuiltIn("me5-small", _me5_small_facts, _me5_small),
}
BUILT_IN = ("me5-small", "use-m3")
"""Their names, for messages."""
