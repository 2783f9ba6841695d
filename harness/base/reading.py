"""Read JSON and TOML files; every error is one sentence that names the file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from harness.errors import HarnessError


def read_bytes(path: Path, complaint: type[HarnessError]) -> bytes:
    """The content of a file.

    Raises:
        complaint: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise complaint(f"{path}: cannot be read ({error.strerror or error})") from error


def read_text(path: Path, complaint: type[HarnessError]) -> str:
    r"""Read a file as UTF-8, without a byte order mark, its lines ended by ``\n``.

    Raises:
        complaint: it cannot be read, or is not UTF-8.
    """
    text = _text(read_bytes(path, complaint), path, complaint)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(raw: bytes, where: Path | str, complaint: type[HarnessError]) -> Any:
    """Parse the bytes of ``where`` as JSON.

    Raises:
        complaint: not UTF-8, not JSON, or nested too deeply.
    """
    text = _text(raw, where, complaint)
    try:
        return json.loads(text)
    except ValueError as error:  # also of numbers with thousands of digits
        raise complaint(f"{where}: not valid JSON ({error})") from error
    except RecursionError as error:
        raise complaint(f"{where}: not valid JSON (nested too deeply)") from error


def parse_toml(raw: bytes, where: Path | str, complaint: type[HarnessError]) -> dict[str, Any]:
    """Parse the bytes of ``where`` as TOML; a byte order mark is dropped.

    Raises:
        complaint: not UTF-8, not TOML, or nested too deeply.
    """
    text = _text(raw, where, complaint)
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise complaint(f"{where}: not valid TOML ({error})") from error
    except RecursionError as error:
        raise complaint(f"{where}: not valid TOML (nested too deeply)") from error


def read_json(path: Path, complaint: type[HarnessError]) -> Any:
    """Read a file as JSON.

    Raises:
        complaint: it cannot be read, or as :func:`parse_json`.
    """
    return parse_json(read_bytes(path, complaint), path, complaint)


def read_object(path: Path, complaint: type[HarnessError]) -> dict[str, Any]:
    """Read a file as a JSON object.

    Raises:
        complaint: it cannot be read, is not JSON, or is not an object.
    """
    found = read_json(path, complaint)
    if not isinstance(found, dict):
        raise complaint(f"{path}: must contain a JSON object")
    return found


def object_or_empty(path: Path) -> dict[str, Any]:
    """Read a cache file as a JSON object; empty if it is missing or damaged."""
    try:
        return read_object(path, HarnessError)
    except HarnessError:
        return {}


def read_toml(path: Path, complaint: type[HarnessError]) -> dict[str, Any]:
    """Read a file as TOML.

    Raises:
        complaint: it cannot be read, or as :func:`parse_toml`.
    """
    return parse_toml(read_bytes(path, complaint), path, complaint)


def _text(raw: bytes, where: Path | str, complaint: type[HarnessError]) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise complaint(f"{where}: line {line} is not UTF-8; save the file as UTF-8") from error
