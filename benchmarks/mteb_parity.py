"""One table: the same models and texts through plain ``mteb.evaluate`` and through the harness.

    python benchmarks/mteb_parity.py --data-dir DIR [--model MODEL]... [--task TASK] [--all]

Two tasks: XQuAD's paragraphs inside each of its 11 languages, with the texts of mteb's own
XQuADRetrieval (less Romanian), and XQuAD-R in four languages, 20 subsets. ``--all`` adds all 132
subsets of XQuAD-R, which take mteb half an hour on one core with the built-in encoder. How both
sides are measured is told by ``against_mteb.py``, which prints one comparison in more detail. Where
every text is needed once, as in the first task, there is nothing to save: what is to be seen there
is that the numbers are the same.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

from against_mteb import Comparison, Work, compare

from harness.data.task import Kind
from harness.errors import HarnessError

TASKS: tuple[tuple[str, tuple[str, ...] | None, tuple[Kind, ...] | None], ...] = (
    ("xquad", None, ("mono",)),
    ("xquad-r", ("en", "de", "ar", "th"), None),
)
"""Task, languages, kinds of setting; ``None``: all."""
WHOLE: tuple[str, tuple[str, ...] | None, tuple[Kind, ...] | None] = ("xquad-r", None, None)
DECIMALS = 5
"""mteb's rounding."""


def row(task: str, found: Comparison) -> str:
    """One line of the table."""
    theirs, ours = (
        fmean(scores["ndcg@10"] for scores in side.scores.values())
        for side in (found.theirs, found.ours)
    )
    there, here = found.theirs.cost, found.ours.cost
    return (
        f"{task:<9}{found.ours.model[:20]:<22}{len(found.ours.scores):>7}"
        f"{theirs:>10.{DECIMALS}f}{ours:>10.{DECIMALS}f}{found.largest('ndcg@10')[0]:>10.1e}"
        f"{found.ties.differing:>7,} of {found.ties.queries:<8,}"
        f"{there.texts:>9,}{here.texts:>8,}{there.cpu:>9.1f}{here.cpu:>8.1f}"
        f"{there.cpu / here.cpu:>7.2f}{there.wall / here.wall:>7.2f}"
    )


def main() -> None:
    """Run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default=None, help="default: HARNESS_DATA")
    parser.add_argument("--model", action="append", help="a name or folder; repeat for more")
    parser.add_argument("--task", action="append", help="only this one of the tasks")
    parser.add_argument("--all", action="store_true", help="all 132 subsets of XQuAD-R as well")
    parser.add_argument("--limit", type=int, default=None, help="first N questions, all passages")
    given = parser.parse_args()
    print(f"mteb {version('mteb')} and the harness; nDCG@10 is the mean over the subsets,")
    print("the difference the largest of any subset, with mteb's mean as it rounds it")
    print(
        f"{'task':<9}{'model':<22}{'subsets':>7}{'mteb':>10}{'harness':>10}{'differ':>10}"
        f"{'queries differ':>19}{'texts':>9}{'':>8}{'CPU s':>9}{'':>8}{'ratio':>7}{'wall':>7}"
    )
    for model in given.model or ["use-m3"]:
        for task, languages, kinds in (*TASKS, WHOLE) if given.all else TASKS:
            if given.task and task not in given.task:
                continue
            part = {"languages": languages, "limit": given.limit, "data_dir": given.data_dir}
            try:
                found = compare(Work(task, model, part, kinds))
            except HarnessError as error:
                parser.exit(2, f"{error}\n")
            print(row(task, found), flush=True)


if __name__ == "__main__":
    main()
