"""What a training is: every option with its default, and where the default comes from.

``PAPER`` marks what arXiv 2408.10536 states, ``OURS`` what it leaves open and we chose. A recipe
file is TOML with the same names; what is unknown, of another type or out of range is refused with
the name of the file or flag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from harness.base.languages import is_language
from harness.base.reading import read_toml
from harness.errors import UsageError, did_you_mean

RecipeName = Literal["hybrid", "mono", "cross", "mixed", "english"]
CrossBatches = Literal["mixed", "single"]
LanguageDraw = Literal["uniform", "size", "temperature"]
Epoch = Literal["once", "drawn"]
Schedule = Literal["linear", "cosine", "constant"]
Precision = Literal["float32", "bfloat16", "float16"]

RECIPES: Mapping[str, str] = {
    "hybrid": "batches in one language with probability alpha, else across languages",
    "mono": "every batch in one language (X-X-mono)",
    "cross": "query and passage of every pair in different languages (X-Y)",
    "mixed": "query and passage in the same language, languages mixed in a batch (X-X)",
    "english": "English alone (En-En)",
}
PAPER, OURS = "arXiv 2408.10536", "our choice"


def _said(source: str, what: str) -> dict[str, str]:
    return {"source": source, "help": what}


@dataclass(frozen=True)
class Settings:
    """All options of one training. Names are those of recipe files; flags have dashes instead."""

    recipe: RecipeName = field(default="hybrid", metadata=_said(PAPER, "What the batches hold."))
    base: str = field(default="", metadata=_said(PAPER, "The model that is trained further."))
    data: tuple[str, ...] = field(default=(), metadata=_said(PAPER, "Files of training pairs."))
    validation: tuple[str, ...] = field(
        default=(), metadata=_said(PAPER, "Files of held-out pairs.")
    )
    languages: tuple[str, ...] = field(
        default=(), metadata=_said(OURS, "Only these languages of the data.")
    )
    alpha: float = field(
        default=0.5, metadata=_said(PAPER, "Probability of a batch in one language.")
    )
    cross_batches: CrossBatches = field(
        default="mixed",
        metadata=_said(PAPER, "Many pairs of languages in a cross-lingual batch, or a single one."),
    )
    language_draw: LanguageDraw = field(
        default="uniform",
        metadata=_said(PAPER, "Languages are drawn alike, by their size, or between the two."),
    )
    language_temperature: float = field(
        default=3.33,
        metadata=_said(
            OURS, "For language_draw = temperature: a language's size to the power of 1/T."
        ),
    )
    epoch: Epoch = field(
        default="once",
        metadata=_said(
            OURS, "Each pair once an epoch, or pairs drawn so that alpha and languages hold."
        ),
    )
    skip_unusable: bool = field(
        default=False,
        metadata=_said(
            OURS, "Leave out rows that the recipe cannot use, instead of refusing them."
        ),
    )
    holdout: float = field(
        default=0.05,
        metadata=_said(
            OURS, "Without validation files: share of the data held out for validation loss."
        ),
    )
    batch_size: int = field(
        default=100, metadata=_said(PAPER, "Pairs in a batch, for each process.")
    )
    accumulation: int = field(
        default=1, metadata=_said(OURS, "Batches whose gradients make one step.")
    )
    cache_batch: int = field(
        default=0, metadata=_said(OURS, "Gradient caching: texts encoded at once; 0 for none.")
    )
    epochs: float = field(default=3.0, metadata=_said(OURS, "Passes over the data."))
    steps: int = field(
        default=0, metadata=_said(OURS, "Steps to train; 0: as many as the epochs give.")
    )
    learning_rate: float = field(default=3e-5, metadata=_said(PAPER, "Of AdamW."))
    weight_decay: float = field(default=0.01, metadata=_said(PAPER, "Of AdamW."))
    warmup: float = field(
        default=0.1, metadata=_said(OURS, "Share of the steps over which the rate rises.")
    )
    schedule: Schedule = field(
        default="linear", metadata=_said(OURS, "How the learning rate falls.")
    )
    max_grad_norm: float = field(
        default=1.0, metadata=_said(OURS, "Gradients are clipped to this length; 0: never.")
    )
    temperature: float = field(
        default=0.05, metadata=_said(OURS, "Of the InfoNCE loss; cosines are divided by it.")
    )
    hard_negatives: int = field(
        default=1, metadata=_said(OURS, "Hard negatives of each pair, where given.")
    )
    query_prompt: str = field(default="Query: ", metadata=_said(PAPER, "Put before each query."))
    passage_prompt: str = field(
        default="Passage: ", metadata=_said(PAPER, "Put before each passage.")
    )
    max_length: int = field(
        default=256, metadata=_said(OURS, "Tokens of a text that are read in training.")
    )
    precision: Precision = field(
        default="float32", metadata=_said(OURS, "Numbers of the forward pass.")
    )
    freeze: tuple[str, ...] = field(
        default=(), metadata=_said(OURS, "Parts whose weights stay: names, with * at will.")
    )
    evaluate_every: int = field(
        default=200, metadata=_said(OURS, "Steps between validations and checkpoints.")
    )
    patience: int = field(
        default=3,
        metadata=_said(
            OURS, "Validations without a lower loss before training stops; 0: never stops early."
        ),
    )
    log_every: int = field(
        default=10, metadata=_said(OURS, "Steps between points of the loss curve.")
    )
    seed: int = field(default=0, metadata=_said(OURS, "Of batches, held-out pairs and dropout."))

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UsageError: names the option, as a flag.
        """
        hints = get_type_hints(type(self))
        for option in fields(self):
            _check(option, hints[option.name], getattr(self, option.name))
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                reach = f"at least {low}" if high == _ENDLESS else f"between {low} and {high}"
                raise UsageError(f"{flag(name)} must be {reach}, not {value}")
        for name in ("learning_rate", "temperature", "language_temperature", "epochs"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{flag(name)} must be above 0, not {getattr(self, name)}")
        for code in self.languages:
            if not is_language(code):
                raise UsageError(f"--languages: {code!r} is not a language code, as en or de")
        if self.recipe != "hybrid" and self.alpha != _default("alpha"):
            raise UsageError(
                f"--alpha is for --recipe hybrid; {self.recipe} has no choice between batches"
            )

    @property
    def mono_share(self) -> float:
        """Share of batches in one language that the recipe asks for."""
        return {"hybrid": self.alpha, "cross": 0.0}.get(self.recipe, 1.0)

    def sampler(self) -> dict[str, Any]:
        """What decides about the batches, for the manifest."""
        names = (
            "recipe", "alpha", "cross_batches", "language_draw", "language_temperature",
            "epoch", "batch_size", "languages", "skip_unusable", "holdout", "seed",
        )  # fmt: skip
        found = {name: value for name, value in asdict(self).items() if name in names}
        found["alpha"] = self.mono_share if self.recipe in ("hybrid", "mono", "cross") else None
        return found


_ENDLESS = float("inf")
_RANGES: Mapping[str, tuple[float, float]] = {
    "alpha": (0, 1),
    "holdout": (0, 0.5),
    "batch_size": (2, _ENDLESS),
    "accumulation": (1, _ENDLESS),
    "cache_batch": (0, _ENDLESS),
    "steps": (0, _ENDLESS),
    "weight_decay": (0, _ENDLESS),
    "warmup": (0, 1),
    "max_grad_norm": (0, _ENDLESS),
    "hard_negatives": (0, _ENDLESS),
    "max_length": (4, _ENDLESS),
    "evaluate_every": (1, _ENDLESS),
    "patience": (0, _ENDLESS),
    "log_every": (1, _ENDLESS),
    "seed": (0, 2**31 - 1),
}


_TYPES: Mapping[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a string"),
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}


_STRINGS: tuple[tuple[type, ...], str] = ((tuple,), "a list of strings")


def flag(name: str) -> str:
    """``--batch-size`` for ``batch_size``."""
    return "--" + name.replace("_", "-")


def _default(name: str) -> Any:
    return next(x.default for x in fields(Settings) if x.name == name)


def _check(option: Field[Any], hint: Any, value: Any) -> None:
    """One value has its option's type, or is one of its choices."""
    choices = () if ... in get_args(hint) else get_args(hint)
    if choices:
        if value not in choices:
            hint_text = did_you_mean(str(value), choices)
            raise UsageError(
                f"{flag(option.name)} must be one of {', '.join(choices)}, not {value!r}{hint_text}"
            )
        return
    types, name = _TYPES.get(hint, _STRINGS)
    right = isinstance(value, types) and (hint is bool or not isinstance(value, bool))
    if right and isinstance(value, tuple):
        right = all(isinstance(x, str) for x in value)
    if not right:
        raise UsageError(f"{flag(option.name)} must be {name}, not {value!r}")


def read_recipe(path: Path) -> dict[str, Any]:
    """The options that a recipe file sets; its data files are relative to its folder.

    Raises:
        UsageError: missing, not TOML, or an option that does not exist.
    """
    found = read_toml(path, UsageError)
    known = [x.name for x in fields(Settings)]
    for name, value in found.items():
        if name not in known:
            raise UsageError(
                f"{path}: key {name!r} is unknown{did_you_mean(name, known)}; "
                "`harness train --help` lists the options"
            )
        if isinstance(value, list):
            found[name] = tuple(value)
    for name in ("data", "validation"):
        if isinstance(found.get(name), tuple):
            found[name] = tuple(_beside(path, x) for x in found[name])
    if isinstance(found.get("base"), str) and found["base"].startswith("."):
        found["base"] = _beside(path, found["base"])
    return found


def _beside(recipe: Path, name: Any) -> Any:
    if not isinstance(name, str):
        return name
    return str(recipe.parent / Path(name).expanduser())


def sources(settings: Settings) -> dict[str, str]:
    """Option -> where its value comes from: the paper, us, or the user."""
    return {
        x.name: x.metadata["source"] if getattr(settings, x.name) == x.default else "set here"
        for x in fields(settings)
    }


def settings_from(recipe: str, given: Mapping[str, Any]) -> Settings:
    """Settings of a recipe's name or file; ``given`` options come before the file's.

    Raises:
        UsageError: an unknown recipe, a file that cannot be used, a value out of range.
    """
    if recipe.endswith(".toml"):
        return Settings(**(read_recipe(Path(recipe)) | dict(given)))
    if recipe not in RECIPES:
        raise UsageError(
            f"--recipe {recipe}: must be one of {', '.join(RECIPES)} or a file ending in .toml"
            f"{did_you_mean(recipe, RECIPES)}"
        )
    return Settings(recipe=recipe, **given)  # type: ignore[arg-type]
