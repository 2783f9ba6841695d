"""A record's means to an experiment tracker: trackio, Weights & Biases or MLflow."""

from __future__ import annotations

import math
import sys
from contextlib import redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, UsageError, did_you_mean, first_line

if TYPE_CHECKING:
    from harness.evaluation.record import Record

TRACKERS = ("trackio", "wandb", "mlflow")
PROJECT = "polyglot-harness"


def scores_of(record: Record) -> dict[str, float]:
    """Macro means by ``TASK/KIND/MEASURE``, as in ``demo/multi/map``; undefined ones left out."""
    return {
        f"{task.task}/{kind}/{measure}": float(value)
        for task in record.tasks
        for kind, means in task.means.items()
        for measure, value in means.macro.items()
        if value is not None and math.isfinite(value)
    }


def require(tracker: str) -> Any:
    """The tracker's package.

    Raises:
        UsageError: its name is unknown, or it is not installed or cannot be imported.
    """
    if tracker not in TRACKERS:
        hint = did_you_mean(tracker, TRACKERS)
        raise UsageError(f"there is no tracker {tracker!r}{hint}; one of {', '.join(TRACKERS)}")
    try:
        return import_module(tracker)
    except Exception as problem:  # of an installed one, whatever its import raises
        if isinstance(problem, ModuleNotFoundError) and problem.name == tracker:
            raise UsageError(
                f"--log-to {tracker}: it is not installed: pip install {tracker}"
            ) from problem
        raise UsageError(
            f"--log-to {tracker}: it cannot be imported ({first_line(problem)}): "
            f"pip install -U {tracker}"
        ) from problem


def log_record(record: Record, tracker: str, project: str = PROJECT) -> None:
    """Log a record as one run of ``project``: its means, and what was run as configuration.

    The run is called as the record's folder. Where the tracker keeps it, and who is logged in, is
    the tracker's own affair (``WANDB_MODE``, ``MLFLOW_TRACKING_URI``, ``TRACKIO_DIR``).

    Raises:
        UsageError: no such tracker, or it is not installed.
        HarnessError: the tracker refused; the record is not affected.
    """
    package = require(tracker)
    model = record.contents.model
    config = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "tasks": ",".join(task.task for task in record.tasks),
        "harness": record.contents.environment.packages.get("polyglot-harness"),
        "created": record.contents.created,
    }
    config = {key: str(value) for key, value in config.items() if value is not None}
    name = record.folder.name if record.folder is not None else model.name
    try:
        with redirect_stdout(sys.stderr):  # what trackers say is no part of a command's result
            if tracker == "mlflow":
                # MLflow's names may have slashes, but no @.
                scores = {key.replace("@", "_at_"): x for key, x in scores_of(record).items()}
                package.set_experiment(project)
                with package.start_run(run_name=name):
                    package.log_params(config)
                    package.log_metrics(scores)
            elif tracker == "wandb":
                # Beside a run that is active, of a training for one: init would end it.
                active = getattr(package, "run", None) is not None
                beside = {"reinit": "create_new"} if active else {}
                run = package.init(project=project, name=name, config=config, **beside)
                run.log(scores_of(record))
                run.finish()
            else:
                package.init(project=project, name=name, config=config)
                package.log(scores_of(record))
                package.finish()
    except Exception as problem:  # whatever a tracker raises
        raise HarnessError(f"{tracker} did not take the scores: {first_line(problem)}") from problem
