"""Keeps a loaded ``SentenceTransformer`` busy: tokenising ahead, token budgets, all cores.

The library's own loop tokenises a batch, computes it, and tokenises the next. Here a thread
tokenises ahead of the model, texts are batched by their tokens
(:mod:`harness.models.token_batches`), and on a CPU every core computes its own batches, each on one
thread. Cores then do not wait for each other after every operation, a batch stays within a core's
cache, and the bits of a vector do not depend on the number of cores.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.environment import cores
from harness.data.task import Role
from harness.models.token_batches import token_batches
from harness.models.token_counts import CHUNK, WORKERS, Stream, Work

BUDGETS = {"cpu": 1024}
"""Tokens of a batch by type of device, padding included: what a core's cache holds."""
BUDGET = 16384
"""The same for any other device: enough work to fill it."""

_AHEAD = 2
"""Number of chunks tokenised ahead."""

_TASKS: Mapping[Role, str] = {"query": "query", "passage": "document"}
# An ordinary text, one that needs padding, and one that is longer than any model reads.
_SAMPLES = ("A river runs through the town.", "Salt", "tick tock " * 5000)


@dataclass
class Pipeline:
    """Encodes with one loaded model; ``work`` adds up what was done."""

    model: Any
    """A ``SentenceTransformer`` for which :meth:`fits` says yes."""
    budget: int | None = None
    """Tokens of a batch; ``None``: the device's."""
    most_texts: int | None = None
    """Texts of a batch; ``None``: any number."""
    work: Work = field(default_factory=Work)
    _constant: dict[tuple[Role, str], dict[str, Any] | None] = field(default_factory=dict)

    def fits(self, role: Role, prompt: str) -> bool:
        """Whether texts of this role can be tokenised here.

        They can if this gives, for sample texts, exactly the library's inputs: not for chat
        templates, static embeddings, images or models with a part per role.
        """
        key = (role, prompt)
        if key not in self._constant:
            self._constant[key] = self._compared(role, prompt)
        return self._constant[key] is not None

    def _compared(self, role: Role, prompt: str) -> dict[str, Any] | None:
        """The library's inputs besides tokens; ``None``: our tokens differ from the library's."""
        try:
            theirs = self.model.preprocess(list(_SAMPLES), prompt=prompt, task=_TASKS[role])
            ours = self._features(self._tokenise(_SAMPLES, prompt))
        except Exception:
            return None  # if anything is wrong, the library's own loop reports it
        constant = {k: v for k, v in theirs.items() if not hasattr(v, "shape")}
        tensors = {k: v for k, v in theirs.items() if k not in constant}
        same = tensors.keys() == ours.keys() and all(
            v.shape == ours[k].shape and bool((v == ours[k]).all()) for k, v in tensors.items()
        )
        return constant if same else None

    def stream(self, texts: Sequence[str], *, role: Role, prompt: str) -> Stream:
        """Positions in ``texts`` and their vectors (n, d) float32, batch by batch.

        Texts come in chunks of :data:`CHUNK`, longest first, and a chunk's vectors depend on its
        texts alone, not on the number of cores or on other texts.
        """
        begun = time.perf_counter()
        workers = self.workers
        with (
            _one_thread_each(workers),
            _executor(1) as ahead,
            _executor(workers or 1) as pool,
        ):
            flying: deque[tuple[NDArray[np.intp], Future[Any]]] = deque()
            for rows, tokens in self._chunks(ahead, texts, prompt):
                lengths = [len(x) for x in tokens]
                budget = self.budget or BUDGETS.get(self.model.device.type, BUDGET)
                for batch in token_batches(lengths, budget, most_texts=self.most_texts):
                    self._count([lengths[i] for i in batch])
                    part = [tokens[i] for i in batch]
                    flying.append((rows[batch], pool.submit(self._compute, part, role, prompt)))
                    if len(flying) > 2 * (workers or 1):
                        yield _landed(flying)
            while flying:
                yield _landed(flying)
        self.work.seconds += time.perf_counter() - begun

    @property
    def workers(self) -> int | None:
        """Batches computed at once, one thread each; ``None`` if the device parallelises itself."""
        if self.model.device.type != "cpu" or self.model.get_backend() != "torch":
            return None
        return min(cores(), WORKERS)

    def _chunks(
        self, executor: ThreadPoolExecutor, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[NDArray[np.intp], list[list[int]]]]:
        """Positions and tokens of each chunk; the next ones are tokenised in the background."""
        order = longest_first(texts)
        coming: deque[tuple[NDArray[np.intp], Future[list[list[int]]]]] = deque()
        for start in range(0, len(order), CHUNK):
            rows = order[start : start + CHUNK]
            chunk = [texts[i] for i in rows]
            coming.append((rows, executor.submit(self._tokenise, chunk, prompt)))
            if len(coming) > _AHEAD:
                rows, made = coming.popleft()
                yield rows, made.result()
        for rows, made in coming:
            yield rows, made.result()

    def _tokenise(self, texts: Sequence[str], prompt: str) -> list[list[int]]:
        found: list[list[int]] = self.model.tokenizer(
            [prompt + text for text in texts] if prompt else list(texts),
            truncation="longest_first",
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]
        return found

    def _features(self, tokens: Sequence[Sequence[int]]) -> dict[str, Any]:
        """A batch in the model's input format: rectangular tensors on the CPU."""
        import torch

        tokenizer = self.model.tokenizer
        width = max(len(x) for x in tokens)
        ids = np.full((len(tokens), width), tokenizer.pad_token_id, np.int64)
        mask = np.zeros((len(tokens), width), np.int64)
        left = tokenizer.padding_side == "left"
        for i, text in enumerate(tokens):
            where = slice(width - len(text), None) if left else slice(len(text))
            ids[i, where] = text
            mask[i, where] = 1
        made = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in tokenizer.model_input_names:
            made["token_type_ids"] = np.zeros_like(ids)
        return {k: torch.from_numpy(v) for k, v in made.items()}

    def _compute(self, tokens: Sequence[Sequence[int]], role: Role, prompt: str) -> Any:
        """Vectors of one batch, a tensor on the device; halves the batch if memory runs out."""
        import torch

        device = self.model.device
        features = {k: v.to(device) for k, v in self._features(tokens).items()}
        constant = self._constant[role, prompt]
        assert constant is not None  # `fits` was checked
        try:
            with torch.inference_mode():
                given = self.model({**features, **constant}, task=_TASKS[role])
            return given["sentence_embedding"][:, : self.model.truncate_dim]
        except torch.OutOfMemoryError:
            if len(tokens) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(tokens) // 2
        parts = (self._compute(part, role, prompt) for part in (tokens[:half], tokens[half:]))
        return torch.cat(list(parts))

    def _count(self, lengths: Sequence[int]) -> None:
        width = max(lengths)
        self.work.texts += len(lengths)
        self.work.tokens += sum(lengths)
        self.work.padding += width * len(lengths) - sum(lengths)


def longest_first(texts: Sequence[str]) -> NDArray[np.intp]:
    """Positions of texts by their characters: tokens without tokenising, roughly."""
    return np.array(sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i)), np.intp)


def _landed(
    flying: deque[tuple[NDArray[np.intp], Future[Any]]],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    rows, future = flying.popleft()
    return rows, np.ascontiguousarray(future.result().float().cpu().numpy())


@contextlib.contextmanager
def _executor(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that start no further work after an error or an interruption."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _one_thread_each(workers: int | None) -> Iterator[None]:
    """Limits torch to one thread in each of ``workers`` threads, and restores it afterwards."""
    if workers is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, cores() // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)
