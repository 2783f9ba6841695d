"""A leaderboards folder: its tracked records, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.boards.tracked import retrieved
from harness.boards.tracked.document import FOLDER, Tracked, load
from harness.boards.tracked.retrieved import Retrieved
from harness.errors import RecordError, UsageError
from harness.interop.published import Published
from harness.interop.published_tables import load_all


@dataclass(frozen=True)
class Leaderboards:
    """The tracked records of one folder."""

    folder: Path
    records: Sequence[Tracked]
    refused: Sequence[str]
    """One sentence for each file that is not a valid record, or table of imported rows."""
    imported: Sequence[Published] = ()
    """Imported rows."""
    retrieved: Mapping[str, Retrieved] = field(default_factory=dict)
    """Record name -> the first passages that it retrieved, for records that keep them."""


def read_leaderboards(folder: str | Path, *, skip_invalid: bool = False) -> Leaderboards:
    """Read every tracked record of a leaderboards folder, in the order of their names.

    Args:
        folder: the folder with ``records/``.
        skip_invalid: skip invalid files and list them in ``refused``.

    Raises:
        UsageError: there is no such folder, or it has no records.
        RecordError: a file is not a valid tracked record; all such files are named.
    """
    folder = Path(folder)
    paths = sorted((folder / FOLDER).glob("*.json"))
    if not paths:
        raise UsageError(
            f"{folder / FOLDER} contains no tracked records; add one with "
            "harness board add RECORD, or name another folder with --leaderboards"
        )
    records, refused = [], []
    for path in paths:
        try:
            records.append(load(path))
        except RecordError as problem:
            refused.append(str(problem))
    first = {}
    for path in sorted((folder / retrieved.FOLDER).glob("*.json")):
        try:
            first[path.stem] = retrieved.load(path)
        except RecordError as problem:
            refused.append(str(problem))
    imported, of_imported = load_all(folder)
    refused += of_imported
    if refused and not skip_invalid:
        also = "" if len(refused) == 1 else f" ({len(refused)} files are refused)"
        raise RecordError(
            f"{'; '.join(refused)}{also}; fix or remove them, or build the rest with --skip-invalid"
        )
    return Leaderboards(folder, records, refused, imported, first)
