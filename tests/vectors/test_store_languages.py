"""The store keeps the vectors of a text apart by language and role."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny

import harness
from harness.models import load
from harness.vectors import encode as encoding
from harness.vectors.store import Store


class Tagged:
    """An encoder whose vectors depend on language and role alone."""

    name = "tagged"
    fingerprint = "tagged-1"

    def __init__(self) -> None:
        self.requested: list[tuple[str, str]] = []

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        """The first letters of language and role."""
        self.requested += [(language, role)] * len(texts)
        return np.full((len(texts), 2), [ord(language[0]), ord(role[0])], np.float32)


def test_the_same_text_in_two_languages_and_roles_has_four_vectors(tmp_path: Path) -> None:
    """Each is encoded once, then read back unchanged."""
    encoder = Tagged()
    model: Any = load(encoder)
    for _ in range(2):
        for role in ("query", "passage"):
            for language in ("de", "en"):
                counts = encoding.EncodingCounts()
                found = encoding.encode(
                    model, role, language, ["Taxi"], store=Store(tmp_path), counts=counts
                )
                assert found.tolist() == [[ord(language[0]), ord(role[0])]]
    assert encoder.requested == [
        ("de", "query"), ("en", "query"), ("de", "passage"), ("en", "passage")
    ]  # fmt: skip


def test_a_run_with_the_store_has_the_numbers_of_one_without(tmp_path: Path) -> None:
    """The task has equal texts in two languages; the encoder treats the languages differently."""
    task = tiny.write_task(tmp_path, languages=("en", "de"))
    for kind in ("queries", "passages"):
        data = tmp_path / "data"
        (data / f"{kind}.de.jsonl").write_text((data / f"{kind}.en.jsonl").read_text())

    class ByLanguage(tiny.WordBag):
        def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
            given = [f"{language} {text.partition(' ')[2]}" for text in texts]
            return super().encode(given, role=role, language=language)

    tables = [
        harness.evaluate(ByLanguage(bias=2.0), tasks=[str(task)], store=x, resamples=0)
        for x in (False, True, True)
    ]
    first, second, third = (x.per_query("tiny") for x in tables)
    assert second.equals(first) and third.equals(first)
