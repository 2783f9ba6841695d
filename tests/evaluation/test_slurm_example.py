"""The Slurm example, with a stand-in ``sbatch`` that runs the jobs one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_miracl import write_miracl

import harness

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "slurm" / "miracl.sh"

SBATCH = """\
#!{python}
import os, subprocess, sys
export, script, *rest = sys.argv[1:]
given = dict(x.split("=", 1) for x in export.removeprefix("--export=ALL,").split(","))
for job in range({jobs}):
    array = {{"SLURM_ARRAY_TASK_ID": str(job), "SLURM_ARRAY_TASK_COUNT": "{jobs}"}}
    subprocess.run(["bash", script, *rest], env={{**os.environ, **given, **array}}, check=True)
"""


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_the_jobs_of_the_array_share_the_shards_and_the_last_writes_the_record(
    tmp_path: Path,
) -> None:
    task = write_miracl(tmp_path, passages=30, questions=6)
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "class Letters:\n"
        "    name, fingerprint, similarity = 'letters', 'letters-1', 'dot'\n"
        "    def encode(self, texts, *, role, language):\n"
        "        return np.array([[t.count(x) for x in 'aeiou'] for t in texts], dtype='float32')\n"
        "make = Letters\n"
    )
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    program(bin_ / "sbatch", SBATCH.format(python=sys.executable, jobs=2))
    program(bin_ / "harness", f'#!/bin/bash\nexec "{sys.executable}" -m harness "$@"\n')
    environment = {
        **os.environ,
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        "HARNESS_CACHE": str(tmp_path / "cache"),
    }
    variables = f"--export=ALL,MODEL=python:own:make,TASK={task},LANGUAGES=sw:yo"
    done = subprocess.run(
        ["sbatch", variables, str(EXAMPLE), "--shard-size", "16", "--resamples", "0"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "0/2: this job is done; 2 of 4 shards are left" in done.stdout
    [folder] = (tmp_path / "results").iterdir()
    record = harness.load_record(folder)
    assert record.task("tiny-miracl").counts.queries == {"sw": 6, "yo": 6}


def test_the_array_begins_at_zero_as_parts_do() -> None:
    first = re.search(r"#SBATCH --array=(\d+)-", EXAMPLE.read_text())
    assert first is not None and first[1] == "0"


@pytest.mark.parametrize("missing", ["MODEL"])
def test_a_job_without_a_model_says_so(missing: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", str(EXAMPLE)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and f"{missing}: name the model" in done.stderr
