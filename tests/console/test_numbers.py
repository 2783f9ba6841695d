"""Numbers as every table writes them."""

from __future__ import annotations

import math

import pytest

from harness.console import numbers

NAN = math.nan


@pytest.mark.parametrize(
    ("number", "value", "signed"),
    [
        (0.25, "0.2500", "+0.2500"),
        (-0.25, "-0.2500", "-0.2500"),
        (-0.00004, "0.0000", "0.0000"),
        (NAN, "-", "-"),
    ],
)
def test_scores_and_their_differences(number: float, value: str, signed: str) -> None:
    assert numbers.value("map", number) == value
    assert numbers.signed("map", number) == signed


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    assert [numbers.difference(x, 6) for x in (-4e-7, 4e-7, -6e-7)] == [
        "0.000000", "0.000000", "-0.000001",
    ]  # fmt: skip


def test_rank_distances_count_passages() -> None:
    assert numbers.value("rank_distance", 1234.56) == "1234.6"
    assert numbers.signed("rank_distance", -1234.56) == "-1234.6"
    assert numbers.value("rank_distance", None) == "-"


def test_intervals() -> None:
    assert numbers.interval("map", 0.1, 0.25) == ("0.1000", "0.2500")
    found = numbers.interval("map", -0.00001, 0.25, differences=True)
    assert found == ("+0.0000", "+0.2500"), "what rounds to 0 is not below it"
    assert numbers.interval("map", NAN, NAN) is numbers.interval("map", None, 0.1) is None


def test_sizes_of_differences_in_sentences() -> None:
    assert [numbers.amount(x) for x in (0, 0.00001, 0.02, 1234.56)] == [
        "0", "1e-05", "0.0200", "1,234.6",
    ]  # fmt: skip


def test_p_values() -> None:
    assert [numbers.p_value(p) for p in (0.04999, 0.0001, 0.00009, NAN)] == [
        "0.0500", "0.0001", "<0.0001", "-",
    ]  # fmt: skip


def test_shares_counts_and_words() -> None:
    assert numbers.percent(0.1234) == "12.3%" and numbers.percent(0.95, 0) == "95%"
    assert numbers.percent(NAN) == "-"
    assert numbers.count(26104) == "26,104" and numbers.count(1234.6) == "1,235"
    assert [numbers.plural(n, "query") for n in (1, 2, 1200)] == [
        "1 query", "2 queries", "1,200 queries",
    ]  # fmt: skip


def test_sizes() -> None:
    assert [numbers.parameters(n) for n in (999, 1500, 117_653_760, 7_000_000_000)] == [
        "999", "1.5k", "117.7M", "7.0B",
    ]  # fmt: skip
    assert [numbers.parameters(n) for n in (999_940_000, 999_960_000)] == ["999.9M", "1.0B"]
    assert [numbers.memory(n) for n in (2**20, 2**30 - 1, 1.5 * 2**30)] == [
        "1 MiB", "1024 MiB", "1.5 GiB",
    ]  # fmt: skip


def test_times() -> None:
    assert [numbers.seconds(s) for s in (0.04, 59.94, 61.2)] == ["0.0 s", "59.9 s", "61 s"]
    assert [numbers.duration(s) for s in (45, 720, 12_240, 1_080_000)] == [
        "45 s", "12 min", "3.4 h", "12.5 days",
    ]  # fmt: skip
