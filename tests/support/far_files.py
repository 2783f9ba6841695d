"""Files that lie on a server, and what is in them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from harness.data.task import TaskSpec, read_task


def content(language: str, word: str = "Tea") -> bytes:
    """A LAReQA file with one question."""
    paragraph = {
        "context": f"{word}.",
        "sentence_breaks": [[0, len(word) + 1]],
        "qas": [{"id": "q", "question": language, "answers": [{"answer_start": 0, "text": word}]}],
    }
    return json.dumps({"data": [{"paragraphs": [paragraph]}]}).encode()


def far(folder: Path, *, url: str = "http://127.0.0.1:9/") -> TaskSpec:
    """A task of two pinned files; nothing listens at its address."""
    path = folder / "far.toml"
    sums = "".join(
        f'"{x}.json" = "{hashlib.sha256(content(x)).hexdigest()}"\n' for x in ("en", "de")
    )
    path.write_text(
        'name = "far"\ntitle = "Far"\ndescription = "Far."\nreader = "lareqa"\n'
        'languages = ["en", "de"]\nsettings = ["mono"]\ntext = "sentence"\nmeasures = ["map"]\n'
        f'license = "CC0-1.0"\n[source]\nfolder = "far-r"\nurl = "{url}"\nrevision = "v1"\n'
        f"[source.files]\n{sums}"
    )
    return read_task(path)
