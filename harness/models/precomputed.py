"""Vectors computed elsewhere: ``--model embeddings:FOLDER``.

A folder has, for each role and language, an array and the keys of its rows::

    manifest.json            name, similarity, dimensions, and the files below by role and language
    queries.de.npy           float array of shape (rows, dimensions)
    queries.de.keys          one line per row: text_key() of the text the row belongs to
    passages.de.npy, passages.de.keys

A vector is found by its text's key, never by its position: a row that belongs to another text, or
a task whose texts have changed, is an error instead of a wrong score. :func:`write_embeddings`
writes such a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.base.files import write_atomically
from harness.base.reading import read_object
from harness.base.strict import Check, Text, WrongKeyError, read_as
from harness.data.task import Role
from harness.errors import ModelError, did_you_mean, first_line
from harness.models.base import ModelOptions, Similarity
from harness.models.fingerprint import digest_file, fingerprint
from harness.models.wrapped import refuse_codes

MANIFEST = "manifest.json"
_FORMAT = 1
_STEM: dict[Role, str] = {"query": "queries", "passage": "passages"}


def text_key(text: str) -> str:
    """The first 16 hex digits of the SHA-256 of the text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def write_embeddings(
    folder: str | os.PathLike[str],
    name: str,
    vectors: Mapping[tuple[Role, str], tuple[Sequence[str], ArrayLike]],
    *,
    similarity: Similarity = "cosine",
) -> Path:
    """Write vectors so that ``--model embeddings:FOLDER`` scores them.

    Args:
        folder: where to write; created, or replaced if it already contains embeddings.
        name: the model's name as boards show it.
        vectors: for each (role, language), such as ``("query", "de")``, the texts and a float
            array of shape (number of texts, width) with one row per text in the same order.
        similarity: how to compare the vectors, ``"cosine"`` or ``"dot"``.

    Returns:
        The folder. Its manifest is written last: a folder without one is incomplete.

    Raises:
        ModelError: shapes or widths do not match, a role, language or similarity is unknown, or
            the vectors are packed bits or other codes of eight bits.
    """
    target = Path(folder)
    place = target.resolve()  # a link stays one
    if similarity not in get_args(Similarity):
        raise ModelError(f"similarity must be 'cosine' or 'dot', not {similarity!r}")
    if not vectors:
        raise ModelError("there are no vectors to write")
    if target.exists() and not target.is_dir():
        raise ModelError(f"{target}: is a file; give an empty or a new folder")
    if target.exists() and not (target / MANIFEST).is_file() and any(target.iterdir()):
        raise ModelError(f"{target}: contains other files; give an empty or a new folder")
    checked: dict[tuple[Role, str], tuple[Sequence[str], NDArray[Any]]] = {}
    for (role, language), (texts, rows) in vectors.items():
        if role not in _STEM:
            raise ModelError(f"{role!r} is not a role; use 'query' or 'passage'")
        if not language or not language.replace("-", "").replace("_", "").isalnum():
            raise ModelError(f"{language!r} is not a language code")
        array = np.asarray(rows)
        refuse_codes(array.dtype, f"{role} vectors of {language}")
        if array.dtype not in (np.float16, np.float32):
            array = array.astype(np.float32)
        if array.ndim != 2 or len(array) != len(texts):
            raise ModelError(
                f"{role} vectors of {language}: {len(texts)} texts need an array of shape "
                f"({len(texts)}, width), not {array.shape}"
            )
        checked[role, language] = (texts, np.ascontiguousarray(array))
    widths = {array.shape[1] for _, array in checked.values()}
    if len(widths) > 1:
        raise ModelError(f"all vectors of a model have one width, not {sorted(widths)}")

    if target.exists():
        (target / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(place)
    place.mkdir(parents=True)
    roles: dict[str, dict[str, Any]] = {}
    for (role, language), (texts, array) in checked.items():
        file, keys = f"{_STEM[role]}.{language}.npy", f"{_STEM[role]}.{language}.keys"
        np.save(target / file, array)
        (target / keys).write_text("".join(f"{text_key(x)}\n" for x in texts), "ascii")
        roles.setdefault(role, {})[language] = {"file": file, "keys": keys, "rows": len(texts)}
    manifest = {
        "format": _FORMAT,
        "name": name,
        "similarity": similarity,
        "dimensions": widths.pop(),
        "roles": roles,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    write_atomically(target / MANIFEST, (text + "\n").encode())
    return target


class _OpenFile(NamedTuple):
    array: NDArray[Any]
    rows: dict[str, int]


class PrecomputedEncoder:
    """Looks vectors up by text in a folder that :func:`write_embeddings` wrote."""

    parameters: int | None = None
    languages: frozenset[str] | None = None
    modalities = ("text", "image")
    """An image is looked up by its digest, as :class:`harness.data.images.Image` spells it."""

    def __init__(self, folder: Path, options: ModelOptions) -> None:
        """Read the manifest; arrays are opened on first use.

        Raises:
            ModelError: the folder or its manifest is missing or malformed, or an option would
                change how the vectors are computed.
        """
        self._folder = folder
        for flag, value in (
            ("--query-prompt", options.query_prompt),
            ("--passage-prompt", options.passage_prompt),
            ("--max-length", options.max_length),
        ):
            if value is not None:
                raise ModelError(
                    f"{flag} does not apply to embeddings:{folder}: its vectors are already "
                    "computed"
                )
        manifest = _read_manifest(folder)
        self._parts: dict[tuple[str, str], _VectorFiles] = {}
        files: dict[str, str] = {}
        for role, by_language in manifest.roles.items():
            for language, part in by_language.items():
                self._parts[role, language] = part
                for file in (part.file, part.keys):
                    if not (folder / file).is_file():
                        raise ModelError(f"{folder / file}: missing, though {MANIFEST} names it")
                    files[file] = digest_file(folder / file)
        self._open: dict[tuple[str, str], _OpenFile] = {}
        self.name: str = manifest.name
        self.similarity: Similarity = manifest.similarity
        self.dimensions: int = manifest.dimensions
        self.prompts: Mapping[Role, str] = {"query": "", "passage": ""}
        self.facts: Mapping[str, Any] = {
            "adapter": "embeddings",
            "name": self.name,
            "similarity": self.similarity,
            "dimensions": self.dimensions,
            "files": files,
            "parts": {
                f"{role}/{language}": asdict(p) for (role, language), p in self._parts.items()
            },
        }
        self.fingerprint: str | None = fingerprint(self.facts)

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """The vectors of ``texts``, shape (number of texts, ``dimensions``).

        Raises:
            ModelError: the folder has no vectors for this role and language, or not for every text.
        """
        part = self._part(role, language)
        at = [part.rows.get(text_key(text), -1) for text in texts]
        if -1 in at:
            first = texts[at.index(-1)]
            shown = first if len(first) <= 80 else first[:77] + "..."
            raise ModelError(
                f"embeddings:{self._folder}: {at.count(-1)} of {len(texts)} {role} texts of "
                f"{language} have no vector, the first is {shown!r}; "
                "compute vectors for exactly the texts of the task"
            )
        return np.ascontiguousarray(part.array[at], dtype=np.float32)

    def _part(self, role: str, language: str) -> _OpenFile:
        key = (role, language)
        if key in self._open:
            return self._open[key]
        if key not in self._parts:
            known = sorted(x for r, x in self._parts if r == role)
            raise ModelError(
                f"embeddings:{self._folder}: no {role} vectors for language {language!r}"
                f"{did_you_mean(language, known)} (it has {', '.join(known) or 'none'})"
            )
        entry = self._parts[key]
        path = self._folder / entry.file
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:
            # numpy parses a header as Python, so a damaged one may raise tokenize.TokenError,
            # SyntaxError, MemoryError and others.
            raise ModelError(f"{path}: not a readable .npy array ({first_line(error)})") from error
        if array.shape != (entry.rows, self.dimensions) or array.dtype.kind != "f":
            raise ModelError(
                f"{path}: {MANIFEST} promises floats of shape "
                f"({entry.rows}, {self.dimensions}), the file has {array.dtype} "
                f"of shape {array.shape}"
            )
        keys = (self._folder / entry.keys).read_text("ascii", errors="replace").split()
        if len(keys) != entry.rows:
            raise ModelError(f"{self._folder / entry.keys}: {len(keys)} keys for {entry.rows} rows")
        rows: dict[str, int] = {}
        for row, text in enumerate(keys):
            rows.setdefault(text, row)  # equal texts: the first row is used
        self._open[key] = _OpenFile(array, rows)
        return self._open[key]


def _own_file(name: str) -> str:
    if Path(name).name != name:
        raise ValueError(f"must be a file in the folder itself, not {name!r}")
    return name


@dataclass(frozen=True)
class _VectorFiles:
    file: Annotated[Text, Check(_own_file)]
    keys: Annotated[Text, Check(_own_file)]
    rows: int


@dataclass(frozen=True)
class _Manifest:
    format: int
    name: str
    similarity: Similarity
    dimensions: int
    roles: Mapping[Role, Mapping[str, _VectorFiles]]

    def __post_init__(self) -> None:
        if self.format != _FORMAT:
            raise WrongKeyError("format", f"is {self.format}; this version reads {_FORMAT}")


def _read_manifest(folder: Path) -> _Manifest:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ModelError(f"embeddings:{folder}: no such folder")
    if not path.exists():
        raise ModelError(f"{path}: missing; harness.models.write_embeddings writes such a folder")
    return read_as(_Manifest, read_object(path, ModelError), path, ModelError)
