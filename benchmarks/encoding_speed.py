"""Encoding against ``SentenceTransformer.encode``: the same passages, the same model and machine.

    python benchmarks/encoding_speed.py --data-dir DIR --model FOLDER

Takes passages of a task (sentences of MLQA-R, or ``--task miracl``; languages in turn, so that none
weighs more) and encodes them with the library's own loop in float32 and through the harness in
several forms: float32, bfloat16, compiled, ONNX, OpenVINO. Passages are cut into rounds, and in
each round every form encodes the same ones, so that what else the machine does falls on all alike;
ratios are of the seconds of all rounds. Prints for each form how many times as fast it is, tokens
per second, padding, the share of the device's matrix rate that the model's products reach (for real
tokens), and the largest cosine difference to the library's vectors.

A form is BACKEND:DTYPE with ``+compile`` or ``+FILE`` behind it: ``torch:bfloat16``,
``openvino:float32+openvino/openvino_model_qint8.xml``. Ratios only: seconds are this machine's.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matrix_rate import flops, matrix_rate

from harness.base.environment import cores
from harness.models.base import Backend, Dtype, ModelOptions
from harness.models.sentence_transformer import SentenceTransformerEncoder
from harness.models.token_counts import WORKERS

_FORMS = "torch:float32,torch:bfloat16"


@dataclass
class Form:
    """One way to encode, and what it took."""

    name: str
    encoder: SentenceTransformerEncoder
    dtype: str
    seconds: float = 0.0
    processor: float = 0.0
    """Seconds of all threads together."""
    ratios: list[float] = field(default_factory=list)
    apart: float = 0.0
    """Largest cosine difference."""


def passages(task: str, data: Path | None, languages: list[str] | None, texts: int) -> list[str]:
    """``texts`` passages of a task as they are encoded, the languages in turn."""
    from harness.data.loading import load
    from harness.data.task import find_task

    spec = find_task(task)
    large = spec.size == "large"
    held = load(spec, languages=languages, data_dir=data, offline=True, sampled=large)
    readers = (
        [(p.text for p in corpus.read()) for corpus in held.corpora.values()]
        if large
        else [iter(t.texts) for t in held.passages.values()]
    )
    turns = itertools.zip_longest(*readers)
    return [p for turn in turns for p in turn if p is not None][:texts]


def form(spec: str, folder: Path) -> Form:
    """``torch:bfloat16+compile`` as an encoder that is loaded at its first text."""
    what, _, more = spec.partition("+")
    backend: Backend
    dtype: Dtype
    backend, dtype = what.split(":")
    options = ModelOptions(
        backend=backend,
        dtype=dtype,
        compile=more == "compile",
        backend_file=more if more not in ("", "compile") else None,
    )
    return Form(spec, SentenceTransformerEncoder(folder, options, name=spec), dtype)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, float64."""
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--model", type=Path, required=True, help="a sentence-transformers folder")
    parser.add_argument("--task", default="mlqa-r", help="whose passages: miracl, mlqa-r")
    parser.add_argument("--languages", default=None, metavar="CODES", help="default: all")
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=None, help="begin no round after this")
    parser.add_argument("--batch-size", type=int, default=32, help="the library's, its default")
    parser.add_argument("--forms", default=_FORMS, metavar="FORM,FORM")
    arguments = parser.parse_args()

    from sentence_transformers import SentenceTransformer

    languages = arguments.languages.split(",") if arguments.languages else None
    texts = passages(arguments.task, arguments.data_dir, languages, arguments.texts)
    library = SentenceTransformer(str(arguments.model), device="cpu")
    forms = [form(x, arguments.model) for x in arguments.forms.split(",")]
    for each in forms:  # loaded, compiled and warm
        each.encoder.encode(texts[:64], role="passage", language="en")
    library.encode(texts[:64], batch_size=arguments.batch_size)
    before = {each.name: each.encoder.work for each in forms}

    theirs: list[float] = []
    their_processor = 0.0
    workers = min(cores(), WORKERS)
    peaks: dict[str, list[float]] = {x: [] for x in {"float32", *(f.dtype for f in forms)}}
    encoded, started = 0, time.perf_counter()
    for part in range(arguments.rounds):
        if arguments.minutes and time.perf_counter() - started > 60 * arguments.minutes:
            break
        some = texts[part :: arguments.rounds]
        encoded += len(some)
        for dtype, rates in peaks.items():
            # Anew: the machine may be another's for a while.
            rates.append(matrix_rate("cpu", dtype, workers))
        begun, used = time.perf_counter(), time.process_time()
        reference = library.encode(some, batch_size=arguments.batch_size)
        theirs.append(time.perf_counter() - begun)
        their_processor += time.process_time() - used
        exact = unit(reference)
        for each in forms:
            begun, used = time.perf_counter(), time.process_time()
            vectors = each.encoder.encode(some, role="passage", language="en")
            took = time.perf_counter() - begun
            each.seconds += took
            each.processor += time.process_time() - used
            each.ratios.append(theirs[-1] / took)
            each.apart = max(each.apart, float((1 - (exact * unit(vectors)).sum(1)).max()))
        ratios = ", ".join(f"{each.name} {each.ratios[-1]:.2f}" for each in forms)
        print(f"round {part + 1}: {theirs[-1]:.1f} s; times as fast: {ratios}", flush=True)

    which = f"{arguments.task} ({arguments.languages or 'all languages'})"
    print(f"{encoded:,} passages of {which}, {arguments.model.name}, {cores()} cores")
    tokens = max((each.encoder.work - before[each.name]).tokens for each in forms)
    lengths = [len(x) for x in library.tokenizer(texts, truncation=True)["input_ids"]]
    # Of all texts; where the minutes ended earlier, of the share of them that was encoded.
    operations = flops(library, lengths) * encoded / len(texts)
    peak = {dtype: float(np.median(rates)) for dtype, rates in peaks.items()}
    for dtype, rate in sorted(peak.items()):
        print(f"matrix rate of {workers} cores at {dtype}: {rate / 1e9:,.0f} GFLOP/s")
    seconds = sum(theirs)
    print(
        f"{'SentenceTransformer.encode':<40} {seconds:8.1f} s  {tokens / seconds:8,.0f} tokens/s  "
        f"{operations / seconds / peak['float32']:4.0%} of the matrix rate"
    )
    for each in forms:
        work = each.encoder.work - before[each.name]
        low, high = min(each.ratios), max(each.ratios)
        print(
            f"{each.name:<40} {each.seconds:8.1f} s  {tokens / each.seconds:8,.0f} tokens/s  "
            f"{operations / each.seconds / peak[each.dtype]:4.0%} of the matrix rate  "
            f"{seconds / each.seconds:5.2f} times (rounds {low:.2f} to {high:.2f}; "
            f"{their_processor / each.processor:.2f} in processor seconds)  "
            f"padding {work.padding_share or 0:.1%}  cosine difference {each.apart:.1e}"
        )


if __name__ == "__main__":
    main()
