"""The command, or the Python call, that makes a run again: derived from its options.

Every option of :class:`RunOptions` and :class:`ModelOptions` is the flag of the same name, but for
those named here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from harness.data.task import TaskSpec, task_folder
from harness.evaluation.options import RunOptions
from harness.evaluation.record_fields import HowRun
from harness.models.base import ModelOptions

FLAGS: Mapping[str, str] = {
    "measures": "--measure",
    "named": "--model",
    "store": "--no-store",
    "treatments": "--treatment",
}
"""Option -> flag, where the flag is not ``--`` and the option's name."""

WITHOUT_FLAG: Mapping[str, str] = {
    "bias": "only Python leaves the bias suite out",
    "model": "holds the options of the model, which have flags of their own",
}
"""Option -> why it has no flag."""

REPEATED = frozenset({"measures", "treatments"})
"""Options whose flag is given once for each value."""

OF_THE_MACHINE = frozenset(
    {
        "concurrency", "data_dir", "engine", "memory", "offline", "shard", "store", "trec",
        "trec_depth", "workers",
    }
)  # fmt: skip
"""Options that change no number: where files are, who computes, how much memory there is."""

_SHOWN_ALONE = frozenset({"-q", "--quiet", "-v", "--verbose", "--dry-run", "-qv", "-vq"})
_ALONE = _SHOWN_ALONE | {"--offline", "--no-store", "--compile", "--streamed"}


def flag_of(option: str) -> str:
    """``--trec-depth`` of ``trec_depth``."""
    return FLAGS.get(option, f"--{option.replace('_', '-')}")


_DROPPED = frozenset({"--output", "--heads", "--top-k", "--resamples"}) | {
    flag_of(x) for x in OF_THE_MACHINE
}
"""Flags that a tracked command does without, beside those that only show something."""


def changed(options: RunOptions) -> dict[str, Any]:
    """Options of a run and of its model that are not the default; ``named`` is left out."""
    found = {
        x.name: value
        for owner, group in ((RunOptions, options), (ModelOptions, options.model))
        for x in fields(owner)
        if x.name not in ("model", "named")
        and (value := getattr(group, x.name)) != getattr(owner(), x.name)
    }
    return found


def command_line(options: RunOptions, tasks: Sequence[str]) -> list[str] | None:
    """The words of ``harness run`` with these options; ``None`` where no command says the same.

    That is so for a model that Python handed over, and for options without a flag.
    """
    given = changed(options)
    if options.named is None or given.keys() & WITHOUT_FLAG.keys():
        return None
    words = ["harness", "run", "--model", options.named]
    words += [word for task in tasks for word in ("--task", task)]
    for option, value in given.items():
        flag = flag_of(option)
        if isinstance(value, bool):
            words.append(flag)
        elif option in REPEATED:
            words += [word for x in value for word in (flag, x)]
        elif isinstance(value, tuple):
            words += [flag, ("/" if option == "shard" else ",").join(map(str, value))]
        else:
            words += [flag, str(value)]
    return words


def name_of(spec: TaskSpec) -> str:
    """How a task is named to run it: one that comes along by its name, another by its file."""
    return spec.name if spec.path.parent == task_folder() else str(spec.path)


def python_call(options: RunOptions, tasks: Sequence[str], model: str) -> str:
    """The call of :func:`harness.evaluate` with these options.

    ``model`` is its name; a model that Python handed over is the variable ``model``, which a
    comment explains.
    """
    named = "model" if options.named is None else repr(options.named)
    words = [named, f"tasks={list(tasks)!r}"]
    for option, value in changed(options).items():
        words.append(f"{option}={(str(value) if isinstance(value, Path) else value)!r}")
    note = f"  # model: the encoder called {model!r}" if options.named is None else ""
    return f"harness.evaluate({', '.join(words)}){note}"


def again(options: RunOptions, tasks: Sequence[str], model: str) -> str:
    """The command that makes a run again, or where there is none the Python call."""
    words = command_line(options, tasks)
    return python_call(options, tasks, model) if words is None else shlex.join(words)


def portable_options(options: RunOptions) -> RunOptions:
    """``options`` without what changes no number and without folders of one machine."""
    standard, of_model = RunOptions(), ModelOptions()
    run = {x.name for x in fields(RunOptions)} & OF_THE_MACHINE
    model = {x.name for x in fields(ModelOptions)} & OF_THE_MACHINE
    given: dict[str, Any] = {x: getattr(standard, x) for x in run}
    for x in ("named", "rerank", "translate_queries", "expand_queries"):
        value = getattr(options, x)
        given[x] = value and portable_word(value)
    return replace(
        options,
        **given,
        treatments=tuple(map(portable_word, options.treatments)),
        model=replace(options.model, **{x: getattr(of_model, x) for x in model}),
    )


def portable_run(run: HowRun) -> HowRun:
    """``run`` without what changes no number and without folders of one machine."""
    tasks = tuple(map(portable_word, run.tasks))
    return HowRun(tasks=tasks, options=portable_options(run.options))


def portable_word(word: str) -> str:
    """An absolute path, alone or after ``FORM:``, without the folders that only its machine has."""
    form, colon, path = word.partition(":")
    if form not in ("embeddings", "offset", "ctranslate2", "mteb"):
        form, colon, path = "", "", word
    absolute = Path(path).is_absolute() or PureWindowsPath(path).is_absolute()
    if path.startswith("~") or absolute:
        path = "./" + (PureWindowsPath(path) if "\\" in path else PurePath(path)).name
    return f"{form}{colon}{path}"


def portable(command: Sequence[str]) -> list[str]:
    """``command`` without flags that change no number, and without folders of one machine."""
    return [portable_word(x) for pair in pairs(command[1:], command[:1]) for x in pair]


def pairs(words: Sequence[str], first: Sequence[str]) -> Iterator[list[str]]:
    """Each flag with its value, those that change no number left out; first the bare words."""
    yield [*first, *words[:1]]
    at = 1
    while at < len(words):
        flag, equals, value = words[at].partition("=")
        at += 1
        if equals and flag.startswith("--"):
            pair = [flag, value]
        elif (
            flag in _ALONE
            or not flag.startswith("-")
            or at == len(words)
            or words[at].startswith("-")
        ):
            pair = [words[at - 1]]
        else:
            pair = [flag, words[at]]
            at += 1
        if pair[0] not in _DROPPED | _SHOWN_ALONE:
            yield pair
