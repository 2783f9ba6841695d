"""Translation engines, as named on the command line.

    transformers:NAME_OR_FOLDER   NLLB, M2M-100, Marian (OPUS-MT), mBART-50 and their like
    ctranslate2:FOLDER            a model converted for CTranslate2, an Argos package unpacked
    command:COMMAND               any program that writes one line per line read

NAME and COMMAND may contain {source} and {target}, which are replaced by the languages' codes:
``Helsinki-NLP/opus-mt-{source}-{target}``, ``apertium -u {source}-{target}``. If an engine uses
other codes, set them with ``--code en=eng``.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from harness.base.languages import without_spaces
from harness.errors import ModelError, UsageError


class Translated(NamedTuple):
    """One translated text."""

    text: str
    whole: bool = True
    """False if the engine stopped at its length limit, before the end."""


class Engine(Protocol):
    """Something that translates."""

    batch_size: int
    """Texts to pass at once."""

    def facts(self, source: str, target: str) -> Mapping[str, Any]:
        """Everything that changes a translation between these languages, as JSON has it.

        Raises:
            UsageError, ModelError: the engine cannot translate between them, or is missing.
        """

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[Translated]:
        """One translation per text, in order.

        Raises:
            ModelError: the engine failed.
        """


@dataclass(frozen=True)
class EngineOptions:
    """Options for engines; an engine ignores those it does not support."""

    codes: Mapping[str, str] = field(default_factory=dict)
    """Language -> the engine's code for it."""
    batch_size: int | None = None
    beams: int = 1
    max_length: int = 256
    """Maximum tokens of a sentence, read or written."""
    split: bool = True
    """Whether models get texts sentence by sentence, as they were trained."""
    device: str | None = None
    offline: bool = False


def filled(template: str, source: str, target: str, codes: Mapping[str, str]) -> str:
    """``template`` with the engine's codes in place of {source} and {target}."""
    return template.replace("{source}", codes.get(source, source)).replace(
        "{target}", codes.get(target, target)
    )


class Command:
    """A program that translates line by line, in UTF-8.

    Line breaks within a text become spaces.
    """

    def __init__(self, template: str, options: EngineOptions) -> None:
        self._template = template
        self._codes = options.codes
        self.batch_size = options.batch_size or 500

    def _words(self, source: str, target: str) -> list[str]:
        try:
            words = shlex.split(filled(self._template, source, target, self._codes))
        except ValueError as error:
            raise UsageError(f"--engine command:{self._template}: {error}") from error
        program = shutil.which(words[0]) if words else None
        if program is None:
            raise ModelError(
                f"--engine command:{self._template}: program {words[0]!r} not found"
                if words
                else "--engine command: names no program"
            )
        return [program, *words[1:]]

    def facts(self, source: str, target: str) -> Mapping[str, Any]:
        """The command, and the digest of its program."""
        words = self._words(source, target)
        return {
            "engine": "command",
            "model": " ".join([Path(words[0]).name, *words[1:]]),
            "digest": hashlib.sha256(Path(words[0]).read_bytes()).hexdigest(),
        }

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[Translated]:
        """One run of the command for all ``texts``."""
        words = self._words(source, target)
        lines = "".join(" ".join(x.split()) + "\n" for x in texts)
        done = subprocess.run(words, input=lines.encode(), capture_output=True, check=False)
        shown = " ".join([Path(words[0]).name, *words[1:]])
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise ModelError(
                f"{shown!r} ended with code {done.returncode}{': ' + said[-1] if said else ''}"
            )
        out = done.stdout.decode("utf-8", "replace").split("\n")
        if out and out[-1] == "":
            out.pop()
        if len(out) != len(texts):
            raise ModelError(
                f"{shown!r} wrote {len(out)} lines for {len(texts)}; it must write one for each"
            )
        return [Translated(x.strip()) for x in out]


# A sentence ends with a full stop, closing quotes and a space; Chinese and Japanese need no space.
_BOUNDARY = re.compile(r"[.!?।؟…][\"'”’»)\]]*\s+|[。！？][\"'”’」』）]*|\n+")


def sentences(text: str) -> list[str]:
    """``text`` split into sentences."""
    found, start = [], 0
    for match in _BOUNDARY.finditer(text):
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [x for x in found if x] or [text]


def by_sentence(
    texts: Sequence[str],
    target: str,
    translate: Callable[[list[str]], list[Translated]],
    split: bool,
) -> list[Translated]:
    """Translate texts sentence by sentence and rejoin them."""
    if not split:
        return translate(list(texts))
    parts = [sentences(x) for x in texts]
    done = iter(translate([x for each in parts for x in each]))
    joint = "" if without_spaces(target) else " "
    found = []
    for each in parts:
        here = [next(done) for _ in each]
        found.append(Translated(joint.join(x.text for x in here), all(x.whole for x in here)))
    return found


def by_length(
    texts: Sequence[str], size: int, translate: Callable[[list[str]], list[Translated]]
) -> list[Translated]:
    """Translate in batches of similar length, longest first; each distinct text once."""
    distinct = sorted(set(texts), key=lambda x: (-len(x), x))
    found: dict[str, Translated] = {}
    for start in range(0, len(distinct), size):
        batch = distinct[start : start + size]
        found.update(zip(batch, translate(batch), strict=True))
    return [found[x] for x in texts]
