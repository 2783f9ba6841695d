"""Help texts in sections: options of large commands, and the commands themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

_REST = "Other options"
_HELP = "--help"


class SectionedCommand(click.Command):
    """A command whose help lists its options in sections, titled and in a given order."""

    def __init__(self, *args: Any, sections: Mapping[str, str], **kwargs: Any) -> None:
        """Take ``sections``: title -> names of parameters, separated by spaces.

        Options that no section names follow in one of their own.
        """
        super().__init__(*args, **kwargs)
        self.sections = {title: names.split() for title, names in sections.items()}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options section by section."""
        own = {id(x) for x in self.params}
        records = {
            # click names its own option differently from version to version.
            str(param.name) if id(param) in own else _HELP: record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option)
            if (record := param.get_help_record(ctx)) is not None
        }
        *titles, last = self.sections
        for title in titles:
            _write(formatter, title, _taken(records, self.sections[title]))
        _write(formatter, last, _taken(records, [*self.sections[last], _HELP]))
        _write(formatter, _REST, list(records.values()))


class SectionedGroup(SectionedCommand, click.Group):
    """A group whose help lists its options in sections, and then its commands."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options section by section, and the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def _taken(records: dict[str, tuple[str, str]], names: Sequence[str]) -> list[tuple[str, str]]:
    return [records.pop(name) for name in names if name in records]


def _write(formatter: click.HelpFormatter, title: str, records: Sequence[tuple[str, str]]) -> None:
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def write_commands(
    group: click.Group,
    ctx: click.Context,
    formatter: click.HelpFormatter,
    sections: Mapping[str, str],
) -> None:
    """Write the commands of ``group`` in sections: title -> names, separated by spaces.

    Commands that no section names follow in one of their own.
    """
    left = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    named = [(title, names.split()) for title, names in sections.items()]
    named.append(("Other commands", [x for x in left if not any(x in y for _, y in named)]))
    width = formatter.width - 6 - max(map(len, left), default=0)
    for title, names in named:
        rows = [
            (name, command.get_short_help_str(width))
            for name in names
            if (command := left.get(name)) is not None and not command.hidden
        ]
        _write(formatter, title, rows)
