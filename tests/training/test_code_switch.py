"""Lexicons and queries mixed from them (arXiv 2305.05295)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import pytest
from click.testing import CliRunner

from harness.base.progress import Silent
from harness.cli import main
from harness.data.lexicon import Lexicon, read_lexicons, words
from harness.errors import DataError, StudyError, UsageError
from harness.study.definition import DataSet
from harness.study.file import read_study
from harness.study.training_pairs import Places, check_sources, make_data
from harness.training.pairs import Example, read_examples
from harness.training.sources.alignment import induce
from harness.training.sources.code_switch import (
    Switching,
    lexicon_of,
    read_switching,
    switch_file,
    switched,
)
from harness.training.sources.conversion import about, write_stream

# Six sentences in which each noun stands with its translation more often than with anything else.
BITEXT = [
    ("The house is big.", "Das Haus ist groß."),
    ("The house is old.", "Das Haus ist alt."),
    ("A book is old.", "Ein Buch ist alt."),
    ("A book is big.", "Ein Buch ist groß."),
    ("We saw a house", "Wir sahen ein Haus"),
    ("We saw the book", "Wir sahen das Buch"),
]


def lexicon(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{x}\n" for x in lines))
    return path


def row(text: str, number: int = 1) -> Example:
    return Example(f"r{number}", {"en": text, "fr": "Bonjour"}, {"en": "A passage."}, "p")


def test_words_have_their_marks_and_no_digits() -> None:
    text = "L'été 2024: विद्यार्थी don’t, naïve-ish"
    found = [x.group() for x in words(text)]
    assert found == ["L'été", "विद्यार्थी", "don’t", "naïve", "ish"]


def test_a_lexicon_is_read_as_muse_has_it_in_both_directions(tmp_path: Path) -> None:
    """Space or tab; several translations of a word; a score in a third column.

    U+2028 ends no line, and empty lines may end a file.
    """
    lines = ("House Haus", "house Gebäude 1e-3", "tree\tBaum\t0.5", "red\tro\u2028t", "")
    one = lexicon(tmp_path, "en-de.0-5000.txt", *lines)
    other = lexicon(tmp_path, "fr-en.tsv", "maison\thouse")
    found = read_lexicons([one, other])
    assert found.entries["en", "de"] == {
        "house": ("Haus", "Gebäude"), "tree": ("Baum",), "red": ("ro\u2028t",),
    }  # fmt: skip
    assert found.entries["de", "en"]["gebäude"] == ("house",)
    assert found.entries["en", "fr"] == {"house": ("maison",)}
    assert found.targets("en") == ("de", "fr")


def test_a_word_is_found_however_its_accents_are_written(tmp_path: Path) -> None:
    """A text of decomposed letters (NFD), as some keyboards and file systems make them."""
    found = read_lexicons([lexicon(tmp_path, "en-fr.txt", "café bistrot")])
    everything = Switching(lexicons=("en-fr.txt",), languages=("fr",), share=1.0)
    for form in ("NFC", "NFD"):
        counts: Counter[str] = Counter()
        (row_of,) = switched([row(normalize(form, "Café?"))], found, everything, counts)
        assert row_of.query["en"] == "Bistrot?" and counts["into fr"] == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("en-de.txt", "house\n", "line 1: must have a word and its translation"),
        # Which two are the translation is not to be guessed.
        ("en-de.txt", "a b\nhouse das Haus\n", "line 2: .*a tab between or, where both are single"),
        ("en-de.txt", "", "contains no words"),
        ("words.txt", "house Haus\n", "does not say which two languages"),
    ],
)
def test_a_wrong_lexicon_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((DataError, UsageError), match=said):
        read_lexicons([tmp_path / name])


def test_words_are_put_into_other_languages_with_the_rest_as_it_was(tmp_path: Path) -> None:
    found = read_lexicons([lexicon(tmp_path, "en-de.txt", "house Haus", "the das", "red rot")])
    counts: Counter[str] = Counter()
    always = Switching(lexicons=("x",), share=1.0)
    (mixed,) = switched([row("The  house, RED (and blue)!")], found, always, counts)
    # Spaces and punctuation stay, capitals are kept, what no lexicon has is left.
    assert mixed.query == {"en": "Das  Haus, Rot (and blue)!", "fr": "Bonjour"}
    assert (mixed.passage, mixed.id, mixed.passage_id) == ({"en": "A passage."}, "r1", "p")
    assert counts == {
        "queries": 1, "words": 5, "drawn": 5, "into de": 3, "not in a lexicon": 2
    }  # fmt: skip
    never = Switching(lexicons=("x",), share=0.0)
    assert next(switched([row("The house")], found, never, Counter())).query["en"] == "The house"


def test_what_is_drawn_depends_on_seed_and_row_alone(tmp_path: Path) -> None:
    """A share of 0.3 of 3,000 words is 900; five standard deviations (25.1) are 126."""
    entries = [(f"w{chr(97 + i)}", f"v{chr(97 + i)}") for i in range(20)]
    found = Lexicon.of(("en", "de"), entries, {})
    text = " ".join(x for x, _ in entries)
    rows = [row(text, i) for i in range(150)]
    counts: Counter[str] = Counter()
    switching = Switching(lexicons=("x",), share=0.3)
    first = list(switched(rows, found, switching, counts))
    assert abs(counts["drawn"] - 900) < 126
    assert counts["drawn"] == counts["into de"]
    backwards = list(switched(rows[::-1], found, switching, Counter()))
    assert backwards[::-1] == first
    other = Switching(lexicons=("x",), share=0.3, seed=1)
    assert list(switched(rows, found, other, Counter())) != first
    assert len({x.query["en"] for x in first}) > 140  # rows of one text are drawn apart


def test_a_lexicon_from_sentences(tmp_path: Path) -> None:
    """Nouns and adjectives find each other; words stand as texts write them."""
    file = tmp_path / "en-de.tsv"
    file.write_text("".join(f"src\t{a}\t{b}\n" for a, b in BITEXT))
    found = {x.word: x.translation for x in induce([file], ("en", "de"))}
    assert {"house": "Haus", "book": "Buch", "big": "groß", "old": "alt"}.items() <= found.items()
    turned = {x.word: x.translation for x in induce([file], ("de", "en"))}
    assert turned["Haus"] == "house"
    lines = [json.dumps({"de": b, "en": a, "zh-CN": "x"}) for a, b in BITEXT]
    by_language = lexicon(tmp_path, "parallel.jsonl", *lines)
    assert {x.word: x.translation for x in induce([by_language], ("en", "de"))} == found
    with pytest.raises(UsageError, match="is in en and de, but the lexicon is for en and fr"):
        induce([file], ("en", "fr"))
    with pytest.raises(UsageError, match="zh is written without spaces"):
        induce([by_language], ("en", "zh"))


def test_real_sentences_give_real_words(real_data: Path) -> None:
    """Greek from 11,000 sentences: words that any dictionary has."""
    files = [
        real_data / "train" / "bitext" / "el-en.tsv.gz",
        real_data / "train" / "parallel11.jsonl.gz",
    ]
    if not all(x.is_file() for x in files):
        pytest.skip("training data is not at hand: train/bitext, train/parallel11.jsonl.gz")
    found = {x.word: x.translation for x in induce(files, ("en", "el"))}
    assert len(found) > 1500
    assert [found[x] for x in ("head", "light", "milk", "Wednesday", "after")] == [
        "κεφάλι", "φως", "γάλα", "Τετάρτη", "μετά"
    ]  # fmt: skip


def test_the_commands(tmp_path: Path) -> None:
    source = tmp_path / "en-de.bitext.tsv"
    source.write_text("".join(f"{a}\t{b}\n" for a, b in BITEXT))
    made = tmp_path / "en-de.tsv"
    result = CliRunner().invoke(main, ["pairs", "lexicon", str(source), "-o", str(made)])
    assert result.exit_code == 0, result.output
    assert "house = Haus" in result.output
    pairs, output = tmp_path / "pairs.jsonl", tmp_path / "mixed.jsonl.gz"
    write_stream(pairs, [row("The house is old", i) for i in range(9)], "parallel")
    command = ["pairs", "code-switch", str(pairs), "--lexicon", str(made), "-o", str(output)]
    result = CliRunner().invoke(main, [*command, "--share", "1"])
    assert result.exit_code == 0, result.output
    assert "9 rows" in result.output and "de" in result.output
    assert "Haus" in read_examples(output).examples[0].query["en"]
    facts = about(output)["code_switch"]
    assert (facts["share"], facts["lexicons"][0]["name"]) == (1.0, "en-de.tsv")
    write_stream(pairs, [row("?! ...", 1)], "parallel")
    result = CliRunner().invoke(main, [*command, "--share", "1"])
    assert result.exit_code == 0 and "0 of 0 words in another language\n" in result.output
    write_stream(pairs, [row("The house is old", 1)], "parallel")
    for more, said in (
        (["--languages", "fr"], "no lexicon puts words of en into fr; they have de"),
        (["--from", "es"], "no lexicon has words of es"),
    ):
        result = CliRunner().invoke(main, [*command, *more])
        assert result.exit_code == 2 and said in " ".join(result.output.split())


def test_a_table_of_a_study(tmp_path: Path) -> None:
    file = lexicon(tmp_path, "en-de.tsv", *(f"{a}\t{b}" for a, b in BITEXT))
    table = {"bitext": [file.name], "languages": ["de"], "share": 0.5, "seed": 3}
    switching = read_switching(table)
    assert switching == Switching(bitext=(file.name,), languages=("de",), seed=3)
    found = lexicon_of(switching, lambda x: tmp_path / x)
    assert found.entries["en", "de"]["house"] == ("Haus",)
    more = Switching(bitext=(file.name,), languages=("de", "el"))
    with pytest.raises(UsageError, match="no file of sentences is in en and el"):
        lexicon_of(more, lambda x: tmp_path / x)
    for wrong, said in (
        ({"share": 2, "lexicons": ["x"]}, "share must be between 0 and 1"),
        ({"lexicon": ["x"]}, "key 'lexicon' is unknown; did you mean 'lexicons'"),
        ({"lexicons": "x"}, "key 'lexicons' must be a list of strings"),
        ({"share": 0.5}, "lexicons is missing"),
        ({"bitext": ["x"]}, "languages is missing"),
        ({"lexicons": ["x"], "languages": ["xq"]}, "'xq' is not a language code"),
    ):
        with pytest.raises(UsageError, match=said):
            read_switching(wrong)


def test_nothing_to_mix(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    write_stream(pairs, [Example("a", {"fr": "Bonjour"}, {"fr": "Salut"})], "parallel")
    found = Lexicon.of(("en", "de"), [("house", "Haus")], {})
    with pytest.raises(DataError, match="no query is in en"):
        switch_file(pairs, tmp_path / "out.jsonl", found, Switching(lexicons=("x",)))
    assert not (tmp_path / "out.jsonl").exists()


def test_a_study_mixes_a_set(tmp_path: Path) -> None:
    """Made once, with counts next to it; wrong keys and missing files are refused by name."""
    pairs = tmp_path / "pairs.jsonl"
    write_stream(pairs, [row("The house is old", i) for i in range(9)], "parallel")
    lexicon(tmp_path, "en-de.tsv", *(f"{a}\t{b}" for a, b in BITEXT))
    table: dict[str, object] = {"bitext": ["./en-de.tsv"], "languages": ["de"], "share": 1.0}
    mixed = DataSet("mixed", "pairs", ("./pairs.jsonl",), code_switch=table)
    facts = make_data(places(tmp_path, mixed), ["mixed"], [], Silent())["mixed"]
    assert facts["study"]["code_switch"]["counts"]["into de"] > 9
    found = read_examples(tmp_path / "out" / "mixed.jsonl.gz").examples
    assert all("Haus" in x.query["en"] for x in found)
    for wrong, said in (
        ({"share": 7}, r"\[data.mixed.code_switch\]: share must be between"),
        ({"bitext": ["./fr-en.tsv"]}, r"'data.mixed.code_switch.bitext' names ./fr-en.tsv, and th"),
    ):
        with pytest.raises(StudyError, match=said):
            check_sources(places(tmp_path, replace(mixed, code_switch=table | wrong)))
    check_sources(places(tmp_path, replace(mixed, files=("./gone.jsonl",))), names=["other"])


def places(folder: Path, data: DataSet) -> Places:
    study = replace(read_study("alpha"), data={data.name: data}, folder=folder)
    return Places(study, folder / "out", None, True)
