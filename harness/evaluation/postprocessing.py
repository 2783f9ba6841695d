"""Post-processing: reducing language bias without training a model.

    balanced         every language gets an equal share of a multilingual ranking
    offset:FILE      each language's mean vector over parallel text is moved to the mean of all

Post-processing is part of a record's model (name, facts and fingerprint), and a board compares the
row with the plain model. ``offset`` follows the idea of arXiv 2606.18801 (language offsets
estimated from parallel text and removed); its exact procedure is unknown to us, so ours is
described below and its numbers are ours, not theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.reading import read_bytes
from harness.data.documents import decode, json_lines, unpacked
from harness.data.task import Role
from harness.errors import DataError, UsageError, did_you_mean
from harness.evaluation.layout import Prepared
from harness.models.base import DenseModel
from harness.search.exact import normalised
from harness.vectors import encode as encoding
from harness.vectors.store import Store

Vectors = Mapping[tuple[Role, str], NDArray[np.float32]]
"""(role, language) -> (n, d)."""
Encode = Callable[[Role, str, Sequence[str]], NDArray[np.float32]]
"""(role, language, texts) -> (n, d), of length 1 where similarity is cosine."""

NAMES = ("balanced", "offset:FILE")
_FEWEST = 100
"""Minimum number of parallel texts for an offset; fewer would give noise."""


@dataclass(frozen=True)
class PostProcessor:
    """One post-processing step; by default each part changes nothing."""

    name: str
    """Its name within the pipeline's name."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Everything that changes what it does; JSON."""
        return {"name": self.name}

    @property
    def balances(self) -> bool:
        """Whether multilingual rankings are balanced."""
        return False

    def vectors(self, vectors: Vectors, encode: Encode, cosine: bool) -> Vectors:
        """The post-processed vectors of a task.

        ``encode`` gives vectors of other texts; where ``cosine``, all have length 1 and keep it.
        """
        return vectors


@dataclass(frozen=True)
class Balanced(PostProcessor):
    """See :mod:`harness.search.balanced`."""

    name: str = "balanced"

    @property
    def balances(self) -> bool:
        """Always true."""
        return True


@dataclass(frozen=True)
class Offset(PostProcessor):
    """Removes language offsets.

    For each role, the offset of a language is the mean vector of its side of the parallel texts
    minus the mean of these means over languages. It is subtracted from vectors of the language,
    which are then normalised again for cosine. Texts of languages that the file lacks are
    unchanged.
    """

    name: str
    texts: Mapping[str, tuple[str, ...]]
    """Language -> its side of the parallel texts, aligned."""
    digest: str

    @property
    def facts(self) -> Mapping[str, Any]:
        """The file's digest, and which part of it was used."""
        return {
            "name": self.name,
            "parallel_sha256": self.digest,
            "parallel_texts": len(next(iter(self.texts.values()))),
            "parallel_languages": sorted(self.texts),
        }

    def vectors(self, vectors: Vectors, encode: Encode, cosine: bool) -> Vectors:
        """See the class."""
        moved = dict(vectors)
        for role in ("query", "passage"):
            present = [x for r, x in vectors if r == role and x in self.texts]
            means = {
                x: encode(role, x, self.texts[x]).mean(0, dtype=np.float64)
                for x in dict.fromkeys(present)
            }
            if len(means) < 2:
                continue
            center = np.mean(list(means.values()), axis=0)
            for x, mean in means.items():
                shifted = (vectors[role, x] - (mean - center)).astype(np.float32)
                moved[role, x] = normalised(shifted) if cosine else shifted
        return moved


def parse_postprocessors(
    specs: Sequence[str], model: object, tasks: Sequence[Prepared]
) -> list[PostProcessor]:
    """The post-processing steps of a run, in the order they are applied.

    Raises:
        UsageError: as :func:`parse_postprocessor`, or the model or a task does not support it.
        DataError: as :func:`parse_postprocessor`.
    """
    for prepared in tasks if specs else ():
        if not hasattr(model, "encode"):
            raise UsageError(
                "--treatment is for models that return vectors; this one gives scores, or sparse "
                "or "
                "token vectors"
            )
        if prepared.data.corpora:
            raise UsageError(
                f"--treatment does not support {prepared.spec.name}: its corpora are searched "
                "directly in the store; use it for a task that fits in memory"
            )
    if len(set(specs)) < len(specs):
        raise UsageError("--treatment has the same value twice")
    languages = list(dict.fromkeys(x for p in tasks for x in p.data.languages))
    return [parse_postprocessor(x, languages) for x in specs]


def postprocess(
    treatments: Sequence[PostProcessor], vectors: Vectors, model: DenseModel, store: Store | None
) -> Vectors:
    """A task's vectors, post-processed; texts encoded for this go through the store."""
    cosine = model.similarity == "cosine"

    def encode(role: Role, language: str, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = encoding.EncodingCounts()
        made = encoding.encode(model, role, language, texts, store=store, counts=counts)
        return normalised(made) if cosine else made

    for treatment in treatments:
        vectors = treatment.vectors(vectors, encode, cosine)
    return vectors


def parse_postprocessor(spec: str, languages: Sequence[str]) -> PostProcessor:
    """The step named by ``--treatment SPEC``, for a task's ``languages``.

    Raises:
        UsageError: no such step, or its file is missing in SPEC.
        DataError: the file cannot be read, or has too few texts.
    """
    kind, _, rest = spec.partition(":")
    if spec == "balanced":
        return Balanced()
    if kind == "offset" and rest:
        return _offset(Path(rest).expanduser(), languages)
    known = [x.partition(":")[0] for x in NAMES]
    if kind in known:
        raise UsageError(f"--treatment {spec}: write {' or '.join(NAMES)}")
    hint = did_you_mean(kind, known)
    raise UsageError(f"--treatment {spec!r} is not known; known are {', '.join(NAMES)}{hint}")


def _offset(path: Path, languages: Sequence[str]) -> Offset:
    """Read parallel texts: JSON lines with a text per language code; other keys are ignored."""
    raw = read_bytes(path, DataError)
    sides: dict[str, list[str]] = {x: [] for x in languages}
    for number, row in json_lines(decode(path, unpacked(path, raw))):
        texts = {x: row[x] for x in languages if x in row}
        if number == 1:
            sides = {x: [] for x in texts}
        if set(texts) != set(sides):
            odd = sorted(set(texts) ^ set(sides))[0]
            raise DataError(
                f"{path}: line {number}: its languages differ from line 1's by {odd!r}; parallel "
                "texts have all of them on every line"
            )
        for x, text in texts.items():
            if not isinstance(text, str) or not text.strip():
                raise DataError(
                    f"{path}: line {number}: the text in {x!r} is empty or not a string"
                )
            sides[x].append(text)
    if len(sides) < 2:
        raise DataError(
            f"{path}: has {' and '.join(sides) or 'none'} of the task's languages; an offset "
            "needs at least two"
        )
    count = len(next(iter(sides.values())))
    if count < _FEWEST:
        raise DataError(f"{path}: has {count} parallel texts; offsets need {_FEWEST} or more")
    return Offset(
        name="offset",
        texts={x: tuple(v) for x, v in sides.items()},
        digest=hashlib.sha256(raw).hexdigest(),
    )
