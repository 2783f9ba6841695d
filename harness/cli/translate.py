"""``harness translate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    PATH,
    POSITIVE,
    device_option,
    languages_option,
    limit_option,
    offline_option,
    output_file_option,
    quiet_option,
    renamed,
)

_SECTIONS = {
    "What is translated": "source to negatives limit",
    "How": "engine codes whole beams max_length batch_size device",
    "Output": "output offline quiet",
}


@click.command(
    cls=SectionedCommand, sections=_SECTIONS, short_help="Parallel pairs from monolingual ones."
)
@click.argument("data", type=PATH)
@languages_option("Languages to translate into", "--to")
@click.option(
    "--engine",
    metavar="KIND:WHAT",
    required=True,
    help="transformers:NAME, ctranslate2:FOLDER or command:COMMAND; {source} and {target} are "
    "replaced by the languages.",
)
@output_file_option("The parallel pairs, .jsonl or .jsonl.gz.")
@click.option(
    "--from", "source", metavar="CODE", help="The language to translate, if there are several."
)
@click.option(
    "--code",
    "codes",
    metavar="CODE=NAME",
    multiple=True,
    help="The engine's code of a language, as en=eng_Latn.",
)
@click.option("--negatives", is_flag=True, help="Translate hard negatives too.")
@click.option("--whole", is_flag=True, help="Translate whole texts, not sentence by sentence.")
@click.option(
    "--beams", metavar="N", type=POSITIVE, default=1, show_default=True, help="Beams of the search."
)
@click.option(
    "--max-length",
    metavar="N",
    type=click.IntRange(min=8),
    default=256,
    show_default=True,
    help="Maximum tokens of a sentence, in or out.",
)
@click.option("--batch-size", metavar="N", type=POSITIVE, help="Texts per batch.")
@device_option
@limit_option("Only the first N rows.")
@offline_option
@quiet_option()
def translate(
    data: Path,
    to: tuple[str, ...] | None,
    engine: str,
    output: Path,
    source: str | None,
    codes: tuple[str, ...],
    negatives: bool,
    whole: bool,
    limit: int | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Translate the pairs of DATA and write them with the originals, in the parallel format.

    A stopped run resumes where it ended. Translations that are empty, copied, cut short, endless or
    in another script are dropped and counted.
    """
    from harness.cli.views.translation import print_translation
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.models.translation.engine import EngineOptions
    from harness.training.translated_pairs import translate_file

    options = EngineOptions(codes=renamed(codes, "--code", "en=eng_Latn"), split=not whole, **given)
    with show_progress(quiet=quiet) as progress:
        done = translate_file(
            data,
            output,
            to or (),
            engine,
            source=source,
            options=options,
            negatives=negatives,
            limit=limit,
            progress=progress,
        )
    print_translation(consoles.console(), done)
