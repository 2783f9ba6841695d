"""``harness score``: trec_eval's numbers for any system's runs, by setting for a known task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
import tiny
from click.testing import CliRunner, Result
from tiny_miracl import write_miracl

from harness import evaluate
from harness.cli import main
from harness.data.loading import load
from harness.data.task import read_task
from harness.data.task_data import TaskData
from harness.data.trec import Ranking, read_qrels, read_run, write_run
from harness.errors import RunFileError, UsageError
from harness.evaluation.record import Record
from harness.interop.trec_runs import Scored, kind_means, score_with_qrels, score_with_task

# trec_eval's name -> the record's.
SHARED = {"map": "map", "ndcg_cut_10": "ndcg@10", "recall_1": "recall@1", "recall_10": "recall@10"}


class Exported:
    """A record, and the whole rankings it was made from as TREC files."""

    def __init__(self, folder: Path) -> None:
        self.task = tiny.write_task(folder / "own")
        self.record: Record = evaluate(
            tiny.WordBag(), tasks=[str(self.task)], trec=folder / "trec", trec_depth=0, store=False
        )
        self.folder = folder / "trec" / "tiny"
        self.runs = sorted(self.folder.glob("*.run"))
        self.data: TaskData = load(read_task(self.task))

    def scores(self, setting: str) -> dict[str, float]:
        """What the record says of a setting."""
        entries = self.record.task("tiny").settings
        found: dict[str, float] = next(x.scores for x in entries if x.setting == setting)
        return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("exported"))


def harness(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(x) for x in arguments])


def by_name(scored: list[Scored]) -> dict[str, Scored]:
    return {x.setting.name: x for x in scored if x.setting is not None}


def rewrite(source: Path, target: Path, change: object) -> Path:
    """Copy a run; ``change(query, scores)`` returns the new pair, or ``None`` to leave it out."""
    kept = [change(q, dict(s)) for q, s in read_run(source).items()]
    write_run(target, [Ranking(x[0], list(x[1]), list(x[1].values())) for x in kept if x])
    return target


def test_exported_runs_score_as_the_record_says(exported: Exported) -> None:
    found = by_name(score_with_task(exported.runs, exported.data, list(SHARED)))
    # 3 languages: 3 mono, 6 cross, 3 multi.
    assert len(found) == 12
    for name, scored in found.items():
        ours = exported.scores(name)
        for theirs, measure in SHARED.items():
            assert scored.scores[theirs] == pytest.approx(ours[measure], abs=1e-12), (name, theirs)
    assert {x.missing for x in found.values()} == {0}
    means = exported.record.task("tiny").means
    for kind, values in kind_means(list(found.values())).items():
        for theirs, measure in SHARED.items():
            assert values[theirs] == pytest.approx(means[kind].macro[measure], abs=1e-12)


def test_the_command_prints_the_same(exported: Exported) -> None:
    result = harness("score", *exported.runs, "--task", exported.task, "--measure", "map")
    assert result.exit_code == 0, result.output
    rows = {x.split()[0]: x.split() for x in result.stdout.splitlines() if x}
    macro = exported.record.task("tiny").means
    assert rows["mono"][1:] == ["3", "29", "0", f"{macro['mono'].macro['map']:.4f}"]
    assert rows["multi"][1:] == ["3", "30", "0", f"{macro['multi'].macro['map']:.4f}"]
    assert "Every judged query is in the run." in result.stdout
    assert "cross/de-en" not in result.stdout  # 12 settings: listed one by one on request
    verbose = harness("score", *exported.runs, "--task", exported.task, "-v").stdout
    assert "cross/de-en" in verbose


def test_an_exported_folder_scores_what_its_record_says_without_a_flag(exported: Exported) -> None:
    (exported.folder / "._mono.en.run").write_bytes(b"\0\5\x16\7")  # as macOS leaves them
    macro = exported.record.task("tiny").means
    for arguments in (
        [exported.folder],
        exported.runs,
        [exported.folder, "--qrels", exported.folder],
    ):
        result = harness("score", *arguments, "--measure", "map", "--measure", "recall@10")
        assert result.exit_code == 0, result.output
        rows = {x.split()[0]: x.split() for x in result.stdout.splitlines() if x}
        for kind in ("mono", "cross", "multi"):
            written = [f"{macro[kind].macro[m]:.4f}" for m in ("map", "recall@10")]
            assert rows[kind][-2:] == written


def test_a_sample_of_a_task_is_scored_by_its_questions(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path / "own", questions=20))
    record = evaluate(
        tiny.WordBag(), task, sample=8, settings="mono", trec=tmp_path, trec_depth=0, store=False
    )
    run = tmp_path / "tiny" / "mono.en.run"
    whole = harness("score", run, "--task", task, "--measure", "map")
    part = harness("score", run, "--task", task, "--sample", "8", "--measure", "map")
    assert "missing from the run" in whole.stdout
    assert "Every judged query is in the run." in part.stdout
    scores = next(s.scores for s in record.task("tiny").settings if s.setting == "mono/en")
    assert f"{scores['map']:.4f}" in part.stdout


def test_runs_of_a_sampled_corpus_score_as_its_record_says(tmp_path: Path) -> None:
    """Relevant passages outside the sample are not counted, as in the record."""
    task = write_miracl(tmp_path, languages=("sw",), only=range(40), whole={"sw": 60})
    record = evaluate(
        tiny.WordBag(), tasks=[str(task)], corpus="sampled", settings="mono", resamples=0,
        trec=tmp_path / "trec", trec_depth=0,
    )  # fmt: skip
    run = tmp_path / "trec" / "tiny-miracl" / "mono.sw.run"
    (setting,) = record.tasks[0].settings
    said = f"{setting.scores['ndcg@10']:.4f}"
    arguments = ["score", run, "--task", task, "--measure", "ndcg_cut_10"]
    of_sample = harness(*arguments, "--corpus", "sampled")
    assert of_sample.exit_code == 0, of_sample.output
    assert said in of_sample.output and said not in harness(*arguments).output


def test_missing_queries_count_as_zero_and_are_counted(exported: Exported, tmp_path: Path) -> None:
    run = exported.folder / "mono.de.run"
    gone = {"de:q01", "de:q02", "de:q03"}
    cut = rewrite(run, tmp_path / "cut.run", lambda q, s: None if q in gone else (q, s))
    (whole,) = score_with_task([run], exported.data, ["map"])
    (less,) = score_with_task([cut], exported.data, ["map"])
    assert (less.queries, less.missing) == (10, 3)
    qrels = read_qrels(exported.folder / "mono.de.qrels")
    each = pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate(read_run(run))
    kept = sum(x["map"] for q, x in each.items() if q not in gone)
    assert less.scores["map"] == pytest.approx(kept / 10, abs=1e-12)
    assert less.scores["map"] < whole.scores["map"]
    for judged in (["--task", exported.task], ["--qrels", exported.folder / "mono.de.qrels"]):
        result = harness("score", cut, *judged, "--measure", "map")
        assert "3 judged queries are missing from the run and counted as 0." in result.stdout
        assert f"{kept / 10:.4f}" in result.stdout


def test_one_biased_query_does_not_change_the_setting(exported: Exported, tmp_path: Path) -> None:
    """One query of a multi run that retrieves one language alone stays in multi."""

    def biased(query: str, scores: dict[str, float]) -> tuple[str, dict[str, float]]:
        if query == "en:q00":
            return query, {p: s for p, s in scores.items() if p.startswith("en:")}
        return query, scores

    run = rewrite(exported.folder / "multi.en.run", tmp_path / "biased.run", biased)
    (scored,) = score_with_task([run], exported.data, ["map"])
    assert scored.setting is not None and scored.setting.name == "multi/en"
    assert (scored.queries, scored.missing) == (10, 0)


def test_a_language_that_sees_itself_alone_stays_in_the_pooled_run(
    exported: Exported, tmp_path: Path
) -> None:
    """As with an encoder that does not know a language's script."""
    rankings = []
    for language in tiny.LANGUAGES:
        for query, scores in read_run(exported.folder / f"multi.{language}.run").items():
            kept = {p: s for p, s in scores.items() if language != "zh" or p.startswith("zh:")}
            rankings.append(Ranking(query, list(kept), list(kept.values())))
    run = tmp_path / "pooled.run"
    write_run(run, rankings)
    found = by_name(score_with_task([run], exported.data, ["map"]))
    assert list(found) == ["multi/en", "multi/de", "multi/zh"]


def test_settings_that_are_named_cut_the_rankings(exported: Exported) -> None:
    """Whole rankings of the pool hold those of every language: cut, they are the settings."""
    pooled = [exported.folder / f"multi.{x}.run" for x in tiny.LANGUAGES]
    kinds = ["mono", "cross", "multi"]
    found = by_name(score_with_task(pooled, exported.data, list(SHARED), settings=kinds))
    assert len(found) == 12
    for name, scored in found.items():
        assert scored.scores["map"] == pytest.approx(exported.scores(name)["map"], abs=1e-12)
    named = by_name(score_with_task(pooled, exported.data, ["map"], settings=["cross/de-en"]))
    assert list(named) == ["cross/de-en"]


def test_plain_ids_need_the_setting(exported: Exported, tmp_path: Path) -> None:
    def plain(query: str, scores: dict[str, float]) -> tuple[str, dict[str, float]]:
        return query[3:], {p[3:]: s for p, s in scores.items()}

    run = rewrite(exported.folder / "cross.de-en.run", tmp_path / "plain.run", plain)
    result = harness("score", run, "--task", exported.task)
    assert result.exit_code == 2
    assert "query 'q00' does not say its language" in result.stderr
    assert "'en:q00'" in result.stderr and "--setting mono/en" in result.stderr
    result = harness("score", run, "--task", exported.task, "--setting", "cross/de-en")
    assert result.exit_code == 0, result.output
    scored = score_with_task([run], exported.data, ["map"], settings=["cross/de-en"])
    assert scored[0].scores["map"] == pytest.approx(
        exported.scores("cross/de-en")["map"], abs=1e-12
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("q01 Q0 {p} 1 2 t\nen:q01 Q0 {p} 1 1 t\n", "query 'en:q01' is there under two names"),
        (
            "en:q01 Q0 {p} 1 2 t\nen:q01 Q0 en:{p} 2 1 t\n",
            "for query 'en:q01' passage .* two names",
        ),
    ],
)
def test_one_thing_under_two_names_is_refused(
    exported: Exported, tmp_path: Path, lines: str, said: str
) -> None:
    """The later line would replace the earlier one."""
    (tmp_path / "run").write_text(lines.format(p=exported.data.passages["en"].ids[0]))
    with pytest.raises(RunFileError, match=said):
        score_with_task([tmp_path / "run"], exported.data, ["map"], settings=["mono/en"])


def test_only_some_languages(exported: Exported) -> None:
    data = load(read_task(exported.task), languages=["en", "de"])
    pooled = [exported.folder / f"multi.{x}.run" for x in tiny.LANGUAGES[:2]]
    found = by_name(score_with_task(pooled, data, ["map"]))
    assert list(found) == ["multi/en", "multi/de"]
    # Without the passages of zh the ranking is that of a pool of two languages.
    smaller = evaluate(tiny.WordBag(), tasks=[str(exported.task)], languages=("en", "de"))
    ours = {x.setting: x.scores["map"] for x in smaller.task("tiny").settings}
    for name, scored in found.items():
        assert scored.scores["map"] == pytest.approx(ours[name], abs=1e-12)


def test_counts_are_summed_and_geometric_means_stay_geometric(exported: Exported) -> None:
    runs = [exported.folder / f"mono.{x}.run" for x in ("en", "de")]
    names = ["num_q", "num_rel", "gm_map"]
    scored = score_with_task(runs, exported.data, names)
    means = kind_means(scored)["mono"]
    assert (means["num_q"], means["num_rel"]) == (20, 20)
    product = np.prod([x.scores["gm_map"] for x in scored])
    assert means["gm_map"] == pytest.approx(np.sqrt(product), rel=1e-12)
    arguments = ["score", *map(str, runs), "--task", str(exported.task), "--measure", "official"]
    result = CliRunner().invoke(main, arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    # Too many for one line: measures go down, as trec_eval prints them.
    row = next(x for x in result.stdout.splitlines() if x.startswith("num_q"))
    assert row.split() == ["num_q", "20", "10", "10"] or row.split() == ["num_q", "20"]
    assert "P_1000" in result.stdout and "iprec_at_recall_0.50" in result.stdout


def test_qrels_alone_give_one_row_a_run(exported: Exported) -> None:
    qrels = exported.folder / "multi.de.qrels"
    (scored,) = score_with_qrels([exported.folder / "multi.de.run"], qrels, ["recip_rank", "P_5"])
    each = pytrec_eval.RelevanceEvaluator(read_qrels(qrels), {"recip_rank", "P_5"}).evaluate(
        read_run(exported.folder / "multi.de.run")
    )
    for name, value in scored.scores.items():
        assert value == pytest.approx(np.mean([x[name] for x in each.values()]), abs=1e-12)
    result = harness("score", exported.folder / "multi.de.run", "--qrels", qrels)
    assert "multi.de.run" in result.stdout and scored.setting is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["../own.run"], ["--task or --qrels", "no own.qrels beside it"]),
        (["../mine.run"], ["mine.run is not named as"]),
        (["mono.de.run", "mono.de.run"], ["both contain setting mono/de"]),
        (["mono.de.run", "--sample", "3"], ["need --task"]),
        (["mono.de.run", "--task", "T", "--qrels", "mono.de.qrels"], ["--task or --qrels"]),
        (["mono.de.run", "--qrels", "mono.de.qrels", "--setting", "mono"], ["need --task"]),
        (["mono.de.run", "--task", "T", "--setting", "mono/dee"], ["mono/dee", "'mono/de'?"]),
        (["mono.de.run", "--task", "T", "--measure", "mapp"], ["'mapp'", "'map'"]),
        (["mono.de.run", "--task", "T", "--measure", "P_0"], ["P_0"]),
        (["none.run", "--task", "T"], ["none.run", "cannot be read"]),
        (["mono.de.qrels", "--task", "T"], ["mono.de.qrels, line 1", "6 columns"]),
        (["mono.de.run", "mono.de.run", "--task", "T"], ["both contain setting mono/de"]),
        (["mono.de.run", "--qrels", "mono.en.qrels"], ["no query in common"]),
        (["mono.de.run", "--task", "T", "--languages", "en"], ["none of its queries", "en:q"]),
    ],
)
def test_what_cannot_be_scored_is_said(
    exported: Exported, arguments: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(exported.folder)
    for name in ("own.run", "mine.run", "mine.qrels"):
        source = exported.folder / f"mono.de.{name.partition('.')[2]}"
        (exported.folder.parent / name).write_bytes(source.read_bytes())
    result = harness("score", *[str(exported.task) if x == "T" else x for x in arguments])
    assert result.exit_code == 2 and result.stdout == ""
    sentence = result.stderr.splitlines()[-1]
    assert sentence.startswith("Error: ")
    assert [x for x in words if x not in sentence] == []


def test_a_passage_that_the_task_does_not_have_is_refused(
    exported: Exported, tmp_path: Path
) -> None:
    def misnamed(query: str, scores: dict[str, float]) -> tuple[str, dict[str, float]]:
        return query, {p.replace("p01", "P01"): s for p, s in scores.items()}

    run = rewrite(exported.folder / "mono.de.run", tmp_path / "other.run", misnamed)
    with pytest.raises(RunFileError, match=r"no passage 'de:P01' .*look like 'de:d00'"):
        score_with_task([run], exported.data)


def test_settings_that_run_on_request_alone_are_scored(tmp_path: Path) -> None:
    """As ``multi`` of MIRACL: they are in no other run, and somebody has made this one."""
    spec = read_task(write_miracl(tmp_path))
    assert "multi" in spec.optional
    record = evaluate(
        tiny.WordBag(), tasks=[spec], settings=("multi",), trec=tmp_path / "trec", resamples=0
    )
    runs = sorted((tmp_path / "trec" / spec.name).glob("multi.*.run"))
    found = by_name(score_with_task(runs, load(spec, corpora=False), ["ndcg_cut_10"]))
    ours = {x.setting: x.scores["ndcg@10"] for x in record.task(spec.name).settings}
    assert {x: y.scores["ndcg_cut_10"] for x, y in found.items()} == pytest.approx(ours, abs=1e-12)


def test_a_setting_that_the_task_lacks_is_not_guessed(exported: Exported, tmp_path: Path) -> None:
    text = exported.task.read_text().replace('["mono", "cross", "multi"]', '["mono", "cross"]')
    task = tmp_path / "tiny.toml"
    task.write_text(text.replace('folder = "data"', f'folder = "{exported.task.parent}/data"'))
    data = load(read_task(task))
    with pytest.raises(UsageError, match=r"looks like setting multi/de.*--setting"):
        score_with_task([exported.folder / "multi.de.run"], data)
