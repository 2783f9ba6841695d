"""The command that makes a record's numbers again, without what is the machine's alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath, PureWindowsPath

from harness.boards.tracked.fields import TrackedContents
from harness.evaluation.record_fields import Contents

# Flags of `harness run` that change no number: where things lie, what is shown, how much memory.
_WITH_VALUE = frozenset(
    (
        "--output",
        "--trec",
        "--trec-depth",
        "--data-dir",
        "--memory",
        "--resamples",
        "--top-k",
        "--concurrency",
    )
)
_ALONE = frozenset(
    ("-q", "--quiet", "-v", "--verbose", "--offline", "--no-store", "--dry-run", "-qv", "-vq")
)
_TASK = "--task"


def portable(command: Sequence[str]) -> list[str]:
    """``command`` without flags that change no number, and without folders of one machine."""
    return [_plain(x) for pair in _pairs(command[1:], command[:1]) for x in pair]


def reproduce(contents: Contents | TrackedContents, task: str) -> str:
    """The command line that scores the model of a record on one of its tasks again.

    Runs started from Python get the command that says the same.
    """
    command = contents.command
    if not command or command[1:2] != ("run",):
        return shlex.join(_from_facts(contents, task))
    kept: list[str] = []
    named = task
    for pair in _pairs(command[1:], command[:1]):
        if pair[0] == _TASK:
            if PurePath(pair[1]).stem == task and pair[1].endswith(".toml"):
                named = _plain(pair[1])
        else:
            kept += [_plain(x) for x in pair]
    return shlex.join([*kept, _TASK, named])


def _from_facts(contents: Contents | TrackedContents, name: str) -> list[str]:
    task = next(x for x in contents.tasks if x.task == name)
    command = ["harness", "run", "--model", contents.model.name, _TASK, name]
    for option, value in contents.options.to_dict().items():
        if (option, value) != ("dtype", "float32"):
            command += [f"--{option.replace('_', '-')}", str(value)]
    if task.text != task.text_default:
        command += ["--text", task.text]
    if task.partial.languages is not None:
        command += ["--languages", ",".join(task.partial.languages)]
    if task.partial.limit is not None:
        command += ["--limit", str(task.partial.limit)]
    if task.partial.sample is not None:
        command += ["--sample", str(task.partial.sample.drawn)]
    return command


def _pairs(words: Sequence[str], head: Sequence[str]) -> Iterator[list[str]]:
    """Each flag with its value, those that change no number left out; first the bare words."""
    yield [*head, *words[:1]]
    at = 1
    while at < len(words):
        flag, equals, value = words[at].partition("=")
        at += 1
        if equals and flag.startswith("--"):
            pair = [flag, value]
        elif flag not in _ALONE and flag.startswith("-") and at < len(words):
            if words[at].startswith("-"):
                pair = [words[at - 1]]
            else:
                pair = [flag, words[at]]
                at += 1
        else:
            pair = [words[at - 1]]
        if pair[0] not in _WITH_VALUE and pair[0] not in _ALONE:
            yield pair


def _plain(word: str) -> str:
    """An absolute path without the folders that only its machine has."""
    form, colon, path = word.partition(":") if word.startswith("embeddings:") else ("", "", word)
    absolute = Path(path).is_absolute() or PureWindowsPath(path).is_absolute()
    if path.startswith("~") or absolute:
        path = "./" + (PureWindowsPath(path) if "\\" in path else PurePath(path)).name
    return f"{form}{colon}{path}"
