"""A cache of translations: one SQLite file per engine.

    CACHE/translations/<digest>.sqlite

The digest is of everything that changes a translation: engine, model files, languages, settings.
Each batch is committed when it is finished, so that a killed process loses only the batch in
flight.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.base.cache import cache_folder
from harness.base.digests import digest_of
from harness.errors import StoreError
from harness.models.translation.engine import Translated


class Memory:
    """The translations of one engine between two languages.

    Raises:
        StoreError: the file cannot be opened; says which.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.digest = digest_of(facts)
        self.path = cache_folder() / "translations" / f"{self.digest}.sqlite"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self.path, timeout=60)
            self._file.execute("pragma journal_mode = wal")
            self._file.execute(
                "create table if not exists translations "
                "(key blob primary key, text text not null, whole integer not null) without rowid"
            )
            self._file.commit()
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error

    def missing(self, texts: Iterable[str]) -> list[str]:
        """Those of ``texts`` that are not cached, each once, in order."""
        return [x for x in dict.fromkeys(texts) if self.get(x) is None]

    def get(self, text: str) -> Translated | None:
        """The translation of ``text``, if it is cached."""
        try:
            row = self._file.execute(
                "select text, whole from translations where key = ?", (_key(text),)
            ).fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error
        return None if row is None else Translated(row[0], bool(row[1]))

    def require(self, text: str) -> Translated:
        """The translation of ``text``, which has just been stored.

        Raises:
            StoreError: it is not there, so that the file is damaged.
        """
        found = self.get(text)
        if found is None:
            raise self._error(ValueError("it has lost a text"))
        return found

    def put(self, texts: Sequence[str], translations: Sequence[Translated]) -> None:
        """Store a batch, which is on disk when this returns."""
        rows = [(_key(x), y.text, int(y.whole)) for x, y in zip(texts, translations, strict=True)]
        try:
            with self._file:
                self._file.executemany("insert or replace into translations values (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _error(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self.path}: cannot be used ({error}); remove it to have its texts translated again"
        )


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
