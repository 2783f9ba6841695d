"""Encoders behind an OpenAI-compatible HTTP endpoint: ``--model http:NAME --base-url URL``.

Requests go to ``URL/embeddings``. The key comes from the environment alone (``HARNESS_API_KEY``,
else ``OPENAI_API_KEY``); it is sent to that URL and nowhere else, redirects are not followed, and
it stands on no record and in no message. Requests that failed for a passing reason (429, 5xx, a
broken or late answer) are tried again, after the time that ``Retry-After`` asks for or a growing
one. Answers are kept in the store as they come, also where the run is then stopped, so that no text
is paid for twice.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelError
from harness.models.base import ModelOptions, Similarity
from harness.models.fingerprint import fingerprint
from harness.task import Role

PREFIX = "http:"
KEYS = ("HARNESS_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, the first that is set counts."""

_BATCH = 64
_CONCURRENCY = 4
_TRIES = 6
_TIMEOUT = (10.0, 120.0)
"""Seconds to connect, and between two bytes of an answer."""
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 60.0
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TOO_LARGE = frozenset({400, 413, 422})
"""What endpoints answer to a request with too many texts or tokens, among other things."""


class UnfinishedError(ModelError):
    """Some requests failed; ``finished`` holds what the others brought.

    ``finished`` is (positions (m,) int64, vectors (m, d) float32).
    """

    def __init__(self, message: str, finished: tuple[NDArray[np.int64], NDArray[np.float32]]):
        super().__init__(message)
        self.finished = finished


class _PassingError(Exception):
    """Worth another try; ``after`` is how long the server asks to wait, in seconds."""

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


class _TooLargeError(Exception):
    """The server will not take this many texts at once."""


@dataclass
class Usage:
    """What the endpoint said it cost."""

    requests: int = 0
    retries: int = 0
    tokens: int = 0
    """Sum of ``usage.total_tokens``; 0 where the endpoint does not count."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, requests: int = 0, retries: int = 0, tokens: int = 0) -> None:
        """Count, from any thread."""
        with self.lock:
            self.requests += requests
            self.retries += retries
            self.tokens += tokens


class HttpEncoder:
    """A model behind an endpoint. Its weights are the endpoint's affair: the record says so."""

    languages: frozenset[str] | None = None
    parameters: int | None = None
    similarity: Similarity = "cosine"
    device = "remote"

    def __init__(
        self, name: str, options: ModelOptions, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the endpoint's name for the model; nothing is sent yet. ``sleep`` is for tests.

        Raises:
            ModelError: no URL, one that carries credentials, or an option that an endpoint has not.
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
                    f"{flag} {value}: a model behind an endpoint runs as the endpoint runs it; "
                    "leave the flag out"
                )
        self.name = name
        self._options, self._sleep = options, sleep
        self._url = _checked(options.base_url, name)
        self.prompts: Mapping[Role, str] = {
            "query": options.query_prompt or "",
            "passage": options.passage_prompt or "",
        }
        self.facts: Mapping[str, Any] = {
            "adapter": "http",
            "endpoint": self._url,
            "model": name,
            "weights": "unknown: behind an endpoint",
            "prompts": dict(self.prompts),
        }
        self.fingerprint: str | None = fingerprint(self.facts)
        self.usage = Usage()
        self._batch = options.batch_size or _BATCH
        self._width: int | None = None
        self._session = threading.local()
        self._random = random.Random(0)

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors of shape (number of texts, width), by several requests at once.

        Raises:
            UnfinishedError: a request failed for good; what the others brought is in it.
        """
        given = [self.prompts[role] + text for text in texts]
        key = _key()
        starts = range(0, len(given), self._batch)
        parts = [range(i, min(i + self._batch, len(given))) for i in starts]
        found: dict[int, NDArray[np.float32]] = {}
        with ThreadPoolExecutor(self._options.concurrency or _CONCURRENCY) as pool:
            pending: dict[Future[NDArray[np.float32]], range] = {
                pool.submit(self._settle, [given[i] for i in part], key): part for part in parts
            }
            done, running = wait(pending, return_when=FIRST_EXCEPTION)
            for future in running:
                future.cancel()
            # Requests on their way are paid for: what they bring is kept.
            done, _ = wait([f for f in pending if not f.cancelled()])
        problems = [f.exception() for f in done if f.exception() is not None]
        for future in done:
            if future.exception() is None:
                found.update(zip(pending[future], future.result(), strict=True))
        at = np.array(sorted(found), np.int64)
        widths = {len(v) for v in found.values()}
        if not problems and len(widths) > 1:
            shown = " and ".join(str(x) for x in sorted(widths))
            problems = [ModelError(f"gave vectors of {shown} dimensions")]
            at, found = at[:0], {}
        vectors = np.stack([found[i] for i in at]) if len(at) else np.zeros((0, 0), np.float32)
        if problems:
            said = _without(str(problems[0]), key)
            raise UnfinishedError(f"{PREFIX}{self.name} at {self._url}: {said}", (at, vectors))
        return np.ascontiguousarray(vectors, np.float32)

    def _settle(self, texts: list[str], key: str | None) -> NDArray[np.float32]:
        """Vectors of one request's texts, by as many tries and halves as it takes."""
        for attempt in range(_TRIES):
            try:
                return self._ask(texts, key)
            except _PassingError as problem:
                if attempt + 1 == _TRIES:
                    said = f"{problem}, {_TRIES} times; the same command goes on from here"
                    raise ModelError(said) from None
                self.usage.add(retries=1)
                grown = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
                # Not all at once again: each waits between half and all of it.
                wanted = grown * (0.5 + self._random.random() / 2)
                self._sleep(wanted if problem.after is None else problem.after)
            except _TooLargeError as problem:
                if len(texts) == 1:
                    raise ModelError(f"{problem}, first for the text {texts[0][:80]!r}") from None
                half = len(texts) // 2
                return np.concatenate(
                    [self._settle(texts[:half], key), self._settle(texts[half:], key)]
                )
        raise AssertionError("every try ends in an answer or an error")

    def _ask(self, texts: list[str], key: str | None) -> NDArray[np.float32]:
        import requests

        if not hasattr(self._session, "of"):
            self._session.of = requests.Session()
            # No credentials from .netrc, no proxy that nobody named: the key goes to this URL.
            self._session.of.trust_env = False
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.usage.add(requests=1)
        try:
            answer = self._session.of.post(
                f"{self._url}/embeddings",
                json={"model": self.name, "input": texts, "encoding_format": "float"},
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.Timeout:
            raise _PassingError("no answer in time") from None
        except requests.RequestException as error:
            raise _PassingError(f"the connection failed ({type(error).__name__})") from None
        if answer.status_code in _PASSING:
            raise _PassingError(
                f"answered {answer.status_code}", _retry_after(answer.headers.get("Retry-After"))
            )
        if answer.status_code != 200:
            said = f"answered {answer.status_code}: {_reason(answer, key)}"
            if answer.status_code in _TOO_LARGE and _is_about_size(answer):
                raise _TooLargeError(said)
            if answer.status_code in (401, 403):
                said += f" (the key is read from {' or '.join(KEYS)})"
            raise ModelError(said)
        return self._vectors(answer, len(texts))

    def _vectors(self, answer: Any, count: int) -> NDArray[np.float32]:
        """The vectors of a whole answer, in the order of its texts."""
        try:
            document = answer.json()
            data = document["data"]
            order = [int(item.get("index", i)) for i, item in enumerate(data)]
            vectors = [np.asarray(item["embedding"], np.float32) for item in data]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _PassingError("answered with something other than embeddings") from None
        if sorted(order) != list(range(count)):
            raise _PassingError(f"answered with {len(order)} vectors to {count} texts")
        if any(v.ndim != 1 or len(v) != len(vectors[0]) for v in vectors):
            raise ModelError("answered with vectors of different widths")
        spent = (document.get("usage") or {}).get("total_tokens")
        self.usage.add(tokens=spent if isinstance(spent, int) else 0)
        out = np.empty((count, len(vectors[0])), np.float32)
        out[order] = np.stack(vectors)
        return out


def _checked(url: str | None, name: str) -> str:
    if not url:
        raise ModelError(
            f"{PREFIX}{name} needs --base-url URL, as in --base-url http://localhost:8000/v1"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(f"--base-url must start with http:// or https://, not {url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ModelError(
            "--base-url must be a plain URL: a key belongs into the environment "
            f"({' or '.join(KEYS)}), where no record can show it"
        )
    return url.rstrip("/")


def _key() -> str | None:
    return next((os.environ[x].strip() for x in KEYS if os.environ.get(x, "").strip()), None)


def _without(text: str, key: str | None) -> str:
    """``text`` with the key blotted out: some servers quote it in their errors."""
    return text if key is None else text.replace(key, "[key]")


def _retry_after(value: str | None) -> float | None:
    """Seconds that ``Retry-After`` asks for: a number, or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value.strip()):
        return min(float(value), _LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError):
        return None
    return min(max(until, 0.0), _LONGEST_WAIT)


def _reason(answer: Any, key: str | None) -> str:
    """What the server says was wrong, on one line."""
    try:
        error = answer.json().get("error")
        said = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        said = answer.text
    return _without(" ".join(str(said or answer.reason or "no reason given").split())[:200], key)


def _is_about_size(answer: Any) -> bool:
    """Whether a refusal is of a request with too much in it, rather than of a wrong one."""
    if answer.status_code == 413:
        return True
    words = answer.text.lower()
    return any(x in words for x in ("too many", "too large", "maximum", "exceed", "batch size"))
