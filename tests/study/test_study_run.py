"""`harness study run`: what it refuses, what it leaves, and that a kill changes nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_training
from click.testing import CliRunner
from tiny_study import STUDY, changed, write_study

from harness.base.progress import Silent
from harness.cli import main
from harness.data.loading import load
from harness.data.task import find_task
from harness.errors import StudyError, UsageError
from harness.evaluation import run as evaluation_run
from harness.evaluation.layout import prepare
from harness.study import reading, run_trial
from harness.study import run as study_run
from harness.study.cost import plan_study
from harness.study.file import read_study
from harness.study.prepared import StudyOptions, make_ready
from harness.study.reading import Reading
from harness.study.results import load_results
from harness.study.run import run_study
from harness.training import pairs

pytestmark = pytest.mark.filterwarnings("ignore::harness.errors.HarnessWarning")


def outcome(folder: Path) -> dict[str, Any]:
    """Everything of a study's cells but when and how long: tables, losses, what was said."""
    found = {}
    for trial in load_results(folder).trials:
        training = {k: v for k, v in trial.training.items() if k != "seconds"}
        tables = {name: x.document["tasks"][0] for name, x in trial.records.items()}
        shas = {name: x["per_query"]["sha256"] for name, x in tables.items()}
        found[trial.trial.name] = (training, shas, {n: x["means"] for n, x in tables.items()})
    return found


def ran(study: Path, output: Path, **given: Any) -> Any:
    return run_study(read_study(study), StudyOptions(output, offline=True, **given))


def test_a_study_runs_to_its_end_and_then_has_nothing_left_to_do(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", changed("seeds", to=[0]))
    output = tmp_path / "out"
    command = ["study", "run", str(study), "--output", str(output), "--offline"]
    plan = CliRunner().invoke(main, [*command, "--dry-run"])
    assert plan.exit_code == 0, plan.output
    assert "3 trials, 0 of them finished; 1 reference to score; tasks: demo" in plan.output
    assert "time: about" in plan.output and "disk: about" in plan.output
    assert not output.exists()

    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    assert "4/4 hybrid.alpha=0.5.seed=0: " in first.stderr
    results = load_results(output)
    assert [x.trial.name for x in results.trials] == [
        "mono.seed=0",
        "hybrid.alpha=0.seed=0",
        "hybrid.alpha=0.5.seed=0",
    ]
    assert not results.missing and not results.failed and list(results.references) == ["bm25"]
    trial = results.trials[2]
    assert trial.trial.values == {"alpha": 0.5} and trial.training["alpha"] == 0.5
    assert trial.training["overlap"][0]["task"] == "demo"
    frame = trial.records["demo"].per_query()
    assert set(frame["kind"]) == {"mono", "cross", "multi"} and "map" in frame
    assert results.data["rows"]["rows"] == 60
    assert not list((output / "models").glob("*")), "models are gone once they are scored"
    assert len({str(x) for x in outcome(output).values()}) == 3, "cells differ in what came out"

    report = CliRunner().invoke(main, ["study", "report", str(output)])
    assert report.exit_code == 0, report.output
    page = Path(report.output.strip()).read_text()
    assert "hybrid and mono are not significantly different" in page and "(plots/map.svg)" in page

    stamps = {x: x.stat().st_mtime_ns for x in output.rglob("cell.json")}
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 0 and "nothing left to do" in again.output
    assert {x: x.stat().st_mtime_ns for x in output.rglob("cell.json")} == stamps

    # A copy without the pairs goes on elsewhere: they are made again, the same.
    copy = tmp_path / "copy"
    shutil.copytree(output, copy, ignore=shutil.ignore_patterns("data"))
    moved = CliRunner().invoke(main, [*command[:4], str(copy), "--offline"])
    assert moved.exit_code == 0 and "nothing left to do" in moved.output

    # One arm changes: its cells are done again, the others stay.
    document = changed("arms", 0, "train", to={"learning_rate": 1e-3}) | {"seeds": [0]}
    write_study(tmp_path / "study", document)
    assert CliRunner().invoke(main, command).exit_code == 0
    redone = {x.parent.name for x in output.rglob("cell.json") if x.stat().st_mtime_ns > stamps[x]}
    assert redone == {"mono.seed=0"}


def test_tasks_and_pairs_are_read_once_for_all_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(name: str, of: Any) -> Any:
        def wrapped(*arguments: Any, **more: Any) -> Any:
            read.append(name)
            return of(*arguments, **more)

        return wrapped

    for module in (reading, evaluation_run):
        monkeypatch.setattr(module, "prepare", counted("task", prepare))
    monkeypatch.setattr(pairs, "raw_content", counted("pairs", pairs.raw_content))
    study = write_study(tmp_path / "study", changed("seeds", to=[0]))
    assert ran(study, tmp_path / "out", device="cpu").done == 4
    assert sorted(read) == ["pairs", "task"]


def test_a_task_may_be_scored_on_its_hardest_passages(tmp_path: Path) -> None:
    """The relevant ones and as many others; every trial is another one with other passages."""
    study, out = tmp_path / "study", StudyOptions(tmp_path / "out", offline=True, device="cpu")
    whole = make_ready(read_study(write_study(study)), out, Silent())
    few = changed("score", "tasks", 0, "sample_passages", to=50)
    part = make_ready(read_study(write_study(study, few)), out, Silent())
    assert part.tasks[0].facts["partial"]["sample_passages"]["passages"] == 50
    assert not {x.digest for x in part.jobs} & {x.digest for x in whole.jobs}
    prepared = Reading().task("demo", part.tasks[0].spec, part.tasks[0].options)
    assert dict(prepared.data.passage_counts) == {"en": 50, "de": 50}
    relevant = {
        p for judged in prepared.data.qrels.values() for p, grade in judged.items() if grade
    }
    assert relevant <= set(prepared.pool.ids)


def test_killed_at_any_moment_and_run_again_a_study_comes_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in a training, ended by two processes: the same as in one go, to the bit."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    document = changed("axes", "alpha", "values", to=[0.5])
    document["train"]["steps"] = 8
    study = write_study(tmp_path / "study", document)
    whole, output = tmp_path / "whole", tmp_path / "out"
    assert ran(study, whole, device="cpu").done == 5
    command = [sys.executable, "-c", "from harness.cli import main; main()", "study", "run"]
    command += [str(study), "--offline", "--device", "cpu", "--quiet", "--output", str(output)]
    with subprocess.Popen(command) as process:
        for _ in range(12_000):
            # The second cell is in its training: the first is whole.
            whole_cells = len(list(output.glob("cells/*/cell.json")))
            begun = next(output.glob("models/*/.training/checkpoint-*"), None) is not None
            if (whole_cells and begun) or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert load_results(output).missing, "the kill came too late to interrupt anything"
    assert ran(study, output, device="cpu", engine="devices", workers=2).before >= 2
    assert outcome(output) == outcome(whole)


def test_a_kept_model_is_scored_on_another_task_without_training_again(tmp_path: Path) -> None:
    document = changed("axes", "alpha", "values", to=[0.5]) | {"seeds": [0]}
    study, output = write_study(tmp_path / "study", document), tmp_path / "out"
    assert ran(study, output, device="cpu", keep_models=True).done == 3
    took = {x.trial.name: x.processor_seconds["train"] for x in load_results(output).trials}
    weights = {x: x.stat().st_mtime_ns for x in output.glob("models/*/model.safetensors")}
    document["score"]["tasks"][0]["languages"] = ["en", "es"]
    write_study(tmp_path / "study", document)
    assert ran(study, output, device="cpu", keep_models=True).done == 3
    assert {x: x.stat().st_mtime_ns for x in weights} == weights and len(weights) == 2
    results = load_results(output)
    assert {x.trial.name: x.processor_seconds["train"] for x in results.trials} == took
    assert {y for x in results.trials for y in x.records["demo"].contents.tasks[0].languages} == {
        "en",
        "es",
    }
    # A plan of other pairs leaves those of the study: it may be running.
    pairs_file = output / "data" / "rows.jsonl.gz"
    content = pairs_file.read_bytes()
    document["data"]["rows"]["limit"] = 40
    other = read_study(write_study(tmp_path / "study", document))
    assert plan_study(other, StudyOptions(output, offline=True, device="cpu")).trainings
    assert pairs_file.read_bytes() == content
    del document["data"]["rows"]["limit"]
    # Another rate is another training.
    document["train"]["learning_rate"] = 1e-3
    write_study(tmp_path / "study", document)
    assert ran(study, output, device="cpu", keep_models=True).done == 2
    assert all(x.stat().st_mtime_ns > stamp for x, stamp in weights.items())


def records_written(output: Path) -> dict[Path, int]:
    """The stamp of every record of a study's trials and references."""
    found = (*output.glob("cells/*/records/*/record.json"), *output.glob("ref*/*/rec*/*/rec*.json"))
    return {x.relative_to(output): x.stat().st_mtime_ns for x in found}


def test_a_task_that_is_added_is_scored_alone(tmp_path: Path) -> None:
    document = changed("axes", "alpha", "values", to=[0.5]) | {"seeds": [0]}
    study, output = write_study(tmp_path / "study", document), tmp_path / "out"
    assert ran(study, output, device="cpu", keep_models=True).done == 3
    before = records_written(output)
    assert len(before) == 3
    added = {"task": "demo", "name": "english", "languages": ["en"], "settings": ["mono"]}
    document["score"]["tasks"].append(added)
    write_study(tmp_path / "study", document)
    options = StudyOptions(output, offline=True, device="cpu", keep_models=True)
    plan, anew = (
        plan_study(read_study(study), replace(options, output=x))
        for x in (output, tmp_path / "new")
    )
    assert plan.trainings == 0 < anew.trainings
    # 48 questions and 132 passages in each of two languages, and in English once more.
    assert (plan.scored, anew.scored) == (3 * 180, 3 * 540)
    assert ran(study, output, device="cpu", keep_models=True).done == 3
    after = records_written(output)
    assert len(after) == 6 and before.items() <= after.items()
    for trial in load_results(output).trials:
        assert set(trial.records) == set(trial.seconds) - {"train"} == {"demo", "english"}


def test_what_interrupts_the_second_task_spares_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = changed("axes", "alpha", "values", to=[0.5]) | {"seeds": [0]}
    added = {"task": "demo", "name": "english", "languages": ["en"], "settings": ["mono"]}
    document["score"]["tasks"].append(added)
    document["score"]["references"] = []
    study, output = write_study(tmp_path / "study", document), tmp_path / "out"
    plain = run_trial.run

    def interrupted(*given: Any, **named: Any) -> Any:
        if len(named["prepared"][0].settings) == 1:
            raise MemoryError("on purpose")
        return plain(*given, **named)

    monkeypatch.setattr(run_trial, "run", interrupted)
    assert len(ran(study, output, device="cpu", keep_models=True).failed) == 2
    before = records_written(output)
    assert len(before) == 2 and all("demo" in x.parts for x in before)
    monkeypatch.setattr(run_trial, "run", plain)
    assert ran(study, output, device="cpu", keep_models=True).done == 2
    assert before.items() <= records_written(output).items()
    # Killed after a training, before what it took was noted: nothing says that scores are of it.
    for model in output.glob("models/*.json"):
        model.write_text(json.dumps({"digest": json.loads(model.read_text())["digest"]}))
    for cell in output.glob("cells/*/cell.json"):
        cell.unlink()
    before = records_written(output)
    assert ran(study, output, device="cpu", keep_models=True).done == 2
    assert all(records_written(output)[x] > stamp for x, stamp in before.items())
    assert all("seconds" in json.loads(x.read_text()) for x in output.glob("models/*.json"))
    before = records_written(output)
    # Weights of another training have scores of their own, should they be the same weights.
    for model in output.glob("models/*"):
        shutil.rmtree(model) if model.is_dir() else model.unlink()
    for cell in output.glob("cells/*/cell.json"):
        cell.unlink()
    assert ran(study, output, device="cpu").done == 2
    after = records_written(output)
    assert all(after[x] > stamp for x, stamp in before.items())


def test_a_failed_trial_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    document = changed("arms", 0, "train", to={"learning_rate": 1e30, "log_every": 1})
    document["seeds"] = [0]
    study, output = write_study(tmp_path / "study", document), tmp_path / "out"
    command = ["study", "run", str(study), "--output", str(output), "--offline"]
    for _ in range(2):
        found = CliRunner().invoke(main, command)
        assert found.exit_code == 1, found.output
        assert "failed: mono.seed=0: the loss is nan at step" in found.output
        assert "nothing left to do" not in found.output
    results = load_results(output)
    assert [x.name for x in results.missing] == ["mono.seed=0"] and len(results.trials) == 2
    assert "the loss is nan" in results.failed["mono.seed=0"]
    write_study(tmp_path / "study", {**document, "arms": STUDY["arms"]})
    assert CliRunner().invoke(main, command).exit_code == 0
    assert not load_results(output).failed


def test_list_shows_the_studies_that_come_with_the_harness() -> None:
    shown = CliRunner().invoke(main, ["study", "list"])
    assert shown.exit_code == 0, shown.output
    rows = json.loads(CliRunner().invoke(main, ["study", "list", "--json"]).stdout)
    assert {"alpha", "scaling", "domain-shift", "code-switching", "languages"} <= {
        x["name"] for x in rows
    }
    assert all(x["name"] in shown.output and x["cells"] >= 3 for x in rows)
    scales = {x["name"]: set(x["scales"]) for x in rows}
    # The full scale of a study of a head would be that of the study without it.
    heads = {x for x in scales if x.endswith("-head")}
    assert all(x.removesuffix("-head") in scales for x in heads)
    assert all({"small", "full"} <= scales[x] for x in scales.keys() - heads)


def refused(tmp_path: Path, document: dict[str, Any], **given: Any) -> str:
    """What is said of a study, which leaves no cell behind."""
    study = write_study(tmp_path / "study", document, **given)
    command = ["study", "run", str(study), "--output", str(tmp_path / "out"), "--offline"]
    found = CliRunner().invoke(main, command)
    assert found.exit_code == 2, found.output
    assert not list(tmp_path.glob("out/cells/*")) and not list(tmp_path.glob("out/models/*"))
    assert found.stderr.startswith("Error: ") and found.stderr.count("\n") == 1
    return found.stderr


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("data", "rows", "files"), ["./no.jsonl"], "key 'data.rows.files' names ./no.jsonl, and"),
        (("data", "rows", "negatives"), 0, "key 'data.rows.negatives' is not for format 'pairs'"),
        (("score", "tasks", 0, "task"), "dmo", "key 'score.tasks[1]': unknown task 'dmo'"),
        (("score", "tasks", 0, "languages"), ["fi"], "key 'score.tasks[1]': "),
        (("score", "tasks", 0, "task"), "miracl", "key 'score.tasks[1]': task 'miracl' needs"),
        (
            ("score", "tasks", 0, "sample_passages"),
            3,
            "key 'score.tasks[1]': 'sample_passages' 3: ",
        ),
        (("score", "references"), ["bm25", "bm52"], "key 'score.references[2]'"),
        (("train", "base"), "./bsae", "trial mono.seed=0: 'base'"),
        (("train", "freeze"), ["encoder.layers"], "trial mono.seed=0: 'freeze' encoder.layers"),
        (("train", "languages"), ["sw"], "trial mono.seed=0 cannot be run: 'languages' sw: no row"),
        (("train", "batch_size"), 100, "trial mono.seed=0 cannot be run: the data have 56 pairs"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: tuple[Any, ...], value: Any, said: str
) -> None:
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    assert f"tiny.toml: {said}" in refused(tmp_path, changed(*path, to=value))


@pytest.mark.parametrize(
    ("retention", "domain", "said"),
    [
        ({"axes": "place"}, "far", "key 'report.retention' must be { axis = NAME }"),
        ({"axis": "alpha"}, "far", "key 'report.retention' must be { axis = NAME }"),
        ({"axis": "place"}, "fra", "key 'score.tasks[1].domain' must be one of near, far, the"),
    ],
)
def test_retention_that_would_be_of_nothing_is_refused(
    tmp_path: Path, retention: dict[str, str], domain: str, said: str
) -> None:
    points = [{"name": "near"}, {"name": "far", "train": {"learning_rate": 1e-3}}]
    document = changed("axes", to={"place": {"points": points}})
    document["report"] |= {"x": "place", "retention": retention}
    document["score"]["tasks"][0]["domain"] = domain
    assert said in refused(tmp_path, document)


def test_an_arm_that_cannot_use_its_data_is_refused(tmp_path: Path) -> None:
    """Pairs across languages are made of parallel rows; these rows are in English alone."""
    document = changed("data", "english", to={"format": "pairs", "files": ["./english.jsonl"]})
    document["arms"].append({"name": "x", "recipe": "cross", "data": ["english"], "axes": []})
    rows = [
        {"id": x["id"], "language": "en", "query": x["query"]["en"], "passage": x["passage"]["en"]}
        for x in tiny_training.pairs(40)
    ]
    (tmp_path / "study").mkdir()
    tiny_training.write_rows(tmp_path / "study" / "english.jsonl", rows)
    said = refused(tmp_path, document)
    assert "tiny.toml: trial x.seed=0 cannot be run: " in said and "cross" in said


def test_questions_of_the_tasks_are_refused_or_taken_out_or_written_down(tmp_path: Path) -> None:
    requested = load(find_task("demo"), languages=["en", "de"]).queries
    rows = tiny_training.pairs(60)
    for i in range(3):
        rows[i]["query"] = {x: requested[x].texts[i] for x in ("en", "de")} | {"zh": "w1"}
    study = write_study(tmp_path / "study")
    tiny_training.write_rows(tmp_path / "study" / "rows.jsonl", rows)
    options = StudyOptions(tmp_path / "out", offline=True)

    def ready(**changes: Any) -> Any:
        document = changed("data", "rows", to={**STUDY["data"]["rows"], **changes})
        write_study(tmp_path / "study", document)
        tiny_training.write_rows(tmp_path / "study" / "rows.jsonl", rows)
        from harness.base.progress import Silent

        return make_ready(read_study(study), options.absolute(), Silent())

    with pytest.raises(StudyError, match=r"\[data.rows\] .*clean = \[\"demo\"\], or say allow_ov"):
        ready()
    cleaned = ready(clean=["demo"]).data["rows"]
    assert cleaned["rows"] == 57 and cleaned["study"]["ids_left_out"] == 3
    allowed = ready(allow_overlap=True).data["rows"]
    assert allowed["rows"] == 60 and allowed["study"]["overlap"]["leaked"]
    assert any("3" in x for x in allowed["study"]["overlap"]["found"][0]["sentences"])


def test_amounts_are_nested_and_the_same_for_all(tmp_path: Path) -> None:
    from harness.base.progress import Silent
    from harness.training.pairs import read_examples

    document = changed("axes", to={"n": {"data": "rows", "values": [20, 40, 60]}})
    document["report"]["x"] = "n"
    document["train"]["holdout"] = 0.2
    document["arms"] = [{"name": "mono", "recipe": "mono", "data": ["rows"]}]
    study = write_study(tmp_path / "study", document)
    options = StudyOptions(tmp_path / "out", offline=True).absolute()
    ready = make_ready(read_study(study), options, Silent())
    ids = [
        {x.id for x in read_examples(job.settings.data[0]).examples}
        for job in ready.jobs
        if job.settings is not None and job.trial is not None and job.trial.seed == 0
    ]
    assert [len(x) for x in ids] == [20, 40, 60] and ids[0] < ids[1] < ids[2]
    assert ids[0] != {f"q{i}" for i in range(20)}, "not just the first of the file"
    part = tmp_path / "out" / "data" / "rows.20.jsonl.gz"
    (tmp_path / "out" / "data" / "rows.40.jsonl.gz").replace(part)
    with pytest.raises(StudyError, match=r"rows.20.jsonl.gz: was changed since the study made it"):
        make_ready(read_study(study), options, Silent())
    write_study(tmp_path / "study", document, rows=50)
    with pytest.raises(StudyError, match=r"key 'axes.n.values' requires 60 rows of 'rows', which"):
        make_ready(read_study(study), options, Silent())


def test_pairs_that_another_run_made_anew_are_not_trained_on(tmp_path: Path) -> None:
    """Their digest is the trial's: it would be that of other pairs."""
    study = read_study(write_study(tmp_path / "study"))
    options = StudyOptions(tmp_path / "out", offline=True, device="cpu").absolute()
    ready = make_ready(study, options, Silent())
    document = changed("data", "rows", "limit", to=40)
    make_ready(read_study(write_study(tmp_path / "study", document)), options, Silent())
    trial = next(x for x in ready.jobs if x.trial is not None)
    runner = run_trial.TrialRunner(run_trial.TrialWorker(ready.tasks, options))
    answer = runner.do(trial)
    runner.close()
    assert answer.outcome == "failed" and "rows.jsonl.gz: was changed since" in str(answer.error)


def test_references_of_like_names_have_folders_of_their_own(tmp_path: Path) -> None:
    study = write_study(
        tmp_path / "study", changed("score", "references", to=["./base", "./-base"])
    )
    shutil.copytree(tmp_path / "study" / "base", tmp_path / "study" / "-base")
    options = StudyOptions(tmp_path / "out", offline=True, device="cpu").absolute()
    jobs = make_ready(read_study(study), options, Silent()).jobs
    first, second = (x.folder.name for x in jobs if x.trial is None)
    assert first == "base" and second.startswith("base-")


def test_of_two_studies_that_begin_in_one_folder_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = read_study(write_study(tmp_path / "study"))
    other = read_study(write_study(tmp_path / "other", changed("name", to="other")))
    output, check = tmp_path / "out", study_run.check_study

    def overtaken(*given: Any) -> Any:
        found = check(*given)
        with study_run.alone_in(output):
            study_run.write_json(output / "study.json", study_run._head(other, None))
        return found

    monkeypatch.setattr(study_run, "check_study", overtaken)
    with pytest.raises(StudyError, match="contains the study 'other'"):
        run_study(mine, StudyOptions(output, offline=True, device="cpu"))


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("study.json", "digests", None),
        ("study.json", "study", []),
        ("study.json", "references", {"bm25": 1}),
        ("cells/mono.seed=0/cell.json", "training", 3),
    ],
)
def test_a_study_whose_files_were_changed_by_hand_is_named(
    tmp_path: Path, file: str, key: str, value: Any
) -> None:
    head = study_run._head(read_study(write_study(tmp_path / "study")), None)
    trial = {"digest": "x", "training": {}, "records": {}, "seconds": {}}
    for path, document in (
        ("study.json", head | {"digests": {"mono.seed=0": "x"}}),
        ("cells/mono.seed=0/cell.json", trial),
    ):
        content = document | {key: value} if path == file else document
        study_run.write_json(tmp_path / "out" / path, content)
    with pytest.raises(StudyError, match=f"{Path(file).name}: is damaged: "):
        load_results(tmp_path / "out")


def test_a_wrong_data_folder_is_named_by_where_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = StudyOptions(tmp_path)
    with pytest.raises(UsageError, match=r"--data-dir: .* is not a folder"):
        replace(options, data_dir=tmp_path / "none").absolute()
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"HARNESS_DATA: .* is not a folder"):
        options.absolute()
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    assert options.absolute().data_dir == tmp_path


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("0", None), ("4,2", None)])
def test_threads_are_a_number_that_torch_takes(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert study_run._threads(StudyOptions(Path("out"))) == expected


def test_the_folder_of_another_study_is_refused(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match="is not empty and contains no study; give a new folder"):
        ran(study, other)
    (other / "study.json").write_text(
        json.dumps({"format": 1, "study": {"name": "alpha"}, "scale": "full"})
    )
    with pytest.raises(StudyError, match="contains the study 'alpha' at scale full, and this is"):
        ran(study, other)
    with pytest.raises(StudyError, match="contains no study"):
        load_results(tmp_path / "study")
