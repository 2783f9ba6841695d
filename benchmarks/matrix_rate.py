"""How much of a device's speed an encoder reaches: its matrix products against the bare ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.base.environment import cores

_SECONDS = 0.2
_ROUNDS = 3
_SIDE = {"cpu": 1024}
_SIDE_OTHER = 8192


def flops(model: Any, lengths: Sequence[int]) -> float:
    """Operations in a transformer's matrix products for texts of so many tokens.

    The linear layers that see every token, and the two products of attention, 2 operations per
    multiply-add. Zero where the layers cannot be looked at (another backend than torch, another
    kind of model).
    """
    linear = attention = 0.0
    for module in model:
        inner = getattr(module, "auto_model", None)
        config = getattr(inner, "config", None)
        if inner is None or config is None or not hasattr(inner, "named_modules"):
            continue
        for name, layer in inner.named_modules():
            # A pooler sees one token of a text.
            if hasattr(layer, "in_features") and "pooler" not in name:
                linear += 2.0 * layer.in_features * layer.out_features
        layers, width = (getattr(config, x, 0) for x in ("num_hidden_layers", "hidden_size"))
        attention += 4.0 * layers * width if linear else 0.0
    return linear * sum(lengths) + attention * sum(x * x for x in lengths)


def matrix_rate(device: str, dtype: str, workers: int) -> float:
    """Operations per second of square matrix products on ``device``, the best of a few rounds.

    On a processor ``workers`` threads multiply at once, each on one core, as encoding does.
    """
    import torch

    kind = torch.device(device).type
    side = _SIDE.get(kind, _SIDE_OTHER)

    def work(_: int) -> float:
        a, b = (torch.randn(side, side, device=device).to(getattr(torch, dtype)) for _ in range(2))
        with torch.inference_mode():
            torch.mm(a, b)
            _wait(kind)
            done, begun = 0, time.perf_counter()
            while time.perf_counter() - begun < _SECONDS:
                torch.mm(a, b)
                _wait(kind)
                done += 1
            return 2.0 * side**3 * done / (time.perf_counter() - begun)

    before = torch.get_num_threads()
    if kind == "cpu":
        torch.set_num_threads(max(1, cores() // workers))
    try:
        with ThreadPoolExecutor(workers) as pool:
            return max(sum(pool.map(work, range(workers))) for _ in range(_ROUNDS))
    finally:
        torch.set_num_threads(before)


def _wait(kind: str) -> None:
    if kind == "cuda":
        import torch

        torch.cuda.synchronize()
