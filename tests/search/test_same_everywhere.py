"""One table from the same vectors, whatever processor, path, memory or threads compute it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness

# Made by this recipe on an AMD EPYC (Zen 4) with torch 2.13.0; every machine has to give the same.
GOLDEN = "30f128273c934321a716e2db1b0cd7a9ada2b842eb31e35cb05644b9b617f20a"


class FromDigests:
    """Vectors from SHAKE-256 of the text: whole numbers, then of length 1 as for any cosine.

    A text's words count too, so that a question and its passage have something in common. All
    vectors have much in common: scores lie so close together that float32 cannot tell many apart.
    """

    name = "from-digests"
    similarity = "cosine"

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        """(n, 96) float32, all of them integers below 2**24."""
        return np.stack([self._vector(text) for text in texts]).astype(np.float32)

    def _vector(self, text: str) -> np.ndarray:
        parts = [text, *text.lower().split()]
        drawn = [hashlib.shake_256(p.encode()).digest(192) for p in parts]
        return 4_000_000 + np.sum([np.frombuffer(d, "<i2").astype(np.int64) for d in drawn], axis=0)


def digest(table: Any) -> str:
    """SHA-256 of a per-query table: names, then values as they are."""
    out = hashlib.sha256()
    for name in table.columns:
        column = table[name]
        out.update(f"{name}\n".encode())
        if column.dtype == float:
            out.update(np.ascontiguousarray(column.to_numpy(), "<f8").tobytes())
        else:
            out.update("\n".join(map(str, column)).encode())
    return out.hexdigest()


def table_digest(data: Path, **how: Any) -> str:
    """Of XQuAD-R in English and German, every setting and measure."""
    record = harness.evaluate(
        FromDigests(),
        tasks=["xquad-r"],
        languages=("de", "en"),
        data_dir=data,
        resamples=0,
        **how,
    )
    return digest(record.per_query("xquad-r"))


def test_the_golden_table(real_data: Path) -> None:
    """The search in memory, as it is by default."""
    assert table_digest(real_data) == GOLDEN


@pytest.mark.parametrize("megabytes", [None, 9])
def test_streamed_from_shards(
    real_data: Path, megabytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Corpora searched as they lie in the store, with and without room for all queries at once."""
    from harness.search import streamed

    if megabytes is not None:
        monkeypatch.setattr(streamed, "resident_memory", lambda: 0)
        megabytes = streamed.WORKING_BYTES + (megabytes << 20)
    assert table_digest(real_data, streamed=True, memory=megabytes) == GOLDEN


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads(real_data: Path, threads: int) -> None:
    """Tiles and pieces of corpora are worked on by one thread or several."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert table_digest(real_data) == GOLDEN
        assert table_digest(real_data, streamed=True) == GOLDEN
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_any_height_of_tiles(real_data: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix kernel's last bits depend on the shape it is called with."""
    from harness.search import tiles

    plain = tiles._tiles
    monkeypatch.setattr(tiles, "_tiles", lambda queries, _: plain(queries, rows))
    assert table_digest(real_data) == GOLDEN


# Names differ from version to version, and numpy ignores those that it does not know.
NUMPYS_OWN = " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", ()))
PROCESSORS = {
    "plain": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": NUMPYS_OWN,
    },
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
    "avx512": {"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"},
}


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
def test_any_instruction_set(real_data: Path, processor: str) -> None:
    """In a process of its own, as libraries look at the processor once."""
    here = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1] / "support")))
    code = "import sys, pathlib, test_same_everywhere as t; data = pathlib.Path(sys.argv[1])"
    code += "; print(t.table_digest(data), t.table_digest(data, streamed=True))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(real_data)],
        env={**os.environ, **PROCESSORS[processor], "PYTHONPATH": here},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [GOLDEN, GOLDEN]
