"""Study files: what they may say, and which cells they make."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from tiny_study import STUDY, as_toml, changed

from harness.errors import HarnessError, StudyError
from harness.study.file import list_studies, read_study, study_from
from harness.study.trials import Portion, trials_of


def study_of(document: dict[str, Any]) -> Any:
    return study_from(document, "tiny.toml", Path())


def test_trials_are_arms_by_values_by_seeds_in_the_order_of_the_file() -> None:
    cells = trials_of(study_of(STUDY))
    assert [x.name for x in cells] == [
        "mono.seed=0",
        "mono.seed=1",
        "hybrid.alpha=0.seed=0",
        "hybrid.alpha=0.seed=1",
        "hybrid.alpha=0.5.seed=0",
        "hybrid.alpha=0.5.seed=1",
    ]
    assert cells[4].values == {"alpha": 0.5} and cells[0].values == {}
    settings = cells[5].settings(["a.jsonl"])
    assert (settings.alpha, settings.seed, settings.data) == (0.5, 1, ("a.jsonl",))


def test_amounts_and_points_say_what_a_trial_trains_on() -> None:
    document = changed("axes", to={})
    document["data"]["more"] = {"format": "pairs", "files": ["./more.jsonl"]}
    document["axes"] = {
        "amount": {"data": "more", "values": [0, 8]},
        "left-out": {
            "points": [
                {"name": "none"},
                {"name": "el & vi", "train": {"languages": ["en", "de"]}, "data": ["more"]},
            ]
        },
    }
    document["arms"] = [{"name": "mono", "recipe": "mono", "data": ["rows", "more"]}]
    document["report"] = {"measures": ["map"], "baseline": "mono", "x": "amount"}
    document["seeds"] = [0]
    with pytest.raises(StudyError, match=r"amount=0\.left-out=el-vi\.seed=0 has no data left"):
        trials_of(study_of(document))
    document["axes"]["left-out"]["points"][1].pop("data")
    cells = {x.name: x for x in trials_of(study_of(document))}
    assert cells["mono.amount=0.left-out=none.seed=0"].data == (Portion("rows"),)
    both = cells["mono.amount=8.left-out=el-vi.seed=0"]
    assert both.data == (Portion("rows"), Portion("more", 8))
    assert both.settings().languages == ("en", "de")
    assert both.values == {"amount": 8, "left-out": "el & vi"}


def test_a_scale_is_laid_over_the_file(tmp_path: Path) -> None:
    document = changed("seeds", to=[0])
    document["scale"] = {"full": {"train": {"steps": 0, "epochs": 1.5}, "seeds": [7, 8, 9]}}
    path = tmp_path / "tiny.toml"
    path.write_text(as_toml(document))
    small, full = read_study(path), read_study(path, "full")
    assert small.scales == full.scales == ("small", "full")
    assert small.train["steps"] == 3 and "epochs" not in small.train
    assert full.train["steps"] == 0 and full.train["epochs"] == 1.5 and full.train["base"]
    assert full.seeds == (7, 8, 9) and small.digest != full.digest
    assert read_study(path, seeds=[5]).seeds == (5,)
    with pytest.raises(StudyError, match=r"tiny.toml: has no scale 'fulll'; .*did you mean 'full'"):
        read_study(path, "fulll")


def test_all_studies_that_come_with_the_harness_can_be_read_at_every_scale() -> None:
    for study in list_studies():
        for scale in study.scales:
            assert trials_of(read_study(study.name, scale))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("seedz",), [1], "key 'seedz' is unknown; did you mean 'seeds'"),
        (("seeds",), [1, 1], "key 'seeds' names 1 twice"),
        (("train", "stepz"), 3, "key 'train.stepz' is unknown; did you mean 'steps'"),
        (("train", "seed"), 3, "key 'train.seed' is not set here: the key 'seeds'"),
        (("train", "steps"), "3", "trial mono.seed=0: 'steps' must be a whole number, not '3'"),
        (("train", "base"), None, "key 'train.base' is missing"),
        (("data", "rows", "format"), "pair", "key 'data.rows.format' must be one of pairs, squad"),
        (("data", "rows", "files"), None, "key 'data.rows.files' is missing"),
        (("data", "rows", "limit"), 0, "key 'data.rows.limit' must be at least 1, not 0"),
        (("axes", "alpha", "values"), [], "key 'axes.alpha.values' must be a list"),
        (("axes", "alpha", "values"), [0.5, 0.50], "has two entries named '0.5'"),
        (("axes", "alpha", "values"), [1.5], "trial hybrid.alpha=1.5.seed=0: 'alpha' must be betw"),
        (("axes", "alpa"), {"values": [0.5]}, "[axes.alpa] has 'values' but no 'data'"),
        (("arms", 0, "axes"), ["alpha"], "trial mono.alpha=0.seed=0: 'alpha' is for 'recipe' hyb"),
        (("arms", 0, "axes"), ["alpah"], "key 'arms[1].axes' must be one of alpha, not 'alpah'"),
        (("arms", 0, "recipe"), "monno", "key 'arms[1].recipe' must be one of hybrid, mono"),
        (("arms", 0, "data"), ["xnli"], "key 'arms[1].data' must be one of rows, not 'xnli'"),
        (("arms", 1, "name"), "mono", "key 'arms' has two entries named 'mono'"),
        (("arms", 1, "train"), {"alpha": 0.1}, "key 'arms[2].train.alpha' is also set by the axis"),
        (("arms", 1, "axes"), [], "key 'axes.alpha' belongs to no arm"),
        (("score", "tasks", 0, "corpus"), "half", "key 'score.tasks[1].corpus' must be one of"),
        (("score", "post_processing"), {"steps": ["centre"]}, "contains 'centre'; steps are bal"),
        (("score", "post_processing"), {"steps": ["center@1"]}, "contains 'center@1'; steps are"),
        (("score", "post_processing"), {"steps": ["shift@x"]}, "after @ comes a number"),
        (("score", "post_processing"), {"steps": ["lir@1"]}, "key 'score.post_processing.texts'"),
        (("report", "x"), "alhpa", "key 'report.x' must be one of alpha, not 'alhpa'"),
        (("report", "baseline"), "cross", "key 'report.baseline' must be one of mono, hybrid"),
        (("report", "measures"), ["mop"], "key 'report.measures' contains an unknown measure"),
    ],
)
def test_what_cannot_be_is_refused_with_file_and_key(
    path: tuple[str | int, ...], value: Any, said: str
) -> None:
    with pytest.raises(HarnessError) as caught:
        trials_of(study_of(changed(*path, to=value)))
    assert str(caught.value).startswith("tiny.toml: ") and said in str(caught.value)


def test_two_trials_of_one_name_are_refused() -> None:
    document = changed("arms", 1, "name", to="mono.seed=0")
    document["arms"][1] |= {"recipe": "mono", "axes": []}
    document["arms"][0]["name"] = "mono seed=0"
    document["arms"].append({"name": "hybrid", "recipe": "hybrid", "data": ["rows"]})
    document["report"]["baseline"] = "hybrid"
    trials_of(study_of(document))
    document["arms"][1]["name"] = "Mono, seed=0"
    document["arms"][0]["name"] = "mono-seed=0"
    with pytest.raises(StudyError, match=r"two trials have the name .Mono-seed=0\.seed=0."):
        trials_of(study_of(document))


def test_the_example_of_the_documentation_is_a_study() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "studies.md"
    if not page.is_file():
        pytest.skip("the documentation is not beside the tests")
    text = page.read_text("utf-8")
    document = tomllib.loads(text[text.index("```toml\n") + 8 :].split("\n```")[0])
    document.pop("scale")
    cells = trials_of(study_of(document))
    assert len(cells) == 2 * 4 * 3
    assert cells[0].data == (Portion("xnli"),)
