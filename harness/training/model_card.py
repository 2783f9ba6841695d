"""The model card of a trained model: its data, results and use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.console import numbers
from harness.console.markdown import rows as markdown_rows
from harness.console.tables import Grid, Item
from harness.models.trained_folder import USE_M3_TYPE
from harness.training.settings import PAPER, RECIPES


def model_card(manifest: Mapping[str, Any]) -> str:
    """README.md in markdown, with the front matter that the hub reads."""
    summary, settings, outcome = manifest["summary"], manifest["settings"], manifest["outcome"]
    languages = summary["languages"]
    base = summary["base"]
    front = ["---", "library_name: sentence-transformers", "pipeline_tag: sentence-similarity"]
    front += ["language:", *(f"- {x!r}" for x in languages)]
    if "/" in base and manifest["base"].get("revision"):  # of the hub; folders have none
        front.append(f"base_model: {base.partition('@')[0]}")
    front += ["tags:", "- sentence-transformers", "- multilingual-retrieval", "---", ""]
    recipe = RECIPES[summary["recipe"]]
    alpha = "" if summary["alpha"] is None else f", alpha {summary['alpha']:g}"
    lines = [
        *front,
        f"# {base.rsplit('/', 1)[-1]}, {summary['recipe']} batches",
        "",
        f"Trained by polyglot-harness from `{base}` with the recipe `{summary['recipe']}`{alpha}: "
        f"{recipe}. {outcome['said']}",
        "",
        *_facts(manifest),
        "",
        "![Loss curve](loss-curve.svg)",
        "",
        "## Use",
        "",
        *_use(base),
        "",
        "## Data",
        "",
        *_files(manifest["data"]),
    ]
    lines += ["", "## Evaluation questions in the training data", ""]
    lines += [f"- {s}." for x in manifest["overlap"] for s in x["sentences"]]
    if not manifest["overlap"]:
        lines.append("Not checked: no evaluation data was available, or the check was turned off.")
    lines += ["", "## Options", "", *_options(settings, manifest["sources"])]
    lines += [
        "",
        f'"{PAPER}" marks what the paper of the recipe states, "our choice" what it leaves '
        "open. Digests, versions and the whole curve are in `training.json`.",
        "",
    ]
    return "\n".join(lines)


def _facts(manifest: Mapping[str, Any]) -> list[str]:
    """The training in a few numbers."""
    summary, settings, base = manifest["summary"], manifest["settings"], manifest["base"]
    trained, all_weights = (numbers.count(base[x]) for x in ("trained_parameters", "parameters"))
    rows: list[Sequence[Item | str]] = [
        ("languages seen", ", ".join(summary["languages"])),
        ("pairs", numbers.count(summary["pairs"])),
        *(
            (f"{role} prompt", Item(settings[f"{role}_prompt"] or "none", code=True))
            for role in ("query", "passage")
        ),
        ("seed", str(summary["seed"])),
        ("weights trained", f"{trained} of {all_weights}"),
        ("validation loss", _last_validation(manifest["outcome"])),
    ]
    return markdown_rows(Grid("", ("", ""), rows, align="ll"))


def _files(data: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            x["name"],
            x["role"],
            numbers.count(x["rows"]),
            numbers.count(x["trained_on"]),
            ", ".join(x["languages"]),
            Item(x["sha256"][:16], code=True),
        )
        for x in data
    ]
    headers = ("file", "role", "rows", "trained on", "languages", "SHA-256")
    return markdown_rows(Grid("", headers, rows, align="llrrll"))


def _options(settings: Mapping[str, Any], sources: Mapping[str, str]) -> list[str]:
    rows = []
    for name, value in settings.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        rows.append((name, Item(shown, code=True), sources[name]))
    return markdown_rows(Grid("", ("option", "value", "from"), rows, align="lll"))


def _last_validation(outcome: Mapping[str, Any]) -> str:
    of_weights = [
        p["validation_loss"]
        for p in outcome["curve"]
        if p["step"] == outcome["weights_of_step"] and "validation_loss" in p
    ]
    return numbers.value("loss", of_weights[0]) if of_weights else "not measured"


def _use(base: str) -> list[str]:
    trust = ", trust_remote_code=True" if base == "use-m3" else ""
    note = (
        [
            "",
            f"The module `{USE_M3_TYPE}` comes with polyglot-harness, which has to be installed; "
            "no code from this folder is run.",
        ]
        if trust
        else []
    )
    return [
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        f'model = SentenceTransformer("path/to/this/folder"{trust})',
        'queries = model.encode_query(["Who wrote Faust?"])',
        'passages = model.encode_document(["Faust is a tragic play by Goethe."])',
        "model.similarity(queries, passages)",
        "```",
        *note,
        "",
        "`harness run --model path/to/this/folder` scores it with the prompts it was trained with.",
    ]
