"""Encoders behind an OpenAI-compatible HTTP endpoint: ``--model http:NAME --base-url URL``.

Where NAME contains ``{role}``, it is replaced by ``query`` or ``passage``: servers that put prompts
before the texts themselves have a name for each role. Requests go to ``URL/embeddings``, several at
a time (:mod:`harness.models.endpoint`). What has arrived is stored, even if a request fails or the
run is stopped, so that no text is paid for twice.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role
from harness.errors import ModelError, quoted
from harness.models.base import REMOTE, ModelOptions, PartlyEncodedError, Similarity
from harness.models.endpoint import AbandonedError, Endpoint, PassingError, RefusedError
from harness.models.fingerprint import fingerprint

PREFIX = "http:"
_BATCH = 64
_CONCURRENCY = 4


@dataclass
class _Call:
    """What the threads of one call of ``encode`` share."""

    texts: list[str]
    role: Role
    found: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    """Position -> its vector, as answers arrive."""
    failed: threading.Event = field(default_factory=threading.Event)
    """A request failed for good, or the call was interrupted: nothing more is sent."""


class HttpEncoder:
    """A model behind an endpoint. Its weights are unknown, and the record says so."""

    languages: frozenset[str] | None = None
    parameters: int | None = None
    similarity: Similarity = "cosine"
    device = REMOTE

    def __init__(
        self, name: str, options: ModelOptions, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the endpoint's name for the model; nothing is sent yet. ``sleep`` is for tests.

        Raises:
            ModelError: no URL, one with credentials, or an option that endpoints do not support.
        """
        if not name:
            raise ModelError("--model http: needs the endpoint's name of the model: http:NAME")
        for flag, value in (
            ("--device", options.device),
            ("--max-length", options.max_length),
            ("--dtype", None if options.dtype == "float32" else options.dtype),
        ):
            if value is not None:
                raise ModelError(
                    f"{flag} {value}: does not apply to a model behind an endpoint; "
                    "leave the flag out"
                )
        self.name = name
        self._options = options
        self._endpoint = Endpoint(options.base_url, f"{PREFIX}{name}", sleep=sleep)
        self.usage = self._endpoint.usage
        self.prompts: Mapping[Role, str] = {
            "query": options.query_prompt or "",
            "passage": options.passage_prompt or "",
        }
        self.facts: Mapping[str, Any] = {
            "adapter": "http",
            "endpoint": self._endpoint.url,
            "model": name,
            "weights": "unknown: behind an endpoint",
            "prompts": dict(self.prompts),
        }
        self.fingerprint: str | None = fingerprint(self.facts)
        self._batch = options.batch_size or _BATCH
        self._most = self._batch
        """Texts of a request that the server is known to accept."""
        self._format: dict[str, str] = {"encoding_format": "float"}
        """Empty once a server has refused the field."""

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors of shape (number of texts, width), from concurrent requests.

        Raises:
            PartlyEncodedError: a request failed permanently; it has the results of the others. So
                has an interrupt, under the same name, ``finished``.
        """
        call = _Call([self.prompts[role] + text for text in texts], role)
        starts = range(0, len(texts), self._batch)
        parts = [range(i, min(i + self._batch, len(texts))) for i in starts]
        interrupt: BaseException | None = None

        def one(part: range) -> None:
            try:
                self._request(call, part)
            except AbandonedError:
                return
            except BaseException:
                call.failed.set()
                raise

        with ThreadPoolExecutor(self._options.concurrency or _CONCURRENCY) as pool:
            requests = [pool.submit(one, part) for part in parts]
            try:
                wait(requests)  # those in flight, too: they are paid for
            except BaseException as problem:  # Ctrl-C: begin no others
                call.failed.set()
                interrupt = problem
        problems = [x.exception() for x in requests if x.exception() is not None]
        found = call.found
        at = np.array(sorted(found), np.int64)
        widths = {len(v) for v in found.values()}
        if len(widths) > 1:
            shown = " and ".join(str(x) for x in sorted(widths))
            problems = problems or [ModelError(f"gave vectors of {shown} dimensions")]
            at, found = at[:0], {}
        vectors = np.stack([found[i] for i in at]) if len(at) else np.zeros((0, 0), np.float32)
        if interrupt is not None:
            # It stays the interrupt that it is: no class of ours can stand for every one.
            interrupt.finished = at, vectors  # type: ignore[attr-defined]
            raise interrupt
        if problems:
            where = f"{PREFIX}{self.name} at {self._endpoint.url}"
            raise PartlyEncodedError(f"{where}: {problems[0]}", (at, vectors))
        return np.ascontiguousarray(vectors, np.float32)

    def _request(self, call: _Call, part: range) -> None:
        """Find the vectors of a ``part`` of the texts, halving it as often as needed.

        A server that refuses one text as well has other reasons than the size, and those are shown.
        """
        # Each thread looks for itself: it would be in its next request before another told it.
        if call.failed.is_set():
            return
        if len(part) > self._most:
            self._halved(call, part)
            return
        given = [call.texts[i] for i in part]
        body = {"model": self.name.replace("{role}", call.role), "input": given, **self._format}
        try:
            vectors = self._endpoint.ask(
                "embeddings", body, lambda x: _vectors(x, len(given)), stop=call.failed
            )
        except RefusedError as problem:
            if "encoding_format" in str(problem) and "encoding_format" in body:
                self._format = {}
                self._request(call, part)
                return
            if len(part) == 1:
                raise ModelError(f"{problem}, first for the text {quoted(given[0])}") from None
            self._halved(call, part)
            self._most = min(self._most, len(part) - 1)
            return
        call.found.update(zip(part, vectors, strict=True))

    def _halved(self, call: _Call, part: range) -> None:
        half = len(part) // 2
        for some in (part[:half], part[half:]):
            self._request(call, some)


def _vectors(document: Any, count: int) -> NDArray[np.float32]:
    """The vectors of a complete response, in the order of its texts."""
    try:
        data = document["data"]
        order = [int(item.get("index", i)) for i, item in enumerate(data)]
        vectors = [_vector(item["embedding"]) for item in data]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise PassingError("answered with something other than embeddings") from None
    if len(order) != count:
        raise PassingError(f"answered with {len(order)} vectors for {count} texts")
    if sorted(order) != list(range(count)):
        # No broken answer: the server numbers them like this every time.
        index, times = Counter(order).most_common(1)[0]
        what = f"index {index} for {times}" if times > 1 else f"index {max(order)} for one"
        raise ModelError(
            f"answered with {what} of {count} texts, so its vectors cannot be assigned to texts; "
            "with --batch-size 1 they can"
        )
    if any(v.ndim != 1 or len(v) != len(vectors[0]) for v in vectors):
        raise ModelError("answered with vectors of different widths")
    out = np.empty((count, len(vectors[0])), np.float32)
    out[order] = np.stack(vectors)
    return out


def _vector(value: Any) -> NDArray[np.float32]:
    """One vector: a list of numbers, or base64 of little-endian float32, which some always send."""
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
    return np.asarray(value, np.float32)
