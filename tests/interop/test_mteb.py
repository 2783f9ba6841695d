"""Our tasks in mteb, our records as its result files, and back: the same numbers everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from mteb.models import SearchEncoderWrapper
from mteb_encoders import WordBagInMteb
from tiny_miracl import write_miracl

import harness
from harness.boards import make_board, read_leaderboards
from harness.cli import main
from harness.errors import ModelError, RecordError, UsageError
from harness.evaluation.options import RunOptions
from harness.evaluation.record import Record
from harness.interop.mteb import (
    MLQAR,
    EncodeOnce,
    XQuADR,
    from_results,
    from_task_file,
    to_result,
    write_results,
)

ROUNDED = 5e-6
"""mteb rounds its means to five decimals."""
Rows = dict[str, dict[str, Any]]


def scored(model: Any, task: Any, **how: Any) -> Rows:
    result = mteb.evaluate(
        model, tasks=[task], cache=None, co2_tracker=False, show_progress_bar=False,
        encode_kwargs=how,
    )  # fmt: skip
    return {row["hf_subset"]: row for row in result.task_results[0].scores["test"]}


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def record(task_file: Path) -> Record:
    return harness.evaluate(tiny.WordBag(), tasks=[str(task_file)], store=False)


@pytest.fixture(scope="module")
def through_mteb(task_file: Path) -> Iterator[tuple[Rows, int]]:
    """Every subset's scores, and the texts that the encoder was given."""
    encoder = WordBagInMteb()
    yield scored(encoder, from_task_file(task_file)()), encoder.encoded


def settings(record: Record) -> dict[str, dict[str, Any]]:
    return {row["setting"]: row for row in record.document["tasks"][0]["settings"]}


def test_every_setting_is_a_subset_with_mtebs_and_our_numbers(
    record: Record, through_mteb: tuple[Rows, int]
) -> None:
    ours, theirs = settings(record), through_mteb[0]
    assert set(theirs) == set(ours)
    for name, row in ours.items():
        for measure, value in row["scores"].items():
            # Agreement across query languages is not theirs to compute a subset at a time.
            if value is not None and "rank_correlation" not in measure:
                assert theirs[name][measure] == pytest.approx(value, abs=1e-12), (name, measure)
        for measure, key in (("ndcg@10", "ndcg_at_10"), ("mrr@10", "mrr_at_10")):
            assert theirs[name][key] == pytest.approx(row["scores"][measure], abs=ROUNDED)


def test_means_over_the_settings_of_a_kind_stand_in_its_subsets(
    record: Record, through_mteb: tuple[Rows, int]
) -> None:
    means = record.document["tasks"][0]["means"]
    for name, row in through_mteb[0].items():
        kind = name.split("/")[0]
        for measure in ("map", "rank_distance"):
            value = means[kind]["macro"].get(measure)
            if value is not None:
                assert row[f"{kind}_mean_{measure}"] == pytest.approx(value, abs=1e-12)
        assert not any(k.split("_mean_")[0] != kind for k in row if "_mean_" in k)


def test_an_encoder_gets_each_text_once(
    record: Record, through_mteb: tuple[Rows, int], task_file: Path
) -> None:
    assert through_mteb[1] == record.document["tasks"][0]["encoding"]["distinct"]


def test_mtebs_own_search_and_ours_agree_and_ours_encodes_once(
    task_file: Path, through_mteb: tuple[Rows, int]
) -> None:
    task = from_task_file(task_file)()
    plain, remembering = WordBagInMteb(), WordBagInMteb()
    by_mteb = scored(SearchEncoderWrapper(plain), task)
    once = EncodeOnce(remembering)
    by_us = scored(once, task)
    for name, row in through_mteb[0].items():
        assert by_us[name]["ndcg_at_10"] == pytest.approx(row["ndcg_at_10"], abs=ROUNDED)
        # Distractors come twice: mteb leaves the order of equal scores to chance, trec_eval and
        # both of ours do not. recall@1000 has no cut within a tie.
        assert by_mteb[name]["recall_at_1000"] == row["recall_at_1000"] == 1.0
        # Only part of the ranking was kept: nothing can be said of the whole.
        assert "rank_distance" not in by_mteb[name] and "rank_distance" not in by_us[name]
    assert remembering.encoded == once.encoded == through_mteb[1]
    assert plain.encoded > 3 * remembering.encoded
    scored(once, task, batch_size=7)
    assert once.encoded == through_mteb[1]
    scored(once, task, truncate_dim=8)  # other vectors
    assert once.encoded == 2 * through_mteb[1]


class SilentAboutOne(WordBagInMteb):
    """A vector of zeros for one passage, as some models have for an empty one."""

    def encode(self, inputs: Any, **given: Any) -> np.ndarray:
        batches = list(inputs)
        made = super().encode(batches, **given)
        made[[x.endswith("passage 3") for batch in batches for x in batch["text"]]] = 0
        return made


def test_a_vector_of_zeros_has_the_cosine_0(task_file: Path) -> None:
    task = from_task_file(task_file)(languages=["en"], settings=["mono"])
    by_mteb = scored(SearchEncoderWrapper(SilentAboutOne()), task)
    by_us = scored(EncodeOnce(SilentAboutOne()), task)
    for name, row in by_mteb.items():
        for key in ("ndcg_at_10", "recall_at_1000"):
            assert by_us[name][key] == pytest.approx(row[key], abs=ROUNDED)


def test_encode_once_refuses_what_is_more_than_text(task_file: Path) -> None:
    """Pages of one text, none for instance, would all have the vector of the first."""
    task = from_task_file(task_file)(languages=["en"], settings=["mono"])
    task.metadata = task.metadata.model_copy(update={"category": "t2it", "modalities": ["image"]})
    with pytest.raises(ModelError, match=r"Harness-tiny has image; EncodeOnce knows texts apart"):
        scored(EncodeOnce(WordBagInMteb()), task)


def test_means_are_over_settings_of_one_way_of_encoding(task_file: Path) -> None:
    """Of one model, too: fewer dimensions, of one setting, after all settings with all of them."""
    task, encoder = from_task_file(task_file)(settings=["mono"]), ShortVectors()
    whole = scored(encoder, task)
    task.hf_subsets = ["mono/en"]
    (row,) = scored(encoder, task, truncate_dim=4).values()
    assert row["ndcg_at_10"] < whole["mono/en"]["ndcg_at_10"]
    assert row["mono_mean_ndcg_at_10"] == row["ndcg_at_10"]


class ShortVectors(WordBagInMteb):
    """Takes ``truncate_dim``, as sentence-transformers does."""

    def encode(self, inputs: Any, *, truncate_dim: int | None = None, **given: Any) -> np.ndarray:
        return super().encode(inputs, **given)[:, :truncate_dim]


def test_two_models_in_one_task_object_do_not_share_vectors(task_file: Path) -> None:
    task = from_task_file(task_file)()
    first = scored(WordBagInMteb("cosine"), task)
    second = scored(WordBagInMteb("dot"), task)
    assert scored(WordBagInMteb("cosine"), task) == first
    assert any(first[x]["map"] != second[x]["map"] for x in first)


def test_the_revision_is_the_digest_of_the_data(task_file: Path, record: Record) -> None:
    whole = from_task_file(task_file)()
    assert whole.metadata.revision == record.document["tasks"][0]["data_digest"]
    part = from_task_file(task_file)(languages=["en", "de"], settings=["mono"])
    assert part.metadata.revision != whole.metadata.revision
    assert list(part.metadata.hf_subsets_to_langscripts) == ["mono/en", "mono/de"]


def test_tasks_that_come_with_the_harness_are_not_taken_for_mtebs_own() -> None:
    theirs = {t.metadata.name for t in mteb.get_tasks()}
    for task, subsets in ((XQuADR, 132), (MLQAR, 56)):
        assert task.metadata.name not in theirs
        assert len(task.metadata.hf_subsets) == subsets
    assert XQuADR.metadata.eval_langs["cross/de-zh"] == ["deu-Latn", "zho-Hans"]
    assert XQuADR.metadata.eval_langs["multi/el"][0] == "ell-Grek"


def test_real_xquad_r_loads_and_counts_come_out(real_data: Path) -> None:
    task = XQuADR(languages=["en", "th"], data_dir=real_data)
    task.load_data()
    # metrics.md: candidates en 1180, th 852; 1,190 questions.
    assert len(task.dataset["mono/th"]["test"]["corpus"]) == 852
    assert len(task.dataset["multi/en"]["test"]["corpus"]) == 1180 + 852
    assert len(task.dataset["cross/en-th"]["test"]["queries"]) == 1190


@pytest.fixture
def demo_record() -> Record:
    return harness.evaluate(
        tiny.WordBag(), tasks=["demo"], store=False, languages=("en", "de"), resamples=0
    )


def test_a_record_goes_to_mteb_and_comes_back_with_equal_numbers(
    demo_record: Record, tmp_path: Path
) -> None:
    (path,) = write_results(demo_record, tmp_path)
    found = mteb.ResultCache(tmp_path).load_results(include_remote=False)
    frame = found.to_dataframe(aggregation_level="subset")
    rows = settings(demo_record)
    shown = frame[frame.columns[-1]].astype(float)
    # mteb shows what it loaded, rounded nowhere.
    assert dict(zip(frame["subset"], shown, strict=True)) == {
        name: row["scores"]["ndcg@10"] for name, row in rows.items()
    }
    # As two prompts of one model on the hub, which has one revision.
    with pytest.raises(RecordError, match="written over those of another record"):
        write_results(demo_record, tmp_path, taken=[path])
    (back,) = from_results(path)
    assert back.task == "demo"
    assert back.data_digest == demo_record.document["tasks"][0]["data_digest"]
    for setting, values in back.scores.items():
        defined = {k: v for k, v in rows[setting.name]["scores"].items() if v is not None}
        assert values == defined
    means = demo_record.document["tasks"][0]["means"]
    for kind, by_measure in back.means().items():
        for measure, value in by_measure.items():
            np.testing.assert_allclose(value, means[kind]["macro"][measure], atol=1e-12)


def test_what_mteb_itself_wrote_is_read(task_file: Path, tmp_path: Path) -> None:
    demo = from_task_file("demo")(languages=["en", "de"])
    cache = mteb.ResultCache(tmp_path)
    mteb.evaluate(
        WordBagInMteb(), tasks=[demo], cache=cache, co2_tracker=False, show_progress_bar=False
    )
    (back,) = from_results(tmp_path)
    assert (back.model, back.revision) == ("tests/word-bag", "1")
    assert back.origin.startswith("mteb 2.")
    assert {s.name for s in back.scores} == set(demo.metadata.hf_subsets)


def test_the_command_writes_what_mteb_loads(demo_record: Record, tmp_path: Path) -> None:
    folder = demo_record.save(tmp_path / "run").parent
    done = CliRunner().invoke(main, ["export", str(folder), "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert Path(done.output.strip()).is_file()
    assert mteb.ResultCache(tmp_path / "out").load_results(include_remote=False).model_results


def test_an_imported_row_stands_on_the_board_with_the_numbers_of_the_record(
    demo_record: Record, tmp_path: Path
) -> None:
    """Our record -> mteb's file -> our board: the measured and the imported row are equal."""
    boards = str(tmp_path / "boards")
    folder = str(demo_record.save(tmp_path / "run").parent)
    out = str(tmp_path / "mteb")
    for command in (
        ["board", "add", folder, "--leaderboards", boards],
        ["export", folder, "--output", out],
        ["import", out, "--leaderboards", boards],
        ["board", "--leaderboards", boards, "--check"],
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
    made = make_board(read_leaderboards(boards))
    (task,) = made.tasks
    rows = {row.source: row for row in task.rows}
    measured, imported = rows["measured"], rows["imported"]
    assert imported.model == "polyglot-harness/word-bag"
    assert imported.notes == (f"imported from mteb {version('mteb')}, not measured here",)
    assert not imported.comparable and imported.facts is None
    for key, cell in imported.cells.items():
        # Tracked records keep nine significant digits (harness.boards.tracked.document).
        assert cell.value == pytest.approx(measured.cells[key].value, rel=1e-7, abs=1e-9)
        assert (cell.low, cell.high) == (None, None)
    assert {k.split("/")[0] for k in imported.cells} == {"mono", "cross", "multi"}
    for ours, theirs in zip(measured.matrices["map"], imported.matrices["map"], strict=True):
        assert theirs == pytest.approx(ours, rel=1e-7, abs=1e-9)
    ranking = task.rankings["multi/map"]
    assert imported.id not in ranking.order


def test_an_imported_row_that_is_broken_is_named(demo_record: Record, tmp_path: Path) -> None:
    boards = tmp_path / "boards"
    folder = str(demo_record.save(tmp_path / "run").parent)
    done = CliRunner().invoke(main, ["board", "add", folder, "--leaderboards", str(boards)])
    assert done.exit_code == 0, done.output
    (boards / "imported").mkdir()
    (boards / "imported" / "x.demo.json").write_text('{"format": 1, "settings": []}')
    with pytest.raises(RecordError, match=r"x\.demo\.json: is not an imported row"):
        read_leaderboards(boards)


def test_a_record_without_the_main_score_is_refused(task_file: Path) -> None:
    bare = harness.evaluate(
        tiny.WordBag(), tasks=[str(task_file)], measures=("map",), store=False, resamples=0
    )
    with pytest.raises(RecordError, match=r"lacks ndcg@10.*--measure ndcg@10"):
        to_result(bare, "tiny")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(task_name="NFCorpus"), "is not of a task of the harness"),
        (lambda d: d["scores"]["test"][0].update(hf_subset="mono/xx"), "has no setting 'mono/xx'"),
        (lambda d: d.update(scores={}), "contains no scores of the test split"),
    ],
)
def test_a_result_file_that_does_not_fit_is_refused(
    demo_record: Record, tmp_path: Path, change: Any, said: str
) -> None:
    (path,) = write_results(demo_record, tmp_path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(RecordError, match=said):
        from_results(path)


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "XQuADR.json"
    path.write_text('{"scores": ')
    with pytest.raises(RecordError, match=r"XQuADR\.json: cannot be read as an mteb result"):
        from_results(path)


def test_a_corpus_goes_through_mteb_as_far_as_it_fits_into_memory(tmp_path: Path) -> None:
    path = write_miracl(tmp_path)
    rows = scored(WordBagInMteb(), from_task_file(path)())
    record = harness.evaluate(tiny.WordBag(), tasks=[str(path)], store=False, resamples=0)
    settings = record.document["tasks"][0]["settings"]
    assert [s["setting"] for s in settings] == ["mono/sw", "mono/yo"]
    for s in settings:
        assert rows[s["setting"]]["ndcg_at_10"] == pytest.approx(
            s["scores"]["ndcg@10"], abs=ROUNDED
        )
    with pytest.raises(UsageError, match="mteb's runner takes 120 passages in memory"):
        from_task_file(path)(options=RunOptions(memory=1 << 20))


def test_a_query_does_not_find_itself_where_the_task_ignores_that(tmp_path: Path) -> None:
    """Whoever searches: mteb for an encoder of its own, or we."""
    data = tmp_path / "data"
    (data / "qrels").mkdir(parents=True)
    texts = [
        {"_id": f"p{n}", "text": f"{tiny.WORDS[n]} {tiny.WORDS[(3 * n) % 10]}"} for n in range(10)
    ]
    for name, rows in (("corpus", texts), ("queries", texts[:5])):
        (data / f"{name}.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in rows))
    judged = "".join(f"p{n}\tp{n + 3}\t1\n" for n in range(5))
    (data / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    (tmp_path / "same.toml").write_text(
        'name = "same"\ntitle = "t"\ndescription = "d"\nreader = "beir"\nlanguages = ["en"]\n'
        'settings = ["mono"]\ntext = "text"\nmeasures = ["ndcg@10"]\nlicense = "CC0-1.0"\n'
        '[source]\nfolder = "data"\nignore_identical_ids = true\n'
    )
    task = tmp_path / "same.toml"
    record = harness.evaluate(tiny.WordBag(), tasks=[str(task)], store=False, resamples=0)
    ours = settings(record)["mono/en"]["scores"]["ndcg@10"]
    for model in (WordBagInMteb(), EncodeOnce(WordBagInMteb())):
        found = scored(model, from_task_file(task)())["mono/en"]
        assert found["ndcg_at_10"] == pytest.approx(ours, abs=ROUNDED)


def test_a_language_with_questions_and_no_passages(tmp_path: Path) -> None:
    """Translated headings of paragraphs that are not translated: nothing is defined in its pool."""
    lines = [
        {"en": "Find Bar", "de": "Suchleiste"},
        {"en": "The Find toolbar can be used to quickly search what is shown."},
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "s.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
    (tmp_path / "help.toml").write_text(
        'name = "help"\ntitle = "t"\ndescription = "d"\nreader = "segments"\n'
        'languages = ["en", "de"]\nsettings = ["mono", "cross", "multi"]\ntext = "text"\n'
        'measures = ["map", "ndcg@10"]\nlicense = "CC0-1.0"\n[source]\nfolder = "data"\n'
        '[source.segments]\nfile = "s.jsonl"\npairing = "heading"\n'
    )
    task = str(tmp_path / "help.toml")
    record = harness.evaluate(
        tiny.WordBag(), tasks=[task], store=False, resamples=0, trec=tmp_path / "trec"
    )
    scored_here = {x.setting for x in record.tasks[0].settings if x.queries}
    assert scored_here == {"mono/en", "cross/de-en", "multi/en", "multi/de"}
    runs = {x.stem.replace(".", "/", 1) for x in (tmp_path / "trec" / "help").glob("*.run")}
    assert runs == scored_here
    (file,) = write_results(record, tmp_path / "mteb")
    exported = json.loads(file.read_text())["scores"]["test"]
    assert {x["hf_subset"] for x in exported} == scored_here
    for model in (WordBagInMteb(), EncodeOnce(WordBagInMteb())):
        assert set(scored(model, from_task_file(task)())) == scored_here
