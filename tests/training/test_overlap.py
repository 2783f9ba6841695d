from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import write_task

from harness.cli import main
from harness.data.loading import load
from harness.data.task import read_task
from harness.errors import DataError, UsageError
from harness.training.overlap.ancestry import ancestors
from harness.training.overlap.detection import Text, find_overlap, require_unseen
from harness.training.overlap.minhash import BANDS, ROWS, NearDuplicates, jaccard
from harness.training.overlap.normal_form import Batch, normal
from harness.training.overlap.pair_files import origins
from harness.training.sources.conversion import about


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Who's  the “King”?\n", "who s the king"),
        ("ﬁne Straße", "fine strasse"),  # a ligature; sharp s folds to two letters
        ("北京大学？", "北 京 大 学"),
        ("北京 大学", "北 京 大 学"),
        ("GPUは速い。", "gpu は 速 い"),
        ("می\u200cشود", "میشود"),  # a zero-width non-joiner is how it is typed, not what it says
        ("हिन्दी में?", "हिन्दी में"),  # vowel signs are part of a word
        ("C++ or $5", "c++ or $5"),
        ("한국어 질문", "한국어 질문"),
        ("…?!", ""),
        ("", ""),
    ],
)
def test_normal_form(text: str, expected: str) -> None:
    assert normal(text) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8))
def test_a_batch_is_its_texts_one_by_one(texts: list[str]) -> None:
    batch = Batch(texts)
    assert [batch.text(x) for x in range(len(texts))] == [normal(x) for x in texts]
    alike = {batch.text(x): h for x, h in enumerate(batch.wholes().tolist())}
    assert [alike[batch.text(x)] for x in range(len(texts))] == batch.wholes().tolist()
    for text in texts:
        assert normal(normal(text)) == normal(text)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(alphabet="ab 北。", max_size=20), min_size=1, max_size=6), st.integers(2, 4)
)
def test_grams_and_windows_are_those_of_plain_python(texts: list[str], words: int) -> None:
    batch = Batch(texts)
    owners, starts, ends = batch.grams(words)
    found = [(o, batch.span(a, b)) for o, a, b in zip(owners, starts, ends, strict=True)]
    wanted = []
    for number, text in enumerate(texts):
        split = normal(text).split()
        wanted += [(number, " ".join(split[i : i + words])) for i in range(len(split) - words + 1)]
    assert found == wanted
    hashes = batch.hashes(starts, ends).tolist()
    assert len(set(hashes)) == len({gram for _, gram in found})
    number, windows = batch.windows(words)
    plain = [
        (n, normal(t)[i : i + words])
        for n, t in enumerate(texts)
        for i in range(len(normal(t)) - words + 1)
    ]
    assert number.tolist() == [n for n, _ in plain]
    assert len(set(windows.tolist())) == len({w for _, w in plain})


def test_similarity_by_hand() -> None:
    # Bags of 5-grams: abcde bcdef against abcde bcdeX: one of three in common.
    assert jaccard("abcdef", "abcdex") == pytest.approx(1 / 3)
    # aaaaa twice against once: a repeat counts.
    assert jaccard("aaaaaa", "aaaaa") == pytest.approx(1 / 2)
    assert jaccard("abc", "abd") == 0.0


def test_near_duplicates_are_those_that_counting_finds() -> None:
    """As many as the bands promise: 1 in 2,800 is missed at the threshold, fewer above it."""
    draw = random.Random(5)
    letters = "abcdefghijklmnop"
    base = ["".join(draw.choices(letters, k=draw.randint(30, 90))) for _ in range(400)]

    def spoiled(text: str) -> str:
        chars = list(text)
        for _ in range(draw.randint(0, 4)):
            chars[draw.randrange(len(chars))] = draw.choice(letters)
        return "".join(chars)

    others = [spoiled(x) for x in base]
    wanted = {
        (n, o)
        for n, other in enumerate(others)
        for o, text in enumerate(base)
        if jaccard(other, text) >= 0.6
    }
    assert 100 < len(wanted) < 400
    index = NearDuplicates(Batch(base), 0.6)
    found = {(x.number, x.owner) for x in index.find(Batch(others))}
    assert found <= wanted
    similarity = np.array([jaccard(others[n], base[o]) for n, o in wanted])
    missed = float(((1 - similarity**ROWS) ** BANDS).sum())
    assert len(wanted) - len(found) <= missed + 4 * missed**0.5


@pytest.fixture
def tiny_task(tmp_path: Path) -> Path:
    return write_task(tmp_path / "task", languages=("en", "zh"))


def texts(*rows: tuple[str, str, str]) -> list[Text]:
    return [Text("mine", f"r{n}", role, lang, text) for n, (role, lang, text) in enumerate(rows)]


def test_equal_questions_are_found_whatever_language_the_data_claims(tiny_task: Path) -> None:
    task = load(read_task(tiny_task))
    question = task.queries["en"].texts[3]
    (found,) = find_overlap(
        [task],
        texts(
            ("query", "de", f"  {question.upper()}?!"),
            ("passage", "en", task.passages["en"].texts[0]),
            ("passage", "en", task.passages["en"].texts[0] + "."),
            ("query", "en", "nothing like it at all"),
        ),
    )
    tallies = {(x.role, x.language): x for x in found.tallies}
    assert tallies["query", "en"].exact == 1
    assert tallies["query", "zh"].exact == 0
    assert tallies["passage", "en"].exact == 1
    assert found.training["passage"]["exact"] == 2
    assert found.compared == {"query": 2, "passage": 2}
    assert found.leaked[0] == ("en", found.leaked[0][1])
    shown = found.examples[0]
    assert (shown.role, shown.language, shown.id, shown.row) == ("query", "en", "q03", "r0")


def test_thirteen_words_in_a_row(tmp_path: Path) -> None:
    path = write_task(tmp_path / "task", languages=("en", "zh"), questions=2, distractors=0)
    words = " ".join(f"word{n}" for n in range(13))
    signs = "零一二三四五六七八九十百千"  # 13 characters, each a word
    for language, text in (("en", f"before {words} after"), ("zh", f"前{signs}后")):
        rows = [{"id": "p00", "text": text}, {"id": "p01", "text": "short"}]
        (tmp_path / "task" / "data" / f"passages.{language}.jsonl").write_text(
            "".join(json.dumps(x) + "\n" for x in rows)
        )
    task = load(read_task(path))
    twelve = " ".join(words.split()[:12])
    (found,) = find_overlap(
        [task],
        texts(
            ("passage", "en", f"Quite {words.upper()}, else"),
            ("passage", "en", f"Quite {twelve} else"),
            ("passage", "zh", f"他{signs[:6]} {signs[6:]}她"),
            ("passage", "zh", f"他{signs[:12]}她"),
        ),
    )
    tallies = {x.language: x for x in found.tallies if x.role == "passage"}
    assert (tallies["en"].ngram, tallies["en"].long_enough) == (1, 1)
    assert (tallies["zh"].ngram, tallies["zh"].long_enough) == (1, 1)
    assert found.training["passage"]["ngram"] == 2
    assert Counter(x.detail for x in found.examples if x.kind == "ngram") == Counter(
        [words, " ".join(signs)]
    )


def test_thai_letters_are_quarters_of_words() -> None:
    letters = "กขคงจฉชซ"  # 8 letters: as long as two words
    batch = Batch([letters, letters[:7], f"{letters[:4]} gpu", "one two 三"])
    owners, starts, ends = batch.grams(2)
    found = [(o, batch.span(a, b)) for o, a, b in zip(owners, starts, ends, strict=True)]
    assert found == [
        (0, " ".join(letters)),
        (2, "ก ข ค ง gpu"),
        (3, "one two"),
        (3, "two 三"),
    ]


def test_training_stops_at_leaked_questions_unless_allowed(tiny_task: Path) -> None:
    task = load(read_task(tiny_task))
    clean = find_overlap([task], texts(("query", "en", "nothing like it at all")))
    require_unseen(clean, allowed=False)
    assert clean[0].sentences()[0] == "None of the 20 questions of tiny is in the training data"
    found = find_overlap([task], texts(("query", "en", task.queries["en"].texts[0])))
    require_unseen(found, allowed=True)
    with pytest.raises(
        DataError, match=r"questions? of tiny (is|are) in the training data .*row r0"
    ):
        require_unseen(found, allowed=False)


def test_the_answer_does_not_hang_on_batches(tiny_task: Path) -> None:
    task = load(read_task(tiny_task))
    rows = texts(*[("query", "en", x) for x in task.queries["en"].texts] * 2)
    whole = find_overlap([task], rows)
    import harness.training.overlap.detection as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHARACTERS", 1)
        assert find_overlap([task], rows) == whole


@pytest.mark.parametrize(
    ("name", "task", "languages", "expected"),
    [
        ("tydiqa.goldp.sw.train", "miracl", ["en", "sw", "yo"], ("en", "sw")),
        ("copenlu/tydiqa_copenlu", "miracl", ["sw"], ("sw",)),
        ("castorini/mr-tydi", "miracl-de", ["de"], None),  # German is MIRACL's own
        ("squad-train", "xquad-r", ["en", "ru"], ("en", "ru")),
        ("squadshifts", "xquad-r", ["en", "ru"], None),
        ("squad", "mlqa-r", ["en"], None),
        ("my-questions", "miracl", ["sw"], None),
    ],
)
def test_ancestry(
    name: str, task: str, languages: list[str], expected: tuple[str, ...] | None
) -> None:
    found = ancestors(task, languages, [name])
    assert [x.languages for x in found] == ([] if expected is None else [expected])


def test_ancestry_is_of_the_languages_that_the_data_has() -> None:
    (found,) = ancestors("miracl", ["en", "ko", "sw", "yo"], ["tydiqa"], ["ko", "sw"])
    assert found.languages == ("ko", "sw")
    # A translated set is a relative in every language.
    (found,) = ancestors("xquad-r", ["en", "ru"], ["squad"], ["en"])
    assert found.languages == ("en", "ru")


def write_pairs(path: Path, *pairs: tuple[str, str]) -> Path:
    rows = [
        {"id": f"r{n}", "language": "en", "query": q, "passage": p}
        for n, (q, p) in enumerate(pairs)
    ]
    path.write_text("".join(json.dumps(x) + "\n" for x in rows))
    return path


def test_the_command(tiny_task: Path, tmp_path: Path) -> None:
    task = load(read_task(tiny_task))
    clean = write_pairs(tmp_path / "clean.jsonl", ("why is that", "because it is so"))
    done = CliRunner().invoke(main, ["overlap", "--data", str(clean), "--task", str(tiny_task)])
    assert done.exit_code == 0, done.output
    assert "None of the 20 questions of tiny is in the training data." in done.output

    leaky = write_pairs(tmp_path / "leaky.jsonl", (task.queries["en"].texts[0], "an answer"))
    hits = tmp_path / "hits.jsonl"
    command = ["overlap", "--data", str(clean), "--data", str(leaky), "--task", str(tiny_task)]
    done = CliRunner().invoke(main, [*command, "--hits", str(hits), "--json"])
    assert done.exit_code == 1
    (document,) = json.loads(done.stdout)
    assert document["training_texts"] == {"query": 2, "passage": 2}
    written = [json.loads(x) for x in hits.read_text().splitlines()]
    assert {(x["data"], x["row"], x["id"]) for x in written if x["kind"] == "exact"} == {
        ("leaky", "r0", "q00")
    }


def test_clean_leaves_out_the_rows_that_contain_a_question(tiny_task: Path, tmp_path: Path) -> None:
    task = load(read_task(tiny_task))
    pairs = [("why is that", "because"), (f"{task.queries['en'].texts[0]}!", "an answer")]
    leaky = write_pairs(tmp_path / "leaky.jsonl", *pairs)
    made = {"files": [{"name": "tydiqa.goldp.en.train.json.gz"}]}
    (tmp_path / "leaky.jsonl.about.json").write_text(json.dumps(made))
    command = ["overlap", "--data", str(leaky), "--task", str(tiny_task), "--clean"]
    assert CliRunner().invoke(main, [*command, str(tmp_path / "clean")]).exit_code == 1
    cleaned = tmp_path / "clean" / "leaky.jsonl"
    assert cleaned.read_text() == leaky.read_text().splitlines()[0] + "\n"
    assert origins([cleaned]) == ["leaky", "tydiqa.goldp.en.train"]
    assert about(cleaned)["rows"] == about(cleaned)["ids_left_out"] == 1
    command[2] = str(cleaned)
    assert CliRunner().invoke(main, [*command, str(tmp_path / "again")]).exit_code == 0
    done = CliRunner().invoke(main, [*command, str(tmp_path / "clean")])
    assert done.exit_code == 2 and "name another folder" in done.output
    command += [str(tmp_path / "both"), "--data", str(leaky)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and "two files are called leaky.jsonl" in done.output
    assert not (tmp_path / "both").exists()


def test_pairs_that_were_translated_have_the_ancestry_of_what_they_were_made_from(
    tmp_path: Path,
) -> None:
    pairs = write_pairs(tmp_path / "mine.jsonl", ("why is that", "because it is so"))
    made = {"files": [{"name": "tydiqa.goldp.en.train.json.gz"}]}
    facts = {"files": [{"name": "pairs.jsonl"}], "origin": made}
    (tmp_path / "mine.jsonl.about.json").write_text(json.dumps(facts))
    assert origins([pairs]) == ["pairs", "tydiqa.goldp.en.train"]
    for wrong in ({"files": [{}]}, {"files": 3}, {"origin": "tydiqa"}):
        (tmp_path / "mine.jsonl.about.json").write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=r"mine\.jsonl\.about\.json: 'files' must be a list"):
            origins([pairs])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.jsonl"], "nowhere.jsonl: no such file of training pairs"),
        (["--data", "FILE", "--ngram", "1"], "--ngram must be 2 or more, not 1"),
        (["--data", "FILE", "--threshold", "1.5"], "--threshold must be above 0 and at most 1"),
        (["--data", "BROKEN"], "broken.jsonl: line 2: not valid JSON"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], message: str, tiny_task: Path, tmp_path: Path
) -> None:
    good = write_pairs(tmp_path / "good.jsonl", ("why is that", "because it is so"))
    broken = tmp_path / "broken.jsonl"
    broken.write_text(good.read_text() + "{\n")
    named = {"FILE": str(good), "BROKEN": str(broken)}
    done = CliRunner().invoke(
        main, ["overlap", "--task", str(tiny_task), *(named.get(x, x) for x in arguments)]
    )
    assert done.exit_code == 2
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_a_broken_file_leaves_no_hits_behind(tiny_task: Path, tmp_path: Path) -> None:
    from harness.training.overlap.pair_files import check_files

    task = load(read_task(tiny_task))
    leaky = write_pairs(tmp_path / "leaky.jsonl", (task.queries["en"].texts[0], "an answer"))
    leaky.write_text(leaky.read_text() + "{\n")
    with pytest.raises(DataError):
        check_files([leaky], [str(tiny_task)], hits=tmp_path / "hits.jsonl")
    assert [x.name for x in tmp_path.iterdir() if "hits" in x.name] == []
    with pytest.raises(UsageError, match="--passages must be one of all, gold, none"):
        check_files([leaky], [str(tiny_task)], passages="some")
