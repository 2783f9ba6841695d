"""How far the order of systems in a sampled pool is from that in the whole one.

    python benchmarks/sampled_pools.py --model use-m3 --model me5-small --model bm25 \
        --passages 150,300,600 [--sample 100] [--languages en,de] [--dimensions 256] [--bits int8]

Each model that returns vectors is several systems: with full vectors, with fewer dimensions and
with fewer bits, all from one encoding. Each system is scored in the whole pool and with
``--sample-passages N`` for each N; both orders by the task's first measure are compared by
Kendall's tau-b, for the mean of each kind of setting, and for each setting by itself (the mean of
their taus, and the least). Beside it stands how much higher the sampled pool's scores are.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from harness.base.progress import Silent
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.evaluation.variants import compressed, variants_of
from harness.models import load

Scores = Mapping[tuple[str, str], Mapping[str, float]]
"""(kind, setting) -> system -> value; the setting ``""`` is the mean of a kind."""


def scores(models: Sequence[str], given: argparse.Namespace, options: RunOptions) -> Scores:
    """The first measure of every system in every setting."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name in models:
        records = [run(name, [given.task], options, progress=Silent())]
        variants = [("dimensions", given.dimensions), ("bits", given.bits)]
        for option, values in variants if hasattr(load(name), "encode") else ():
            chosen: dict[str, Any] = {"dimensions": (), "bits": (), "rescore": ()}
            chosen[option] = values
            if values:
                made = variants_of(options=options, **chosen)
                records += compressed(name, [given.task], made, progress=Silent())[1:]
        for record in records:
            entry = record.document["tasks"][0]
            measure, system = entry["measures"][0], record.document["model"]["name"]
            for kind, means in entry["means"].items():
                found.setdefault((kind, ""), {})[system] = means["macro"][measure]
            for row in entry["settings"]:
                key = (row["kind"], row["setting"])
                found.setdefault(key, {})[system] = row["scores"][measure]
    return found


def tau(sampled: Mapping[str, float], whole: Mapping[str, float]) -> float:
    """Kendall's tau-b between two orders of the same systems."""
    return float(kendalltau([sampled[x] for x in whole], list(whole.values())).statistic)


def numbers(text: str) -> tuple[int, ...]:
    """Of a list with commas."""
    return tuple(int(x) for x in text.split(",") if x)


def main() -> None:
    """Print one line per pool and kind of setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--task", default="xquad-r")
    parser.add_argument("--languages", default="")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--passages", type=numbers, required=True)
    parser.add_argument("--dimensions", type=numbers, default=(256, 128, 64))
    parser.add_argument("--bits", default="int8,binary")
    parser.add_argument("--by", default="bm25")
    given = parser.parse_args()
    given.bits = tuple(x for x in given.bits.split(",") if x)
    languages = tuple(x for x in given.languages.split(",") if x) or None
    options = RunOptions(languages=languages, sample=given.sample, bias=False, resamples=0)
    whole = scores(given.model, given, options)
    print("passages", "kind", "systems", "tau", "tau_by_setting", "least", "higher_by", sep="\t")
    for size in given.passages:
        part = scores(
            given.model, given, replace(options, sample_passages=size, sample_by=given.by)
        )
        for kind, setting in whole:
            if setting:
                continue
            each = [tau(part[key], whole[key]) for key in whole if key[0] == kind and key[1]]
            key = (kind, "")
            higher = np.mean([part[key][x] - whole[key][x] for x in whole[key]])
            print(
                size,
                kind,
                len(whole[key]),
                f"{tau(part[key], whole[key]):.3f}",
                f"{np.mean(each):.3f}",
                f"{min(each):.3f}",
                f"{higher:+.4f}",
                sep="\t",
                flush=True,
            )


if __name__ == "__main__":
    main()
