"""``harness store ls|verify|prune|size``."""

from __future__ import annotations

import click

from harness.cli.options import (
    quiet_option,
)
from harness.errors import StoreError


@click.group(short_help="Look into the embedding store.")
def store() -> None:
    """Look into the store of vectors (HARNESS_CACHE names another place), and clear it out."""


@store.command(name="ls", short_help="List what is stored.")
def list_() -> None:
    """List the vectors of each model, role and language."""
    from harness.base.cache import cache_folder
    from harness.cli.views import store_listing
    from harness.console import consoles
    from harness.vectors.inventory import spaces

    store_listing.print_spaces(consoles.console(), cache_folder(), spaces(cache_folder()))


@store.command(short_help="Say how large it is.")
def size() -> None:
    """Say how much disk the vectors of each model take."""
    from harness.base.cache import cache_folder
    from harness.cli.views import store_listing
    from harness.console import consoles
    from harness.vectors.inventory import spaces

    store_listing.print_sizes(consoles.console(), cache_folder(), spaces(cache_folder()))


@store.command(short_help="Compare every shard with its checksums.")
@quiet_option("No progress bar.")
def verify(quiet: bool) -> None:
    """Compare every finished shard with its checksums; ends with an error if one is damaged.

    A damaged shard loses its manifest: it is never used, and the next run encodes it again.
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
    out.print(f"{numbers.plural(shards, 'shard')} in {cache_folder()}: whole", soft_wrap=True)


@store.command(short_help="Clear out what stopped runs left, and vectors you name.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Also the vectors of this model, as `harness store ls` names it; can be repeated.",
)
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Also vectors that were not added to for so long; with --model, only of these models.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and leave it.")
def prune(models: tuple[str, ...], older_than: float | None, dry_run: bool) -> None:
    """Clear out what stopped runs left behind: half-written files, dead claims, notes.

    Finished vectors go only where --model or --older-than says so.
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
