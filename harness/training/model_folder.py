"""The folder of a trained model: weights, loss curve, model card, and the manifest last."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.files import write_atomically
from harness.models.trained_folder import MANIFEST
from harness.training.model_card import model_card

CURVE = "loss-curve"
PROJECTION = "training.projection.npy"
_COLUMNS = ("step", "epoch", "loss", "validation_loss", "learning_rate")


def write_folder(
    model: Any, folder: Path, work: Path, manifest: Mapping[str, Any], *, projection: Any = None
) -> None:
    """Write everything; a process killed before the end leaves no manifest.

    ``projection`` is a linear layer that was trained beside the model and is not part of it; its
    (t, d) weights are left for whoever wants to look at them.

    Raises:
        StoreError: the folder cannot be written.
    """
    # Saved elsewhere first and moved file by file, so that weights are never half written.
    aside = work / "saved"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    model.save_pretrained(str(aside), create_model_card=False)
    for path in sorted(aside.iterdir()):
        target = folder / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)
    if projection is None:
        (folder / PROJECTION).unlink(missing_ok=True)  # of another training, before --restart
    else:
        raw = io.BytesIO()
        np.save(raw, projection.weight.detach().float().cpu().numpy())
        write_atomically(folder / PROJECTION, raw.getvalue())
    points = manifest["outcome"]["curve"]
    write_atomically(folder / f"{CURVE}.csv", curve_table(points).encode())
    write_atomically(folder / f"{CURVE}.svg", draw_curve(points, manifest["outcome"]))
    write_atomically(folder / "README.md", model_card(manifest).encode())
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / MANIFEST, (text + "\n").encode())


def curve_table(points: Sequence[Mapping[str, Any]]) -> str:
    """The loss curve as CSV; a field is empty if a step has no such number."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(points)
    return out.getvalue()


def draw_curve(points: Sequence[Mapping[str, Any]], outcome: Mapping[str, Any]) -> bytes:
    """The loss curve as SVG, the same bytes for the same points."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": CURVE, "font.size": 10}):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        # Colours of Okabe and Ito (2008), distinguishable with any colour vision; lines differ as
        # well.
        for name, label, colour, style in (
            ("loss", "training", "#0072B2", "-"),
            ("validation_loss", "validation", "#D55E00", "--"),
        ):
            at = [(p["step"], p[name]) for p in points if name in p]
            if at:
                marker = "o" if name == "validation_loss" or len(at) < 2 else None
                axes.plot(*zip(*at, strict=True), style, color=colour, label=label, marker=marker)
        if outcome["weights_of_step"] != outcome["steps"]:
            axes.axvline(outcome["weights_of_step"], color="0.5", linewidth=1)
            axes.annotate(
                " these weights", (outcome["weights_of_step"], 0.98), va="top", fontsize=8,
                xycoords=("data", "axes fraction"),
            )  # fmt: skip
        axes.set(xlabel="step", ylabel="loss (InfoNCE, nats)")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(frameon=False)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
