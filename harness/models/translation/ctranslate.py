"""CTranslate2 folders: Argos packages, and OPUS-MT or NLLB models converted for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.base.environment import cores
from harness.base.files import home_expanded
from harness.base.reading import read_json, read_object
from harness.errors import ModelError, UsageError, errors_of
from harness.models.fingerprint import digest_folder, fingerprint, library_versions
from harness.models.translation.engine import EngineOptions, Translated, by_length, by_sentence
from harness.models.translation.flores import flores_code

_PIECES = ("sentencepiece.model", "source.spm", "sentencepiece.bpe.model", "spm.model")


class CTranslate2:
    """A folder with ``model.bin``, in it or in ``model/``, and a SentencePiece model next to it.

    An Argos package's ``metadata.json`` says which two languages it is for. A model with NLLB's
    vocabulary gets the languages as tokens.
    """

    def __init__(self, folder: str, options: EngineOptions) -> None:
        self._folder = home_expanded(folder)
        self._options = options
        self.batch_size = options.batch_size or 32
        self._model_folder = next(
            (x for x in (self._folder, self._folder / "model") if (x / "model.bin").is_file()), None
        )
        if self._model_folder is None:
            raise ModelError(
                f"{folder}: not a CTranslate2 model: there is no model.bin in it or in model/"
            )
        places = [x / name for x in (self._folder, self._model_folder) for name in _PIECES]
        self._pieces = next((x for x in places if x.is_file()), None)
        if self._pieces is None:
            raise ModelError(
                f"{folder}: there is no SentencePiece model in it ({', '.join(_PIECES)})"
            )
        target = self._pieces.with_name("target.spm")
        self._target_pieces = target if target.is_file() else self._pieces
        self._loaded: Any = None

    def _pair(self) -> tuple[str, str] | None:
        path = self._folder / "metadata.json"
        if not path.is_file():
            return None
        said = read_object(path, ModelError)
        codes = tuple(said.get(x) for x in ("from_code", "to_code"))
        if not all(isinstance(x, str) for x in codes):
            raise ModelError(
                f"{path}: not an Argos package's metadata: from_code and to_code must be language "
                "codes"
            )
        return str(codes[0]), str(codes[1])

    def facts(self, source: str, target: str) -> Mapping[str, Any]:
        """Name, digest of the whole folder, and what else changes a translation."""
        pair = self._pair()
        requested = tuple(self._options.codes.get(x, x) for x in (source, target))
        if pair is not None and pair != requested:
            raise UsageError(
                f"{self._folder.name} translates {pair[0]} to {pair[1]}, not {requested[0]} to "
                f"{requested[1]}"
            )
        return {
            "engine": "ctranslate2",
            "model": self._folder.name,
            "digest": fingerprint(digest_folder(self._folder)),
            "languages": list(requested),
            "beams": self._options.beams,
            "max_length": self._options.max_length,
            "split": self._options.split,
            "versions": library_versions("ctranslate2", "sentencepiece"),
        }

    def _load(self) -> Any:
        if self._loaded is None:
            try:
                import ctranslate2
                import sentencepiece
            except ImportError as error:
                raise ModelError(
                    "--engine ctranslate2 needs two packages: pip install "
                    "'polyglot-harness[translate]'"
                ) from error
            device, _, index = (self._options.device or "cpu").partition(":")
            try:
                self._loaded = (
                    ctranslate2.Translator(
                        str(self._model_folder),
                        device=device,
                        device_index=int(index or 0),
                        intra_threads=cores(),
                    ),
                    sentencepiece.SentencePieceProcessor(model_file=str(self._pieces)),
                    sentencepiece.SentencePieceProcessor(model_file=str(self._target_pieces)),
                )
            except (RuntimeError, OSError, ValueError) as error:
                raise ModelError(f"{self._folder}: cannot be loaded ({error})") from error
        return self._loaded

    def _prefixes(self, source: str, target: str) -> tuple[list[str], list[str]]:
        """Language tokens for NLLB; none for a model of one pair."""
        codes = self._options.codes
        names = [codes.get(x) or flores_code(x) for x in (source, target)]
        known = self._model_folder / "shared_vocabulary.json" if self._model_folder else None
        if known is None or not known.is_file() or self._pair() is not None:
            return [], []
        vocabulary = read_json(known, ModelError)
        if not isinstance(vocabulary, list):
            raise ModelError(f"{known}: must be a list of tokens")
        if all(x in vocabulary for x in names):
            return [str(names[0])], [str(names[1])]
        return [], []

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[Translated]:
        """Sentence by sentence, in batches of similar length."""
        model, reader, writer = self._load()
        before, first = self._prefixes(source, target)
        limit = self._options.max_length

        def batch(chosen: list[str]) -> list[Translated]:
            read = [[*before, *reader.encode(x, out_type=str)] for x in chosen]
            ends = ["</s>"] if before else []
            try:
                done = model.translate_batch(
                    [[*x[: limit - 1], *ends] for x in read],
                    target_prefix=[first] * len(read) if first else None,
                    beam_size=self._options.beams,
                    max_decoding_length=limit,
                )
            except RuntimeError as error:  # its only one: too long for the model, out of memory
                raise ModelError(
                    f"{self._folder.name}: {error}; set --max-length (now {limit}) or --batch-size "
                    "lower"
                ) from error
            found = []
            for tokens, result in zip(read, done, strict=True):
                written = [x for x in result.hypotheses[0] if x not in first]
                # Argos' models write spaces within tokens, which decode() keeps.
                text = writer.decode(written).replace("▁", " ").strip()
                found.append(Translated(text, max(len(tokens), len(written)) < limit))
            return found

        with errors_of(f"{self._folder.name}: translate"):  # a damaged model's ValueError, others
            return by_sentence(
                texts, target, lambda x: by_length(x, self.batch_size, batch), self._options.split
            )
