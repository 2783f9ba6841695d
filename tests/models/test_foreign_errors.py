"""Code of the user's that raises: one sentence with what it said, exit code 2, no traceback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from tiny import WordBag, write_task

import harness
from harness.cli import main
from harness.errors import ModelError
from harness.models.sentence_transformer import stream_with


class Raises(WordBag):
    """An encoder that fails as it was told to."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.name, self.error = "broken", error

    def encode(self, texts: Sequence[str], **given: Any) -> np.ndarray:
        raise self.error


class BrokenIndex:
    """A system that indexes, and fails when it scores or before."""

    name = "broken-index"
    facts: ClassVar[dict[str, Any]] = {}

    def __init__(self, when: str) -> None:
        self.when = when

    def index(self, passages: Sequence[str], *, languages: Sequence[str]) -> BrokenIndex:
        if self.when == "index":
            raise OSError("no room")
        self.passages = len(passages)
        return self

    def score(self, queries: Sequence[str], *, language: str) -> np.ndarray:
        if self.when == "score":
            raise ZeroDivisionError
        scores = np.ones((len(queries), self.passages), np.float32)
        scores[0, 1] = np.nan
        return scores if self.when == "NaN" else scores[:, :-1]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RuntimeError("boom\nsecond line"), "broken: encode failed: RuntimeError: boom"),
        (ValueError(), "broken: encode failed: ValueError: ValueError"),
        (SystemExit(7), "broken: encode failed: SystemExit: 7"),
        (KeyError("\x1b[31mred"), "broken: encode failed: KeyError: '\\x1b[31mred'"),
        (OSError("a\x00b"), "broken: encode failed: OSError: a b"),
    ],
)
def test_an_encoder_that_raises(tmp_path: Path, error: BaseException, sentence: str) -> None:
    """Its first line, its kind, no control characters; the cause stays for a debugger."""
    with pytest.raises(ModelError) as refused:
        harness.evaluate(Raises(error), str(write_task(tmp_path)), store=False)
    assert str(refused.value) == sentence
    assert refused.value.__cause__ is error


def test_what_a_backend_raises_is_one_sentence() -> None:
    """ONNX Runtime's errors, for one, are no RuntimeErrors."""

    class InvalidArgumentError(Exception):
        pass

    class Session:
        most_texts = None

        def fits(self, *_: Any) -> bool:
            raise InvalidArgumentError("got: 513, expected: 512")

    with pytest.raises(ModelError, match="m: failed to encode 1 query texts: InvalidArgumentError"):
        list(stream_with(Session(), ["a"], role="query", prompt="", name="m"))


def test_an_interrupt_stays_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        harness.evaluate(Raises(KeyboardInterrupt()), str(write_task(tmp_path)), store=False)


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("index", "broken-index: index failed: OSError: no room"),
        ("score", "the index of the model: score failed: ZeroDivisionError: ZeroDivisionError"),
        (
            "NaN",
            "the index of the model: score returned NaN for 'en what is river number 0'",
        ),
        (
            "short",
            "the index of the model: score returned an array of shape (10, 65) for 10 queries and "
            "66 passages; (10, 66) is needed",
        ),
    ],
)
def test_an_index_that_raises(tmp_path: Path, when: str, sentence: str) -> None:
    with pytest.raises(ModelError) as refused:
        harness.evaluate(BrokenIndex(when), str(write_task(tmp_path)))
    assert str(refused.value) == sentence


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, and no traceback."""
    (tmp_path / "bad_encoder.py").write_text(
        "class Bad:\n    name = 'bad'\n    def encode(self, texts, *, role, language):\n"
        "        raise RuntimeError('boom')\n"
    )
    monkeypatch.chdir(tmp_path)
    task = str(write_task(tmp_path))
    done = CliRunner().invoke(main, ["run", "--task", task, "--model", "python:bad_encoder:Bad"])
    assert done.exit_code == 2
    assert "Error: bad: encode failed: RuntimeError: boom" in done.output
    assert "Traceback" not in done.output
