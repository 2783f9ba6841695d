"""How to reproduce a tracked record: a command, or a Python call for a run from Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from harness.boards.tracked.fields import TrackedContents
from harness.evaluation.record_fields import Contents, HowRun, ModelFacts, TaskFacts
from harness.evaluation.reproduction import (
    again,
    pairs,
    portable_options,
    portable_word,
    shell_line,
)


def reproduce(contents: Contents | TrackedContents, name: str) -> str:
    """The command line that scores the model of a record on one of its tasks again.

    It is derived from the options of the run. A run possible only from Python gets the call of
    :func:`harness.evaluate`. Records of earlier versions do not contain all options: for them it is
    the command that the user typed, or what follows from the options they contain.
    """
    task = next(x for x in contents.tasks if x.task == name)
    if contents.run is not None:
        return _derived(contents.run, contents.model, task)
    command = contents.command
    if not command or command[1:2] != ("run",):
        return shell_line(_from_facts(contents, task))
    kept: list[str] = []
    named = name
    for pair in pairs(command[1:], command[:1]):
        if pair[0] == "--task":
            if _is_file_of(pair[1], name):
                named = portable_word(pair[1])
        else:
            kept += [portable_word(x) for x in pair]
    return shell_line([*kept, "--task", named])


def _is_file_of(word: str, task: str) -> bool:
    return word.endswith(".toml") and PurePath(word).stem == task


def _derived(run: HowRun, model: ModelFacts, task: TaskFacts) -> str:
    options = portable_options(run.options)
    if task.text != task.text_default:  # also if Python passed a task with another text option
        options = replace(options, text=task.text)
    file = next((x for x in run.tasks if _is_file_of(x, task.task)), None)
    return again(options, [portable_word(file) if file else task.task], model.name)


def _from_facts(contents: Contents | TrackedContents, task: TaskFacts) -> list[str]:
    words = ["harness", "run", "--model", contents.model.name, "--task", task.task]
    for option, value in contents.options.to_dict().items():
        flag = f"--{option.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif (option, value) != ("dtype", "float32"):
            words += [flag, str(value)]
    if task.text != task.text_default:
        words += ["--text", task.text]
    if task.partial.languages is not None:
        words += ["--languages", ",".join(task.partial.languages)]
    if task.partial.limit is not None:
        words += ["--limit", str(task.partial.limit)]
    if task.partial.sample is not None:
        words += ["--sample", str(task.partial.sample.drawn)]
    return words
