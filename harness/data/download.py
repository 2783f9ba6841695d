"""Download one file: retried, resumed, verified, and in place only once it is complete."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path

from harness.base.digests import file_sha256
from harness.base.files import locked
from harness.errors import DataError

Progress = Callable[[str, int, int | None], None]
"""Called with file name, bytes so far, and total bytes if the server states them."""

ATTEMPTS = 5
"""Attempts in a row without a single new byte before a download is abandoned."""
FIRST_PAUSE = 0.5
"""Seconds before the second attempt; each further pause is twice as long."""
TIMEOUT = 30.0
"""Seconds without a response or a byte before a connection counts as broken."""

_BLOCK = 1 << 18  # bytes read between two calls of ``progress``
_RESERVED = "%/:=&?~#+!$,;'@()*[]"  # what stays as it is in a URL: RFC 3986, and escapes
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class _BrokenError(Exception):
    """An attempt that failed for a possibly temporary reason."""


def download(url: str, target: Path, *, sha256: str, progress: Progress | None = None) -> None:
    """Download ``url`` to ``target``.

    Bytes go to ``TARGET.part``, which a later call resumes with an HTTP range; once their SHA-256
    is verified, the file is synced to disk and renamed. A file lock serialises processes: later
    ones find the file and download nothing.

    Raises:
        DataError: the server refuses, does not respond or sends bytes that do not match ``sha256``,
            or the disk cannot be written; names the URL.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.parent / ".lock"):
            if _digest(target) == sha256:
                return
            resumed = False
            if _digest(part) != sha256:
                resumed = _receive_all(url, part, progress)
            found = _digest(part)
            if found != sha256 and resumed:
                # The pieces may belong to different files: once more, from the start.
                part.unlink()
                _receive_all(url, part, progress)
                found = _digest(part)
            if found != sha256:
                part.unlink()
                raise DataError(
                    f"{url}: what the server sent has SHA-256 {found}, expected {sha256}; nothing "
                    "was kept: a proxy may have changed it, so try again from another network"
                )
            os.replace(part, target)
            _sync_folder(target.parent)
    except OSError as error:
        raise DataError(
            f"{target}: cannot write the download: {error.strerror or error}"
        ) from error


def _receive_all(url: str, part: Path, progress: Progress | None) -> bool:
    """Download what is missing of ``part``; returns whether it came in more than one piece."""
    failures = 0
    furthest = _size(part)
    resumed = False
    while True:
        resumed = resumed or _size(part) > 0
        try:
            _receive(url, part, progress)
            return resumed
        except _BrokenError as error:
            failures = 0 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= ATTEMPTS:
                raise DataError(
                    f"{url}: {error} ({ATTEMPTS} attempts); {_size(part)} bytes are kept and the "
                    "same command resumes"
                ) from error
            time.sleep(FIRST_PAUSE * 2 ** max(failures - 1, 0))


def _receive(url: str, part: Path, progress: Progress | None) -> None:
    """Download what is missing of ``part`` over one connection."""
    offset = _size(part)
    headers = {"User-Agent": "polyglot-harness", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    address = urllib.parse.quote(url, safe=_RESERVED)  # files may be named in any language
    with _open(address, headers, part) as response:
        if not _continues(response.status, response.headers, offset):
            offset = 0
        length = response.headers.get("Content-Length")
        total = offset + int(length) if length is not None and length.isdecimal() else None
        with part.open("r+b" if offset else "wb") as out:
            out.seek(offset)
            while block := _read(response):
                out.write(block)
                offset += len(block)
                if progress is not None:
                    progress(part.name.removesuffix(".part"), offset, total)
            out.flush()
            os.fsync(out.fileno())
    if total is not None and offset < total:
        raise _BrokenError(f"the connection ended after {offset} of {total} bytes")


def _open(url: str, headers: Mapping[str, str], part: Path) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(url, headers=dict(headers))
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the part is not the beginning of this file
            part.unlink(missing_ok=True)
            raise _BrokenError("the server has no bytes beyond those already downloaded") from error
        if error.code in _RETRIED_STATUS:
            raise _BrokenError(f"the server answered {error.code} {error.reason}") from error
        raise DataError(f"{url}: the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DataError(f"{url}: the server's certificate is not trusted: {reason}") from error
        if isinstance(error, http.client.InvalidURL) or not isinstance(
            error, OSError | http.client.HTTPException
        ):
            raise DataError(f"{url}: is not a valid address ({error})") from error
        raise _BrokenError(f"no response ({reason or type(error).__name__})") from error
    return response


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(
            f"the connection broke ({str(error) or type(error).__name__})"
        ) from error


def _continues(status: int, headers: Message, offset: int) -> bool:
    """Whether the response starts at ``offset``; servers may send the whole file instead."""
    return status == 206 and headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> str | None:
    """SHA-256 of a file as hex, ``None`` if there is none."""
    return file_sha256(path) if path.exists() else None


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power failure; Windows has no such call and needs none."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
