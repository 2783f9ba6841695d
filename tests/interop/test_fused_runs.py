"""Fused TREC runs: by hand, by fractions, and as `harness run` fuses whole rankings."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tiny
from click.testing import CliRunner

import harness
from harness.cli import main
from harness.data.trec import read_run
from harness.errors import UsageError
from harness.interop.fused_runs import fuse_runs

A = "q1 Q0 d1 1 9 a\nq1 Q0 d2 2 8 a\nq1 Q0 d3 3 8 a\nq2 Q0 d1 1 1 a\n"
B = "q1 Q0 d3 1 0.5 b\nq1 Q0 d4 2 0.25 b\n"


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    for name, text in (("a.run", A), ("b.run", B)):
        (tmp_path / name).write_text(text)
    return [tmp_path / "a.run", tmp_path / "b.run"]


def ranking(path: Path, query: str = "q1") -> list[tuple[str, float]]:
    """Passages and scores, in the order of the file."""
    lines = [x.split() for x in path.read_text().splitlines()]
    return [(x[2], float(x[4])) for x in lines if x[0] == query]


def test_reciprocal_ranks_by_hand(two: list[Path], tmp_path: Path) -> None:
    """d2 and d3 share rank 2 in a; d4 and d2 tie at 1/62, and the higher id is first."""
    out = tmp_path / "out.run"
    assert fuse_runs(two, out) == [out]
    found = ranking(out)
    assert [x for x, _ in found] == ["d3", "d1", "d4", "d2"]
    assert [y for _, y in found] == pytest.approx([1 / 61 + 1 / 62, 1 / 61, 1 / 62, 1 / 62])
    assert ranking(out, "q2") == [("d1", pytest.approx(1 / 61))]


def test_scores_by_hand(two: list[Path], tmp_path: Path) -> None:
    """Minmax of a: 1, 0, 0, of b: 1, 0; what a run lacks is 0."""
    out = tmp_path / "out.run"
    fuse_runs(two, out, fusion="minmax@0.75,0.25", depth=3)
    assert ranking(out) == [("d1", 0.75), ("d3", 0.25), ("d4", 0.0)]
    fuse_runs(two, out, fusion="z")
    scaled = dict(ranking(out))
    assert scaled["d1"] == pytest.approx(2**0.5 - 1)  # (9 - 25/3) / std = 2 ** .5; b's lowest is -1
    assert scaled["d3"] == pytest.approx(1 - 2**-0.5)


def test_the_order_is_that_of_fractions_for_any_number_of_runs(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    ranks = np.stack([rng.permutation(80) + 1 for _ in range(5)])
    for i, own in enumerate(ranks):
        text = "".join(f"q Q0 d{n:02d} 0 {-r} x\n" for n, r in enumerate(own))
        (tmp_path / f"{i}.run").write_text(text)
    fuse_runs(sorted(tmp_path.glob("*.run")), tmp_path / "out.txt", fusion="rrf@1")
    exact = {f"d{n:02d}": sum(Fraction(1, 1 + int(r)) for r in ranks[:, n]) for n in range(80)}
    expected = sorted(sorted(exact, reverse=True), key=lambda x: -exact[x])
    assert [x for x, _ in ranking(tmp_path / "out.txt", "q")] == expected
    # What is read back is in the same order.
    again = read_run(tmp_path / "out.txt")["q"]
    assert sorted(sorted(again, reverse=True), key=lambda x: -again[x]) == expected


def test_whole_runs_of_two_systems_are_what_one_run_of_both_gives(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path / "task"))
    names = {"one": "python:tiny:factory", "two": "bm25", "both": "fuse:python:tiny:factory+bm25"}
    for name, model in names.items():
        harness.evaluate(
            model, [task], store=False, resamples=0, trec=tmp_path / name, trec_depth=0
        )
    folders = [str(tmp_path / x / "tiny") for x in ("one", "two")]
    result = CliRunner().invoke(main, ["fuse", *folders, "-o", str(tmp_path / "fused")])
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "fused").glob("*.run"))
    assert len(files) == 12 == len(result.output.splitlines())
    for file in files:
        one, other = (
            [x.split()[:4] for x in (tmp_path / folder / file.name).read_text().splitlines()]
            for folder in ("fused", "both/tiny")
        )
        assert one == other, file.name
    scored = CliRunner().invoke(main, ["score", str(tmp_path / "fused")])
    assert scored.exit_code == 0, scored.output


def test_a_folder_of_runs_is_not_fused_into_itself(two: list[Path], tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, run in zip(folders, two, strict=True):
        folder.mkdir()
        run.rename(folder / "mono.de.run")
        (folder / "mono.de.qrels").write_text("q1 0 d1 1\n")
    for folder in folders:
        with pytest.raises(UsageError, match="is one of the folders that are fused"):
            fuse_runs(folders, folder)
    assert (folders[0] / "mono.de.run").read_text() == A


@pytest.mark.parametrize(
    ("fusion", "said"),
    [("z@tuned", "without judgements"), ("z@1", "1 weights for 2"), ("mean", "not known")],
)
def test_what_makes_no_sense_is_refused(
    fusion: str, said: str, two: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        fuse_runs(two, tmp_path / "out.run", fusion=fusion)
    with pytest.raises(UsageError, match="not both"):
        fuse_runs([two[0], tmp_path], tmp_path / "out.run")
    with pytest.raises(UsageError, match="two runs or more"):
        fuse_runs(two[:1], tmp_path / "out.run")


def test_scores_beyond_float32_have_a_rank_and_no_scale(tmp_path: Path) -> None:
    """Infinite for trec_eval, above all others; their distances are not numbers."""
    first = {"q": {"a": 1.0, "b": 2e39, "c": -1e39}}
    second = {"q": {"a": 1.0, "b": 2.0, "c": 3.0}}
    for name, run in (("one", first), ("two", second)):
        lines = [f"{q} Q0 {d} 0 {s} t\n" for q, of in run.items() for d, s in of.items()]
        (tmp_path / name).write_text("".join(lines))
    (path,) = fuse_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "fused")
    expected = {"a": 1 / 62 + 1 / 63, "b": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61}
    assert read_run(path)["q"] == pytest.approx(expected, rel=1e-6)
    for method in ("minmax", "z"):
        with pytest.raises(UsageError, match=f"--fusion {method}: query 'q' has a score beyond"):
            fuse_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "out", fusion=method)


def test_runs_without_a_query_in_common_are_refused(two: list[Path], tmp_path: Path) -> None:
    """Ids with a language and without, say: each query would have the ranking of one system."""
    third = tmp_path / "c.run"
    third.write_text("en:q1 Q0 d1 1 9 c\n")
    with pytest.raises(UsageError, match=r"c\.run has no query in common .*'en:q1', theirs .*'q1'"):
        fuse_runs([*two, third], tmp_path / "out.run")
    assert not (tmp_path / "out.run").exists()
