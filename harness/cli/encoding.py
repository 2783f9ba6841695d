"""Options about a model, about who encodes and how, as several commands take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from harness.cli.options import Decorator, size

_POSITIVE = click.IntRange(min=1)


def together(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order in which help shows them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


model_options = together(
    click.option("--query-prompt", metavar="TEXT", help="Put before each query."),
    click.option("--passage-prompt", metavar="TEXT", help="Put before each passage."),
    click.option("--batch-size", type=_POSITIVE, metavar="N", help="Texts per batch."),
    click.option(
        "--batch-tokens",
        type=_POSITIVE,
        metavar="N",
        help="Tokens per batch, padding included.",
    ),
    click.option(
        "--backend",
        type=click.Choice(["torch", "onnx", "openvino"]),
        default="torch",
        show_default=True,
        help="What runs a sentence-transformers model.",
    ),
    click.option(
        "--backend-file",
        metavar="NAME",
        help="Which export of several: onnx/model_O3.onnx.",
    ),
    click.option("--compile", is_flag=True, help="Have torch compile the model first: a minute."),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
        help="Numbers that the model computes with.",
    ),
    click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps."),
    click.option(
        "--base-url",
        metavar="URL",
        help="Of the endpoint of http:NAME, as http://localhost:8000/v1.",
    ),
    click.option("--concurrency", type=_POSITIVE, metavar="N", help="Requests to it at a time."),
    click.option(
        "--max-length", type=_POSITIVE, metavar="N", help="Tokens of a text that are read."
    ),
)
"""What a user sets for a model."""

engine_options = together(
    click.option(
        "--engine",
        type=click.Choice(["local", "devices", "ray"]),
        default="local",
        show_default=True,
        help="Of large tasks: who encodes. devices: a process per GPU; ray: a Ray cluster.",
    ),
    click.option(
        "--workers",
        type=_POSITIVE,
        metavar="N",
        help="Processes or actors, if not one per device.",
    ),
)
"""Who encodes a corpus."""

shard_options = together(
    click.option(
        "--shard-size",
        type=_POSITIVE,
        default=8192,
        show_default=True,
        metavar="N",
        help="Of large tasks: passages encoded and stored at a time.",
    ),
    click.option(
        "--store-dtype",
        type=click.Choice(["float32", "float16"]),
        default="float32",
        show_default=True,
        help="Numbers that vectors are kept in.",
    ),
)
"""How vectors are kept."""

text_option = click.option(
    "--text", metavar="OPTION", help="What is encoded of a passage, where tasks choose."
)
memory_option = click.option(
    "--memory", callback=size, metavar="SIZE", help="For the search: 2G, 500M."
)


def options_of(**given: Any) -> Any:
    """Options of a run and of its model, from a command's arguments."""
    from harness.evaluation.options import RunOptions
    from harness.models.base import ModelOptions

    of_model = {k: given.pop(k) for k in list(given) if k in ModelOptions.__dataclass_fields__}
    return RunOptions(offline=of_model["offline"], model=ModelOptions(**of_model), **given)
