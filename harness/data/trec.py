"""The one total order, relevance judgements, and TREC run and qrels files.

The order is trec_eval's and is used everywhere in the harness: score descending, compared as
float32 (trec_eval keeps scores as C floats), ties by passage id descending in the order of UTF-8
bytes. Python compares strings by code point, which is the same order.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.base.files import open_atomically
from harness.errors import RunFileError

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""Query id -> {passage id: grade}; only grades above 0 mean relevant."""

Run: TypeAlias = Mapping[str, Mapping[str, float]]
"""Query id -> {passage id: score}; the inner order carries no meaning."""

RUN_COLUMNS = "query Q0 passage rank score tag"
QRELS_COLUMNS = "query 0 passage grade"
_GRADE = re.compile(rb"[+-]?[0-9]{1,9}")
_QRELS_HEADERS = (
    (b"query-id", b"corpus-id", b"score"),
    (b"query-id", b"passage-id", b"score"),
)

# What trec_eval takes as a separator: isspace() in the C locale. Ids may contain anything else.
_SPACE = re.compile(r"[ \t\n\v\f\r]")


class Ranking(NamedTuple):
    """One query's passages and scores for :func:`write_run`, in any order."""

    query: str
    passages: Sequence[str]
    """Passage ids, each at most once."""
    scores: ArrayLike
    """Float scores, shape ``(len(passages),)``; compared and written as float32."""


def run_files_in(folder: Path) -> list[Path]:
    """The ``*.run`` files of a folder, by name; hidden ones, as macOS makes them, are none."""
    return sorted(x for x in folder.glob("*.run") if not x.name.startswith("."))


def tie_order(ids: Sequence[str]) -> NDArray[np.intp]:
    """Return the permutation that puts ``ids`` in descending order of their UTF-8 bytes.

    Args:
        ids: distinct ids, length n.

    Returns:
        Shape ``(n,)``: ``ids[tie_order(ids)[0]]`` is the id that wins every tie.
    """
    return np.array(sorted(range(len(ids)), key=ids.__getitem__, reverse=True), dtype=np.intp)


def rank_order(ids: Sequence[str], scores: ArrayLike) -> NDArray[np.intp]:
    """Return the permutation that puts one query's passages in the total order, best first.

    Args:
        ids: distinct passage ids, length n.
        scores: finite scores, shape ``(n,)``; compared as float32.

    Returns:
        Shape ``(n,)``: ``ids[rank_order(ids, scores)[0]]`` is the passage at rank 1.
    """
    by_id = tie_order(ids)
    as_float32 = np.asarray(scores, dtype=np.float32)
    return by_id[np.argsort(-as_float32[by_id], kind="stable")]


def read_run(path: str | Path) -> dict[str, dict[str, float]]:
    """Read a run file, plain or gzip, strictly: TREC's or MS MARCO's.

    Of TREC's six columns (``query Q0 passage rank score tag``) the rank is ignored, as by
    trec_eval: the order follows from the scores alone. MS MARCO's three (``query passage rank``)
    have no scores; the ranks of each query must be 1, 2, 3, ... in this order, so that scores are
    not mistaken for ranks, and a passage's score is its negative rank. Blank lines are skipped.

    Raises:
        RunFileError: the file is missing, empty, not UTF-8 or damaged, contains a zero byte, a line
            has another number of columns, a score is not a finite number, ranks are out of order,
            or a query lists a passage twice.
    """
    names = _Names()
    run: dict[str, dict[str, float]] = {}
    for number, fields in _rows(path, (6, 3), RUN_COLUMNS):
        if len(fields) == 3:
            query, passage, raw = fields
            due = 1 + len(run.get(names[query], ()))
            if raw != b"%d" % due:
                raise RunFileError(
                    f"{path}, line {number}: of three columns the third must be the rank, which is "
                    f"{due} for the next passage of query {_show(query)}, not {_show(raw)}; scores "
                    f"need TREC's six columns ({RUN_COLUMNS})"
                )
            raw = b"-" + raw
        else:
            query, _, passage, _, raw, _ = fields
        try:
            score = float(raw)
        except ValueError:
            score = math.nan
        if not math.isfinite(score) or b"_" in raw:
            raise RunFileError(
                f"{path}, line {number}: the score must be a finite number, not {_show(raw)}"
            )
        scores = run.setdefault(names[query], {})
        before = len(scores)
        scores[names[passage]] = score
        if len(scores) == before:
            raise RunFileError(
                f"{path}, line {number}: passage {_show(passage)} is listed twice for query "
                f"{_show(query)}; a run ranks each passage once"
            )
    if not run:
        raise RunFileError(f"{path} is empty; expected lines of '{RUN_COLUMNS}'")
    return run


def read_qrels(path: str | Path) -> dict[str, dict[str, int]]:
    """Read relevance judgements, plain or gzip, strictly: TREC's or BEIR's.

    TREC's have four columns (``query 0 passage grade``). BEIR's have three, ``query passage
    grade``, usually below a header (``query-id corpus-id score``).

    Grades of 0 and below are kept; they mean judged as not relevant.

    Raises:
        RunFileError: as :func:`read_run`, with grades that must be whole numbers.
    """
    names = _Names()
    qrels: dict[str, dict[str, int]] = {}
    for number, fields in _rows(path, (4, 3), QRELS_COLUMNS):
        query, passage, raw = fields[0], fields[-2], fields[-1]
        if number == 1 and tuple(fields) in _QRELS_HEADERS:
            continue
        if _GRADE.fullmatch(raw) is None:
            raise RunFileError(
                f"{path}, line {number}: the grade must be a whole number, not {_show(raw)}"
            )
        grades = qrels.setdefault(names[query], {})
        before = len(grades)
        grades[names[passage]] = int(raw)
        if len(grades) == before:
            raise RunFileError(
                f"{path}, line {number}: passage {_show(passage)} is judged twice for query "
                f"{_show(query)}; keep one line"
            )
    if not qrels:
        raise RunFileError(f"{path} is empty; expected lines of '{QRELS_COLUMNS}'")
    return qrels


def write_run(path: str | Path, rankings: Iterable[Ranking], *, tag: str = "harness") -> None:
    """Write a TREC run file atomically: passages of each query in the total order, ranks from 1.

    Scores are float32 with nine significant digits, which reads back as the same float32. A
    ``path`` ending in ``.gz`` is compressed, always to the same bytes.

    Raises:
        RunFileError: an id or the tag is empty or contains whitespace, an id is listed twice, a
            score is not finite, or the numbers of passages and scores differ.
        StoreError: the disk is full or the folder cannot be written.
    """
    _check_ids([tag], "tag", path)
    written: set[str] = set()
    with open_atomically(Path(path), packed=Path(path).suffix == ".gz") as out:
        for query, passages, raw_scores in rankings:
            scores = np.asarray(raw_scores, dtype=np.float32)
            _check_ids([query], "query id", path)
            _check_ids(passages, f"passage id of query {query!r}", path)
            if scores.shape != (len(passages),):
                raise RunFileError(
                    f"{path}: query {query!r} has {len(passages)} passages but scores of shape "
                    f"{scores.shape}"
                )
            if not np.isfinite(scores).all():
                raise RunFileError(f"{path}: query {query!r} has a score that is not finite")
            if query in written:
                raise RunFileError(f"{path}: query {query!r} is written twice")
            written.add(query)
            order = rank_order(passages, scores)
            values = scores[order].tolist()
            lines = (
                f"{query} Q0 {passages[i]} {rank} {value:.9g} {tag}\n"
                for rank, (i, value) in enumerate(zip(order.tolist(), values, strict=True), 1)
            )
            out.write("".join(lines).encode())


def write_qrels(path: str | Path, qrels: Qrels) -> None:
    """Write a TREC qrels file atomically, in the order given; ``.gz`` compresses.

    Raises:
        RunFileError: an id is empty or contains whitespace.
        StoreError: the disk is full or the folder cannot be written.
    """
    with open_atomically(Path(path), packed=Path(path).suffix == ".gz") as out:
        for query, grades in qrels.items():
            _check_ids([query], "query id", path)
            _check_ids(list(grades), f"passage id of query {query!r}", path)
            lines = (f"{query} 0 {name} {grade:d}\n" for name, grade in grades.items())
            out.write("".join(lines).encode())


class _Names(dict[bytes, str]):
    """Decodes each distinct id once: a run repeats the same passages."""

    def __missing__(self, raw: bytes) -> str:
        name = self[raw] = raw.decode("utf-8")
        return name


def _rows(
    path: str | Path, columns: tuple[int, ...], layout: str
) -> Iterator[tuple[int, list[bytes]]]:
    """Yield line number (from 1) and fields of each line that is not blank.

    The first line decides which number of ``columns`` all have; ``layout`` names the first form.
    """
    expected: int | None = None
    # Bytes, not text: str.split() and str.splitlines() also break at no-break spaces, U+2028 and
    # others that trec_eval takes as part of an id.
    for number, line in enumerate(_content(path).split(b"\n"), 1):
        fields = line.split()
        if not fields:
            continue
        if expected is None:
            expected = len(fields) if len(fields) in columns else columns[0]
        if len(fields) != expected:
            form = f" ({layout})" if expected == columns[0] else ", as in the first line"
            raise RunFileError(
                f"{path}, line {number}: expected {expected} columns{form}, "
                f"found {len(fields)}: {_show(line)}"
            )
        yield number, fields


def _content(path: str | Path) -> bytes:
    """The file's bytes, unpacked if gzip, checked to be UTF-8 without zero bytes, without a BOM.

    At a zero byte ids would end for trec_eval: two of them could become one.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RunFileError(f"{path} cannot be read: {error.strerror}") from error
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise RunFileError(f"{path} is an incomplete gzip file: {error}") from error
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise RunFileError(f"{path}, line {number}: not UTF-8 ({error.reason})") from error
    if (at := content.find(b"\0")) >= 0:
        number = content.count(b"\n", 0, at) + 1
        raise RunFileError(
            f"{path}, line {number}: contains a zero byte, which no id has; if the file is "
            "UTF-16, save it as UTF-8"
        )
    return content.removeprefix(b"\xef\xbb\xbf")


def _show(raw: bytes) -> str:
    """``raw`` for a message, shortened if long."""
    text = raw.decode("utf-8").strip()
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _check_ids(ids: Sequence[str], what: str, path: str | Path) -> None:
    """Refuse what a TREC file cannot represent, before it corrupts a column."""
    if "" in ids or _SPACE.search("".join(ids)):
        culprit = next(x for x in ids if not x or _SPACE.search(x))
        raise RunFileError(
            f"{path}: {what} {culprit!r} is empty or contains whitespace, which TREC files cannot "
            "hold"
        )
    if len(set(ids)) != len(ids):
        culprit = next(x for x in ids if list(ids).count(x) > 1)
        raise RunFileError(f"{path}: {what} {culprit!r} is listed twice")
