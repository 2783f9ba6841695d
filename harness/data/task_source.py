"""Where a task's files come from, and which ones its reader uses: the table ``[source]``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import Annotated, Literal, NamedTuple

from harness.base.languages import is_language
from harness.base.strict import Check, Complaints, Text, Texts, at_least
from harness.errors import did_you_mean

Pairing = Literal["heading", "next"]
PAIRINGS: tuple[Pairing, ...] = ("heading", "next")
Part = Literal["all", "train", "test"]
PARTS: tuple[Part, ...] = ("all", "train", "test")


@dataclass(frozen=True)
class SegmentSource:
    """One file of segments, and how it becomes a task."""

    file: str
    """Name in the source's folder, ``.jsonl`` or ``.jsonl.gz``."""
    pairing: Pairing
    part: Part
    pivot: str
    """Language that decides what is a heading; one of the task's."""
    codes: Mapping[str, str]
    """Language -> its code in the file, if different."""


class Layout(NamedTuple):
    """A reader's input: its text options, and the names of its files."""

    texts: tuple[str, ...]
    shared: tuple[str, ...]
    per_language: tuple[str, ...]
    """Name patterns with ``{language}``; empty: the reader takes one language, or roles."""
    corpus: str | None = None
    """Name pattern of streamed passages, with ``{language}`` and ``{number}`` from 0; ``None``:
    passages are among the files above and loaded into memory."""
    one_file: bool = False
    """The task file names the one file with all languages."""
    roles: Mapping[str, str | None] = {}
    """Role -> its default pattern if ``[source.paths]`` has none; ``None``: it must have one;
    ``""``: it may have none.
    Patterns contain ``{language}``, ``{code}``, or neither: one file for all languages."""
    stream: str | None = None
    """The role that is streamed if the task file has ``[source.corpus]``."""

    @property
    def multilingual(self) -> bool:
        """Whether one task of this layout can have several languages."""
        return bool(self.per_language or self.one_file or self.roles)


_TITLED = ("title-newline-text", "title-space-text", "text")

LAYOUTS: Mapping[str, Layout] = {
    "lareqa": Layout(("sentence", "sentence-context"), (), ("{language}.json",)),
    "simple": Layout(
        _TITLED, ("qrels.tsv",), ("queries.{language}.jsonl", "passages.{language}.jsonl")
    ),
    "beir": Layout(_TITLED, ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"), ()),
    "miracl": Layout(
        _TITLED,
        (),
        (
            "miracl-v1.0-{language}/topics/topics.miracl-v1.0-{language}-dev.tsv",
            "miracl-v1.0-{language}/qrels/qrels.miracl-v1.0-{language}-dev.tsv",
        ),
        corpus="miracl-corpus-v1.0-{language}/docs-{number}.jsonl.gz",
    ),
    "segments": Layout(("text",), (), (), one_file=True),
    "squad": Layout(("text",), (), (), roles={"articles": "{language}.json"}),
    "rows": Layout(("text",), (), (), roles={"rows": None}),
    "tables": Layout(
        (*_TITLED, "image"),
        (),
        (),
        roles={"queries": None, "passages": None, "qrels": None, "images": ""},
        stream="passages",
    ),
}
"""Reader name -> its input. The readers themselves are in :mod:`harness.data.loading`."""


@dataclass(frozen=True)
class CorpusSource:
    """Where the passages of a large task come from."""

    repository: str | None
    """Data set on the hub, ``ORG/NAME``; ``None`` for local files."""
    revision: str | None
    passages: Mapping[str, int]
    """Language -> passages of the full corpus; empty: unknown, so samples cannot be recognised."""
    files: Mapping[str, int]
    """Language -> number of files of the full corpus."""
    pattern: str
    """Pattern of their names, with ``{number}`` if a language can have several."""


class QuerySource(NamedTuple):
    """Where the queries of a task come from, if not from where its passages do."""

    repository: str
    """Data set on the hub, ``ORG/NAME``."""
    revision: str
    url: str
    """Base URL ending in ``/``."""


@dataclass(frozen=True)
class Source:
    """Where a task's files come from."""

    folder: str
    """Name of the task's folder under a data directory (``xquad-r``); for local sources a path."""
    url: str | None
    """Base URL ending in ``/`` with the revision already filled in; ``None`` for local files."""
    revision: str | None
    files: Mapping[str, str]
    """File name -> SHA-256 hex; empty for local sources without checksums."""
    repository: str | None = None
    """Data set on the hub, ``ORG/NAME``, of ``url``: downloaded through the hub's library."""
    corpus: CorpusSource | None = None
    segments: SegmentSource | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    """Role -> name pattern, for readers whose files are named in the task file."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Language -> ``{code}`` in these patterns, if different."""
    checksums: Literal["files", "hub"] = "files"
    """``hub``: each file is compared with the hub's checksum for it at the revision."""
    ignore_identical_ids: bool | None = None
    """Whether a query's ranking leaves out the passage with its own id; ``None``: not stated."""
    parallel: bool = True
    """Whether the same question id in several languages is one question."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of a row's question, passage and their ids, for reader ``rows``."""
    queries: QuerySource | None = None
    """Where the queries come from, if from a repository of their own."""

    def needed(
        self, reader: str, queries: Sequence[str], passages: Sequence[str], *, images: bool = True
    ) -> tuple[str, ...]:
        """Names of the files for languages with queries and with passages, except streamed ones.

        Without ``images`` tables of images are left out; folders of them always are.
        """
        if self.segments is not None:
            return (self.segments.file,)
        layout = LAYOUTS[reader]
        both = tuple(dict.fromkeys((*queries, *passages)))
        named = [p.format(language=x) for x in both for p in layout.per_language]
        streamed = layout.stream if self.corpus is not None else None
        for language in both:
            for role in self.paths:
                # Judgements are about the passages of a language.
                has = queries if role == "queries" else passages
                name = self.file(role, language)
                if role == "images" and not (images and name.endswith(".parquet")):
                    continue
                if role != streamed and language in has:
                    named.append(name)
        return tuple(dict.fromkeys((*named, *layout.shared)))

    def name(self, pattern: str, language: str, number: int | str = 0) -> str:
        """The file that a pattern names for a language."""
        code = self.codes.get(language, language)
        return pattern.format(language=language, code=code, number=number)

    def file(self, role: str, language: str) -> str:
        """The file of a role of ``paths`` in a language."""
        return self.name(self.paths[role], language)


_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")
_HUB = "https://huggingface.co/datasets/{repository}/resolve/{revision}/"


def _form(pattern: str, what: str) -> Check:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"must be {what}, not {value!r}")
        return value

    return Check(check)


def _language_in_file(code: str) -> str:
    if not is_language(code):
        raise ValueError(f"must be a language's code in the file, not {code!r}")
    return code


Count = Annotated[int, at_least(1)]


@dataclass(frozen=True)
class _SegmentsTable:
    file: Text
    pairing: Pairing
    part: Part = "all"
    pivot: Text | None = None
    codes: Mapping[str, Annotated[str, Check(_language_in_file)]] = field(default_factory=dict)


@dataclass(frozen=True)
class _RowsTable:
    question: Text
    question_id: Texts
    passage: Text
    passage_id: Texts
    language: Text | None = None


@dataclass(frozen=True)
class _CorpusTable:
    repository: Text | None = None
    revision: Text | None = None
    passages: Mapping[str, Count] = field(default_factory=dict)
    files: Mapping[str, Count] = field(default_factory=dict)


@dataclass(frozen=True)
class _QueriesTable:
    repository: Text
    revision: Text


@dataclass(frozen=True)
class SourceTable:
    """``[source]`` as in a task file; :func:`source_from` checks its constraints."""

    folder: Text
    url: Text | None = None
    repository: Text | None = None
    revision: Text | None = None
    checksums: Literal["files", "hub"] = "files"
    files: (
        Mapping[str, Annotated[str, _form("[0-9a-f]{64}", "a SHA-256 of 64 hex digits")]] | None
    ) = None
    paths: Mapping[str, Text] | None = None
    codes: (
        Mapping[str, Annotated[str, _form(r"[\w.-]+", "the language's name in files")]] | None
    ) = None
    ignore_identical_ids: bool | None = None
    parallel: bool | None = None
    rows: _RowsTable | None = None
    queries: _QueriesTable | None = None
    corpus: _CorpusTable | None = None
    segments: _SegmentsTable | None = None


def source_from(
    table: SourceTable,
    reader: str,
    languages: Sequence[str],
    sides: tuple[Sequence[str], Sequence[str]],
    refuse: Complaints,
) -> Source:
    """Where the files of a task are; ``sides`` are the languages with queries and with passages.

    Raises:
        TaskError: keys that do not go with the reader, the languages or each other.
    """
    layout = LAYOUTS[reader]
    own = {
        "segments": layout.one_file,
        "rows": reader == "rows",
        "parallel": layout.stream is not None,
        "ignore_identical_ids": reader in ("beir", "tables"),
        "corpus": layout.corpus is not None or layout.stream is not None,
        "queries": layout.stream is not None,
        "paths": bool(layout.roles),
        "codes": bool(layout.roles),
    }
    for key, used in own.items():
        if not used and getattr(table, key) is not None:
            refuse(key, f"is not for reader {reader!r}{_NOT_FOR.get(key, '')}")
    for key in ("segments", "rows"):
        if own[key] and getattr(table, key) is None:
            refuse(key, "is missing: it must be a table")
    url = _pinned(table, refuse)
    if url is not None and _PLAIN.fullmatch(table.folder) is None:
        refuse("folder", f"must be a plain name if there is a 'url', not {table.folder!r}")
    if table.checksums == "hub" and table.repository is None:
        refuse("checksums", "can be 'hub' only with a 'repository'")
    if table.checksums == "hub" and table.files is not None:
        refuse("files", "conflicts with 'checksums', which uses the hub's: remove one")
    source = Source(
        table.folder,
        url,
        table.revision,
        table.files or {},
        table.repository,
        segments=_segments(table.segments, languages, refuse.within("segments")),
        paths=_paths(table.paths or {}, layout, refuse.within("paths")),
        codes=_known(table.codes or {}, languages, refuse.within("codes")),
        checksums=table.checksums,
        ignore_identical_ids=table.ignore_identical_ids,
        parallel=table.parallel is not False,
        keys=_row_keys(table, refuse),
        queries=_queries(table, refuse),
    )
    source = replace(source, corpus=_corpus(table, layout, source.paths, sides[1], refuse))
    needed = source.needed(reader, *sides)
    _check_files(source, needed, refuse.within("files"))
    return source


def _queries(table: SourceTable, refuse: Complaints) -> QuerySource | None:
    if table.queries is None:
        return None
    if table.checksums != "hub":
        refuse("queries", "needs 'checksums = \"hub\"': its files are compared with the hub's")
    url = _pinned(table.queries, refuse.within("queries"))
    return QuerySource(table.queries.repository, table.queries.revision, url or "")


_NOT_FOR = {
    "paths": ", whose files have fixed names",
    "codes": ", whose files have fixed names",
    "corpus": ", which does not stream",
}


def _pinned(table: SourceTable | _CorpusTable | _QueriesTable, refuse: Complaints) -> str | None:
    """URL with the revision filled in; ``None`` for local files."""
    url, repository, revision = getattr(table, "url", None), table.repository, table.revision
    if url is not None and repository is not None:
        refuse("url", "is superfluous with a 'repository', which says where the files are")
    if url is None and repository is None:
        if revision is not None:
            refuse("revision", "belongs to a 'url' or 'repository', which is missing")
        return None
    if revision is None:
        refuse("revision", "is missing: downloaded files must be pinned to a revision")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", revision) is None:
        refuse("revision", f"must be a commit, tag or version, not {revision!r}")
    if url is None:
        if re.fullmatch(r"[\w.-]+/[\w.-]+", repository or "") is None:
            refuse("repository", f"must be ORG/NAME on the hub, not {repository!r}")
        return _HUB.format(repository=repository, revision=revision)
    if not url.startswith(("https://", "http://")) or not url.endswith("/"):
        refuse("url", f"must start with https:// and end with '/', not {url!r}")
    if rest := set(re.findall(r"\{(.*?)\}", url)) - {"revision"}:
        refuse("url", f"can contain only {{revision}}, not {{{min(rest)}}}")
    return str(url.replace("{revision}", revision))


def _segments(
    table: _SegmentsTable | None, languages: Sequence[str], refuse: Complaints
) -> SegmentSource | None:
    if table is None:
        return None
    pivot = table.pivot or languages[0]
    refuse.unless_one_of("pivot", pivot, languages)
    codes = _known(table.codes, languages, refuse.within("codes"))
    return SegmentSource(table.file, table.pairing, table.part, pivot, codes)


def _known(
    codes: Mapping[str, str], languages: Sequence[str], refuse: Complaints
) -> Mapping[str, str]:
    for language in codes:
        if language not in languages:
            refuse(language, "is not one of the task's languages")
    return codes


def _paths(paths: Mapping[str, str], layout: Layout, refuse: Complaints) -> dict[str, str]:
    """Role -> pattern."""
    roles = layout.roles
    for role in paths:
        if role not in roles:
            refuse(role, f"is unknown{did_you_mean(role, roles) or '; known: ' + ', '.join(roles)}")
    found = {}
    for role, usual in roles.items():
        pattern = paths.get(role) or usual or ""
        if not pattern and usual is None:
            refuse(role, "is missing: it must be a string")
        if not pattern:
            continue
        found[role] = pattern
        _check_pattern(pattern, role, refuse)
        name = pattern.format(language="x", code="x")
        if name.startswith("/") or ".." in name.split("/"):
            refuse(role, f"must stay inside the source, not {pattern!r}")
    return found


def _check_pattern(pattern: str, key: str, refuse: Complaints) -> None:
    """Nothing is in braces but ``language`` and ``code``."""
    try:
        fields = [x[1:] for x in Formatter().parse(pattern) if x[1] is not None]
    except ValueError:
        fields = [("", "", "")]
    if not {*fields} <= {("language", "", None), ("code", "", None)}:
        refuse(key, f"can contain only {{language}} and {{code}}, not {pattern!r}")


def _row_keys(table: SourceTable, refuse: Complaints) -> dict[str, tuple[str, ...]]:
    """Key of ``[source.rows]`` -> the columns it names."""
    if table.rows is None:
        return {}
    found = {key: x for key, x in vars(table.rows).items() if x is not None}
    if table.rows.language is not None:
        for key, pattern, several in (
            ("rows.question", table.rows.question, True),
            ("paths.rows", (table.paths or {}).get("rows", ""), False),
        ):
            if bool(re.search(r"\{(language|code)\}", pattern)) != several:
                must = "must contain {language} or {code}" if several else "must name one file"
                refuse(key, f"{must} where 'source.rows.language' says what language a row is in")
        _check_pattern(table.rows.question, "rows.question", refuse)
    return {key: (x,) if isinstance(x, str) else x for key, x in found.items()}


def _corpus(
    source: SourceTable,
    layout: Layout,
    paths: Mapping[str, str],
    languages: Sequence[str],
    refuse: Complaints,
) -> CorpusSource | None:
    """``[source.corpus]``: of a hub repository of its own, or of the task's own streamed files."""
    table, within = source.corpus, refuse.within("corpus")
    if layout.corpus is not None:
        table = table or _CorpusTable()
        _pinned(table, within)
        pinned: SourceTable | _CorpusTable = table
        pattern, counted = layout.corpus, ["passages", "files"]
    elif layout.stream is None or table is None:
        return None
    else:
        for key in ("repository", "revision", "files"):
            if getattr(table, key):
                within(key, "is unknown; known keys are passages")
        if re.search(r"\.csv(\.gz)?$", paths[layout.stream]):
            refuse(f"paths.{layout.stream}", "is a CSV file, which cannot be streamed")
        pinned, pattern, counted = source, paths[layout.stream], ["passages"]
    for key in counted:
        counts = getattr(table, key)
        for language in languages:
            if language not in counts and (pinned.repository is not None or counts):
                within(f"{key}.{language}", "is missing: the number of passages in the full corpus")
    return CorpusSource(pinned.repository, pinned.revision, table.passages, table.files, pattern)


def _check_files(source: Source, needed: Sequence[str], refuse: Complaints) -> None:
    """``[source.files]`` has a checksum for each file that is read, and for no other."""
    for name in source.files:
        if name not in needed:
            hint = did_you_mean(name, needed) or f"; it reads {', '.join(needed[:9])}"
            refuse(name, f"names a file that the task's reader does not read{hint}")
    for name in needed:
        by_task = source.url is not None and source.checksums == "files"
        if name not in source.files and (by_task or source.files):
            refuse(name, "is missing: its SHA-256 is needed")
