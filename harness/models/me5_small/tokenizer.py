"""XLM-R's tokenizer from the vocabulary in the package's file, through the ``tokenizers`` library.

Characters are replaced by the file's map (sentencepiece's ``nmt_nfkc``, single characters alone),
runs of spaces become one, a space is put before the text, and the most probable pieces are taken.
The library merges neighbouring characters that are in no piece into one unknown token, as XLM-R
does and the package's engine does not.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.models.me5_small.weights_file import Vocabulary

_OFFSET, _LEAF, _VALUE = 10, 1 << 8, 1 << 31
"""Where a unit of a double array has its offset, and its marks of a key's end and of a value."""


def character_map(normalisation: Mapping[int, str]) -> bytes:
    """Replacements of single characters in the form that sentencepiece compiles them to.

    Bytes of a double array (Aoe 1989, as in darts-clone) over the characters in UTF-8, uint32;
    the array, uint32; and the replacements, each ended by a zero byte, to whose place a key leads.
    """
    texts = bytearray()
    tree: dict[int, Any] = {}
    for character, replacement in normalisation.items():
        node = tree
        for byte in chr(character).encode():
            node = node.setdefault(byte, {})
        node[0] = len(texts)
        texts += replacement.encode() + b"\0"
    units: dict[int, int] = {0: 0}
    waiting, bases = [(0, tree)], {0}
    while waiting:
        at, node = waiting.pop()
        # No base serves two nodes: a child of one would be found from the other.
        base = max(bases) if len(node) == 1 else 0
        while base in bases or any(base ^ byte in units for byte in node):
            base += 1
        bases.add(base)
        units[at] |= (at ^ base) << _OFFSET | (_LEAF if 0 in node else 0)
        for byte, child in node.items():
            units[base ^ byte] = child | _VALUE if byte == 0 else byte
            if byte:
                waiting.append((base ^ byte, child))
    array = np.zeros((max(units) | 255) + 1, "<u4")
    array[list(units)] = list(units.values())
    return struct.pack("<I", array.nbytes) + array.tobytes() + bytes(texts)


def normaliser(vocabulary: Vocabulary) -> Any:
    """What replaces characters and joins spaces, as the library's object."""
    from tokenizers import Regex, normalizers

    return normalizers.Sequence(
        [
            normalizers.Precompiled(character_map(vocabulary.normalisation)),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )


def bare_tokenizer(vocabulary: Vocabulary, *, marks_only: bool = False) -> Any:
    """The library's ``Tokenizer``.

    Args:
        vocabulary: of the file.
        marks_only: whether it gets the special tokens alone, for one that takes the pieces later.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    scored = list(zip(vocabulary.pieces, vocabulary.scores, strict=True))
    marks = (vocabulary.begin, vocabulary.end, vocabulary.padding, vocabulary.unknown)
    if marks_only:
        scored = scored[: max(marks) + 1]
    begin, end, padding, unknown = (vocabulary.pieces[x] for x in marks)
    made = Tokenizer(models.Unigram(scored, vocabulary.unknown))
    made.normalizer = normaliser(vocabulary)
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, vocabulary.begin), (end, vocabulary.end)],
    )
    # In the order in which transformers adds them: names of special tokens in a text are these.
    made.add_special_tokens([begin, end, unknown, padding])
    return made


class TextTokenizer:
    """Texts to token ids, called as transformers' tokenizers are, without transformers."""

    padding_side = "right"
    model_input_names = ("input_ids", "attention_mask")

    def __init__(self, vocabulary: Vocabulary, longest: int) -> None:
        """Of a vocabulary, cutting texts at ``longest`` tokens, special ones included."""
        self._bare = bare_tokenizer(vocabulary)
        self.pad_token_id = vocabulary.padding
        self.model_max_length = longest

    def __call__(
        self, texts: Sequence[str], *, truncation: bool | str = False, **_: Any
    ) -> dict[str, list[list[int]]]:
        """``input_ids``: those of each text, cut to the maximum length if ``truncation`` is set."""
        if truncation:
            self._bare.enable_truncation(self.model_max_length)
        else:
            self._bare.no_truncation()
        return {"input_ids": [x.ids for x in self._bare.encode_batch_fast(list(texts))]}


def make_tokenizer(vocabulary: Vocabulary, longest: int) -> Any:
    """The tokenizer as transformers has it, cutting texts at ``longest`` tokens."""
    from tokenizers import models
    from transformers import PreTrainedTokenizerFast

    pieces = vocabulary.pieces
    begin, end = pieces[vocabulary.begin], pieces[vocabulary.end]
    made = PreTrainedTokenizerFast(
        tokenizer_object=bare_tokenizer(vocabulary, marks_only=True),
        bos_token=begin,
        cls_token=begin,
        eos_token=end,
        sep_token=end,
        unk_token=pieces[vocabulary.unknown],
        pad_token=pieces[vocabulary.padding],
        model_max_length=longest,
        model_input_names=["input_ids", "attention_mask"],
    )
    # All pieces only now: the class copies what it is given, and they take 250 MB.
    scored = list(zip(pieces, vocabulary.scores, strict=True))
    made.backend_tokenizer.model = models.Unigram(scored, vocabulary.unknown)
    return made
