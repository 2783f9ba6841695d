"""Products of codes are those of whole numbers, however a processor computes them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from harness.search import code_products
from harness.search.code_products import CodedPassages, coded
from harness.search.in_memory import DenseScores

RANGES = {"int8": range(-128, 128), "int4": range(-8, 8), "ends": (-128, 127), "binary": (-1, 1)}


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hamming distances of few signs, too."""
    monkeypatch.setattr(code_products, "WORTH_COMPILING", 0)


def drawn(kind: str, *shape: int) -> Any:
    return np.random.default_rng(7).choice(RANGES[kind], shape).astype(np.float32)


@pytest.mark.parametrize("width", [1, 63, 384, 1030])
@pytest.mark.parametrize("kind", RANGES)
def test_products_are_those_of_integers(kind: str, width: int, always: None) -> None:
    passages, queries = drawn(kind, 1100, width), drawn(kind, 9, width)[::-1]
    scores = DenseScores(passages, rows=5).of(queries)
    expected = queries.astype(np.int64) @ passages.T.astype(np.int64)
    assert np.array_equal(scores(4, 9).whole(), expected[4:9].astype(np.float32))
    # These may be beyond 2^24, where float32 does not have all whole numbers.
    assert bool(scores.error.any()) == (kind == "ends" and width == 1030)


def test_signs_are_packed_and_codes_of_8_bits_are_integers(always: None) -> None:
    signs, codes = CodedPassages(drawn("binary", 4, 70)), CodedPassages(drawn("int8", 4, 70))
    assert signs.products(drawn("binary", 2, 70)) is not None
    assert signs.products(drawn("int4", 2, 70)) is None
    fast = codes.products(drawn("int8", 2, 70)) is not None
    assert fast == code_products.integers_pay()
    capabilities = torch.cpu.get_capabilities()
    if capabilities["architecture"] == "x86_64" and capabilities["avx512_vnni"]:
        assert fast, "this processor has the instruction"


@pytest.mark.parametrize("number", [0.5, 128, -129, np.nan])
def test_other_numbers_are_no_codes(number: float) -> None:
    vectors = drawn("int8", 500, 384)
    assert coded(vectors)
    vectors[-1, -1] = number
    assert not coded(vectors)


def test_processors_without_8_bit_products_get_the_same() -> None:
    """OneDNN caps sums of two products there; in a process of its own, as it looks once."""
    code = """if True:
        import numpy as np
        from harness.search.code_products import integers_pay
        from harness.search.in_memory import DenseScores
        codes = np.full((40, 64), 127, np.float32)
        print(integers_pay(), set(DenseScores(codes).of(codes)(0, 40).flat.tolist()))"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split(" ", 1)[1] == f"{{{64 * 127.0**2}}}\n", done.stderr
