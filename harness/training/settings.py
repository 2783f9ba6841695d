"""Training settings: every option with its default and the source of the default.

``PAPER`` marks values stated in arXiv 2408.10536, ``OURS`` our own choices. A recipe file is TOML
with the same names; unknown options, wrong types and values out of range are refused with the name
of the file or flag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from harness.base.files import home_expanded
from harness.base.reading import read_toml
from harness.base.strict import Language, above, at_least, refusal
from harness.errors import UsageError, did_you_mean

RecipeName = Literal["hybrid", "mono", "cross", "mixed", "english", "xlco", "lakda", "mimo"]
CrossBatches = Literal["mixed", "single"]
LanguageDraw = Literal["uniform", "size", "temperature"]
Epoch = Literal["once", "drawn"]
Schedule = Literal["linear", "cosine", "constant"]
Precision = Literal["float32", "bfloat16", "float16"]

RECIPES: Mapping[str, str] = {
    "hybrid": "batches in one language with probability alpha, else across languages",
    "mono": "each batch in one language (X-X-mono)",
    "cross": "query and passage of every pair in different languages (X-Y)",
    "mixed": "query and passage in the same language, languages mixed in a batch (X-X)",
    "english": "English alone (En-En)",
    "xlco": "query and passage of every pair in languages drawn apart (XLCO)",
    "lakda": "as xlco, and a question ranks passages alike in two languages (LaKDA)",
    "mimo": "as xlco, and vectors agree with an English teacher's, in two stages (MIMO)",
}
PAPER, OURS = "arXiv 2408.10536", "our choice"
NOTHING = ("none",)
"""``freeze`` of a training that changes every weight, whatever its base."""
OF_BASE: Mapping[str, Mapping[str, Any]] = {
    "me5-small": {
        # As the model was trained.
        "query_prompt": "query: ",
        "passage_prompt": "passage: ",
        # The word table: 96 of 118 million weights, of which a batch uses some hundred rows.
        "freeze": ("word_embeddings",),
    }
}
"""Defaults of a base that are not those of every base."""
_LAKDA, _MIMO = "Yang et al., MRL 2024", "arXiv 2605.31171"

OWN_DEFAULTS: Mapping[str, Mapping[str, tuple[Any, str]]] = {
    "lakda": {"distillation": (0.5, _LAKDA)},
    "mimo": {
        "distillation": (0.8, _MIMO),
        "temperature": (0.05, _MIMO),
        "learning_rate": (2e-5, _MIMO),
        "batch_size": (2048, _MIMO),
        "cache_batch": (64, OURS),
        "epochs": (1.0, _MIMO),
        "patience": (0, OURS),
    },
}
"""Recipe -> option -> the default that it has instead, and where that comes from."""

_ADDED: Mapping[str, tuple[str, ...]] = {
    "teacher": ("mimo",),
    "distillation": ("lakda", "mimo"),
    "alignment": ("mimo",),
}
"""Option -> the recipes that have it; others do not know of it."""


def _said(source: str, what: str) -> dict[str, str]:
    return {"source": source, "help": what}


Share = Annotated[float, at_least(0, 1)]
Count = Annotated[int, at_least(0)]


@dataclass(frozen=True)
class Settings:
    """All options of one training. Names are those of recipe files; flags have dashes instead."""

    recipe: RecipeName = field(default="hybrid", metadata=_said(PAPER, "Kind of batches."))
    base: str = field(default="", metadata=_said(PAPER, "The model that is trained further."))
    data: tuple[str, ...] = field(default=(), metadata=_said(PAPER, "Files of training pairs."))
    validation: tuple[str, ...] = field(
        default=(), metadata=_said(PAPER, "Files of validation pairs.")
    )
    languages: tuple[Language, ...] = field(
        default=(), metadata=_said(OURS, "Only these languages of the data.")
    )
    alpha: Share = field(
        default=0.5, metadata=_said(PAPER, "Probability of a batch in one language.")
    )
    cross_batches: CrossBatches = field(
        default="mixed",
        metadata=_said(PAPER, "Many pairs of languages in a cross-lingual batch, or a single one."),
    )
    language_draw: LanguageDraw = field(
        default="uniform",
        metadata=_said(PAPER, "Languages are drawn uniformly, by size, or in between."),
    )
    language_temperature: Annotated[float, above(0)] = field(
        default=3.33,
        metadata=_said(
            OURS, "For language_draw = temperature: a language's size to the power of 1/T."
        ),
    )
    epoch: Epoch = field(
        default="once",
        metadata=_said(
            OURS, "Each pair once per epoch, or pairs drawn to match alpha and languages."
        ),
    )
    skip_unusable: bool = field(
        default=False,
        metadata=_said(
            OURS, "Leave out rows that the recipe cannot use, instead of refusing them."
        ),
    )
    holdout: Annotated[float, at_least(0, 0.5)] = field(
        default=0.05,
        metadata=_said(OURS, "Without validation files: share of the data used for validation."),
    )
    batch_size: Annotated[int, at_least(2)] = field(
        default=100, metadata=_said(PAPER, "Pairs in a batch, for each process.")
    )
    accumulation: Annotated[int, at_least(1)] = field(
        default=1, metadata=_said(OURS, "Batches whose gradients make one step.")
    )
    cache_batch: Count = field(
        default=0, metadata=_said(OURS, "Gradient caching: texts encoded at once; 0 for none.")
    )
    epochs: Annotated[float, above(0)] = field(
        default=3.0, metadata=_said(OURS, "Passes over the data.")
    )
    steps: Count = field(
        default=0, metadata=_said(OURS, "Steps to train; 0: as many as the epochs give.")
    )
    learning_rate: Annotated[float, above(0)] = field(
        default=3e-5, metadata=_said(PAPER, "Of AdamW.")
    )
    weight_decay: Annotated[float, at_least(0)] = field(
        default=0.01, metadata=_said(PAPER, "Of AdamW.")
    )
    warmup: Share = field(
        default=0.1, metadata=_said(OURS, "Share of the steps over which the rate rises.")
    )
    schedule: Schedule = field(
        default="linear", metadata=_said(OURS, "How the learning rate falls.")
    )
    max_grad_norm: Annotated[float, at_least(0)] = field(
        default=1.0, metadata=_said(OURS, "Gradients are clipped to this norm; 0: never.")
    )
    temperature: Annotated[float, above(0)] = field(
        default=0.05,
        metadata=_said(OURS, "Temperature of the InfoNCE loss; cosines are divided by it."),
    )
    teacher: str = field(
        default="", metadata=_said(_MIMO, "Of mimo: the frozen English teacher, any encoder.")
    )
    distillation: Share = field(
        default=0.5,
        metadata=_said(_LAKDA, "Of lakda and mimo: weight of the term beside InfoNCE."),
    )
    alignment: Share = field(
        default=0.5, metadata=_said(OURS, "Of mimo: share of the steps that are stage 1.")
    )
    hard_negatives: Count = field(
        default=1, metadata=_said(OURS, "Hard negatives used per pair, if given.")
    )
    query_prompt: str = field(default="Query: ", metadata=_said(PAPER, "Put before each query."))
    passage_prompt: str = field(
        default="Passage: ", metadata=_said(PAPER, "Put before each passage.")
    )
    max_length: Annotated[int, at_least(4)] = field(
        default=256, metadata=_said(OURS, "Maximum tokens of a text in training.")
    )
    precision: Precision = field(
        default="float32", metadata=_said(OURS, "Number format of the forward pass.")
    )
    freeze: tuple[str, ...] = field(
        default=(),
        metadata=_said(OURS, "Parts to freeze: names, * as a wildcard; none: train all."),
    )
    evaluate_every: Annotated[int, at_least(1)] = field(
        default=200, metadata=_said(OURS, "Steps between validations and checkpoints.")
    )
    patience: Count = field(
        default=3,
        metadata=_said(
            OURS, "Validations without a lower loss before training stops; 0: never stops early."
        ),
    )
    log_every: Annotated[int, at_least(1)] = field(
        default=10, metadata=_said(OURS, "Steps between points of the loss curve.")
    )
    seed: Annotated[int, at_least(0, 2**31 - 1)] = field(
        default=0, metadata=_said(OURS, "Random seed of batches, validation pairs and dropout.")
    )

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UsageError: names the option, as a flag.
        """
        for name, hint in _hints().items():
            what = refusal(hint, getattr(self, name))
            if what is not None:
                raise UsageError(f"{flag(name)} {what}")
        if self.recipe != "hybrid" and self.alpha != _default("alpha"):
            raise UsageError(
                f"--alpha is for --recipe hybrid; {self.recipe} has no choice between batches"
            )

        for name, recipes in _ADDED.items():
            if self.recipe not in recipes and getattr(self, name) != _default(name):
                raise UsageError(f"{flag(name)} is for --recipe {' or '.join(recipes)}")
        if self.recipe == "mimo" and not self.teacher:
            raise UsageError(
                "--recipe mimo needs an English teacher; give --teacher NAME, any dense encoder"
            )

    def document(self) -> dict[str, Any]:
        """All options that the recipe has, by name: what identifies a training."""
        return {
            name: value
            for name, value in asdict(self).items()
            if self.recipe in _ADDED.get(name, (self.recipe,))
        }

    @property
    def mono_share(self) -> float:
        """The recipe's share of monolingual batches."""
        apart = dict.fromkeys(("cross", "xlco", "lakda", "mimo"), 0.0)
        return {"hybrid": self.alpha, **apart}.get(self.recipe, 1.0)

    def sampler(self) -> dict[str, Any]:
        """The settings that determine the batches, for the manifest."""
        names = (
            "recipe", "alpha", "cross_batches", "language_draw", "language_temperature",
            "epoch", "batch_size", "languages", "skip_unusable", "holdout", "seed",
        )  # fmt: skip
        found = {name: value for name, value in asdict(self).items() if name in names}
        found["alpha"] = self.mono_share if self.recipe in ("hybrid", "mono", "cross") else None
        return found


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def flag(name: str) -> str:
    """``--batch-size`` for ``batch_size``."""
    return "--" + name.replace("_", "-")


def _default(name: str) -> Any:
    return next(x.default for x in fields(Settings) if x.name == name)


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
    return str(recipe.parent / home_expanded(name))


def sources(settings: Settings) -> dict[str, str]:
    """Option -> where its value comes from: a paper, the harness, the base, or the user."""
    of_base, own = OF_BASE.get(settings.base, {}), OWN_DEFAULTS.get(settings.recipe, {})
    recipe_has = settings.document()

    def source(name: str, default: Any, otherwise: str) -> str:
        value = getattr(settings, name)
        if name in of_base and value == of_base[name]:
            return "the base"
        return otherwise if value == default else "set here"

    return {
        x.name: source(x.name, *own.get(x.name, (x.default, x.metadata["source"])))
        for x in fields(settings)
        if x.name in recipe_has
    }


def made(options: Mapping[str, Any]) -> Settings:
    """Settings of ``options``; what they leave open is as the recipe and the base need it.

    See :data:`OWN_DEFAULTS` and :data:`OF_BASE`.

    Raises:
        UsageError: a value is out of range, or the recipe does not have an option.
    """
    own = OWN_DEFAULTS.get(str(options.get("recipe", "hybrid")), {})
    of_recipe = {name: value for name, (value, _) in own.items()}
    base = options.get("base", "")
    of_base = OF_BASE.get(base, {}) if isinstance(base, str) else {}
    return Settings(**{**of_recipe, **of_base, **options})


def settings_from(recipe: str, given: Mapping[str, Any]) -> Settings:
    """Settings of a recipe's name or file; ``given`` options come before the file's.

    Raises:
        UsageError: an unknown recipe, a file that cannot be used, a value out of range.
    """
    if recipe.endswith(".toml"):
        return made(read_recipe(Path(recipe)) | dict(given))
    if recipe not in RECIPES:
        raise UsageError(
            f"--recipe {recipe}: must be one of {', '.join(RECIPES)} or a file ending in .toml"
            f"{did_you_mean(recipe, RECIPES)}"
        )
    return made({**given, "recipe": recipe})
