"""Boards: which rows are on them, how they are significantly different, and what is published."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import tiny
from contents import TRAINING, changed, with_task
from golden_boards import GOLDEN

from harness import evaluate
from harness.boards import Board, Leaderboards, TaskBoard, make_board, read_leaderboards, to_payload
from harness.boards.assemble import one_each
from harness.boards.published import published, published_on
from harness.boards.render import markdown
from harness.boards.render.files import board_files as files_of
from harness.boards.render.grids import addition_grid, language_grid, main_grid, ordered
from harness.boards.render.legend import plain_name, ties
from harness.boards.render.paper import paper_grids
from harness.boards.tracked.document import add, load
from harness.boards.tracked.questions import unpacked
from harness.errors import RecordError, UsageError
from harness.interop.published import MEAN


@pytest.fixture(scope="module")
def board() -> Board:
    return make_board(read_leaderboards(GOLDEN))


def task_of(board: Board, slug: str) -> TaskBoard:
    return next(x for x in board.tasks if x.slug == slug)


def test_an_addition_is_shown_with_the_system_without_it(tmp_path: Path) -> None:
    from scipy.stats import ttest_rel

    # Two languages, all questions in both: each weighs the same, so it is the paired t-interval.
    task = str(tiny.write_task(tmp_path / "task", languages=("en", "de")))
    plain, balanced, other = (
        evaluate(tiny.WordBag(bias=bias), tasks=[task], store=False, treatments=treatments)
        for bias, treatments in ((3.0, ()), (3.0, ("balanced",)), (0.4, ()))
    )
    other.document["model"]["fingerprint"] = "another"
    for number, record in enumerate((plain, balanced, other)):
        record.save(tmp_path / str(number))
        add(tmp_path / str(number), tmp_path / "boards")
    (board,) = make_board(read_leaderboards(tmp_path / "boards")).tasks
    (found,) = board.additions
    names = {row.id: row.model for row in board.rows}
    assert (names[found.row], names[found.base]) == ("word-bag + balanced", "word-bag")
    assert found.differences["mono/map"] == (0, 0, 0)  # it reorders pools of several languages
    after, before = (
        x.per_query().query("kind == 'multi'").groupby("question")["map"].mean()
        for x in (balanced, plain)
    )
    expected = ttest_rel(after, before)
    low, high = expected.confidence_interval(0.95)
    cell = found.differences["multi/map"]
    assert cell.value == pytest.approx(after.mean() - before.mean(), abs=1e-8)  # 9 digits are kept
    # Values per question are kept in 65,534 steps.
    assert cell == pytest.approx((cell.value, low, high), abs=1e-4)
    assert low < high
    grid = addition_grid(board)
    assert grid is not None
    (line,) = grid.rows
    assert line[0].text == "word-bag + balanced"
    text = f"{before.mean():.4f} → {after.mean():.4f}"
    assert text in [x.text for x in line]


def test_rows_stand_best_first_and_published_ones_are_never_ranked(board: Board) -> None:
    task = task_of(board, "xquad-r")
    values = [r.cells["multi/map"].value for r in task.rows if "multi/map" in r.cells]
    assert values == sorted(values, reverse=True)
    ranking = task.rankings["multi/map"]
    published_ids = {r.id for r in task.rows if r.source == "published"}
    assert published_ids and not published_ids & set(ranking.order)
    assert not published_ids & {*ranking.best, *ranking.second}
    distances = [
        r.cells["multi/rank_distance"].value
        for r in ordered(task, "multi/rank_distance")
        if "multi/rank_distance" in r.cells
    ]
    assert distances == sorted(distances)


def test_best_is_what_is_shown_as_best(board: Board) -> None:
    task = task_of(board, "xquad-r")
    ranking = task.rankings["mono/map"]
    shown = {r.id: f"{r.cells['mono/map'].value:.4f}" for r in task.rows if r.comparable}
    assert {shown[x] for x in ranking.best} == {max(shown.values())}
    assert len(ranking.best) == 3  # three encoders that differ in the pool of all languages only
    assert {shown[x] for x in ranking.second} == {min(shown.values())}


def test_pairs_that_no_group_of_neighbours_can_name_are_tied_as_well(board: Board) -> None:
    task = task_of(board, "xquad-r")
    pair = tuple(r.id for r in task.rows if r.comparable)[:3:2]
    ranking = dataclasses.replace(task.rankings["multi/map"], ties=(), tied_apart=(pair,))
    task = dataclasses.replace(task, rankings={"multi/map": ranking})
    first, second = (plain_name(r) for x in pair for r in task.rows if r.id == x)
    assert ties(task) == [f"multi mAP, not significantly different: {first} = {second}."]
    # Rows of one name have what tells them apart: recipes, or else ids.
    for recipes, told in ((("mono", "hybrid"), ("m (mono)", "m (hybrid)")),
                          (("mono", "mono"), tuple(f"m (mono) ({x})" for x in pair))):  # fmt: skip
        alike = {
            x: {"model": "m", "options": "", "recipe": r}
            for x, r in zip(pair, recipes, strict=True)
        }
        rows = tuple(dataclasses.replace(r, **alike.get(r.id, {})) for r in task.rows)
        one = dataclasses.replace(task, rows=rows)
        assert ties(one) == [f"multi mAP, not significantly different: {' = '.join(told)}."]
        page = markdown.task_board(one, board).split("by query and passage language")[1]
        assert [x for x in page.splitlines() if x.startswith("m (")] == [*told]
    document = to_payload(dataclasses.replace(board, tasks=(task,)))["tasks"][0]
    assert document["rankings"]["multi/map"]["tied_apart"] == [
        [i for i, r in enumerate(task.rows) if r.id in pair]
    ]


def test_what_chance_gives_is_known_where_questions_have_one_relevant_passage_a_language() -> None:
    tracked = load(GOLDEN / "records" / "acme-plain-encoder.json")
    entry = next(x for x in tracked.contents.tasks if x.task == "xquad-r")
    hits = tracked.questions["xquad-r"].hits
    assert entry.rank_distance_by_golds and one_each(entry, hits)
    twice = entry.model_copy(update={"rank_distance_by_golds": {"6": 9.5}})
    assert not one_each(twice, hits)


def test_matrix_has_the_monolingual_values_on_its_diagonal(board: Board) -> None:
    task = task_of(board, "xquad-r")
    for row in task.rows:
        for measure, matrix in row.matrices.items():
            mono = [c.value for c in row.languages[f"mono/{measure}"]]
            assert [matrix[i][i] for i in range(len(matrix))] == mono


def test_language_table_ends_with_mean_and_median(board: Board) -> None:
    task = task_of(board, "miracl-sample")
    assert task.per_language_only
    grid = language_grid(task, next(c for c in task.columns if c.key == "mono/ndcg@10"))
    assert grid.headers[-2:] == ("mean", "median")
    for line in grid.rows:
        if line[0].sign:
            continue
        values = [float(x.text) for x in line[2:-2]]
        assert float(line[-2].text) == pytest.approx(np.mean(values), abs=1e-4)
        assert float(line[-1].text) == pytest.approx(np.median(values), abs=1e-4)


def test_seen_and_unseen_languages_are_distinguished(board: Board) -> None:
    row = next(r for r in task_of(board, "xquad-r").rows if r.trained_on is not None)
    mono = {x: c.value for x, c in zip(("en", "de", "zh"), row.languages["mono/map"], strict=True)}
    assert row.trained_on == ("de", "en")
    seen, unseen = row.seen["mono/map"]
    assert seen == pytest.approx((mono["de"] + mono["en"]) / 2)
    assert unseen == mono["zh"]


def test_records_of_other_data_text_or_size_stand_on_boards_of_their_own() -> None:
    one = load(GOLDEN / "records" / "hard.json")
    records = [
        one,
        with_task(one, "b", data_digest="f" * 64),
        with_task(one, "c", text="other"),
        with_task(one, "d", partial={"limit": 5}),
    ]
    board = make_board(Leaderboards(GOLDEN, records, ()))
    slugs = {x.slug: [r.id for r in x.rows if r.comparable] for x in board.tasks}
    assert len(slugs) == 4 and all(len(ids) == 1 for ids in slugs.values())
    assert slugs["xquad-r-other"] == ["c"] and slugs["xquad-r-part"] == ["d"]
    assert "xquad-r" in slugs
    assert not any(r.source == "published" for r in task_of(board, "xquad-r-part").rows)
    assert "part of the task" in task_of(board, "xquad-r-part").notes[0]
    assert {c.slug for c in board.overview.columns} == {"xquad-r"}


def test_a_row_of_another_formula_is_marked_and_not_ranked() -> None:
    one = load(GOLDEN / "records" / "hard.json")
    held = one.contents.tasks[0].definitions or {}
    other = with_task(one, "other", definitions={**held, "map": "0" * 12}, measures=["map"])
    [task] = make_board(Leaderboards(GOLDEN, [one, other], ())).tasks
    row = next(r for r in task.rows if r.id == "other")
    assert row.notes == ("another definition of map, so not ranked",)
    assert task.rankings["multi/map"].order == ("hard",)


def test_a_row_says_how_its_model_was_trained_and_names_leaks() -> None:
    one = load(GOLDEN / "records" / "hard.json")
    training = TRAINING | {"languages": ["zh"]}
    model = one.contents.model.to_dict() | {"languages": ["en"], "training": training}
    clean = changed(one, model=model)
    leak = {"task": "xquad-r", "questions_found": 2, "sentences": []}
    model = model | {"fingerprint": "f" * 64, "training": training | {"overlap": [leak]}}
    leaky = changed(one, "leaky", model=model)
    [task] = make_board(Leaderboards(GOLDEN, [clean, leaky], ())).tasks
    rows = {r.id: r for r in task.rows if r.source == "measured"}
    assert rows["hard"].trained_on == ("en", "zh")
    assert rows["leaky"].notes == ("trained on 2 questions of this task, so not ranked",)
    overview = make_board(Leaderboards(GOLDEN, [clean, leaky], ())).overview
    clean_at = next(i for i, x in enumerate(overview.rows) if x.rows.get("xquad-r") == "hard")
    assert set(overview.best.values()) <= {(clean_at,), ()} and not any(overview.second.values())
    assert task.rankings["multi/map"].order == ("hard",)
    line = next(x for x in main_grid(task).rows if x[1].text.startswith(rows["hard"].model))
    assert line[2].text == "hybrid, alpha 0.5, seed 3"


def test_a_model_that_was_run_again_has_one_row_the_latest() -> None:
    one = load(GOLDEN / "records" / "hard.json")
    again = with_task(one, "again", seconds={})
    again = changed(again, created="2027-01-01T00:00:00Z")
    other = changed(one, "other", options={"dtype": "float16"})
    [task] = make_board(Leaderboards(GOLDEN, [again, one, other], ())).tasks
    assert {r.id for r in task.rows if r.comparable} == {"again", "other"}


@pytest.mark.parametrize("name", ["all-tasks", "readme"])
def test_a_tasks_board_is_never_written_over_another_file_of_the_folder(name: str) -> None:
    one = load(GOLDEN / "records" / "hard.json")
    questions = {name: one.questions["xquad-r"]}
    own = dataclasses.replace(with_task(one, "own", task=name), questions=questions)
    made = make_board(Leaderboards(GOLDEN, [own], ()))
    assert made.tasks[0].primary and f"{name}-task.md" in files_of(made)
    assert files_of(made)["all-tasks.md"].startswith(b"# All tasks")


def test_a_sampled_corpus_is_never_shown_as_the_task(board: Board) -> None:
    task = task_of(board, "miracl-sample")
    assert task.title == "MIRACL (sample)" and "SAMPLE" in task.notes[0]
    theirs = [r for r in task.rows if r.source == "published"]
    assert theirs and all(r.elsewhere for r in theirs)
    columns = {c.key: c.title for c in board.overview.columns if c.slug == task.slug}
    assert set(columns.values()) == {"MIRACL (sample)"}
    assert not set(columns) & set(board.overview.averaged)
    for row in board.overview.rows:
        assert row.source == "measured" or not set(columns) & set(row.cells)
    page = files_of(board)["miracl-sample.md"].decode()
    ours, apart = page.split("## Over other data than the rows above")
    assert "LaBSE" not in ours.split("## Models")[1].split("- Rank and order")[0]
    assert "LaBSE" in apart


def test_notes_say_what_a_published_row_is(board: Board) -> None:
    rows = {r.id: r for r in task_of(board, "xquad-r").rows}
    notes = rows["published-mbert-lareqa-x-y"].notes
    assert "not measured here" in notes[0] and "sentence-context" in notes[1]


def test_payload_is_json_and_its_hits_can_be_unpacked(board: Board) -> None:
    payload = json.loads(json.dumps(to_payload(board), allow_nan=False))
    task = next(x for x in payload["tasks"] if x["slug"] == "xquad-r")
    shape = (len(task["question_ids"]), len(task["languages"]))
    row = next(x for x in task["rows"] if x["hits"])
    hits, asked = unpacked(row["hits"]["mono"], shape), unpacked(task["asked"]["mono"], shape)
    rate = np.mean([hits[asked[:, j], j].mean() for j in range(shape[1])])
    # One relevant passage per language: R@1 is the share of hits.
    assert rate == pytest.approx(row["cells"]["mono/recall@1"][0], abs=1e-9)


def test_the_published_table_is_the_one_that_was_handed_over() -> None:
    raw = files("harness.boards").joinpath("published.csv").read_bytes()
    # SHA-256 of the table as it was transcribed from the papers.
    assert hashlib.sha256(raw).hexdigest() == PUBLISHED_SHA256
    assert len(raw.splitlines()) == 1041
    assert len(published()) == 6 + 6 + 6 + 4 + 4


PUBLISHED_SHA256 = "ce905dbd258a0cf1bbde1486b87ff4c619951b7cf0427ed78293ed2755b9cbc3"


# arXiv 2408.10536: XLM-R, hybrid batches, XQuAD-R, as printed.
def test_published_means_are_as_printed() -> None:
    row = next(x for x in published_on("xquad-r") if (x.model, x.recipe) == ("XLM-R", "Hybrid"))
    assert row.values["multi", "map", MEAN] == 0.5927
    assert row.values["multi", "rank_distance", MEAN] == 286.6
    values = [v for (k, m, x), v in row.values.items() if (k, m) == ("mono", "map") and x != MEAN]
    assert np.mean(values) == pytest.approx(row.values["mono", "map", MEAN], abs=1e-4)


def test_paper_tables_have_the_papers_layout(board: Board) -> None:
    grids = {g.title: g for g in paper_grids(board)}
    ours = next(g for title, g in grids.items() if title == "XQuAD-R: mAP")
    assert [title for title, _ in ours.over] == [
        "", "Monolingual mAP", "Cross-lingual mAP", "Multilingual mAP",
    ]  # fmt: skip
    theirs = grids["XQuAD-R: mAP, XLM-R as published (arXiv 2408.10536)"]
    assert theirs.headers[1:4] == ("X-X-mono", "X-Y", "Hybrid")
    assert [x.text for x in theirs.rows[-1]][-3:] == ["0.5479", "0.5934", "0.5927"]
    assert theirs.rows[-1][0].text == ours.rows[-1][0].text == "Average"
    lareqa = next(g for title, g in grids.items() if title.startswith("LAReQA"))
    assert {line[1].text for line in lareqa.rows if line[0].sign} == {
        "En-En", "X-X", "X-X-mono", "X-Y",
    }  # fmt: skip


def test_invalid_records_are_named_and_refused_or_left_out(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    good = (GOLDEN / "records" / "hard.json").read_text()
    (records / "good.json").write_text(good)
    (records / "cut.json").write_text(good[:5000])
    (records / "newer.json").write_text('{"tracked_version": 99}')
    with pytest.raises(RecordError, match=r"cut\.json.*newer\.json.*--skip-invalid"):
        read_leaderboards(tmp_path)
    found = read_leaderboards(tmp_path, skip_invalid=True)
    assert [x.name for x in found.records] == ["good"] and len(found.refused) == 2
    with pytest.raises(UsageError, match="harness board add"):
        read_leaderboards(tmp_path / "nowhere")


def test_rows_are_plain_data(board: Board) -> None:
    assert json.dumps(dataclasses.asdict(board), allow_nan=False)
