"""Does the gate ring where it should, and only there? The built-in encoder on real questions.

    python benchmarks/gate_alarms.py planted --task xquad-r   # regressions put in by hand
    python benchmarks/gate_alarms.py reencoded --task xquad-r --languages en,de,el --sample 300
    python benchmarks/gate_alarms.py equal --task xquad-r --languages en,de,es,ru,el --sample 300

``planted``: noise on the vectors of one language, the questions of two languages swapped, one
pooling change, float16 rounding; the first three must be found where they are, the last must pass.
``reencoded``: the same model under 20 batch sizes and numbers of threads; nothing may be found.
``equal``: pairs of systems that are equally good, each the encoder with noise of its own; how often
the gate finds a regression, with its 95 % interval, is to be at most the policy's level. With noise
on the questions alone and nothing let through this is the test by itself. Noise on passages makes
two systems that truly differ a little on these passages, whatever the questions; what a policy lets
through is there for that.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = dict[tuple[Any, str], NDArray[np.float32]]
MEASURES = ("map", "ndcg@10", "rank_distance", "own_language_first")
BATCH_SIZES, THREADS = (2, 5, 16, 64, 256), (1, 2, 3, 4)


@dataclass
class GateRuns:
    """One encoder on one task: what is scored, its vectors, and a record to hold others against."""

    prepared: Any
    options: Any
    vectors: Vectors
    base: Any

    @classmethod
    def of(cls, given: argparse.Namespace) -> GateRuns:
        """Encode the task, from the store where it holds the vectors."""
        from harness.base.progress import Silent
        from harness.evaluation.encode_stage import encode_task
        from harness.evaluation.evaluate import evaluate
        from harness.evaluation.layout import choose_tasks, prepare
        from harness.evaluation.options import RunOptions
        from harness.models import load
        from harness.vectors.encode import EncodingCounts
        from harness.vectors.store import Store

        languages = tuple(given.languages.split(",")) if given.languages else None
        options = RunOptions(
            languages=languages,
            sample=given.sample,
            measures=MEASURES,
            bias=False,
            resamples=0,
            data_dir=given.data_dir,
        )
        spec = choose_tasks([given.task], None)[0]
        prepared = prepare(spec, options)
        base = evaluate(given.model, [spec], options=options)
        model = load(given.model, options.model)
        vectors = encode_task(model, prepared, Store(), EncodingCounts(), Silent())
        return cls(prepared, options, vectors, base)

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self.prepared.spec.name)

    def record(self, vectors: Mapping[Any, NDArray[np.float32]]) -> Any:
        """The record of a system with these vectors."""
        from harness.base.progress import Silent
        from harness.evaluation.record import Record, finite
        from harness.evaluation.search_stage import search_dense
        from harness.evaluation.task_entry import score

        searched = search_dense(self.prepared, dict(vectors), self.options, Silent())
        table, numbers = score(self.prepared, searched)
        document = copy.deepcopy(self.base.document)
        document["tasks"][0] |= finite(
            {k: v for k, v in numbers.items() if k in document["tasks"][0]}
        )
        return Record(document, {self.task: table})


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Vectors of length 1."""
    found: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(
        np.float32
    )
    return found


def noisy(vectors: Vectors, share: float, seed: int, where: Callable[[Any, str], bool]) -> Vectors:
    """Unit vectors with Gaussian noise of length ``share`` added ``where`` asks for it."""
    rng = np.random.default_rng(seed)
    found = dict(vectors)
    for (role, language), x in vectors.items():
        if where(role, language):
            noise = rng.standard_normal(x.shape, np.float32) * (share / np.sqrt(x.shape[1]))
            found[role, language] = unit(x + noise)
    return found


def swapped(vectors: Vectors, one: str, other: str) -> Vectors:
    """The questions of two languages, each with the other's vectors."""
    first, second = ("query", one), ("query", other)
    return {**vectors, first: vectors[second], second: vectors[first]}


def repooled(runs: GateRuns, how: str) -> Vectors:
    """The built-in encoder with another pooling over tokens.

    ``mean``: its sum is divided by the number of tokens, not by its square root. ``first``: the
    first token alone.
    """
    from harness.base.progress import Silent
    from harness.evaluation.encode_stage import encode_task
    from harness.models.base import ModelOptions
    from harness.models.use_m3.encoder import UseM3Encoder
    from harness.vectors.encode import EncodingCounts

    model = UseM3Encoder(ModelOptions())
    network, lengths = model.network, {}
    if how == "mean":
        network.register_forward_pre_hook(lambda _, args: lengths.update(now=args[1]))
        for layer in (network.head_in, network.head_skip):
            layer.register_forward_pre_hook(
                lambda _, args: (args[0] / lengths["now"].to(args[0].dtype).sqrt()[:, None],)
            )
    else:

        def first_alone(_: Any, __: Any, features: Any) -> Any:
            alone = features.new_zeros(features.shape)
            alone[:, 0] = features[:, 0]
            return alone

        network.token_norm.register_forward_hook(first_alone)
    model.fingerprint = None
    return encode_task(model, runs.prepared, None, EncodingCounts(), Silent())


def rounded(vectors: Vectors) -> Vectors:
    """Vectors through float16 and back."""
    return {at: x.astype(np.float16).astype(np.float32) for at, x in vectors.items()}


def plant(runs: GateRuns, pooling: str = "mean") -> dict[str, Callable[[], Vectors]]:
    """Name -> the vectors of a candidate that something was done to."""
    return {
        "noise on de": lambda: noisy(runs.vectors, 0.75, 1, lambda _, x: x == "de"),
        "de and es swapped": lambda: swapped(runs.vectors, "de", "es"),
        f"{pooling} pooling": lambda: repooled(runs, pooling),
        "float16 rounding": lambda: rounded(runs.vectors),
    }


def print_planted(runs: GateRuns, verbose: bool, policy: Path | None = None) -> None:
    """A line for each candidate, and its regressions by rule."""
    from harness.gate import gate
    from harness.gate.report.tables import headline, place, verdict_of

    for name, make in plant(runs).items():
        record = runs.record(make())
        begun = time.perf_counter()
        found = gate(record, runs.base, policy)
        print(f"{name}: {headline(found)} (gate: {time.perf_counter() - begun:.1f} s)")
        for outcome in found.outcomes:
            cells = [c for c in outcome.cells if verbose or c.verdict != "pass"]
            for cell in cells:
                ends = f"[{cell.low:+.4f}, {cell.high:+.4f}]"
                print(
                    f"    {outcome.rule.name}: {place(cell)}: {cell.baseline:.4f} -> "
                    f"{cell.candidate:.4f} {ends}, p {cell.adjusted:.4f}: {verdict_of(cell)}"
                )


def print_reencoded(runs: GateRuns, model: str, policy: Path | None = None) -> None:
    """How the same model fares against itself, 20 times."""
    from harness.analysis.noise import in_threads
    from harness.base.progress import Silent
    from harness.evaluation.encode_stage import encode_task
    from harness.gate import gate
    from harness.models import load
    from harness.vectors.encode import EncodingCounts

    verdicts: list[str] = []
    largest = 0.0
    for size in BATCH_SIZES:
        for threads in THREADS:
            with in_threads(threads):
                loaded = load(model, replace(runs.options.model, batch_size=size))
                vectors = encode_task(loaded, runs.prepared, None, EncodingCounts(), Silent())
                found = gate(runs.record(vectors), runs.base, policy)
            verdicts.append(found.verdict)
            moved = max(float(np.abs(vectors[x] - runs.vectors[x]).max()) for x in vectors)
            largest = max(largest, moved)
            changed = sum(c.difference != 0 for _, c in found.cells())
            print(
                f"batches of {size}, {threads} threads: {found.verdict}, {changed} values moved, "
                f"vectors by {moved:.1e}"
            )
    counts = {x: verdicts.count(x) for x in dict.fromkeys(verdicts)}
    print(f"{len(verdicts)} encodings: {counts}; vectors moved by at most {largest:.1e}")


def print_equal(runs: GateRuns, pairs: int, share: float, policy: Path | None) -> None:
    """How often one of two equally good systems is called a regression."""
    from harness.gate import gate, read_policy

    default = read_policy(policy)
    # Nothing is let through: what a policy lets through is looked at afterwards.
    rules = [replace(r, max_drop=0.0, max_relative_drop=None, margin=None) for r in default.rules]
    bare = replace(default, rules=tuple(rules), resamples=2000)
    for what, where in (
        ("questions", lambda role, _: role == "query"),
        ("questions and passages", lambda *_: True),
    ):
        rung = let_through = 0
        sizes = []
        for pair in range(pairs):
            one, other = (
                runs.record(noisy(runs.vectors, share, 2 * pair + side, where)) for side in (0, 1)
            )
            found = gate(other, one, bare, seed=pair)
            rung += found.verdict == "regression"
            sizes += [abs(c.difference) for _, c in found.cells() if c.measure == "ndcg@10"]
            by_name = {rule.name: rule for rule in default.rules}
            let_through += any(
                abs(cell.difference) > by_name[outcome.rule.name].limit(cell.baseline, 0.0)
                for outcome, cell in found.cells("regression")
            )
        print(
            f"{pairs} equally good pairs, noise of {share:g} on {what} (nDCG@10 differs by "
            f"{np.mean(sizes):.4f} on average, at most {max(sizes):.4f}), {found.comparisons} "
            f"values a gate, level {default.alpha:g}"
        )
        print(f"    regression found, nothing let through: {_rate(rung, pairs)}")
        print(f"    regression found by {default.name}: {_rate(let_through, pairs)}")


def _rate(hits: int, of: int) -> str:
    """A share with its exact 95 % interval (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    ends = binomtest(hits, of).proportion_ci(0.95)
    return f"{hits} of {of}, {hits / of:.3f} [{ends.low:.3f}, {ends.high:.3f}]"


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("planted", "reencoded", "equal"))
    parser.add_argument("--model", default="use-m3")
    parser.add_argument("--task", default="demo")
    parser.add_argument("--languages", metavar="CODES")
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--policy", type=Path, metavar="FILE")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--noise", type=float, default=0.3, help="length, of unit vectors")
    parser.add_argument("-v", "--verbose", action="store_true", help="planted: all values")
    given = parser.parse_args()
    runs = GateRuns.of(given)
    if given.what == "planted":
        print_planted(runs, given.verbose, given.policy)
    elif given.what == "reencoded":
        print_reencoded(runs, given.model, given.policy)
    else:
        print_equal(runs, given.pairs, given.noise, given.policy)


if __name__ == "__main__":
    main()
