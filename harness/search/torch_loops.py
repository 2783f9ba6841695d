"""The same two loops for any torch device; also the reference for testing the CPU loops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from harness.search.exact import Open, Vectors


def count_ranked_above(
    scores: torch.Tensor,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """See :func:`.cpu_loops.count_ranked_above`; ``scores`` (R, N) is on any device."""
    relevant, blocks = len(columns), len(starts) - 1
    out = torch.zeros((relevant, blocks), dtype=torch.int32, device=scores.device)
    per_row = np.diff(indptr)
    row = torch.from_numpy(np.repeat(np.arange(len(per_row)), per_row)).to(scores.device)
    column = torch.from_numpy(columns).to(scores.device)
    score = scores[row, column]
    nth = torch.from_numpy(np.arange(relevant) - np.repeat(indptr[:-1], per_row)).to(scores.device)
    position = torch.arange(scores.shape[1], device=scores.device)
    for i in range(int(per_row.max(initial=0))):
        which = torch.nonzero(nth == i).squeeze(1)
        rows, own = scores[row[which]], score[which, None]
        above = (rows > own) | ((rows == own) & (position < column[which, None]))
        for block in range(blocks):
            out[which, block] = above[:, starts[block] : starts[block + 1]].sum(1).to(torch.int32)
    counts: NDArray[np.int32] = out.cpu().numpy()
    return counts


def top_k(
    scores: torch.Tensor, start: int, stop: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """See :func:`harness.search.cpu_loops.top_k`; ``scores`` (R, N) is on any device."""
    k = min(k, stop - start)
    part = scores[:, start:stop] + 0.0  # -0.0 and 0.0 compare equal but have different bits
    bits = part.contiguous().view(torch.int32).to(torch.int64)
    ordered = torch.where(bits < 0, -(bits & 0x7FFFFFFF) - 1, bits)
    # torch.topk does not define the order of ties, so equal scores must become unequal keys.
    column = torch.arange(start, stop, device=scores.device)
    keys = ordered * 2**32 + (2**32 - 1 - column)
    best = torch.topk(keys, k, dim=1).values
    chosen = 2**32 - 1 - (best % 2**32)
    found = torch.gather(scores, 1, chosen)
    return chosen.to(torch.int32).cpu().numpy(), found.cpu().numpy()


def count_and_top_k(
    scores: torch.Tensor,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """See :func:`.cpu_loops.count_and_top_k`; ``scores`` (R, N) is on any device."""
    counts = count_ranked_above(scores, indptr, columns, starts)
    return counts, *top_k(scores, 0, scores.shape[1], k)


def certain(
    scores: torch.Tensor,
    vectors: Vectors,
    first_query: int,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
    first: int,
    last: int,
    k: int,
) -> Iterator[Open]:
    """See :func:`harness.search.cpu_loops.certain`; ``scores`` (R, N) is on any device.

    Everything that float32 leaves open is listed.
    """
    k = min(k, last - first)
    margin = 2 * vectors.error32[first_query : first_query + len(scores)]
    per_row = np.diff(indptr)
    row_of = np.repeat(np.arange(len(per_row)), per_row)
    nth = np.arange(len(columns)) - np.repeat(indptr[:-1], per_row)
    above = np.zeros((len(columns), len(starts) - 1), np.int32)
    none = np.zeros(0, np.int64)
    near = [(none, none)]
    inf = torch.tensor(float("inf"), device=scores.device)
    for i in range(int(per_row.max(initial=0))):
        which = np.flatnonzero(nth == i)
        row = torch.from_numpy(row_of[which]).to(scores.device)
        column = torch.from_numpy(columns[which]).to(scores.device)
        rows, own = scores[row], scores[row, column]
        far = torch.from_numpy(margin[row_of[which]]).to(scores.device)
        # A step further out than the margin: sums are rounded.
        certainly = rows > torch.nextafter(own + far, inf)[:, None]
        for block in range(len(starts) - 1):
            part = certainly[:, starts[block] : starts[block + 1]]
            above[which, block] = part.sum(1).to(torch.int32).cpu().numpy()
        maybe = (rows >= torch.nextafter(own - far, -inf)[:, None]) & ~certainly
        maybe[torch.arange(len(which), device=scores.device), column] = False
        relevant, close = (x.cpu().numpy() for x in torch.nonzero(maybe, as_tuple=True))
        near.append((which[relevant], close))
    row, column, score = _candidates(scores, margin, first, last, k)
    yield Open(
        start=0,
        stop=len(scores),
        above=above,
        near_relevant=np.concatenate([g for g, _ in near]),
        near_column=np.concatenate([c for _, c in near]),
        top=np.zeros((len(scores), k), np.int32),
        top_scores=np.zeros((len(scores), k), np.float32),
        row=row,
        column=column,
        score=score,
        float64=0,
    )


def _candidates(
    scores: torch.Tensor, margin: NDArray[np.float32], first: int, last: int, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Rows, columns and scores of what may be among the ``k`` best in ``[first, last)``."""
    part = scores[:, first:last]
    if not k or not len(part):
        none = np.zeros(0, np.int64)
        return none, none, none.astype(np.float32)
    far = torch.from_numpy(margin).to(scores.device)
    inf = torch.tensor(float("inf"), device=scores.device)
    bound = torch.nextafter(torch.topk(part, k, dim=1).values[:, -1] - far, -inf)
    row, column = torch.nonzero(part >= bound[:, None], as_tuple=True)
    score = part[row, column].cpu().numpy()
    rows, columns = row.cpu().numpy(), column.cpu().numpy() + first
    order = np.lexsort((columns, -score, rows))
    return rows[order], columns[order], score[order]
