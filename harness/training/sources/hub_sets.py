"""Data sets of the hybrid-batch paper that are public on the hub, by name.

The table below says for each where it is, at which revision, what the paper made of
it. A revision that could not be learnt where this was written is None: it is looked up when the
set is first fetched, and is recorded with the pairs either way. Files come from a local copy
(``DIR/NAME/<path in the repository>`` under ``--data-dir`` or HARNESS_DATA), else from the hub, or
a mirror that HF_ENDPOINT names, into the hub's own cache; offline from those two alone.

The paper: arXiv 2408.10536, appendix A.1, table 9. Its sizes are after an in-house filter that is
not public, and it translated what is English alone by machine: ``harness translate`` does the like.
Yahoo QA, its ninth set, is not on the hub in a form with a stated licence.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from harness.base.hub import Repository, UnreachableError, is_offline
from harness.data.locations import data_directories
from harness.errors import DataError, UsageError, did_you_mean
from harness.training.pairs import Example
from harness.training.sources import mmarco, rows
from harness.training.sources.rows import Convert

_NINE = ("en", "ar", "zh", "de", "es", "ru", "th", "tr", "hi")
_SHIFTS = ("amazon", "new_wiki", "nyt", "reddit")


class HubSet(NamedTuple):
    """One data set of the hub."""

    repo: str
    revision: str | None
    """Full commit; ``None``: whatever is newest when it is first fetched."""
    patterns: Mapping[str, tuple[str, ...]]
    """Language -> its files."""
    convert: Convert | None
    """``None``: mMARCO, whose rows come from several files."""
    size: str
    """Pairs of its train split in each language, as its publishers give them."""
    paper: int | None
    """Pairs in each language in the paper; ``None``: not trained on."""
    paper_languages: tuple[str, ...]
    about: str
    license: str


_MR_TYDI = {
    "ar": "arabic", "bn": "bengali", "en": "english", "fi": "finnish", "id": "indonesian",
    "ja": "japanese", "ko": "korean", "ru": "russian", "sw": "swahili", "te": "telugu",
    "th": "thai",
}  # fmt: skip
_MFAQ = "cs da de en es fi fr he hr hu id it nl no pl pt ro ru sv tr vi"

HUB: Mapping[str, HubSet] = {
    "wikiqa": HubSet(
        "microsoft/wiki_qa", None, {"en": ("data/train-*.parquet",)}, rows.wikiqa,
        "1,040", 1_469, _NINE, "Bing queries and sentences of Wikipedia", "other (Microsoft)",
    ),
    "mr-tydi": HubSet(
        "castorini/mr-tydi", "bec23fcae5f1545771873972e3d1c92b682861dc",
        {x: (f"mrtydi-v1.1-{name}/train.jsonl.gz",) for x, name in _MR_TYDI.items()}, rows.mr_tydi,
        "3,547 (en)", 3_547, ("en",), "TyDi QA's questions over Wikipedia", "Apache-2.0",
    ),
    "duorc": HubSet(
        "ibm-research/duorc", "9a65b20d783dc0069598fe59e248510b17528075",
        {"en": ("ParaphraseRC/train-*.parquet", "SelfRC/train-*.parquet")}, rows.duorc,
        "130,245 with those unanswered", 33_298, _NINE, "questions about plots of films", "MIT",
    ),
    "newsqa": HubSet(
        "lucadiliello/newsqa", "728e52920b8e4ffcfaad93fa47556f26a1d82546",
        {"en": ("data/train-*.parquet",)}, rows.reading,
        "74,160", 59_496, _NINE, "questions about CNN articles, as MRQA has them", "research only",
    ),
    "natural-questions": HubSet(
        "sentence-transformers/natural-questions", "f9e894e1081e206e577b4eaa9ee6de2b06ae6f17",
        {"en": ("pair/train-*.parquet",)}, rows.query_answer,
        "100,231", 113_535, _NINE, "Google queries and passages of Wikipedia", "CC-BY-SA-3.0",
    ),
    "entity-questions": HubSet(
        "costadev00/EntityQuestions", None, {"en": ("*train*.jsonl",)}, rows.entity_questions,
        "176,560", 176_975, _NINE, "questions about facts; answers are names, no passages", "MIT",
    ),
    "mfaq": HubSet(
        "clips/mfaq", "72248e10c1bbe5e3c3710e5e969a41947ca43937",
        {x: (f"data/{x}/train.jsonl",) for x in _MFAQ.split()}, rows.mfaq,
        "3,567,659 (en)", 3_567_659, ("en",), "questions and answers of FAQ pages", "CC0-1.0",
    ),
    "mmarco": HubSet(
        "unicamp-dl/mmarco", "b1a2c25def4bd95274199be3fb226ee36b7c8bad",
        {x: tuple(mmarco.files([x])) for x in mmarco.LANGUAGES}, None,
        "39,780,811 triples", 39_780_811, ("en", "ar", "zh", "de", "es", "ru", "hi"),
        "MS MARCO, translated by machine", "Apache-2.0 (MS MARCO: research only)",
    ),
    "squadshifts": HubSet(
        "lmqg/qa_squadshifts", "94d5f2d8482ef4ee0c7df8440b74ce78e57ae565",
        {"en": tuple(f"data/{x}.*.jsonl" for x in _SHIFTS)}, rows.reading,
        "37,691", None, (), "for validation: Wikipedia, news, forum and reviews", "CC-BY-4.0",
    ),
}  # fmt: skip


class Fetched(NamedTuple):
    """Where a set's files are, and what they are."""

    folder: Path
    revision: str
    """Commit, or ``local copy``."""
    files: tuple[Path, ...]


def find(name: str) -> HubSet:
    """The set called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in HUB:
        raise UsageError(
            f"no data set {name!r}; known are {', '.join(HUB)}{did_you_mean(name, HUB)}"
        )
    return HUB[name]


def fetch(
    name: str,
    languages: Sequence[str],
    *,
    revision: str | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
) -> Fetched:
    """Find a set's files of ``languages``, downloading them if needed.

    Raises:
        UsageError: no such set, or none in one of the languages.
        DataError: the files are not here and cannot be fetched.
    """
    found = find(name)
    for language in languages:
        if language not in found.patterns:
            raise UsageError(
                f"{name} has no language {language!r}: it has {', '.join(found.patterns)}"
            )
    needed = [p for x in languages for p in found.patterns[x]]
    for _, root in data_directories(data_dir):
        files = _matching(root / name, needed)
        if files:
            return Fetched(root / name, "local copy", files)
    folder = _snapshot(name, found, revision or found.revision, needed, offline)
    files = _matching(folder, needed)
    if not files:
        raise DataError(
            f"{found.repo}: revision {folder.name} has none of {', '.join(needed)}; name another "
            "with --revision"
        )
    return Fetched(folder, folder.name, files)


def examples(
    name: str, fetched: Fetched, languages: Sequence[str], dropped: Counter[str], negatives: int
) -> Iterator[Example]:
    """The pairs of a set, row by row.

    Raises:
        DataError: a file is damaged, or its rows are not those of the set.
    """
    found = find(name)
    if found.convert is None:
        yield from mmarco.examples(fetched.folder, languages, dropped, negatives)
        return
    for language in languages:
        files = _matching(fetched.folder, found.patterns[language])
        table = (row for file in files for row in read_rows(file))
        try:
            yield from found.convert(table, name, language, dropped, negatives)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise DataError(
                f"{name}: {files[0].parent}: a row is not as the set's rows are "
                f"({type(error).__name__}: {error}); is this the revision that the loader is for?"
            ) from error


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet or JSON-lines file, a batch at a time.

    Raises:
        DataError: not readable as what its name says.
    """
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            with pyarrow.parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=1000):
                    yield from batch.to_pylist()
            return
        packed = path.suffix == ".gz"
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if packed
            else path.open(encoding="utf-8") as lines
        ):
            for line in lines:
                if line.strip():
                    yield json.loads(line)
    except (OSError, ValueError, EOFError, RecursionError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _matching(folder: Path, patterns: Iterable[str]) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    present = sorted(x for x in folder.rglob("*") if x.is_file())
    return tuple(
        dict.fromkeys(
            x for p in patterns for x in present if fnmatch(x.relative_to(folder).as_posix(), p)
        )
    )


def _snapshot(
    name: str, found: HubSet, revision: str | None, patterns: Sequence[str], offline: bool
) -> Path:
    repository = Repository(found.repo, revision, "dataset")
    try:
        return repository.snapshot(patterns, offline=is_offline(offline))
    except UnreachableError as error:
        raise DataError(
            f"{name} is not available, and {error.why}: where there is a network, "
            f"`{repository.command}`, or put its files under DIR/{name}/ and point --data-dir (or "
            "HARNESS_DATA) at DIR"
        ) from error
