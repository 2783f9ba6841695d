"""The page of a study, as Markdown that GitHub shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.console.markdown import bullets, code, escaped, folded, table
from harness.console.numbers import plural
from harness.console.tables import Grid
from harness.errors import HarnessError
from harness.study.definition import Study
from harness.study.file import list_studies, read_study
from harness.study.report import tables
from harness.study.report.answer import answer
from harness.study.report.combinations import pool_grid
from harness.study.report.costs import NOTE as NOTE_OF_COSTS
from harness.study.report.costs import NOTE_OF_STEPS, cost_grid, step_grid
from harness.study.report.findings import Findings
from harness.study.report.layout import listed
from harness.study.report.plots import Plot
from harness.study.report.published_rows import NOTE, published_grids
from harness.study.report.sentences import Passage

GENERATED = "<!-- Written by `harness study report`; changes here are lost. -->"
METHOD = (
    "In brackets 95 % intervals over seeds and questions together. Significantly different: "
    "the paired test over questions gives at most .05 after Holm's correction, and that interval "
    "excludes 0. d_z is Cohen's effect size over questions; *seeds*: whether the difference is "
    "beyond what the spread over seeds alone explains at 95 %. Exact numbers are in the CSV files "
    "of this folder."
)


def page(findings: Findings, passages: Sequence[Passage], plots: Sequence[Plot]) -> str:
    """The whole page."""
    study, said = findings.results.study, answer(findings)
    parts = [
        f"# {escaped(study.title)}\n\n{GENERATED}\n",
        f"**{escaped(study.question)}**\n",
        *([] if said is None else [f"{escaped(said)}\n"]),
        *_marks(findings),
        *(_figure(x) for x in plots[:1]),
        "## What came out\n",
        *_pools(findings),
        _reading(passages),
        *(["## More plots\n"] if plots[1:] else []),
        *(_figure(x) for x in plots[1:]),
        "## Tables\n",
        f"{METHOD}\n",
        *_tables(findings),
        *_published(findings),
        *_costs(findings),
        "## What the data can and cannot support\n",
        f"{study.about.strip()}\n",
        "## How it was run\n",
        bullets(_facts(findings)),
        *_full_scale(study),
    ]
    return "\n".join(parts)


def _figure(plot: Plot) -> str:
    image = f"![{escaped(plot.title)}](plots/{plot.name}.svg)"
    png = f" ([PNG](plots/{plot.name}.png))" if "png" in plot.files else ""
    return f"{image}\n\n{escaped(plot.caption)}{png}\n"


def _marks(findings: Findings) -> Iterator[str]:
    for title, mark in findings.marks.items():
        yield f"**{escaped(title)}: {escaped(mark)}.**\n"
    for score_table in findings.all_tables:
        if score_table.notes and score_table is next(
            x for x in findings.all_tables if x.key == score_table.key
        ):
            yield f"{escaped(score_table.title)}: {escaped('; '.join(score_table.notes))}.\n"


def _pools(findings: Findings) -> Iterator[str]:
    grid = pool_grid(findings)
    if grid is not None:
        yield f"*{escaped(grid.title)}*\n\n{table(grid)}"


def _reading(passages: Sequence[Passage]) -> str:
    lines = []
    for passage in passages:
        if not passage.subject:
            lines += [escaped(s) for s in passage.sentences]
            continue
        lines.append(f"**{escaped(passage.subject)}**")
        lines += [f"  - {escaped(s)}" for s in passage.sentences]
    return bullets(lines)


def _tables(findings: Findings) -> Iterator[str]:
    for score_table in findings.all_tables:
        mark = f"\n**{escaped(score_table.mark)}.**\n" if score_table.mark else ""
        yield f"### {escaped(score_table.title)}, {score_table.kind}\n{mark}"
        for measure in score_table.measures:
            for grid in tables.value_grids(findings, score_table, measure):
                yield f"*{_caption(grid, score_table.mark)}*\n\n{table(grid)}"
            for made in (
                tables.retention_grid,
                tables.fit_grid,
                tables.difference_grid,
                tables.language_grid,
            ):
                found = made(findings, score_table, measure)
                if found is not None:
                    yield folded(_caption(found, score_table.mark), table(found))


def _published(findings: Findings) -> Iterator[str]:
    grids = list(published_grids(findings))
    if grids:
        yield f"### Published\n\n{NOTE}\n"
    for grid in grids:
        yield f"*{escaped(grid.title)}*\n\n{table(grid)}"


def _costs(findings: Findings) -> Iterator[str]:
    grid = cost_grid(findings)
    if grid is not None:
        yield f"### Cost\n\n{NOTE_OF_COSTS}\n"
        yield f"*{escaped(grid.title)}*\n\n{table(grid)}"
    steps = step_grid(findings)
    if steps is not None:
        yield f"{NOTE_OF_STEPS}\n\n*{escaped(steps.title)}*\n\n{table(steps)}"


def _caption(grid: Grid, mark: str | None) -> str:
    return f"{escaped(grid.title)}{' (sampled corpus)' if mark else ''}"


def _facts(findings: Findings) -> Iterator[str]:
    results, study = findings.results, findings.results.study
    total = len(results.trials) + len(results.missing)
    yield (
        f"{plural(total, 'trial')}: {listed([x.name for x in study.arms])}, seeds "
        f"{listed([str(x) for x in study.seeds])}"
        + "".join(f"; {x.label}: {_values(x.points)}" for x in study.axes.values())
        + "."
    )
    for trial in results.missing:
        why = results.failed.get(trial.name)
        said = f"failed: {escaped(why)}" if why else "not finished."
        yield f"{code(trial.name)}: {said}"
    yield f"Scale {code(study.scale)}, harness {escaped(results.harness)}."
    yield f"Every training: {_options(study.train)}."
    for arm in study.arms:
        own = f", with {_options(arm.train)}" if arm.train else ""
        data = listed(arm.data)
        if any(point.data for axis in arm.axes for point in study.axes[axis].points):
            data = "the data of each point"
        yield f"{escaped(arm.name)}: recipe {escaped(arm.recipe)} on {data}{own}."
    for axis in study.axes.values():
        for point in axis.points:
            changes = [f"data {listed(point.data)}"] if point.data else []
            changes += [_options(point.train)] if set(point.train) - {axis.name} else []
            if changes:
                yield f"{axis.name} {escaped(point.name)}: {', '.join(changes)}."
    for name, facts in results.data.items():
        yield f"Data {escaped(name)}: {'; '.join(_data(facts))}."
    yield from _trainings(findings)
    command = f"harness study run {_named(study)} --data-dir DIR --output OUT"
    scale = "" if study.scale == study.scales[0] else f" --scale {study.scale}"
    command += scale + _other_seeds(study)
    yield f"Made by {code(command)}, then {code('harness study report OUT --output FOLDER')}."


def _values(points: Sequence[Any]) -> str:
    return ", ".join(escaped(p.name) for p in points)


def _options(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {code(_spelled(v)) or 'empty'}" for k, v in values.items())


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _data(facts: Mapping[str, Any]) -> Iterator[str]:
    """Rows, languages and licence of a set, then what of the tasks was found in it."""
    own = facts.get("study", {})
    said = [plural(int(facts["rows"]), "row")] if "rows" in facts else []
    said += [f"{k} {escaped(str(facts[k]))}" for k in ("source", "repository") if facts.get(k)]
    if own.get("languages"):
        said.append(f"languages {escaped(', '.join(own['languages']))}")
    if facts.get("license"):
        said.append(f"licence {escaped(str(facts['license']))}")
    if own.get("cleaned_of"):
        left = plural(int(own.get("ids_left_out", 0)), "row")
        said.append(f"cleaned of {listed(own['cleaned_of'])}, {left} left out")
    if mixed := own.get("code_switch"):
        counts = mixed["counts"]
        changed = sum(n for x, n in counts.items() if x.startswith("into "))
        said.append(
            f"words of {mixed['source']} queries drawn with probability {mixed['share']:g}, and "
            f"{changed:,} of {counts['words']:,} put into {listed(mixed['languages'])}"
        )
    yield ", ".join(said)
    for found in own.get("overlap", {}).get("found", ()):
        yield from (escaped(x) for x in found["sentences"])


_MOST_SAID = 8
"""Maximum number of different sentences of trainings; all of them are in cells.csv."""


def _trainings(findings: Findings) -> Iterator[str]:
    """How the trainings ended, and what they said of it: each sentence once, with its count."""
    trainings = [x.training for x in findings.results.trials]
    early = sum(bool(x.get("stopped_early")) for x in trainings)
    last = sum(x.get("weights_of_step") == x.get("steps") is not None for x in trainings)
    yield (
        f"{plural(len(trainings), 'training')}: {early} stopped early, {last} ended with the "
        "weights of their last step."
    )
    sentences = Counter(str(x["said"]) for x in trainings if x.get("said"))
    ordered = sorted(sentences.items(), key=lambda x: (-x[1], x[0]))
    for sentence, count in ordered[:_MOST_SAID]:
        yield f"{plural(count, 'training')}: {escaped(sentence)}"
    if len(ordered) > _MOST_SAID:
        rest = sum(count for _, count in ordered[_MOST_SAID:])
        yield f"What {plural(rest, 'training')} reported in addition is in cells.csv."


def _named(study: Study) -> str:
    """As the command takes it."""
    return study.name if _shipped(study) is not None else f"./{study.name}.toml"


def _shipped(study: Study) -> Study | None:
    try:
        return next((x for x in list_studies() if x.name == study.name), None)
    except HarnessError:
        return None


def _other_seeds(study: Study) -> str:
    """The flag that gives a built-in study other seeds than its file's."""
    shipped = _shipped(study)
    if shipped is None or study.scale not in shipped.scales:
        return ""
    same = read_study(study.name, study.scale).seeds == study.seeds
    return "" if same else f" --seeds {','.join(map(str, study.seeds))}"


def _full_scale(study: Study) -> Iterator[str]:
    shipped = _shipped(study)
    # A newer version of a built-in study may have other scales.
    known = study.scales if shipped is None else shipped.scales
    others = [x for x in study.scales if x != study.scale and x in known]
    if not others:
        return
    yield "## At another scale\n"
    for scale in others:
        command = f"harness study run {_named(study)} --scale {scale} --data-dir DIR --output OUT"
        yield f"The same file at scale {code(scale)}: {code(command)}\n"
        changed = _changed(study, scale)
        if changed:
            yield f"It changes {changed}.\n"


def _changed(study: Study, scale: str) -> str:
    if _shipped(study) is None:
        return ""
    other = read_study(study.name, scale)
    new = {k: v for k, v in other.train.items() if study.train.get(k) != v}
    said = [_options(new)] if new else []
    for name, axis in other.axes.items():
        if name in study.axes and axis.values != study.axes[name].values:
            said.append(f"{escaped(axis.label)}: {_values(axis.points)}")
    sets = [f"{x.name} ({x.source})" for n, x in other.data.items() if study.data.get(n) != x]
    if sets:
        said.append(f"data {escaped(listed(sets))}")
    if other.scored != study.scored:
        said.append(f"tasks {escaped(listed([x.name for x in other.scored]))}")
    if other.references != study.references:
        said.append(f"references {escaped(listed(other.references))}")
    if other.seeds != study.seeds:
        said.append(f"seeds {listed([str(x) for x in other.seeds])}")
    return "; ".join(said)
