"""Compare files of training pairs with tasks by name, for `harness overlap` and training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from harness.base.digests import file_sha256
from harness.base.environment import versions
from harness.base.files import open_atomically
from harness.base.progress import Progress
from harness.data.file_names import stem as source_stem
from harness.data.task import TaskSpec, default_tasks, find_task
from harness.errors import DataError, TaskError, UsageError
from harness.training.overlap.detection import NGRAM, THRESHOLD, find_overlap, stream_texts
from harness.training.overlap.evaluation_texts import SCOPES, at_hand, evaluation
from harness.training.overlap.hits import Hit, Overlap
from harness.training.pairs import form_of, stem, stream_examples
from harness.training.sources.conversion import about, about_path, write_about, write_stream


def check_files(
    files: Sequence[str | Path],
    tasks: Sequence[str | TaskSpec] | None = None,
    *,
    languages: Sequence[str] | None = None,
    passages: str = "all",
    ngram: int = NGRAM,
    threshold: float = THRESHOLD,
    names: Sequence[str] = (),
    hits: Path | None = None,
    clean: Path | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> tuple[Overlap, ...]:
    """Compare files of training pairs with tasks; one answer per task.

    Args:
        files: training pairs in either form, read as a stream.
        tasks: names or files of tasks; ``None``: every small task that comes with the harness.
        languages: of the tasks, as in :func:`harness.data.loading.load`.
        passages: ``all``, the relevant ones (``gold``; large tasks get them for ``all``), ``none``.
        ngram: number of consecutive words that count as overlap.
        threshold: least similarity of a near duplicate.
        names: data sets that the files come from, for ancestry, besides those named in their
            ``.about.json``.
        hits: file that every hit is written to, one JSON object per line; written atomically.
        clean: folder that every file is written to without the rows whose id has an evaluation
            question in it, equal or nearly so; with an ``.about.json`` each.
        data_dir: as in :func:`harness.data.loading.load`.
        offline: never touch the network.
        progress: gets the number of training texts.

    Raises:
        TaskError, DataError, UsageError: a task, a file or an option is wrong.
        StoreError: ``hits`` cannot be written.
    """
    names_of_files = [Path(x).name for x in files]
    if clean is not None and len(set(names_of_files)) < len(names_of_files):
        twice = next(x for x in names_of_files if names_of_files.count(x) > 1)
        raise UsageError(
            f"--clean {clean}: two files are called {twice}, and one copy would replace the other; "
            "clean them into two folders"
        )
    scope = next((x for x in SCOPES if x == passages), None)
    if scope is None:
        raise UsageError(f"--passages must be one of {', '.join(SCOPES)}, not {passages!r}")
    for file in map(Path, files):
        if not file.is_file():
            raise DataError(f"{file}: no such file of training pairs")
        if clean is not None and clean.resolve() == file.resolve().parent:
            raise UsageError(f"--clean {clean}: is the folder of {file.name}; name another folder")
    loaded = [
        evaluation(
            spec,
            scope,
            languages=_own(spec, languages),
            data_dir=data_dir,
            offline=offline,
        )
        for spec in _specs(tasks)
    ]
    names = [*names, *origins(files)]
    leaked: dict[str, set[str]] = {}
    with nullcontext() if hits is None else open_atomically(hits) as lines:

        def on_hit(hit: Hit) -> None:
            if lines is not None:
                lines.write((json.dumps(hit.document(), ensure_ascii=False) + "\n").encode())
            if hit.role == "query" and hit.kind != "ngram":
                leaked.setdefault(hit.data, set()).add(hit.row)

        found = find_overlap(
            loaded,
            stream_texts(files),
            data=names,
            ngram=ngram,
            threshold=threshold,
            on_hit=on_hit,
            progress=progress,
        )
    if clean is not None:
        for file in map(Path, files):
            left_out = leaked.get(stem(file), set())
            rows = (x for x in stream_examples(file) if x.id not in left_out)
            # If no row is left, remove what an earlier run may have written.
            target, form = clean / file.name, form_of(file)
            target.unlink(missing_ok=True)
            about_path(target).unlink(missing_ok=True)
            count, digest = write_stream(target, rows, form)
            if count:
                # What the pairs were made from stays known: ancestry is found by it.
                facts = {
                    "source": "overlap",
                    "files": [{"name": file.name, "sha256": file_sha256(file)}],
                    "origin": dict(about(file)),
                    "cleaned_of": [x.name for x in loaded],
                    "ids_left_out": len(left_out),
                    "form": form,
                    "rows": count,
                    "sha256": digest,
                    "harness": versions().get("polyglot-harness"),
                }
                write_about(target, facts)
    return found


def check_at_hand(
    files: Sequence[str | Path],
    *,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Overlap, ...]:
    """Compare files with every task whose data is available; nothing is downloaded.

    Raises:
        DataError: a file is missing or malformed.
    """
    found = at_hand(data_dir)
    if not found:
        return ()
    return find_overlap(found, stream_texts(files), data=origins(files), progress=progress)


def origins(files: Sequence[str | Path]) -> list[str]:
    """The sources of files of pairs, according to their ``.about.json``.

    Of pairs that were translated, mixed or cleaned, also those of the pairs they were made from.

    Raises:
        DataError: such a file is not readable, or not as the commands write it.
    """
    found = []
    for file in files:
        facts = about(Path(file))
        try:
            while facts:
                if "repository" in facts:
                    found.append(str(facts["repository"]))
                found += [source_stem(Path(str(x["name"]))) for x in facts.get("files", ())]
                facts = facts.get("origin", {})
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(
                f"{about_path(Path(file))}: 'files' must be a list of objects with a name, and "
                "'origin' an object; remove the file if the pairs have another source"
            ) from error
    return list(dict.fromkeys(found))


def _specs(tasks: Sequence[str | TaskSpec] | None) -> list[TaskSpec]:
    if tasks is None:
        return default_tasks()
    return [x if isinstance(x, TaskSpec) else find_task(x) for x in tasks]


def _own(spec: TaskSpec, languages: Sequence[str] | None) -> list[str] | None:
    """Those of ``languages`` that the task has."""
    if languages is None:
        return None
    own = [x for x in languages if x in spec.languages]
    if not own:
        raise TaskError(
            f"task {spec.name!r} has none of the languages {', '.join(languages)}; it has "
            f"{', '.join(spec.languages)}"
        )
    return own
