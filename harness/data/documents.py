"""Strict reading of one file: UTF-8, JSON, JSON lines, CSV, tables; errors name file and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Document:
    """A file's text, and the path for messages."""

    path: Path
    text: str

    def error(self, where: str, what: str) -> DataError:
        """``FILE: WHERE: WHAT`` as an error to raise; ``where`` may be empty."""
        return DataError(": ".join(part for part in (str(self.path), where, what) if part))


class Row(NamedTuple):
    """One line of a file: its number, counted from 1, and its fields."""

    line: int
    fields: dict[str, Any]


def decode(path: Path, raw: bytes, *, first_line: int = 1) -> Document:
    """Decode UTF-8. A byte order mark is dropped; nothing else is repaired.

    ``first_line`` is the number of the first line in ``raw``, if that is a part of the file.

    Raises:
        DataError: not UTF-8; names the line and the byte.
    """
    try:
        return Document(path, raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + first_line
        raise DataError(
            f"{path}: line {line}: not UTF-8 (byte 0x{raw[error.start]:02x} at offset "
            f"{error.start}); convert the file to UTF-8"
        ) from error


def unpacked(path: Path, raw: bytes) -> bytes:
    """``raw`` itself, or its content if the file's name ends in ``.gz`` or ``.parquet``.

    The content of a parquet file is one JSON object per row, as a line.

    Raises:
        DataError: the file is incomplete.
    """
    if path.suffix == ".parquet":
        import pyarrow

        return b"".join(parquet_lines(path, pyarrow.BufferReader(raw)))
    if path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: incomplete gzip file ({error})") from error


def parquet_lines(path: Path, source: Any) -> Iterator[bytes]:
    """Rows of a parquet file as JSON lines, some thousand at a time; ``source`` is for pyarrow.

    Raises:
        DataError: an incomplete parquet file, or a value in it that Python cannot have: a text that
            is not UTF-8, a date after the year 9999.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(source) as file:
            for batch in file.iter_batches(batch_size=4096):
                rows = (
                    json.dumps(x, ensure_ascii=False, default=_as_json) for x in batch.to_pylist()
                )
                yield "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: a text in it is not UTF-8 ({error})") from error
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0]
        raise DataError(f"{path}: incomplete parquet file ({reason})") from error
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: a value in it cannot be read ({error})") from error


def _as_json(value: Any) -> Any:
    """What JSON lacks. Texts in a column of bytes, as some programs write them, are texts.

    Other bytes are of no use as an id or a text: as an object they are refused as one.
    """
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"bytes": len(value)}
    return str(value)


def parse_json(document: Document) -> Any:
    """Parse one JSON document.

    Raises:
        DataError: not JSON, or truncated.
    """
    try:
        return json.loads(document.text)
    except json.JSONDecodeError as error:
        cut = " (the file is truncated)" if error.pos >= len(document.text.rstrip()) - 1 else ""
        where = f"line {error.lineno}, column {error.colno}"
        raise document.error(where, f"not valid JSON{cut}: {error.msg}") from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # a number with thousands of digits, or extreme nesting
        raise document.error("", f"not valid JSON: {error}") from error


def lines(document: Document) -> Iterator[tuple[int, str]]:
    r"""Lines with numbers from 1; ``\n`` and ``\r\n`` end a line, nothing else does.

    Raises:
        DataError: an empty line before the end of the file.
    """
    # Not splitlines(): texts may contain U+2028 or U+0085, which it takes for line ends.
    found = document.text.rstrip("\r\n").split("\n")
    if found == [""]:
        return
    for number, line in enumerate(found, 1):
        line = line.removesuffix("\r")
        if not line.strip():
            raise document.error(f"line {number}", "is empty")
        yield number, line


def json_lines(document: Document) -> Iterator[Row]:
    """Parse a file with one JSON object per line.

    Raises:
        DataError: a line is empty, not JSON or not an object.
    """
    for number, line in lines(document):
        yield json_row(document, number, line)


def json_row(document: Document, number: int, line: str) -> Row:
    """Parse line ``number`` of a file with one JSON object per line.

    Raises:
        DataError: it is not JSON or not an object.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise document.error(f"line {number}", f"not valid JSON: {what}") from error
    if not isinstance(fields, dict):
        raise document.error(f"line {number}", f"must be a JSON object, not {line[:40]!r}")
    return Row(number, fields)


def rows(document: Document) -> Iterator[Row]:
    """Rows of a table: comma-separated values if the file's name says so, else JSON lines.

    Raises:
        DataError: a line is not one of these, or does not fit the header.
    """
    is_csv = re.search(r"\.csv(\.gz)?$", document.path.name) is not None
    return _csv_rows(document) if is_csv else json_lines(document)


@contextmanager
def fields_up_to(size: int) -> Iterator[None]:
    """Let the csv module read fields of ``size``: its limit is one for the whole process."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, size))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv_rows(document: Document) -> Iterator[Row]:
    """Comma-separated values (RFC 4180) under a header; fields are strings, which can hold lines.

    A row is numbered by its first line.
    """
    text = document.text.rstrip("\r\n")  # empty lines at the end, as of other files
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] | None = None
    while True:
        where = f"line {reader.line_num + 1}"
        first = reader.line_num + 1
        try:
            with fields_up_to(len(document.text) + 1):  # whole documents are fields
                fields = next(reader, None)
        except csv.Error as error:
            raise document.error(where, f"not comma-separated values: {error}") from error
        if fields is None:
            break
        if not fields:
            raise document.error(where, "is empty")
        if columns is None:
            columns = fields
            if not all(columns) or len(set(columns)) < len(columns):
                raise document.error(
                    where, f"must be a header with a different name for each column, not {fields!r}"
                )
            continue
        if len(fields) != len(columns):
            raise document.error(
                where, f"has {len(fields)} fields, but the header names {len(columns)}"
            )
        yield Row(first, dict(zip(columns, fields, strict=True)))


def table(
    document: Document, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """Parse tab-separated values under a header line; fields are strings.

    Raises:
        DataError: no header, unknown, missing or repeated columns, a line with another number of
            fields.
    """
    rows = lines(document)
    expected = f"must be a header with the columns {', '.join(required)}, separated by tabs"
    if optional:
        expected += f" (and optionally {', '.join(optional)})"
    _, header = next(rows, (1, ""))
    columns = header.split("\t")
    known = [*required, *optional]
    if not set(required) <= set(columns) <= set(known) or len(set(columns)) < len(columns):
        raise document.error("line 1", f"{expected}, not {header!r}")
    for number, line in rows:
        fields = line.split("\t")
        if len(fields) != len(columns):
            raise document.error(
                f"line {number}",
                f"has {len(fields)} tab-separated fields, but the header names {len(columns)}",
            )
        yield Row(number, dict(zip(columns, fields, strict=True)))


def check_keys(
    document: Document, where: str, fields: dict[str, Any], required: Sequence[str],
    optional: Sequence[str] | None = (),
) -> None:  # fmt: skip
    """Refuse missing keys, and unknown ones unless ``optional`` is ``None`` (any key is allowed).

    Raises:
        DataError: names the key.
    """
    if optional is not None:
        known = [*required, *optional]
        for key in fields:
            if key not in known:
                hint = did_you_mean(key, known) or f"; known keys are {', '.join(known)}"
                raise document.error(where, f"key {key!r} is unknown{hint}")
    for key in required:
        if key not in fields:
            raise document.error(where, f"key {key!r} is missing")


def check_id(document: Document, where: str, value: Any) -> str:
    """Return ``value`` if it can be an id: a string without whitespace, as TREC files need it.

    Nor may it have a zero byte: arrays of ids have them at their ends.

    Raises:
        DataError: it cannot.
    """
    if not isinstance(value, str) or not value:
        raise document.error(where, f"an id must be a non-empty string, not {value!r}")
    if value.split() != [value]:
        raise document.error(
            where, f"id {value!r} contains whitespace, which TREC files cannot represent"
        )
    if "\0" in value:
        raise document.error(where, f"id {value!r} contains a zero byte")
    return _encodable(document, f"{where}: id {value!r}", value)


def check_text(document: Document, where: str, value: Any, *, name: str = "text") -> str:
    """Return ``value`` if it is a text that can be encoded.

    Raises:
        DataError: not a string, empty, or with a lone surrogate, which UTF-8 cannot encode.
    """
    if not isinstance(value, str):
        raise document.error(where, f"{name} must be a string, not {value!r}")
    if not value or value.isspace():
        raise document.error(where, f"{name} is empty")
    return _encodable(document, where, value)


def check_grade(document: Document, where: str, value: str) -> int:
    """Return a relevance grade.

    Raises:
        DataError: ``value`` is not an integer.
    """
    if re.fullmatch(r"[+-]?[0-9]{1,9}", value) is None:
        raise document.error(where, f"score must be an integer, not {value!r}")
    return int(value)


def _encodable(document: Document, where: str, value: str) -> str:
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            code = ord(value[error.start])
            raise document.error(
                where,
                f"contains the lone surrogate \\u{code:04x} at character {error.start}, "
                "which is half a character",
            ) from error
    return value
