"""The same two loops for any device torch knows; also the reference the CPU loops are tested by."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def count_outranking(
    scores: torch.Tensor,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """See :func:`harness.search.cpu.count_outranking`; ``scores`` (R, N) lies on any device."""
    golds, blocks = len(columns), len(starts) - 1
    out = torch.zeros((golds, blocks), dtype=torch.int32, device=scores.device)
    per_row = np.diff(indptr)
    row = torch.from_numpy(np.repeat(np.arange(len(per_row)), per_row)).to(scores.device)
    column = torch.from_numpy(columns).to(scores.device)
    score = scores[row, column]
    nth = torch.from_numpy(np.arange(golds) - np.repeat(indptr[:-1], per_row)).to(scores.device)
    position = torch.arange(scores.shape[1], device=scores.device)
    for i in range(int(per_row.max(initial=0))):
        which = torch.nonzero(nth == i).squeeze(1)
        rows, own = scores[row[which]], score[which, None]
        above = (rows > own) | ((rows == own) & (position < column[which, None]))
        for block in range(blocks):
            out[which, block] = above[:, starts[block] : starts[block + 1]].sum(1).to(torch.int32)
    counts: NDArray[np.int32] = out.cpu().numpy()
    return counts


def heads(
    scores: torch.Tensor, start: int, stop: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """See :func:`harness.search.cpu.heads`; ``scores`` (R, N) lies on any device."""
    k = min(k, stop - start)
    part = scores[:, start:stop] + 0.0  # -0.0 and 0.0 compare equal but have different bits
    bits = part.contiguous().view(torch.int32).to(torch.int64)
    ordered = torch.where(bits < 0, -(bits & 0x7FFFFFFF) - 1, bits)
    # torch.topk leaves the order of equal values open, so equal scores must become unequal keys.
    column = torch.arange(start, stop, device=scores.device)
    keys = ordered * 2**32 + (2**32 - 1 - column)
    best = torch.topk(keys, k, dim=1).values
    chosen = 2**32 - 1 - (best % 2**32)
    found = torch.gather(scores, 1, chosen)
    return chosen.to(torch.int32).cpu().numpy(), found.cpu().numpy()


def count_and_heads(
    scores: torch.Tensor,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """See :func:`harness.search.cpu.count_and_heads`; ``scores`` (R, N) lies on any device."""
    counts = count_outranking(scores, indptr, columns, starts)
    return counts, *heads(scores, 0, scores.shape[1], k)
