"""What a task is: a frozen :class:`TaskSpec`, read strictly from a TOML file.

A task file is data, not code. Unknown or missing keys, wrong types and unknown languages are errors
that name the file and the key.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from harness.base.reading import parse_toml, read_bytes
from harness.base.strict import MANY, Check, Complaints, Languages, Text, Texts, read_as
from harness.data.task_source import LAYOUTS, Layout, Source, SourceTable, source_from
from harness.errors import TaskError, did_you_mean

Kind = Literal["mono", "cross", "multi", "pairs"]
Role = Literal["query", "passage"]
KINDS: tuple[Kind, ...] = ("mono", "cross", "multi")
"""The kinds that a task file can have."""
RUN_KINDS: tuple[Kind, ...] = (*KINDS, "pairs")
"""The kinds that a run can be restricted to: a task with ``multi`` has ``pairs`` on request."""


class Setting(NamedTuple):
    """One retrieval run: the queries of one language against one pool."""

    kind: Kind
    query_language: str
    passage_language: str | None
    """``None`` for ``multi``: the pool of all languages. For ``pairs`` the other language of the
    pool, which has passages in the query's language too."""

    @property
    def name(self) -> str:
        """``mono/de``, ``cross/de-en``, ``multi/de``, ``pairs/de-en``."""
        if self.kind in ("cross", "pairs"):
            return f"{self.kind}/{self.query_language}-{self.passage_language}"
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
    query_languages: tuple[str, ...] = ()
    """Those of ``languages`` with queries; empty: all."""
    passage_languages: tuple[str, ...] = ()
    """Those of ``languages`` with passages; empty: all."""

    def with_queries(self, languages: Iterable[str] | None = None) -> list[str]:
        """Those of ``languages`` (default: the task's) with queries, in the task's order."""
        return self._of(self.query_languages, languages)

    def with_passages(self, languages: Iterable[str] | None = None) -> list[str]:
        """Those of ``languages`` (default: the task's) with passages, in the task's order."""
        return self._of(self.passage_languages, languages)

    def _of(self, side: tuple[str, ...], languages: Iterable[str] | None) -> list[str]:
        among = self.languages if languages is None else set(languages)
        return [x for x in self.languages if x in among and x in (side or self.languages)]

    @property
    def runs_unnamed(self) -> bool:
        """Whether it runs if no task is named."""
        return self.size == "small" and self.default

    @property
    def images(self) -> bool:
        """Whether its passages are images (:mod:`harness.data.images`)."""
        return self.text == "image"

    @property
    def streamed(self) -> bool:
        """Whether its passages are streamed, so that they need not fit into memory."""
        return self.source.corpus is not None

    def settings(
        self, languages: Sequence[str] | None = None, kinds: Sequence[Kind] | None = None
    ) -> tuple[Setting, ...]:
        """Settings over ``languages`` in the task's order: mono, cross (ordered pairs), multi.

        Without ``kinds``: all except optional ones. ``pairs`` come last, and only if named.
        """
        queries, passages = self.with_queries(languages), self.with_passages(languages)
        both = [x for x in queries if x in passages]
        chosen = [k for k in self.kinds if k not in self.optional] if kinds is None else kinds
        listed = [k for k in self.kinds if k in chosen]
        found: list[Setting] = []
        if "mono" in listed:
            found += [Setting("mono", x, x) for x in both]
        if "cross" in listed:
            found += [Setting("cross", q, p) for q in queries for p in passages if q != p]
        if "multi" in listed:
            found += [Setting("multi", x, None) for x in queries]
        if "pairs" in chosen and "multi" in self.kinds:
            found += [Setting("pairs", q, p) for q in both for p in passages if q != p]
        return tuple(found)

    def needed_files(self, languages: Sequence[str] | None = None) -> tuple[str, ...]:
        """Names of the files for ``languages`` (default: all of the task's)."""
        return self.source.needed(
            self.reader,
            self.with_queries(languages),
            self.with_passages(languages),
            images=self.images,
        )


_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
# Syntax only: harness.metrics knows the measures, and packages can add some.
_MEASURE = re.compile(r"[a-z][a-z0-9_]*(@[1-9][0-9]{0,5})?")


def _plain_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"must be lower-case letters, digits, '.', '_' and '-', not {name!r}")
    return name


def _measure(name: str) -> str:
    if _MEASURE.fullmatch(name) is None:
        raise ValueError(
            f"contains {name!r}; a measure is written as 'map', 'rank_distance' or, with a cutoff, "
            "'ndcg@10'"
        )
    return name


_FileKind = Literal["mono", "cross", "multi"]


@dataclass(frozen=True)
class _TaskTable:
    name: Annotated[Text, Check(_plain_name)]
    title: Text
    description: Text
    reader: Text
    languages: Languages
    settings: Annotated[tuple[_FileKind, ...], *MANY]
    text: Text
    measures: Annotated[tuple[Annotated[str, Check(_measure)], ...], *MANY]
    license: Text
    source: SourceTable
    texts: Texts = ()
    size: Literal["small", "large"] = "small"
    default: bool = True
    citation: str = ""
    optional: Annotated[tuple[_FileKind, ...], *MANY] = ()
    query_languages: Annotated[tuple[str, ...], *MANY] = ()
    passage_languages: Annotated[tuple[str, ...], *MANY] = ()


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
    table = read_as(_TaskTable, parse_toml(raw, path, TaskError), path, TaskError)
    refuse = Complaints(path, TaskError)
    refuse.unless_one_of("reader", table.reader, LAYOUTS)
    layout = LAYOUTS[table.reader]
    if not layout.multilingual and len(table.languages) > 1:
        refuse(
            "languages",
            f"names {len(table.languages)}, but reader {table.reader!r} takes one language; write "
            "one task file per language, or use reader 'simple'",
        )
    for kind in table.optional:
        refuse.unless_one_of("optional", kind, table.settings)
    if len(table.optional) == len(table.settings):
        refuse("optional", "leaves nothing to run by default: remove one kind")
    _check_sides(table, layout, refuse)
    texts = table.texts or (table.text,)
    _check_images(table, texts, refuse)
    refuse.unless_one_of("text", table.text, layout.texts)
    for option in texts:
        refuse.unless_one_of("texts", option, layout.texts)
    refuse.unless_one_of("text", table.text, texts)
    if text is not None and text not in texts:
        hint = did_you_mean(text, texts)
        raise TaskError(
            f"{path}: task {table.name!r} offers text {', '.join(texts)}, not {text!r}{hint}"
        )
    return TaskSpec(
        name=table.name,
        title=table.title,
        description=table.description,
        reader=table.reader,
        languages=table.languages,
        kinds=tuple(kind for kind in KINDS if kind in table.settings),
        text=table.text if text is None else text,
        default_text=table.text,
        texts=texts,
        measures=table.measures,
        size=table.size,
        license=table.license,
        citation=table.citation.strip(),
        source=source_from(
            table.source,
            table.reader,
            table.languages,
            (
                table.query_languages or table.languages,
                table.passage_languages or table.languages,
            ),
            refuse.within("source"),
        ),
        path=path,
        digest=hashlib.sha256(raw).hexdigest(),
        optional=tuple(kind for kind in KINDS if kind in table.optional),
        default=table.default,
        query_languages=table.query_languages,
        passage_languages=table.passage_languages,
    )


def _check_sides(table: _TaskTable, layout: Layout, refuse: Complaints) -> None:
    """``query_languages`` and ``passage_languages`` are languages, and leave each one something."""
    for key in ("query_languages", "passage_languages"):
        named = getattr(table, key)
        if named and layout.stream is None:
            refuse(key, f"is not for reader {table.reader!r}, whose languages have both")
        for language in named:
            refuse.unless_one_of(key, language, table.languages)
    if table.query_languages and table.passage_languages:
        for language in table.languages:
            if language not in (*table.query_languages, *table.passage_languages):
                refuse(
                    "languages",
                    f"has {language!r}, which is neither among 'query_languages' nor among "
                    "'passage_languages'",
                )


def _check_images(table: _TaskTable, texts: Sequence[str], refuse: Complaints) -> None:
    """Text option ``image`` is there if and only if the images are, and not for streams."""
    source = refuse.within("source")
    pattern = (table.source.paths or {}).get("images")
    if ("image" in texts) != (pattern is not None):
        if pattern is None:
            source("paths.images", "is missing: the table or folder of images of text 'image'")
        refuse("texts", "must offer 'image', since 'source.paths.images' says where they are")
    if pattern is None:
        return
    if table.source.corpus is not None:
        source("corpus", "is not for passages that are images")
    if not pattern.endswith((".parquet", "/")):
        source("paths.images", f"must be a .parquet table or a folder/, not {pattern!r}")
    if pattern.endswith("/") and (table.source.repository or table.source.url):
        source("paths.images", "must be a .parquet table where files are downloaded")


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
    return [read_task(task_folder() / f"{name}.toml") for name in _names()]


def _names() -> list[str]:
    """Names of the built-in tasks; hidden files, as macOS makes them, are none."""
    return sorted(x.stem for x in task_folder().glob("*.toml") if not x.name.startswith("."))


def default_tasks() -> list[TaskSpec]:
    """The tasks that run by default: the small ones, except those with ``default = false``.

    Raises:
        TaskError: a task file is wrong.
    """
    return [spec for spec in list_tasks() if spec.runs_unnamed]


def find_task(name_or_path: str | Path, *, text: str | None = None) -> TaskSpec:
    """Find a task by name (``xquad-r``), or read a task file (``./my-task.toml``).

    Raises:
        TaskError: no such task, or its file is wrong.
    """
    name_or_path = str(name_or_path)
    if name_or_path.endswith(".toml"):
        return read_task(name_or_path, text=text)
    known = _names()
    if name_or_path in known:
        return read_task(task_folder() / f"{name_or_path}.toml", text=text)
    hint = did_you_mean(name_or_path, known)
    raise TaskError(
        f"unknown task {name_or_path!r}: known are {', '.join(known)}, "
        f"or the path of a task file ending in .toml{hint}"
    )
