"""What became of translated texts, in the terminal."""

from __future__ import annotations

from rich.console import Console

from harness.console import numbers
from harness.console.plain_tables import plain_table
from harness.training.translated_pairs import Translation
from harness.training.translation_checks import REASONS


def print_translation(console: Console, done: Translation) -> None:
    """Texts kept and left out by target language, and the engine of each."""
    console.print(f"{numbers.plural(done.rows, 'row')} in {done.path}", soft_wrap=True)
    console.print(
        f"{numbers.plural(done.translated, 'text')} translated, {done.remembered:,} known already"
    )
    console.print()
    table = plain_table()
    table.add_column("into", no_wrap=True)
    for head in ("kept", *REASONS, "given"):
        table.add_column(head, justify="right", no_wrap=True)
    for target, counts in done.counts.items():
        table.add_row(
            target, *(numbers.count(counts.get(x, 0)) for x in ("kept", *REASONS, "given"))
        )
    console.print(table)
    for pair, facts in done.engines.items():
        console.print(
            f"{pair}: {facts['engine']} {facts['model']} ({str(facts['digest'])[:12]})",
            soft_wrap=True,
        )
