"""What mteb publishes, as rows: every version of its files, and everything that can be wrong."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.base.languages import short_code
from harness.boards import make_board, read_leaderboards
from harness.cli import main
from harness.data.task import Setting, find_task
from harness.errors import RecordError
from harness.interop.mteb.import_results import from_results, read_results
from harness.interop.published import ModelFacts, Published
from harness.interop.published_tables import keep, load, load_all

TWO = {"n_parameters": 118000000, "embed_dim": 384, "release_date": "2024-02-08"}


def scored(subset: str, ndcg: float = 0.5, **more: Any) -> dict[str, Any]:
    """One subset's scores, as mteb writes them since 1.11."""
    values = {"ndcg_at_10": ndcg, "ndcg_at_20": ndcg, "main_score": ndcg, "map_at_1000": 0.25}
    about = {"hf_subset": subset, "languages": [], "nauc_map_at_10_max": float("nan")}
    return about | values | more


def result(task: str, **splits: list[dict[str, Any]]) -> dict[str, Any]:
    """A result file, as mteb writes it since 1.11."""
    return {
        "dataset_revision": "51adfef1c1287aab1d2d91b5bead9bcfb9c68583",
        "task_name": task,
        "mteb_version": "1.18.0",
        "scores": splits,
        "evaluation_time": 3.5,
        "kg_co2_emissions": None,
    }


def put(folder: Path, document: Any, *, meta: Any = TWO, model: str = "acme__m") -> Path:
    """Write a result file where mteb lays it out, and what it says of the model."""
    name = document.get("task_name") or document["mteb_dataset_name"]
    path = folder / model / "rev1" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    if meta is not None:
        about = {"name": model.replace("__", "/"), "revision": "rev1"} | meta
        (path.parent / "model_meta.json").write_text(json.dumps(about))
    return path


def mono(language: str) -> Setting:
    return Setting("mono", language, language)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, arguments)])


def test_a_file_of_mtebs_own_task_is_a_row_of_ours(tmp_path: Path) -> None:
    rows = [scored("de", 0.81234, mrr_at_10=0.7654321, recall_at_100=1.0, precision_at_1=0.5)]
    path = put(tmp_path, result("XQuADRetrieval", validation=[*rows, scored("th")]))
    (row,) = from_results(path)
    assert (row.task, row.model, row.revision, row.origin) == (
        "xquad", "acme/m", "rev1", "mteb 1.18.0",
    )  # fmt: skip
    assert row.published_as == "XQuADRetrieval validation"
    assert row.data_digest == "51adfef1c1287aab1d2d91b5bead9bcfb9c68583"
    # mteb's mAP looks at 1,000 passages: never ours, which looks at all.
    assert row.scores[mono("de")] == {
        "ndcg@10": 0.81234, "ndcg@20": 0.81234, "map@1000": 0.25, "mrr@10": 0.765432,
        "recall@100": 1.0, "precision@1": 0.5,
    }  # fmt: skip
    assert set(row.scores) == {mono("de"), mono("th")}
    assert row.decimals["mrr@10"] == 6 and row.decimals["ndcg@10"] == 5
    # Tables hold the measures of the task and few more.
    (brief,) = read_results([path]).rows
    assert set(brief.scores[mono("de")]) == {"ndcg@10", "map@1000", "mrr@10", "recall@100"}


def test_files_from_before_version_1_11_are_read(tmp_path: Path) -> None:
    values = {"ndcg_at_10": 0.5, "mrr_at_10": 0.25}
    path = put(
        tmp_path,
        {
            "dataset_revision": None,
            "mteb_dataset_name": "MIRACLRetrieval",
            "mteb_version": "1.0.3.dev0",
            "dev": {"evaluation_time": 1.5, "ar": values, "zh": values},
        },
        meta=None,
    )
    (row,) = from_results(path)
    assert row.task == "miracl" and row.origin == "mteb 1.0.3.dev0" and row.data_digest == ""
    ours = {"ndcg@10": 0.5, "mrr@10": 0.25}
    assert row.scores == {mono("ar"): ours, mono("zh"): ours}
    assert row.text == "title-space-text"


@pytest.mark.parametrize(
    ("task", "split", "subset", "ours", "setting"),
    [
        ("NeuCLIR2022Retrieval", "test", "fas", "neuclir-2022", mono("fa")),
        ("NeuCLIR2023RetrievalHardNegatives", "test", "zho", "neuclir-2023-hard-negatives",
         mono("zh")),
        ("MIRACLRetrievalHardNegatives", "dev", "yo", "miracl-hard-negatives", mono("yo")),
        ("MLQARetrieval", "test", "ara-ara", "mlqa", mono("ar")),
        ("MLQARetrieval", "validation", "mlqa.hi.hi", "mlqa-dev", mono("hi")),
        ("BelebeleRetrieval", "test", "arb_Latn-arb_Latn", "belebele", mono("ar-Latn")),
        # The first language is that of the passages (mteb's load_data), the query's in ours.
        ("BelebeleRetrieval", "test", "eng_Latn-tur_Latn", "belebele",
         Setting("cross", "tr", "en")),
        ("BelebeleRetrieval", "test", "npi_Deva-npi_Latn", "belebele",
         Setting("cross", "ne-Latn", "ne")),
    ],
)  # fmt: skip
def test_subsets_are_settings_of_ours(
    tmp_path: Path, task: str, split: str, subset: str, ours: str, setting: Setting
) -> None:
    (row,) = from_results(put(tmp_path, result(task, **{split: [scored(subset)]})))
    assert (row.task, set(row.scores)) == (ours, {setting})


def test_mtebs_codes_of_belebele_are_all_languages_of_ours() -> None:
    spec = find_task("belebele")
    codes = spec.source.codes
    assert {x: short_code(codes[x]) for x in spec.languages} == {x: x for x in spec.languages}


def test_two_splits_are_two_rows(tmp_path: Path) -> None:
    document = result(
        "MLQARetrieval",
        test=[scored("deu-deu", 0.5)],
        validation=[scored("deu-deu", 0.75)],
        train=[scored("deu-deu", 1.0)],
    )
    found = read_results([put(tmp_path, document)])
    assert {r.task: r.scores[mono("de")]["ndcg@10"] for r in found.rows} == {
        "mlqa": 0.5, "mlqa-dev": 0.75,
    }  # fmt: skip
    assert any("splits other than test and validation (train)" in x for x in found.problems)


def test_experiments_are_rows_of_their_own(tmp_path: Path) -> None:
    plain = put(tmp_path, result("XQuADRetrieval", validation=[scored("de", 0.75)]))
    folder = plain.parent / "experiments" / "output_dtype_int8"
    folder.mkdir(parents=True)
    document = result("XQuADRetrieval", validation=[scored("de", 0.5)])
    (folder / plain.name).write_text(json.dumps(document))
    rows = read_results([tmp_path]).rows
    assert {(r.model, r.revision, r.options): r.scores[mono("de")]["ndcg@10"] for r in rows} == {
        ("acme/m", "rev1", ""): 0.75, ("acme/m", "rev1", "output_dtype_int8"): 0.5,
    }  # fmt: skip
    assert len({r.id for r in rows}) == 2


def test_an_experiment_can_have_facts_of_its_own(tmp_path: Path) -> None:
    plain = put(tmp_path / "r", result("XQuADRetrieval", validation=[scored("de", 0.75)]))
    for name, meta in (("same", {}), ("small", {"name": "acme/m", "embed_dim": 64})):
        folder = plain.parent / "experiments" / name
        folder.mkdir(parents=True)
        (folder / plain.name).write_bytes(plain.read_bytes())
        if meta:
            (folder / "model_meta.json").write_text(json.dumps(meta | {"revision": "rev1"}))
    keep(read_results([tmp_path / "r"]).rows, tmp_path)
    rows, _ = load_all(tmp_path)
    assert {r.options: r.facts and r.facts.dimensions for r in rows} == {
        "": 384, "same": 384, "small": 64,
    }  # fmt: skip
    assert len((tmp_path / "published" / "models.csv").read_text().splitlines()) == 3


def test_prompts_of_the_second_version_of_a_task_are_named(tmp_path: Path) -> None:
    for name in ("MIRACLRetrievalHardNegatives", "MIRACLRetrievalHardNegatives.v2"):
        put(tmp_path, result(name, dev=[scored("de")]))
    rows = read_results([tmp_path]).rows
    assert [r.options for r in rows] == ["", "prompts of MIRACLRetrievalHardNegatives.v2"]


FACTS = {
    "n_parameters": 117653760,
    "embed_dim": 384,
    "release_date": "2024-02-08",
    "open_weights": True,
    "license": "mit",
    # mteb names Latin for most scripts.
    "languages": ["deu-Latn", "amh-Latn", "zho_Hans", "zho-Hant"],
}


@pytest.mark.parametrize(
    "data", [["NQ", "XQuADRetrieval"], {"NQ": ["train"], "XQuADRetrieval": []}]
)
def test_facts_come_along_and_training_on_the_task_is_marked(tmp_path: Path, data: Any) -> None:
    meta = FACTS | {"training_datasets": data}
    put(tmp_path, result("XQuADRetrieval", validation=[scored("de")]), meta=meta)
    put(tmp_path, result("MIRACLRetrieval", dev=[scored("de")]), meta=meta)
    rows = {r.task: r for r in read_results([tmp_path]).rows}
    assert rows["xquad"].facts == ModelFacts(
        parameters=117653760, dimensions=384, released="2024-02-08", open_weights=True,
        license="mit", languages=("am", "de", "zh"), training_data=("NQ", "XQuADRetrieval"),
    )  # fmt: skip
    assert (rows["xquad"].trained, rows["miracl"].trained) == ("XQuADRetrieval", None)


def test_training_of_a_model_that_it_was_made_from_counts(tmp_path: Path) -> None:
    data = {"training_datasets": ["XQuADRetrieval"]}
    for model, meta in (
        ("acme__base", data),
        ("acme__middle", {"adapted_from": "acme/base"}),
        ("acme__top", {"adapted_from": "acme/middle", "training_datasets": ["NQ"]}),
        ("acme__loop", {"adapted_from": "acme/loop"}),
    ):
        put(tmp_path, result("XQuADRetrieval", validation=[scored("de")]), meta=meta, model=model)
    rows = {r.model: r.trained for r in read_results([tmp_path]).rows}
    through = "XQuADRetrieval, through acme/base"
    assert rows == {
        "acme/base": "XQuADRetrieval", "acme/middle": through, "acme/top": through,
        "acme/loop": None,
    }  # fmt: skip


@pytest.mark.parametrize("meta", [None, {}, "[]", "", '{"name": 3}', '{"name": "\\ud800"}', "{"])
def test_without_a_readable_model_meta_the_folders_name_the_model(
    tmp_path: Path, meta: Any
) -> None:
    path = put(tmp_path, result("XQuADRetrieval", validation=[scored("de")]), meta=None)
    if isinstance(meta, str):
        (path.parent / "model_meta.json").write_text(meta)
    elif meta is not None:
        (path.parent / "model_meta.json").write_text(json.dumps(meta))
    found = read_results([tmp_path])
    assert [(r.model, r.revision) for r in found.rows] == [("acme/m", "rev1")]
    named = any("has no model_meta.json that can be read" in x for x in found.problems)
    assert named == (meta is None or "name" not in str(meta))


def test_facts_of_wrong_types_are_unknown(tmp_path: Path) -> None:
    meta = {
        "n_parameters": "many", "embed_dim": -3, "release_date": "soon", "open_weights": "yes",
        "license": ["mit"], "languages": "all", "training_datasets": 7,
    }  # fmt: skip
    put(tmp_path, result("XQuADRetrieval", validation=[scored("de")]), meta=meta)
    assert read_results([tmp_path]).rows[0].facts == ModelFacts()


NO_SCORES = [float("nan"), float("inf"), "0.5", True, [1], 50.0, -0.1, 10**400]


@pytest.mark.parametrize("value", NO_SCORES, ids=lambda x: repr(x)[:9])
def test_what_is_no_score_is_left_out_and_named(tmp_path: Path, value: Any) -> None:
    rows = [scored("de", recall_at_100=value), scored("en")]
    found = read_results([put(tmp_path, result("XQuADRetrieval", validation=rows))])
    assert "recall@100" not in found.rows[0].scores[mono("de")]
    assert found.rows[0].scores[mono("de")]["ndcg@10"] == 0.5
    assert [x for x in found.problems if "are not scores; left out (recall_at_100 of de)" in x]


@pytest.mark.parametrize("value", NO_SCORES, ids=lambda x: repr(x)[:9])
def test_a_main_score_that_is_none_does_not_stand_in(tmp_path: Path, value: Any) -> None:
    rows = [{"hf_subset": "de", "main_score": value}, scored("en")]
    found = read_results([put(tmp_path, result("XQuADRetrieval", validation=rows))])
    assert set(found.rows[0].scores) == {mono("en")}
    assert [x for x in found.problems if "are not scores; left out (main_score of de)" in x]


def test_null_is_a_value_that_is_not_there(tmp_path: Path) -> None:
    rows = [scored("de", recall_at_100=None)]
    found = read_results([put(tmp_path, result("XQuADRetrieval", validation=rows))])
    assert not any("not scores" in x for x in found.problems)


def test_the_case_with_nan_in_a_file_of_our_own_task(tmp_path: Path) -> None:
    values = {"recall_at_100": float("nan"), "mrr_at_10": 0.75, "map_at_10": 0.75}
    put(tmp_path, result("XQuADR", test=[scored("mono/de", 0.8, **values)]))
    done = run(tmp_path, "--leaderboards", tmp_path / "boards")
    assert done.exit_code == 0, done.output
    assert "are not scores; left out (recall_at_100 of mono/de)" in done.output
    (row,), _ = load_all(tmp_path / "boards")
    assert row.scores[mono("de")] == {"ndcg@10": 0.8, "ndcg@20": 0.8, "mrr@10": 0.75}


def test_main_score_stands_in_for_its_measure_and_must_equal_it(tmp_path: Path) -> None:
    only = {"hf_subset": "fas", "main_score": 0.25}
    other = scored("rus", 0.5, main_score=0.75)
    found = read_results([put(tmp_path, result("NeuCLIR2022Retrieval", test=[only, other]))])
    # The main score of NeuCLIR is nDCG@20.
    assert found.rows[0].scores[mono("fa")] == {"ndcg@20": 0.25}
    assert found.rows[0].scores[mono("ru")]["ndcg@20"] == 0.5
    assert any("has a main_score other than its ndcg@20" in x for x in found.problems)


def test_of_a_subset_that_stands_twice_the_last_counts(tmp_path: Path) -> None:
    rows = [scored("de", 0.25), scored("de", 0.5), scored("en"), scored("en")]
    found = read_results([put(tmp_path, result("XQuADRetrieval", validation=rows))])
    assert found.rows[0].scores[mono("de")]["ndcg@10"] == 0.5
    assert [x for x in found.problems if "subset twice with other scores" in x and "(de)" in x]
    assert not any("more like it" in x for x in found.problems)


def test_a_result_in_two_files_counts_once_by_the_later_version(tmp_path: Path) -> None:
    for folder, version, ndcg in (("a", "1.9.0", 0.25), ("b", "1.10.0", 0.5), ("c", "1.2", 0.1)):
        document = result("XQuADRetrieval", validation=[scored("de", ndcg)])
        put(tmp_path / folder, document | {"mteb_version": version})
    found = read_results([tmp_path])
    assert [r.scores[mono("de")]["ndcg@10"] for r in found.rows] == [0.5]
    assert any("in another file too" in x and "1 more like it" in x for x in found.problems)


def test_what_the_task_here_does_not_have_is_one_sentence_a_kind(tmp_path: Path) -> None:
    for i in range(3):
        document = result("XQuADRetrieval", validation=[scored("de"), scored("ro"), scored("?")])
        put(tmp_path, document, model=f"acme__m{i}")
    mlqa = [scored("deu-deu"), scored("deu-eng"), scored("eng-deu")]
    put(tmp_path, result("MLQARetrieval", test=mlqa))
    put(tmp_path, result("MMarcoRetrievalMultilingual", dev=[scored("de")]))
    put(tmp_path, result("NFCorpus", test=[scored("default")]))
    found = read_results([tmp_path])
    assert len(found.rows) == 4 and found.files == 5
    said = "\n".join(found.problems)
    assert "does not have; left out (ro in xquad); 2 more like it" in said
    assert "names no language; left out (?); 2 more like it" in said
    assert "lacks languages of its task (1 of 7 of mlqa); 3 more like it" in said
    assert "cross-lingual subsets of MLQARetrieval" in said and "(deu-eng); 1 more" in said
    assert "106,813 passages drawn from mMARCO's collections" in said
    assert len(found.problems) == 5


DEEP = "[" * 100_000 + "]" * 100_000
BROKEN = [
    b"", b"{", b'{"scores": ', b"[]", b"null", b"\xff\xfe{}", b'{"task_name": 3}',
    b'{"task_name": "XQuADRetrieval"}',
    b'{"task_name": "XQuADRetrieval", "scores": 3}',
    b'{"task_name": "XQuADRetrieval", "scores": {"validation": 3}}',
    b'{"task_name": "XQuADRetrieval", "scores": {"validation": [3]}}',
    b'{"task_name": "XQuADRetrieval", "scores": {"validation": [{"hf_subset": ["de"]}]}}',
    b'{"task_name": "XQuADRetrieval", "scores": {"validation": []}}',
    b'{"task_name": "XQuADRetrieval", "scores": {"validation": [{"hf_subset": "de"}]}}',
    b'{"task_name": "XQuADRetrieval", "scores": {"\\ud800\\n": []}}',
    b'{"mteb_dataset_name": "XQuADRetrieval", "validation": {"de": {"ndcg_at_10": "x"}}}',
    b'{"mteb_dataset_name": "XQuADRetrieval", "validation": {"ndcg_at_10": 0.5}}',
    b'{"task_name": "XQuADRetrieval", "scores": ' + DEEP.encode() + b"}",
    b'{"task_name": "XQuADRetrieval", "n": ' + b"9" * 10_000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("content", BROKEN, ids=lambda x: repr(x[:70]))
def test_where_nothing_can_be_read_there_is_one_sentence_and_exit_code_2(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "acme__m" / "rev1" / "XQuADRetrieval.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for named in (path, tmp_path):
        done = run(named, "--leaderboards", tmp_path / "boards")
        assert done.exit_code == 2, done.output
        assert "XQuADRetrieval.json: " in done.output and "Traceback" not in done.output
    assert not (tmp_path / "boards").exists()


@pytest.mark.parametrize("content", BROKEN, ids=lambda x: repr(x[:70]))
def test_a_broken_file_takes_no_other_with_it(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, result("XQuADRetrieval", validation=[scored("de")]))
    path = tmp_path / "acme__other" / "rev1" / "XQuADRetrieval.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    found = read_results([tmp_path])
    assert [r.model for r in found.rows] == ["acme/m"]
    assert any("acme__other" in x for x in found.problems)
    assert all("\n" not in x and x.encode() for x in found.problems)


def test_a_folder_without_results_says_what_it_looked_for(tmp_path: Path) -> None:
    done = run(tmp_path, "--leaderboards", tmp_path / "boards")
    assert done.exit_code == 2 and "contains no mteb result of BelebeleRetrieval" in done.output
    with pytest.raises(RecordError, match="No such file"):
        from_results(tmp_path / "nothing.json")


def many(folder: Path) -> tuple[Published, ...]:
    meta = FACTS | {"training_datasets": []}
    put(folder, result("XQuADRetrieval", validation=[scored("de", 0.0), scored("en", 1.0)]))
    put(folder, result("BelebeleRetrieval", test=[scored("eng_Latn-zho_Hant")]), meta=meta)
    put(folder, result("XQuADR", test=[scored("multi/de", rank_distance=1 / 3)]), model="b")
    return read_results([folder]).rows


def test_tables_give_back_what_was_kept(tmp_path: Path) -> None:
    rows = many(tmp_path / "results")
    written = keep(rows, tmp_path / "boards")
    assert [x.name for x in written] == ["belebele.csv", "xquad.csv", "xquad-r.csv", "models.csv"]
    found, refused = load_all(tmp_path / "boards")
    assert not refused and {r.key: r for r in found} == {r.key: r for r in rows}
    assert keep(rows, tmp_path / "boards") == []


def test_an_import_replaces_its_own_rows_and_leaves_the_others(tmp_path: Path) -> None:
    keep(many(tmp_path / "results"), tmp_path / "boards")
    put(tmp_path / "new", result("XQuADRetrieval", validation=[scored("de", 0.75)]))
    put(tmp_path / "new", result("XQuADRetrieval", validation=[scored("th")]), model="acme__n")
    written = keep(read_results([tmp_path / "new"]).rows, tmp_path / "boards")
    assert [x.name for x in written] == ["xquad.csv", "models.csv"]
    found, _ = load_all(tmp_path / "boards")
    scores = {r.model: r.scores for r in found if r.task == "xquad"}
    assert scores["acme/m"] == {mono("de"): {"ndcg@10": 0.75, "map@1000": 0.25}}
    assert set(scores["acme/n"]) == {mono("th")}
    assert {r.task for r in found} == {"xquad", "xquad-r", "belebele"}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda t: t[: len(t) - 5], "row 2 has"),
        (lambda t: t.replace("mono/de", "mono/"), "is not a measure and a setting"),
        (lambda t: t.replace("mono/en", "mono/de"), "has a duplicate column"),
        (lambda t: t.replace("model,", "name,"), "columns do not start with model"),
        (lambda t: t.replace(",0,1", ",nan,1"), "'nan' is not a score"),
        (lambda t: t.replace(",0,1", ",x,1"), "could not convert"),
        (lambda t: t.replace(",0,1", ",0,1.5"), "acme/m has a score that is not between 0 and 1"),
        (lambda t: t.replace("acme/m", ""), "without a model"),
        (lambda t: t + t.split("\n")[1] + "\n", "would both be the row"),
        (lambda t: t.replace("acme/m", '"acme/m'), "is not a table"),
        (lambda t: "", "it is empty"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, damage: Any, said: str) -> None:
    keep(many(tmp_path / "results"), tmp_path)
    path = tmp_path / "published" / "xquad.csv"
    text = path.read_text()
    assert damage(text) != text
    path.write_text(damage(text))
    with pytest.raises(RecordError, match=r"xquad\.csv") as caught:
        load(path)
    assert said in str(caught.value)
    rows, refused = load_all(tmp_path)
    assert {r.task for r in rows} == {"belebele", "xquad-r"} and len(refused) == 1
    done = run(tmp_path / "results", "--leaderboards", tmp_path)
    assert done.exit_code == 2 and said in done.output


def test_names_that_differ_in_punctuation_alone_are_not_one_row(tmp_path: Path) -> None:
    for model in ("acme__m.1", "acme__m-1"):
        put(tmp_path, result("XQuADRetrieval", validation=[scored("de")]), model=model)
    found = read_results([tmp_path])
    assert len(found.rows) == 1 and any("in punctuation alone" in x for x in found.problems)


def test_rows_kept_by_earlier_versions_stay_readable(tmp_path: Path) -> None:
    row = {
        "format": 1, "task": "demo", "model": "acme/m", "revision": "0123456789",
        "origin": "mteb 2", "data_digest": "d" * 64,
        "settings": [{
            "kind": "cross", "query_language": "de", "passage_language": "en",
            "scores": {"map": 0.5},
        }],
    }  # fmt: skip
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "acme-m-01234567.demo.json").write_text(json.dumps(row))
    rows, refused = load_all(tmp_path)
    assert not refused and [r.id for r in rows] == ["imported-acme-m-01234567"]
    assert rows[0].scores == {Setting("cross", "de", "en"): {"map": 0.5}}


def test_published_rows_are_checked_with_the_real_files(real_data: Path, tmp_path: Path) -> None:
    """Ten rows drawn by chance, each compared with its file, which is read here again."""
    folder = real_data / "mteb-results"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: a copy of what mteb publishes")
    done = run(folder, "--leaderboards", tmp_path)
    assert done.exit_code == 0, done.output
    rows, refused = load_all(tmp_path)
    assert not refused and len(rows) == 701 and len({r.model for r in rows}) == 286
    # 60 MB of files.
    assert sum(x.stat().st_size for x in tmp_path.rglob("*.csv")) < 1_000_000
    assert len(done.output.splitlines()) < 25
    metas = {}
    for path in folder.glob("*/*/model_meta.json"):
        meta = json.loads(path.read_text())
        metas[meta["name"], meta["revision"]] = path
    random.Random(17).shuffle(rows)
    for row in rows[:10]:
        name, split = str(row.published_as).split()
        path = metas[row.model, row.revision].parent / f"{name}.json"
        theirs = json.loads(path.read_text())["scores"][split]
        by = {}
        for subset in theirs:
            passages, _, queries = subset["hf_subset"].partition("-")
            by[short_code(queries or passages), short_code(passages)] = subset
        for setting, values in row.scores.items():
            subset = by.pop((setting.query_language, str(setting.passage_language)))
            assert {"ndcg@10", "recall@10", "recall@100", "mrr@10", "map@1000"} <= set(values)
            for measure, value in values.items():
                assert abs(value - subset[measure.replace("@", "_at_")]) <= 5.1e-7, (path, measure)
        # What is left is not in the task here.
        known = find_task(row.task).languages
        crossed = name == "MLQARetrieval"
        assert all(q not in known or p not in known or (crossed and p != q) for p, q in by)


def test_imported_rows_stand_on_the_board_unranked(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "boards" / "golden"
    boards = tmp_path / "boards"
    (boards / "records").mkdir(parents=True)
    for path in (golden / "records").glob("*.json"):
        (boards / "records" / path.name).write_bytes(path.read_bytes())
    (task, *_) = (x for x in make_board(read_leaderboards(boards)).tasks if x.task == "xquad-r")
    assert task.primary
    digest = {"dataset_revision": task.data_digest}
    whole = [scored(f"mono/{x}", 0.5) for x in task.languages]
    meta = FACTS | {"training_datasets": ["XQuADRetrieval"]}
    put(tmp_path / "r", result("XQuADR", test=whole) | digest, model="acme__all", meta=meta)
    put(tmp_path / "r", result("XQuADR", test=whole[1:]) | digest, model="acme__part")
    done = run(tmp_path / "r", "--leaderboards", boards)
    assert done.exit_code == 0, done.output
    made = make_board(read_leaderboards(boards))
    board = next(x for x in made.tasks if x.slug == task.slug)
    rows = {r.model: r for r in board.rows if r.source == "imported"}
    assert not {r.id for r in rows.values()} & {x for r in board.rankings.values() for x in r.order}
    assert rows["acme/all"].cells["mono/ndcg@10"].value == 0.5
    assert rows["acme/all"].parameters == 117653760
    assert "trained on data of this task: XQuADRetrieval" in rows["acme/all"].notes
    # A mean over other languages does not stand in the column of all.
    part = rows["acme/part"]
    assert "mono/ndcg@10" not in part.cells
    assert [c.value for c in part.languages["mono/ndcg@10"]] == [
        None, *[0.5] * (len(task.languages) - 1),
    ]  # fmt: skip
    assert f"over {len(task.languages) - 1} of the {len(task.languages)} languages" in part.notes


def test_settings_that_run_on_request_alone_are_rows_too(tmp_path: Path) -> None:
    """The pool of all of MIRACL's languages, and pools of two, which no board shows."""
    document = result("MIRACLHarness", test=[scored("mono/sw"), scored("multi/sw", 0.25)])
    document["scores"]["test"].append(scored("pairs/sw-yo"))
    found = read_results([put(tmp_path, document)])
    (row,) = found.rows
    assert set(row.scores) == {mono("sw"), Setting("multi", "sw", None)}
    assert row.means()["multi"]["ndcg@10"] == 0.25
    (problem,) = found.problems
    assert (
        "pools of two languages, for which boards have no column; left out (pairs/sw-yo)" in problem
    )


def test_what_is_written_can_be_read_whatever_a_file_holds(tmp_path: Path) -> None:
    """A key that is no measure, and more training data than one field of a table usually has."""
    odd = {"my score@10": 0.5, "@": 0.5, "ndcg@10 mono/en": 0.5, "a\nb@3": 0.5, "own@3": 0.25}
    datasets = [f"{number:04}{'x' * 150}" for number in range(1000)]
    meta = TWO | {"training_datasets": datasets}
    path = put(tmp_path, result("XQuADR", test=[scored("mono/de", **odd)]), meta=meta)
    for _ in range(2):
        keep(read_results([path]).rows, tmp_path / "boards")
        (row,), refused = load_all(tmp_path / "boards")
        assert refused == []
        assert row.scores == {mono("de"): {"ndcg@10": 0.5, "ndcg@20": 0.5, "own@3": 0.25}}
        assert row.facts is not None and row.facts.training_data == tuple(datasets)


def test_what_cannot_be_kept_leaves_all_tables_as_they_were(tmp_path: Path) -> None:
    """A name that differs in punctuation from one of an earlier import."""
    first = put(tmp_path / "first", result("XQuADRetrieval", validation=[scored("de")]))
    keep(read_results([first]).rows, tmp_path / "boards")
    before = {x.name: x.read_bytes() for x in (tmp_path / "boards" / "published").iterdir()}
    second = tmp_path / "second"
    put(second, result("MIRACLRetrieval", dev=[scored("de")]), model="acme__other")
    put(second, result("XQuADRetrieval", validation=[scored("de")]), model="acme__m.")
    with pytest.raises(RecordError, match=r"acme/m and acme/m\. would both be the row"):
        keep(read_results([second]).rows, tmp_path / "boards")
    after = {x.name: x.read_bytes() for x in (tmp_path / "boards" / "published").iterdir()}
    assert after == before
