"""Damaged files of every kind are one sentence each, or, where they are a cache, no trouble at all.

``HARNESS_DAMAGED=5000 pytest tests/test_damaged_files.py`` tries more inputs than the usual one of
each kind, and so does ``python tests/support/damage.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import damage
import pytest


def test_damaged_files_are_one_sentence_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HARNESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))  # so that both are put back
    count = int(os.environ.get("HARNESS_DAMAGED", len(damage.KINDS)))
    failed = list(damage.series(tmp_path, range(count)))
    assert not failed, "\n\n".join(
        f"input {x.seed}, {x.kind}: {x.file} is now {x.content[:200]!r}\n{x.trouble}"
        for x in failed
    )


def test_a_bug_in_a_reader_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no sentence of ours fails: an exception, a control character, a whole file quoted."""

    def reader(problem: Exception) -> damage.Kind:
        def read() -> None:
            raise problem

        return damage.Kind("x", [], read)

    assert "KeyError" in str(damage.trouble(reader(KeyError("x"))))
    assert damage.trouble(reader(damage.HarnessError("x.json: not JSON"))) is None
    quoted = str(damage.HarnessError(f"key '{'x' * 5000}' \x1b[31m is unknown"))
    assert quoted == f"key '{'x' * 79}...' \\x1b[31m is unknown"
    known = ", ".join(f"name-{n}" for n in range(60))
    sentence = f"the task's file has no 'x': known are {known}; did you mean 'name-1'?"
    assert str(damage.HarnessError(sentence)) == sentence
