"""What a task is: a frozen :class:`TaskSpec`, read strictly from a TOML file.

A task file is data, not code. Unknown or missing keys, wrong types and unknown languages are errors
that name the file and the key.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

from harness.base.languages import LANGUAGES, is_language
from harness.base.reading import parse_toml, read_bytes
from harness.base.toml_table import Table
from harness.data.task_source import LAYOUTS, Source, read_source
from harness.errors import TaskError, did_you_mean

Kind = Literal["mono", "cross", "multi"]
Role = Literal["query", "passage"]
KINDS: tuple[Kind, ...] = ("mono", "cross", "multi")


class Setting(NamedTuple):
    """One retrieval run: the queries of one language against one pool."""

    kind: Kind
    query_language: str
    passage_language: str | None
    """``None`` for ``multi``: the pool of all languages."""

    @property
    def name(self) -> str:
        """``mono/de``, ``cross/de-en``, ``multi/de``."""
        if self.kind == "cross":
            return f"cross/{self.query_language}-{self.passage_language}"
        return f"{self.kind}/{self.query_language}"


@dataclass(frozen=True)
class TaskSpec:
    """One task, as declared in its file."""

    name: str
    title: str
    description: str
    reader: str
    languages: tuple[str, ...]
    kinds: tuple[Kind, ...]
    text: str
    """The text option in use: one of ``texts``."""
    default_text: str
    """The default in the task file."""
    texts: tuple[str, ...]
    measures: tuple[str, ...]
    size: Literal["small", "large"]
    license: str
    citation: str
    source: Source
    path: Path
    digest: str
    """SHA-256 of the task file's bytes."""
    optional: tuple[Kind, ...] = ()
    """Those of ``kinds`` that run only on request."""
    default: bool = True
    """Whether it runs by default, if it is small."""

    @property
    def runs_unnamed(self) -> bool:
        """Whether it runs if no task is named."""
        return self.size == "small" and self.default

    @property
    def streamed(self) -> bool:
        """Whether its passages are streamed, so that they need not fit into memory."""
        return self.source.corpus is not None

    def settings(
        self, languages: Sequence[str] | None = None, kinds: Sequence[Kind] | None = None
    ) -> tuple[Setting, ...]:
        """Settings over ``languages`` in the task's order: mono, cross (ordered pairs), multi.

        Without ``kinds``: all except optional ones.
        """
        langs = [x for x in self.languages if languages is None or x in languages]
        chosen = [k for k in self.kinds if k not in self.optional] if kinds is None else kinds
        wanted = [k for k in self.kinds if k in chosen]
        found: list[Setting] = []
        if "mono" in wanted:
            found += [Setting("mono", x, x) for x in langs]
        if "cross" in wanted:
            found += [Setting("cross", q, p) for q in langs for p in langs if q != p]
        if "multi" in wanted:
            found += [Setting("multi", x, None) for x in langs]
        return tuple(found)

    def needed_files(self, languages: Sequence[str] | None = None) -> tuple[str, ...]:
        """Names of the files for ``languages`` (default: all of the task's)."""
        langs = [x for x in self.languages if languages is None or x in languages]
        return self.source.needed(self.reader, langs)


_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
# Syntax only: harness.metrics knows the measures, and packages can add some.
_MEASURE = re.compile(r"[a-z][a-z0-9_]*(@[1-9][0-9]{0,5})?")


def _languages(table: Table) -> tuple[str, ...]:
    found = table.strings("languages")
    for code in found:
        if not is_language(code):
            raise table.error(
                "languages",
                f"contains {code!r}, which is not a language code (ISO 639, such as 'de', 'yue' or "
                f"'zh-Hant'; 'qaa' to 'qtz' are free for others){did_you_mean(code, LANGUAGES)}",
            )
    return found


def _measures(table: Table) -> tuple[str, ...]:
    found = table.strings("measures")
    for measure in found:
        if _MEASURE.fullmatch(measure) is None:
            raise table.error(
                "measures",
                f"contains {measure!r}; a measure is written as 'map', 'rank_distance' or, with a "
                "cutoff, 'ndcg@10'",
            )
    return found


_KEYS = (
    "name", "title", "description", "reader", "languages", "settings", "text", "texts",
    "measures", "size", "default", "license", "citation", "source", "optional",
)  # fmt: skip


def read_task(path: str | Path, *, text: str | None = None) -> TaskSpec:
    """Read one task file.

    Args:
        path: the TOML file.
        text: the text option to use instead of the file's default.

    Raises:
        TaskError: the file cannot be read, is not TOML, has unknown or missing keys or invalid
            values, or does not offer ``text``.
    """
    path = Path(path)
    raw = read_bytes(path, TaskError)
    table = Table(path, parse_toml(raw, path, TaskError))
    table.only(_KEYS)
    name = table.string("name")
    if _NAME.fullmatch(name) is None:
        raise table.error(
            "name", f"must be lower-case letters, digits, '.', '_' and '-', not {name!r}"
        )
    reader = table.one_of("reader", table.string("reader"), LAYOUTS)
    languages = _languages(table)
    if not LAYOUTS[reader].multilingual and len(languages) > 1:
        raise table.error(
            "languages",
            f"names {len(languages)}, but reader {reader!r} takes one language; write one task "
            "file per language, or use reader 'simple'",
        )
    kinds = tuple(table.one_of("settings", kind, KINDS) for kind in table.strings("settings"))
    optional = table.strings("optional") if "optional" in table.values else ()
    for kind in optional:
        table.one_of("optional", kind, kinds)
    if len(optional) == len(kinds):
        raise table.error("optional", "leaves nothing to run by default: remove one kind")
    default = table.one_of("text", table.string("text"), LAYOUTS[reader].texts)
    texts = table.strings("texts", [default])
    for option in texts:
        table.one_of("texts", option, LAYOUTS[reader].texts)
    table.one_of("text", default, texts)
    if text is not None and text not in texts:
        hint = did_you_mean(text, texts)
        raise TaskError(f"{path}: task {name!r} offers text {', '.join(texts)}, not {text!r}{hint}")
    return TaskSpec(
        name=name,
        title=table.string("title"),
        description=table.string("description"),
        reader=reader,
        languages=languages,
        kinds=cast("tuple[Kind, ...]", tuple(kind for kind in KINDS if kind in kinds)),
        text=default if text is None else text,
        default_text=default,
        texts=texts,
        measures=_measures(table),
        size=cast(
            'Literal["small", "large"]',
            table.one_of("size", table.string("size", "small"), ("small", "large")),
        ),
        license=table.string("license"),
        citation=table.string("citation", "").strip(),
        source=read_source(table.table("source"), reader, languages),
        path=path,
        digest=hashlib.sha256(raw).hexdigest(),
        optional=cast("tuple[Kind, ...]", tuple(kind for kind in KINDS if kind in optional)),
        default=table.boolean("default", True),
    )


def task_folder() -> Path:
    """The folder of the built-in tasks.

    In a checkout the top-level ``tasks/``, in an installed package ``harness/task_files/``.
    """
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "tasks").is_dir():
        return checkout / "tasks"
    return Path(str(importlib.resources.files("harness") / "task_files"))


def list_tasks() -> list[TaskSpec]:
    """All built-in tasks, by name.

    Raises:
        TaskError: one of their files is wrong.
    """
    return [read_task(path) for path in sorted(task_folder().glob("*.toml"), key=_stem)]


def _stem(path: Path) -> str:
    return path.stem


def default_tasks() -> list[TaskSpec]:
    """The tasks that run by default: the small ones, except those with ``default = false``.

    Raises:
        TaskError: a task file is wrong.
    """
    return [spec for spec in list_tasks() if spec.runs_unnamed]


def find_task(name_or_path: str, *, text: str | None = None) -> TaskSpec:
    """Find a task by name (``xquad-r``), or read a task file (``./my-task.toml``).

    Raises:
        TaskError: no such task, or its file is wrong.
    """
    if name_or_path.endswith(".toml"):
        return read_task(name_or_path, text=text)
    known = sorted(path.stem for path in task_folder().glob("*.toml"))
    if name_or_path in known:
        return read_task(task_folder() / f"{name_or_path}.toml", text=text)
    hint = did_you_mean(name_or_path, known)
    raise TaskError(
        f"unknown task {name_or_path!r}: known are {', '.join(known)}, "
        f"or the path of a task file ending in .toml{hint}"
    )
