"""Translations: engines made by hand, a random Marian model, and real programs where they are."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import random_models
from click.testing import CliRunner

from harness.cli import main
from harness.errors import DataError, ModelError, UsageError
from harness.models.translation.engine import EngineOptions, Translated, by_length, sentences
from harness.models.translation.flores import flores_code
from harness.models.translation.memory import Memory
from harness.models.translation.open_engine import open_engine
from harness.training.pairs import read_examples
from harness.training.translated_pairs import translate_file, translations_path
from harness.training.translation_checks import verdict


class Upper:
    """Says what it was given in Greek letters, and remembers what it was asked."""

    batch_size = 2

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.requested: list[list[str]] = []

    def facts(self, source: str, target: str) -> dict[str, Any]:
        return {"engine": "test", "model": "upper", "digest": "0", "languages": [source, target]}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[Translated]:
        self.requested.append(list(texts))
        letters = str.maketrans("abcdefghijklmnopqrstuvwxyz", "αβγδεζηθικλμνξοπρστυφχψωαβ")
        return [Translated(self.answers.get(x, x.lower().translate(letters))) for x in texts]


class Abroad(Upper):
    """Has a model for each two different languages."""

    def facts(self, source: str, target: str) -> dict[str, Any]:
        if source == target:
            raise ModelError(f"no model from {source} to {target}")
        return super().facts(source, target) | {"model": f"{source}-{target}"}


def rows(path: Path, *pairs: tuple[str, str], **more: Any) -> Path:
    found = [
        {"id": f"r{n}", "language": "en", "query": q, "passage": p, **more}
        for n, (q, p) in enumerate(pairs)
    ]
    path.write_text("".join(json.dumps(x) + "\n" for x in found))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(x) for x in path.read_text().splitlines()]


def test_originals_stay_and_every_text_is_translated_once(tmp_path: Path) -> None:
    data = rows(
        tmp_path / "data.jsonl",
        ("what is a", "long answer one"),
        ("who", "long answer one"),
        negatives=["a wrong one"],
    )
    engine = Upper()
    out = tmp_path / "out.jsonl"
    done = translate_file(data, out, ["el"], engine)
    assert (done.translated, done.cached) == (3, 1)
    assert engine.requested == [["long answer one", "what is a"], ["who"]]  # longest first, by twos
    first = read(out)[0]
    assert first == {
        "id": "r0",
        "query": {"en": "what is a", "el": "ψθαυ ιτ α"},
        "passage": {"en": "long answer one", "el": first["passage"]["el"]},
        "negatives": {"en": ["a wrong one"]},
    }
    assert read_examples(out).form == "parallel"
    # Beside every row: the engine and model of its translations.
    fact = read(translations_path(out))[1]
    assert fact["to"]["el"] == {
        "query": "kept",
        "passage": "kept",
        "engine": "test",
        "model": "upper",
        "digest": "0",
    }
    again = Upper()
    translate_file(data, out, ["el"], again, negatives=True)
    assert again.requested == [["a wrong one"]]
    assert read(out)[0]["negatives"]["el"]


def test_what_a_row_has_already_is_given(tmp_path: Path) -> None:
    data = tmp_path / "parallel.jsonl"
    row = {"id": "1", "query": {"en": "what", "el": "τι"}, "passage": {"en": "that"}}
    data.write_text(json.dumps(row) + "\n")
    done = translate_file(data, tmp_path / "out.jsonl", ["el"], Upper())
    assert done.counts == {"el": {"given": 1, "kept": 1}}
    assert read(tmp_path / "out.jsonl")[0]["query"]["el"] == "τι"
    with pytest.raises(DataError, match="row 1: its query is not in 'de' but in en, el"):
        translate_file(data, tmp_path / "out.jsonl", ["ru"], Upper(), source="de")
    # A query in the target language alone needs no model from there to there.
    data.write_text(json.dumps(row | {"query": {"el": "τι"}}) + "\n")
    translate_file(data, tmp_path / "out.jsonl", ["el"], Abroad())
    assert read(translations_path(tmp_path / "out.jsonl"))[0]["to"]["el"]["model"] == "en-el"


LONG = "the bridge over the river was built in stone"


@pytest.mark.parametrize(
    ("text", "translated", "target", "reason"),
    [
        ("what", Translated("τι"), "el", None),
        ("what", Translated(" "), "el", "empty"),
        ("What is it?", Translated("what is it"), "de", "copied"),
        ("1990", Translated("1990"), "de", None),  # a number is the same in both
        (LONG, Translated("Die Brücke wurde", whole=False), "de", "truncated"),
        (LONG, Translated("Brücke"), "de", "truncated"),
        (LONG, Translated("河上的桥是用石头建造的"), "zh", None),  # 33 letters' worth
        ("河上的桥是用石头建造的", Translated(LONG), "en", None),
        ("who", Translated("wer " * 40), "de", "runaway"),
        (LONG, Translated("Die Brücke über den Fluss ist aus Stein"), "ru", "script"),
        (LONG, Translated("Мост через реку построен из камня"), "ru", None),
        ("the BBC", Translated("BBC電視台"), "zh", None),
        (LONG, Translated("川に架かる橋は石で造られた"), "ja", None),
        (LONG, Translated("the bridge, the river"), "ja", "script"),
        (LONG, Translated("ନଦୀ ଉପରେ ପୋଲ ପଥରରେ ନିର୍ମିତ ହୋଇଥିଲା"), "or", None),
        (LONG, Translated("anything at all, in any script, of some length"), "qaa", None),
    ],
)  # fmt: skip
def test_verdicts(text: str, translated: Translated, target: str, reason: str | None) -> None:
    assert verdict(text, translated, target) == reason


def test_what_cannot_stand_is_left_out_and_counted(tmp_path: Path) -> None:
    data = rows(tmp_path / "data.jsonl", ("what", "that"), ("who", "her"))
    engine = Upper(what="", that="that", who="wer")
    out = tmp_path / "out.jsonl"
    done = translate_file(data, out, ["el"], engine)
    assert done.counts == {"el": {"empty": 1, "copied": 1, "script": 1, "kept": 1}}
    first, second = read(out)
    assert first["query"] == {"en": "what"} and first["passage"] == {"en": "that"}
    assert second["query"] == {"en": "who"} and list(second["passage"]) == ["en", "el"]
    assert read(translations_path(out))[0]["to"]["el"] == {"query": "empty", "passage": "copied"}


def test_sentences() -> None:
    assert sentences('He said "no." Then he left.\nAll did') == [
        'He said "no."', "Then he left.", "All did"]  # fmt: skip
    assert sentences("他说：“不。”然后走了。") == ["他说：“不。”", "然后走了。"]
    assert sentences("3.5 per cent") == ["3.5 per cent"]
    assert sentences("") == [""]


def test_batches_are_of_like_lengths_and_texts_come_back_in_order() -> None:
    seen: list[list[str]] = []

    def translate(texts: list[str]) -> list[Translated]:
        seen.append(texts)
        return [Translated(x.upper()) for x in texts]

    texts = ["a", "ccc", "bb", "a", "dddd"]
    assert [x.text for x in by_length(texts, 2, translate)] == ["A", "CCC", "BB", "A", "DDDD"]
    assert seen == [["dddd", "ccc"], ["bb", "a"]]


def script(path: Path, body: str) -> str:
    path.write_text(f"import sys, os, signal\nlines = sys.stdin.read().splitlines()\n{body}\n")
    return f"command:{sys.executable} {path} {{source}} {{target}}"


def test_a_command(tmp_path: Path) -> None:
    named = script(
        tmp_path / "t.py",
        "for x in lines: print(sys.argv[1:], x.replace('the', 'die'))",
    )
    engine = open_engine(named, EngineOptions(codes={"en": "eng"}))
    done = engine.translate(["the\nmoon", "x"], "en", "de")
    assert [x.text for x in done] == ["['eng', 'de'] die moon", "['eng', 'de'] x"]
    facts = engine.facts("en", "de")
    assert facts["engine"] == "command" and len(facts["digest"]) == 64


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('one line')", "wrote 1 lines for 2; it must write one for each"),
        ("sys.exit('no such pair')", "ended with code 1: no such pair"),
    ],
)
def test_a_command_that_fails(body: str, message: str, tmp_path: Path) -> None:
    engine = open_engine(script(tmp_path / "t.py", body), EngineOptions())
    with pytest.raises(ModelError, match=message):
        engine.translate(["a", "b"], "en", "de")


def test_killed_at_any_moment_the_same_command_finishes_the_work(tmp_path: Path) -> None:
    """The engine kills the whole harness, without warning, in the middle of its third batch."""
    data = rows(tmp_path / "data.jsonl", *[(f"question number {n:02}", "yes") for n in range(9)])
    calls = tmp_path / "calls"
    named = script(
        tmp_path / "t.py",
        f"""
calls = {str(calls)!r}
open(calls, "a").write(f"{{len(lines)}}\\n")
if open(calls).read().count("\\n") == 3 and not os.path.exists(calls + ".killed"):
    open(calls + ".killed", "w")
    os.kill(os.getppid(), signal.SIGKILL)
for x in lines: print("Frage auf Deutsch", x.split()[-1])""",
    )
    command = [
        sys.executable, "-c", "from harness.cli import main; main()", "translate", str(data),
        "--to", "de", "--engine", named, "--batch-size", "2", "-q",
        "-o", str(tmp_path / "out.jsonl"),
    ]  # fmt: skip
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.jsonl").exists()
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    # Ten distinct texts by twos: two batches were kept, the third was lost and came again.
    assert calls.read_text().split() == ["2", "2", "2", "2", "2", "2"]
    assert "6 texts translated" in done.stdout
    assert [x["query"]["de"] for x in read(tmp_path / "out.jsonl")] == [
        f"Frage auf Deutsch {n:02}" for n in range(9)
    ]
    assert not list(tmp_path.glob(".*"))  # what the killed process had begun


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_models.marian(tmp_path_factory.mktemp("marian"))


TEXTS = ["the river of the stone is near.", "the moon is old. the bread is new."]


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
def test_a_model_of_transformers(marian: Path) -> None:
    engine = open_engine(f"transformers:{marian}", EngineOptions(max_length=12, device="cpu"))
    done = engine.translate(TEXTS, "en", "de")
    assert len(done) == 2 and all(x.text for x in done)
    # Random weights never end a sentence: what reaches the limit says so.
    assert [x.whole for x in done] == [False, False]
    assert engine.translate(TEXTS, "en", "de") == done
    assert (
        open_engine(f"transformers:{marian}", EngineOptions()).facts("en", "de")["digest"]
        == (engine.facts("en", "de")["digest"])
    )
    weights = engine.facts("en", "de")
    assert (weights["engine"], weights["model"]) == ("transformers", marian.name)


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
def test_the_same_model_converted_for_ctranslate2(marian: Path, tmp_path: Path) -> None:
    from ctranslate2 import converters

    folder = tmp_path / "converted"
    converters.TransformersConverter(str(marian), copy_files=["source.spm", "target.spm"]).convert(
        str(folder)
    )
    options = EngineOptions(max_length=12, device="cpu")
    done = open_engine(f"ctranslate2:{folder}", options).translate(TEXTS, "en", "de")
    expected = open_engine(f"transformers:{marian}", options).translate(TEXTS, "en", "de")
    assert [x.whole for x in done] == [False, False]
    # One model, two libraries: the limit counts one token more or less, the words are the same.
    for one, other in zip(done, expected, strict=True):
        assert one.text.split()[:3] == other.text.split()[:3]
    with pytest.raises(ModelError, match=r"set --max-length .now 200."):
        open_engine(f"ctranslate2:{folder}", EngineOptions(max_length=200)).translate(
            [" ".join(TEXTS * 20)], "en", "de"
        )


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
def test_a_device_is_used_or_refused(
    marian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ctranslate2
    import sentencepiece

    with pytest.raises(ModelError, match="--device cudaa: cannot be used"):
        open_engine(f"transformers:{marian}", EngineOptions(device="cudaa")).translate(
            TEXTS, "en", "de"
        )
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(ctranslate2, "Translator", lambda _, **more: given.append(more))
    monkeypatch.setattr(sentencepiece, "SentencePieceProcessor", lambda **_: None)
    for name in ("model.bin", "spm.model"):
        (tmp_path / name).write_bytes(b"")
    for device in ("cuda:1", "cuda", None):
        engine: Any = open_engine(f"ctranslate2:{tmp_path}", EngineOptions(device=device))
        engine._load()
    found = [(x["device"], x["device_index"]) for x in given]
    assert found == [("cuda", 1), ("cuda", 0), ("cpu", 0)]


def test_an_argos_package_says_which_languages_it_is_for(tmp_path: Path) -> None:
    folder = tmp_path / "translate-zh_en"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "model.bin").write_bytes(b"weights")
    (folder / "sentencepiece.model").write_bytes(b"pieces")
    (folder / "metadata.json").write_text(json.dumps({"from_code": "zh", "to_code": "en"}))
    engine = open_engine(f"ctranslate2:{folder}", EngineOptions())
    assert engine.facts("zh", "en")["model"] == "translate-zh_en"
    with pytest.raises(UsageError, match="translates zh to en, not en to de"):
        engine.facts("en", "de")


def test_apertium(tmp_path: Path) -> None:
    if shutil.which("apertium") is None:
        pytest.skip("apertium is not installed")
    if "eng-spa" not in subprocess.run(
        ["apertium", "-l"], capture_output=True, text=True, check=False
    ).stdout:  # fmt: skip
        pytest.skip("apertium has no eng-spa")
    data = rows(tmp_path / "data.jsonl", ("Where is the library?", "The library is old."))
    done = CliRunner().invoke(
        main,
        ["translate", str(data), "--to", "es", "--engine", "command:apertium -u {source}-{target}",
         "--code", "en=eng", "--code", "es=spa", "-o", str(tmp_path / "out.jsonl")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "biblioteca" in read(tmp_path / "out.jsonl")[0]["query"]["es"]


def test_flores_codes() -> None:
    # NLLB's list of languages, in its paper (arXiv 2207.04672), table 1.
    assert [flores_code(x) for x in ("en", "zh", "zh-Hant", "ar", "tlh")] == [
        "eng_Latn", "zho_Hans", "zho_Hant", "arb_Arab", None]  # fmt: skip


def test_memories_are_of_one_engine_each() -> None:
    one, other = Memory({"model": "a"}), Memory({"model": "b"})
    one.put(["text"], [Translated("Text")])
    assert one.get("text") == Translated("Text")
    assert other.get("text") is None
    assert other.missing(["text", "text"]) == ["text"]
    one.close()
    other.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "de", "--engine", "google"], "write transformers:NAME, ctranslate2:FOLDER or"),
        (
            ["--to", "de", "--engine", "command:no-such-program"],
            "program 'no-such-program' not",
        ),
        (["--to", "de", "--engine", "ctranslate2:nowhere"], "not a CTranslate2 model"),
        (["--to", "en", "--from", "en", "--engine", "command:cat"], "is the language that is"),
        (["--to", "de", "--engine", "command:cat", "-o", "DATA"], "is the input file"),
        (["--to", "de", "--engine", "transformers:no/such model"], "no such folder, and not a"),
        (["--engine", "command:cat"], "--to: give at least one language"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], message: str, tmp_path: Path) -> None:
    data = rows(tmp_path / "data.jsonl", ("what", "that"))
    given = [str(data) if x == "DATA" else x for x in arguments]
    out = [] if "-o" in given else ["-o", str(tmp_path / "out.jsonl")]
    done = CliRunner().invoke(main, ["translate", str(data), *given, *out])
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert sorted(x.name for x in tmp_path.iterdir()) == ["data.jsonl"]
