"""The lowest layers of a transformer, computed once for all trials that leave them as they are.

Where a study trains the upper layers of a transformer alone, every trial's model begins with the
layers of the base, and scoring it on the same tasks gives these layers the same batches. What they
make of a batch is kept in memory, so that the next trial computes only the layers above. Vectors
have the same bits either way: a batch is known by the bytes that go into the lowest layer.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

from harness.training.settings import Settings

MOST = 3 << 30
"""Bytes of outputs that are kept; what comes after them is computed every time."""
_WEIGHTS = "model.safetensors"
_LAYER = "encoder.layer.{}."


class FrozenLayers:
    """Outputs of the layers that trials of one base have in common with it."""

    def __init__(self) -> None:
        self._base: str | None = None
        self._layers: list[dict[str, Any]] = []
        self._depth = 0
        self._known: dict[bytes, Any] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def attach(self, model: Any, folder: Path, settings: Settings, *, offline: bool) -> int:
        """Let ``model``, scored next, take what is known of the lowest layers; returns how many.

        Args:
            model: a loaded ``SentenceTransformer``, its linear layers packed or not.
            folder: its own, with its weights.
            settings: of its training.
            offline: whether the base is looked for without network access.

        Returns:
            0 where nothing is shared: no layers like BERT's, none frozen, or not on a processor.
            Layers that return more than states, or do more between them, are found out by a text.
        """
        encoder: Any = getattr(getattr(model[0], "auto_model", None), "encoder", None)
        layers = getattr(encoder, "layer", None)
        if not settings.freeze or layers is None or model.device.type != "cpu":
            return 0
        self._of(settings, offline)
        depth = self._common(folder / _WEIGHTS)
        if not 0 < depth < len(layers):
            return 0
        if depth != self._depth:
            self._known, self._bytes, self._depth = {}, 0, depth
        from torch import nn

        before = _probe(model)
        encoder.layer = nn.ModuleList([_recalled(self, layers[:depth]), *layers[depth:]])
        if before is None or _probe(model) != before:
            encoder.layer = layers
            return 0
        return depth

    def recall(self, key: bytes) -> Any:
        """The output of the lowest layers for a batch; ``None`` if it is not known."""
        return self._known.get(key)

    def keep(self, key: bytes, output: Any) -> None:
        """Know the output for a batch from now on, if there is room."""
        size = output.numel() * output.element_size()
        with self._lock:
            if self._bytes + size <= MOST and key not in self._known:
                self._known[key] = output
                self._bytes += size

    def _of(self, settings: Settings, offline: bool) -> None:
        """The layers of the trainings' base, one base at a time."""
        if settings.base == self._base:
            return
        from harness.training.base_model import load_base

        base = load_base(settings, device="cpu", offline=offline).model[0].auto_model
        self._layers = [dict(x.state_dict()) for x in base.encoder.layer]
        self._base, self._depth, self._known, self._bytes = settings.base, 0, {}, 0

    def _common(self, weights: Path) -> int:
        """How many of the lowest layers a trained model has from the base, bit by bit."""
        import torch
        from safetensors import safe_open

        if not weights.is_file():
            return 0
        with safe_open(weights, "pt") as file:
            names = set(file.keys())
            for number, layer in enumerate(self._layers):
                prefix = _LAYER.format(number)
                for name, held in layer.items():
                    here = prefix + name
                    if here not in names or not torch.equal(file.get_tensor(here), held):
                        return number
        return len(self._layers)


def _recalled(known: FrozenLayers, layers: Any) -> Any:
    """``layers`` as one, which is computed only for batches that are new."""
    from torch import nn

    class Recalled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = layers

        def forward(self, states: Any, mask: Any = None, *given: Any, **named: Any) -> Any:
            key = _key(states, mask, *given, *named.values())
            found = known.recall(key)
            if found is None:
                found = states
                for layer in self.layers:
                    found = layer(found, mask, *given, **named)
                known.keep(key, found)
            return found

    return Recalled()


def _probe(model: Any) -> bytes | None:
    """The bytes of two texts' vectors; ``None`` if they cannot be had."""
    try:
        vectors = model.encode(["one", "two words"], show_progress_bar=False)
    except Exception:  # whatever the layers cannot do: they are then computed one by one
        return None
    return bytes(vectors.tobytes())


def _key(*arguments: Any) -> bytes:
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for at, x in enumerate(arguments):
        if isinstance(x, torch.Tensor):
            digest.update(repr((at, tuple(x.shape), x.dtype)).encode())
            # As bytes: numpy has no bfloat16.
            digest.update(x.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()
