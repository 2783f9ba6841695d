"""TREC runs of several systems fused into one run, query by query.

    rrf@k     the sum of 1 / (k + rank) over the runs that have the passage
    minmax    the weighted sum of scores on a scale from the lowest to the highest that a run has
              for the query; a passage that it lacks counts as its lowest
    z         the same of scores in standard deviations from their mean

Definitions are those of :mod:`harness.search.fusion` over the passages that a run has: equal scores
have equal ranks, scores are compared as float32. Sums of reciprocal ranks that float64 might order
wrongly are compared as fractions, so that the order is exact for any number of runs. Equal fused
scores go by passage id descending, trec_eval's rule, and written scores keep the order when they
are read back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.trec import Ranking, Run, read_run, run_files_in, tie_order, write_run
from harness.errors import UsageError
from harness.models.fused import Fusion, read_fusion
from harness.search.fusion import normalised_scores, ranks_of
from harness.search.tiles import in_order


def fuse_runs(
    runs: Sequence[str | Path],
    output: str | Path,
    *,
    fusion: str | None = None,
    depth: int = 1000,
) -> list[Path]:
    """Fuse run files into the file ``output``, or folders of them into the folder ``output``.

    Of folders, files of the same name are fused, and the qrels beside them are copied, so that
    ``harness score`` takes the new folder as it takes the ones of ``harness run --trec``.

    Args:
        runs: two or more, all files or all folders.
        output: replaced if it exists.
        fusion: as ``--fusion``; default ``rrf@60``.
        depth: passages per query at most.

    Returns:
        The files that were written.

    Raises:
        UsageError: fewer than two runs, files and folders, folders with other names or written
            over, runs without a query in common, or weights that do not fit or are to be tuned.
        RunFileError: a run cannot be read or is malformed.
    """
    paths = [Path(x) for x in runs]
    how = read_fusion(fusion, len(paths))
    if len(paths) < 2:
        raise UsageError("fuse two runs or more")
    if how.tuned:
        raise UsageError(
            f"--fusion {fusion}: runs are fused without judgements; `harness run --model fuse:A+B` "
            "tunes weights, on other questions than it scores"
        )
    folders = [x.is_dir() for x in paths]
    if any(folders) and not all(folders):
        raise UsageError("fuse run files, or folders of them, not both")
    target = Path(output)
    if not any(folders):
        write_run(target, fused(_read(paths), how, depth), tag=str(how))
        return [target]
    names = [[x.name for x in run_files_in(folder)] for folder in paths]
    for folder, found in zip(paths, names, strict=True):
        if found != names[0] or not found:
            odd = sorted(set(found) ^ set(names[0]))
            raise UsageError(
                f"{paths[0]} and {folder} must have run files of the same names; "
                + (f"one lacks {odd[0]}" if odd else "they have none that ends in .run")
            )
    if any(target.resolve() == folder.resolve() for folder in paths):
        raise UsageError(
            f"-o {target} is one of the folders that are fused: stopped half-way it would hold "
            "runs of both kinds; name another"
        )
    target.mkdir(parents=True, exist_ok=True)
    for name in names[0]:
        each = _read([folder / name for folder in paths])
        write_run(target / name, fused(each, how, depth), tag=str(how))
        qrels = (paths[0] / name).with_suffix(".qrels")
        if qrels.exists():
            shutil.copyfile(qrels, target / qrels.name)
    return [target / name for name in names[0]]


def _read(files: Sequence[Path]) -> list[Run]:
    """The runs in ``files``; each has a query in common with another one."""
    runs: list[Run] = [read_run(x) for x in files]
    for file, run in zip(files, runs, strict=True):
        others = {query for other in runs if other is not run for query in other}
        if not others & run.keys():
            raise UsageError(
                f"{file} has no query in common with the other runs: its ids are such as "
                f"{next(iter(run))!r}, theirs such as {min(others)!r}"
            )
    return runs


def fused(runs: Sequence[Run], fusion: Fusion, depth: int) -> Iterator[Ranking]:
    """The fused ranking of every query that some run has, in the order of their ids."""
    for query in sorted({q for run in runs for q in run}):
        found = [run.get(query, {}) for run in runs]
        names = list(dict.fromkeys(x for scores in found for x in scores))
        names = [names[i] for i in tie_order(names)]
        column = {x: i for i, x in enumerate(names)}
        sides = [(np.array([column[x] for x in s], np.int64), _float32(s)) for s in found if s]
        weights = [w for w, s in zip(fusion.weights_of(len(runs)), found, strict=True) if s]
        if fusion.method != "rrf" and not all(np.isfinite(own).all() for _, own in sides):
            raise UsageError(
                f"--fusion {fusion}: query {query!r} has a score beyond 3.4e38, where float32 "
                "ends, and with it trec_eval's scores: fuse ranks, with rrf"
            )
        if fusion.method == "rrf":
            order, scores = _reciprocal(sides, fusion.k, len(names))
        else:
            total = np.zeros(len(names))
            for weight, (columns, own) in zip(weights, sides, strict=True):
                scaled = normalised_scores(own[None], fusion.method)[0]
                part = np.full(len(names), scaled.min())
                part[columns] = scaled
                total += weight * part
            order = np.argsort(-total, kind="stable")
            scores = total[order]
        best = order[:depth].astype(np.int32)
        yield Ranking(
            query, [names[i] for i in best], in_order(scores[None, :depth], best[None])[0]
        )


def _float32(scores: Mapping[str, float]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # as infinite, which has a rank, for trec_eval too
        return np.fromiter(scores.values(), np.float32, len(scores))


def _reciprocal(
    sides: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]], k: int, passages: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Columns of one query, best first, and their scores; see the module."""
    ranks = np.zeros((len(sides), passages), np.int64)
    for own, (columns, scores) in zip(ranks, sides, strict=True):
        own[columns] = ranks_of(-scores[None])[0]
    terms = np.where(ranks > 0, 1.0 / (k + np.maximum(ranks, 1)), 0.0)
    total = terms.sum(axis=0)
    order = np.argsort(-total, kind="stable")
    ordered = total[order]
    # Far more than the rounding of a few terms and their sum.
    near = ordered[:-1] - ordered[1:] <= 1e-12 * ordered[:-1]
    start = 0
    for end in (*np.flatnonzero(~near).tolist(), passages - 1):
        if end > start:
            group = order[start : end + 1]
            exact = {
                i: sum((Fraction(1, k + r) for r in ranks[:, i].tolist() if r), Fraction(0))
                for i in group.tolist()
            }
            best = sorted(exact, key=lambda i: (-exact[i], i))
            order[start : end + 1] = best
            ordered[start : end + 1] = [float(exact[i]) for i in best]
        start = end + 1
    return order, ordered
