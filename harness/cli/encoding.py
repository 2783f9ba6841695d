"""Options about a model and about who encodes, as several commands take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_POSITIVE = click.IntRange(min=1)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a user sets for a model."""
    for option in reversed(
        (
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
            click.option(
                "--compile", is_flag=True, help="Have torch compile the model first: a minute."
            ),
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
            click.option(
                "--concurrency", type=_POSITIVE, metavar="N", help="Requests to it at a time."
            ),
            click.option(
                "--max-length", type=_POSITIVE, metavar="N", help="Tokens of a text that are read."
            ),
        )
    ):
        command = option(command)
    return command


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who encodes a corpus."""
    for option in reversed(
        (
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
    ):
        command = option(command)
    return command


def options_of(**given: Any) -> Any:
    """Options of a run and of its model, from a command's arguments."""
    from harness.models.base import ModelOptions
    from harness.prepare import RunOptions

    of_model = {k: given.pop(k) for k in list(given) if k in ModelOptions.__dataclass_fields__}
    return RunOptions(offline=of_model["offline"], model=ModelOptions(**of_model), **given)
