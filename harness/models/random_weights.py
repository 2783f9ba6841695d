"""Weights that a model's files lack: transformers draws them at random and goes on."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

from harness.errors import ModelError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_IN_TABLE = re.compile(r"^(\S.*?)\s*\|\s*(?:MISSING|MISMATCH)\b", re.MULTILINE)
# As transformers 4 puts it, in a sentence.
_IN_SENTENCE = re.compile(r"newly initialized[^\[]*\[([^\]]*)\]")
_POOLER = re.compile(r"(?:^|\.)pooler\.")


@contextlib.contextmanager
def no_random_weights(*, pooler: bool = False) -> Iterator[None]:
    """Refuse a model that is loaded inside with weights that its files lack.

    Such a model scores differently in every run. What transformers reports while it loads is not
    shown: names of weights that the files lack, and of others that nobody needs.

    Args:
        pooler: whether the model uses the pooler. Vectors are pooled from tokens without it, and
            many a good model's files lack it.

    Raises:
        ModelError: weights are missing, or have another shape; names the first of them.
    """
    reports: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        text = _COLOURS.sub("", record.getMessage())
        report = "LOAD REPORT" in text or "newly initialized" in text or "not used when" in text
        if report:
            reports.append(text)
        return not report

    logger = logging.getLogger("transformers.modeling_utils")
    level = logger.level
    # Whatever the user's level; at WARNING itself transformers prints what a cluster would shard.
    logger.setLevel(logging.WARNING - 1)
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
        logger.setLevel(level)
    lacking = [x for x in _weights(reports) if pooler or not _POOLER.search(x)]
    if lacking:
        others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ModelError(f"its files lack weights that it needs: {lacking[0]}{others}")


def _weights(reports: list[str]) -> Iterator[str]:
    for text in reports:
        yield from _IN_TABLE.findall(text)
        for names in _IN_SENTENCE.findall(text):
            yield from (x.strip(" '\"") for x in names.split(","))
