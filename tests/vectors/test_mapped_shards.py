"""The arrays of shards, mapped into memory."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.base.progress import resident_memory
from harness.search.corpus_rows import read_ahead, release
from harness.vectors.corpus_store import CorpusSpace, Shard
from harness.vectors.store import Store, StoreDtype


def shards(folder: Path, vectors: np.ndarray, size: int, dtype: StoreDtype) -> list[Shard]:
    """``vectors`` in shards of ``size``."""
    n = len(vectors)
    space = CorpusSpace.of(Store(folder), {}, language="sw", passages=n, size=size, dtype=dtype)
    for number in range(len(space)):
        start, stop = space.bounds(number)
        space.put(number, [f"é{i}" for i in range(start, stop)], vectors[start:stop])
    return [shard for shard in space.open_all() if shard is not None]


def test_a_shard_is_what_numpy_loads(tmp_path: Path) -> None:
    """Vectors and ids, of the last and shorter shard too; nobody can write into them."""
    vectors = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    kinds: tuple[StoreDtype, ...] = ("float32", "float16")
    for dtype in kinds:
        for shard in shards(tmp_path, vectors, 3, dtype):
            name = f"{shard.number:08d}"
            for found, suffix in ((shard.vectors, ".npy"), (shard.ids, ".ids.npy")):
                expected = np.load(shard.folder / f"{name}{suffix}")
                assert (found.dtype, found.tolist()) == (expected.dtype, expected.tolist())
                assert not found.flags.writeable
            first = shard.number * 3
            assert shard.ids[0] == f"é{first}".encode()
            assert shard.vectors.astype(np.float32).tolist() == (
                vectors[first : first + 3].astype(dtype).astype(np.float32).tolist()
            )


def test_files_that_numpy_writes_otherwise(tmp_path: Path) -> None:
    """Another version of the format, an order by column: as numpy reads them; not a cut file."""
    vectors = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    (shard,) = shards(tmp_path, vectors, 4, "float32")
    file = shard.folder / "00000000.npy"
    whole = file.read_bytes()
    for array, version in ((vectors, (2, 0)), (np.asfortranarray(vectors), (1, 0))):
        with file.open("wb") as out:
            np.lib.format.write_array(out, array, version=version)
        assert shard.vectors.tolist() == vectors.tolist()
    for damaged in (whole[:-1], whole[:100], b"\x93NUMPY", whole.replace(b"descr", b"descx")):
        file.write_bytes(damaged)
        with pytest.raises(ValueError):
            _ = shard.vectors


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_released_vectors_take_no_memory(tmp_path: Path) -> None:
    """Until they are read again."""
    (shard,) = shards(tmp_path, np.ones((2**14, 512), np.float32), 2**14, "float32")
    vectors, before = shard.vectors, resident_memory()
    assert vectors.sum() == 2**23
    assert resident_memory() - before > 2**24
    release(vectors[5:])
    assert resident_memory() - before < 2**23
    assert vectors[-1, -1] == 1


def test_what_is_read_ahead_are_the_pages_of_some_rows(tmp_path: Path) -> None:
    """All of them, from the beginning of a page on, in requests that a disk takes."""
    vectors = np.ones((2000, 512), np.float32)
    (shard,) = shards(tmp_path, vectors, 2000, "float32")
    requests: list[tuple[int, int]] = []

    class Watched(mmap.mmap):
        def madvise(self, option: int, *where: Any) -> None:
            requests.append(where)
            assert option == mmap.MADV_WILLNEED
            super().madvise(option, *where)

    with (shard.folder / "00000000.npy").open("rb") as file:
        mapped = Watched(file.fileno(), 0, access=mmap.ACCESS_READ)
    array = np.ndarray(vectors.shape, vectors.dtype, mapped, 128)
    read_ahead(array[700:1900])
    assert all(start % mmap.PAGESIZE == 0 and size <= 2**20 for start, size in requests)
    bytes_ = {x for start, size in requests for x in range(start, start + size, 128)}
    first, last = 128 + 700 * 2048, 128 + 1900 * 2048
    assert set(range(first, last, 128)) <= bytes_
    assert min(bytes_) > first - mmap.PAGESIZE and max(bytes_) < last
    # In memory there is nothing to read.
    read_ahead(vectors)
    assert len(requests) == 3
