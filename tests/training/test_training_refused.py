"""What cannot be trained is refused before the first step, in one sentence that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_training import pairs, write_base, write_rows

from harness.cli import main

ROWS = pairs(40)
ENGLISH = pairs(40, ["en"])


@pytest.fixture(autouse=True)
def no_evaluation_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every training would read all of it, to look for overlap."""
    monkeypatch.delenv("HARNESS_DATA", raising=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "tiny-bert")


def refused(*arguments: object) -> str:
    """The one sentence."""
    found = CliRunner().invoke(main, ["train", *(str(x) for x in arguments)])
    assert found.exit_code == 2, found.output
    lines = found.stderr.strip().split("\n")
    assert lines[-1].startswith("Error: ")
    return lines[-1].removeprefix("Error: ")


def changed(number: int, **fields: Any) -> list[dict[str, Any]]:
    return [row | (fields if i == number else {}) for i, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (
            changed(3, query={"en": "w1"}, passage={"en": "w2"}),
            ("--recipe", "cross"),
            "pairs: 1 of 40 rows cannot be used by --recipe cross, which needs a query and a "
            "passage in different languages, as 'q3' with queries in en and passages in en; "
            "--skip-unusable leaves them out",
        ),
        (
            changed(3, query={"de": "w1"}, passage={"en": "w2"}),
            ("--recipe", "mono"),
            "which needs a query and a passage in the same language, as 'q3'",
        ),
        (
            changed(0, query={"de": "w1"}, passage={"de": "w2"}),
            ("--recipe", "english"),
            "which needs a query and a passage in English",
        ),
        (changed(2, query={"en": " "}), (), "line 3: query in 'en' is empty"),
        (ROWS, ("--alpha", "1.2"), "--alpha must be between 0 and 1, not 1.2"),
        (
            ROWS,
            ("--recipe", "mono", "--alpha", "0.3"),
            "--alpha is for --recipe hybrid; mono has no choice between batches",
        ),
        (
            ROWS,
            ("--batch-size", "100"),
            "the data have 38 pairs for --recipe hybrid, too few for a batch of 100; give more "
            "data or a smaller --batch-size",
        ),
        (ROWS, ("--languages", "fr"), "--languages fr: no row of the data has them; the data have"),
        (ROWS, ("--languages", "english"), "'english' is not a language code"),
        (ROWS, ("--recipe", "hybird"), "did you mean 'hybrid'?"),
        (ROWS, ("--recipe", "none.toml"), "none.toml: cannot be read"),
        (ROWS, ("--temperature", "0"), "--temperature must be above 0, not 0.0"),
        (ROWS, ("--epochs", "inf"), "--epochs must be above 0, not inf"),
        ([row | {"passage_id": "p"} for row in ROWS], (),
         "the rows to train on all share ids or passages, so that no batch can have two and"),
        ([row | {"passage_id": "p", "negatives": {"en": ["w9"]}} for row in ROWS], (),
         "--holdout: all rows share ids or passages, so that validation pairs would be all"),
        (ENGLISH, ("--epoch", "drawn"),
         "--alpha 0.5 is impossible: no two pairs of the data fit one batch across languages; set "
         "--alpha 1, with which all are in one language, or add pairs"),
        (ROWS, ("--validation", "none.jsonl"), "none.jsonl: cannot be read"),
        (ROWS, ("--freeze", "no-such-part"), "--freeze no-such-part: the base has no weights of"),
        (ROWS, ("--freeze", "*"), "--freeze: leaves nothing to train"),
    ],
)  # fmt: skip
def test_data_and_options(
    tmp_path: Path, base: Path, rows: list[dict[str, Any]], options: tuple[str, ...], said: str
) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", rows)
    size = () if "--batch-size" in options else ("--batch-size", "8")
    output = tmp_path / "out"
    assert said in refused("--base", base, "--data", data, "--output", output, *size, *options)
    assert not (output / "training.json").exists()


def test_the_same_pairs_twice(tmp_path: Path, base: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", ROWS)
    same = write_rows(tmp_path / "same.jsonl", ROWS)
    start = ("--base", base, "--output", tmp_path / "out", "--batch-size", "8", "--data", data)
    for flag in ("--data", "--validation"):
        assert refused(*start, flag, same) == f"{flag} {same}: the same content as {data}"


def test_without_data_or_base(tmp_path: Path, base: Path) -> None:
    output = tmp_path / "out"
    assert refused("--base", base, "--output", output).startswith("no training data; give --data")
    data = write_rows(tmp_path / "pairs.jsonl", ROWS)
    small = ("--data", data, "--output", output, "--batch-size", "8")
    assert refused(*small).startswith("no base model; give --base NAME")
    assert "no such folder" in refused(*small, "--base", "./none")


def test_a_base_without_tokenizer(tmp_path: Path, base: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).write_bytes((base / name).read_bytes())
    data = write_rows(tmp_path / "pairs.jsonl", ROWS)
    said = refused("--base", bare, "--data", data, "--output", tmp_path / "o", "--batch-size", "8")
    assert "contains no tokenizer (tokenizer.json, vocab.txt or a sentencepiece .model)" in said


def test_an_output_that_contains_something_else(tmp_path: Path, base: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", ROWS)
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "chapter.txt").write_text("irreplaceable")
    command = ("--base", base, "--data", data, "--output", output, "--batch-size", "8")
    assert "is not empty and is not a training of the harness (chapter.txt" in refused(*command)
    assert "is not empty" in refused(*command, "--restart")
    assert (output / "chapter.txt").read_text() == "irreplaceable"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alpah = 0.4", "key 'alpah' is unknown; did you mean 'alpha'?"),
        ("alpha = ", "not valid TOML"),
        ("alpha = 'half'", "--alpha must be a number, not 'half'"),
        ("batch_size = 8.5", "--batch-size must be a whole number, not 8.5"),
        ("data = 'pairs.jsonl'", "--data must be a list of strings, not 'pairs.jsonl'"),
        ("recipe = 'hybird'", "did you mean 'hybrid'?"),
        ("base = ['me5-small']", "--base must be a string, not ('me5-small',)"),
        ("[base]\nname = 'me5-small'", "--base must be a string, not {'name': 'me5-small'}"),
    ],
)
def test_a_recipe_file(tmp_path: Path, text: str, said: str) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text)
    assert said in refused("--recipe", recipe, "--output", tmp_path / "out")


def test_a_manifest_that_is_none_is_named_when_the_model_is_scored(
    tmp_path: Path, base: Path
) -> None:
    (base / "training.json").write_text(json.dumps({"summary": 1}))
    try:
        found = CliRunner().invoke(main, ["run", "--model", str(base), "--task", "demo"])
    finally:
        (base / "training.json").unlink()
    assert found.exit_code == 2
    assert "training.json: not a manifest of harness train" in found.stderr
