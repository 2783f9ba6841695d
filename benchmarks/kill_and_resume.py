"""kill -9 at random moments of a run over corpora: the record is the one an undisturbed run writes.

    python benchmarks/kill_and_resume.py --data-dir DIR --languages sw --kills 20

One run is left alone. Others are killed at random moments and started again, each time over what
the ones before left, until there were that many kills. Then compared: record and per-query table
byte for byte (times apart), the stored vectors byte for byte, and for each shard whether its
manifest was ever written again or its passages encoded once more after it was there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.data.loading import load as load_data
from harness.data.task import find_task
from harness.models import load as load_model
from harness.vectors import shard_jobs
from harness.vectors.store import Store

LOG = "KILL_AND_RESUME_LOG"
MODEL = "KILL_AND_RESUME_MODEL"


class Logged:
    """A model that writes down which passages it was asked for, and when it began with them."""

    def __init__(self) -> None:
        self._model: Any = load_model(os.environ[MODEL])
        self.name, self.fingerprint = self._model.name, self._model.fingerprint
        self.similarity, self.languages = self._model.similarity, None

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> Any:
        """As the model does."""
        if role == "passage":
            now = time.time_ns()
            lines = "".join(f"{now} {digest(text)}\n" for text in texts)
            with open(os.environ[LOG], "a", encoding="utf-8") as log:
                log.write(lines)
        return self._model.encode(texts, role=role, language=language)


def digest(text: str) -> str:
    """A short name for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Work:
    """One run, as it is started again and again."""

    task: str
    model: str
    languages: tuple[str, ...]
    shard: int
    data_dir: Path | None = None
    sampled: bool = False

    def start(self, place: Path) -> subprocess.Popen[bytes]:
        """Start it with its cache, log and record under ``place``."""
        here = Path(__file__).resolve().parent
        path = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
        code = "from harness.cli import main; main()"
        command = [sys.executable, "-c", code, "run", "--quiet", "--offline", "--task", self.task]
        command += ["--model", "python:kill_and_resume:Logged", "--shard-size", str(self.shard)]
        command += ["--languages", ",".join(self.languages), "--output", str(place / "out")]
        command += ["--data-dir", str(self.data_dir)] if self.data_dir else []
        command += ["--corpus", "sampled"] if self.sampled else []
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "HARNESS_CACHE": str(place / "cache"),
            LOG: str(place / "log"),
            MODEL: self.model,
        }
        place.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            command, env=environment, cwd=here, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def shard_of(self) -> dict[str, set[tuple[str, int]]]:
        """Passage text, by its digest, to the shards it is in."""
        data = load_data(
            find_task(self.task),
            languages=self.languages,
            data_dir=self.data_dir,
            sampled=self.sampled,
        )
        found: dict[str, set[tuple[str, int]]] = {}
        for language, corpus in data.corpora.items():
            for at, passage in enumerate(corpus.read()):
                found.setdefault(digest(passage.text), set()).add((language, at // self.shard))
        return found

    def folder_of(self, place: Path) -> dict[str, Path]:
        """Language to the folder of its shards under ``place``."""
        os.environ[MODEL] = self.model
        data = load_data(
            find_task(self.task),
            languages=self.languages,
            data_dir=self.data_dir,
            sampled=self.sampled,
        )
        # Under its own name, as what is started knows it: a script's name is another.
        sys.path.insert(0, str(Path(__file__).resolve().parent))
        model: Any = load_model("python:kill_and_resume:Logged")
        store = Store(place / "cache")
        return {
            x: shard_jobs.corpus_space(model, corpus, store, size=self.shard).folder
            for x, corpus in data.corpora.items()
        }


@dataclass
class Seen:
    """What came of it."""

    kills: int = 0
    kills_while_encoding: int = 0
    """A kill after which shards were still missing."""
    runs_finished: int = 0
    shards: int = 0
    encoded: int = 0
    """Passages that models were asked for, those of killed runs included."""
    faults: list[str] = field(default_factory=list)


def kill_and_resume(work: Work, place: Path, kills: int, seed: int) -> Seen:
    """Do it; every fault is named in the result."""
    rng = random.Random(seed)
    seen = Seen()
    alone = work.start(place / "alone")
    if alone.wait() != 0:
        raise SystemExit("the undisturbed run failed")
    expected = outcome(place / "alone", work)
    seen.shards = sum(
        len(list(x.glob("0*.json"))) for x in work.folder_of(place / "alone").values()
    )
    texts = lines(place / "alone" / "log")
    number = 0
    while seen.kills < kills:
        number += 1
        folder = place / f"killed-{number}"
        manifests: dict[Path, tuple[int, int]] = {}
        while True:
            process = work.start(folder)
            spaces = list(work.folder_of(folder).values())
            if seen.kills < kills:
                # Counted in texts rather than seconds, which a busy machine stretches; one in five
                # before the first.
                early = rng.random() < 0.2
                goal = lines(folder / "log") + (
                    0 if early else 1 + rng.randrange(max(1, 3 * texts // kills))
                )
                pause = rng.uniform(0, 3 if early else 0.3)
                if alive_until(process, folder / "log", goal, pause):
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    seen.kills += 1
                    now = stamps(spaces)
                    seen.kills_while_encoding += len(now) < seen.shards
                    seen.faults += unchanged(manifests, now)
                    manifests = now
                    if not list((folder / "out").glob("*/record.json")):
                        continue
                    break  # it was done already
            if process.wait() != 0:
                seen.faults.append(f"run {number} ended with {process.returncode}")
            break
        seen.faults += unchanged(manifests, stamps(spaces))
        seen.runs_finished += 1
        found = outcome(folder, work)
        seen.faults += [
            f"run {number}: {k} differs" for k in expected if found.get(k) != expected[k]
        ]
        seen.faults += encoded_again(work, folder)
        seen.encoded += len((folder / "log").read_text().splitlines())
    return seen


def lines(log: Path) -> int:
    """Texts that models were asked for so far."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


def alive_until(process: subprocess.Popen[bytes], log: Path, goal: int, pause: float) -> bool:
    """Wait for a number of texts and some seconds more; whether the process still runs then."""
    while lines(log) < goal and process.poll() is None:
        time.sleep(0.02)
    time.sleep(pause)
    return process.poll() is None


def stamps(spaces: Sequence[Path]) -> dict[Path, tuple[int, int]]:
    """Manifests that are there, and what would change if they were written again."""
    found = {}
    for path in (p for folder in spaces for p in folder.glob("0*.json")):
        stat = path.stat()
        found[path] = (stat.st_ino, stat.st_mtime_ns)
    return found


def unchanged(before: dict[Path, tuple[int, int]], now: dict[Path, tuple[int, int]]) -> list[str]:
    """Faults: manifests that are gone or were written again."""
    return [f"{path.name} was written again" for path, x in before.items() if now.get(path) != x]


def encoded_again(work: Work, place: Path) -> list[str]:
    """Faults: shards whose passages the model was asked for when their manifest was there."""
    written = {
        (language, int(path.stem)): path.stat().st_mtime_ns
        for language, folder in work.folder_of(place).items()
        for path in folder.glob("0*.json")
    }
    shard_of = work.shard_of()
    again = set()
    for line in (place / "log").read_text("utf-8").splitlines():
        when, text = line.split()
        shards = shard_of[text]
        if len(shards) == 1 and int(when) > written[next(iter(shards))]:
            again.update(shards)
    return [f"shard {number} of {x} was encoded again" for x, number in sorted(again)]


def outcome(place: Path, work: Work) -> dict[str, Any]:
    """What must not differ between runs, by name."""
    (path,) = (place / "out").glob("*/record.json")
    document = json.loads(path.read_text("utf-8"))
    for name in ("created", "command"):
        document.pop(name)
    for entry in document["tasks"]:
        for name in ("seconds", "peak_bytes"):
            entry.pop(name)
        entry["encoding"].pop("model_seconds")
    found: dict[str, Any] = {"record.json": json.dumps(document, sort_keys=True)}
    for file in path.parent.glob("*.parquet"):
        found[file.name] = file.read_bytes()
    for language, folder in work.folder_of(place).items():
        for file in folder.glob("*.npy"):
            found[f"{language}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="miracl")
    parser.add_argument("--model", default="use-m3")
    parser.add_argument("--languages", default="sw", help="as in sw,yo")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--whole", action="store_true", help="the corpus is no sample")
    parser.add_argument("--shard", type=int, default=128)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    languages = tuple(given.languages.split(","))
    work = Work(
        given.task, given.model, languages, given.shard, given.data_dir, sampled=not given.whole
    )
    with tempfile.TemporaryDirectory() as folder:
        seen = kill_and_resume(work, Path(folder), given.kills, given.seed)
    print(
        f"{seen.kills} kills (seed {given.seed}), {seen.kills_while_encoding} of them before the "
        f"last of {seen.shards} shards was finished; {seen.runs_finished} runs brought to an end"
    )
    print(f"{seen.encoded:,} passages encoded in all, killed runs included")
    print("\n".join(seen.faults) or "records, tables and vectors equal; no shard encoded twice")
    raise SystemExit(bool(seen.faults))


if __name__ == "__main__":
    main()
