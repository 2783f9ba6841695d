"""Small data sets in the form in which mteb's repositories hold them, written by tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

Rows = Sequence[Mapping[str, Any]]


def write_rows(path: Path, rows: Rows) -> None:
    """JSON lines, parquet, or values separated by tabs, as the file's name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist([dict(x) for x in rows]), path)
    elif path.suffix == ".tsv":
        lines = ["\t".join(str(x) for x in row.values()) for row in rows]
        path.write_text("".join(f"{x}\n" for x in lines), encoding="utf-8")
    else:
        path.write_text("".join(f"{json.dumps(x)}\n" for x in rows), encoding="utf-8")


def write_repository(
    folder: Path, split: str, subsets: Mapping[str, tuple[Rows, Rows, Rows]]
) -> None:
    """What mteb pushes to the hub: for each subset its queries, passages and judgements.

    With the front matter of a README that tells the ``datasets`` library where each lies.
    """
    configs = []
    for subset, tables in subsets.items():
        for kind, rows in zip(("queries", "corpus", "qrels"), tables, strict=True):
            name = f"{subset}-{kind}/{split}-00000-of-00001.parquet"
            write_rows(folder / name, rows)
            configs += [
                f"- config_name: {subset}-{kind}",
                "  data_files:",
                f"  - split: {split}",
                f"    path: {subset}-{kind}/{split}-*",
            ]
    readme = ["---", "configs:", *configs, "---", ""]
    (folder / "README.md").write_text("\n".join(readme), encoding="utf-8")
