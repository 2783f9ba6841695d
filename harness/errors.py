"""One exception tree: what a user can cause, and what it means.

    HarnessError                 exit code 2, one sentence, no traceback
    ├── UsageError               a flag or argument is wrong
    ├── TaskError                a task file is wrong (names file and key)
    ├── DataError                data is missing, damaged or malformed (names file and id)
    ├── ModelError               a model cannot be found or loaded, or its vectors are unusable
    ├── StoreError               the embedding store cannot be read or written
    ├── ShardError               shards of a corpus failed again and again (names their passages)
    ├── UnfinishedError          not an error: other jobs of an array are unfinished (code 0)
    ├── RunFileError             a TREC run or qrels file is malformed (names file and line)
    ├── RecordError              a record cannot be read, or does not fit its schema
    ├── PolicyError              a gate's policy is wrong (names file and key)
    ├── StudyError               a study's file is wrong (names file and key)
    └── NotComparableError       a gate's baseline is missing or measures something else (exit 4)

A message says what was wrong, in which file or flag, and what would be right. Anything outside this
tree that reaches the command line is a bug in the harness.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class HarnessError(Exception):
    """Base of everything a user can cause. ``exit_code`` is the command's exit code.

    As text it is :func:`readable`, whatever the values in it were.
    """

    exit_code = 2

    def __str__(self) -> str:
        """The sentence."""
        return readable(super().__str__())


class UsageError(HarnessError):
    """A flag or argument is wrong."""


class TaskError(HarnessError):
    """A task file is wrong."""


class DataError(HarnessError):
    """Data is missing, damaged or malformed."""


class ModelError(HarnessError):
    """A model cannot be found or loaded, or its vectors cannot be used."""


class StoreError(HarnessError):
    """The embedding store cannot be read or written."""


class ShardError(HarnessError):
    """Shards of a corpus cannot be encoded."""


class UnfinishedError(HarnessError):
    """This job of an array is done, but others are not: there is nothing to score yet."""

    exit_code = 0


class RunFileError(HarnessError):
    """A TREC run or qrels file is malformed."""


class RecordError(HarnessError):
    """A record cannot be read, or does not fit its schema."""


class PolicyError(HarnessError):
    """A gate's policy is wrong."""


class StudyError(HarnessError):
    """A study's file is wrong, or the contents of its folder."""


class NotComparableError(HarnessError):
    """A gate has nothing to compare with: no baseline, or one that measures something else."""

    exit_code = 4


@contextmanager
def errors_of(whose: str) -> Iterator[None]:
    """Whatever code of somebody else raises in the block becomes a :class:`ModelError`.

    ``whose`` begins its sentence: ``"my-encoder: encode"``. Our own errors pass, and so does an
    interrupt; an attempt to exit does not.
    """
    try:
        yield
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        kind = type(error).__name__
        raise ModelError(f"{whose} failed: {kind}: {first_line(error)}") from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


class DamagedShardWarning(UserWarning):
    """A shard did not match its manifest; its texts are encoded again."""


class HarnessWarning(UserWarning):
    """Something to know about the numbers that follow; never an error."""


LONGEST_QUOTE = 80
"""Characters of a value in a message."""


_VALUE = re.compile(r"(?<!\w)('[^'\n]*'|\"[^\"\n]*\")(?!\w)|[^\s'\"]{401,}")
_LONGEST_MESSAGE = 2000


def readable(message: str) -> str:
    """``message`` without control characters, and with at most a line of each value in it.

    A quoted value of more than 160 characters is cut, and so is a word of more than 400, which is
    longer than paths are.
    """
    shown = "".join(x if x.isprintable() or x == "\n" else f"\\x{ord(x):02x}" for x in message)
    shown = _VALUE.sub(lambda found: _short(found[0]), shown)
    return shown if len(shown) <= _LONGEST_MESSAGE else f"{shown[:_LONGEST_MESSAGE]}..."


def _short(value: str) -> str:
    return value if len(value) <= 2 * LONGEST_QUOTE else f"{value[:LONGEST_QUOTE]}...{value[-1]}"


def one_line(text: str, longest: int = 2 * LONGEST_QUOTE) -> str:
    """``text`` for a message: its first characters, on one line, without control characters."""
    # Of a long text no more is looked at than can be shown.
    shown = "".join(x if x.isprintable() else " " for x in text[: 4 * longest])
    shown = " ".join(shown.split())
    return shown if len(shown) <= longest and len(text) <= 4 * longest else f"{shown[:longest]}..."


def quoted(value: object, longest: int = LONGEST_QUOTE) -> str:
    """``value`` as Python writes it, for a message: at most a line of it, and printable."""
    return one_line(
        repr(value[: 4 * longest] if isinstance(value, str | bytes) else value), longest
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if the message is empty.

    Printable, and cut where it is longer than a message should be.
    """
    lines = str(error).strip().split("\n")
    return one_line(lines[0], 200) or type(error).__name__
