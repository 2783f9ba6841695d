"""``harness store ls|verify|prune|size|push|pull``."""

from __future__ import annotations

import click

from harness.cli.options import (
    languages_option,
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


_models = click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Only this model's vectors, named as in `harness store ls`; can be repeated.",
)


@store.command(short_help="Send vectors to a folder or the hub.")
@click.argument("place", metavar="FOLDER|hub:ORG/NAME")
@_models
@languages_option("Only vectors of texts in these languages")
@quiet_option("No progress bar.")
def push(
    place: str, models: tuple[str, ...], languages: tuple[str, ...] | None, quiet: bool
) -> None:
    """Send the store's vectors to a folder, or to a data set on the hub.

    The data set must exist (`hf repos create NAME --type dataset`); hub:ORG/NAME@BRANCH names a
    branch. What is there already is not sent again, so a stopped push goes on.
    """
    _exchange("push", place, models, languages, quiet)


@store.command(short_help="Receive vectors from a folder or the hub.")
@click.argument("place", metavar="FOLDER|hub:ORG/NAME")
@_models
@languages_option("Only vectors of texts in these languages")
@quiet_option("No progress bar.")
def pull(
    place: str, models: tuple[str, ...], languages: tuple[str, ...] | None, quiet: bool
) -> None:
    """Receive vectors that somebody pushed to a folder, or to a data set on the hub.

    Every file is compared with its checksum. A run with the same model, texts and options then
    finds them as if they had been encoded here.
    """
    _exchange("pull", place, models, languages, quiet)


def _exchange(
    what: str, named: str, models: tuple[str, ...], languages: tuple[str, ...] | None, quiet: bool
) -> None:
    from harness.base.cache import cache_folder
    from harness.console import consoles, numbers
    from harness.console.progress_bars import show_progress
    from harness.vectors import exchange

    action = exchange.push if what == "push" else exchange.pull
    with show_progress(quiet=quiet) as progress:
        progress.start(f"{what} {named}", 0, "shards")
        done = action(
            cache_folder(),
            exchange.place_of(named),
            models=models,
            languages=languages,
            progress=progress.advance,
        )
        progress.finish()
    verb = "sent to" if what == "push" else "received from"
    consoles.console().print(
        f"{numbers.plural(done.shards, 'shard')} {verb} {named}, {done.there:,} already there",
        soft_wrap=True,
    )
