"""Types of arguments, options, and blocks of options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from harness.base import option_text
from harness.data.task import KINDS, RUN_KINDS
from harness.errors import UsageError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH = click.Path(path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
POSITIVE = click.IntRange(min=1)


def _read(reader: Callable[[str], Any]) -> Callable[..., Any]:
    """A click callback that parses a value with ``reader``."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            return reader(value)
        except UsageError as problem:
            raise click.BadParameter(str(problem), ctx, param) from problem

    return callback


size = _read(option_text.size)
"""``2G``, ``500M``, ``1.5G`` as bytes."""
part = _read(option_text.part)
"""``3/8`` as numbers."""
kinds = _read(lambda value: option_text.some_of(value, KINDS))
"""``mono,multi`` as a tuple."""
run_kinds = _read(lambda value: option_text.some_of(value, RUN_KINDS))
"""The same, where ``pairs`` can be named too."""
_languages = _read(option_text.languages)
numbers = _read(option_text.numbers)
"""``0,0.5,1`` as a tuple."""
whole_numbers = _read(option_text.whole_numbers)
"""``768,256`` as a tuple."""


def renamed(words: tuple[str, ...], flag: str, example: str) -> dict[str, str]:
    """``OLD=NEW`` words of a repeatable flag, as a mapping."""
    found: dict[str, str] = {}
    for word in words:
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise UsageError(f"{flag} {word!r}: write it as {example}")
        found[old] = new
    return found


def languages_option(what: str, flag: str = "--languages") -> Decorator:
    """``--languages``, or another ``flag`` that takes language codes."""
    return click.option(flag, callback=_languages, metavar="CODES", help=f"{what}, as in en,de.")


def tasks_option(what: str, metavar: str = "NAME|FILE") -> Decorator:
    """``--task``, which can be repeated, handed on as ``tasks``."""
    return click.option("--task", "tasks", multiple=True, metavar=metavar, help=what)


def measures_option(what: str) -> Decorator:
    """``--measure``, which can be repeated, handed on as ``measures``."""
    return click.option("--measure", "measures", multiple=True, metavar="NAME", help=what)


def limit_option(what: str = "Only the first N questions, with all passages.") -> Decorator:
    """``--limit``."""
    return click.option("--limit", type=POSITIVE, metavar="N", help=what)


def sample_option(what: str) -> Decorator:
    """``--sample``: number of questions to draw."""
    return click.option("--sample", type=POSITIVE, metavar="N", help=what)


def output_file_option(what: str) -> Decorator:
    """``-o``, the output file."""
    return click.option("-o", "--output", metavar="FILE", required=True, type=PATH, help=what)


def records_option(what: str) -> Decorator:
    """``--output``: the folder that records go to."""
    return click.option(
        "--output",
        type=FOLDER,
        default=Path("results"),
        show_default=True,
        metavar="DIR",
        help=what,
    )


def json_option(what: str = "Print JSON.") -> Decorator:
    """``--json``, handed on as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def file_option(form: str, what: str) -> Decorator:
    """``--json``, ``--markdown`` or ``--junit`` with a file, handed on as ``json_file``, ..."""
    return click.option(f"--{form}", f"{form}_file", type=PATH, metavar="FILE", help=what)


def quiet_option(what: str = "No progress bars.") -> Decorator:
    """``--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help=what)


data_dir_option = click.option(
    "--data-dir",
    type=PATH,
    metavar="DIR",
    help="Local copy of the data, as DIR/xquad-r/en.json; or set HARNESS_DATA.",
)
device_option = click.option(
    "--device", metavar="NAME", help="Device to compute on: cpu, cuda, cuda:1 or mps."
)
offline_option = click.option("--offline", is_flag=True, help="Never use the network.")


def baselines_option() -> Decorator:
    """``--baselines``, handed on as ``folder``."""
    return click.option(
        "--baselines",
        "folder",
        type=PATH,
        default=Path("leaderboards/baselines"),
        show_default=True,
        metavar="DIR",
        help="Folder of tracked baselines.",
    )


def verbose_option(what: str) -> Decorator:
    """``--verbose``."""
    return click.option("-v", "--verbose", is_flag=True, help=what)


def together(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order of the help text."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


query_prompt_option = click.option(
    "--query-prompt", metavar="TEXT", help="Text put before each query."
)
query_prompts_option = click.option(
    "--query-prompt",
    multiple=True,
    metavar="TEXT",
    help="Text put before each query; repeated: a record for each, and one table of what changes.",
)
model_options = together(
    click.option("--passage-prompt", metavar="TEXT", help="Text put before each passage."),
    click.option("--batch-size", type=POSITIVE, metavar="N", help="Texts per batch."),
    click.option(
        "--batch-tokens",
        type=POSITIVE,
        metavar="N",
        help="Tokens per batch, padding included.",
    ),
    click.option(
        "--backend",
        type=click.Choice(["torch", "onnx", "openvino"]),
        default="torch",
        show_default=True,
        help="Backend of a sentence-transformers model.",
    ),
    click.option(
        "--backend-file",
        metavar="NAME",
        help="File of the --backend, if the model has several: onnx/model_O3.onnx.",
    ),
    click.option(
        "--compile", is_flag=True, help="Compile the model with torch first; takes a minute."
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
        help="Number format the model computes with.",
    ),
    device_option,
    click.option(
        "--base-url",
        metavar="URL",
        help="Endpoint of http:NAME, as http://localhost:8000/v1.",
    ),
    click.option(
        "--concurrency", type=POSITIVE, metavar="N", help="Concurrent requests to the endpoint."
    ),
    click.option("--max-length", type=POSITIVE, metavar="N", help="Maximum tokens of a text."),
)
"""Options of a model, without the prompt of queries."""


def engine_options(
    who: str = "Large tasks: who encodes. devices: a process per GPU; ray: a Ray cluster.",
    workers: str = "Number of processes or actors; default: one per device.",
    default: str | None = "local",
) -> Decorator:
    """``--engine`` and ``--workers``."""
    return together(
        click.option(
            "--engine",
            type=click.Choice(["local", "devices", "ray"]),
            default=default,
            show_default=default is not None,
            help=who,
        ),
        click.option("--workers", type=POSITIVE, metavar="N", help=workers),
    )


shard_options = together(
    click.option(
        "--shard-size",
        type=POSITIVE,
        default=8192,
        show_default=True,
        metavar="N",
        help="Large tasks: passages encoded and stored at a time.",
    ),
    click.option(
        "--store-dtype",
        type=click.Choice(["float32", "float16"]),
        default="float32",
        show_default=True,
        help="Number format of stored vectors.",
    ),
)
"""Options of the vector store."""

text_option = click.option(
    "--text", metavar="OPTION", help="What to encode of a passage, for tasks with a choice."
)
memory_option = click.option(
    "--memory", callback=size, metavar="SIZE", help="Memory for the search: 2G, 500M."
)


def refuse_alone(belongs_to: Mapping[str, Sequence[str]]) -> None:
    """Refuse options of the current command that would be ignored.

    Args:
        belongs_to: parameter -> the parameters without which it has no effect: one is enough.

    Raises:
        click.UsageError: one of them is given, and none that it belongs to.
    """
    ctx = click.get_current_context()
    flags = {str(x.name): max(x.opts, key=len) for x in ctx.command.params}

    def is_given(name: str) -> bool:
        return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE

    for name, partners in belongs_to.items():
        if is_given(name) and not any(map(is_given, partners)):
            which = " or ".join(flags[x] for x in partners)
            raise click.UsageError(f"{flags[name]} has no effect without {which}")


def options_of(**given: Any) -> Any:
    """RunOptions and ModelOptions from a command's arguments."""
    from harness.evaluation.options import RunOptions
    from harness.models.base import ModelOptions

    of_model = {k: given.pop(k) for k in list(given) if k in ModelOptions.__dataclass_fields__}
    return RunOptions(offline=of_model["offline"], model=ModelOptions(**of_model), **given)
