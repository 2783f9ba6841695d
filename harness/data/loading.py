"""From a task's definition to its queries, passages and relevance judgements."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.base.cache import cache_folder
from harness.base.hub import is_offline
from harness.data.corpus import Corpus, refuse_repeated_ids
from harness.data.corpus_locations import CorpusFiles, refuse_sampled
from harness.data.documents import Document
from harness.data.download import Progress
from harness.data.images import with_images
from harness.data.locations import FileReport, TaskFiles
from harness.data.readers import lareqa, miracl, question_rows, segments, simple, squad, tables
from harness.data.sampling import draw_questions
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, TaskData, Texts, global_id, local_question_id
from harness.errors import DataError, HarnessWarning, UsageError, did_you_mean, quoted

__all__ = [
    "FileReport",
    "Progress",
    "TaskData",
    "Texts",
    "cache_folder",
    "fetch",
    "global_id",
    "load",
    "read",
    "verify",
    "where",
]

_Read = Callable[[TaskSpec, Sequence[str], Callable[[str], Document]], Reading]
_READERS: Mapping[str, _Read] = {
    "lareqa": lareqa.read,
    "simple": simple.read_simple,
    "beir": simple.read_beir,
    "miracl": miracl.read,
    "segments": segments.read,
    "squad": squad.read,
    "rows": question_rows.read,
    "tables": tables.read,
}


def load(
    spec: TaskSpec,
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
    limit: int | None = None,
    sampled: bool = False,
    sample: int | None = None,
    corpora: bool = True,
    progress: Progress | None = None,
) -> TaskData:
    """Load a task, downloading what is missing.

    Every file is verified by SHA-256 as it is read. ``TaskData.partial`` says why the result is
    less than the whole task: ``languages`` if some are left out, ``limit`` or ``sample`` if they
    cut anything, and ``questions_without_gold``, the number of questions left out because no loaded
    passage is relevant to them. A sampled corpus adds ``sampled_corpus``, the numbers of available
    passages and of those in the full corpus by language, and ``golds_outside_sample``.

    Args:
        spec: the task.
        languages: those to load, default all; queries, passages and judgements of others are
            dropped. The order is always the task's.
        data_dir: folder with a local copy (``DATA/xquad-r/en.json``); see :class:`TaskFiles`.
        offline: never touch the network.
        limit: number of questions. Language by language, in the task's order, questions are taken
            in file order until there are this many in the language; a selected question is kept in
            every language that has it. If all languages have the same questions in the same order,
            these are the first ``limit`` of each. All passages stay.
        sampled: accept a corpus that is a sample; without it, one is refused.
        sample: number of questions to draw, always the same ones: see
            :func:`harness.data.sampling.draw_questions`. A selected question is kept in every
            language that has it. All passages stay.
        corpora: whether to look for streamed passages; without them a task has only questions and
            judgements, which is enough to score other systems' rankings.
        progress: called while files are downloaded.

    Raises:
        UsageError: an unknown language, a limit below 1, or a data directory that is not a folder.
        DataError: a file is missing, damaged or malformed, or a language has no question to score.
    """
    chosen = choose_languages(spec, languages)
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be 1 or more, not {limit}")
    if sample is not None and sample < 1:
        raise UsageError(f"sample must be 1 or more, not {sample}")
    if limit is not None and sample is not None:
        raise UsageError(
            "use either --limit (the first questions) or --sample (drawn ones), not both"
        )
    files = TaskFiles(spec, data_dir)
    files.prepare(spec.needed_files(chosen), offline=offline, progress=progress)
    reading = with_images(_READERS[spec.reader](spec, chosen, files.open), files)
    opened = _open_corpora(
        spec, chosen, files, offline=offline, progress=progress, required=corpora
    )
    for corpus in opened.values():
        refuse_repeated_ids(corpus)

    _warn_of_own_passages(spec, reading)
    partial: dict[str, object] = {}
    if len(chosen) < len(spec.languages):
        partial["languages"] = list(chosen)
    if opened:
        reading = _judged_within(spec, opened, reading, sampled, partial)
    answerable = {
        question
        for question, judged in reading.qrels.items()
        if any(grade > 0 for grade in judged.values())
    }
    questions = {question for side in reading.queries.values() for question in side.ids}
    kept = answerable & questions
    if limit is not None:
        within = _first(reading.queries, kept, limit)
        if len(within) < len(kept):
            partial["limit"] = limit
        kept = within
    if questions - answerable:
        partial["questions_without_gold"] = len(questions - answerable)
    queries = {
        language: side.take([at for at, question in enumerate(side.ids) if question in kept])
        for language, side in reading.queries.items()
    }
    for language, side in queries.items():
        if not side:
            raise DataError(
                f"task {spec.name!r}: no question in {language!r} has a relevant passage among "
                f"those of {', '.join(chosen)}; judge some, or load more languages"
            )
    whole = TaskData(
        task=spec,
        languages=chosen,
        queries=queries,
        passages=reading.passages,
        qrels={question: judged for question, judged in reading.qrels.items() if question in kept},
        partial=partial,
        corpora=opened,
    )
    return whole if sample is None else _sampled(whole, sample)


def _warn_of_own_passages(spec: TaskSpec, reading: Reading) -> None:
    """Warn of queries that are passages of the corpus, unless the task says what to do."""
    if spec.source.ignore_identical_ids is not None or spec.reader not in ("beir", "tables"):
        return
    for language, queries in reading.queries.items():
        side = reading.passages.get(language, Texts((), ()))
        texts = dict(zip(side.ids, side.texts, strict=True))
        same = [
            question
            for question, text in zip(queries.ids, queries.texts, strict=True)
            if (own := texts.get(local_question_id(spec, language, question)))
            and text.strip() in own
        ]
        if same:
            warnings.warn(
                f"task {spec.name!r}: {len(same)} of {len(queries)} queries in {language} are "
                f"passages of the corpus under their own id, the first {quoted(same[0])}, and find "
                "themselves: ignore_identical_ids = true under [source] leaves them out of their "
                "own rankings, as BEIR and mteb do; false keeps them, without this warning",
                HarnessWarning,
                stacklevel=3,
            )


def _sampled(whole: TaskData, number: int) -> TaskData:
    """``whole``, with ``number`` of its questions; unchanged if it has no more.

    Raises:
        DataError: a language is left without any question.
    """
    relevant = {
        question: sum(grade > 0 for grade in judged.values())
        for question, judged in whole.qrels.items()
    }
    drawn = draw_questions(whole.queries, relevant, number)
    if len(drawn) == len(relevant):
        return whole
    queries = {
        language: side.take([at for at, question in enumerate(side.ids) if question in drawn])
        for language, side in whole.queries.items()
    }
    for language, side in queries.items():
        if not side:
            raise DataError(
                f"task {whole.task.name!r}: a sample of {number} has no question in "
                f"{language!r}; draw more"
            )
    # What the sample was drawn from: against the same passages its queries score as in the full
    # set.
    taken = {"drawn": len(drawn), "of": len(relevant), "whole": whole.digest}
    return replace(
        whole,
        queries=queries,
        qrels={question: judged for question, judged in whole.qrels.items() if question in drawn},
        partial={**whole.partial, "sample": taken},
    )


def read(
    spec: TaskSpec,
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> tuple[Reading, Mapping[str, Corpus]]:
    """Read a task as its files have it: every question, with or without a relevant passage.

    Returns:
        Questions, passages and judgements; and, if passages are streamed, the available corpora,
        sampled or not. Nothing is downloaded.

    Raises:
        UsageError, DataError: as :func:`load`.
    """
    if spec.images:
        # The texts of the pages, where the task has them.
        others = [x for x in spec.texts if x != spec.text]
        spec = replace(spec, text=others[0]) if others else spec
    chosen = choose_languages(spec, languages)
    files = TaskFiles(spec, data_dir)
    files.prepare(spec.needed_files(chosen), offline=offline, progress=progress)
    reading = _READERS[spec.reader](spec, chosen, files.open)
    if spec.images:
        reading = reading._replace(passages={})
    try:
        corpora = _open_corpora(spec, chosen, files, offline=True, progress=None)
    except DataError:
        corpora = {}
    return reading, corpora


def _open_corpora(
    spec: TaskSpec,
    languages: Sequence[str],
    files: TaskFiles,
    *,
    offline: bool,
    progress: Progress | None,
    required: bool = True,
    damaged: bool = False,
) -> dict[str, Corpus]:
    """The corpora of a task with streamed passages; empty for others.

    What is missing is downloaded, and with ``damaged`` what is damaged in the cache.
    """
    if not spec.streamed or not required:
        return {}
    corpus_files, with_passages = CorpusFiles(spec, files), spec.with_passages(languages)
    if not is_offline(offline):
        corpus_files.fetch(with_passages, progress, damaged=damaged)
    return {language: corpus_files.open(language) for language in with_passages}


def _judged_within(
    spec: TaskSpec,
    corpora: Mapping[str, Corpus],
    reading: Reading,
    sampled: bool,
    partial: dict[str, object],
) -> Reading:
    """The reading restricted to judgements on passages in the corpora, if these are samples."""
    if not sampled:
        refuse_sampled(spec, corpora)
    miracl.refuse_judged_alone(spec, corpora, reading.qrels)
    part = {x: {"passages": len(c), "whole": c.whole} for x, c in corpora.items() if c.sampled}
    if not part:
        return reading
    kept, lacking = miracl.within_sample(corpora, reading.qrels)
    partial["sampled_corpus"] = part
    if lacking:
        partial["golds_outside_sample"] = lacking
    return reading._replace(qrels=kept)


def where(
    spec: TaskSpec,
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
) -> list[FileReport]:
    """Say where each file of a task is, or would be downloaded to, without opening it.

    Raises:
        UsageError: an unknown language, or a data directory that is not a folder.
    """
    files = TaskFiles(spec, data_dir)
    chosen = choose_languages(spec, languages)
    found = [files.report(name) for name in spec.needed_files(chosen)]
    if spec.streamed:
        corpora = CorpusFiles(spec, files)
        found += [y for x in spec.with_passages(chosen) for y in corpora.reports(x)]
    return found


def verify(
    spec: TaskSpec,
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
) -> list[FileReport]:
    """Compare each file of a task with its checksum; missing and damaged ones are reported as such.

    Raises:
        UsageError: an unknown language, or a data directory that is not a folder.
        DataError: a file cannot be read.
    """
    files = TaskFiles(spec, data_dir)
    chosen = choose_languages(spec, languages)
    return [files.verify(name) for name in spec.needed_files(chosen)] + _verified_corpora(
        spec, chosen, files
    )


def _verified_corpora(
    spec: TaskSpec, languages: Sequence[str], files: TaskFiles
) -> list[FileReport]:
    if not spec.streamed:
        return []
    corpora = CorpusFiles(spec, files)
    return [y for x in spec.with_passages(languages) for y in corpora.verified(x)]


def fetch(
    spec: TaskSpec,
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> list[FileReport]:
    """Download the files of a task that are missing, or damaged in the cache, into the cache.

    Returns:
        A report per file; every state is ``ok`` or ``no checksum``.

    Raises:
        UsageError: an unknown language, or a data directory that is not a folder.
        DataError: a file cannot be downloaded (or must not be: ``offline``), or is damaged in a
            folder that is not the cache.
    """
    files = TaskFiles(spec, data_dir)
    chosen = choose_languages(spec, languages)
    names = spec.needed_files(chosen)
    if offline:
        files.prepare(names, offline=True)
        for name in names:
            files.open(name)
        found = [files.verify(name) for name in names]
    else:
        found = [files.fetch(name, progress) for name in names]
    _open_corpora(spec, chosen, files, offline=offline, progress=progress, damaged=True)
    found += _verified_corpora(spec, chosen, files)
    lacking = [report for report in found if report.state == "missing"]
    if lacking:
        more = "" if len(lacking) == 1 else f" and {len(lacking) - 1} more files"
        raise DataError(
            f"task {spec.name!r}: {lacking[0].path}{more} of the full corpus are missing from a "
            "copy of your own, which is never filled in: drop --data-dir (or HARNESS_DATA) to "
            "fetch them, or run on the sample with --corpus sampled"
        )
    return found


def choose_languages(spec: TaskSpec, languages: Sequence[str] | None) -> tuple[str, ...]:
    """The selected languages, in the task's order.

    Raises:
        UsageError: the task lacks one of them, or none is selected.
    """
    if languages is None:
        return spec.languages
    for language in languages:
        if language not in spec.languages:
            raise UsageError(
                f"task {spec.name!r} has no language {language!r}: it has "
                f"{', '.join(spec.languages)}{did_you_mean(language, spec.languages)}"
            )
    if not languages:
        raise UsageError(f"name at least one language of task {spec.name!r}")
    for what, side in (("queries", spec.with_queries), ("passages", spec.with_passages)):
        if not side(languages):
            raise UsageError(
                f"task {spec.name!r} has no {what} in {', '.join(languages)}: name at least one of "
                f"{', '.join(side())} as well"
            )
    return tuple(language for language in spec.languages if language in languages)


def _first(queries: Mapping[str, Texts], scored: set[str], limit: int) -> set[str]:
    """The questions that a limit selects; see :func:`load`."""
    taken: set[str] = set()
    for side in queries.values():
        room = limit - sum(question in taken for question in side.ids)
        fresh = [question for question in side.ids if question in scored and question not in taken]
        taken.update(fresh[: max(room, 0)])
    return taken
