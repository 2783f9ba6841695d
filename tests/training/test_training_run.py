"""`harness train` from the command line: a model folder, its manifest, and how it resumes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file
from tiny import write_task
from tiny_training import LANGUAGES, pairs, write_base, write_rows

from harness.cli import main
from harness.errors import UsageError
from harness.models import load
from harness.models.trained_folder import MANIFEST
from harness.training import trainer_arguments
from harness.training.settings import Settings
from harness.training.train import WORK, Overlaps, train
from harness.training.train import _outcome as outcome_of

QUICK = ["--steps", "6", "--evaluate-every", "3", "--batch-size", "8", "--log-every", "1"]


@pytest.fixture(autouse=True)
def no_evaluation_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every training would read all of it, to look for overlap."""
    monkeypatch.delenv("HARNESS_DATA", raising=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "tiny-bert")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "pairs.jsonl", pairs(64))


def harness(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(x) for x in arguments])


def trained(data: Path, base: Path, output: Path, *more: object) -> dict[str, Any]:
    found = harness("train", "--base", base, "--data", data, "--output", output, *QUICK, *more)
    assert found.exit_code == 0, found.output
    return dict(json.loads((output / MANIFEST).read_text()))


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_training_leaves_a_model_that_run_scores_with_the_right_prompts(
    tmp_path: Path, base: Path, data: Path
) -> None:
    output = tmp_path / "tuned"
    manifest = trained(data, base, output, "--languages", "en,de")
    assert manifest["summary"] == {
        "recipe": "hybrid",
        "alpha": 0.5,
        "cross_batches": "mixed",
        "base": str(base),
        "languages": ["en", "de"],
        "seed": 0,
        "steps": manifest["outcome"]["weights_of_step"],
        "pairs": 60,  # 64 less 5 % held out, in whole passages of two
    }
    assert manifest["sampler"]["batches_an_epoch"] == 8
    (file,) = manifest["data"]
    assert (file["rows"], file["trained_on"], file["held_out"]) == (64, 60, 4)
    assert weights(output) != weights(base)
    assert not (output / WORK).exists()
    for name in ("README.md", "loss-curve.csv", "loss-curve.svg"):
        assert (output / name).stat().st_size > 100
    found = load(str(output))
    assert dict(found.prompts) == {"query": "Query: ", "passage": "Passage: "}

    task = write_task(tmp_path / "task", languages=LANGUAGES)
    results = tmp_path / "results"
    run = harness("run", "--model", output, "--task", task, "--output", results, "--no-store")
    assert run.exit_code == 0, run.output
    assert "trained: hybrid, alpha 0.5" in run.output and "on en, de" in run.output
    (record,) = results.iterdir()
    facts = json.loads((record / "record.json").read_text())["model"]["training"]
    assert (facts["recipe"], facts["alpha"], facts["languages"]) == ("hybrid", 0.5, ["en", "de"])
    boards = tmp_path / "boards"
    assert harness("board", "add", record, "--leaderboards", boards).exit_code == 0
    page = (boards / "tiny.md").read_text()
    assert "hybrid, alpha 0.5, seed 0" in page
    seen = harness("breakdown", record, "--by", "seen")
    assert seen.exit_code == 0, seen.output
    assert "Seen in training, as the record says: en, de" in seen.output
    assert "unseen" in seen.output


def test_the_curve_is_printed_and_the_end_said_plainly(
    tmp_path: Path, base: Path, data: Path
) -> None:
    more = ["--learning-rate", "0", "--patience", "1"]
    output = tmp_path / "tuned"
    refused = harness("train", "--base", base, "--data", data, "--output", output, *QUICK, *more)
    assert refused.exit_code == 2
    assert "--learning-rate must be above 0, not 0.0" in refused.output
    # A rate so small that no float32 weight moves: the loss stays as it is.
    more[1] = "1e-30"
    found = harness(
        "train", "--base", base, "--data", data, "--output", output, *QUICK, *more,
        "--steps", "30", "--weight-decay", "0",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    said = (
        "Stopped early at step 6 of 30: the validation loss did not improve in 1 "
        "consecutive validations; the weights are those of step 3, where it was lowest."
    )
    assert said in found.output
    assert "validation loss" in found.output
    assert f"model: {output}" in found.output


def test_validation_pairs_of_one_passage_alone_are_said_to_say_nothing(
    tmp_path: Path, base: Path, data: Path
) -> None:
    """No batch can have two of them, and their loss is 0 whatever the model."""
    write_rows(data, pairs(40))  # two to a passage, of which 5 % are held out
    said = "validation pairs all share ids or passages"
    assert said in trained(data, base, tmp_path / "few")["outcome"]["said"]
    manifest = trained(data, base, tmp_path / "more", "--holdout", "0.1")
    assert said not in manifest["outcome"]["said"]


def test_the_same_command_again_does_nothing_and_another_is_refused(
    tmp_path: Path, base: Path, data: Path
) -> None:
    output = tmp_path / "tuned"
    trained(data, base, output)
    before = weights(output)
    again = harness("train", "--base", base, "--data", data, "--output", output, *QUICK)
    assert "This training was finished before; nothing was done." in again.output
    assert weights(output) == before
    other = ["train", "--base", base, "--data", data, "--output", output, *QUICK, "--seed", "1"]
    refused = harness(*other)
    assert refused.exit_code == 2
    assert "trained with other settings or data; give another folder, or --restart" in (
        refused.output
    )
    again = harness(*other, "--restart")
    assert again.exit_code == 0, again.output
    assert weights(output) != before


def test_a_base_that_was_changed_is_another_training(
    tmp_path: Path, base: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own, output = Path("models") / "base", tmp_path / "tuned"
    shutil.copytree(base, own)
    trained(data, own, output)
    # A folder has a slash in its name too, and is no model of the hub.
    assert "base_model" not in (output / "README.md").read_text()
    (own / "config.json").write_text((own / "config.json").read_text() + "\n")
    command = ["train", "--base", own, "--data", data, "--output", output, *QUICK]
    refused = harness(*command)
    assert refused.exit_code == 2 and "whose config.json was changed since" in refused.output
    (output / "training.projection.npy").touch()  # as mimo leaves it
    assert harness(*command, "--restart").exit_code == 0
    assert not (output / "training.projection.npy").exists()
    assert harness(*command).exit_code == 0


@pytest.mark.parametrize(("patience", "step"), [(0, 6), (3, 4)])
def test_without_patience_the_weights_are_those_of_the_last_step(patience: int, step: int) -> None:
    """Whatever step had the lowest validation loss, which the trainer notes: none goes back."""
    history = [{"step": x, "epoch": 1.0, "eval_loss": abs(x - 4.0)} for x in (2, 4, 6)]
    state = SimpleNamespace(
        global_step=6, max_steps=6, best_global_step=4, epoch=1.0, log_history=history
    )
    trainer = SimpleNamespace(state=state)
    found = outcome_of(trainer, Settings(base="x", patience=patience), 1.0, 0)
    assert found["weights_of_step"] == step
    assert ("are those of the last" in found["said"]) == (patience == 0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--holdout", "0", "--patience", "0", "--log-every", "10"], "the mean loss is nan at st"),
        (["--log-every", "10"], "the validation loss is nan at step 3"),
    ],
)
def test_a_loss_that_is_no_number_is_an_error_wherever_it_is_seen(
    tmp_path: Path, base: Path, data: Path, more: list[str], said: str
) -> None:
    command = ["train", "--base", base, "--data", data, "--output", tmp_path / "tuned", *QUICK]
    found = harness(*command, "--learning-rate", "1e30", *more)
    assert found.exit_code == 2 and said in found.output
    assert not (tmp_path / "tuned" / "model.safetensors").exists()


class Killed(BaseException):
    """As a signal would end the process: nothing catches it."""


class KillAt:
    """Progress that ends the training after some steps."""

    def __init__(self, step: int) -> None:
        self.left = step

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignored."""

    def advance(self, done: int) -> None:
        self.left -= done
        if self.left == 0:
            raise Killed

    def finish(self) -> None:
        """Ignored."""


def ten_steps(base: Path, data: Path) -> Settings:
    """Of 7 or 8 batches an epoch: the last step is in the middle of one."""
    return Settings(base=str(base), data=(str(data),), batch_size=8, steps=10, patience=0)


@pytest.mark.parametrize(
    "options",
    [
        {},  # 7 batches an epoch: killed in the first, resumed at step 3 in its middle
        {"accumulation": 2, "steps": 8},  # resumed at step 6, in the middle of the second epoch
        {"cache_batch": 3},
    ],
)
def test_killed_and_resumed_gives_the_weights_of_an_undisturbed_training(
    tmp_path: Path, base: Path, data: Path, options: dict[str, Any]
) -> None:
    settings = replace(
        ten_steps(base, data),
        **{"evaluate_every": 3, "log_every": 1, "learning_rate": 1e-3} | options,
    )
    none = Overlaps(tasks=())
    whole = train(settings, tmp_path / "whole", device="cpu", overlaps=none)
    stopped = tmp_path / "stopped"
    with pytest.raises(Killed):
        train(settings, stopped, device="cpu", overlaps=none, progress=KillAt(7))
    assert not (stopped / MANIFEST).exists()
    with pytest.raises(UsageError, match=r"checkpoints of a training with other settings \(seed\)"):
        train(replace(settings, seed=1), stopped, device="cpu", overlaps=none)
    # A checkpoint that was being written is not taken for one.
    shutil.copytree(stopped / WORK / "checkpoint-6", stopped / WORK / "checkpoint-7")
    (stopped / WORK / "checkpoint-7" / "whole.json").unlink()
    resumed = train(settings, stopped, device="cpu", overlaps=none)
    assert resumed.manifest["outcome"]["resumed_at_step"] == 6
    assert weights(stopped) == weights(tmp_path / "whole")
    losses = [[p.get("loss") for p in x.manifest["outcome"]["curve"]] for x in (whole, resumed)]
    assert losses[0] == losses[1]
    assert None not in losses[0]


class KillAtTheEnd(KillAt):
    """Progress that ends the process after the last checkpoint."""

    def finish(self) -> None:
        raise Killed


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "constant"},  # a further step would have a learning rate
        {"schedule": "constant", "patience": 1, "evaluate_every": 1, "learning_rate": 0.3},
    ],
)
def test_killed_after_the_last_step_and_resumed_makes_no_further_one(
    tmp_path: Path, base: Path, data: Path, options: dict[str, Any]
) -> None:
    settings = replace(ten_steps(base, data), **{"evaluate_every": 5} | options)
    none = Overlaps(tasks=())
    whole = train(settings, tmp_path / "whole", device="cpu", overlaps=none)
    assert whole.manifest["outcome"]["stopped_early"] == bool(settings.patience)
    stopped = tmp_path / "stopped"
    with pytest.raises(Killed):
        train(settings, stopped, device="cpu", overlaps=none, progress=KillAtTheEnd(1000))
    resumed = train(settings, stopped, device="cpu", overlaps=none).manifest["outcome"]
    assert resumed["resumed_at_step"] == whole.manifest["outcome"]["steps"]
    for name in ("steps", "weights_of_step", "stopped_early", "said", "validations", "epochs"):
        assert resumed[name] == whole.manifest["outcome"][name]
    assert weights(stopped) == weights(tmp_path / "whole")


@pytest.mark.parametrize("frozen", [False, True])
def test_a_trained_word_table_gets_adamw_in_one_pass_and_other_trainings_keep_their_bits(
    tmp_path: Path, base: Path, data: Path, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = []
    monkeypatch.setattr(torch.optim.AdamW, "__init__", _noting(torch.optim.AdamW.__init__, forms))
    freeze = ("word_embeddings",) if frozen else ()
    settings = Settings(
        base=str(base), data=(str(data),), batch_size=8, steps=6, learning_rate=1e-2, freeze=freeze
    )
    found = []
    for name in ("now", "before"):
        train(settings, tmp_path / name, device="cpu", overlaps=Overlaps(tasks=()))
        found.append(load_file(tmp_path / name / "model.safetensors"))
        monkeypatch.setattr(trainer_arguments, "trains_words", lambda _: False)
    assert forms == [not frozen, False]
    now, before = found
    for name, theirs in before.items():
        # Keys' biases change no softmax: their gradients are rounding alone, which AdamW enlarges.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(now[name], theirs, rtol=1e-5, atol=1e-6, msg=name)
    if frozen:
        assert weights(tmp_path / "now") == weights(tmp_path / "before")
    words = "embeddings.word_embeddings.weight"
    first = load_file(base / "model.safetensors")[words]
    # Weight decay moves the rows of words that no text has, too.
    assert bool((before[words] != first)[1:].any(1).all()) != frozen  # the padding is 0


def _noting(init: Any, forms: list[bool]) -> Any:
    """``init`` of an optimiser, which notes whether it is the fused one."""

    def noting(self: Any, *given: Any, **options: Any) -> None:
        forms.append(bool(options.get("fused")))
        init(self, *given, **options)

    return noting


def test_evaluation_questions_in_the_data_stop_the_training(
    tmp_path: Path, base: Path, data: Path
) -> None:
    task = write_task(tmp_path / "task")
    line = json.loads((tmp_path / "task" / "data" / "queries.en.jsonl").read_text().split("\n")[0])
    rows = pairs(64)
    rows[5]["query"]["en"] = line["text"]
    leaky = write_rows(tmp_path / "leaky.jsonl", rows)
    command = ["train", "--base", base, "--data", leaky, "--task", task, *QUICK]
    refused = harness(*command, "--output", tmp_path / "refused")
    assert refused.exit_code == 2
    assert "questions of tiny are in the training data" in refused.output
    allowed = harness(*command, "--output", tmp_path / "allowed", "--allow-overlap")
    assert allowed.exit_code == 0, allowed.output
    card = (tmp_path / "allowed" / "README.md").read_text()
    assert "questions of tiny are in the training data" in card


def test_a_recipe_file_sets_options_and_flags_come_before_it(
    tmp_path: Path, base: Path, data: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'recipe = "cross"\nbase = "{base}"\ndata = ["{data.name}"]\nbatch_size = 8\n'
        'steps = 4\ncross_batches = "single"\nseed = 3\n'
    )
    output = tmp_path / "tuned"
    found = harness("train", "--recipe", recipe, "--output", output, "--seed", "4")
    assert found.exit_code == 0, found.output
    manifest = json.loads((output / MANIFEST).read_text())
    assert (manifest["summary"]["recipe"], manifest["summary"]["alpha"]) == ("cross", 0.0)
    assert (manifest["settings"]["cross_batches"], manifest["settings"]["seed"]) == ("single", 4)
    assert manifest["sources"]["batch_size"] == "set here"
    assert manifest["sources"]["learning_rate"] == "arXiv 2408.10536"
    assert manifest["sources"]["temperature"] == "our choice"


def test_a_dry_run_says_what_it_would_train_on(tmp_path: Path, data: Path) -> None:
    found = harness("train", "--data", data, "--output", tmp_path / "no", "--dry-run", *QUICK)
    assert found.exit_code == 0, found.output
    assert "60 pairs in 8 batches an epoch; 6 steps" in found.output
    assert not (tmp_path / "no").exists()
