"""The parallel texts that post-processing is fitted on: cut once, the same for all trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from harness.base.digests import file_sha256
from harness.base.files import write_atomically
from harness.base.reading import read_bytes
from harness.data.documents import decode, json_lines, unpacked
from harness.errors import DataError, HarnessError, StudyError
from harness.evaluation.layout import Prepared
from harness.evaluation.postprocessing.specs import parse_postprocessors
from harness.study.definition import PLAIN, PostProcessing
from harness.study.training_pairs import Places
from harness.study.trials import in_keys

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
        places: of the study; the texts are written to ``post-processing.jsonl`` among its data, or
            beside it if that has others: a run that goes on may be fitting to them.
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
        raw = _cut(places, wanted, languages)
        digest = hashlib.sha256(raw).hexdigest()
        if path.is_file() and file_sha256(path) != digest:
            path = path.with_stem(f"{path.stem}.{digest[:12]}")
        if not path.is_file():
            write_atomically(path, raw)
        facts |= {"sha256": digest}
    return {PLAIN: (), **{x: (_step(x, str(path)),) for x in wanted.steps}}, facts


class _Vectors:
    """What a step requires of a model: that it returns vectors, as all that are trained do."""

    def encode(self) -> None:
        """Never called."""


def check_steps(
    places: Places, steps: Mapping[str, tuple[str, ...]], tasks: Sequence[Prepared]
) -> None:
    """Check that every step can be applied to every task, before anything is trained.

    Raises:
        StudyError: a number is out of range, or the texts are too few, no texts, or have questions
            of a task; names the key.
    """
    for specs in steps.values():
        for task in tasks:
            try:
                parse_postprocessors(specs, _Vectors(), [task])
            except HarnessError as error:
                where = f"{places.study.where}: key 'score.post_processing'"
                raise StudyError(f"{where}: {in_keys(error)}") from error


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
