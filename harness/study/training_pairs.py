"""The pairs of a study, made once for all trials: converted, cleaned, checked, cut.

    OUT/data/NAME.jsonl.gz               the set
    OUT/data/NAME.jsonl.gz.about.json    where it comes from; written last, with the options
    OUT/data/NAME.ROWS.jsonl.gz          the first rows of it, in an order of its own

The order is that of the SHA-256 of the set's digest and the row's place: the same for every arm and
seed, so that 1,000 rows are among 2,000.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from harness.base.digests import digest_of, file_sha256
from harness.base.environment import versions
from harness.base.files import home_expanded
from harness.base.progress import Progress
from harness.data.task import TaskSpec, find_task
from harness.errors import DataError, HarnessError, StudyError, UsageError
from harness.study.definition import DataSet, Study
from harness.study.file_tables import PAIRS
from harness.study.results import write_json
from harness.study.trials import Portion
from harness.training.overlap.detection import find_overlap, require_unseen, stream_texts
from harness.training.overlap.evaluation_texts import Evaluation, evaluation
from harness.training.overlap.pair_files import origins
from harness.training.pairs import Example, Form, form_of, stream_examples
from harness.training.sources.code_switch import (
    Switching,
    described,
    lexicon_of,
    read_switching,
    switched,
)
from harness.training.sources.conversion import Options, about, about_path, make_pairs, write_stream
from harness.training.sources.hub_sets import HUB

_VERSION = 1
MIRROR = "models"
"""Folder of the data directory with copies of models of the hub."""
_TAKES_LANGUAGES = ("bitext", "segments", *HUB)
"""Sources that select languages themselves; rows of others are cut to the languages."""


@dataclass(frozen=True)
class Places:
    """Input and output folders of a study's data."""

    study: Study
    output: Path
    """The folder ``data`` of the study."""
    data_dir: Path | None
    offline: bool

    def source(self, name: str) -> Path:
        """A file that the study names."""
        if name.startswith("."):
            return self.study.folder / name
        path = home_expanded(name)
        return path if path.is_absolute() or self.data_dir is None else self.data_dir / path

    def made(self, name: str) -> Path:
        """The file of a set."""
        return self.output / f"{name}.jsonl.gz"

    def model(self, name: str) -> str:
        """A base, reference or teacher, by the name it is loaded by.

        ``./x`` is relative to the study; ``ORG/NAME`` is a folder of the data directory,
        ``models/ORG/NAME``, if that is there.
        """
        if name.startswith("."):
            return str(self.study.folder / name)
        here = None if self.data_dir is None else self.data_dir / MIRROR / name
        return str(here) if here is not None and "/" in name and here.is_dir() else name

    def task(self, name: str, text: str | None = None) -> TaskSpec:
        """A task by name, or its file relative to the study.

        Raises:
            TaskError: there is none, or its file is wrong.
        """
        if name.endswith(".toml") and name.startswith("."):
            return find_task(str(self.study.folder / name), text=text)
        return find_task(name, text=text)


def check_sources(places: Places, names: Iterable[str] | None = None) -> None:
    """Check that every file of every set exists.

    Args:
        places: of the study.
        names: sets that some trial trains on; ``None``: all.

    Raises:
        StudyError: one is missing; names the key and the place.
    """
    study = places.study
    for data in study.data.values():
        if names is not None and data.name not in names:
            continue  # of another scale
        if data.source == PAIRS:
            _check_options(study, data)
        switching = _switching(study, data)
        named = [("files", x) for x in data.files]
        if switching is not None:
            named += [("code_switch.lexicons", x) for x in switching.lexicons]
            named += [("code_switch.bitext", x) for x in switching.bitext]
        for key, file in named:
            path = places.source(file)
            if path.is_file():
                continue
            where = "" if file.startswith(".") else "; --data-dir (or HARNESS_DATA) says where"
            raise StudyError(
                f"{study.where}: key 'data.{data.name}.{key}' names {file}, and there is no "
                f"{path}{where}"
            )
        for task in data.clean:
            try:
                places.task(task)
            except HarnessError as error:
                raise StudyError(f"{study.where}: key 'data.{data.name}.clean': {error}") from error


def _check_options(study: Study, data: DataSet) -> None:
    """Refuse options that pairs are made with: these are pairs already.

    Raises:
        StudyError: names the key.
    """
    for name in data.options:
        if name not in ("languages", "limit"):
            key = "label" if name == "labels" else name
            raise StudyError(
                f"{study.where}: key 'data.{data.name}.{key}' is not for format {PAIRS!r}, which "
                "takes languages and limit: its files are pairs already"
            )


def _switching(study: Study, data: DataSet) -> Switching | None:
    """The options of code switching, if any.

    Raises:
        StudyError: an unknown key or a wrong value; names it.
    """
    if data.code_switch is None:
        return None
    try:
        return read_switching(data.code_switch)
    except UsageError as error:
        raise StudyError(f"{study.where}: [data.{data.name}.code_switch]: {error}") from error


class Evaluations:
    """Evaluation texts that pairs are compared with, each task read once."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._by_digest: dict[str, Evaluation] = {}

    def of(self, specs: Sequence[TaskSpec]) -> list[Evaluation]:
        """Questions and, of small tasks, relevant passages, as training itself looks at them."""
        for spec in specs:
            if spec.digest not in self._by_digest:
                self._by_digest[spec.digest] = evaluation(
                    spec,
                    "gold" if spec.size == "small" else "none",
                    data_dir=self._places.data_dir,
                    offline=self._places.offline,
                )
        return [self._by_digest[spec.digest] for spec in specs]


def make_data(
    places: Places, names: Sequence[str], scored: Sequence[TaskSpec], progress: Progress
) -> dict[str, dict[str, Any]]:
    """Make the missing sets; returns the ``.about.json`` of each, by name.

    Args:
        places: of the study.
        names: sets that some trial trains on.
        scored: tasks whose questions must not be in them.
        progress: gets the numbers of rows and texts.

    Raises:
        StudyError: a set cannot be made, or contains questions of a task; names the key.
    """
    evaluations = Evaluations(places)
    found = {}
    for name in names:
        data = places.study.data[name]
        try:
            facts = _made(places, data, evaluations, progress)
            found[name] = _looked_through(places, data, facts, scored, evaluations, progress)
        except StudyError:
            raise
        except HarnessError as error:
            raise StudyError(f"{places.study.where}: [data.{name}]: {error}") from error
    return found


def _made(
    places: Places, data: DataSet, evaluations: Evaluations, progress: Progress
) -> dict[str, Any]:
    path = places.made(data.name)
    cleaned = [places.task(x) for x in data.clean]
    switching = _switching(places.study, data)
    mixed_from = () if switching is None else (*switching.lexicons, *switching.bitext)
    key = digest_of(
        {
            "version": _VERSION,
            "harness": versions().get("polyglot-harness"),
            "set": {k: v for k, v in asdict(data).items() if k != "allow_overlap"},
            "files": [file_sha256(places.source(x)) for x in (*data.files, *mixed_from)],
            "clean": [x.digest for x in cleaned],
        }
    )
    about = _about(path)
    if about.get("study", {}).get("key") == key:
        return about
    work = places.output / ".work" / path.name
    if data.source == PAIRS:
        sources = [places.source(x) for x in data.files]
        facts: dict[str, Any] = {
            "source": PAIRS,
            "files": [{"name": x.name, "sha256": file_sha256(x)} for x in sources],
        }
        form = _one_form(sources)
        rows: Iterator[Example] = islice(_chained(sources), data.options.get("limit"))
    else:
        own = dict(data.options)
        if data.source not in _TAKES_LANGUAGES:
            own.pop("languages", None)
        options = Options(**own, data_dir=places.data_dir, offline=places.offline)
        files = [places.source(x) for x in data.files]
        made = make_pairs(data.source, files, work, options, progress)
        facts, form = dict(made.about), made.form
        rows = stream_examples(work)
    if "languages" in data.options and data.source not in _TAKES_LANGUAGES:
        rows = _in_languages(rows, data.options["languages"])
    left_out: set[str] = set()
    if cleaned:
        raw = work.with_name(f"raw-{path.name}")
        _write(raw, rows, form)
        left_out = _leaked(raw, evaluations.of(cleaned), progress)
        rows = (x for x in stream_examples(raw) if x.id not in left_out)
    switch, counts = None, Counter[str]()
    if switching is not None:
        lexicon = lexicon_of(switching, places.source)
        rows = switched(rows, lexicon, switching, counts)
    # The facts are always those of the file, even if this is stopped between the two.
    about_path(path).unlink(missing_ok=True)
    languages: dict[str, None] = {}
    count, digest = _write(path, _noting(rows, languages), form)
    if switching is not None:
        if not counts["words"]:
            raise DataError(f"no query is in {switching.source}, so there is nothing to mix")
        switch = described(lexicon, switching, counts)
    _remove(work)
    facts |= {"form": form, "rows": count, "sha256": digest}
    facts["study"] = {
        "key": key,
        "cleaned_of": list(data.clean),
        "ids_left_out": len(left_out),
        "code_switch": switch,
        "languages": list(languages),
    }
    write_json(about_path(path), facts)
    return facts


def _remove(work: Path) -> None:
    """Rows left out when making a set."""
    about_path(work).unlink(missing_ok=True)
    for left in work.parent.glob(f"*{work.name}"):
        left.unlink()


def _about(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(about(path))
    except DataError:
        return {}


def _one_form(files: Sequence[Path]) -> Form:
    forms = {form_of(x) for x in files}
    if len(forms) > 1:
        raise DataError(f"{files[0]} and the others are of two forms; make two sets of them")
    return forms.pop()


def _chained(files: Sequence[Path]) -> Iterator[Example]:
    for file in files:
        yield from stream_examples(file)


def _in_languages(rows: Iterable[Example], languages: Sequence[str]) -> Iterator[Example]:
    for x in rows:
        query = {k: v for k, v in x.query.items() if k in languages}
        passage = {k: v for k, v in x.passage.items() if k in languages}
        if query and passage:
            negatives = {k: v for k, v in x.negatives.items() if k in languages}
            yield Example(x.id, query, passage, x.passage_id, negatives)


def _leaked(file: Path, tasks: Sequence[Evaluation], progress: Progress) -> set[str]:
    """Ids of rows that contain a question of a task, equal or nearly so."""
    found: set[str] = set()

    def on_hit(hit: Any) -> None:
        if hit.role == "query" and hit.kind != "ngram":
            found.add(hit.row)

    find_overlap(tasks, stream_texts([file]), on_hit=on_hit, progress=progress)
    return found


def _write(path: Path, rows: Iterable[Example], form: Form) -> tuple[int, str]:
    count, digest = write_stream(path, rows, form)
    if not count:
        raise DataError("no pair is left in it")
    return count, digest


def _noting(rows: Iterable[Example], languages: dict[str, None]) -> Iterator[Example]:
    """The rows; afterwards ``languages`` has their languages, in order of first appearance."""
    for x in rows:
        languages |= dict.fromkeys((*x.query, *x.passage))
        yield x


def _looked_through(
    places: Places,
    data: DataSet,
    facts: dict[str, Any],
    scored: Sequence[TaskSpec],
    evaluations: Evaluations,
    progress: Progress,
) -> dict[str, Any]:
    """Compare pairs with the evaluation tasks, once; raise if they leak."""
    path = places.made(data.name)
    key = digest_of({"rows": facts["sha256"], "tasks": [x.digest for x in scored]})
    seen = facts["study"].get("overlap", {})
    if seen.get("key") != key or (seen.get("leaked") and not data.allow_overlap):
        names = [str(x["name"]) for x in facts.get("files", ())]
        if data.source == PAIRS:
            names += origins([places.source(x) for x in data.files])
        found = find_overlap(
            evaluations.of(scored),
            stream_texts([path]),
            data=[*names, *filter(None, [facts.get("repository")])],
            progress=progress,
        )
        try:
            require_unseen(found, allowed=data.allow_overlap)
        except DataError as error:
            said = str(error).split(": leave such rows out")[0]
            raise StudyError(
                f"{places.study.where}: [data.{data.name}] {said}: leave such rows out with "
                f"clean = {json.dumps([x.name for x in scored])}, or say allow_overlap = true, "
                "which the page will repeat"
            ) from error
        seen = {
            "key": key,
            "leaked": any(x.leaked for x in found),
            "found": [x.document() | {"sentences": x.sentences()} for x in found],
        }
        facts["study"] = facts["study"] | {"overlap": seen}
        write_json(about_path(path), facts)
    return facts


def cut(places: Places, portion: Portion, facts: Mapping[str, Any]) -> tuple[Path, str]:
    """The file of a portion, made if missing, and the SHA-256 of its content.

    Raises:
        StudyError: the set has fewer rows.
    """
    whole, total = places.made(portion.data), int(facts["rows"])
    if portion.rows is None or portion.rows == total:
        return whole, str(facts["sha256"])
    if portion.rows > total:
        axis = next(
            x.name
            for x in places.study.axes.values()
            if x.data == portion.data and portion.rows in x.values
        )
        raise StudyError(
            f"{places.study.where}: key 'axes.{axis}.values' requires {portion.rows:,} rows of "
            f"{portion.data!r}, which has {total:,}"
        )
    path = places.output / f"{portion.data}.{portion.rows}.jsonl.gz"
    about = _about(path)
    if about.get("of") != facts["sha256"]:
        chosen = set(_order(str(facts["sha256"]), total)[: portion.rows])
        rows = (x for i, x in enumerate(stream_examples(whole)) if i in chosen)
        about_path(path).unlink(missing_ok=True)
        _, digest = write_stream(path, rows, facts["form"])
        about = {"of": facts["sha256"], "rows": portion.rows, "sha256": digest}
        write_json(about_path(path), about)
    return path, str(about["sha256"])


def _order(digest: str, rows: int) -> list[int]:
    """Places of rows, in the order in which they are taken."""
    return sorted(range(rows), key=lambda i: hashlib.sha256(f"{digest} {i}".encode()).digest())
