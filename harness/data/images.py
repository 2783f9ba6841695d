"""Passages that are images: files, or rows of a parquet table, each known by its digest.

An image stands where a text would. As a string it is ``image:`` and the SHA-256 of its bytes, so
that the store, the digest of the data and the search tell images apart and find equal ones without
looking at them; only a model reads the bytes, a batch at a time.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.base.digests import file_sha256
from harness.data.file_memo import memoized, stamp
from harness.data.locations import TaskFiles
from harness.data.task_data import Reading, Texts
from harness.errors import DataError, HarnessError

TEXT = "image"
"""The text option of tasks whose passages are images."""

_ROWS = 16
"""Images of a table that are in memory at once."""


class Image(str):
    """A passage that is an image; as a string ``image:`` and the SHA-256 of its bytes."""

    path: Path
    """The file with the image, or the table with it."""
    row: int | None
    """Its row in the table, from 0; ``None``: the file is the image."""

    def __new__(cls, sha256: str, path: Path, row: int | None = None) -> Image:
        """The image with this digest in a file, or in a row of a table; nothing is read."""
        found = super().__new__(cls, f"{TEXT}:{sha256}")
        found.path, found.row = path, row
        return found

    def __reduce__(self) -> tuple[type[Image], tuple[str, Path, int | None]]:
        return Image, (self.partition(":")[2], self.path, self.row)

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return str(self.path) if self.row is None else f"{self.path}, row {self.row + 1}"

    def read(self) -> bytes:
        """The bytes of the image.

        Raises:
            DataError: it cannot be read, or has changed.
        """
        try:
            if self.row is None:
                raw = self.path.read_bytes()
            else:
                raw = _table(self.path, tuple(stamp(self.path).values())).row(self.row)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from error
        if self != f"{TEXT}:{hashlib.sha256(raw).hexdigest()}":
            raise DataError(f"{self.place}: the image has changed since it was digested; run again")
        return raw

    def open(self) -> Any:
        """The image as Pillow has it, in RGB.

        Raises:
            DataError: as :meth:`read`, or the bytes are no image.
            HarnessError: Pillow is not installed.
        """
        try:
            from PIL import Image as Pillow
        except ImportError as error:
            raise HarnessError(
                "passages that are images need Pillow: pip install 'polyglot-harness[images]'"
            ) from error
        raw = self.read()
        try:
            with Pillow.open(io.BytesIO(raw)) as opened:
                return opened.convert("RGB")
        except MemoryError:
            raise
        except Exception as error:  # of a damaged file, a SyntaxError for one
            raise DataError(f"{self.place}: is no image that Pillow reads: {error}") from error


def are_images(texts: Sequence[str]) -> bool:
    """Whether some of the passages are images."""
    return any(isinstance(x, Image) for x in texts)


def with_images(reading: Reading, files: TaskFiles) -> Reading:
    """``reading`` with the images in place of their names, as the passages' texts have them.

    Raises:
        DataError: a name without an image, or a table or file that cannot be read.
    """
    spec = files.spec
    if spec.text != TEXT:
        return reading
    passages = {}
    for language, side in reading.passages.items():
        name = spec.source.file("images", language)
        place: Mapping[str, Image] | _Folder
        if name.endswith(".parquet"):
            place = _images_of(files.verified(name))
        else:
            place = _Folder(files.folder(name))
        found = []
        for local, image in zip(side.ids, side.texts, strict=True):
            if image not in place:
                raise DataError(
                    f"task {spec.name!r}: passage {local!r} in {language!r} names the image "
                    f"{image!r}, which {name} does not have"
                )
            found.append(place[image])
        passages[language] = Texts(side.ids, tuple(found))
    return reading._replace(passages=passages)


class _Folder:
    """Images as files in a folder, by name."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()

    def _file(self, name: str) -> Path:
        # By name alone: the files may be links to where they are kept.
        return Path(os.path.normpath(self._path / name))

    def __contains__(self, name: str) -> bool:
        path = self._file(name)
        try:
            return path.is_relative_to(self._path) and path.is_file()
        except OSError:  # a name that no file can have
            return False

    def __getitem__(self, name: str) -> Image:
        path = self._file(name)
        found = memoized(path, "digests", lambda x: {"sha256": file_sha256(x)})
        return Image(str(found["sha256"]), path)


def _images_of(path: Path) -> dict[str, Image]:
    """Name -> image of a table."""
    found = _scanned(path)
    images: dict[str, Image] = {}
    for row, (name, digest) in enumerate(zip(found["names"], found["digests"], strict=True)):
        if name in images:
            raise DataError(f"{path}: row {row + 1}: the image {name!r} is there twice")
        images[name] = Image(digest, path, row)
    return images


def _scanned(path: Path) -> Mapping[str, Any]:
    """Names and digests of a table's images; read once for each file."""
    try:
        # Messages name the file, not what a link of the hub's cache points to.
        return memoized(path, "images", lambda _: _scan(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _scan(path: Path) -> dict[str, Any]:
    names: list[str] = []
    digests: list[str] = []
    table = _Table(path, ("file_name", "image"))
    while (found := table.next_row()) is not None:
        name, raw = found
        if not isinstance(name, str) or not name:
            raise DataError(f"{path}: row {len(names) + 1}: file_name must be a name, not {name!r}")
        names.append(name)
        digests.append(hashlib.sha256(raw).hexdigest())
    return {"names": names, "digests": digests}


class _Table:
    """Images of a parquet table, some in memory at a time.

    ``image`` is bytes, or as the ``datasets`` library has it an object with ``bytes``.
    """

    def __init__(self, path: Path, columns: Sequence[str] = ("image",)) -> None:
        self._path, self._columns = path, list(columns)
        self._lock = threading.Lock()
        self._last: tuple[int, bytes] = (-1, b"")
        self._start()

    def _start(self) -> None:
        self._batches: Iterator[Any] | None = None
        self._rows: deque[dict[str, Any]] = deque()
        self._number = 0

    def next_row(self) -> tuple[Any, bytes] | None:
        """``file_name``, if that column is read, and bytes of the next image; ``None``: no more.

        Raises:
            DataError: a damaged table, or one without these columns or bytes.
        """
        import pyarrow
        from pyarrow import parquet

        try:
            if self._batches is None:
                file = parquet.ParquetFile(str(self._path), pre_buffer=False)
                lacking = [x for x in self._columns if x not in file.schema_arrow.names]
                if lacking:
                    raise DataError(f"{self._path}: has no column {lacking[0]!r}")
                self._batches = file.iter_batches(batch_size=_ROWS, columns=self._columns)
            while not self._rows:
                batch = next(self._batches, None)
                if batch is None:
                    return None
                self._rows.extend(batch.to_pylist())
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path}: a text in it is not UTF-8 ({error})") from error
        except (pyarrow.ArrowException, OSError) as error:
            reason = str(error).split("\n")[0]
            raise DataError(f"{self._path}: incomplete parquet file ({reason})") from error
        row = self._rows.popleft()
        self._number += 1
        value = row["image"]
        raw = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(raw, bytes):
            raise DataError(f"{self._path}: row {self._number}: 'image' has no bytes")
        return row.get("file_name"), raw

    def row(self, number: int) -> bytes:
        """The bytes of one image, empty past the end: cheap in the order of the table."""
        with self._lock:
            if number == self._last[0]:
                return self._last[1]
            if number < self._number:
                self._start()
            raw = b""
            while self._number <= number:
                found = self.next_row()
                if found is None:
                    return b""
                raw = found[1]
            self._last = number, raw
            return raw


@lru_cache(maxsize=2)
def _table(path: Path, as_stamped: tuple[int, ...]) -> _Table:
    """The open table of a file, one for each content that it has had: ``as_stamped``."""
    return _Table(path)
