"""``harness pairs list|make|stats|lexicon|code-switch``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    PATH,
    data_dir_option,
    json_option,
    languages_option,
    limit_option,
    offline_option,
    output_file_option,
    quiet_option,
    renamed,
)


@click.group(short_help="Training pairs from public data, and their contents.")
def pairs() -> None:
    """Make files of training pairs from public data, and show what is in them."""


@pairs.command("list", short_help="List the sources of pairs.")
def list_sources() -> None:
    """List the file formats, and the data sets that can be fetched by name.

    Sizes per language are shown with those of the paper whose recipe this trains (arXiv
    2408.10536).
    """
    from harness.cli.views.pairs import print_sources
    from harness.console import consoles

    print_sources(consoles.console())


_SECTIONS = {
    "What is kept": "languages negatives limit",
    "Of files in SQuAD's form": "language parallel",
    "Of files of segments": "pairing part rename",
    "Of XNLI": "labels",
    "Of data sets by name": "revision data_dir offline",
    "Output": "output quiet",
}


@pairs.command(cls=SectionedCommand, sections=_SECTIONS, short_help="Write a file of pairs.")
@click.argument("source")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=PATH)
@output_file_option("The file of pairs, .jsonl or .jsonl.gz.")
@languages_option("Only these languages (bitext: the two of the files)")
@click.option(
    "--language", metavar="CODE", help="Language of all files, if their names do not say it."
)
@click.option("--parallel", is_flag=True, help="The files are translations of each other.")
@click.option(
    "--pairing",
    metavar="RULE",
    default="next",
    show_default=True,
    help="heading: a heading with its paragraph; next: a sentence with the next; same: a segment "
    "with its translations.",
)
@click.option(
    "--part",
    metavar="PART",
    default="all",
    show_default=True,
    help="train or test, for a task made from the same file.",
)
@click.option(
    "--label",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="Only rows with this label, as in entailment; can be repeated.",
)
@click.option(
    "--rename",
    metavar="OLD=NEW",
    multiple=True,
    help="Rename a language code, as in zh-CN=zh; can be repeated.",
)
@click.option(
    "--negatives",
    metavar="N",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Hard negatives to keep per pair, if the set has any.",
)
@limit_option("Only the first N rows.")
@click.option(
    "--revision", metavar="COMMIT", help="Revision of a hub data set, instead of the pinned one."
)
@data_dir_option
@offline_option
@quiet_option()
def make(
    source: str,
    files: tuple[Path, ...],
    output: Path,
    labels: tuple[str, ...],
    rename: tuple[str, ...],
    quiet: bool,
    **given: Any,
) -> None:
    """Write a file of pairs from SOURCE: a format and its files, or a data set by name.

    `harness pairs list` names both. FILE.about.json records where the pairs come from.
    """
    from harness.cli.views.pairs import print_made
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.training.sources.conversion import Options, make_pairs

    options = Options(
        labels=labels or None, rename=renamed(rename, "--rename", "zh-CN=zh"), **given
    )
    with show_progress(quiet=quiet) as progress:
        made = make_pairs(source, files, output, options, progress)
    print_made(consoles.console(), made)


@pairs.command(short_help="Contents of files of pairs.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=PATH)
@json_option()
def stats(files: tuple[Path, ...], as_json: bool) -> None:
    """Show pairs per language and per ordered language pair, lengths and duplicates."""
    from harness.cli.views.pairs import print_statistics
    from harness.console import consoles
    from harness.training.pair_statistics import describe

    found = describe(files)
    if as_json:
        click.echo(json.dumps(found.document(), ensure_ascii=False, indent=1))
    else:
        print_statistics(consoles.console(), found)


@pairs.command(short_help="Write a bilingual lexicon made from sentences and their translations.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=PATH)
@output_file_option("The lexicon; its name says the languages, as en-de.tsv.")
def lexicon(files: tuple[Path, ...], output: Path) -> None:
    """Extract words and their translations from FILE...: de-en.tsv.gz, or JSON lines by language.

    Word pairs that are each other's best by IBM's Model 1, in both directions. Languages written
    without spaces need a lexicon from elsewhere.
    """
    from harness.cli.views.pairs import print_lexicon
    from harness.console import consoles
    from harness.data.file_names import pair_of
    from harness.data.lexicon import write_lexicon
    from harness.training.sources.alignment import induce

    entries = induce(files, pair_of(output))
    write_lexicon(output, entries)
    print_lexicon(consoles.console(), output, entries)


@pairs.command("code-switch", short_help="Translate words of queries (code switching).")
@click.argument("file", metavar="FILE", type=PATH)
@output_file_option("The file of pairs, .jsonl or .jsonl.gz.")
@click.option(
    "--lexicon",
    "lexicons",
    metavar="FILE",
    multiple=True,
    required=True,
    help="Lexicon with a word and its translation on each line, as MUSE's en-de.txt; can be "
    "repeated.",
)
@click.option(
    "--from",
    "source",
    metavar="CODE",
    default="en",
    show_default=True,
    help="Mix queries in this language; others stay unchanged.",
)
@languages_option("Translate words into these languages only")
@click.option(
    "--share",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Probability that a word is replaced; words in no lexicon stay.",
)
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Random seed.")
def code_switch(
    file: Path,
    output: Path,
    lexicons: tuple[str, ...],
    source: str,
    languages: tuple[str, ...] | None,
    share: float,
    seed: int,
) -> None:
    """Mix the queries of FILE word by word from bilingual lexicons (arXiv 2305.05295).

    A mixed query keeps the language of its row. `harness pairs lexicon` makes lexicons.
    """
    from harness.cli.views.pairs import print_switched
    from harness.console import consoles
    from harness.training.sources.code_switch import Switching, lexicon_of, switch_file

    switching = Switching(
        lexicons=lexicons, languages=languages or (), source=source, share=share, seed=seed
    )
    made, counts = switch_file(file, output, lexicon_of(switching, Path), switching)
    print_switched(consoles.console(), made, counts)
