"""All steps of a study before training: read tasks, make pairs, plan trials.

Impossible studies are refused here, before any training step, with the file and the key or trial.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.base.digests import digest_of
from harness.base.environment import versions
from harness.base.progress import Progress
from harness.data.locations import data_directories
from harness.data.task import TaskSpec
from harness.errors import HarnessError, StudyError
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.metrics.definition import digests
from harness.models.base import ModelOptions
from harness.study.definition import PLAIN, Scored, Study, named
from harness.study.fitting_texts import check_steps, check_texts, make_steps
from harness.study.reading import Reading
from harness.study.results import CELLS, DATA, REFERENCES
from harness.study.training_pairs import MIRROR, Places, check_sources, cut, make_data
from harness.study.trials import Trial, in_keys, trials_of
from harness.training.settings import Settings
from harness.training.training_set import read_data

_VERSION = 1
"""Increased when the engine trains or scores the same trial differently."""
_DECIDE = ("polyglot-harness", "torch", "transformers", "sentence-transformers", "tokenizers")
"""Packages whose versions affect a trial's result."""


@dataclass(frozen=True)
class StudyOptions:
    """How a study is run; no option changes a number."""

    output: Path
    data_dir: Path | None = None
    offline: bool = False
    device: str | None = None
    engine: str = "local"
    workers: int | None = None
    keep_models: bool = False

    def absolute(self) -> StudyOptions:
        """The same with absolute paths, for other processes, and HARNESS_DATA if set.

        Raises:
            UsageError: a data directory is not a folder.
        """
        found = data_directories(self.data_dir)
        return replace(
            self,
            output=self.output.absolute(),
            data_dir=found[0][1].absolute() if found else None,
        )


@dataclass(frozen=True)
class Job:
    """A trial or reference to run. Picklable."""

    key: str
    """The name of a trial, or ``reference MODEL``."""
    folder: Path
    """The folder for its records and its final file."""
    digest: str
    """Digest of everything that determines its numbers."""
    scores: Mapping[str, str]
    """Task -> digest of everything that determines the numbers on it."""
    model: str
    """The model that is scored or trained further."""
    settings: Settings | None = None
    """Training settings of a trial."""
    training: str | None = None
    """Digest of everything that determines a trial's weights."""
    pairs: tuple[str, ...] = ()
    """Digest of each file of pairs in a trial's ``settings``."""
    trial: Trial | None = None
    overlap: tuple[Mapping[str, Any], ...] = ()
    """Evaluation questions found in a trial's pairs."""


@dataclass(frozen=True)
class Task:
    """A task that models are scored on, once its data was read."""

    scored: Scored
    spec: TaskSpec
    options: RunOptions
    facts: Mapping[str, Any]
    """Everything that determines its numbers, for digests."""
    texts: int
    """Queries and passages."""
    rows: int
    """Rows of its per-query table: one per query and setting."""
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {PLAIN: ()})
    """Ways to score a model, by name: post-processing as ``--treatment`` takes it."""


@dataclass(frozen=True)
class Ready:
    """A study ready to run."""

    study: Study
    trials: tuple[Trial, ...]
    tasks: tuple[Task, ...]
    jobs: tuple[Job, ...]
    """References, then trials seed by seed, so that an interrupted study has complete seeds."""
    data: Mapping[str, Mapping[str, Any]]
    pairs: Mapping[str, int]
    """Trial -> number of training pairs."""
    steps: Mapping[str, int]
    """Trial -> number of steps without early stopping."""


def tasks_of(
    study: Study, options: StudyOptions, places: Places, reading: Reading
) -> tuple[Task, ...]:
    """Read every task as it will be scored.

    Raises:
        StudyError: there is no such task, or its data is not available; names the key.
    """
    found = []
    for number, scored in enumerate(study.scored, 1):
        try:
            spec = places.task(scored.task, scored.text)
            run = _options(study, scored, spec, options)
            prepared = reading.task(scored.name, spec, run)
        except HarnessError as error:
            raise StudyError(
                f"{study.where}: key 'score.tasks[{number}]': {in_keys(error)}"
            ) from error
        found.append(Task(scored, spec, run, _facts(prepared), _texts(prepared), _rows(prepared)))
    return tuple(found)


def _options(study: Study, scored: Scored, spec: TaskSpec, options: StudyOptions) -> RunOptions:
    return RunOptions(
        languages=scored.languages,
        settings=scored.settings,
        limit=scored.limit,
        sample=scored.sample,
        sample_passages=scored.sample_passages,
        text=scored.text,
        measures=tuple(dict.fromkeys((*spec.measures, *study.report.measures))),
        data_dir=options.data_dir,
        offline=options.offline,
        corpus="sampled" if scored.corpus == "sampled" else "whole",
        store=False,
        resamples=0,  # the report computes intervals itself, for means over seeds
        model=ModelOptions(device=options.device, offline=options.offline),
    )


def _facts(prepared: Prepared) -> dict[str, Any]:
    return {
        "task": prepared.spec.digest,
        "data": prepared.data.digest,
        "text": prepared.spec.text,
        "partial": json.loads(json.dumps(dict(prepared.data.partial))),
        "settings": [x.name for x in prepared.settings],
        "measures": dict(digests(prepared.measures)),
    }


def _texts(prepared: Prepared) -> int:
    queries = sum(len(x.questions) for x in prepared.relevant.values())
    return queries + sum(prepared.data.passage_counts.values())


def _rows(prepared: Prepared) -> int:
    return sum(len(prepared.relevant[x.query_language].questions) for x in prepared.settings)


@dataclass(frozen=True)
class Checked:
    """The result of :func:`check_study`."""

    trials: tuple[Trial, ...]
    references: Mapping[str, Mapping[str, Any]]
    """Name -> what identifies the model."""


def check_study(study: Study, options: StudyOptions) -> Checked:
    """Check the file, and the files and models it names.

    Raises:
        StudyError: see the module.
    """
    from harness.models import load

    trials = trials_of(study)
    _check_retention(study)
    places = _places(study, options)
    check_sources(places, {x.data for trial in trials for x in trial.data})
    check_texts(places)
    references = {}
    how = ModelOptions(device=options.device, offline=options.offline)
    for number, model in enumerate(study.references, 1):
        try:
            facts = load(places.model(model), how).facts
        except HarnessError as error:
            raise StudyError(f"{study.where}: key 'score.references[{number}]': {error}") from error
        references[model] = json.loads(json.dumps(dict(facts), default=str))
    return Checked(trials, references)


def _check_retention(study: Study) -> None:
    """Check that retention is of the x axis, and domains are its values: others would do nothing.

    Raises:
        StudyError: names the key.
    """
    spec, x = study.report.retention, study.report.x
    if spec is None:
        return
    if x is None or dict(spec) != {"axis": x} or study.axes[x].numeric:
        raise StudyError(
            f"{study.where}: key 'report.retention' must be {{ axis = NAME }}, the axis of names "
            "that 'report.x' names"
        )
    for number, scored in enumerate(study.scored, 1):
        if scored.domain is not None and scored.domain not in study.axes[x].values:
            raise StudyError(
                f"{study.where}: key 'score.tasks[{number}].domain' must be one of "
                f"{', '.join(map(named, study.axes[x].values))}, the values of {x!r}, not "
                f"{scored.domain!r}"
            )


def _places(study: Study, options: StudyOptions) -> Places:
    return Places(study, options.output / DATA, options.data_dir, options.offline)


def make_ready(
    study: Study,
    options: StudyOptions,
    progress: Progress,
    checked: Checked | None = None,
    reading: Reading | None = None,
) -> Ready:
    """Read the tasks, make the pairs, plan every trial.

    Args:
        study: at the chosen scale.
        options: output and data folders.
        progress: notified of stages.
        checked: the result of :func:`check_study`; default: it is called.
        reading: caches what is read, for training and scoring in this process.

    Raises:
        StudyError: something in it is impossible; nothing has been trained.
    """
    checked, reading = checked or check_study(study, options), reading or Reading()
    trials, places = checked.trials, _places(study, options)
    bases = _bases(study, trials, options, places)
    teachers = _teachers(study, trials, options, places)
    progress.start("read tasks", 0, "tasks")
    tasks = tasks_of(study, options, places, reading)
    progress.finish()
    languages = dict.fromkeys(y for x in tasks for y in reading.languages(x.scored.name))
    steps, processed = make_steps(places, list(languages))
    check_steps(places, steps, [reading.task(x.scored.name, x.spec, x.options) for x in tasks])
    tasks = tuple(replace(x, steps=steps) for x in tasks)
    names = dict.fromkeys(x.data for trial in trials for x in trial.data)
    data = make_data(places, list(names), [x.spec for x in tasks], progress)
    portions = {
        x: cut(places, x, data[x.data])
        for x in dict.fromkeys(x for trial in trials for x in trial.data)
    }
    scored = {x.scored.name: x.facts for x in tasks}
    processing = {} if processed is None else {"post_processing": processed}
    trained = {
        "version": _VERSION,
        "versions": {k: v for k, v in versions().items() if k in _DECIDE},
    }
    common = {**trained, "tasks": scored, **processing}

    def scores(weights: Mapping[str, Any]) -> dict[str, str]:
        on = {**trained, **processing, **weights}
        return {name: digest_of({**on, "task": facts}) for name, facts in scored.items()}

    folders = _folders_of(checked.references)
    jobs = [
        Job(
            key=f"reference {model}",
            folder=options.output / REFERENCES / folders[model],
            digest=digest_of({**common, "model": facts}),
            scores=scores({"model": facts}),
            model=places.model(model),
        )
        for model, facts in checked.references.items()
    ]
    planned = _Planned(study, reading)
    progress.start("plan trials", len(trials), "trials")
    made = []
    for trial in trials:
        base = str(trial.options["base"])
        files = tuple(str(portions[x][0]) for x in trial.data)
        settings = replace(trial.settings(files), base=bases[base]["name"])
        own: dict[str, Any] = {"data": None, "base": None}
        if settings.teacher:
            # By what it is, wherever it is read from.
            own["teacher"] = teachers[settings.teacher]
            settings = replace(settings, teacher=places.model(settings.teacher))
        planned.look(trial, settings, [portions[x][1] for x in trial.data])
        weights = {
            "settings": json.loads(json.dumps({**settings.document(), **own})),
            "pairs": [portions[x][1] for x in trial.data],
            "base": bases[base]["facts"],
        }
        made.append(
            Job(
                key=trial.name,
                folder=options.output / CELLS / trial.name,
                digest=digest_of({**common, **weights}),
                scores=scores(weights),
                model=settings.base,
                settings=settings,
                training=digest_of({**trained, **weights}),
                pairs=tuple(portions[x][1] for x in trial.data),
                trial=trial,
                overlap=tuple(
                    y for x in trial.data for y in data[x.data]["study"]["overlap"]["found"]
                ),
            )
        )
        progress.advance(1)
    progress.finish()
    seeds: dict[int, list[Job]] = {seed: [] for seed in study.seeds}
    for trial, job in zip(trials, made, strict=True):
        seeds[trial.seed].append(job)
    return Ready(
        study=study,
        trials=trials,
        tasks=tasks,
        jobs=(*jobs, *(job for group in seeds.values() for job in group)),
        data=data,
        pairs=planned.pairs,
        steps=planned.steps,
    )


def _bases(
    study: Study, trials: Sequence[Trial], options: StudyOptions, places: Places
) -> dict[str, dict[str, Any]]:
    """Base -> the name to load it by and what identifies it; each is loaded once.

    Raises:
        StudyError: a base does not exist, cannot be loaded, or lacks the parts to freeze.
    """
    from harness.training.base_model import find_base, load_base

    found: dict[str, dict[str, Any]] = {}
    loaded = set()
    for trial in trials:
        settings = trial.settings()
        name = places.model(settings.base)
        try:
            if settings.base not in found:
                base_facts = find_base(name, options.offline)
                found[settings.base] = {"name": name, "facts": base_facts}
            if (name, settings.freeze) not in loaded:
                load_base(replace(settings, base=name), device="cpu", offline=options.offline)
                loaded.add((name, settings.freeze))
        except HarnessError as error:
            raise StudyError(f"{study.where}: trial {trial.name}: {in_keys(error)}") from error
    return found


def _teachers(
    study: Study, trials: Sequence[Trial], options: StudyOptions, places: Places
) -> dict[str, str | None]:
    """Teacher -> its fingerprint.

    Raises:
        StudyError: a teacher does not exist or cannot be used.
    """
    from harness.models import load

    found: dict[str, str | None] = {}
    how = ModelOptions(device=options.device, offline=options.offline)
    for trial in trials:
        teacher = trial.settings().teacher
        if teacher and teacher not in found:
            try:
                found[teacher] = getattr(load(places.model(teacher), how), "fingerprint", None)
            except HarnessError as error:
                raise StudyError(
                    f"{study.where}: trial {trial.name}: key 'teacher': {error}; a copy of a model "
                    f"of the hub is looked for in the data directory, {MIRROR}/{teacher}"
                ) from error
    return found


def folder_of(model: str) -> str:
    """A reference's name as a folder name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.") or "model"


def _folders_of(models: Iterable[str]) -> dict[str, str]:
    """Reference -> its folder's name; later ones of the same name have a digest in theirs."""
    found: dict[str, str] = {}
    for model in models:
        name = folder_of(model)
        # Some file systems ignore case.
        if name.lower() in (x.lower() for x in found.values()):
            name = f"{name}-{digest_of({'model': model})[:8]}"
        found[model] = name
    return found


class _Planned:
    """Batch plans of trials, one per distinct combination of settings and data, whatever the seed.

    Planning the batches shows whether a recipe can use its data.
    """

    def __init__(self, study: Study, reading: Reading) -> None:
        self._study = study
        self._reading = reading
        self._seen: dict[str, tuple[int, int]] = {}
        self.pairs: dict[str, int] = {}
        self.steps: dict[str, int] = {}

    def look(self, trial: Trial, settings: Settings, digests: Sequence[str]) -> None:
        """Plan the batches of a trial, whose files have these digests.

        Raises:
            StudyError: its recipe cannot use its data, or a file was changed.
        """
        from harness.training.train import planned_steps

        key = digest_of(
            {name: value for name, value in asdict(settings).items() if name in _PLANNED}
        )
        if key not in self._seen:
            try:
                data = read_data(settings, read=self._reading.pairs)
            except HarnessError as error:
                raise StudyError(
                    f"{self._study.where}: trial {trial.name} cannot be run: {in_keys(error)}"
                ) from error
            for file, found, digest in zip(settings.data, data.files, digests, strict=False):
                if found["sha256"] != digest:
                    raise StudyError(
                        f"{file}: was changed since the study made it; remove it, and the same "
                        "command will make it again"
                    )
            pairs = sum(len(s.rows) for s in data.train.plan.strata)
            self._seen[key] = pairs, planned_steps(settings, data)
        self.pairs[trial.name], self.steps[trial.name] = self._seen[key]


_PLANNED = (
    "recipe", "data", "languages", "alpha", "cross_batches", "language_draw", "epoch",
    "skip_unusable", "holdout", "batch_size", "accumulation", "epochs", "steps",
)  # fmt: skip
"""Settings that affect how data is arranged in batches."""
