"""Small data sets in the form in which mteb's repositories hold them, written by tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

Rows = Sequence[Mapping[str, Any]]


def write_rows(path: Path, rows: Rows) -> None:
    """JSON lines, parquet, or values separated by commas or tabs, as the file's name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist([dict(x) for x in rows]), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
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


def debates(languages: Sequence[str], speeches: int = 3) -> list[dict[str, str]]:
    """Rows as Multi-EuP v2 has them: a speech each, with the title of its debate in all languages.

    Each language holds ``speeches`` of each of three debates.
    """
    rows = []
    for number, word in enumerate(("river", "salt", "bridge")):
        for language in languages:
            for n in range(speeches):
                row = {
                    "did": f"{language}{number}-{n}",
                    "TEXT": f'{word} {word} {word}, "{language}":\nspeech, {n}',
                    "DATE": "2020-01-13",
                    "LANGUAGE": language.upper(),
                    "gender": "",
                }
                for x in languages:
                    row[f"title_{x.upper()}"] = f"{word}, {x} {word}"
                    row[f"qid_{x.upper()}"] = f"{number}#{x.upper()}"
                rows.append(row)
    return rows
