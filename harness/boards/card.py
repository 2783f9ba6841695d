"""A model's records for its model card: a section, ``model-index`` and ``.eval_results``.

The section has the form of sentence-transformers' own model cards. ``model-index`` is the metadata
at the top of README.md; ``.eval_results/TASK.yaml`` is the newer form
(huggingface.co/docs/hub/eval-results), a file per benchmark. A part of a task, or a sampled corpus,
is in the section, marked, and never in the metadata: pages that collect metadata would show it
as the whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.base.files import write_atomically
from harness.base.hub import Repository
from harness.base.reading import object_or_empty, read_text
from harness.boards import Leaderboards, make_board
from harness.boards.board import Cell, Column, Row, TaskBoard
from harness.boards.render.grids import KIND_TITLES, unseen, value_item
from harness.boards.tracked.document import (
    Tracked,
    load,
    text_of,
    tracked_document,
    tracked_of,
)
from harness.console import numbers
from harness.console.markdown import code, escaped, table
from harness.console.tables import Grid, Item
from harness.data.task import list_tasks
from harness.errors import RecordError, UsageError
from harness.evaluation.record import RECORD_FILE, Record

START, END = "<!-- harness:start -->", "<!-- harness:end -->"
# From the start that is nearest to an end: one that has lost its own has others' text below it.
_BETWEEN = re.compile(rf"{START}(?:(?!{START}).)*?{END}\n?", re.DOTALL)
HUB_DATASETS: Mapping[str, str] = {
    "mlqa-dev": "facebook/mlqa",
    "xquad": "google/xquad",
    "xquad-r": "google-research-datasets/xquad_r",
}
"""Task -> the hub dataset with the same data, for tasks whose files come from elsewhere."""
_FOLDER = ".eval_results"
_TASK_TYPE = "information-retrieval"


@dataclass(frozen=True)
class Card:
    """The facts about one model."""

    model: str
    tasks: tuple[tuple[TaskBoard, Row], ...]


def make_card(paths: Sequence[Path]) -> Card:
    """Read records of one model, full or tracked; if several have a task, the latest counts.

    Raises:
        RecordError: a record cannot be read or is not valid.
        UsageError: they belong to different models.
    """
    records = [_read(path) for path in paths]
    records.sort(key=lambda x: x.contents.created)
    names = list(dict.fromkeys(x.contents.model.name for x in records))
    prints = {x.contents.model.fingerprint for x in records}
    if len(names) > 1:
        raise UsageError(
            f"a model card describes one model, but these records are of {', '.join(names)}"
        )
    if len(prints) > 1:
        raise UsageError(
            f"these records of {names[0]} have different model fingerprints: its weights, prompts "
            "or precision differ; give records of only one of them"
        )
    board = make_board(Leaderboards(Path(), records, ()))
    created = {x.name: i for i, x in enumerate(records)}
    found = []
    for task in board.tasks:
        own = [row for row in task.rows if row.source == "measured"]
        found.append((task, max(own, key=lambda row: created[row.id])))
    return Card(names[0], tuple(found))


def _read(path: Path) -> Tracked:
    file = path / RECORD_FILE if path.is_dir() else path
    if "tracked_version" in object_or_empty(file):
        return load(file)
    record = Record.load(path)
    made, _ = tracked_document(record)
    return tracked_of(str(file), text_of(made), str(file))


def section(card: Card) -> str:
    """The part of a model card, between its markers."""
    parts = [START, "## Evaluation", "### Metrics"]
    for task, row in card.tasks:
        parts += _task(task, row)
    parts.append(END)
    return "\n\n".join(x.rstrip("\n") for x in parts) + "\n"


def _task(task: TaskBoard, row: Row) -> list[str]:
    notes = "".join(f"\n* **{escaped(note)}**" for note in (*task.notes, *row.notes))
    if languages := unseen(task, row):
        notes += f"\n* Languages that the model was not trained on: {', '.join(languages)}"
    options = f"\n* Options: {escaped(row.options)}" if row.options else ""
    facts = row.facts
    assert facts is not None
    front_matter = (
        f"* Dataset: {code(task.title)}, {numbers.plural(len(task.languages), 'language')}, "
        f"{numbers.plural(task.questions, 'question')}, "
        f"{numbers.plural(sum(task.passages.values()), 'passage')}, "
        f"text: {escaped(task.text)}\n"
        f"* Evaluated with `polyglot-harness` {escaped(facts.harness or '')}: "
        f"{code(facts.command)}\n"
        f"* Data digest {code(task.data_digest)}"
        f"{options}{notes}"
    )
    found = [
        f"#### Multilingual Retrieval: {escaped(task.title)}",
        front_matter,
        table(_metrics(task, row)),
    ]
    by_language = _languages(task, row)
    if by_language is not None:
        found.append(table(by_language))
    return found


def _metrics(task: TaskBoard, row: Row) -> Grid:
    """One line per measure, one column per kind of setting, with 95 % intervals."""
    by = {(c.measure, c.kind): c for c in task.columns if c.key in row.cells}
    measures = dict.fromkeys(c.measure for c in task.columns if c.key in row.cells)
    lines = []
    for measure in measures:
        of_kind = [by.get((measure, kind)) for kind in task.kinds]
        label = next(c.label for c in of_kind if c is not None)
        lines.append(
            (Item(label), *(_item(row, c) if c is not None else Item("–") for c in of_kind))
        )
    headers = ("Metric", *(f"{KIND_TITLES[kind]} (95 % interval)" for kind in task.kinds))
    return Grid("", headers, tuple(lines))


def _item(row: Row, column: Column) -> Item:
    return value_item(column, row.cells.get(column.key, Cell(None)))


def _languages(task: TaskBoard, row: Row) -> Grid | None:
    """The main measure of each kind by query language."""
    main = task.sort.partition("/")[2]
    columns = [c for c in task.columns if c.measure == main and c.key in row.languages]
    if not columns or len(task.languages) < 2:
        return None
    lines = tuple(
        (Item(language), *(value_item(c, Cell(row.languages[c.key][i].value)) for c in columns))
        for i, language in enumerate(task.languages)
    )
    headers = ("Query language", *(f"{KIND_TITLES[c.kind]} {c.label}" for c in columns))
    return Grid("", headers, lines)


def _whole(card: Card) -> list[tuple[TaskBoard, Row]]:
    return [(task, row) for task, row in card.tasks if not task.notes]


def model_index(card: Card) -> list[dict[str, Any]]:
    """The value of ``model-index``: macro means of whole tasks; empty if there are none."""
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    results, on_hub = [], _on_hub()
    for task, row in _whole(card):
        for c in task.columns:
            value = row.cells.get(c.key, Cell(None)).value
            if value is None:
                continue
            results.append(
                EvalResult(
                    task_type=_TASK_TYPE,
                    task_name="Multilingual Retrieval",
                    dataset_type=on_hub.get(task.task, task.task),
                    dataset_name=f"{task.title} ({KIND_TITLES[c.kind].lower()})",
                    dataset_config=c.kind,
                    metric_type=c.measure,
                    metric_name=c.label,
                    metric_value=_digits(value),
                )
            )
    found: list[dict[str, Any]] = eval_results_to_model_index(card.model, results)
    return found if results else []


def eval_results(
    card: Card, datasets: Mapping[str, str] | None = None, source_url: str | None = None
) -> dict[str, list[dict[str, Any]]]:
    """File name -> entries of ``.eval_results``: the main table's means of whole tasks.

    ``dataset.task_id`` is kind and measure, as in ``multi_map``; the hub collects those entries
    whose dataset declares itself a benchmark with such a task. Tasks without a dataset on the hub,
    in ``datasets`` (task -> ORG/NAME) or known to come from one, are left out.
    """
    named = {**_on_hub(), **(datasets or {})}
    found = {}
    for task, row in _whole(card):
        if task.task not in named:
            continue
        entries = []
        for c in task.columns:
            value = row.cells.get(c.key, Cell(None)).value
            if value is None:
                continue
            entry: dict[str, Any] = {
                "dataset": {
                    "id": named[task.task],
                    "task_id": f"{c.kind}_{c.measure}".replace("@", "_at_"),
                },
                "value": _digits(value),
            }
            if row.facts is not None:
                entry["date"] = row.facts.created
            if source_url is not None:
                entry["source"] = {"url": source_url, "name": "polyglot-harness"}
            entry["notes"] = f"text: {task.text}; data {task.data_digest[:12]}" + (
                f"; {row.options}" if row.options else ""
            )
            entries.append(entry)
        found[f"{task.slug}.yaml"] = entries
    return found


def _digits(value: float) -> float:
    """Digits enough for any table; a mean of thousands of queries is not more precise."""
    return float(f"{value:.6g}")


def to_yaml(value: Any) -> str:
    """YAML in the order given."""
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _on_hub() -> dict[str, str]:
    """Task -> its hub dataset: those listed above, and those whose files come from one."""
    sources = {spec.name: spec.source.repository for spec in list_tasks()}
    return {name: x for name, x in sources.items() if x is not None} | dict(HUB_DATASETS)


def left_out(card: Card, datasets: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each task missing from some of the metadata."""
    named = {**_on_hub(), **(datasets or {})}
    found = []
    for task, _ in card.tasks:
        if task.notes:
            why = "; ".join(task.notes)
            found.append(f"{task.title} is only in the section, not in the metadata: {why}")
        elif task.task not in named:
            found.append(
                f"{task.title} is not in .eval_results, which names data sets on the hub; name its "
                f"data set with --dataset {task.task}=ORG/NAME"
            )
    return found


def write_card(
    card: Card,
    folder: Path,
    datasets: Mapping[str, str] | None = None,
    source_url: str | None = None,
) -> list[Path]:
    """Put section, ``model-index`` and ``.eval_results`` into a model's folder.

    The section takes the place of an earlier one, or goes to the end; metadata of other models and
    all else in README.md is kept.

    Raises:
        UsageError: there is no such folder.
        RecordError: the YAML header of README.md cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give the model's folder")
    path = folder / "README.md"
    text = read_text(path, RecordError) if path.is_file() else f"# {escaped(card.model)}\n"
    content = _with_metadata(_with_section(text, section(card)), model_index(card), path)
    written = [path]
    write_atomically(path, content.encode())
    for name, entries in eval_results(card, datasets, source_url).items():
        target = folder / _FOLDER / name
        write_atomically(target, to_yaml(entries).encode())
        written.append(target)
    return written


def push_card(
    card: Card,
    repository: str,
    datasets: Mapping[str, str] | None = None,
    source_url: str | None = None,
    *,
    pull_request: bool = False,
) -> str:
    """Put section, ``model-index`` and ``.eval_results`` into a model on the hub, in one commit.

    Args:
        card: the facts.
        repository: ``ORG/NAME`` or ``ORG/NAME@BRANCH``; its own README.md is kept as by
            :func:`write_card`.
        datasets: as of :func:`write_card`.
        source_url: as of :func:`write_card`.
        pull_request: open a pull request instead, which needs no right to write.

    Returns:
        The address of the commit or of the pull request.

    Raises:
        HarnessError: the hub refuses or cannot be reached; nothing is changed there.
        RecordError: the YAML header of its README.md cannot be read.
    """
    name, _, revision = repository.partition("@")
    target = Repository(name, revision or None, "model")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if "README.md" in target.file_names():
            text = (target.snapshot(["README.md"]) / "README.md").read_bytes()
            (folder / "README.md").write_bytes(text)
        written = write_card(card, folder, datasets, source_url)
        files = {path.relative_to(folder).as_posix(): path for path in written}
        titles = ", ".join(task.title for task, _ in card.tasks)
        return target.push(files, f"Results on {titles}", pull_request=pull_request)


def _with_section(text: str, new: str) -> str:
    if _BETWEEN.search(text):
        return _BETWEEN.sub(lambda _: new, text, count=1)
    return f"{text.rstrip()}\n\n{new}"


_HEAD = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*\n", re.DOTALL | re.MULTILINE)
_INDEX = re.compile(r"^model-index[ \t]*:.*\n(?:(?:[ \t-].*)?\n)*", re.MULTILINE)
"""The lines of ``model-index`` in a YAML header: its own, and those indented or of a list below."""


def _with_metadata(text: str, index: list[dict[str, Any]], path: Path) -> str:
    """``text`` with ``model-index`` in its YAML header; unchanged if there is none."""
    if not index:
        return text
    import yaml

    found = _HEAD.match(text)
    try:
        front_matter = yaml.safe_load(found[1]) if found else {}
    except (yaml.YAMLError, ValueError, RecursionError) as problem:  # ValueError: a date of no day
        raise RecordError(f"{path}: its YAML header cannot be read: {problem}") from problem
    if front_matter is not None and not isinstance(front_matter, dict):
        raise RecordError(f"{path}: its YAML header is not a mapping")
    front = front_matter or {}
    # Other evaluators' results stay; our own of the same data sets are replaced.
    ours = {r["dataset"]["name"] for x in index for r in x["results"]}
    try:
        for other in front.get("model-index") or []:
            kept = [r for r in other.get("results", []) if r["dataset"].get("name") not in ours]
            index[0]["results"] = [*kept, *index[0]["results"]]
    except (KeyError, TypeError, AttributeError) as problem:
        raise RecordError(
            f"{path}: the model-index in its YAML header must be a list of models with results, "
            "each with the name of its dataset"
        ) from problem
    front["model-index"] = index
    rest = text[found.end() :] if found else text
    header = _header(found[1] if found else "", front)
    return f"---\n{header}---\n{rest if found else chr(10) + rest}"


def _header(before: str, front: dict[str, Any]) -> str:
    """``front`` as YAML: all but model-index as its author wrote it, comments and ``no`` included.

    Where model-index cannot be cut out of the lines ``before``, all of it is written again.
    """
    import yaml

    header = _INDEX.sub("", before) + to_yaml({"model-index": front["model-index"]})
    try:
        if yaml.safe_load(header) == front:
            return header
    except (yaml.YAMLError, ValueError):
        pass
    return to_yaml(front)
