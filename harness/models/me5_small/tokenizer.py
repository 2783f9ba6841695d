"""XLM-R's tokenizer from the vocabulary in the package's file, through the ``tokenizers`` library.

Characters are replaced by the file's map (sentencepiece's ``nmt_nfkc``, single characters alone),
runs of spaces become one, a space is put before the text, and the most probable pieces are taken.
The library merges neighbouring characters that are in no piece into one unknown token, as XLM-R
does and the package's engine does not.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
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


def make_tokenizer(vocabulary: Vocabulary, longest: int) -> Any:
    """The tokenizer as transformers has it, cutting texts at ``longest`` tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = vocabulary.pieces
    marks = (vocabulary.begin, vocabulary.end, vocabulary.padding, vocabulary.unknown)
    begin, end, padding, unknown = (pieces[x] for x in marks)
    scored = list(zip(pieces, vocabulary.scores, strict=True))
    bare = Tokenizer(models.Unigram(scored[: max(marks) + 1], vocabulary.unknown))
    bare.normalizer = normaliser(vocabulary)
    bare.pre_tokenizer = pre_tokenizers.Metaspace()
    bare.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, vocabulary.begin), (end, vocabulary.end)],
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=bare,
        bos_token=begin,
        cls_token=begin,
        eos_token=end,
        sep_token=end,
        unk_token=unknown,
        pad_token=padding,
        model_max_length=longest,
        model_input_names=["input_ids", "attention_mask"],
    )
    # All pieces only now: the class copies what it is given, and they take 250 MB.
    made.backend_tokenizer.model = models.Unigram(scored, vocabulary.unknown)
    return made
