"""A gate's verdicts as tables: in the terminal, and as Markdown cut to a size."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from harness.analysis.mismatches import Differing
from harness.console import numbers
from harness.console.markdown import escaped
from harness.console.markdown import rows as markdown_rows
from harness.console.numbers import p_value, signed
from harness.console.tables import Grid, Item, Line
from harness.console.terminal import print_grid
from harness.evaluation.partial import partial
from harness.gate import CheckResult, Gate, Outcome, Party

COMMENT_LIMIT = 65_536
"""Characters of a comment on GitHub, and of a pull request's text."""
SUMMARY_LIMIT = 1 << 20
"""Bytes of a job summary on GitHub, for each step."""
_STYLES = {
    "pass": "bold green",
    "improvement": "bold green",
    "regression": "bold red",
    "inconclusive": "bold yellow",
    "missing": "bold red",
}
_HEADERS = ("", "baseline", "candidate", "difference", "let\nthrough", "p\n(Holm)", "verdict")
_ALL_WELL = ("pass", "improvement")
_NAMED = 3
"""Up to this many languages are named beside a verdict in a terminal."""


def headline(found: Gate) -> str:
    """The verdict in one line: ``REGRESSION in de, es: 4 of 59 values``."""
    counted = [check for _, check in found.cells() if check.counts]
    here = sum(check.verdict == found.verdict for check in counted)
    words = [found.verdict.upper()]
    if found.verdict == "regression":
        overall = [c.kind for c in found.regressions if c.side == "mean" and not c.through]
        if overall:
            words.append(f"across languages ({', '.join(dict.fromkeys(overall))})")
        if found.languages:
            words.append(f"{'and ' if overall else ''}in {', '.join(found.languages)}")
    many = f"{here} of {numbers.plural(len(counted), 'value')}" if here else ""
    if found.verdict == "missing":
        absent = sum(outcome.verdict == "missing" for outcome in found.outcomes)
        many = f"{absent} of {numbers.plural(len(found.outcomes), 'rule')}"
    return " ".join(words) + (f": {many}" if many else "")


def place(check: CheckResult) -> str:
    """Where a value is from: ``cross into de`` is the mean over all that search German passages."""
    side = {"mean": "", "query": "from ", "passage": "into ", "pair": ""}
    way = side[check.side] if check.kind == "cross" else ""
    return f"{check.kind} {way}{check.unit}"


def verdict_of(check: CheckResult) -> str:
    """The verdict and its source: ``regression through de``."""
    word: str = check.verdict
    if check.through:
        perhaps = "perhaps " if check.kind == "multi" else ""
        word += f" {perhaps}through {', '.join(check.through)}"
    return word if check.counts else f"{word} (watched)"


def print_gate(console: Console, found: Gate, *, verbose: bool = False) -> None:
    """Print ``found``: a line per rule, and below it the values that did not pass, or all."""
    console.print(Text(f"Gate: {headline(found)}", _STYLES[found.verdict]))
    for line in _facts(found):
        console.print(line, soft_wrap=True)
    if found.differing:
        console.print("Differences between the records")
        for fact in found.differing:
            console.print(f"  {_changed(fact)}", soft_wrap=True)
    for task, reasons in found.tasks.items():
        if reasons:
            console.print(f"PARTIAL: {task}: {partial(reasons)}", style="bold yellow")
    for outcome in found.outcomes:
        console.print()
        title = Text(outcome.rule.name, "bold")
        title.append(f"  {_tally(outcome)}", _STYLES[outcome.verdict])
        console.print(title, soft_wrap=True)
        shown = [c for c in outcome.cells if verbose or c.verdict not in _ALL_WELL]
        if shown:
            print_grid(console, _grid(found, shown, verbose=verbose))
            for line in _reasons(found, shown):
                console.print(line, style="dim", soft_wrap=True)
    following = list(_next_steps(found))
    if following:
        console.print()
        console.print("What next", style="bold")
        for line in following:
            console.print(f"  {line}", soft_wrap=True)
    console.print()
    console.print(_legend(found), style="dim")


def _next_steps(found: Gate) -> Iterator[str]:
    """What to do about a verdict that is no pass."""
    baseline, candidate = (
        shlex.quote(x.where) if x.where else x_name
        for x, x_name in ((found.baseline, "BASELINE"), (found.candidate, "CANDIDATE"))
    )
    failing = found.regressions or [c for _, c in found.cells("inconclusive") if c.counts]
    if failing:
        measure = failing[0].measure
        yield f"questions that changed most: harness compare {baseline} {candidate} " + (
            f"--measure {measure} --flips 10"
        )
    if found.verdict == "regression":
        yield f"a change that is meant: harness baseline set {candidate} --name NAME"
        yield "a limit that is too strict: max_drop in gate.toml, see docs/gate.md"
    elif found.verdict == "inconclusive":
        yield "more evidence: more questions (no --sample, all languages, more tasks)"
        yield 'a doubt that may pass: inconclusive = "allow" in the rule, see docs/gate.md'
    elif found.verdict == "missing":
        yield "score the candidate on the baseline's tasks: harness gate --model NAME"
        yield "a rule that may be absent: required = false in gate.toml, see docs/gate.md"


def to_markdown(found: Gate, *, limit: int = COMMENT_LIMIT, rest: str | None = None) -> str:
    """``found`` as Markdown, most important first, at most ``limit`` bytes in UTF-8.

    If cut, the last line says how much is left out and, with ``rest``, links to it.
    """
    blocks = [[f"## Gate: {escaped(headline(found))}", ""]]
    blocks += [[f"- {escaped(line)}"] for line in _facts(found)]
    for task, reasons in found.tasks.items():
        if reasons:
            blocks.append([f"- **PARTIAL: {escaped(f'{task}: {partial(reasons)}')}**"])
    rows = [
        Line((x.rule.name, _tally(x)), "strong" if x.verdict == "regression" else "")
        for x in found.outcomes
    ]
    blocks.append(["", *markdown_rows(Grid("", ("rule", "verdict"), rows, align="ll"))])
    titles = (
        ("Regressions", ("regression",)),
        ("Missing", ("missing",)),
        ("Inconclusive", ("inconclusive",)),
        ("Passed", _ALL_WELL),
    )
    for title, verdicts in titles:
        chosen = [(o, c) for o, c in found.cells() if c.verdict in verdicts]
        lines = [_line(c, [o.rule.name, *_first(found, c)]) for o, c in chosen]
        if lines:
            header, rule, *body = markdown_rows(
                Grid("", ("rule", "value", *_HEADERS[1:]), lines, align="llrrrrrl")
            )
            blocks.append(["", f"### {title}", "", header, rule, body[0]])
            blocks += [[row] for row in body[1:]]
    if found.differing:
        blocks.append(["", "### Differences between the records", ""])
        for fact in found.differing:
            blocks.append([f"- {escaped(_changed(fact))}"])
    blocks.append(["", escaped(_legend(found))])
    return _cut(blocks, limit, rest)


def _cut(blocks: Sequence[Sequence[str]], limit: int, rest: str | None) -> str:
    """Whole blocks of lines as long as they fit; a table is cut between rows."""
    texts = ["".join(f"{line}\n" for line in block) for block in blocks]
    whole = "".join(texts)
    if len(whole.encode()) <= limit:
        return whole

    def note(lines: int) -> str:
        cut = f"{numbers.plural(lines, 'line')} more did not fit"
        return f"\n**Cut here: {cut}" + (f"; [the whole report]({rest}).**\n" if rest else ".**\n")

    left = sum(text.count("\n") for text in texts)
    room = limit - len(note(left).encode())
    kept = ""
    for text in texts:
        if len((kept + text).encode()) > room:
            break
        kept += text
        left -= text.count("\n")
    return kept + note(left)


def _changed(fact: Differing) -> str:
    """``device: cpu -> cuda``."""
    where = f"{fact.task} " if fact.task else ""
    return f"{where}{fact.field}: {' -> '.join(fact.values)}"


def _facts(found: Gate) -> Iterator[str]:
    yield f"candidate: {_party(found.candidate)}"
    yield f"baseline: {_party(found.baseline)}"
    yield f"policy: {found.policy}"


def _party(party: Party) -> str:
    parts = [f"harness {party.harness}" if party.harness else "", f"made {party.created}"]
    parts.append("" if party.where is None else party.where)
    return f"{party.model} ({', '.join(x for x in parts if x)})"


def _tally(outcome: Outcome) -> str:
    """``regression: 1 of 11 values, 2 inconclusive``."""
    if outcome.left_out and outcome.verdict == "pass":
        return f"left out: {outcome.note}"
    if outcome.note is not None:
        return f"{outcome.verdict}: {outcome.note}"
    counts = Counter(check.verdict for check in outcome.cells if check.counts)
    watched = sum(not check.counts for check in outcome.cells)
    words = [f"{n} {verdict}" for verdict, n in counts.most_common()]
    if watched:
        words.append(f"{watched} only watched")
    allowed = ""
    if outcome.verdict == "inconclusive" and outcome.rule.inconclusive == "allow":
        allowed = ", which the rule allows"
    return f"{outcome.verdict}{allowed} ({', '.join(words)})"


def _first(found: Gate, check: CheckResult) -> list[str]:
    return [f"{check.task} {place(check)}" if len(found.tasks) > 1 else place(check)]


def _line(check: CheckResult, first: Sequence[str]) -> Line:
    cells: list[Item | str] = [
        *first,
        numbers.value(check.measure, check.baseline),
        numbers.value(check.measure, check.candidate),
        Item(
            signed(check.measure, check.difference),
            interval=numbers.interval(check.measure, check.low, check.high, differences=True),
        ),
        numbers.value(check.measure, check.limit),
        p_value(check.adjusted_gain if check.verdict == "improvement" else check.adjusted),
        verdict_of(check),
    ]
    return Line(cells, "strong" if check.verdict == "regression" and check.counts else "")


def _grid(found: Gate, cells: Sequence[CheckResult], *, verbose: bool) -> Grid:
    """For a terminal: baseline above candidate, so that the verdict fits."""
    rows = []
    for check in cells:
        line = _line(check, _first(found, check))
        name, baseline, candidate, *rest = line.items
        if not verbose and len(check.through) > _NAMED:
            named = replace(check, through=check.through[:_NAMED])
            rest[-1] = Item(f"{verdict_of(named)} and {len(check.through) - _NAMED} more")
        both = Item(f"{baseline.text}\n{candidate.text}")
        rows.append(Line([name, both, *rest], line.style))
    headers = ("", "\n".join(_HEADERS[1:3]), *_HEADERS[3:])
    return Grid("", headers, rows, align="lrrrrw")


def _reasons(found: Gate, cells: Sequence[CheckResult]) -> Iterator[str]:
    """Why a value is in doubt; for a regression the table has every number of the reason."""
    for check in cells:
        if check.verdict in ("inconclusive", "missing"):
            yield f"{_first(found, check)[0]}: {check.reason}"


def _legend(found: Gate) -> str:
    """What the columns mean."""
    level = f"{100 * (1 - 2 * found.alpha):g}%"
    return (
        f"Difference: candidate minus baseline on the same questions, with its {level} BCa "
        f"interval ({numbers.count(found.resamples)} resamples, seed {found.seed}). p: "
        f"questions swapped ({numbers.count(found.permutations)} times), one-sided, Holm over "
        f"{numbers.plural(found.comparisons, 'value')}: the chance of any false regression is at "
        f"most {100 * found.alpha:g}%. A value passes if its interval stays within what is let "
        "through, is a regression if it is beyond and p is significant, and is inconclusive "
        "otherwise."
    )
