"""The command or Python call that reproduces a run, derived from its options.

Every option of :class:`RunOptions` and :class:`ModelOptions` is the flag of the same name, except
those listed here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from harness.data.task import TaskSpec, task_folder
from harness.evaluation.options import BELONGS_TO, RunOptions
from harness.evaluation.record_fields import HowRun
from harness.models.base import ModelOptions

FLAGS: Mapping[str, str] = {
    "measures": "--measure",
    "named": "--model",
    "store": "--no-store",
    "treatments": "--treatment",
}
"""Option -> flag, if the flag is not ``--`` plus the option's name."""

WITHOUT_FLAG: Mapping[str, str] = {
    "bias": "the bias suite can be left out only from Python",
    "model": "contains the options of the model, which have their own flags",
}
"""Option -> why it has no flag."""

REPEATED = frozenset({"measures", "treatments"})
"""Options whose flag is repeated for each value."""

OF_THE_MACHINE = frozenset(
    {
        "concurrency", "data_dir", "engine", "memory", "offline", "shard", "store", "trec",
        "trec_depth", "workers",
    }
)  # fmt: skip
"""Options that change no number: file locations, devices and processes, memory."""

_SHOWN_ALONE = frozenset({"-q", "--quiet", "-v", "--verbose", "--dry-run", "-qv", "-vq"})
_ALONE = _SHOWN_ALONE | {"--offline", "--no-store", "--compile", "--romanise", "--streamed"}


def flag_of(option: str) -> str:
    """``--trec-depth`` of ``trec_depth``."""
    return FLAGS.get(option, f"--{option.replace('_', '-')}")


_DROPPED = frozenset({"--output", "--heads", "--top-k", "--resamples"}) | {
    flag_of(x) for x in OF_THE_MACHINE
}
"""Flags left out of a tracked command, besides those that only affect the output."""


def changed(options: RunOptions) -> dict[str, Any]:
    """Options of a run and of its model that differ from the default, except ``named``."""
    found = {
        x.name: value
        for owner, group in ((RunOptions, options), (ModelOptions, options.model))
        for x in fields(owner)
        if x.name not in ("model", "named")
        and (value := getattr(group, x.name)) != getattr(owner(), x.name)
    }
    return found


def command_line(options: RunOptions, tasks: Sequence[str]) -> list[str] | None:
    """The words of ``harness run`` with these options; ``None`` if no command does the same.

    That is the case for a model passed as a Python object, and for options without a flag. An
    option that has no effect in this run is left out: the command would refuse it.
    """
    given = changed(options)
    given = {k: v for k, v in given.items() if _has_effect(k, given)}
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


def _has_effect(option: str, given: Mapping[str, Any]) -> bool:
    partners = BELONGS_TO.get(option)
    return partners is None or any(x in given for x in partners)


def name_of(spec: TaskSpec) -> str:
    """How to name a task for a run: a built-in one by name, another by its file."""
    return spec.name if spec.path.parent == task_folder() else str(spec.path)


def python_call(options: RunOptions, tasks: Sequence[str], model: str) -> str:
    """The call of :func:`harness.evaluate` with these options.

    ``model`` is its name; a model passed as an object is the variable ``model``, explained by a
    comment.
    """
    named = "model" if options.named is None else repr(options.named)
    words = [named, f"tasks={list(tasks)!r}"]
    for option, value in changed(options).items():
        words.append(f"{option}={(str(value) if isinstance(value, Path) else value)!r}")
    note = f"  # model: the encoder called {model!r}" if options.named is None else ""
    return f"harness.evaluate({', '.join(words)}){note}"


def again(options: RunOptions, tasks: Sequence[str], model: str) -> str:
    """The command that reproduces a run, or the Python call if no command can."""
    words = command_line(options, tasks)
    return python_call(options, tasks, model) if words is None else shell_line(words)


def shell_line(words: Sequence[str]) -> str:
    r"""``words`` as a line of a shell: a prompt's line break is ``$'\n'``, as bash and zsh read it.

    Written as it is, it would be a space where Markdown shows the command.
    """
    return " ".join(shlex.quote(x) if x.isprintable() else _escaped(x) for x in words)


def _escaped(word: str) -> str:
    """``$'...'``: letters that are not printable by their number."""
    plain = word.replace("\\", r"\\").replace("'", r"\'").replace("\n", r"\n")
    letters = (x if x.isprintable() else f"\\U{ord(x):08x}" for x in plain)
    return f"$'{''.join(letters)}'"


def portable_options(options: RunOptions) -> RunOptions:
    """``options`` without those that change no number, and without machine-specific folders."""
    standard, of_model = RunOptions(), ModelOptions()
    run = {x.name for x in fields(RunOptions)} & OF_THE_MACHINE
    model = {x.name for x in fields(ModelOptions)} & OF_THE_MACHINE
    given: dict[str, Any] = {x: getattr(standard, x) for x in run}
    for x in ("named", "rerank", "code_switch", "translate_queries", "expand_queries"):
        value = getattr(options, x)
        given[x] = value and portable_word(value)
    return replace(
        options,
        **given,
        treatments=tuple(map(portable_word, options.treatments)),
        model=replace(options.model, **{x: getattr(of_model, x) for x in model}),
    )


def portable_run(run: HowRun) -> HowRun:
    """``run`` without options that change no number, and without machine-specific folders."""
    tasks = tuple(map(portable_word, run.tasks))
    return HowRun(tasks=tasks, options=portable_options(run.options))


_BEFORE_A_PATH = frozenset(
    {"embeddings", "ctranslate2", "mteb", "offset", "center", "shift", "shift-both", "lir"}
)
"""Forms ``FORM:PATH`` of a value."""


def portable_word(word: str) -> str:
    """An absolute path, alone or after ``FORM:``, without machine-specific folders."""
    if word.startswith("fuse:"):
        return "fuse:" + "+".join(map(portable_word, word.removeprefix("fuse:").split("+")))
    form, colon, path = word.partition(":")
    if form not in _BEFORE_A_PATH:
        form, colon, path = "", "", word
    absolute = Path(path).is_absolute() or PureWindowsPath(path).is_absolute()
    if path.startswith("~") or absolute:
        path = "./" + (PureWindowsPath(path) if "\\" in path else PurePath(path)).name
    return f"{form}{colon}{path}"


def portable(command: Sequence[str]) -> list[str]:
    """``command`` without flags that change no number, and without machine-specific folders."""
    return [portable_word(x) for pair in pairs(command[1:], command[:1]) for x in pair]


def pairs(words: Sequence[str], first: Sequence[str]) -> Iterator[list[str]]:
    """Bare words, then each flag with its value, without flags that change no number."""
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
