"""From the name of an engine on the command line to the engine."""

from __future__ import annotations

from harness.errors import UsageError
from harness.models.translation.engine import Command, Engine, EngineOptions

KINDS = ("transformers", "ctranslate2", "command")


def open_engine(named: str, options: EngineOptions) -> Engine:
    """The engine called ``named``; nothing is loaded before the first translation.

    Raises:
        UsageError: no such kind of engine, or nothing after the colon.
        ModelError: its folder or program is missing.
    """
    kind, colon, rest = named.partition(":")
    if not colon or kind not in KINDS or not rest.strip():
        raise UsageError(
            f"--engine {named!r}: write transformers:NAME, ctranslate2:FOLDER or command:COMMAND"
        )
    if kind == "command":
        return Command(rest, options)
    if kind == "ctranslate2":
        from harness.models.translation.ctranslate import CTranslate2

        return CTranslate2(rest, options)
    from harness.models.translation.seq2seq import Seq2Seq

    return Seq2Seq(rest, options)
