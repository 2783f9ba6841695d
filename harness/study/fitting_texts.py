"""The parallel texts that post-processing is fitted on: cut once, the same for all trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from harness.base.digests import file_sha256
from harness.base.files import write_atomically
from harness.base.reading import read_bytes
from harness.data.documents import decode, json_lines, unpacked
from harness.errors import DataError, StudyError
from harness.study.definition import PLAIN, PostProcessing
from harness.study.training_pairs import Places

_FILE = "post-processing.jsonl"


def check_texts(places: Places) -> None:
    """Check that the file of parallel texts exists, if the study names one.

    Raises:
        StudyError: it does not; names the key and the place.
    """
    wanted = places.study.post_processing
    if wanted is None or wanted.texts is None:
        return
    path = places.source(wanted.texts)
    if not path.is_file():
        raise StudyError(
            f"{places.study.where}: key 'score.post_processing.texts' names {wanted.texts}, and "
            f"there is no {path}; --data-dir (or HARNESS_DATA) says where"
        )


def make_steps(
    places: Places, languages: Sequence[str]
) -> tuple[Mapping[str, tuple[str, ...]], dict[str, object] | None]:
    """Each way to score a model: its name and its post-processing, plain vectors first.

    Args:
        places: of the study; the texts are written to ``post-processing.jsonl`` among its data.
        languages: of the tasks; the texts of others are left out.

    Returns:
        Name -> steps as ``--treatment`` takes them; and what identifies all of this, ``None`` for
        a study without post-processing.

    Raises:
        StudyError: the file cannot be read; names the key.
    """
    wanted = places.study.post_processing
    if wanted is None:
        return {PLAIN: ()}, None
    facts: dict[str, object] = {"steps": list(wanted.steps)}
    path = places.output / _FILE
    if wanted.texts is not None:
        write_atomically(path, _cut(places, wanted, languages))
        facts |= {"sha256": file_sha256(path)}
    return {PLAIN: (), **{x: (_step(x, str(path)),) for x in wanted.steps}}, facts


def _step(name: str, path: str) -> str:
    kind, at, number = name.partition("@")
    return kind if kind == "balanced" else f"{kind}:{path}{at}{number}"


def _cut(places: Places, wanted: PostProcessing, languages: Sequence[str]) -> bytes:
    assert wanted.texts is not None
    path = places.source(wanted.texts)
    try:
        rows = json_lines(decode(path, unpacked(path, read_bytes(path, DataError))))
        kept = [row for (_, row), _ in zip(rows, range(wanted.limit or 1 << 60), strict=False)]
    except DataError as error:
        raise StudyError(
            f"{places.study.where}: key 'score.post_processing.texts': {error}"
        ) from error
    lines = [
        json.dumps({x: row[x] for x in languages if x in row}, ensure_ascii=False) for row in kept
    ]
    return ("\n".join(lines) + "\n").encode()
