"""A record in a terminal or notebook: a table per task, and its matrices if verbose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.base.languages import outside
from harness.console import numbers
from harness.console.matrices import print_matrix
from harness.console.tables import Grid, Item
from harness.console.terminal import Row, print_grid, print_measures
from harness.evaluation.inclination import INCLINATION, MEAN, inclination
from harness.evaluation.partial import partial
from harness.evaluation.record_fields import (
    ApproximateSearch,
    Contents,
    ModelFacts,
    Setting,
    Task,
)

_FEW = 200
"""With fewer questions a line says how wide the intervals are."""


def print_record(
    console: Console, contents: Contents, *, path: Path | None = None, verbose: bool = False
) -> None:
    """Print a record.

    Args:
        console: the console to print to.
        contents: of the record.
        path: the record's path, if it was saved.
        verbose: with the language x language matrix, the multi settings one by one, and the share
            of each passage language among the top passages.
    """
    _print_model(console, contents.model, contents.options.to_dict())
    for task in contents.tasks:
        console.print()
        _print_task(console, task, contents.model, verbose=verbose)
        if verbose:
            _print_details(console, task)
    if path is not None:
        console.print()
        console.print(f"record: {path}", soft_wrap=True)


def _print_model(console: Console, model: ModelFacts, options: Mapping[str, Any]) -> None:
    console.print(Text(model.name, "bold"))
    facts: list[str] = [model.kind]
    if model.similarity:
        facts.append(f"{model.similarity} similarity")
    if model.parameters:
        facts.append(f"{numbers.parameters(model.parameters)} parameters")
    if model.fingerprint:
        facts.append(f"fingerprint {model.fingerprint[:12]}")
    console.print(", ".join(facts))
    for role, prompt in model.prompts.items():
        if prompt:
            console.print(f"{role} prompt: {prompt!r}")
    changed = {k: v for k, v in options.items() if k not in ("query_prompt", "passage_prompt")}
    if changed.get("dtype") == "float32":
        del changed["dtype"]
    if changed:
        words = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in changed.items())
        console.print(f"options: {words}")
    if (training := model.training) is not None:
        alpha = "" if training.alpha is None else f", alpha {training.alpha:g}"
        console.print(
            f"trained: {training.recipe}{alpha}, from {training.base}, seed "
            f"{training.seed}, on {', '.join(training.languages)}",
            soft_wrap=True,
        )
    if model.kind == "dense" and model.fingerprint is None:
        console.print("vectors not stored: the encoder offers no fingerprint", style="yellow")
    elif model.kind == "dense" and not model.stored:
        console.print("vectors not stored: the run was started without the store", style="yellow")


def _print_task(console: Console, task: Task, model: ModelFacts, *, verbose: bool) -> None:
    title = Text(task.title, "bold")
    name = "" if task.title.lower() == task.task else f" ({task.task})"
    languages = numbers.plural(len(task.languages), "language")
    width = f", {task.dimensions} dimensions" if task.dimensions else ""
    title.append(f"{name}: {languages}, text: {task.text}{width}", "not bold")
    console.print(title)
    usual = task.text_default
    if usual != task.text:
        console.print(
            f"TEXT OPTION {task.text}: not comparable with {usual}, the task's default",
            style="bold yellow",
        )
    if task.sampled:
        console.print(task.sampled, style="bold red")
    if task.approximate is not None:
        console.print(_approximate(task.approximate), style="bold yellow")
    said = ("sampled_corpus", "sample_passages")
    further = {k: v for k, v in task.partial.to_dict().items() if k not in said}
    if further:
        console.print(f"PARTIAL: {partial(further)}", style="bold yellow")
    trained = model.languages
    untrained = [] if trained is None else outside(task.languages, trained)
    if untrained:
        console.print(f"The model was not trained on {', '.join(untrained)}.", style="yellow")
    console.print()
    _print_kinds(console, task)
    for note in (*_certainty(task), *_bounds(task)):
        console.print(note, style="dim")
    console.print(_work(task, dense=model.kind in ("dense", "fused")))
    if verbose and (speed := _speed(task)):
        console.print(speed)
    stages = ", ".join(f"{k} {numbers.seconds(v)}" for k, v in task.seconds.items())
    if task.peak_bytes:
        stages += f"; peak memory {numbers.memory(max(task.peak_bytes.values()))}"
    console.print(stages)
    if task.trec is not None:
        trec = task.trec
        console.print(f"TREC files, {trec.depth:,} deep: {trec.folder}", soft_wrap=True)


def _approximate(search: ApproximateSearch) -> str:
    shares = [
        f"{numbers.percent(sum(x[k] for x in by.values()) / len(by))} of the exact top {k} ({kind})"
        for kind, by in search.recall.items()
        for k in list(next(iter(by.values())))[:1]
    ]
    return f"APPROXIMATE, {search.index} finds {', '.join(shares)}"


def _print_kinds(console: Console, task: Task) -> None:
    """Rows mono, cross, multi: macro means, and micro means below if they differ as displayed."""
    rows = []
    for kind, means in task.means.items():
        settings = [s for s in task.settings if s.kind == kind]
        counts = (numbers.count(len(settings)), numbers.count(sum(s.queries for s in settings)))
        macro, micro = (
            {m: numbers.value(m, values.get(m)) for m in task.measures}
            for values in (means.macro, means.micro)
        )
        ends = {} if task.intervals is None else task.intervals.means.get(kind, {})
        cells = {
            m: Item(text, interval=numbers.interval(m, *ends[m].bca)) if m in ends else text
            for m, text in macro.items()
        }
        rows.append(Row(kind, counts, cells))
        medians = (task.medians or {}).get(kind)
        if medians is not None:
            shown = {m: numbers.value(m, medians.get(m)) for m in task.measures}
            rows.append(Row("  median", ("", ""), shown, "dim"))
        if micro != macro:
            rows.append(Row("  micro", ("", ""), micro, "dim"))
    print_measures(console, ("", "settings", "queries"), task.measures, rows)


def _certainty(task: Task) -> Iterator[str]:
    """What the intervals are, and what so many questions cannot tell."""
    found = task.intervals
    if found is None:
        return
    questions = numbers.plural(found.clusters, "question")
    yield f"In brackets: {numbers.percent(found.level, 0)} intervals, {found.method}, {questions}"
    measure = "map" if "map" in task.measures else task.measures[0]
    widths = {}
    for kind, means in found.means.items():
        low, high = means[measure].bca if measure in means else (None, None)
        if low is not None and high is not None:
            widths[kind] = high - low
    if found.clusters < 2:
        yield "One question says nothing about others: there is no interval."
    elif widths and found.clusters < _FEW:
        kind, width = max(widths.items(), key=lambda x: x[1])
        known = f"is known to about \N{PLUS-MINUS SIGN}{numbers.value(measure, width / 2)}"
        yield "So few questions leave much open: " + (
            f"{kind} {numbers.label(measure)} {known}"
            if width
            else "all score alike, and no interval shows how much"
        )


def _bounds(task: Task) -> Iterator[str]:
    """The best possible recall in the pool of all languages, and what chance gives."""
    by_relevant = sorted(int(m) for m in task.rank_distance_by_golds)
    pool = max([s.pool for s in task.settings if s.kind == "multi"], default=0)
    cutoffs = [int(x.partition("@")[2]) for x in task.measures if x.startswith("recall@")]
    for k in cutoffs:
        if not pool or not any(m > k for m in by_relevant):
            continue
        best = [f"{numbers.value('recall', min(1, k / m))}" for m in by_relevant]
        ways = ", ".join(
            f"{x} with {m}" if len(best) > 1 else x for m, x in zip(by_relevant, best, strict=True)
        )
        several = (
            f" with {by_relevant[0]} relevant passages" if len(best) == 1 else " relevant passages"
        )
        yield (f"Multi R@{k}: at most {ways}{several}, chance {numbers.value('recall', k / pool)}")
    yield from _reach_notes(task, by_relevant, pool)
    yield from _rank_distance_notes(task)


def _reach_notes(task: Task, by_relevant: Sequence[int], pool: int) -> Iterator[str]:
    """The best possible max rank and share of complete queries, and what chance gives."""
    from harness.metrics import neutral_of
    from harness.metrics.bias import expected_complete

    if not pool or not by_relevant:
        return
    several = len(by_relevant) > 1
    for measure in task.measures:
        base, _, cutoff = measure.partition("@")
        bounds = []
        for m in by_relevant:
            if base == "complete":
                best, chance = float(m <= int(cutoff)), expected_complete(m, pool, int(cutoff))
            elif base in ("max_rank", "scaled_max_rank"):
                best = m if base == "max_rank" else 0
                chance = neutral_of(measure, m, pool) or 0
            else:
                continue
            ends = f"best {numbers.value(measure, best)}, chance {numbers.value(measure, chance)}"
            bounds.append(f"{m}: {ends}" if several else f"{ends} with {m} relevant passages")
        if bounds:
            of = " by number of relevant passages" if several else ""
            yield f"Multi {numbers.label(measure)}{of}: {'; '.join(bounds)}"


def _rank_distance_notes(task: Task) -> list[str]:
    """The best possible rank distance, and the expected one by chance."""
    from harness.metrics.bias import expected_rank_distance

    by_relevant = {int(m): x for m, x in task.rank_distance_by_golds.items()}
    pool = max([s.pool for s in task.settings if s.kind == "multi"], default=0)
    if "rank_distance" not in task.measures or not by_relevant or not pool:
        return []
    several = len(by_relevant) > 1
    notes = [f"Rank distance by number of relevant passages, among {pool:,}; read with mAP:"]
    for m, mean in sorted(by_relevant.items()):
        chance = numbers.value("rank_distance", float(expected_rank_distance(m, pool)))
        bounds = f"best {m - 1}, chance {chance}"
        if not several:
            return [f"Rank distance, {m} relevant passages among {pool:,}: {bounds}; read with mAP"]
        notes.append(f"  {m} relevant passages: {numbers.value('rank_distance', mean)}, {bounds}")
    return notes


def _work(task: Task, *, dense: bool) -> str:
    """``26,104 texts, 26,019 distinct: 26,019 encoded (412 texts/s), 0 from the store``."""
    done = task.encoding
    line = f"{numbers.plural(done.texts, 'text')}, {done.distinct:,} distinct"
    if not dense:
        return f"{line}; scored without vectors"
    rate = ""
    if done.encoded and done.model_seconds:
        rate = f" ({done.encoded / done.model_seconds:,.0f} texts/s)"
    return f"{line}: {done.encoded:,} encoded{rate}, {done.from_store:,} from the store"


def _speed(task: Task) -> str | None:
    """``1,234,567 tokens, 10,088/s, 0.8% padding``."""
    done = task.encoding
    if not done.tokens:
        return None
    parts = [
        f"{done.tokens:,} tokens",
        f"{done.tokens_per_second:,.0f}/s",
        f"{numbers.percent(done.padding_share)} padding",
    ]
    return ", ".join(parts)


def _print_details(console: Console, task: Task) -> None:
    measures = task.measures
    measure = "map" if "map" in measures else measures[0]
    pairs = {
        (s.query_language, s.passage_language): s.scores.get(measure)
        for s in task.settings
        if s.kind in ("mono", "cross") and s.passage_language is not None
    }
    query_languages = [x for x in task.languages if any(at[0] == x for at in pairs)]
    passage_languages = [x for x in task.languages if any(at[1] == x for at in pairs)]
    if any(s.kind == "cross" for s in task.settings):
        console.print()
        console.print(f"{numbers.label(measure)}: queries down, passages across", style="bold")
        print_matrix(
            console, query_languages, passage_languages, pairs, lambda x: numbers.value(measure, x)
        )
    elif pairs:  # a matrix of them would be a diagonal
        mono = [s for s in task.settings if s.kind == "mono"]
        _print_settings(console, "mono: each language by itself", mono, measures)
    multi = [s for s in task.settings if s.kind == "multi"]
    if multi:
        _print_settings(console, "multi: one pool of all languages", multi, measures)
    _print_bias(console, task)
    shares = task.top_languages.share
    if multi and shares:
        console.print()
        console.print(
            f"Share of each passage language in the top {task.top_languages.depth}, %",
            style="bold",
        )
        percent = {(q, p): 100 * x for q, row in shares.items() for p, x in row.items()}
        query_languages = [x for x in task.languages if x in shares]
        passage_languages = [x for x in task.languages if x in shares[query_languages[0]]]
        print_matrix(console, query_languages, passage_languages, percent, lambda x: f"{x:.1f}")
    _print_pair_pools(console, task)


def _print_pair_pools(console: Console, task: Task) -> None:
    """How often the other language of a pool of two wins: which language draws a model in."""
    found = inclination(task)
    if found is None:
        return
    console.print()
    console.print(INCLINATION, style="bold")
    rows = [*found.queries, MEAN]
    print_matrix(console, rows, found.others, found.percent, lambda x: f"{x:.1f}")


def _print_bias(console: Console, task: Task) -> None:
    """The bias measures of multi: which direction is better, and what no preference would give."""
    from harness.metrics import better_of, neutral_of

    macro = task.means["multi"].macro if "multi" in task.means else {}
    further = [m for m in macro if m not in task.measures]
    if not further:
        return
    relevant = {int(m) for m in task.rank_distance_by_golds}
    pools = {s.pool for s in task.settings if s.kind == "multi"}
    one = len(relevant) == 1 and len(pools) == 1
    rows = []
    for m in further:
        neutral = neutral_of(m, min(relevant), min(pools)) if one else None
        rows.append(
            (
                numbers.label(m),
                numbers.value(m, macro[m]),
                "" if neutral is None else numbers.value(m, neutral),
                better_of(m) or "neither",
                m,
            )
        )
    console.print()
    console.print("multi: language bias", style="bold")
    headers = ("", "multi", "neutral", "better", "--measure")
    print_grid(console, Grid("", headers, rows, align="lrrll"))
    note = (
        "Neutral: without preference for a language; rank distances and max ranks: by chance. See "
        "docs/bias.md"
    )
    console.print(note, style="dim")


def _print_settings(
    console: Console, title: str, settings: Sequence[Setting], measures: Sequence[str]
) -> None:
    """Settings one by one."""
    console.print()
    console.print(title, style="bold")
    rows = [
        Row(
            s.query_language,
            (numbers.count(s.queries),),
            {m: numbers.value(m, x) for m, x in s.scores.items()},
        )
        for s in settings
    ]
    print_measures(console, ("queries in", "queries"), measures, rows)
