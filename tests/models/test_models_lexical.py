"""BM25: bm25s's own scores, for every script, in any block."""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ModelError
from harness.models import ModelOptions, load
from harness.models.bm25.tokens import tokens

PASSAGES = [
    "The cat sat on the mat.",
    "A dog barked at the cat!",
    "Der Hund bellt die Katze an.",
    "猫坐在垫子上。",
    "แมวนั่งบนเสื่อ",
    "बिल्ली चटाई पर बैठी है।",
    "Η γάτα κάθισε στο χαλί.",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Of", ["<of>", "<of", "of>"]),
        ("a", ["<a>"]),
        ("ＡＢＣ", ["<abc>", "<ab", "abc", "bc>"]),  # full-width forms: NFKC
        ("ΟΔΟΣ", ["<οδοσ>", "<οδ", "οδο", "δοσ", "οσ>"]),  # final sigma: casefold
        ("猫坐", ["猫", "坐", "猫坐"]),
        ("แมว", ["แม", "มว", "แมว"]),
        ("ก", ["ก"]),
        # The vowel signs stay in the word: one word, not three pieces.
        ("बिल्ली", ["<बिल्ली>", "<बि", "बिल", "िल्", "ल्ल", "्ली", "ली>"]),
        ("iPhone手机", ["<iphone>", "<ip", "iph", "pho", "hon", "one", "ne>", "手", "机", "手机"]),
        ("--- !", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_score_by_hand() -> None:
    # Lucene's BM25, k1 = 1.2, b = .75, worked out for one term: "<cat>" is in 2 of 3 passages.
    pool = ["cat", "cat dog", "sun"]
    scores = load("bm25").index(pool, languages=["en"] * 3).score(["cat"], language="en")
    lengths = [4, 8, 4]  # a three-letter word is itself and three 3-grams
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    average = sum(lengths) / 3
    want = [4 * idf / (1 + 1.2 * (1 - 0.75 + 0.75 * x / average)) for x in lengths[:2]]
    np.testing.assert_allclose(scores, [[*want, 0.0]], rtol=1e-6)


def assert_equals_bm25s(pool: list[str], queries: list[str]) -> None:
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    retriever = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    retriever.index([tokens(p) for p in pool], show_progress=False)
    got = load("bm25").index(pool, languages=["en"] * len(pool)).score(queries, language="en")
    assert got.shape == (len(queries), len(pool))
    assert got.dtype == np.float32
    for row, query in zip(got, queries, strict=True):
        requested = tokens(query)
        want = retriever.get_scores(requested) if requested else np.zeros(len(pool), np.float32)
        np.testing.assert_array_equal(row, want)


def test_equals_bm25s_on_every_script() -> None:
    assert_equals_bm25s(PASSAGES, [*PASSAGES, "cat cat dog", "猫在哪里", "", "zzz"])


word = st.text(alphabet="ab猫狗แมά ", min_size=1, max_size=12)


@settings(deadline=None, max_examples=40)
@given(st.lists(word, min_size=1, max_size=8), st.lists(word, min_size=1, max_size=4))
def test_equals_bm25s_on_anything(pool: list[str], queries: list[str]) -> None:
    if any(tokens(p) for p in pool):
        assert_equals_bm25s(pool, queries)


def test_scores_do_not_depend_on_the_block() -> None:
    index = load("bm25").index(PASSAGES, languages=["en"] * len(PASSAGES))
    whole = index.score(PASSAGES, language="en")
    single = np.concatenate([index.score([p], language="en") for p in PASSAGES])
    np.testing.assert_array_equal(whole, single)


def test_each_pool_has_its_own_statistics() -> None:
    model = load("bm25")
    alone = model.index(PASSAGES[:2], languages=["en"] * 2).score(["cat"], language="en")
    pooled = model.index(PASSAGES, languages=["en"] * 7).score(["cat"], language="en")
    # "cat" is in both passages of the small pool, and rare in the large one.
    assert (pooled[0, :2] > alone[0]).all()


def test_words_of_other_pools_and_of_none_score_nothing() -> None:
    model = load("bm25")
    first = model.index(["cat dog", "sun"], languages=["en", "en"])
    model.index(["elephant"], languages=["en"])
    got = first.score(["elephant", "quokka", "cat elephant quokka", "cat"], language="en")
    assert not got[:2].any()
    np.testing.assert_array_equal(got[2], got[3])
    assert got[3, 0] > 0


def test_same_script_finds_the_right_passage() -> None:
    index = load("bm25").index(PASSAGES, languages=["en"] * len(PASSAGES))
    best = index.score(
        ["猫在哪里坐？", "แมวอยู่ไหน", "बिल्ली कहाँ है", "Πού είναι η γάτα;"], language=""
    )
    assert best.argmax(axis=1).tolist() == [3, 4, 5, 6]


def test_pool_without_a_word_is_an_error() -> None:
    with pytest.raises(ModelError, match="none of the 2 passages of a pool contains a word"):
        load("bm25").index(["...", "!"], languages=["en", "en"])


def test_prompts_and_length_are_refused() -> None:
    with pytest.raises(ModelError, match="--passage-prompt does not apply to bm25"):
        load("bm25", ModelOptions(passage_prompt="passage: "))
    with pytest.raises(ModelError, match="--max-length does not apply to bm25"):
        load("bm25", ModelOptions(max_length=128))


def test_facts_say_what_was_scored() -> None:
    facts = load("bm25").facts
    assert (facts["method"], facts["k1"], facts["b"]) == ("lucene", 1.2, 0.75)
    json.dumps(dict(facts))


@pytest.mark.slow
def test_real_pool_takes_seconds(real_data: Path) -> None:
    passages: list[str] = []
    queries: list[str] = []
    for path in sorted((real_data / "xquad-r").glob("*.json")):
        for article in json.loads(path.read_text("utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                breaks = paragraph["sentence_breaks"]
                passages += [paragraph["context"][a:b] for a, b in breaks]
                queries += [q["question"] for q in paragraph["qas"]]
    assert (len(passages), len(queries)) == (13_014, 13_090)  # the published counts
    index = load("bm25").index(passages, languages=["en"] * len(passages))
    index.score(queries[:1], language="en")
    start = time.process_time()
    for at in range(0, len(queries), 1190):
        index.score(queries[at : at + 1190], language="en")
    # About 1.3 s of one core on the machine this was written on; the rest is room for slower ones.
    assert time.process_time() - start < 15
