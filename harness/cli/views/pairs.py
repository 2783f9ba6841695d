"""Training pairs in the terminal: sources, files made, contents of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from harness.console import numbers
from harness.console.tables import Grid
from harness.console.terminal import print_grid
from harness.training.pair_statistics import Statistics
from harness.training.sources.alignment import Entry
from harness.training.sources.conversion import FORMATS, Made
from harness.training.sources.hub_sets import HUB


def print_sources(console: Console) -> None:
    """Formats of files, then data sets by name with their sizes and the paper's."""
    print_grid(console, Grid("", ("format", "what it is"), list(FORMATS.items()), align="lw"))
    console.print()
    rows = []
    for name, found in HUB.items():
        about = f"{found.about}; {found.license}; {found.repo}@{(found.revision or 'newest')[:7]}"
        paper = numbers.UNDEFINED if found.paper is None else numbers.count(found.paper)
        rows.append((name, " ".join(found.patterns), found.size, paper, about))
    headers = ("data set", "languages", "pairs per\nlanguage", "in the\npaper", "what it is")
    print_grid(console, Grid("", headers, rows, align="lwwrw"))
    console.print(
        "Pairs per language are the publishers' numbers for the train split; the paper's\n"
        "(arXiv 2408.10536, table 9) are after its own filter, and in 9 languages by translation."
    )


def print_made(console: Console, made: Made) -> None:
    """One line for the file, one for each reason to leave rows out."""
    where = (
        f" ({made.about['repository']}@{made.about['revision']})"
        if "repository" in (made.about)
        else ""
    )
    console.print(
        f"{numbers.plural(made.rows, 'row')}, {made.form}, in {made.path}{where}", soft_wrap=True
    )
    if made.about.get("pinned") is False:
        console.print(
            "The harness pins no such revision: the one used is recorded in FILE.about.json.",
            style="yellow",
            soft_wrap=True,
        )
    for reason, count in made.dropped.items():
        console.print(f"left out: {reason}: {count:,}")


def print_lexicon(console: Console, path: Path, entries: Sequence[Entry]) -> None:
    """The number of words, with some examples."""
    console.print(f"{numbers.plural(len(entries), 'word')} in {path}", soft_wrap=True)
    # As many as fit on a line or two, from the whole file.
    for entry in entries[:: max(1, len(entries) // 10)][:10]:
        console.print(f"  {entry.word} = {entry.translation}", soft_wrap=True, markup=False)


def print_switched(console: Console, made: Made, counts: Mapping[str, int]) -> None:
    """The file, and the number of words by language."""
    into = {x.removeprefix("into "): n for x, n in counts.items() if x.startswith("into ")}
    console.print(
        f"{numbers.plural(made.rows, 'row')}, {made.form}, in {made.path}: "
        f"queries mixed: {counts['queries']:,}",
        soft_wrap=True,
    )
    changed, whole = sum(into.values()), counts["words"]
    said = f"{changed:,} of {numbers.plural(whole, 'word')} in another language"
    if into:
        listed = ", ".join(f"{x} {n:,}" for x, n in sorted(into.items()))
        said += f" ({numbers.percent(changed / whole, 0)}): {listed}"
    console.print(said, soft_wrap=True)
    if missing := counts.get("not in a lexicon", 0):
        console.print(f"drawn and in no lexicon: {missing:,}")


def print_statistics(console: Console, found: Statistics) -> None:
    """Rows, texts per language with their lengths, pairs per direction, duplicates."""
    rows = sum(found.data.values())
    for name, count in found.data.items():
        console.print(f"{name}: {numbers.plural(count, 'row')}", soft_wrap=True)
    console.print()
    rows_of_table = []
    last = ""
    for side in found.sides:
        header = {"query": "queries", "passage": "passages"}[side.role]
        counts = (side.texts, side.distinct, side.median, side.mean, side.high, side.longest)
        named = header if header != last else ""
        rows_of_table.append((named, side.language, *map(numbers.count, counts)))
        last = header
    headers = ("", "language", "texts", "distinct", "median", "mean", "95%", "longest")
    print_grid(console, Grid("", headers, rows_of_table, align="ll"))
    console.print("Lengths in characters; distinct in more than case, punctuation and spaces.")
    console.print()
    _print_pairs(console, found)
    console.print()
    console.print(
        f"{numbers.plural(rows, 'row')} of {numbers.plural(found.ids, 'parallel id')}, "
        f"{found.negatives:,} with "
        f"hard negatives; {numbers.plural(found.repeated, 'repeated pair')}; "
        f"{numbers.plural(found.copies, 'pair')} of one text with itself",
        soft_wrap=True,
    )


def _print_pairs(console: Console, found: Statistics) -> None:
    query_languages = sorted({q for q, _ in found.pairs})
    passage_languages = sorted({p for _, p in found.pairs})
    rows = [
        (
            q,
            *(
                numbers.count(n) if (n := found.pairs.get((q, p), 0)) else "-"
                for p in passage_languages
            ),
        )
        for q in query_languages
    ]
    print_grid(console, Grid("", ("pairs", *passage_languages), rows))
    console.print()
    mono = sum(count for (q, p), count in found.pairs.items() if q == p)
    cross = sum(found.pairs.values()) - mono
    console.print(f"Queries down, passages across: {mono:,} monolingual, {cross:,} cross-lingual.")
