"""Files of training pairs: both forms, strictly read, one sentence for each mistake."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.training.pairs import Example, read_examples
from harness.training.sources.conversion import write_stream

PARALLEL = {
    "id": "q1",
    "query": {"en": "Who?", "de": "Wer?"},
    "passage": {"en": "She.", "de": "Sie.", "fr": "Elle."},
    "passage_id": "p7",
    "negatives": {"en": ["He."]},
}
MONOLINGUAL = {"id": "q1", "language": "en", "query": "Who?", "passage": "She."}


def written(folder: Path, *rows: object, name: str = "pairs.jsonl") -> Path:
    text = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
def test_a_parallel_row_is_read_as_it_stands(tmp_path: Path, name: str) -> None:
    found = read_examples(written(tmp_path, PARALLEL, name=name))
    assert (found.name, found.form, found.languages) == ("pairs", "parallel", ("en", "de", "fr"))
    (example,) = found.examples
    assert example == Example(
        id="q1",
        query={"en": "Who?", "de": "Wer?"},
        passage={"en": "She.", "de": "Sie.", "fr": "Elle."},
        passage_id="p7",
        negatives={"en": ("He.",)},
    )
    assert example.languages == ("en", "de")
    assert example.ordered_pairs == (("en", "de"), ("en", "fr"), ("de", "en"), ("de", "fr"))


def test_a_monolingual_row_is_a_row_of_one_language(tmp_path: Path) -> None:
    found = read_examples(written(tmp_path, MONOLINGUAL | {"negatives": ["He.", "It."]}))
    (example,) = found.examples
    assert found.form == "monolingual"
    assert (example.languages, example.ordered_pairs) == (("en",), ())
    assert example.negatives == {"en": ("He.", "It.")}


def test_the_digest_is_that_of_the_content_not_of_its_compression(tmp_path: Path) -> None:
    plain = read_examples(written(tmp_path, PARALLEL))
    packed = read_examples(written(tmp_path, PARALLEL, name="pairs.jsonl.gz"))
    assert plain.digest == packed.digest


@pytest.mark.parametrize(("form", "row"), [("parallel", PARALLEL), ("monolingual", MONOLINGUAL)])
def test_what_is_written_is_read_back(tmp_path: Path, form: str, row: dict[str, object]) -> None:
    before = read_examples(written(tmp_path, row))
    write_stream(tmp_path / "again.jsonl.gz", before.examples, form)
    after = read_examples(tmp_path / "again.jsonl.gz")
    assert (after.form, after.examples) == (form, before.examples)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (PARALLEL | {"id": ""}, "line 1: id must be a non-empty string, not ''"),
        (PARALLEL | {"id": "q\ud83d"}, "line 1: id: contains the lone surrogate"),
        (PARALLEL | {"query": {"en": "  "}}, "line 1: query in 'en' is empty"),
        (PARALLEL | {"query": {}}, "query must map languages to texts"),
        (PARALLEL | {"query": "Who?"}, "query must map languages to texts"),
        (PARALLEL | {"passage": {"english": "She."}}, "'english' is not a language code"),
        (PARALLEL | {"negatives": ["He."]}, "negatives must map languages to lists of texts"),
        (PARALLEL | {"negative": {}}, "key 'negative' is unknown; did you mean 'negatives'?"),
        (MONOLINGUAL | {"negatives": "He."}, "negatives must be a list of texts, not 'He.'"),
        (MONOLINGUAL | {"passage": ""}, "line 1: passage is empty"),
        (MONOLINGUAL | {"passage_id": 7}, "passage_id must be a non-empty string, not 7"),
        ({"id": "q1", "language": "en", "query": "Who?"}, "line 1: key 'passage' is missing"),
        ("[1]\n", "line 1: must be a JSON object"),
        ("", "contains no training pairs"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, row: object, said: str) -> None:
    path = written(tmp_path, row)
    with pytest.raises(DataError) as caught:
        read_examples(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_two_forms_do_not_mix_in_one_file(tmp_path: Path) -> None:
    path = written(tmp_path, PARALLEL, MONOLINGUAL)
    with pytest.raises(
        DataError, match=r"line 2: is a monolingual row, but the rows above are par"
    ):
        read_examples(path)


def test_a_file_that_is_no_gzip_file_and_one_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl.gz").write_bytes(b"{}")
    with pytest.raises(DataError, match="incomplete gzip file"):
        read_examples(tmp_path / "pairs.jsonl.gz")
    with pytest.raises(DataError, match="cannot be read"):
        read_examples(tmp_path / "none.jsonl")
