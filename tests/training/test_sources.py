"""Files in common forms, made into pairs; each is a few lines in the real collection's schema."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.data.file_names import language_of, stem
from harness.data.readers.segments import neighbours
from harness.errors import DataError, UsageError
from harness.training.pair_statistics import describe
from harness.training.pairs import read_examples, stream_examples
from harness.training.sources import conversion
from harness.training.sources.conversion import Options, about, make_pairs


def squad_file(path: Path, *questions: dict[str, Any], context: str = "It is a bridge.") -> Path:
    whole = {"version": "1.1", "data": [{"paragraphs": [{"context": context, "qas": questions}]}]}
    raw = json.dumps(whole).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def made(source: str, files: list[Path], tmp_path: Path, **options: Any) -> list[dict[str, Any]]:
    out = tmp_path / "out.jsonl"
    make_pairs(source, files, out, Options(**options))
    read_examples(out)  # what is written is what training reads, strictly
    return [json.loads(x) for x in out.read_text().splitlines()]


def test_squad(tmp_path: Path) -> None:
    # TyDi QA GoldP numbers questions again in each part; SQuAD 2 has questions without an answer.
    file = squad_file(
        tmp_path / "tydiqa.goldp.sw.train.json.gz",
        {"id": "12", "question": "Nini?", "answers": [{"text": "bridge", "answer_start": 8}]},
        {"id": "12", "question": "Wapi? ", "answers": []},
        {"id": "12", "question": "Nini?", "answers": []},
        {"id": "13", "question": "Nani?", "answers": [], "is_impossible": True},
    )
    rows = made("squad", [file], tmp_path)
    name = "tydiqa.goldp.sw.train"
    assert [x["id"] for x in rows] == [f"{name}:12", f"{name}:12#2", f"{name}:12"]
    assert rows[1] == {
        "id": f"{name}:12#2",
        "language": "sw",
        "query": "Wapi?",
        "passage": "It is a bridge.",
        "passage_id": f"{name}:0-0",
    }
    facts = about(tmp_path / "out.jsonl")
    assert facts["dropped"] == {"no answer": 1}
    assert facts["files"][0]["name"] == file.name


def test_squad_in_translation(tmp_path: Path) -> None:
    english = squad_file(tmp_path / "xquad.en.json", {"id": "a", "question": "What?"})
    german = squad_file(
        tmp_path / "xquad.de.json", {"id": "a", "question": "Was?"}, context="Eine Brücke."
    )
    (row,) = made("squad", [english, german], tmp_path, parallel=True)
    assert row == {
        "id": "a",
        "query": {"en": "What?", "de": "Was?"},
        "passage": {"en": "It is a bridge.", "de": "Eine Brücke."},
    }
    with pytest.raises(UsageError, match="both in 'en'"):
        made("squad", [english, english], tmp_path, parallel=True)
    twice = squad_file(
        tmp_path / "el.json", {"id": "a", "question": "Τι;"}, {"id": "a", "question": "Πού;"}
    )
    with pytest.raises(DataError, match="two questions have the id 'a'"):
        made("squad", [twice], tmp_path, parallel=True)


@pytest.mark.parametrize(
    ("name", "language"),
    [("tydiqa.goldp.en.train.json.gz", "en"), ("zh.json", "zh"), ("squad_de.json", "de"),
     ("dev-context-ar-question-ar.json", None), ("train-v2.0.json", None)],
)  # fmt: skip
def test_a_files_name_says_its_language_or_the_user_does(name: str, language: str | None) -> None:
    if language is None:
        with pytest.raises(UsageError, match="say which with --language"):
            language_of(Path(name))
    else:
        assert language_of(Path(name)) == language


def test_xnli(tmp_path: Path) -> None:
    file = lines(
        tmp_path / "xnli.jsonl",
        {"id": "d0", "label": "entailment", "premise": {"en": "He sat.", "de": "Er saß."},
         "hypothesis": {"en": "He rested.", "de": "Er ruhte."}},
        {"id": "d1", "label": "contradiction", "premise": {"en": "He sat.", "de": "Er saß."},
         "hypothesis": {"en": "He ran.", "de": "Er lief."}},
        # The hub's layout, without a label as in the test set.
        {"id": "d2", "premise": {"en": "He sat.", "de": "Er saß."},
         "hypothesis": {"language": ["de", "en"], "translation": ["Er las.", "He read."]}},
    )  # fmt: skip
    rows = made("xnli", [file], tmp_path)
    # One premise, one id: what follows from it are several answers to one question.
    assert [x["id"] for x in rows] == ["xnli:d0", "xnli:d0"]
    assert rows[1]["passage"] == {"de": "Er las.", "en": "He read."}
    assert about(tmp_path / "out.jsonl")["dropped"] == {"label contradiction": 1}
    only = made("xnli", [file], tmp_path, labels=("contradiction",))
    assert [x["passage"]["en"] for x in only] == ["He ran."]
    for side in ({"language": ["de", "en"], "translation": ["Er las."]},
                 {"language": None, "translation": ["Er las."]}):  # fmt: skip
        file = lines(tmp_path / "xnli.jsonl", {"premise": {"en": "He sat."}, "hypothesis": side})
        with pytest.raises(DataError, match="line 1: 'hypothesis' must have as many translations"):
            made("xnli", [file], tmp_path)


def test_bitext_goes_both_ways(tmp_path: Path) -> None:
    file = tmp_path / "de-en.tsv"
    file.write_text("tatoeba\tDer Mond.\tThe moon.\ntatoeba\tOK\tOK\nDie Uhr.\tThe clock.\n")
    rows = made("bitext", [file], tmp_path)
    assert [(x["id"], x["query"], x["passage"]) for x in rows[:2]] == [
        ("de-en:1", {"de": "Der Mond."}, {"en": "The moon."}),
        ("de-en:1", {"en": "The moon."}, {"de": "Der Mond."}),
    ]
    assert len(rows) == 4
    assert about(tmp_path / "out.jsonl")["dropped"] == {"equal texts": 1}
    other = tmp_path / "corpus.tsv"
    other.write_text("eins\tone\n")
    with pytest.raises(UsageError, match="does not say which two languages"):
        made("bitext", [other], tmp_path)
    assert len(made("bitext", [other], tmp_path, languages=("de", "en"))) == 2


HELP = [
    {"en": "Find Bar", "de": "Suchleiste", "zh-CN": "查找栏"},
    {"en": "The Find toolbar can be used to search a document.", "de": "Die Suchleiste sucht."},
    {"en": "Use the shortcut to quickly open the Find toolbar.", "zh-CN": "使用快捷键打开。"},
    {"en": "Find Text", "de": "Suchtext"},
    {"en": "Press Enter.", "de": "Drücken Sie die Eingabetaste."},
    {"en": "Options"},
    {"en": "These are the options of the one dialog."},
    {"en": "Options"},
    {"en": "These are the options of the other dialog."},
]  # fmt: skip


def test_neighbours_by_hand() -> None:
    # 3 has no paragraph of six words after it; 5 and 7 are one heading of two paragraphs.
    assert list(neighbours(HELP, "heading", "en")) == [(0, 1)]
    assert list(neighbours(HELP, "next", "en")) == [(1, 2)]


def test_segments(tmp_path: Path) -> None:
    file = lines(tmp_path / "help.jsonl", *HELP)
    rows = made("segments", [file], tmp_path, pairing="heading", rename={"zh-CN": "zh"})
    assert rows == [
        {
            "id": "help:0",
            "query": {"en": "Find Bar", "de": "Suchleiste", "zh": "查找栏"},
            "passage": HELP[1],
            "passage_id": "help:1",
        }
    ]


def test_segments_with_their_translations_meet_in_every_direction(tmp_path: Path) -> None:
    row = {x: f"{x} text" for x in ("ar", "de", "en", "hi", "zh")}
    file = lines(tmp_path / "ntrex.jsonl", *[{"src": "ntrex", "id": n, **row} for n in range(5)])
    rows = made("segments", [file], tmp_path, pairing="same")
    met = {(q, p) for x in rows for q in x["query"] for p in x["passage"]}
    assert met == {(q, p) for q in row for p in row if q != p}


def test_statistics_by_hand(tmp_path: Path) -> None:
    parallel = lines(
        tmp_path / "parallel.jsonl",
        {"id": "1", "query": {"en": "What?", "de": "Was?"}, "passage": {"en": "That."}},
        {"id": "2", "query": {"en": "what"}, "passage": {"en": "That", "de": "Das da."}},
    )
    mono = lines(
        tmp_path / "mono.jsonl",
        {"id": "1", "language": "en", "query": "Same.", "passage": "same", "negatives": ["no"]},
    )
    found = describe([parallel, mono])
    assert found.data == {"parallel": 2, "mono": 1}
    assert found.pairs == {("en", "en"): 3, ("de", "en"): 1, ("en", "de"): 1}
    assert (found.ids, found.negatives, found.copies) == (2, 1, 1)
    assert found.repeated == 1  # "What?" and "That." come a second time, typed otherwise
    side = {(x.role, x.language): x for x in found.sides}
    assert (side["query", "en"].texts, side["query", "en"].distinct) == (3, 2)
    assert (side["query", "en"].median, side["query", "en"].longest) == (5, 5)
    assert side["passage", "de"].longest == 7


def test_the_commands(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl.gz"
    file = lines(tmp_path / "help.jsonl", *HELP)
    done = CliRunner().invoke(
        main, ["pairs", "make", "segments", str(file), "-o", str(out), "--rename", "zh-CN=zh"]
    )
    assert done.exit_code == 0, done.output
    assert "1 row, parallel" in done.output
    done = CliRunner().invoke(main, ["pairs", "stats", str(out)])
    assert done.exit_code == 0, done.output
    assert "1 monolingual, 3 cross-lingual" in done.output
    done = CliRunner().invoke(main, ["pairs", "list"])
    assert "39,780,811" in done.output
    first = out.read_bytes()
    CliRunner().invoke(
        main, ["pairs", "make", "segments", str(file), "-o", str(out), "--rename", "zh-CN=zh"]
    )
    assert out.read_bytes() == first


def test_a_run_without_a_pair_leaves_what_was_there(tmp_path: Path) -> None:
    out = lines(tmp_path / "out.jsonl", {"id": "1", "language": "en", "query": "q", "passage": "p"})
    file = lines(tmp_path / "en.jsonl", {"en": "a text"})
    with pytest.raises(DataError, match="no pair was left"):
        make_pairs("segments", [file], out)
    assert len(read_examples(out)) == 1


def test_what_stops_before_the_facts_leaves_none_of_an_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.jsonl"
    file = tmp_path / "de-en.tsv"
    file.write_text("Haus\thouse\n")
    make_pairs("bitext", [file], out)
    assert about(out)["rows"] == 2

    def stopped(path: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(conversion, "file_sha256", stopped)
    with pytest.raises(KeyboardInterrupt):
        make_pairs("bitext", [file, file], out)
    assert len(read_examples(out)) == 4 and not about(out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["segments", "FILE", "--rename", "zh"], "--rename 'zh': write it as zh-CN=zh"),
        (["squat", "FILE"], "no source 'squat'; known are squad"),
        (["squad"], "squad needs files"),
        (["wikiqa", "FILE"], "wikiqa is fetched by name and takes no files"),
        (["squad", "FILE"], "must be SQuAD's JSON"),
        (["segments", "FILE", "--pairing", "heading"], "no pair was left (not a pair: 1)"),
        (["segments", "FILE", "--pairing", "header"], "did you mean 'heading'?"),
        (["xnli", "FILE"], "line 1: 'premise' must map languages to texts"),
        (["bitext", "FILE", "--languages", "de"], "bitext takes two"),
        (["segments", "missing.jsonl"], "missing.jsonl: no such file"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], message: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "en.jsonl", {"en": "a text"})
    done = CliRunner().invoke(
        main,
        ["pairs", "make", *(str(file) if x == "FILE" else x for x in arguments),
         "-o", str(tmp_path / "out.jsonl")],
    )  # fmt: skip
    assert done.exit_code == 2
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert [x.name for x in tmp_path.iterdir()] == ["en.jsonl"]


def test_rows_of_a_stream_are_those_of_a_file(tmp_path: Path) -> None:
    file = lines(tmp_path / "pairs.jsonl", *[
        {"id": str(n), "language": "en", "query": f"q{n}", "passage": "p"} for n in range(4)
    ])  # fmt: skip
    assert tuple(stream_examples(file)) == read_examples(file).examples
    rows = file.read_text()
    file.write_text(rows + "\n\n")  # the end of a file may have empty lines
    assert tuple(stream_examples(file)) == read_examples(file).examples
    file.write_text(rows + "\n" + rows)
    for read in (read_examples, lambda x: list(stream_examples(x))):
        with pytest.raises(DataError, match="line 5: is empty"):
            read(file)
    file.write_bytes(rows.encode() + b"\xff\n")
    with pytest.raises(DataError, match="line 5: not UTF-8"):
        list(stream_examples(file))


def test_real_collections(real_data: Path, tmp_path: Path) -> None:
    train = real_data / "train"
    if not train.is_dir():
        pytest.skip("no train/ in the real data")
    # Counts of the collections, in the notes that come with them: 3,009 segments in 11 languages,
    # 7,500 pairs of XNLI of which 830 are labelled contradictions, 1,625 questions in Korean.
    rows = {
        "same": make_pairs(
            "segments",
            [train / "parallel11.jsonl.gz"],
            tmp_path / "a.jsonl",
            Options(pairing="same"),
        ).rows,
        "xnli": make_pairs("xnli", [train / "xnli11.jsonl.gz"], tmp_path / "b.jsonl").rows,
        "tydi": make_pairs(
            "squad", [train / "tydiqa-goldp/tydiqa.goldp.ko.train.json.gz"], tmp_path / "c.jsonl"
        ).rows,
    }
    assert rows == {"same": 2 * 3009, "xnli": 7500 - 830, "tydi": 1625}
    assert stem(tmp_path / "c.jsonl") == "c"


def test_a_language_that_no_pair_has_is_refused(tmp_path: Path) -> None:
    row = {"premise": {"de": "Ja.", "ar": "نعم."}, "hypothesis": {"de": "Nein.", "ar": "لا."}}
    file = lines(tmp_path / "xnli.jsonl", row)
    with pytest.raises(DataError, match=r"^--languages: no pair is in sw$"):
        made("xnli", [file], tmp_path, languages=("de", "sw"))
    assert not (tmp_path / "out.jsonl").exists()
    assert len(made("xnli", [file], tmp_path, languages=("de",))) == 1


@pytest.mark.parametrize("source", ["xnli", "squad"])
def test_only_the_languages_that_were_named(tmp_path: Path, source: str) -> None:
    """As ``.about.json`` says; a row whose other side is in none of them is counted."""
    if source == "xnli":
        file = tmp_path / "x.jsonl"
        sides = ({"en": "a", "de": "b", "fr": "c"}, {"en": "d", "de": "e"})
        rows = [dict(zip(("premise", "hypothesis"), sides, strict=True))]
        rows.append({"premise": {"fr": "x"}, "hypothesis": {"en": "y"}})
        file.write_text("".join(json.dumps(x) + "\n" for x in rows))
        files = [file]
    else:
        files = [tmp_path / f"{x}.json" for x in ("en", "de", "fr")]
        for file in files:
            entry = {"id": file.stem, "question": "Q?", "answers": []}
            paragraph = {"context": "C.", "qas": [entry]}
            file.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    out = tmp_path / "out.jsonl"
    made = make_pairs(source, files, out, Options(languages=("en", "de")))
    assert (made.rows, made.dropped["other languages"]) == ({"xnli": 1, "squad": 2}[source], 1)
    assert '"fr"' not in out.read_text() and "fr:" not in out.read_text()
    assert about(out)["options"]["languages"] == ["en", "de"]


def test_an_option_without_effect_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--label is not for squad, which takes --languages, "):
        make_pairs("squad", [tmp_path / "en.json"], tmp_path / "o.jsonl", Options(labels=("x",)))
