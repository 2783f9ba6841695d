"""What training data and evaluation sets share, in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from harness.console import numbers
from harness.console.tables import Grid, Line, one_line
from harness.console.terminal import print_grid
from harness.training.overlap.hits import ROLES, Overlap, Tally

_NAMES = {"query": "questions", "passage": "passages"}
_SHOWN = 100


def print_overlap(console: Console, found: Overlap) -> None:
    """Print the verdict, a table per language, examples and ancestry of one task."""
    title = Text(found.task, "bold")
    compared = " and ".join(
        numbers.plural(n, "passage" if role == "passage" else "query")
        for role, n in found.compared.items()
    )
    title.append(f" in {', '.join(found.data)}: {compared} compared", "not bold")
    console.print(title, soft_wrap=True)
    verdict = found.sentences()[0]
    console.print(f"{verdict}.", style="bold red" if found.leaked else "green", soft_wrap=True)
    for kin in found.ancestors:
        names = kin.data.split(", ")
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        sentence = kin._replace(data=f"{', '.join(names[:3])}{more}").sentence
        console.print(f"ANCESTRY: {sentence} ({kin.source}).", style="yellow", soft_wrap=True)
    rows = []
    for role in ROLES:
        tallies = [x for x in found.tallies if x.role == role]
        total = Tally(
            role, "all", *(found.total(role, x) for x in Tally.__dataclass_fields__ if x in _SUMMED)
        )
        # Languages without a hit are not listed.
        shown = [x for x in tallies if x.any]
        name = _NAMES[role]
        if role == "passage" and found.passages == "gold":
            name = "relevant passages"
        if not tallies:
            continue
        rows.append(Line((name, *_cells(total)), "strong"))
        rows += [Line((f"  {tally.language}", *_cells(tally))) for tally in shown]
    near, words = f"near\n{found.threshold:g}", f"{found.ngram} words\nin a row"
    console.print()
    headers = ("", "texts", "equal", near, words, "long\nenough", "any")
    print_grid(console, Grid("", headers, rows))
    for role in ROLES:
        hits = found.training[role]
        if any(hits.values()):
            console.print(
                f"Training texts with a hit among the {_NAMES[role]}: {hits['exact']:,} equal, "
                f"{hits['near']:,} near, {hits['ngram']:,} with {found.ngram} words in a row.",
                soft_wrap=True,
            )
    if found.examples:
        console.print()
    for hit in found.examples:
        shared = hit.detail if hit.kind == "ngram" else f"{hit.kind}, similarity {hit.detail:g}"
        console.print(
            f"{hit.role} {hit.language}:{hit.id}  {_short(hit.text)}\n"
            f"  in {hit.data}, row {hit.row}, {hit.training_role} {hit.training_language}: "
            f"{_short(hit.training_text)}\n  {_short(str(shared))}",
            style="dim",
            soft_wrap=True,
        )


_SUMMED = ("texts", "long_enough", "exact", "near", "ngram", "any")


def _cells(tally: Tally) -> list[str]:
    values = (tally.texts, tally.exact, tally.near, tally.ngram, tally.long_enough, tally.any)
    return [numbers.count(x) for x in values]


def _short(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
