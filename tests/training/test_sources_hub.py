"""Sets of the hub, from files made by hand in each one's schema, laid out as a local copy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import DataError, UsageError
from harness.training.pairs import read_examples
from harness.training.sources.conversion import Options, about, make_pairs
from harness.training.sources.hub_sets import HUB

Lay = Callable[..., Path]


@pytest.fixture
def mirror(tmp_path: Path) -> Lay:
    """Write rows to a file of a local copy, as its name says, and return the copy's root."""

    def lay(name: str, path: str, *rows: Any) -> Path:
        file = tmp_path / "mirror" / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(list(rows)), file)
        elif path.endswith(".tsv"):
            file.write_text("".join("\t".join(map(str, x)) + "\n" for x in rows))
        else:
            raw = "".join(json.dumps(x) + "\n" for x in rows).encode()
            file.write_bytes(gzip.compress(raw) if path.endswith(".gz") else raw)
        return tmp_path / "mirror"

    return lay


def made(name: str, root: Path, tmp_path: Path, **options: Any) -> list[dict[str, Any]]:
    out = tmp_path / "out.jsonl"
    make_pairs(name, [], out, Options(data_dir=root, **options))
    read_examples(out)
    return [json.loads(x) for x in out.read_text().splitlines()]


def test_wikiqa(mirror: Lay, tmp_path: Path) -> None:
    def row(question: str, answer: str, label: int) -> dict[str, Any]:
        return {
            "question_id": question,
            "question": f"what is {question}",
            "document_title": "T",
            "answer": answer,
            "label": label,
        }

    root = mirror(
        "wikiqa",
        "data/train-00000-of-00001.parquet",
        row("Q1", "wrong one", 0),
        row("Q1", "right", 1),
        row("Q1", "wrong two", 0),
        row("Q2", "wrong", 0),
    )
    (only,) = made("wikiqa", root, tmp_path, negatives=1)
    assert only == {
        "id": "wikiqa:en:Q1",
        "language": "en",
        "query": "what is Q1",
        "passage": "right",
        "negatives": ["wrong one"],
    }
    facts = about(tmp_path / "out.jsonl")
    assert facts["dropped"] == {"no answer": 1}
    assert (facts["repository"], facts["revision"], facts["pinned"]) == (
        "microsoft/wiki_qa",
        "local copy",
        False,
    )


def test_mr_tydi(mirror: Lay, tmp_path: Path) -> None:
    root = mirror(
        "mr-tydi",
        "mrtydi-v1.1-english/train.jsonl.gz",
        {
            "query_id": "1",
            "query": "When was quantum field theory developed?",
            "positive_passages": [{"docid": "25267#12", "title": "Field", "text": "In the 1920s."}],
            "negative_passages": [
                {"docid": "3#8", "title": "", "text": "Local."},
                {"docid": "4#8", "title": "X", "text": "Other."},
            ],
        },
    )
    (only,) = made("mr-tydi", root, tmp_path, negatives=1)
    assert only["passage"] == "Field\nIn the 1920s."
    assert only["passage_id"] == "mr-tydi:en:25267#12"
    assert only["negatives"] == ["Local."]


def test_an_id_that_ends_in_half_a_character_is_none(mirror: Lay, tmp_path: Path) -> None:
    right = [{"docid": x, "title": "T", "text": "A text."} for x in ("1", "2\ud83d")]
    row = {"query_id": "1", "query": "Who?", "positive_passages": right, "negative_passages": []}
    root = mirror("mr-tydi", "mrtydi-v1.1-english/train.jsonl.gz", row)
    (only,) = made("mr-tydi", root, tmp_path, languages=("en",))
    assert only["passage_id"] == "mr-tydi:en:1"
    assert about(tmp_path / "out.jsonl")["dropped"] == {"half a character": 1}


def test_mfaq(mirror: Lay, tmp_path: Path) -> None:
    page = {
        "domain": "example.org",
        "qa_pairs": [
            {"question": "How?", "answer": "So.", "language": "en"},
            {"question": "Why?", "answer": "Therefore.", "language": "en"},
            {"question": " ", "answer": "Empty.", "language": "en"},
        ],
    }
    root = mirror("mfaq", "data/en/train.jsonl", page, {"question": "Where?", "answer": "Here."})
    rows = made("mfaq", root, tmp_path, negatives=5)
    assert [(x["query"], x["passage"], x.get("negatives")) for x in rows] == [
        ("How?", "So.", ["Therefore.", "Empty."]),
        ("Why?", "Therefore.", ["So.", "Empty."]),
        ("Where?", "Here.", None),
    ]
    # What was cut in the middle of a character is no answer, and no other answer either.
    page["qa_pairs"][1]["answer"] = "Therefore \ud83d"
    root = mirror("mfaq", "data/en/train.jsonl", page)
    (only,) = made("mfaq", root, tmp_path, negatives=5)
    assert (only["query"], only["negatives"]) == ("How?", ["Empty."])


@pytest.mark.parametrize(
    ("name", "path", "row", "expected"),
    [
        (
            "natural-questions",
            "pair/train-00000-of-00001.parquet",
            {"query": "when is it", "answer": "It is now."},
            {"id": "natural-questions:en:0", "query": "when is it", "passage": "It is now."},
        ),
        (
            "newsqa",
            "data/train-00000-of-00001-x.parquet",
            {"context": "A story.", "question": "What?", "answers": ["story"], "key": "k1",
             "labels": [{"start": [2], "end": [6]}]},
            {"id": "newsqa:en:k1", "query": "What?", "passage": "A story.",
             "passage_id": "newsqa:0"},
        ),
        (
            "duorc",
            "SelfRC/train-00000-of-00001.parquet",
            {"plot_id": "/m/1", "plot": "They meet.", "title": "F", "question_id": "q9",
             "question": "Who?", "answers": ["They"], "no_answer": False},
            {"id": "duorc:en:q9", "query": "Who?", "passage": "They meet.",
             "passage_id": "duorc:/m/1"},
        ),
        (
            "entity-questions",
            "train.jsonl",
            {"question": "Where was X born?", "answers": ["Rome", "Roma"], "relation": "P19"},
            {"id": "entity-questions:en:0", "query": "Where was X born?", "passage": "Rome"},
        ),
        (
            "squadshifts",
            "data/nyt.validation.jsonl",
            {"id": "s1", "title": "T", "context": "A report.", "question": "What?",
             "answers": {"text": ["report"], "answer_start": [2]}},
            {"id": "squadshifts:en:s1", "query": "What?", "passage": "A report.",
             "passage_id": "squadshifts:0"},
        ),
    ],
)  # fmt: skip
def test_one_row_of_each(
    name: str, path: str, row: dict[str, Any], expected: dict[str, Any], mirror: Lay, tmp_path: Path
) -> None:
    root = mirror(name, path, row)
    assert made(name, root, tmp_path) == [{"language": "en", **expected}]


def test_a_null_is_no_text(mirror: Lay, tmp_path: Path) -> None:
    """Else pairs would be trained on with the word None."""
    page = {
        "qa_pairs": [{"question": "How?", "answer": None}, {"question": "Why?", "answer": "So."}]
    }
    root = mirror("mfaq", "data/en/train.jsonl", page)
    (only,) = made("mfaq", root, tmp_path, negatives=5)
    assert (only["query"], only["passage"], only.get("negatives")) == ("Why?", "So.", None)
    rows = [{"query": None, "answer": "A text."}, {"query": "Who?", "answer": "Me."}]
    root = mirror("natural-questions", "pair/train-0.parquet", *rows)
    (only,) = made("natural-questions", root, tmp_path)
    assert only["query"] == "Who?"
    assert about(tmp_path / "out.jsonl")["dropped"] == {"empty text": 1}


def test_questions_without_an_answer_are_counted(mirror: Lay, tmp_path: Path) -> None:
    plot = {"plot_id": "m", "plot": "P.", "title": "T", "question": "Q?", "answers": ["a"]}
    root = mirror(
        "duorc",
        "ParaphraseRC/train-0.parquet",
        {**plot, "question_id": "1", "no_answer": True},
        {**plot, "question_id": "2", "no_answer": False},
    )
    assert [x["id"] for x in made("duorc", root, tmp_path)] == ["duorc:en:2"]
    assert about(tmp_path / "out.jsonl")["dropped"] == {"no answer": 1}


def test_mmarco(mirror: Lay, tmp_path: Path) -> None:
    mirror("mmarco", "data/triples.train.ids.small.tsv",
           (7, 3, 1), (7, 3, 2), (8, 1, 3), (7, 3, 0), (9, 1, 2))  # fmt: skip
    for language, prefix in (("german", "de"), ("english", "en")):
        mirror(
            "mmarco",
            f"data/google/queries/train/{language}_queries.train.tsv",
            (8, f"{prefix} Frage acht"), (7, f"{prefix} Frage sieben"),
        )  # fmt: skip
        root = mirror(
            "mmarco",
            f"data/google/collections/{language}_collection.tsv",
            *[(n, f"{prefix} Absatz {n}") for n in range(4)],
        )
    rows = made("mmarco", root, tmp_path, languages=("de", "en"), negatives=1)
    assert rows == [
        {
            "id": "mmarco:7",
            "query": {"de": "de Frage sieben", "en": "en Frage sieben"},
            "passage": {"de": "de Absatz 3", "en": "en Absatz 3"},
            "passage_id": "mmarco:3",
            "negatives": {"de": ["de Absatz 1"], "en": ["en Absatz 1"]},
        },
        {
            "id": "mmarco:8",
            "query": {"de": "de Frage acht", "en": "en Frage acht"},
            "passage": {"de": "de Absatz 1", "en": "en Absatz 1"},
            "passage_id": "mmarco:1",
            "negatives": {"de": ["de Absatz 3"], "en": ["en Absatz 3"]},
        },
    ]
    assert about(tmp_path / "out.jsonl")["dropped"] == {
        "pair named before": 1,
        "no text in any language": 1,
    }


def test_a_limit_takes_the_first_rows(mirror: Lay, tmp_path: Path) -> None:
    rows = [{"query": f"q{n}", "answer": f"a{n}"} for n in range(5)]
    root = mirror("natural-questions", "pair/train-0.parquet", *rows)
    assert [x["query"] for x in made("natural-questions", root, tmp_path, limit=2)] == ["q0", "q1"]


def test_from_the_hub_at_the_pinned_revision(
    mirror: Lay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub library's one call is stood in for; the requests are what counts."""
    import huggingface_hub

    root = mirror("natural-questions", "pair/train-0.parquet", {"query": "q", "answer": "a"})
    requested: dict[str, Any] = {}
    pinned = HUB["natural-questions"].revision
    assert pinned is not None
    snapshot = (root / "natural-questions").rename(tmp_path / pinned)

    def fetch(repo: str, **options: Any) -> str:
        requested.update(options, repo=repo)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    make_pairs("natural-questions", [], tmp_path / "out.jsonl", Options())
    assert (requested["repo"], requested["revision"], requested["repo_type"]) == (
        "sentence-transformers/natural-questions",
        pinned,
        "dataset",
    )
    assert about(tmp_path / "out.jsonl")["pinned"] is True


def test_every_pin_is_a_whole_commit() -> None:
    for name, found in HUB.items():
        assert found.revision is None or len(found.revision) == 40, name


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("wikiqa", {"languages": ("de",)}, UsageError, "wikiqa has no language 'de': it has en"),
        ("wikiqa", {"offline": True}, DataError, "wikiqa is not available, and nothing is"),
    ],
)
def test_what_cannot_be_had(
    name: str, options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    with pytest.raises(error, match=message):
        make_pairs(name, [], tmp_path / "out.jsonl", Options(**options))


def test_a_row_of_another_schema_names_the_field(mirror: Lay, tmp_path: Path) -> None:
    root = mirror("natural-questions", "pair/train-0.parquet", {"question": "q", "answer": "a"})
    with pytest.raises(DataError, match=r"a row has no 'query' .it has answer, question"):
        made("natural-questions", root, tmp_path)
    (root / "natural-questions" / "pair" / "train-0.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match="cannot be read"):
        made("natural-questions", root, tmp_path)
