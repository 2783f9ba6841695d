"""transformers' translation models: NLLB, M2M-100, mBART-50, Marian (OPUS-MT)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.base.files import home_expanded
from harness.base.languages import primary_subtag
from harness.errors import ModelError, UsageError, errors_of, first_line, one_line
from harness.models import hub_snapshot
from harness.models.fingerprint import digest_folder, fingerprint, library_versions
from harness.models.quiet_loading import quiet_loading
from harness.models.translation.engine import (
    EngineOptions,
    Translated,
    by_length,
    by_sentence,
    filled,
)
from harness.models.translation.flores import flores_code


class _Loaded:
    """A model and its tokenizer on their device."""

    def __init__(self, folder: Path, device: str | None) -> None:
        try:
            import torch
            from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
        except ImportError as error:
            raise ModelError(
                "--engine transformers needs the package transformers: pip install transformers"
            ) from error
        try:
            with quiet_loading():
                self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                self.model = AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # of transformers, tokenizers, sentencepiece, safetensors
            raise ModelError(
                f"{folder}: not a translation model that transformers can load "
                f"({one_line(str(error) or type(error).__name__)})"
            ) from error
        named = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self.device = torch.device(named)
            self.model.to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            raise ModelError(f"--device {named}: cannot be used ({first_line(error)})") from error


class Seq2Seq:
    """A model by name or folder; with {source} and {target} in it, one per pair."""

    def __init__(self, template: str, options: EngineOptions) -> None:
        self._template = template
        self._options = options
        self.batch_size = options.batch_size or 16
        self._folders: dict[str, Path] = {}
        self._loaded: tuple[str, _Loaded] | None = None

    def _name(self, source: str, target: str) -> str:
        return filled(self._template, source, target, self._options.codes)

    def _folder(self, name: str) -> Path:
        if name not in self._folders:
            local = home_expanded(name)
            if local.is_dir():
                self._folders[name] = local
            else:
                match = hub_snapshot.NAME.fullmatch(name)
                if match is None:
                    raise ModelError(f"{name}: no such folder, and not a name on the hub")
                self._folders[name] = hub_snapshot.snapshot(
                    match["repo"], match["revision"], offline=self._options.offline
                )
        return self._folders[name]

    def facts(self, source: str, target: str) -> Mapping[str, Any]:
        """Name, digest of the model's files, and what else changes a translation."""
        name = self._name(source, target)
        folder = self._folder(name)
        return {
            "engine": "transformers",
            "model": folder.name if folder == home_expanded(name) else name,
            "digest": fingerprint(digest_folder(folder)),
            "languages": [self._options.codes.get(x, x) for x in (source, target)],
            "beams": self._options.beams,
            "max_length": self._options.max_length,
            "split": self._options.split,
            "versions": library_versions("transformers", "tokenizers", "torch"),
        }

    def _open(self, name: str) -> _Loaded:
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = (name, _Loaded(self._folder(name), self._options.device))
        return self._loaded[1]

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[Translated]:
        """Sentence by sentence, in batches of about equal lengths."""
        import torch

        name = self._name(source, target)
        opened = self._open(name)
        tokenizer, model = opened.tokenizer, opened.model
        settings, prefix = _languages(tokenizer, name, source, target, self._options.codes)
        longest = _positions(model)
        limit = min(self._options.max_length, longest or self._options.max_length)

        def batch(chosen: list[str]) -> list[Translated]:
            marked = [prefix + x for x in chosen]
            lengths = [len(x) for x in tokenizer(marked)["input_ids"]]
            read = tokenizer(
                marked, return_tensors="pt", padding=True, truncation=True, max_length=limit
            ).to(opened.device)
            with errors_of(f"{name}: generate"), torch.inference_mode():
                written = model.generate(
                    **read,
                    **settings,
                    num_beams=self._options.beams,
                    do_sample=False,
                    max_length=limit,
                )
            texts_out = tokenizer.batch_decode(written, skip_special_tokens=True)
            # The first token may also be the end token: Marian's and NLLB's decoders start with it.
            ended = (written[:, 1:] == model.config.eos_token_id).any(dim=1).tolist()
            return [
                Translated(text.strip(), bool(end) and length <= limit)
                for text, end, length in zip(texts_out, ended, lengths, strict=True)
            ]

        return by_sentence(
            texts, target, lambda x: by_length(x, self.batch_size, batch), self._options.split
        )


def _positions(model: Any) -> int | None:
    found = getattr(model.config, "max_position_embeddings", None)
    return int(found) if isinstance(found, int) else None


def _languages(
    tokenizer: Any, name: str, source: str, target: str, codes: Mapping[str, str]
) -> tuple[dict[str, Any], str]:
    """Settings of ``generate`` and a prefix for each text that set a model's languages."""
    known = getattr(tokenizer, "lang_code_to_token", None)  # M2M-100: en -> __en__
    if known:
        pair = [codes.get(x, x) for x in (source, target)]
        for code in pair:
            if code not in known:
                raise UsageError(f"{name} has no language {code!r}; name its code with --code")
        tokenizer.src_lang = pair[0]
        return {"forced_bos_token_id": tokenizer.get_lang_id(pair[1])}, ""
    if hasattr(tokenizer, "src_lang"):  # NLLB: eng_Latn; mBART-50: en_XX
        names = [
            codes.get(x) or _own_name(tokenizer, x) or flores_code(x) or x for x in (source, target)
        ]
        for word in names:
            if tokenizer.convert_tokens_to_ids(word) in (None, tokenizer.unk_token_id):
                raise UsageError(f"{name} has no language {word!r}; name its code with --code")
        tokenizer.src_lang = names[0]
        return {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(names[1])}, ""
    marks = getattr(tokenizer, "supported_language_codes", None)  # Marian into several: >>deu<<
    if marks:
        asked_for = codes.get(target, target)
        named = [x for x in marks if x.strip("<>") == asked_for]
        named = named or [x for x in marks if primary_subtag(x.strip("<>")) == asked_for]
        if not named:
            raise UsageError(
                f"{name} translates into {', '.join(x.strip('<>') for x in marks[:20])}, not "
                f"{asked_for!r}; name its code with --code"
            )
        return {}, f"{named[0]} "
    return {}, ""


def _own_name(tokenizer: Any, language: str) -> str | None:
    """``en_XX`` for ``en`` in mBART-50's vocabulary."""
    special = getattr(tokenizer, "additional_special_tokens", None) or []
    pattern = re.compile(rf"{re.escape(primary_subtag(language))}_[A-Z]{{2}}")
    return next((x for x in special if pattern.fullmatch(x)), None)
