"""Pairs a second, and memory, of the comparison of training data with evaluation sets.

Streams pairs through ``find_overlap`` against XQuAD-R and MLQA-R, once and several times over: what
is held in memory must not grow with the training data. Times are those of the processor: one thread
works, and a machine that others use measures the same.

    python benchmarks/overlap_speed.py PAIRS.jsonl.gz [--times 3]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

from harness.data.task import find_task
from harness.training.overlap.detection import Text, find_overlap, stream_texts
from harness.training.overlap.evaluation_texts import evaluation


def peak() -> int:
    """Highest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Print one line for the tasks alone, one for each number of passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    tasks = [evaluation(find_task(x)) for x in ("xquad-r", "mlqa-r")]
    begun = time.process_time()
    find_overlap(tasks, [])
    laid_out = time.process_time() - begun
    print(f"tasks laid out: {laid_out:.1f} CPU s, peak {peak()} MiB")
    for times in (1, given.times):
        characters = 0

        def counted(passes: int = times) -> Iterator[Text]:
            nonlocal characters
            for text in chain.from_iterable(stream_texts([given.pairs]) for _ in repeat(0, passes)):
                characters += len(text.text)
                yield text

        begun = time.process_time()
        found = find_overlap(tasks, counted())
        took = time.process_time() - begun - laid_out
        texts = sum(found[0].compared.values())
        print(
            f"{texts:,} texts, {characters / texts:.0f} characters each: {took:.1f} CPU s, "
            f"{texts / 2 / took:,.0f} pairs/s, {characters / took / 1e6:.1f} million characters/s, "
            f"peak {peak()} MiB; 10 million such pairs: {1e7 / (texts / 2 / took) / 60:.0f} min"
        )


if __name__ == "__main__":
    main()
