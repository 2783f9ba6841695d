"""One tracked record, or one published row, as a row of a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.base.languages import outside
from harness.boards.board import Cell, Facts, Matrix, Row
from harness.boards.published import MEAN, Published
from harness.boards.tracked.document import Tracked
from harness.boards.tracked.questions import packed
from harness.boards.tracked.reproduce import reproduce
from harness.console.numbers import plural
from harness.interop.imported import Imported

_ENOUGH_TEXTS = 100
"""Encoded in one run: with fewer, loading and warming up are what is timed."""

Entry = Mapping[str, Any]


def measured_row(tracked: Tracked, entry: Entry, redefined: Sequence[str] = ()) -> Row:
    """The row of one task of a tracked record.

    ``redefined`` are measures that it took by another formula than its board's other rows.
    """
    document = tracked.document
    notes = []
    if redefined:
        notes.append(f"another definition of {', '.join(redefined)}, so not ranked")
    model = document["model"]
    training = training_of(model)
    if found := _overlap(training, entry["task"]):
        notes.append(f"trained on {plural(found, 'question')} of this task, so not ranked")
    # What the base knows, where it says, and what was seen since.
    known = [x for x in (model["languages"], training.get("languages")) if x is not None]
    trained_on = sorted({x for languages in known for x in languages}) if known else None
    languages = _language_cells(entry)
    return Row(
        id=tracked.name,
        model=model["name"],
        source="measured",
        kind=model["kind"],
        recipe=training.get("recipe"),
        alpha=training.get("alpha"),
        seed=training.get("seed"),
        trained_on=None if trained_on is None else tuple(trained_on),
        parameters=model["parameters"],
        dimensions=entry["dimensions"],
        options=options_in_words(document["options"]),
        text=entry["text"],
        notes=tuple(notes),
        comparable=not notes,
        elsewhere=False,
        reference=None,
        cells=_cells(entry),
        languages=languages,
        matrices=_matrices(entry),
        top_languages=_top_languages(entry),
        seen={} if trained_on is None else _seen(entry, languages, trained_on),
        hits={k: packed(x.hit) for k, x in tracked.questions[entry["task"]].hits.items()},
        facts=_facts(document, entry),
    )


def training_of(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a record says of how its model was trained: recipe, alpha, languages, overlap."""
    found = model.get("training")
    return found if isinstance(found, Mapping) else {}


def _overlap(training: Mapping[str, Any], task: str) -> int:
    """Questions of ``task`` that were found in the training data."""
    return sum(x["questions_found"] for x in training.get("overlap", ()) if x["task"] == task)


_USUAL = frozenset((("dtype", "float32"), ("compile", False)))
_OF_NO_ACCOUNT = frozenset(("batch_size", "batch_tokens", "concurrency"))


def options_in_words(options: Mapping[str, Any]) -> str:
    """What the user set that is not the usual: ``max length 128, query prompt 'query: '``."""
    words = []
    for name, value in options.items():
        if name in _OF_NO_ACCOUNT or (name, value) in _USUAL:
            continue
        plain = name.replace("_", " ")
        if value is True:
            words.append(plain)
        else:
            words.append(f"{plain} {value!r}" if name.endswith("prompt") else f"{plain} {value}")
    return ", ".join(words)


def _cells(entry: Entry) -> dict[str, Cell]:
    held = entry["intervals"]
    found = {}
    for kind, both in entry["means"].items():
        ends = {} if held is None else held["means"].get(kind, {})
        for measure, value in both["macro"].items():
            found[f"{kind}/{measure}"] = _cell(value, ends.get(measure))
    return found


def _cell(value: float | None, interval: Sequence[float | None] | None) -> Cell:
    return Cell(value) if interval is None else Cell(value, interval[0], interval[1])


def _language_cells(entry: Entry) -> dict[str, tuple[Cell, ...]]:
    """Column key -> one cell per query language: the mean over its settings of the kind."""
    held = entry["intervals"]
    by: dict[tuple[str, str], list[int]] = {}
    for i, (kind, asked, *_) in enumerate(entry["settings"]):
        by.setdefault((kind, asked), []).append(i)
    found: dict[str, tuple[Cell, ...]] = {}
    for kind, both in entry["means"].items():
        ends = {} if held is None else held["languages"].get(kind, {})
        for measure in both["macro"]:
            scores = entry["scores"].get(measure)
            if scores is None:
                continue
            found[f"{kind}/{measure}"] = tuple(
                _cell(
                    mean([scores[i] for i in by.get((kind, x), ())]),
                    ends.get(x, {}).get(measure),
                )
                for x in entry["languages"]
            )
    return found


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the defined values; ``None`` where there is none."""
    known = [x for x in values if x is not None]
    return sum(known) / len(known) if known else None


def _matrices(entry: Entry) -> dict[str, Matrix]:
    """Measure -> query language x passage language, for tasks with cross settings."""
    if "cross" not in entry["kinds"]:
        return {}
    at = {x: i for i, x in enumerate(entry["languages"])}
    size = len(at)
    found: dict[str, Matrix] = {}
    for measure in entry["means"]["cross"]["macro"]:
        cells: list[list[float | None]] = [[None] * size for _ in range(size)]
        for (kind, asked, answered, *_), value in zip(
            entry["settings"], entry["scores"][measure], strict=True
        ):
            if kind != "multi":
                cells[at[asked]][at[answered]] = value
        found[measure] = tuple(map(tuple, cells))
    return found


def _top_languages(entry: Entry) -> Matrix | None:
    share = entry["top_languages"]["share"]
    if len(entry["languages"]) < 2 or "multi" not in entry["kinds"]:
        return None
    return tuple(
        tuple(share.get(asked, {}).get(x) for x in entry["languages"])
        for asked in entry["languages"]
    )


def _seen(
    entry: Entry, languages: Mapping[str, tuple[Cell, ...]], trained_on: Sequence[str]
) -> dict[str, tuple[float | None, float | None]]:
    unseen = outside(entry["languages"], trained_on)
    is_seen = [x not in unseen for x in entry["languages"]]
    return {
        key: (
            mean([c.value for c, seen in zip(cells, is_seen, strict=True) if seen]),
            mean([c.value for c, seen in zip(cells, is_seen, strict=True) if not seen]),
        )
        for key, cells in languages.items()
    }


def _facts(document: Mapping[str, Any], entry: Entry) -> Facts:
    encoding = entry["encoding"]
    timed = encoding["encoded"] >= _ENOUGH_TEXTS and encoding["model_seconds"] > 0
    peaks = entry["peak_bytes"].values()
    return Facts(
        command=reproduce(document, entry["task"]),
        fingerprint=document["model"]["fingerprint"],
        record_sha256=entry["per_query"]["sha256"],
        created=document["created"],
        harness=document["environment"]["packages"].get("polyglot-harness"),
        device=document["device"],
        processor=document["environment"]["processor"],
        texts=encoding["texts"],
        encoded=encoding["encoded"],
        texts_per_second=encoding["encoded"] / encoding["model_seconds"] if timed else None,
        search_seconds=entry["seconds"].get("search"),
        seconds=dict(entry["seconds"]),
        peak_bytes=max(peaks) if peaks else None,
    )


def published_row(row: Published, entry: Entry, *, elsewhere: bool) -> Row:
    """A published row on the board of ``entry``; ``elsewhere``: which is of a sample alone."""
    notes = [f"published in {row.paper.reference}, not measured here"]
    if row.text is not None and row.text != entry["text"]:
        notes.append(f"another text option than this board's: {row.text}")
    named = {language for _, _, language in row.values}
    held = sum(x in named for x in entry["languages"])
    if 0 < held < len(entry["languages"]):
        notes.append(f"over {held} of the {len(entry['languages'])} languages")
    if elsewhere:
        notes.append("over the whole corpus, not this sample")
    keys = dict.fromkeys((kind, measure) for kind, measure, _ in row.values)
    return Row(
        id=row.id,
        model=row.model,
        source="published",
        kind=None,
        recipe=row.recipe,
        alpha=None,
        seed=None,
        trained_on=None,
        parameters=None,
        dimensions=None,
        options="",
        text=row.text,
        notes=tuple(notes),
        comparable=False,
        elsewhere=elsewhere,
        reference=row.paper.reference,
        cells={
            f"{k}/{m}": Cell(row.values[k, m, MEAN]) for k, m in keys if (k, m, MEAN) in row.values
        },
        languages={
            f"{k}/{m}": tuple(Cell(row.values.get((k, m, x))) for x in entry["languages"])
            for k, m in keys
            if any((k, m, x) in row.values for x in entry["languages"])
        },
        matrices={},
        top_languages=None,
        seen={},
        hits={},
        facts=None,
    )


def imported_row(row: Imported, entry: Entry) -> Row:
    """A row from another harness's file on the board of ``entry``; what it lacks stays empty."""
    notes = [f"imported from {row.origin}, not measured here"]
    if row.data_digest != entry["data_digest"]:
        notes.append(f"over other data than this board's: {row.data_digest[:12]}")
    means = row.means()
    by: dict[str, dict[str, list[float | None]]] = {}
    size = len(entry["languages"])
    at = {x: i for i, x in enumerate(entry["languages"])}
    grids: dict[str, list[list[float | None]]] = {}
    for setting, values in row.scores.items():
        for measure, value in values.items():
            key = f"{setting.kind}/{measure}"
            by.setdefault(key, {}).setdefault(setting.query_language, []).append(value)
            asked, answered = at.get(setting.query_language), at.get(setting.passage_language or "")
            if "cross" in means and asked is not None and answered is not None:
                grid = grids.setdefault(measure, [[None] * size for _ in range(size)])
                grid[asked][answered] = value
    return Row(
        id=row.id,
        model=row.model,
        source="imported",
        kind=None,
        recipe=None,
        alpha=None,
        seed=None,
        trained_on=None,
        parameters=None,
        dimensions=None,
        options="",
        text=None,
        notes=tuple(notes),
        comparable=False,
        elsewhere=row.data_digest != entry["data_digest"],
        reference=row.origin,
        cells={f"{k}/{m}": Cell(v) for k, values in means.items() for m, v in values.items()},
        languages={
            key: tuple(Cell(mean(found.get(x, []))) for x in entry["languages"])
            for key, found in by.items()
        },
        matrices={m: tuple(map(tuple, grid)) for m, grid in grids.items()},
        top_languages=None,
        seen={},
        hits={},
        facts=None,
    )
