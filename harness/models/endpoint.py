"""An OpenAI-compatible HTTP endpoint: one request at a time, retried until it succeeds.

The key comes only from the environment (``HARNESS_API_KEY``, else ``OPENAI_API_KEY``); it is sent
to the endpoint's URL and nowhere else, redirects are not followed, and it appears in no record or
message. Requests that failed for a temporary reason (429, 5xx, a broken or late response) are
retried after growing delays, or the one in ``Retry-After`` if that is longer.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness.errors import ModelError, one_line

KEYS = ("HARNESS_API_KEY", "OPENAI_API_KEY")
"""Environment variables for the key; the first one that is set counts."""

TRIES = 6
_TIMEOUT = (10.0, 120.0)
"""Seconds to connect, and between two bytes of an answer."""
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 60.0
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_REFUSED = frozenset({400, 413, 422})
"""Statuses for a request as such: with too many texts or tokens, or a field the server lacks."""
_NO_CREDIT = ("insufficient_quota", "billing", "credit balance", "insufficient balance", "余额不足")
"""What a 429 says that no waiting mends; a rate limit may be called a quota, too."""
_OF_SIZE = ("too many", "too large", "maximum", "exceed", "batch size")
"""What a 500 says that would be a 413 elsewhere (llama.cpp)."""

Parsed = TypeVar("Parsed")


class PassingError(Exception):
    """A temporary failure; ``after`` is the delay that the server requests, in seconds."""

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


class AbandonedError(Exception):
    """A request that failed for a temporary reason was to stop, so it was not sent again."""


class RefusedError(ModelError):
    """The server does not accept this request; it may accept a smaller one.

    Servers say so in many words and languages, so that nothing is concluded from them.
    """


@dataclass
class Usage:
    """The cost reported by the endpoint."""

    requests: int = 0
    retries: int = 0
    tokens: int = 0
    """Sum of ``usage.total_tokens``; 0 if the endpoint does not count."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, requests: int = 0, retries: int = 0, tokens: int = 0) -> None:
        """Count, from any thread."""
        with self.lock:
            self.requests += requests
            self.retries += retries
            self.tokens += tokens


class Endpoint:
    """The URL of requests, and their cost so far."""

    def __init__(
        self,
        url: str | None,
        what: str,
        *,
        flag: str = "--base-url",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take a base URL, given by ``flag``; nothing is sent yet.

        ``what`` needs it; ``sleep`` is for tests.

        Raises:
            ModelError: there is none, or it contains credentials.
        """
        self.url = _checked(url, what, flag)
        self.usage = Usage()
        self._sleep = sleep
        self._session = threading.local()
        self._random = random.Random(0)

    def ask(
        self,
        path: str,
        document: Any,
        parse: Callable[[Any], Parsed],
        *,
        stop: threading.Event | None = None,
    ) -> Parsed:
        """The parsed response to ``document``, sent to ``path`` below the URL.

        ``parse`` raises :class:`PassingError` for an incomplete response. Once ``stop`` is set
        nothing is sent again, and a delay ends.

        Raises:
            AbandonedError: ``stop`` was set before an attempt succeeded.
            ModelError: the server refuses, or every one of :data:`TRIES` attempts failed.
            RefusedError: of these, that the server refuses this request (400, 413, 422).
        """
        key = _key()
        for attempt in range(TRIES):
            try:
                return parse(self._post(path, document, key))
            except PassingError as problem:
                if attempt + 1 == TRIES:
                    said = f"{problem}, {TRIES} times; the same command resumes from here"
                    raise ModelError(without(said, key)) from None
                self.usage.add(retries=1)
                grown = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
                # Jitter: each waits between half and all of the delay.
                pause = grown * (0.5 + self._random.random() / 2)
                # A clock that is ahead of the server's makes of its date a delay of nothing.
                self._wait(max(pause, problem.after or 0.0), stop)
                if stop is not None and stop.is_set():
                    raise AbandonedError from None
        raise AssertionError("every try ends in an answer or an error")

    def _wait(self, seconds: float, stop: threading.Event | None) -> None:
        if stop is None or self._sleep is not time.sleep:
            self._sleep(seconds)
        else:
            stop.wait(seconds)

    def _post(self, path: str, document: Any, key: str | None) -> Any:
        import requests

        if not hasattr(self._session, "of"):
            self._session.of = requests.Session()
            # No credentials from .netrc and no implicit proxy: the key goes to this URL only.
            self._session.of.trust_env = False
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.usage.add(requests=1)
        try:
            answer = self._session.of.post(
                f"{self.url}/{path}",
                json=document,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.Timeout:
            raise PassingError("no response in time") from None
        except requests.RequestException as error:
            raise PassingError(f"the connection failed ({type(error).__name__})") from None
        if answer.status_code != 200:
            said = f"answered {answer.status_code}: {_reason(answer, key)}"
            if _is_refusal(answer):
                raise RefusedError(said)
            if answer.status_code in _PASSING and not _is_without_credit(answer):
                raise PassingError(said, _retry_after(answer.headers.get("Retry-After")))
            if answer.status_code in (401, 403):
                said += f" (the key is read from {' or '.join(KEYS)})"
            raise ModelError(said)
        try:
            found = answer.json()
        except ValueError:
            raise PassingError("answered with something other than JSON") from None
        if isinstance(found, dict):
            if found.get("error"):
                raise PassingError(f"answered with an error: {_reason(answer, key)}")
            usage = found.get("usage")
            spent = usage.get("total_tokens") if isinstance(usage, dict) else None
            self.usage.add(tokens=spent if isinstance(spent, int) else 0)
        return found


def _checked(url: str | None, what: str, flag: str) -> str:
    if not url:
        raise ModelError(f"{what} needs {flag} URL, as in {flag} http://localhost:8000/v1")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(f"{flag} must start with http:// or https://, not {url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ModelError(
            f"{flag} must be a plain URL: a key belongs in the environment "
            f"({' or '.join(KEYS)}), where no record can show it"
        )
    return url.rstrip("/")


def _key() -> str | None:
    return next((os.environ[x].strip() for x in KEYS if os.environ.get(x, "").strip()), None)


def without(text: str, key: str | None) -> str:
    """``text`` with the key redacted: some servers quote it in their errors."""
    return text if key is None else text.replace(key, "[key]")


def _retry_after(value: str | None) -> float | None:
    """Seconds in ``Retry-After``: a number, or a date (RFC 9110, 10.2.3)."""
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
    """The server's error message, on one line; servers put it under different keys."""
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        said = answer.text
    while isinstance(said, list) and said:
        said = said[0]
    while isinstance(said, dict):
        said = next((said[x] for x in ("error", "message", "detail") if said.get(x)), None)
    # The key goes first: of one that is cut through, nobody would find the rest.
    return one_line(without(str(said or answer.reason or "no reason given"), key), 200)


def _is_refusal(answer: Any) -> bool:
    """Whether a request was refused as such, rather than a key, or all requests for now."""
    if answer.status_code in _REFUSED:
        return True
    return answer.status_code == 500 and any(x in answer.text.lower() for x in _OF_SIZE)


def _is_without_credit(answer: Any) -> bool:
    """Whether a 429 is about an account rather than the rate of requests."""
    return answer.status_code == 429 and any(x in answer.text.lower() for x in _NO_CREDIT)
