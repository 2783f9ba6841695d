"""Where a task's files come from, and which ones its reader uses: the table ``[source]``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, cast

from harness.base.languages import is_language
from harness.base.toml_table import Table
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


def segment_source(table: Table, languages: Sequence[str]) -> SegmentSource:
    """Read the table.

    Raises:
        TaskError: unknown or missing keys, or invalid values.
    """
    table.only(("file", "pairing", "part", "pivot", "codes"))
    codes = table.table("codes", {})
    for language, code in codes.values.items():
        if language not in languages:
            raise codes.error(language, "is not one of the task's languages")
        if not isinstance(code, str) or not is_language(code):
            raise codes.error(language, f"must be a language's code in the file, not {code!r}")
    return SegmentSource(
        file=table.string("file"),
        pairing=cast("Pairing", table.one_of("pairing", table.string("pairing"), PAIRINGS)),
        part=cast("Part", table.one_of("part", table.string("part", "all"), PARTS)),
        pivot=table.one_of("pivot", table.string("pivot", languages[0]), languages),
        codes=dict(codes.values),
    )


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
    """Role -> its default pattern if ``[source.paths]`` has none; ``None``: it must have one.
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
        _TITLED, (), (), roles={"queries": None, "passages": None, "qrels": None}, stream="passages"
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
    parallel: bool = True
    """Whether the same question id in several languages is one question."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of a row's question, passage and their ids, for reader ``rows``."""

    def needed(self, reader: str, languages: Sequence[str]) -> tuple[str, ...]:
        """Names of the files for ``languages``, except streamed ones."""
        if self.segments is not None:
            return (self.segments.file,)
        layout = LAYOUTS[reader]
        named = [p.format(language=x) for x in languages for p in layout.per_language]
        streamed = layout.stream if self.corpus is not None else None
        patterns = [x for role, x in self.paths.items() if role != streamed]
        named += [self.name(x, language) for language in languages for x in patterns]
        return tuple(dict.fromkeys((*named, *layout.shared)))

    def name(self, pattern: str, language: str, number: int | str = 0) -> str:
        """The file that a pattern names for a language."""
        code = self.codes.get(language, language)
        return pattern.format(language=language, code=code, number=number)

    def file(self, role: str, language: str) -> str:
        """The file of a role of ``paths`` in a language."""
        return self.name(self.paths[role], language)


_KEYS = (
    "folder", "url", "repository", "revision", "checksums", "files", "paths", "codes", "parallel",
    "rows", "corpus", "segments",
)  # fmt: skip
_ROW = ("question", "question_id", "passage", "passage_id")
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HUB = "https://huggingface.co/datasets/{repository}/resolve/{revision}/"


def _pinned(table: Table) -> tuple[str | None, str | None, str | None]:
    """URL with the revision filled in, repository, revision; none of them for local files."""
    url = table.string("url", "") or None
    repository = table.string("repository", "") or None
    revision = table.string("revision", "") or None
    if url is not None and repository is not None:
        raise table.error(
            "url", "is superfluous with a 'repository', which says where the files are"
        )
    if url is None and repository is None:
        if revision is not None:
            raise table.error("revision", "belongs to a 'url' or 'repository', which is missing")
        return None, None, None
    if revision is None:
        raise table.error("revision", "is missing: downloaded files must be pinned to a revision")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", revision) is None:
        raise table.error("revision", f"must be a commit, tag or version, not {revision!r}")
    if url is None:
        if re.fullmatch(r"[\w.-]+/[\w.-]+", repository or "") is None:
            raise table.error("repository", f"must be ORG/NAME on the hub, not {repository!r}")
        return _HUB.format(repository=repository, revision=revision), repository, revision
    if not url.startswith(("https://", "http://")) or not url.endswith("/"):
        raise table.error("url", f"must start with https:// and end with '/', not {url!r}")
    if rest := set(re.findall(r"\{(.*?)\}", url)) - {"revision"}:
        raise table.error("url", f"can contain only {{revision}}, not {{{min(rest)}}}")
    return url.replace("{revision}", revision), None, revision


def read_source(table: Table, reader: str, languages: Sequence[str]) -> Source:
    """Read the table.

    Raises:
        TaskError: unknown or missing keys, or invalid values.
    """
    layout, segments = LAYOUTS[reader], None
    table.only(_KEYS)
    if layout.one_file:
        segments = segment_source(table.table("segments"), languages)
    elif "segments" in table.values:
        raise table.error("segments", f"is not for reader {reader!r}")
    folder = table.string("folder")
    url, repository, revision = _pinned(table)
    if url is not None and _PLAIN.fullmatch(folder) is None:
        raise table.error("folder", f"must be a plain name if there is a 'url', not {folder!r}")
    checksums = table.one_of("checksums", table.string("checksums", "files"), ("files", "hub"))
    if checksums == "hub" and repository is None:
        raise table.error("checksums", "can be 'hub' only with a 'repository'")
    if checksums == "hub" and "files" in table.values:
        raise table.error("files", "conflicts with 'checksums', which uses the hub's: remove one")
    if "parallel" in table.values and layout.stream is None:
        raise table.error("parallel", f"is not for reader {reader!r}")
    source = Source(
        folder,
        url,
        revision,
        {},
        repository,
        corpus=None if layout.corpus is not None else _own_corpus(table, layout, languages),
        segments=segments,
        paths=_paths(table, reader),
        codes=_codes(table, languages),
        checksums=cast('Literal["files", "hub"]', checksums),
        parallel=table.boolean("parallel", True),
        keys=_row_keys(table, reader),
    )
    files = _checksums(table, source, source.needed(reader, languages))
    if "corpus" in table.values and layout.corpus is None and layout.stream is None:
        raise table.error("corpus", f"is not for reader {reader!r}, which does not stream")
    corpus = source.corpus
    if layout.corpus is not None:
        corpus = _corpus_source(table.table("corpus", {}), layout.corpus, languages)
    return replace(source, files=files, corpus=corpus)


def _own_corpus(table: Table, layout: Layout, languages: Sequence[str]) -> CorpusSource | None:
    """``[source.corpus]`` of a reader that streams only if it is present."""
    if layout.stream is None or "corpus" not in table.values:
        return None
    held = table.table("corpus")
    held.only(("passages",))
    pattern = table.table("paths", {}).string(layout.stream)
    _, repository, revision = _pinned(table)
    passages = held.counts("passages")
    _all_told(held, "passages", passages, languages, wanted=repository is not None)
    return CorpusSource(repository, revision, passages, {}, pattern)


def _row_keys(table: Table, reader: str) -> dict[str, tuple[str, ...]]:
    """``[source.rows]``."""
    if reader != "rows":
        if "rows" in table.values:
            raise table.error("rows", f"is not for reader {reader!r}")
        return {}
    rows = table.table("rows")
    rows.only(_ROW)
    return {key: rows.strings(key) if key.endswith("_id") else (rows.string(key),) for key in _ROW}


def _checksums(table: Table, source: Source, needed: Sequence[str]) -> dict[str, str]:
    """``[source.files]``."""
    files = table.table("files", {})
    for name, checksum in files.values.items():
        if not isinstance(checksum, str) or _SHA256.fullmatch(checksum) is None:
            raise files.error(name, f"must be a SHA-256 of 64 hex digits, not {checksum!r}")
        if name not in needed:
            hint = did_you_mean(name, needed) or f"; it reads {', '.join(needed[:9])}"
            raise files.error(name, f"names a file that the task's reader does not read{hint}")
    for name in needed:
        by_task = source.url is not None and source.checksums == "files"
        if name not in files.values and (by_task or files.values):
            raise files.error(name, "is missing: its SHA-256 is needed")
    return dict(files.values)


def _paths(table: Table, reader: str) -> dict[str, str]:
    """Role -> pattern."""
    roles, paths = LAYOUTS[reader].roles, table.table("paths", {})
    for key in ("paths", "codes"):
        if not roles and key in table.values:
            raise table.error(key, f"is not for reader {reader!r}, whose files have fixed names")
    paths.only(tuple(roles))
    found = {role: paths.string(role, usual) for role, usual in roles.items()}
    for role, pattern in found.items():
        try:
            name = pattern.format(language="", code="")
        except (KeyError, IndexError, ValueError) as error:
            raise paths.error(
                role, f"can contain only {{language}} and {{code}}, not {pattern!r}"
            ) from error
        if name.startswith("/") or ".." in name.split("/"):
            raise paths.error(role, f"must stay inside the source, not {pattern!r}")
    return found


def _codes(table: Table, languages: Sequence[str]) -> dict[str, str]:
    """Language -> its name in the files."""
    codes = table.table("codes", {})
    for language, code in codes.values.items():
        if language not in languages:
            raise codes.error(language, "is not one of the task's languages")
        if not isinstance(code, str) or re.fullmatch(r"[\w.-]+", code) is None:
            raise codes.error(language, f"must be the language's name in files, not {code!r}")
    return dict(codes.values)


def _corpus_source(table: Table, pattern: str, languages: Sequence[str]) -> CorpusSource:
    table.only(("repository", "revision", "passages", "files"))
    _, repository, revision = _pinned(table)
    passages, files = table.counts("passages"), table.counts("files")
    for key, counts in (("passages", passages), ("files", files)):
        _all_told(table, key, counts, languages, wanted=repository is not None)
    return CorpusSource(repository, revision, passages, files, pattern)


def _all_told(
    table: Table, key: str, counts: Mapping[str, int], languages: Sequence[str], *, wanted: bool
) -> None:
    for language in languages:
        if language not in counts and (wanted or counts):
            raise table.error(
                f"{key}.{language}", "is missing: the number of passages in the full corpus"
            )
