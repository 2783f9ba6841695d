"""From measured tokens to 106 million passages: arithmetic, with every assumption as an argument.

    python benchmarks/scale.py --data-dir DIR --tokenizer FILE/tokenizer.json

Counts the tokens of a sample of each language's passages of MIRACL, as a tokenizer file splits them
and cut at ``--max-length``, and multiplies by the passages of the whole corpus. Prints by language
tokens per passage, tokens of the whole and bytes of its vectors; then how long encoding takes at a
measured rate in tokens per second (``--rate``), and on a device of a stated matrix rate and a
share of it that is reached (``--device-rate``, ``--share``), for an encoder of a stated shape. The
second is arithmetic from assumptions: nothing here has run on such a device.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.data.corpus_locations import CorpusFiles
from harness.data.locations import TaskFiles
from harness.data.task import find_task


def main() -> None:
    """Count, multiply, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--sample", type=int, default=500, help="passages of each language")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--inner", type=int, default=3072, help="width of the feed-forward layer")
    parser.add_argument("--dimensions", type=int, default=768)
    parser.add_argument("--bytes", type=int, default=2, help="of a stored number")
    parser.add_argument("--rate", type=float, default=None, help="measured tokens per second")
    parser.add_argument("--device-rate", type=float, default=989e12, help="operations per second")
    parser.add_argument("--share", type=float, default=0.5, help="of it, assumed")
    arguments = parser.parse_args()

    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(arguments.tokenizer))
    tokenizer.no_padding()
    tokenizer.enable_truncation(arguments.max_length)
    spec = find_task("miracl")
    source = spec.source.corpus
    assert source is not None
    files = CorpusFiles(spec, TaskFiles(spec, arguments.data_dir))
    linear = 2 * arguments.layers * arguments.width * (4 * arguments.width + 2 * arguments.inner)
    square = 4 * arguments.layers * arguments.width
    id_bytes = 14
    passages = tokens = operations = 0.0
    print("language    passages  tokens each  million tokens  GiB of vectors")
    for language, count in source.passages.items():
        texts = [p.text for p in files.peek(language, arguments.sample)]
        lengths = [len(x.ids) for x in tokenizer.encode_batch_fast(texts)]
        mean = sum(lengths) / len(lengths)
        mean_square = sum(n * n for n in lengths) / len(lengths)
        disk = count * (arguments.dimensions * arguments.bytes + id_bytes)
        print(
            f"{language:<8} {count:>11,}  {mean:>11.0f}  {count * mean / 1e6:>14,.0f}  "
            f"{disk / 2**30:>14.1f}"
        )
        passages += count
        tokens += count * mean
        operations += count * (linear * mean + square * mean_square)
    disk = passages * (arguments.dimensions * arguments.bytes + id_bytes)
    print(
        f"{'all':<8} {passages:>11,.0f}  {tokens / passages:>11.0f}  {tokens / 1e6:>14,.0f}  "
        f"{disk / 2**30:>14.1f}"
    )
    print(
        f"\n{operations / tokens / 1e6:,.0f} million operations per token, {operations:.2e} in all"
    )
    if arguments.rate:
        print(f"at {arguments.rate:,.0f} tokens/s (measured): {_time(tokens / arguments.rate)}")
    reached = arguments.share * arguments.device_rate
    for devices in (1, 8, 64):
        print(
            f"{devices} devices of {arguments.device_rate:.3g} operations/s at "
            f"{arguments.share:.0%} (assumed): {_time(operations / reached / devices)}, "
            f"{tokens / operations * reached * devices:,.0f} tokens/s"
        )


def _time(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} hours" if seconds < 172_800 else f"{seconds / 86400:,.1f} days"


if __name__ == "__main__":
    main()
