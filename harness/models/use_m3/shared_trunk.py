"""Shared by models with the same trunk: the trunk's output for each text, and its token ids.

For many trainings and evaluations of one head, as in studies: the head is the smallest part of the
network, and its input does not change.

A cached vector must not depend on the other texts of its batch, or a model's weights would depend
on which models were trained before it. Sums in a matrix product depend on its shape and on the
threads that share it: so every text is padded to its own length, rounded up, every product has
enough rows for their number not to change a sum, and one thread computes it. If many texts are
known beforehand, several processes compute them together, each a part, and find them in the store
the next time.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.base.digests import text_keys
from harness.base.leases import take
from harness.models.use_m3.encoder import CPU_TOKENS, GPU_TOKENS, token_ids


class Space(Protocol):
    """A space for the outputs of one trunk, like the embedding store's."""

    folder: Path

    def get(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
        """Which of ``keys`` are stored, and their rows."""

    def put(self, keys: NDArray[np.uint64], vectors: NDArray[np.float32]) -> None:
        """Store ``vectors`` under ``keys``."""

    def refresh(self) -> None:
        """Look again for what other processes have put there."""


class Spaces(Protocol):
    """A store with a space for every state of a trunk, like the embedding store."""

    def space(self, facts: Mapping[str, Any]) -> Space:
        """The space of exactly these facts."""


Trunk = Callable[[Tensor, Tensor], Tensor]
Ids = NDArray[np.int64]

STEP = 8
"""Padded widths are multiples of it."""
LEAST = 16
"""Rows of a product from which their number changes no sum: measured on MKL with AVX-512."""
TRUNKS = 2
"""Number of cached trunks, last used first: the base's, and one changed by a training."""
PART = 4096
"""Texts that a process computes at a time if several share the work."""
POLL = 0.2
"""Seconds between two checks of parts that other processes compute."""
_FILLER = 100
"""Token ids from here on belong to dummy texts that fill up a batch."""


class Memory:
    """Outputs of one trunk by token ids."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._rows = np.empty((0, 0), np.float32)

    def recall(self, trunk: Trunk, ids: Tensor, lengths: Tensor) -> Tensor:
        """(texts, width): what is known, and what ``trunk`` gives for the rest, from now on known.

        Args:
            trunk: of token ids (texts, longest) and lengths.
            ids: int64 (texts, longest), padded.
            lengths: int64 (texts,).
        """
        counts = lengths.tolist()
        padded_ids = ids.cpu().numpy()
        keys = [row[:n].tobytes() for row, n in zip(padded_ids, counts, strict=True)]
        new = {key: i for i, key in enumerate(keys) if key not in self._places}
        if new:
            rows = torch.tensor(list(new.values()), device=ids.device)
            with torch.no_grad():
                found = _alike(trunk, ids[rows], lengths[rows]).cpu().numpy()
            self._keep(list(new), found)
        places = [self._places[key] for key in keys]
        return torch.from_numpy(self._rows[places]).to(ids.device)

    def fill(
        self,
        trunk: Trunk,
        ids: Sequence[Ids],
        space: Space,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Know the outputs for all of ``ids``: from ``space``, or computed and put there.

        Processes that do this at once share the work; a part that another is at is waited for.

        Raises:
            StoreError: the store cannot be written.
        """
        by_key = {x.tobytes(): x for x in ids}
        keys = [x for x in by_key if x not in self._places]
        parts = deque(keys[i : i + PART] for i in range(0, len(keys), PART))
        waited = 0
        while parts:
            part = parts.popleft()
            if self._part(trunk, part, by_key, space):
                waited = 0
                if progress is not None:
                    progress(len(part))
                continue
            parts.append(part)
            waited += 1
            if waited >= len(parts):
                time.sleep(POLL)

    def _part(
        self, trunk: Trunk, part: Sequence[bytes], by_key: Mapping[bytes, Ids], space: Space
    ) -> bool:
        """Know one part, unless another process is computing it."""
        stored = text_keys([key.decode("latin-1") for key in part])
        have, found = space.get(stored)
        if found is None or not have.all():
            name = f"{int(stored[0, 0]):016x}-{len(part)}.claim"
            claim = take(space.folder / "claims" / name)
            if claim is None:
                space.refresh()
                return False
            with claim:
                # Its former owner may have finished it between our look and our claim.
                space.refresh()
                have, found = space.get(stored)
                if found is None or not have.all():
                    padded_ids, lengths = padded([by_key[x] for x in part])
                    with torch.no_grad():
                        found = _alike(trunk, padded_ids, lengths).numpy()
                    space.put(stored, found)
        self._keep(part, found)
        return True

    def _keep(self, keys: Sequence[bytes], found: NDArray[np.float32]) -> None:
        count, more = len(self._places), len(keys)
        if count + more > len(self._rows):
            grown = np.empty((max(1024, 2 * (count + more)), found.shape[1]), np.float32)
            if count:
                grown[:count] = self._rows[:count]
            self._rows = grown
        self._rows[count : count + more] = found
        self._places.update(zip(keys, range(count, count + more), strict=True))


class Shared:
    """Memories of trunks, and token ids of texts."""

    def __init__(self) -> None:
        self._memories: OrderedDict[bytes, Memory] = OrderedDict()
        self._tokens: dict[tuple[str, int | None], dict[str, Ids]] = {}

    def memory(self, trunk: bytes) -> Memory:
        """Of the trunk with this digest; a new one takes the place of the one used longest ago."""
        padded_ids = self._memories.pop(trunk, None) or Memory()
        self._memories[trunk] = padded_ids
        while len(self._memories) > TRUNKS:
            self._memories.popitem(last=False)
        return padded_ids

    def tokens(
        self, processor: Any, vocabulary: str, texts: Sequence[str], longest: int | None
    ) -> list[Ids]:
        """Token ids of each text by the vocabulary of this digest, cut to ``longest``."""
        known = self._tokens.setdefault((vocabulary, longest), {})
        new = [x for x in dict.fromkeys(texts) if x not in known]
        if new:
            made = token_ids(processor, new, longest)
            known.update((x, np.array(ids)) for x, ids in zip(new, made, strict=True))
        return [known[x] for x in texts]


def padded(ids: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Int64 (texts, longest), padded with 0, and (texts,) lengths."""
    lengths = [len(x) for x in ids]
    padded_ids = np.zeros((len(ids), max(lengths)), np.int64)
    for row, x in zip(padded_ids, ids, strict=True):
        row[: len(x)] = x
    return torch.from_numpy(padded_ids), torch.tensor(lengths)


def _alike(trunk: Trunk, ids: Tensor, lengths: Tensor) -> Tensor:
    """``trunk`` of texts, each as if it were alone: batches of one width, filled up."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _of_widths(trunk, ids, lengths)
    finally:
        torch.set_num_threads(threads)


def _of_widths(trunk: Trunk, ids: Tensor, lengths: Tensor) -> Tensor:
    budget = CPU_TOKENS if ids.device.type == "cpu" else GPU_TOKENS
    widths = (lengths + STEP - 1) // STEP * STEP
    order, parts = [], []
    for width in widths.unique().tolist():
        places = torch.nonzero(widths == width)[:, 0]
        fill = max(1, -(-LEAST // width))
        for rows in places.split(max(LEAST, budget // width) - fill):
            count = max(fill, LEAST - len(rows))
            filler = torch.arange(count * width, device=ids.device).view(count, width) + _FILLER
            padded_ids = torch.zeros((len(rows), width), dtype=ids.dtype, device=ids.device)
            wide = min(width, ids.shape[1])
            padded_ids[:, :wide] = ids[rows, :wide]
            sizes = torch.full((count,), width, device=ids.device)
            made = trunk(torch.cat([padded_ids, filler]), torch.cat([lengths[rows], sizes]))
            parts.append(made[: len(rows)])
            order.append(rows)
    return torch.cat(parts)[torch.argsort(torch.cat(order))]
