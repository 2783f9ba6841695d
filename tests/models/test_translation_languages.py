"""How transformers' multilingual translation models are told their languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.models.translation.seq2seq import _languages

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "t", "h", "e"]


def nllb() -> Any:
    """NLLB's tokenizer, languages and all, over a vocabulary of four pieces."""
    from transformers import NllbTokenizer

    return NllbTokenizer(vocab={x: n for n, x in enumerate(PIECES)}, merges=[])


def m2m(folder: Path) -> Any:
    """M2M-100's tokenizer over a SentencePiece model of one sentence."""
    import sentencepiece
    from transformers import M2M100Tokenizer

    model = folder / "sentencepiece.bpe.model"
    with model.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["the river is near the bridge"] * 20), model_writer=file,
            vocab_size=20, hard_vocab_limit=False, minloglevel=2,
        )  # fmt: skip
    (folder / "vocab.json").write_text(json.dumps({x: n for n, x in enumerate(PIECES)}))
    return M2M100Tokenizer(vocab_file=str(folder / "vocab.json"), spm_file=str(model))


def test_nllb_reads_after_one_language_and_writes_after_the_other() -> None:
    tokenizer = nllb()
    settings, prefix = _languages(tokenizer, "nllb", "en", "zh", {})
    assert tokenizer.convert_ids_to_tokens(settings["forced_bos_token_id"]) == "zho_Hans"
    assert tokenizer.convert_ids_to_tokens(tokenizer("the")["input_ids"])[0] == "eng_Latn"
    assert prefix == ""
    # A code of one's own goes before the table; what the model does not have is refused.
    settings, _ = _languages(tokenizer, "nllb", "en", "zh", {"zh": "yue_Hant"})
    assert tokenizer.convert_ids_to_tokens(settings["forced_bos_token_id"]) == "yue_Hant"
    with pytest.raises(UsageError, match="nllb has no language 'sa'; name its code with --code"):
        _languages(tokenizer, "nllb", "en", "sa", {})


def test_m2m_100_too(tmp_path: Path) -> None:
    tokenizer = m2m(tmp_path)
    settings, prefix = _languages(tokenizer, "m2m", "en", "de", {})
    assert settings == {"forced_bos_token_id": tokenizer.get_lang_id("de")}
    assert tokenizer.src_lang == "en" and prefix == ""
    with pytest.raises(UsageError, match="m2m has no language 'ay'"):
        _languages(tokenizer, "m2m", "en", "ay", {})


class Marian:
    """What is asked of a Marian tokenizer that writes several languages."""

    supported_language_codes = (">>deu<<", ">>cmn_Hans<<", ">>cmn_Hant<<")


def test_a_marian_model_of_several_targets_gets_the_target_before_each_text() -> None:
    assert _languages(Marian(), "opus", "en", "de", {"de": "deu"}) == ({}, ">>deu<< ")
    assert _languages(Marian(), "opus", "en", "zh", {"zh": "cmn_Hant"}) == ({}, ">>cmn_Hant<< ")
    with pytest.raises(UsageError, match="opus translates into deu, cmn_Hans, cmn_Hant, not 'fr'"):
        _languages(Marian(), "opus", "en", "fr", {})
