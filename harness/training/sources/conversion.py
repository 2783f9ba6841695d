"""Training pairs from public data: files in common forms, and sets of the hub by name.

Whatever it is made from, a file of pairs is one of the two forms of
:mod:`harness.training.pairs`, along with ``FILE.about.json``: where the pairs come from, by digest
and revision, the options, what was left out and why.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from harness.base.digests import file_sha256
from harness.base.environment import versions
from harness.base.files import open_atomically, write_atomically
from harness.base.progress import Progress, Silent
from harness.base.reading import read_object
from harness.data.task_source import PAIRINGS, PARTS
from harness.errors import DataError, UsageError, did_you_mean
from harness.training.pairs import Example, Form, as_row
from harness.training.sources import file_forms, hub_sets

__all__ = [
    "FORMATS",
    "Made",
    "Options",
    "about",
    "about_path",
    "make_pairs",
    "write_about",
    "write_stream",
]

FORMATS: Mapping[str, str] = {
    "squad": "SQuAD's JSON, as TyDi QA GoldP, XQuAD and MLQA have it: question and paragraph",
    "xnli": "premise and hypothesis by language, as JSON lines: weak pairs",
    "bitext": "two texts a line, tab-separated: translations as weak pairs",
    "segments": "a text by language on each line, in order: headings and paragraphs, or neighbours",
}
"""What files can be made into pairs."""

FORMAT = 1

_TAKES: Mapping[str, tuple[str, ...]] = {
    "squad": ("languages", "language", "parallel"),
    "xnli": ("languages", "labels"),
    "bitext": ("languages",),
    "segments": ("languages", "pairing", "part", "rename"),
}
"""Format -> its options, besides ``limit``, which all take."""
_HUB_TAKES = ("languages", "negatives", "revision")
_FLAGS = {"labels": "label"}
"""Option -> its flag, if it has another name."""


@dataclass(frozen=True)
class Options:
    """Options for a source; :func:`make_pairs` says which source takes which."""

    languages: tuple[str, ...] | None = None
    language: str | None = None
    parallel: bool = False
    pairing: str = "next"
    part: str = "all"
    labels: tuple[str, ...] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    negatives: int = 1
    limit: int | None = None
    revision: str | None = None
    data_dir: Path | None = None
    offline: bool = False


@dataclass(frozen=True)
class Made:
    """A file of pairs that has been written."""

    path: Path
    rows: int
    form: Form
    dropped: Mapping[str, int]
    """Why rows were left out -> how many."""
    about: Mapping[str, Any]
    """The contents of ``.about.json``."""


def make_pairs(
    source: str,
    files: Sequence[Path],
    output: Path,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Made:
    """Write the pairs of ``source`` to ``output`` (``.jsonl``, ``.jsonl.gz``), whole or not at all.

    Args:
        source: one of :data:`FORMATS`, with ``files``; or a set of
            :data:`harness.training.sources.hub_sets.HUB`, without.
        files: for a format. ``squad`` takes ``language`` and ``parallel``; ``xnli`` takes
            ``labels``; ``bitext`` takes ``languages``, the two of its files; ``segments`` takes
            ``pairing``, ``part`` and ``rename``. All but ``bitext`` keep only the texts in
            ``languages``.
        output: the file of pairs.
        options: for a set of the hub ``languages``, ``negatives``, ``revision``, ``data_dir`` and
            ``offline``; for all ``limit``, the number of rows.
        progress: gets the number of rows.

    Raises:
        UsageError: an unknown source, or an option that it cannot take.
        DataError: data is missing or malformed, or contains no pair, or none in one of
            ``languages``.
        StoreError: ``output`` cannot be written.
    """
    options = options or Options()
    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise UsageError(f"--output {output}: must end in .jsonl or .jsonl.gz")
    dropped: Counter[str] = Counter()
    origin: dict[str, Any] = {"source": source}
    if source in FORMATS or source in hub_sets.HUB:
        _refuse_untaken(source, options)
    if source in FORMATS:
        if not files:
            raise UsageError(f"{source} needs files: harness pairs make {source} FILE... ")
        rows, form = _local(source, files, options, dropped)
        used = list(files)
    elif source in hub_sets.HUB:
        if files:
            raise UsageError(f"{source} is fetched by name and takes no files")
        rows, form, fetched = _of_hub(source, options, dropped)
        used = list(fetched.files)
        found = hub_sets.find(source)
        origin |= {
            "repository": found.repo,
            "revision": fetched.revision,
            "pinned": fetched.revision == found.revision,
            "license": found.license,
        }
    else:
        known = [*FORMATS, *hub_sets.HUB]
        raise UsageError(
            f"no source {source!r}; known are {', '.join(known)}{did_you_mean(source, known)}"
        )
    rows = _in_each(_whole(rows, dropped), options.languages or ())
    if options.limit is not None:
        rows = islice(rows, options.limit)
    reported = progress or Silent()
    reported.start("pairs", options.limit or 0, "rows")
    written, digest = write_stream(output, rows, form, reported)
    reported.finish()
    if not written:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in dropped.items())
        raise DataError(f"{source}: no pair was left{f' ({why})' if why else ''}")
    facts = origin | {
        "format": FORMAT,
        "files": [{"name": x.name, "sha256": file_sha256(x)} for x in used],
        "options": {k: v for k, v in vars(options).items() if k not in ("data_dir", "offline")},
        "form": form,
        "rows": written,
        "dropped": dict(dropped),
        "sha256": digest,
        "harness": versions().get("polyglot-harness"),
    }
    write_about(output, facts)
    return Made(output, written, form, dict(dropped), facts)


def about_path(pairs: Path) -> Path:
    """The path of a file's ``.about.json``."""
    return pairs.with_name(f"{pairs.name}.about.json")


def about(pairs: Path) -> Mapping[str, Any]:
    """The facts about a file of pairs; empty if there are none.

    Raises:
        DataError: there is such a file, and it is not readable.
    """
    path = about_path(pairs)
    return read_object(path, DataError) if path.exists() else {}


def write_about(pairs: Path, facts: Mapping[str, Any]) -> None:
    """Write the ``.about.json`` of a file of pairs.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    write_atomically(about_path(pairs), json.dumps(facts, ensure_ascii=False, indent=1).encode())


def write_stream(
    path: Path, examples: Iterable[Example], form: Form, progress: Progress | None = None
) -> tuple[int, str]:
    """Write rows as they come, under another name until the last is on disk.

    Without a row nothing is written, and an existing ``path`` is unchanged. Facts about an earlier
    file of the name go with it: until new ones are written, there are none.

    Returns:
        How many rows, and the SHA-256 hex of the content, uncompressed.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    reported = progress or Silent()
    sha = hashlib.sha256()
    rows = 0
    left = iter(examples)
    for first in left:  # once: the file is only created if there is a row
        with open_atomically(path, packed=path.suffix == ".gz") as out:
            for example in chain([first], left):
                line = (json.dumps(as_row(example, form), ensure_ascii=False) + "\n").encode()
                sha.update(line)
                out.write(line)
                rows += 1
                reported.advance(1)
            about_path(path).unlink(missing_ok=True)
    return rows, sha.hexdigest()


def _local(
    source: str, files: Sequence[Path], options: Options, dropped: Counter[str]
) -> tuple[Iterator[Example], Form]:
    for file in files:
        if not file.is_file():
            raise DataError(f"{file}: no such file")
    if source == "squad":
        form: Form = "parallel" if options.parallel else "monolingual"
        found = file_forms.squad(
            files, dropped, language=options.language, parallel=options.parallel
        )
        return _in_languages(found, options.languages, dropped), form
    if source == "xnli":
        found = file_forms.xnli(files, dropped, labels=options.labels)
        return _in_languages(found, options.languages, dropped), "parallel"
    if source == "bitext":
        pair = options.languages
        if pair is not None and len(pair) != 2:
            raise UsageError(f"--languages: bitext takes two, as de,en, not {','.join(pair)}")
        two = None if pair is None else (pair[0], pair[1])
        return file_forms.bitext(files, dropped, languages=two), "parallel"
    pairings = (*PAIRINGS, "same")
    if options.pairing not in pairings:
        hint = did_you_mean(options.pairing, pairings)
        raise UsageError(
            f"--pairing must be one of {', '.join(pairings)}, not {options.pairing!r}{hint}"
        )
    if options.part not in PARTS:
        raise UsageError(f"--part must be one of {', '.join(PARTS)}, not {options.part!r}")
    found = file_forms.segments(
        files,
        dropped,
        pairing=options.pairing,
        part=options.part,
        languages=options.languages,
        rename=options.rename,
    )
    return found, "parallel"


def _refuse_untaken(source: str, options: Options) -> None:
    """Raise :class:`UsageError` for an option that would be without effect."""
    taken = _TAKES.get(source, _HUB_TAKES)
    usual = Options()
    for name in dict.fromkeys(x for names in (*_TAKES.values(), _HUB_TAKES) for x in names):
        if name not in taken and getattr(options, name) != getattr(usual, name):
            flags = ", ".join(f"--{_FLAGS.get(x, x)}" for x in taken)
            raise UsageError(f"--{_FLAGS.get(name, name)} is not for {source}, which takes {flags}")


def _in_languages(
    examples: Iterable[Example], languages: Sequence[str] | None, dropped: Counter[str]
) -> Iterator[Example]:
    """Examples with only their texts in ``languages``; left out where a side has none."""
    for example in examples:
        if languages is None:
            yield example
            continue
        query, passage = (
            {x: text for x, text in side.items() if x in languages}
            for side in (example.query, example.passage)
        )
        if query and passage:
            yield replace(example, query=query, passage=passage)
        else:
            dropped["other languages"] += 1


def _in_each(examples: Iterable[Example], languages: Sequence[str]) -> Iterator[Example]:
    """The examples; after the last a :class:`DataError` if none has one of ``languages``."""
    missing = set(languages)
    for example in examples:
        missing.difference_update(example.query, example.passage)
        yield example
    if missing:
        raise DataError(f"--languages: no pair is in {', '.join(sorted(missing))}")


def _of_hub(
    name: str, options: Options, dropped: Counter[str]
) -> tuple[Iterator[Example], Form, hub_sets.Fetched]:
    found = hub_sets.find(name)
    languages = options.languages
    if languages is None:
        # As the paper took it: English, and mMARCO in the languages that it names.
        paper = [x for x in found.paper_languages if x in found.patterns]
        languages = tuple(paper) or ("en",)
    fetched = hub_sets.fetch(
        name,
        languages,
        revision=options.revision,
        data_dir=options.data_dir,
        offline=options.offline,
    )
    form: Form = "parallel" if found.convert is None else "monolingual"
    return hub_sets.examples(name, fetched, languages, dropped, options.negatives), form, fetched


def _whole(examples: Iterable[Example], dropped: Counter[str]) -> Iterator[Example]:
    """Rows whose texts are texts: neither empty nor broken in the middle of a character."""
    for example in examples:
        texts = [*example.query.values(), *example.passage.values()]
        if not all(x and not x.isspace() for x in texts):
            dropped["empty text"] += 1
        elif any(not _encodable(x) for x in (example.id, example.passage_id or "", *texts)):
            dropped["half a character"] += 1
        elif all(map(_encodable, chain(*example.negatives.values()))):
            yield example
        else:
            whole = {k: tuple(filter(_encodable, x)) for k, x in example.negatives.items()}
            yield replace(example, negatives={k: x for k, x in whole.items() if x})


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
