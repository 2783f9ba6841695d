"""``harness train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    FOLDER,
    data_dir_option,
    device_option,
    languages_option,
    offline_option,
    quiet_option,
    tasks_option,
)

_TEXT = {"metavar": "TEXT"}
_NUMBER: dict[str, Any] = {"type": float, "metavar": "X"}
_COUNT: dict[str, Any] = {"type": int, "metavar": "N"}
_MANY: dict[str, Any] = {"multiple": True}


def _choice(*words: str) -> dict[str, Any]:
    return {"type": click.Choice(words)}


# Flag, click's arguments, help with the default. Defaults come from the recipe file, then from
# harness.training.settings, which is not imported here: it would slow down every command's help.
_OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--alpha", _NUMBER, "Probability of a batch in one language (hybrid).  [0.5]"),
    ("--cross-batches", _choice("mixed", "single"), "Pairs of languages in a batch.  [mixed]"),
    (
        "--language-draw",
        _choice("uniform", "size", "temperature"),
        "Sampling of languages.  [uniform]",
    ),
    (
        "--language-temperature",
        _NUMBER,
        "T of --language-draw temperature: languages by size ** (1/T).  [3.33]",
    ),
    (
        "--epoch",
        _choice("once", "drawn"),
        "Every pair once, or pairs drawn to match alpha and languages.  [once]",
    ),
    ("--skip-unusable", {"is_flag": True, "default": None}, "Skip rows the recipe cannot use."),
    ("--holdout", _NUMBER, "Share of the data for validation, without validation files.  [0.05]"),
    ("--batch-size", _COUNT, "Pairs per batch.  [100]"),
    ("--accumulation", _COUNT, "Batches per step of the optimiser.  [1]"),
    ("--cache-batch", _COUNT, "Gradient caching: texts encoded at once.  [none]"),
    ("--epochs", _NUMBER, "Passes over the data.  [3]"),
    ("--steps", _COUNT, "Steps of the optimiser, instead of --epochs."),
    ("--learning-rate", _NUMBER, "Learning rate of AdamW.  [3e-5]"),
    ("--weight-decay", _NUMBER, "Weight decay of AdamW.  [0.01]"),
    ("--warmup", _NUMBER, "Warm-up, as a share of the steps.  [0.1]"),
    ("--schedule", _choice("linear", "cosine", "constant"), "Learning rate schedule.  [linear]"),
    ("--max-grad-norm", _NUMBER, "Gradient clipping norm.  [1]"),
    ("--temperature", _NUMBER, "Temperature of the InfoNCE loss.  [0.05]"),
    ("--teacher", {"metavar": "NAME"}, "Encoder of English texts to learn from (mimo)."),
    (
        "--distillation",
        _NUMBER,
        "Weight of the distillation loss beside InfoNCE.  [lakda 0.5, mimo 0.8]",
    ),
    ("--alignment", _NUMBER, "Share of the steps that align with the teacher first (mimo).  [0.5]"),
    ("--hard-negatives", _COUNT, "Hard negatives used per pair.  [1]"),
    ("--query-prompt", _TEXT, "Text put before each query.  ['Query: '; me5-small: its own]"),
    ("--passage-prompt", _TEXT, "Text put before each passage.  ['Passage: '; me5-small: its own]"),
    ("--max-length", _COUNT, "Maximum tokens of a text in training.  [256]"),
    (
        "--precision",
        _choice("float32", "bfloat16", "float16"),
        "Number format of the forward pass.  [float32]",
    ),
    (
        "--freeze",
        _MANY | {"metavar": "NAME"},
        "Weights to freeze, or none; can be repeated.  [none; me5-small: word_embeddings]",
    ),
    ("--evaluate-every", _COUNT, "Steps between validations and checkpoints.  [200]"),
    ("--patience", _COUNT, "Stop after this many validations without a lower loss; 0: never.  [3]"),
    ("--log-every", _COUNT, "Steps between points of the loss curve.  [10]"),
    ("--seed", _COUNT, "Random seed of batches, validation pairs and dropout.  [0]"),
)


def _recipe_options(command: Any) -> Any:
    for flag, given, text in reversed(_OPTIONS):
        command = click.option(flag, help=text, **given)(command)
    return command


_SECTIONS = {
    "What is trained, on what": "recipe base data validation languages output",
    "Batches": "alpha cross_batches language_draw language_temperature epoch skip_unusable "
    "batch_size accumulation cache_batch hard_negatives",
    "Recipes with a teacher": "teacher distillation alignment",
    "Optimisation": "epochs steps learning_rate weight_decay warmup schedule max_grad_norm "
    "temperature precision freeze seed",
    "Texts": "query_prompt passage_prompt max_length",
    "Validation": "holdout evaluate_every patience log_every",
    "Evaluation questions in the data": "tasks allow_overlap data_dir",
    "Running": "device offline restart keep_checkpoints dry_run quiet",
}


@click.command(
    cls=SectionedCommand,
    sections=_SECTIONS,
    short_help="Train a model on hybrid batches, or on the baselines' batches.",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    default="hybrid",
    show_default=True,
    help="hybrid, mono, cross, mixed, english, xlco, lakda, mimo, or a recipe file ending in "
    ".toml.",
)
@click.option(
    "--base", metavar="NAME", help="me5-small, use-m3, a ./folder or ORG/NAME on the hub."
)
@click.option(
    "--data", multiple=True, metavar="FILE", help="Training pairs as JSON lines; can be repeated."
)
@click.option(
    "--validation", multiple=True, metavar="FILE", help="Held-out pairs, for early stopping."
)
@click.option(
    "--output",
    required=True,
    type=FOLDER,
    metavar="DIR",
    help="Folder for the model.",
)
@languages_option("Only these languages of the data")
@_recipe_options
@tasks_option("Tasks whose questions must not be in the data.  [the available small ones]")
@click.option(
    "--allow-overlap",
    is_flag=True,
    help="Train even if questions of a task are in the data; the model card says so.",
)
@data_dir_option
@device_option
@offline_option
@click.option("--restart", is_flag=True, help="Discard what another training left in DIR.")
@click.option("--keep-checkpoints", is_flag=True, help="Keep checkpoints in DIR/.training.")
@click.option("--dry-run", is_flag=True, help="Show what would be trained on, and do nothing.")
@quiet_option("Print only the folder.")
@click.pass_obj
def train(
    command: list[str],
    /,
    recipe: str,
    output: Path,
    tasks: tuple[str, ...],
    allow_overlap: bool,
    data_dir: Path | None,
    device: str | None,
    offline: bool,
    restart: bool,
    keep_checkpoints: bool,
    dry_run: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train BASE on pairs of queries and passages, and write a folder that `harness run` scores.

    If stopped, the same command resumes from the last checkpoint. Defaults are those of the
    recipe's paper (arXiv 2408.10536); the model card lists our own choices.
    """
    from harness.cli.views.training import print_plan, print_trained
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.training.settings import settings_from
    from harness.training.train import Overlaps, first_process, planned_steps, train
    from harness.training.training_set import read_data

    settings = settings_from(recipe, {k: v for k, v in given.items() if v not in (None, ())})
    out = consoles.console()
    if dry_run:
        data = read_data(settings)
        print_plan(out, settings, data, planned_steps(settings, data))
        return
    with show_progress(quiet=quiet or not first_process()) as progress:
        trained = train(
            settings,
            output,
            device=device,
            offline=offline,
            overlaps=Overlaps(tasks or None, allow_overlap, data_dir),
            restart=restart,
            keep_checkpoints=keep_checkpoints,
            progress=progress,
            command=command,
        )
    if not first_process():
        return
    if quiet:
        click.echo(trained.folder)
    else:
        print_trained(out, trained)
