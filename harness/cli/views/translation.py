"""The result of a translation, in the terminal."""

from __future__ import annotations

from rich.console import Console

from harness.console import numbers
from harness.console.tables import Grid
from harness.console.terminal import print_grid
from harness.training.translated_pairs import Translation
from harness.training.translation_checks import REASONS


def print_translation(console: Console, done: Translation) -> None:
    """Texts kept and dropped by target language, and the engine of each."""
    console.print(f"{numbers.plural(done.rows, 'row')} in {done.path}", soft_wrap=True)
    console.print(
        f"{numbers.plural(done.translated, 'text')} translated, {done.cached:,} from the cache"
    )
    console.print()
    outcomes = ("kept", *REASONS, "given")
    rows = [
        (target, *(numbers.count(counts.get(x, 0)) for x in outcomes))
        for target, counts in done.counts.items()
    ]
    print_grid(console, Grid("", ("into", *outcomes), rows))
    for pair, facts in done.engines.items():
        console.print(
            f"{pair}: {facts['engine']} {facts['model']} ({str(facts['digest'])[:12]})",
            soft_wrap=True,
        )
