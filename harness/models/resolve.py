"""From a user's string to a model: built-in names, prefixes, packages, folders, the hub."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from harness.base.files import home_expanded
from harness.errors import HarnessError, ModelError, UsageError, did_you_mean
from harness.models.base import Listing, Model, ModelOptions, PartsModel, Streaming

if TYPE_CHECKING:
    from harness.models.sparse_late_interaction import Kind

ENTRY_POINTS = "harness.encoders"
_BUILT_IN = ("default", "me5-small", "use-m3", "bm25")
_KINDS: tuple[Kind, ...] = ("sparse", "multi-vector")
FORMS: tuple[tuple[str, str], ...] = (
    (
        "ORG/NAME or ORG/NAME@REVISION",
        "a model on the hub, with mteb's prompts if it has any",
    ),
    ("hub:ORG/NAME", "the same through sentence-transformers alone, with the model's own prompts"),
    ("mteb:NAME or mteb:./FOLDER", "a model through mteb, with its prompts and revision"),
    ("./FOLDER", "such a model in a local folder"),
    ("sparse:NAME or multi-vector:NAME", "such a model whose configuration does not say so"),
    ("python:package.module:factory", "an object with encode(texts, *, role, language)"),
    ("embeddings:FOLDER", "vectors computed elsewhere"),
    ("fuse:A+B", "several systems as one, by --fusion"),
    ("http:NAME", "a model behind an OpenAI-compatible endpoint, with --base-url"),
)


def load(model: str | object, options: ModelOptions | None = None) -> Model:
    """Find a model and wrap it in the harness's interface; weights load at the first encode.

    A string is tried, in order, as: a built-in name (``default``, ``me5-small``, ``use-m3``,
    ``bm25``), a form with a prefix (:data:`FORMS`), a name that an installed package adds (entry
    points ``harness.encoders``), a local folder, a hub name (``ORG/NAME`` or
    ``ORG/NAME@REVISION``): through mteb if its registry has it and the user sets no prompt, so that
    it gets its usual prompts and revision. Any other object needs an
    ``encode`` method, or an ``index`` method for systems that score without vectors.

    Raises:
        ModelError: nothing of that name, or it cannot be used; the message says what was tried.
    """
    options = options or ModelOptions()
    _refuse_half_characters(model, options)
    for flag, value in (
        ("--batch-size", options.batch_size),
        ("--batch-tokens", options.batch_tokens),
        ("--max-length", options.max_length),
    ):
        if value is not None and value < 1:
            raise ModelError(f"{flag} must be at least 1, not {value}")
    if options.backend_file is not None and options.backend == "torch":
        raise ModelError("--backend-file is for --backend onnx or openvino")
    if options.compile and options.backend != "torch":
        raise ModelError(f"--compile is for --backend torch, not {options.backend}")
    found = _load(model, options)
    for flag, given in (
        ("--backend", options.backend if options.backend != "torch" else None),
        ("--compile", options.compile or None),
        ("--batch-tokens", options.batch_tokens),
    ):
        if given is not None and not isinstance(found, Streaming):
            raise ModelError(
                f"{flag} is for sentence-transformers models; "
                f"{getattr(found, 'name', model)} is not one: leave it out"
            )
    return found


def _refuse_half_characters(model: str | object, options: ModelOptions) -> None:
    """Refuse names and prompts that are not UTF-8: digests and records could not hold them."""
    for flag, value in (
        ("--model", model),
        ("--query-prompt", options.query_prompt),
        ("--passage-prompt", options.passage_prompt),
    ):
        if isinstance(value, str) and any("\ud800" <= x <= "\udfff" for x in value):
            raise ModelError(f"{flag} {value!r}: is not UTF-8; write it in UTF-8")


def _load(model: str | object, options: ModelOptions) -> Model:
    if isinstance(model, str) and model.startswith("fuse:"):
        from harness.models.fused import load_fused

        return cast("Model", load_fused(model.removeprefix("fuse:"), options, load))
    if options.fusion is not None:
        raise UsageError("--fusion is for --model fuse:A+B")
    remote = isinstance(model, str) and model.startswith("http:")
    if not remote and (options.base_url, options.concurrency) != (None, None):
        raise ModelError("--base-url and --concurrency are for http:NAME, behind an endpoint")
    if not isinstance(model, str):
        return adopt(model, options)
    if model in _BUILT_IN:
        return _built_in(model, options)
    if model.startswith("python:"):
        return adopt(from_python(model), options, name=model)
    if model.startswith("embeddings:"):
        from harness.models.precomputed import PrecomputedEncoder

        return PrecomputedEncoder(home_expanded(model.removeprefix("embeddings:")), options)
    if remote:
        from harness.models.http_encoder import HttpEncoder

        return HttpEncoder(model.removeprefix("http:"), options)
    if model.startswith("mteb:"):
        from harness.models.mteb_registry import load_mteb

        return load_mteb(model.removeprefix("mteb:"), options)
    if model.startswith("hub:"):
        return _hub(model.removeprefix("hub:"), options) or _no_hub_name("hub:", model)
    for kind in _KINDS:
        if model.startswith(f"{kind}:"):
            return _as(kind, model.removeprefix(f"{kind}:"), options)
    points = _entry_points()
    if model in points:
        return adopt(_from_entry_point(points[model]), options, name=model)
    return _folder_or_hub(model, options, sorted(points))


def _built_in(name: str, options: ModelOptions) -> Model:
    if name == "default":
        name = default_model().name
    if name == "bm25":
        from harness.models.bm25.model import Bm25Model

        return Bm25Model(options)
    if name == "me5-small":
        from harness.models.me5_small.encoder import Me5SmallEncoder

        return Me5SmallEncoder(options)
    from harness.models.use_m3.encoder import UseM3Encoder

    return UseM3Encoder(options)


def adopt(model: Any, options: ModelOptions, *, name: str | None = None) -> Model:
    """Wrap an object in the harness's interface; one that has it already is returned unchanged."""
    encodes, indexes = (callable(getattr(model, x, None)) for x in ("encode", "index"))
    shown = name or type(model).__name__
    if inspect.isclass(model):
        raise ModelError(f"{model.__name__} is a class; pass an instance of it")
    encodes_parts = isinstance(model, PartsModel)
    if hasattr(model, "facts") and (
        indexes or encodes_parts or (encodes and hasattr(model, "prompts"))
    ):
        if (options.query_prompt, options.passage_prompt, options.max_length) != (None, None, None):
            raise ModelError(
                f"{shown} is loaded already: give prompts and --max-length where it is loaded"
            )
        return cast("Model", model)
    library = sys.modules.get("sentence_transformers")
    # An instance of that library's class can only exist if the library is imported.
    if library is not None and isinstance(model, getattr(library, "SentenceTransformer", ())):
        from harness.models.sentence_transformer_in_memory import SentenceTransformerInstance

        return SentenceTransformerInstance(model, options)
    if not encodes:
        raise ModelError(
            f"{shown}: {type(model).__name__} has no encode method; an encoder is anything with "
            "encode(texts, *, role, language) that returns a float array (number of texts, width)"
        )
    from harness.models.wrapped import WrappedEncoder

    return WrappedEncoder(model, options, name=name)


def listing() -> list[Listing]:
    """The list for ``harness models``: built-in names, then names from installed packages."""
    from harness.models.me5_small import encoder as me5_small
    from harness.models.use_m3.encoder import HINT, LANGUAGES

    missing = _use_m3_missing()
    me5_missing = _me5_small_missing()
    found = [
        Listing(
            name=me5_small.NAME,
            kind="dense",
            description="multilingual-e5-small in 4-bit weights, 384 dimensions, XLM-R's languages",
            available=not me5_missing,
            hint=me5_small.HINT if me5_missing else "",
            languages=me5_small.LANGUAGES,
        ),
        Listing(
            name="use-m3",
            kind="dense",
            description="Universal Sentence Encoder multilingual v3, 512 dimensions, 16 languages",
            available=not missing,
            hint=HINT if missing else "",
            languages=LANGUAGES,
        ),
        Listing(
            name="bm25",
            kind="lexical",
            description="BM25 over words and character n-grams",
            available=True,
        ),
    ]
    for name, point in sorted(_entry_points().items()):
        distribution = point.dist.name if point.dist else "an installed package"
        found.append(Listing(name, "dense", f"{point.value} from {distribution}", available=True))
    return found


class Default(NamedTuple):
    """What ``default`` stands for here."""

    name: str
    reason: str
    """Why it is this one, and how to get a better one."""


def default_model() -> Default:
    """The best built-in model that is installed: ``me5-small``, else ``use-m3``, else ``bm25``."""
    from harness.models.me5_small.encoder import HINT

    if not _me5_small_missing():
        return Default("me5-small", "the best of the built-in encoders")
    if not _use_m3_missing():
        return Default("use-m3", f"since me5-small is not installed: {HINT}")
    return Default("bm25", f"the lexical baseline, since no encoder is installed: {HINT}")


def _me5_small_missing() -> list[str]:
    from harness.models.me5_small.encoder import missing_packages

    return missing_packages()


def _use_m3_missing() -> list[str]:
    from harness.models.use_m3.encoder import missing_packages

    return missing_packages()


def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def _from_entry_point(point: metadata.EntryPoint) -> Any:
    shown = f"{point.name} ({point.value})"
    return _made(_guarded(point.load, f"{shown}: cannot be imported"), shown)


def from_python(spec: str) -> Any:
    """The object a ``python:package.module:factory`` names; the current directory is importable."""
    module_name, _, attribute = spec.removeprefix("python:").partition(":")
    if not module_name or not attribute:
        raise ModelError(f"{spec!r}: write python:package.module:factory")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    found = _guarded(lambda: importlib.import_module(module_name), f"{spec}: cannot be imported")
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ModelError(
                f"{spec}: {getattr(found, '__name__', found)} has no {part!r}"
                f"{did_you_mean(part, vars(found) if hasattr(found, '__dict__') else ())}"
            )
        found = getattr(found, part)
    return _made(found, spec)


def _made(found: Any, shown: str) -> Any:
    """Call a factory or class without arguments; an encoder is returned unchanged."""
    usable = any(hasattr(found, x) for x in ("encode", "index", "encode_parts"))
    if inspect.isclass(found) or (callable(found) and not usable):
        return _guarded(found, f"{shown}: calling it without arguments failed")
    return found


def _guarded(action: Callable[[], Any], failed: str) -> Any:
    """Run the user's code; its errors become a :class:`ModelError` that says where."""
    try:
        return action()
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{failed} ({type(error).__name__}: {error})") from error


def _as(kind: Kind, name: str, options: ModelOptions) -> Model:
    """``sparse:NAME`` and ``multi-vector:NAME``: for models whose configuration does not say so."""
    path = home_expanded(name)
    if path.is_dir():
        return _of_folder(path, options, name=path.resolve().name, kind=kind)
    return _hub(name, options, kind) or _no_hub_name(f"{kind}:", f"{kind}:{name}")


def _hub(name: str, options: ModelOptions, kind: Kind | None = None) -> Model | None:
    """A model on the hub through sentence-transformers; ``None`` if ``name`` is not a hub name."""
    from harness.models.hub_snapshot import NAME, snapshot

    match = NAME.fullmatch(name)
    if match is None:
        return None
    folder = snapshot(
        match["repo"], match["revision"], offline=options.offline, export=options.backend_file
    )
    return _of_folder(folder, options, name=match["repo"], revision=folder.name, kind=kind)


def _of_folder(
    folder: Path,
    options: ModelOptions,
    *,
    name: str,
    revision: str | None = None,
    kind: Kind | None = None,
) -> Model:
    """The adapter for a model folder, by ``kind`` or else by its configuration."""
    from harness.models.sparse_late_interaction import PartsEncoder, kind_of

    kind = kind or kind_of(folder)
    if kind is not None:
        return PartsEncoder(folder, kind, options, name=name, revision=revision)
    from harness.models.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(folder, options, name=name, revision=revision)


def _no_hub_name(prefix: str, model: str) -> NoReturn:
    raise ModelError(f"{model!r}: write {prefix}ORG/NAME or {prefix}ORG/NAME@REVISION")


def _folder_or_hub(name: str, options: ModelOptions, points: list[str]) -> Model:
    from harness.models.hub_snapshot import CONFIGURATIONS

    path = home_expanded(name)
    if path.is_dir():
        if any((path / x).is_file() for x in CONFIGURATIONS):
            return _of_folder(path, options, name=path.resolve().name)
        hint = f"; did you mean embeddings:{name}?" if (path / "manifest.json").is_file() else ""
        raise ModelError(
            f"{name}: a folder without modules.json or config.json, so neither a "
            f"sentence-transformers nor a transformers model{hint}"
        )
    if "/" in name and (options.query_prompt, options.passage_prompt) == (None, None):
        from harness.models.mteb_registry import load_mteb, refuse_own_code, registered

        repo = name.partition("@")[0]
        if registered(repo):
            refuse_own_code(repo)
            return load_mteb(name, options)
    if (found := _hub(name, options)) is not None:
        return found
    if name.startswith((".", "/", "~")) or os.sep in name:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ModelError(f"{name}: no such folder{did_you_mean(path.name, beside)}")
    added = f"names from installed packages ({', '.join(points) or 'none'})"
    raise ModelError(
        f"unknown model {name!r}{did_you_mean(name, [*_BUILT_IN, *points])}. "
        f"Tried: the built-in names ({', '.join(_BUILT_IN)}), {added}, a folder ./{name}; "
        "a hub name has the form ORG/NAME"
    )
