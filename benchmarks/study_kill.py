"""kill -9 at random moments of a study: its report is the one that an undisturbed run gives.

    python benchmarks/study_kill.py domain-shift-head --data-dir DIR --whole results/whole

The study is run in a folder of its own, killed with all its processes at a random moment, started
again, as often as ``--kills`` says, and then left to finish. Its report is compared byte for byte
with that of the undisturbed run in ``--whole`` (made first where it is not there), but for the
seconds that trials took.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

CODE = "from harness.cli import main; main()"


def command(args: argparse.Namespace, output: Path) -> list[str]:
    """What runs the study."""
    found = [sys.executable, "-c", CODE, "study", "run", args.study, "--output", str(output)]
    found += ["--offline", "--quiet", "--workers", str(args.workers)]
    return found + (["--data-dir", str(args.data_dir)] if args.data_dir else [])


def cells(output: Path) -> set[str]:
    """Cells that are whole."""
    return {x.parent.name for x in output.glob("cells/*/cell.json")}


def killed(args: argparse.Namespace, output: Path, rng: random.Random) -> None:
    """Run it again and again, killed between 0 and ``--within`` seconds after each start."""
    for number in range(args.kills):
        before = cells(output)
        process = subprocess.Popen(
            command(args, output), start_new_session=True, stdout=subprocess.DEVNULL
        )
        moment = rng.uniform(0, args.within)
        try:
            process.wait(moment)
            print(f"kill {number + 1}: the study had finished", flush=True)
            return
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        after = cells(output)
        left = sorted(x.name for x in output.glob("models/*") if x.is_dir())
        print(
            f"kill {number + 1}, after {moment:.1f} s: {len(after - before)} more "
            f"cells whole, {len(after)} in all; at work: {', '.join(left) or 'none'}",
            flush=True,
        )


def report(output: Path, folder: Path) -> None:
    """Write the study's report."""
    done = [sys.executable, "-c", CODE, "study", "report", str(output), "--output", str(folder)]
    subprocess.run(done, check=True, stdout=subprocess.DEVNULL)


def content(path: Path) -> bytes:
    """What of a file must be the same: not what the page says of the seconds."""
    raw = path.read_bytes() if path.is_file() else b""
    return re.sub(rb"(?ms)^### Cost$.*?(?=^## )", b"", raw) if path.name == "index.md" else raw


def differing(one: Path, other: Path) -> tuple[list[str], int]:
    """Names of the files that differ, or are in one folder alone; and how many there are."""
    names = sorted({str(x.relative_to(y)) for y in (one, other) for x in y.rglob("*.*")})
    return [x for x in names if content(one / x) != content(other / x)], len(names)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--whole", type=Path, help="folder of the undisturbed run")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--within", type=float, default=90.0, help="seconds")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        whole = args.whole or place / "whole"
        subprocess.run(command(args, whole), check=True, stdout=subprocess.DEVNULL)
        again = place / "killed"
        killed(args, again, random.Random(args.seed))
        subprocess.run(command(args, again), check=True, stdout=subprocess.DEVNULL)
        folders = place / "report-whole", place / "report-killed"
        for output, folder in zip((whole, again), folders, strict=True):
            report(output, folder)
        other, files = differing(*folders)
        print(f"{len(cells(again))} cells; {files} files of the report compared")
        print(f"differ: {', '.join(other) or 'none'}")
        sys.exit(bool(other))


if __name__ == "__main__":
    main()
