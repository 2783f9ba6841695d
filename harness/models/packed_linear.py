"""Linear layers for fast CPU inference with oneDNN: packed once, with fused bias and GELU.

PyTorch's own linear layer in float32 copies the bias into the result, multiplies on top of it, and
runs the activation over memory again. oneDNN, which PyTorch carries, adds the bias and the
activation while a result is still in a register; ``torch.compile`` with frozen weights uses the
same operations. Sums are formed in another order: vectors move by some 1e-7.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import torch

ROWS = 1024
"""Number of rows that weights are packed for; any number works."""
KERNELS = 64
"""Number of compiled kernels that oneDNN keeps.

It compiles one for every shape and by default keeps 1,024, hundreds of megabytes. Batches are
sorted by length, so a shape is used by the layers of one batch and then hardly again.
"""

# oneDNN reads it at its first product; a user's own value stays.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))


class PackedLinear(torch.nn.Module):
    """A linear layer for inference, optionally followed by a GELU."""

    def __init__(self, layer: torch.nn.Linear, gelu: bool = False) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), ROWS)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.activation = ("gelu", "none") if gelu else ("none", "")

    def forward(self, x: Any) -> Any:
        """``x`` (..., inputs) to (..., outputs)."""
        kind, how = self.activation
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, kind, [], how)


def pack(model: torch.nn.Module) -> bool:
    """Replace the linear layers of ``model``, in place, by packed ones; returns whether it did.

    Only layers of PyTorch's own type in float32 on a processor are replaced, and a GELU (the exact
    one) goes into the layer before it where the module is of BERT's form: its ``dense`` layer, then
    its ``intermediate_act_fn``.
    """
    operations = ("_reorder_linear_weight", "_linear_pointwise")
    if not torch.backends.mkldnn.is_available() or not all(
        hasattr(torch.ops.mkldnn, name) for name in operations
    ):
        return False
    done = False
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) is not torch.nn.Linear or layer.weight.dtype != torch.float32:
                continue
            if layer.weight.device.type != "cpu" or hasattr(layer, "parametrizations"):
                continue
            gelu = name == "dense" and _exact_gelu(getattr(module, "intermediate_act_fn", None))
            setattr(module, name, PackedLinear(layer, gelu))
            if gelu:
                module.intermediate_act_fn = torch.nn.Identity()
            done = True
    return done


def _exact_gelu(function: Any) -> bool:
    if isinstance(function, torch.nn.GELU):
        return bool(function.approximate == "none")
    # An instance of that library's class can only exist if the library is imported.
    library = sys.modules.get("transformers.activations")
    return (
        library is not None
        and isinstance(function, library.GELUActivation)
        and bool(function.act is torch.nn.functional.gelu)
    )
