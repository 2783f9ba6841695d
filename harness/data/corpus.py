"""A language's passages as a stream: never all in memory, read in order from any point.

Files hold lines, plain or gzip, or parquet rows: JSON objects with
``docid``, ``title`` and ``text`` (MIRACL's format) or with ``_id`` or ``id`` (tables), or ``id TAB
text``. One scan (:func:`scan`) counts the passages of each file, so that any range of the corpus
means the same passages on every machine.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.data.documents import Document, check_id, check_keys, decode, parquet_lines
from harness.data.file_memo import memoized, stamp
from harness.data.table_rows import ID_KEYS, id_and_text, is_tsv, joined, table_id, table_text
from harness.errors import DataError

_BLOCK = 1 << 20


class Passage(NamedTuple):
    """One passage, as encoded."""

    id: str
    """Local: as in the file."""
    text: str


@dataclass(frozen=True)
class CorpusFile:
    """One file of a corpus, and the result of its scan."""

    path: Path
    passages: int
    sha256: str
    """Digest of the file's bytes, by which a download is verified."""
    content_sha256: str
    """Digest of its lines: the same whatever the compression."""
    size: int
    mtime_ns: int
    """With ``size``: detects a file that changed since its scan."""


@dataclass(frozen=True)
class Corpus:
    """The passages of one language, in file order. Picklable: only paths and counts."""

    language: str
    files: tuple[CorpusFile, ...]
    text: str
    """How title and text are joined: the task's text option."""
    whole: int | None = None
    """Number of passages of the full corpus, if the task states it."""
    verified: str = "not verified"
    """What the files were verified against: ``hub``, or nothing."""

    def __len__(self) -> int:
        return sum(file.passages for file in self.files)

    @property
    def sampled(self) -> bool:
        """Whether this is less than the full corpus."""
        return self.whole is not None and len(self) < self.whole

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the files' contents in order: equal digests mean equal passages."""
        sha = hashlib.sha256()
        for file in self.files:
            sha.update(bytes.fromhex(file.content_sha256))
        return sha.hexdigest()

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Passage]:
        """Passages ``start`` to ``stop``; earlier ones are skipped without being parsed.

        Raises:
            DataError: a line is malformed, or a file is damaged or has changed since its scan.
        """
        return CorpusReader(self).read(start, len(self) if stop is None else stop)

    def ids(self) -> Iterator[str]:
        """All ids.

        Raises:
            DataError: as :meth:`read`.
        """
        for file in self.files:
            document = Document(file.path, "")
            for number, line in islice(_lines(file), file.passages):
                yield _fields(document, number, line)[0]


def refuse_repeated_ids(corpus: Corpus) -> None:
    """Check, before anything is encoded, that no two passages of a corpus have the same id.

    Read once per corpus: a corpus without repeated ids is memoized by its digest.

    Raises:
        DataError: two passages have the same id; or as :meth:`Corpus.read`.
    """
    first = corpus.files[0].path

    def check(_: Path) -> dict[str, Any]:
        # Eight bytes an id: the largest public corpora have some ten million.
        hashes = np.fromiter(map(hash, corpus.ids()), np.int64, len(corpus))
        ordered = np.sort(hashes)
        suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
        seen: dict[str, int] = {}
        for number, name in enumerate(corpus.ids() if suspects else ()):
            if hash(name) in suspects and seen.setdefault(name, number) != number:
                raise DataError(
                    f"{first.parent}: passages {seen[name] + 1:,} and {number + 1:,} in "
                    f"{corpus.language} have the same id {name!r}; each passage needs its own id"
                )
        return {"distinct": len(corpus)}

    memoized(first, f"ids-{corpus.digest}", check)


def first_passages(path: Path, text: str, count: int) -> list[Passage]:
    """The first passages of a file, at most ``count``, without scanning the rest.

    Raises:
        DataError: a line is malformed.
    """
    now = stamp(path)
    file = CorpusFile(path, count, "", "", now["size"], now["mtime_ns"])
    return list(CorpusReader(Corpus("", (file,), text)).read(0, count))


class CorpusReader:
    """Reads a corpus range by range, without reopening a file each time."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._lines: Iterator[tuple[int, bytes]] | None = None
        self._file = 0
        self._at = 0
        """Number, within the whole corpus, of the passage on the open file's next line."""

    def read(self, start: int, stop: int) -> Iterator[Passage]:
        """Passages ``start`` to ``stop``; cheap if ``start`` is where the last read ended.

        Raises:
            DataError: as :meth:`Corpus.read`.
        """
        first = 0
        for number, file in enumerate(self.corpus.files):
            last = first + file.passages
            if start < last and stop > first:
                yield from self._read_file(number, first, max(start, first), min(stop, last))
            first = last

    def _read_file(self, number: int, first: int, start: int, stop: int) -> Iterator[Passage]:
        file = self.corpus.files[number]
        if self._lines is None or self._file != number or start < self._at:
            self._lines, self._file, self._at = _lines(file), number, first
        lines, self._lines = self._lines, None  # after an interrupted read, start over
        for _ in islice(lines, start - self._at):
            pass
        document = Document(file.path, "")
        for line, raw in islice(lines, stop - start):
            yield Passage(*_passage(document, line, raw, self.corpus.text))
        self._lines, self._at = lines, stop


def _passage(document: Document, number: int, line: bytes, text: str) -> tuple[str, str]:
    """Id and text of a line; ``text`` is the task's text option."""
    name, fields = _fields(document, number, line)
    where = f"line {number}, docid {name!r}"
    if "docid" in fields:
        return name, joined(document, where, fields.get("title"), fields["text"], text)
    return name, table_text(document, where, fields, text)


def _fields(document: Document, number: int, line: bytes) -> tuple[str, Mapping[str, Any]]:
    """The id of a line, and its fields."""
    where = f"line {number}"
    if is_tsv(document.path):
        text = decode(document.path, line, first_line=number).text
        name, text = id_and_text(document, number, text)
        return name, {"text": text}
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise document.error(where, f"not valid JSON: {what}") from error
    if not isinstance(fields, dict):
        raise document.error(where, "must be a JSON object")
    if "docid" not in fields and any(key in fields for key in ID_KEYS):
        return table_id(document, where, fields), fields
    check_keys(document, where, fields, ("docid", "text"), ("title",))
    return check_id(document, where, fields["docid"]), fields


def _lines(file: CorpusFile) -> Iterator[tuple[int, bytes]]:
    """Lines with numbers from 1, as they come out of the compressed stream."""
    now = stamp(file.path) if file.path.exists() else {}
    if (now.get("size"), now.get("mtime_ns")) != (file.size, file.mtime_ns):
        raise DataError(f"{file.path}: changed while it was being read; start the run again")
    number, rest = 0, b""
    for block in _unpacked(file.path, None, file.path.suffix):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            yield number, line
    if rest:
        yield number + 1, rest


def _unpacked(path: Path, sha: Any, ending: str) -> Iterator[bytes]:
    """A file's content in blocks, unpacked according to ``ending``; ``sha`` gets the raw bytes."""
    if ending == ".gz":
        yield from _gunzipped(path, sha)
        return
    try:
        with path.open("rb") as file:
            if ending != ".parquet":
                while raw := file.read(_BLOCK):
                    if sha is not None:
                        sha.update(raw)
                    yield raw
                return
            if sha is not None:
                while raw := file.read(_BLOCK):
                    sha.update(raw)
        yield from parquet_lines(path, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _gunzipped(path: Path, sha: Any) -> Iterator[bytes]:
    """Uncompressed blocks of a gzip file with any number of members; ``sha`` gets the raw bytes."""
    packed, inside = zlib.decompressobj(wbits=31), False
    try:
        with path.open("rb") as file:
            while raw := file.read(_BLOCK):
                if sha is not None:
                    sha.update(raw)
                while raw := raw if inside else raw.lstrip(b"\0"):  # as gzip has it on tapes
                    yield packed.decompress(raw)
                    raw, inside = b"", True
                    if packed.eof:
                        raw, inside = packed.unused_data, False
                        packed = zlib.decompressobj(wbits=31)
    except zlib.error as error:
        raise DataError(f"{path}: incomplete gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if inside:
        raise DataError(f"{path}: the gzip file is truncated; fetch it again")


def scan(path: Path) -> CorpusFile:
    """Count and digest one file; cached, so that each file is scanned once.

    Raises:
        DataError: it is missing, or an incomplete gzip file.
    """
    try:
        # Not "corpora": before, texts in columns of bytes were read as b'...'.
        kind = "parquet-corpora" if path.suffix == ".parquet" else "corpora"
        facts: Mapping[str, Any] = memoized(path, kind, partial(_scan, ending=path.suffix))
        now = stamp(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return CorpusFile(
        path,
        facts["passages"],
        facts["sha256"],
        facts["content_sha256"],
        now["size"],
        now["mtime_ns"],
    )


def _scan(path: Path, *, ending: str) -> dict[str, Any]:
    # The hub's cache stores content under names without an extension.
    sha, content = hashlib.sha256(), hashlib.sha256()
    lines, last = 0, b"\n"
    passages = 0  # without empty lines at the end of the file
    for block in _unpacked(path, sha, ending):
        content.update(block)
        filled = block.rstrip(b"\r\n")
        if filled:
            passages = lines + filled.count(b"\n") + 1
        lines += block.count(b"\n")
        last = block[-1:] or last
    if last != b"\n":
        content.update(b"\n")
    return {
        "passages": passages,
        "sha256": sha.hexdigest(),
        "content_sha256": content.hexdigest(),
    }
