"""``harness store ls|verify|prune|size``."""

from __future__ import annotations

import click

from harness.cli.options import (
    quiet_option,
)
from harness.errors import StoreError


@click.group(short_help="Inspect the embedding store.")
def store() -> None:
    """Inspect and clean up the store of vectors (set HARNESS_CACHE to move it)."""


@store.command(name="ls", short_help="List what is stored.")
def list_() -> None:
    """List the vectors of each model, role and language."""
    from harness.base.cache import cache_folder
    from harness.cli.views import store_listing
    from harness.console import consoles
    from harness.vectors.inventory import spaces

    store_listing.print_spaces(consoles.console(), cache_folder(), spaces(cache_folder()))


@store.command(short_help="Show how large it is.")
def size() -> None:
    """Show the disk space of each model's vectors."""
    from harness.base.cache import cache_folder
    from harness.cli.views import store_listing
    from harness.console import consoles
    from harness.vectors.inventory import spaces

    store_listing.print_sizes(consoles.console(), cache_folder(), spaces(cache_folder()))


@store.command(short_help="Compare every shard with its checksums.")
@quiet_option("No progress bar.")
def verify(quiet: bool) -> None:
    """Compare every finished shard with its checksums; fails if one is damaged.

    The manifest of a damaged shard is removed: the next run encodes it again.
    """
    from harness.base.cache import cache_folder
    from harness.console import consoles, numbers
    from harness.console.progress_bars import show_progress
    from harness.vectors import inventory

    stored = inventory.spaces(cache_folder())
    shards = sum(len(space.manifests) for space in stored)
    with show_progress(quiet=quiet) as progress:
        progress.start("verify the store", shards, "shards")
        damaged = inventory.verify(stored, progress.advance)
        progress.finish()
    out = consoles.console()
    for path, why in damaged:
        out.print(f"{path}  {why}", soft_wrap=True)
    if damaged:
        raise StoreError(
            f"{len(damaged)} of {shards} shards were damaged; the next run that needs one encodes "
            "it again"
        )
    out.print(f"{numbers.plural(shards, 'shard')} in {cache_folder()}: intact", soft_wrap=True)


@store.command(short_help="Remove leftovers of stopped runs, and the vectors you name.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Also remove this model's vectors, named as in `harness store ls`; can be repeated.",
)
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Also remove vectors unchanged for this long; with --model, only of these models.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
def prune(models: tuple[str, ...], older_than: float | None, dry_run: bool) -> None:
    """Remove leftovers of stopped runs: half-written files, stale claims, notes.

    Finished vectors are removed only with --model or --older-than.
    """
    from harness.base.cache import cache_folder
    from harness.cli.views.store_listing import print_pruned
    from harness.console import consoles
    from harness.errors import UsageError, did_you_mean
    from harness.vectors import inventory

    stored = inventory.spaces(cache_folder())
    known = {space.model for space in stored}
    for model in models:
        if model not in known:
            raise UsageError(f"the store has no vectors of {model!r}{did_you_mean(model, known)}")
    what = inventory.leftovers(cache_folder()) + inventory.chosen(stored, models, older_than)
    if not dry_run:
        inventory.remove(what)
    print_pruned(consoles.console(), what, dry_run=dry_run)
