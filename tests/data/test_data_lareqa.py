from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.data.loading import load
from harness.data.task import TaskSpec, find_task, read_task
from harness.data.task_data import TaskData
from harness.errors import DataError, UsageError

# Published with the data sets (LAReQA, arXiv 2004.05484), and counted from the files at the commit
# that the task files pin.
XQUAD_R_PASSAGES = {
    "ar": 1222, "de": 1276, "el": 1234, "en": 1180, "es": 1215, "hi": 1244, "ru": 1219, "th": 852,
    "tr": 1167, "vi": 1209, "zh": 1196,
}  # fmt: skip
MLQA_R_PASSAGES = {
    "ar": 2545, "de": 2362, "en": 6264, "es": 1787, "hi": 2426, "vi": 2828, "zh": 2322,
}  # fmt: skip
MLQA_R_QUESTIONS = {
    "ar": 517, "de": 512, "en": 1148, "es": 500, "hi": 507, "vi": 511, "zh": 504,
}  # fmt: skip


def relevant_by_language(data: TaskData, question: str) -> Counter[str]:
    return Counter(passage.partition(":")[0] for passage in data.qrels[question])


def test_counts_of_xquad_r(real_data: Path) -> None:
    data = load(find_task("xquad-r"), data_dir=real_data, offline=True)
    assert {x: len(data.queries[x]) for x in data.languages} == dict.fromkeys(data.languages, 1190)
    assert {x: len(data.passages[x]) for x in data.languages} == XQUAD_R_PASSAGES
    assert sum(XQUAD_R_PASSAGES.values()) == 13_014
    assert len(data.qrels) == 1190
    assert all(relevant_by_language(data, x) == Counter(data.languages) for x in data.qrels)
    assert data.partial == {}


def test_counts_of_mlqa_r(real_data: Path) -> None:
    data = load(find_task("mlqa-r"), data_dir=real_data, offline=True)
    assert {x: len(data.queries[x]) for x in data.languages} == MLQA_R_QUESTIONS
    assert {x: len(data.passages[x]) for x in data.languages} == MLQA_R_PASSAGES
    assert sum(MLQA_R_PASSAGES.values()) == 20_534
    assert Counter(len(relevant) for relevant in data.qrels.values()) == {2: 65, 3: 263, 4: 820}
    for language in data.languages:
        for question in data.queries[language].ids:
            assert relevant_by_language(data, question)[language] == 1


def test_queries_of_the_cross_settings_of_mlqa_r(real_data: Path) -> None:
    data = load(find_task("mlqa-r"), data_dir=real_data, offline=True)
    counts = {
        (requested, held): sum(
            relevant_by_language(data, x)[held] for x in data.queries[requested].ids
        )
        for requested in data.languages
        for held in data.languages
        if requested != held
    }
    without_english = {n for pair, n in counts.items() if "en" not in pair}
    assert (min(without_english), max(without_english)) == (161, 207)
    into_english = {n for (_, held), n in counts.items() if held == "en"}
    assert (min(into_english), max(into_english)) == (500, 517)
    assert all(counts[held, requested] == n for (requested, held), n in counts.items())


def test_sentences_are_sliced_from_the_context(real_data: Path) -> None:
    # The one paragraph whose `sentences` field differs: it has a "⁞" where the context has three
    # mangled bytes, which shifts its breaks by two characters.
    data = load(find_task("xquad-r"), languages=["tr"], data_dir=real_data, offline=True)
    passages = dict(zip(data.passages["tr"].ids, data.passages["tr"].texts, strict=True))
    assert "1â\x81„2 in" in passages["48-2"]
    assert passages["48-2"].endswith("dönüştürülmüştü")
    assert passages["48-3"].startswith(". İki turistik")


@pytest.mark.parametrize(("name", "expected"), [("xquad-r", 112), ("mlqa-r", 25)])
def test_an_answer_that_runs_past_its_sentence_counts_where_it_starts(
    real_data: Path, name: str, expected: int
) -> None:
    data = load(find_task(name), data_dir=real_data, offline=True)
    past = 0
    for language in data.languages:
        passages = dict(
            zip(data.passages[language].ids, data.passages[language].texts, strict=True)
        )
        whole = json.loads((real_data / name / f"{language}.json").read_text(encoding="utf-8"))
        for article in whole["data"]:
            for paragraph in article["paragraphs"]:
                for entry in paragraph["qas"]:
                    (gold,) = (
                        x.partition(":")[2]
                        for x in data.qrels[entry["id"]]
                        if x.startswith(f"{language}:")
                    )
                    answer = entry["answers"][0]
                    past += answer["text"] not in passages[gold]
                    start = paragraph["sentence_breaks"][int(gold.partition("-")[2])][0]
                    offset = answer["answer_start"] - start
                    assert 0 <= offset < len(passages[gold])
                    assert answer["text"].startswith(passages[gold][offset:][: len(answer["text"])])
    assert past == expected


def test_a_file_of_real_data_is_the_pinned_one(real_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xquad-r"
    folder.mkdir()
    raw = (real_data / "xquad-r" / "th.json").read_bytes()
    (folder / "th.json").write_bytes(raw.replace(b"308", b"309", 1))
    with pytest.raises(DataError, match=r"th\.json: SHA-256 is .* expected c3a041864c3a"):
        load(find_task("xquad-r"), languages=["th"], data_dir=tmp_path, offline=True)


# A small task in the same form, to break in every way.

CONTEXT = {"en": "Tea is hot. Ice is cold. Sun.", "de": "Tee ist heiß. Eis ist kalt. Sonne."}
BREAKS = {"en": [[0, 11], [12, 24], [25, 29]], "de": [[0, 13], [14, 27], [28, 34]]}

Change = Callable[[dict[str, Any]], object]


def question(name: str, text: str, start: int, answer: str) -> dict[str, Any]:
    return {"id": name, "question": text, "answers": [{"answer_start": start, "text": answer}]}


def small(tmp_path: Path, change: Change | None = None) -> TaskSpec:
    """Two languages, one paragraph each; ``change`` alters the English paragraph."""
    (tmp_path / "data").mkdir(exist_ok=True)
    requested = {
        "en": [question("q1", "What is hot?", 0, "Tea"), question("q2", "And cold?", 12, "Ice")],
        "de": [question("q2", "Was ist kalt?", 14, "Eis"), question("q3", "Licht?", 28, "Sonne")],
    }
    for language in ("en", "de"):
        paragraph = {
            "context": CONTEXT[language],
            "sentence_breaks": BREAKS[language],
            "sentences": ["not read"],
            "qas": requested[language],
        }
        if change is not None and language == "en":
            paragraph = json.loads(json.dumps(paragraph))
            change(paragraph)
        whole = {"version": "1", "data": [{"title": "t", "paragraphs": [paragraph]}]}
        (tmp_path / "data" / f"{language}.json").write_text(json.dumps(whole), encoding="utf-8")
    path = tmp_path / "small.toml"
    path.write_text(
        'name = "small"\ntitle = "Small"\ndescription = "Small."\nreader = "lareqa"\n'
        'languages = ["en", "de"]\nsettings = ["mono"]\ntext = "sentence"\n'
        'texts = ["sentence", "sentence-context"]\nmeasures = ["map"]\nlicense = "CC0-1.0"\n'
        '[source]\nfolder = "./data"\n'
    )
    return read_task(path)


def test_passages_questions_and_parallel_sets(tmp_path: Path) -> None:
    data = load(small(tmp_path))
    assert data.passages["en"].ids == ("0-0", "0-1", "0-2")
    assert data.passages["en"].texts == ("Tea is hot.", "Ice is cold.", "Sun.")
    assert data.queries["de"].ids == ("q2", "q3")
    assert data.qrels == {
        "q1": {"en:0-0": 1},
        "q2": {"en:0-1": 1, "de:0-1": 1},
        "q3": {"de:0-2": 1},
    }


def test_a_sentence_with_its_paragraph(tmp_path: Path) -> None:
    small(tmp_path)
    data = load(read_task(tmp_path / "small.toml", text="sentence-context"))
    assert data.passages["en"].texts[1] == "Ice is cold.\nTea is hot. Ice is cold. Sun."
    assert data.digest != load(small(tmp_path)).digest


@pytest.mark.parametrize(
    ("start", "gold"),
    [(0, "0-0"), (10, "0-0"), (12, "0-1"), (23, "0-1"), (28, "0-2")],  # ends are exclusive
)
def test_the_relevant_passage_is_where_the_answer_starts(
    tmp_path: Path, start: int, gold: str
) -> None:
    def change(paragraph: dict[str, Any]) -> None:
        paragraph["qas"] = [question("q1", "?", start, CONTEXT["en"][start:])]

    assert set(load(small(tmp_path, change), languages=["en"]).qrels["q1"]) == {f"en:{gold}"}


def put(**values: Any) -> Change:
    return lambda paragraph: paragraph.update(values)


def put_question(**values: Any) -> Change:
    return lambda paragraph: paragraph["qas"][1].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put_question(answers=[{"answer_start": 11, "text": " Ice"}]),
         r"paragraph 0, question 'q2': the answer at character 11 is outside every sentence"),
        (put_question(answers=[{"answer_start": 13, "text": "Ice"}]),
         r"paragraph 0, question 'q2': the answer 'Ice' is not found at character 13"),
        (put_question(answers=[{"answer_start": "12", "text": "Ice"}]),
         r"question 'q2': 'answer_start' must be an integer, not '12'"),
        (put_question(answers=[{"answer_start": 12}]), r"question 'q2': the answer has no 'text'"),
        (put_question(answers=[{}, {}]), r"question 'q2': must have exactly one answer, not 2"),
        (put_question(answers=None), r"question 'q2': key 'answers' must be a list"),
        (put_question(id="q1"), r"paragraph 0, question 'q1': this id occurs twice in the file"),
        (put_question(id="q 2"), r"paragraph 0, question: id 'q 2' contains whitespace"),
        (put_question(id=2), r"paragraph 0, question: an id must be a non-empty string, not 2"),
        (put_question(question=" "), r"question 'q2': 'question' is empty"),
        (put_question(question="\ud83d"), r"question 'q2': contains the lone surrogate \\ud83d"),
        (put(context=""), r"paragraph 0: 'context' is empty"),
        (put(context=None), r"paragraph 0: 'context' must be a string, not None"),
        (put(context="Tea \udcff is hot. Ice is cold. Sun."), r"paragraph 0: contains the lone su"),
        (put(qas=[]), r"en\.json: contains no question"),
        (put(qas=["q"]), r"paragraph 0: a question must be a JSON object"),
        (lambda paragraph: paragraph.pop("qas"), r"paragraph 0: key 'qas' is missing"),
        (put(sentence_breaks=[]), r"paragraph 0: 'sentence_breaks' must be a non"),
        (put(sentence_breaks=[[0, 11], [10, 24]]),
         r"paragraph 0, sentence 1: break \[10, 24\] overlaps the previous one, which ends at 11"),
        (put(sentence_breaks=[[0, 11], [24, 12]]),
         r"paragraph 0, sentence 1: break \[24, 12\] runs backward"),
        (put(sentence_breaks=[[-1, 11]]), r"sentence 0: break \[-1, 11\] starts below 0"),
        (put(sentence_breaks=[[0, 30]]), r"break \[0, 30\] runs past the paragraph's 29 char"),
        (put(sentence_breaks=[[0, 11], [11, 12]]), r"sentence 1: break \[11, 12\] contains no"),
        (put(sentence_breaks=[[0, 11], [12, 12]]), r"sentence 1: break \[12, 12\] contains no"),
        (put(sentence_breaks=[[0, True]]), r"sentence 0: a break must be two integers"),
        (put(sentence_breaks=[[0, 11, 12]]), r"sentence 0: a break must be two integers"),
    ],
)  # fmt: skip
def test_a_malformed_paragraph(tmp_path: Path, change: Change, message: str) -> None:
    spec = small(tmp_path, change)
    with pytest.raises(DataError, match=message) as caught:
        load(spec)
    assert str(caught.value).startswith(str(tmp_path / "data" / "en.json"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"data": [{"paragraphs": [', r"line 1, column \d+: not valid JSON \(the file is trunc"),
        (b"", r"not valid JSON \(the file is truncated\)"),
        (b'{"data": nope}', r"line 1, column 10: not valid JSON: "),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"data":\n[{"title": "\xe4"}]}', r"line 2: not UTF-8 \(byte 0xe4 at offset 21\)"),
        (b"[]", "must be a JSON object with the key 'data'"),
        (b"{}", "key 'data' is missing"),
        (b'{"data": [3]}', "article 0: must be a JSON object"),
        (b'{"data": [{"paragraphs": {}}]}', "article 0: key 'paragraphs' must be a list"),
        (b'{"data": [{"paragraphs": [1]}]}', "paragraph 0: must be a JSON object"),
    ],
)
def test_a_malformed_file(tmp_path: Path, raw: bytes, message: str) -> None:
    spec = small(tmp_path)
    (tmp_path / "data" / "de.json").write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        load(spec)
    assert str(caught.value).startswith(str(tmp_path / "data" / "de.json"))


def test_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    spec = small(tmp_path)
    expected = load(spec).digest
    path = tmp_path / "data" / "de.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(spec).digest == expected


def test_some_languages(tmp_path: Path) -> None:
    spec = small(tmp_path)
    (tmp_path / "data" / "de.json").unlink()  # not even opened
    data = load(spec, languages=["en"])
    assert (data.languages, set(data.passages), data.partial) == (
        ("en",), {"en"}, {"languages": ["en"]},
    )  # fmt: skip
    assert data.qrels == {"q1": {"en:0-0": 1}, "q2": {"en:0-1": 1}}
    with pytest.raises(UsageError, match=r"'small' has no language 'ed': it has en, de"):
        load(spec, languages=["ed"])
    with pytest.raises(UsageError, match="at least one language"):
        load(spec, languages=[])


def test_languages_come_in_the_tasks_order(tmp_path: Path) -> None:
    data = load(small(tmp_path), languages=["de", "en"])
    assert (data.languages, data.partial) == (("en", "de"), {})


def test_a_limit_keeps_the_same_questions_in_every_language(real_data: Path) -> None:
    spec = find_task("xquad-r")
    data = load(spec, languages=["de", "th"], limit=20, data_dir=real_data, offline=True)
    whole = load(spec, languages=["de"], data_dir=real_data, offline=True)
    assert data.queries["de"].ids == data.queries["th"].ids == whole.queries["de"].ids[:20]
    assert set(data.qrels) == set(data.queries["de"].ids)
    assert len(data.passages["de"]) == 1276  # all passages stay
    assert data.partial == {"languages": ["de", "th"], "limit": 20}


def test_a_limit_leaves_questions_in_every_language(tmp_path: Path) -> None:
    # English asks q1 and q2, German q2 and q3: q1 is taken for English, q2 for German.
    spec = small(tmp_path)
    data = load(spec, limit=1)
    assert data.queries["en"].ids == ("q1", "q2")
    assert data.queries["de"].ids == ("q2",)
    assert data.partial == {"limit": 1}
    assert load(spec, limit=3).partial == {}  # it cut nothing
    with pytest.raises(UsageError, match="limit must be 1 or more, not 0"):
        load(spec, limit=0)
