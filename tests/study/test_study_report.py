"""The report as files: page, tables and plots, the same bytes for the same results."""

from __future__ import annotations

import builtins
import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest

from harness.boards.published import published_on
from harness.errors import StudyError, UsageError
from harness.stats.multiple_tests import holm
from harness.study.file import read_study
from harness.study.report import published_rows, style, trade_off, wording, write_report
from harness.study.report.index import write_index
from harness.study.report.page import _full_scale, _other_seeds
from harness.study.results import Results

MISSING = "cross.temperature=0.5.seed=1"


def results() -> Results:
    """Hybrid peaks at .5; cross fails once; mono has one temperature."""

    def mean(arm: str, values: Mapping[str, Any], kind: str, language: str) -> float:
        return 0.45 - 0.3 * (values["temperature"] - 0.5) ** 2 if arm == "hybrid" else 0.4

    content = planted.document(
        axes={"temperature": {"label": "temperature of the loss", "values": [0.1, 0.5, 1.0]}},
        level=["mono"],
        x="temperature",
        kinds=["mono", "multi"],
        references=["use-m3"],
    )
    made = planted.results(content, mean, sampled=True, missing=[MISSING], questions=60)
    return replace(made, failed={MISSING: "no <memory> left"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "planted"
    write_report(results(), folder)
    return folder


def test_the_same_results_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_report(results(), tmp_path)
    names = sorted(x.relative_to(folder) for x in folder.rglob("*") if x.is_file())
    assert names == sorted(x.relative_to(tmp_path) for x in tmp_path.rglob("*") if x.is_file())
    assert [x for x in names if (folder / x).read_bytes() != (tmp_path / x).read_bytes()] == []


def test_the_page_has_question_results_and_settings(folder: Path) -> None:
    text = (folder / "index.md").read_text()
    heads = re.findall("^##? (.+)$", text, re.MULTILINE)
    assert heads == [
        "A planted study",
        "What came out",
        "More plots",
        "Tables",
        "What the data can and cannot support",
        "How it was run",
    ]
    assert "**Is what was planted found?**" in text and "Made by a test." in text
    assert f"`{MISSING}`: failed: no &lt;memory&gt; left" in text
    assert "`harness study run ./planted.toml --data-dir DIR --output OUT`" in text
    for image in re.findall(r"\]\((plots/[^)]+)\)", text):
        assert (folder / image).is_file()


def test_a_sampled_corpus_is_marked_wherever_its_numbers_stand(folder: Path) -> None:
    text = (folder / "index.md").read_text()
    assert text.index("A SAMPLE OF THE CORPUS") < text.index("## What came out")
    tables = text.split("## Tables")[1].split("## What the data")[0]
    captions = re.findall(r"^\*Planted.*\*$|(?<=<summary>\n\n)Planted.*$", tables, re.MULTILINE)
    assert captions and all("(sampled corpus)" in x for x in captions)
    images = re.findall(r"^!\[.*\n\n(.*)$", text, re.MULTILINE)
    assert images and all("a sample of the corpus, so no official score" in x for x in images)
    for plot in (folder / "plots").glob("*.svg"):
        assert "SAMPLED CORPUS, no official score" in plot.read_text()


def test_plots_are_text_with_labelled_axes_and_of_one_order(folder: Path) -> None:
    names = {x.stem for x in (folder / "plots").glob("*.svg")}
    assert names == {"map", "map-differences", "map-from-best"}
    assert names == {x.stem for x in folder.glob("plots/*.png")}
    text = (folder / "plots" / "map.svg").read_text()
    words = [x.strip() for x in re.findall(r"<text[^>]*>([^<]*)</text>", text)]
    assert "temperature of the loss" in words and "mAP (higher is better)" in words
    legend = [x for x in words if x in ("mono", "cross", "hybrid", "use-m3, untrained")]
    assert legend == ["mono", "cross", "hybrid", "use-m3, untrained"]
    assert not re.search(r"\d{4}-\d\d-\d\dT", text)
    assert all(x.stat().st_size < 150_000 for x in folder.glob("plots/*"))


def test_plots_have_no_background_and_say_what_they_show(folder: Path, tmp_path: Path) -> None:
    text = (folder / "plots" / "map.svg").read_text()
    assert "fill: #ffffff" not in text.split("</style>")[0]
    page = (folder / "index.md").read_text()
    (words,) = re.findall(r"!\[(.*)\]\(plots/map.svg\)", page)
    assert "mAP by temperature of the loss, for mono, cross, hybrid" in words and "table" in words
    write_report(results(), tmp_path, png=False)
    assert (
        not list(tmp_path.glob("plots/*.png")) and ".png" not in (tmp_path / "index.md").read_text()
    )


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("map", (0.5, 0.0, 1.0)), ("rank_distance", (0.5, 0.0, 1.5)), ("max_rank", (0.5, 0.0, 1.5)),
     ("mean_rank_correlation", (0.5, -0.5, 1.0)), ("intrusion", (0.5, 0.0, 1.5)),
     ("of-a-package@3", (0.5, -0.5, 1.5))],
)  # fmt: skip
def test_intervals_in_plots_end_where_the_measure_does(
    measure: str, expected: tuple[float, float, float]
) -> None:
    from types import SimpleNamespace

    from harness.study.report.panels import clipped

    ends = {"value": 0.5, "low": -0.5, "high": 1.5}
    found = SimpleNamespace(**{k: np.full((1, 1), x) for k, x in ends.items()})
    assert clipped(found, (0, 0), measure) == expected  # type: ignore[arg-type]
    found.value[:] = above = 1 + 2**-52  # the mean of ones, by a rounding error
    value, low, high = clipped(found, (0, 0), measure)  # type: ignore[arg-type]
    assert low <= value == above <= high


def test_differences_of_ranks_are_in_ranks() -> None:
    shown = [wording.difference(x, 12.0) + wording.unit(x) for x in ("rank_distance", "max_rank")]
    assert shown == ["+12ranks"] * 2 and wording.difference("map", 0.12) == "+12.00"
    assert wording.difference("intrusion", -0.32) + wording.unit("intrusion") == "\u22120.3ranks"


def test_a_plot_has_a_mark_for_each_of_many_steps() -> None:
    figure = style.new_figure(3, 3)
    steps = [f"shift@{x}" for x in range(11)]
    trade_off._legends(figure, [], {}, steps)
    assert [x.get_text() for x in figure.legends[1].get_texts()] == steps


def test_the_page_of_a_built_in_study_names_its_seeds_and_only_scales_that_are_still_there() -> (
    None
):
    study = read_study("alpha-head", seeds=[7, 8])
    assert _other_seeds(study) == " --seeds 7,8" and not _other_seeds(read_study("alpha-head"))
    before = replace(study, scales=(*study.scales, "gone"))
    assert list(_full_scale(before)) == list(_full_scale(study))


def test_tables_have_every_number_of_the_page(folder: Path) -> None:
    with (folder / "values.csv").open() as file:
        values = list(csv.DictReader(file))
    hybrid = [
        x
        for x in values
        if (x["arm"], x["temperature"], x["kind"], x["languages"])
        == ("hybrid", "0.5", "mono", "all")
    ]
    assert len(hybrid) == 1 and hybrid[0]["seeds"] == "3" and hybrid[0]["questions"] == "60"
    value, low, high = (float(hybrid[0][k]) for k in ("value", "low", "high"))
    assert f"{value:.4f} ({low:.4f}–{high:.4f})" in (folder / "index.md").read_text()
    half = next(x for x in values if x["arm"] == "cross" and x["temperature"] == "0.5")
    assert half["seeds"] == "2"
    assert {x["languages"] for x in values} == {"all", "de", "en"}
    with (folder / "differences.csv").open() as file:
        verdicts = {x["verdict"] for x in csv.DictReader(file)}
    assert verdicts <= {"better", "worse", "no difference shown"}


def test_holm_can_be_recomputed_from_the_columns(folder: Path) -> None:
    """Over all comparisons of one sort on a task, as the page says: the best value's, too."""
    families: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    with (folder / "differences.csv").open() as file:
        for row in csv.DictReader(file):
            if row["p"]:
                name = (row["task"], row["question"], str(row["languages"] == "all"))
                families.setdefault(name, []).append((float(row["p"]), float(row["p_holm"])))
    assert len(next(v for k, v in families.items() if k[1] == "best")) > 2
    for values in families.values():
        raw, corrected = (list(x) for x in zip(*values, strict=True))
        assert corrected == pytest.approx(holm(raw).tolist(), nan_ok=True)


def test_a_study_without_a_finished_trial_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no trial of the study is finished"):
        write_report(replace(results(), trials=()), tmp_path)


def test_a_measure_that_no_task_has_is_refused_by_name(tmp_path: Path) -> None:
    made = results()
    study = replace(made.study, report=replace(made.study.report, measures=("map", "mrr@10")))
    with pytest.raises(UsageError, match=r"planted.toml: key 'report.measures'.*'mrr@10'"):
        write_report(replace(made, study=study), tmp_path)


def test_without_matplotlib_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=r"need matplotlib.*pip install"):
        write_report(results(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_index_lists_pages_with_what_they_say_first(folder: Path, tmp_path: Path) -> None:
    text = write_index(folder.parent).read_text()
    assert "## [A planted study](planted/index.md)" in text
    opening = (folder / "index.md").read_text().split("\n## ")[0]
    (said,) = (x for x in opening.splitlines() if x.startswith("From temperature 0.1 to 1, "))
    assert said in text and "SAMPLE OF THE CORPUS" in text
    (tmp_path / "all" / "two words").mkdir(parents=True)
    copy = tmp_path / "all" / "two words" / "index.md"
    copy.write_text((folder / "index.md").read_text())
    assert "](two%20words/index.md)" in write_index(tmp_path / "all").read_text()
    with pytest.raises(StudyError, match="contains no report of a study"):
        write_index(tmp_path)


def answered(tmp_path: Path, seeds: tuple[int, ...], missing: Sequence[str] = ()) -> str:
    """The page of a study in which mono rises by .1 along the axis, and multi stays."""
    content = planted.document(
        ["hybrid"],
        axes={"alpha": {"label": "alpha", "values": [0.0, 0.5, 1.0]}},
        seeds=seeds,
        x="alpha",
        kinds=["mono", "multi"],
        baseline="hybrid",
    )

    def mean(arm: str, values: Mapping[str, Any], kind: str, language: str) -> float:
        return 0.4 + 0.1 * values["alpha"] * (kind == "mono")

    made = planted.results(content, mean, missing=missing)
    return write_report(made, tmp_path).read_text()


def test_a_page_opens_with_the_answer_and_one_plot(tmp_path: Path) -> None:
    lines = [x for x in answered(tmp_path, (0, 1, 2)).splitlines() if x]
    assert lines[2] == "**Is what was planted found?**"
    assert lines[3].startswith(
        "Alpha 1 is never shown to be worse than the best value, alpha 0 is in 1 of 2 comparisons "
        "and alpha 0.5 in 1; from alpha 0 to 1, Planted changes by +"
    )
    assert lines[3].endswith(" points of mono mAP, and no change of multi mAP is shown.")
    assert lines[4].startswith("![") and lines[4].endswith("](plots/map.svg)")


def test_an_answer_from_one_seed_says_what_it_is_worth(tmp_path: Path) -> None:
    assert (
        "With one seed for each value nothing can be said of another training; in these trainings "
        "alpha 1 is never shown to be worse"
    ) in answered(tmp_path, (0,))


def test_one_finished_value_answers_nothing(tmp_path: Path) -> None:
    text = answered(tmp_path, (0,), ["hybrid.alpha=0.seed=0", "hybrid.alpha=1.seed=0"])
    assert "No answer yet: trials are finished at one value of alpha alone." in text


def test_published_rows_stand_beside_a_study_of_alpha(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_rows, "published_on", lambda _: published_on("xquad-r"))
    text = answered(tmp_path, (0,))
    assert "| XLM-R | Hybrid | 0.7977 | 0.5927 |" in text and "| LaBSE | X-Y |" in text
    assert "LAReQA" not in text
