"""Translations in gettext's PO files to aligned segments: language -> text, a segment a line.

    pip install polib
    git clone --depth 1 --branch libreoffice-7-4 https://github.com/LibreOffice/translations
    python from_po.py translations/source/{}/helpcontent2 en de el es tr > help.jsonl

The first language is that of the messages themselves, the others name folders by ``{}``. Messages
keep the order that they have in their file, which in documentation is that of the pages. Markup
is taken out; what is not translated, or marked as doubtful, is left out in that language.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import polib

TAG = re.compile(r"<[^>]*>")


def plain(text: str) -> str:
    """A message without its tags, on one line."""
    return " ".join(TAG.sub("", text).split())


def main(folders: str, source: str, *languages: str) -> None:
    """Write the segments of all files to standard output."""
    segments: dict[tuple[str, str, str], dict[str, str]] = {}
    for language in languages:
        root = Path(folders.format(language))
        for file in sorted(root.rglob("*.po")):
            for entry in polib.pofile(str(file)):
                if not entry.obsolete:
                    # One message may stand in several places: its context tells them apart.
                    key = (str(file.relative_to(root)), entry.msgctxt or "", entry.msgid)
                    texts = segments.setdefault(key, {source: plain(entry.msgid)})
                    if entry.translated() and plain(entry.msgstr):
                        texts[language] = plain(entry.msgstr)
    for texts in segments.values():
        if texts[source]:
            sys.stdout.write(json.dumps(texts, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
