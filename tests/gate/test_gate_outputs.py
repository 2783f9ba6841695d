"""What the gate writes for machines: JUnit, GitHub, Markdown, JSON."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from compared import with_values
from gated import POLICY, QUESTIONS, base_record, harness, moved, policy, saved, written
from junitparser import Error, Failure, JUnitXml, Skipped

from harness import evaluate
from harness.errors import NotComparableError, UsageError
from harness.evaluation.record import Record
from harness.gate import Gate, gate
from harness.gate.report.github import annotate, command, run_url
from harness.gate.report.junit import to_junit
from harness.gate.report.tables import to_markdown
from harness.testing import assert_no_regression

LANGUAGES = ("en", "de", "es", "fr")
FALL = [-0.2] * 30 + [0.0] * 30
DOUBT = [-3.0, -3.0] + [0.03] * 58
RULES = (
    '[tiers]\nwatched = ["fr"]\n'
    + POLICY
    + '[[rules]]\nname = "gone, 100%: \\"<&>\\""\nmeasure = "recall@7"\nmax_drop = 0.1\n'
    + '[[rules]]\nname = "optional"\nmeasure = "recall@8"\nmax_drop = 0.1\nrequired = false\n'
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return base_record(tmp_path_factory.mktemp("base"), LANGUAGES)


@pytest.fixture(scope="module")
def candidate(base: Record) -> Record:
    """En passes, de regresses, es cannot be told, fr regresses and is only watched."""
    return moved(base, de=FALL, es=DOUBT, fr=FALL)


@pytest.fixture
def found(base: Record, candidate: Record, tmp_path: Path) -> Gate:
    return gate(candidate, base, policy(tmp_path, RULES))


def test_junit_is_read_by_a_junit_parser(found: Gate, tmp_path: Path) -> None:
    path = tmp_path / "gate.xml"
    path.write_text(to_junit(found), encoding="utf-8")
    suites = list(JUnitXml.fromfile(str(path)))
    assert [x.name for x in suites] == ["mAP mono by language", 'gone, 100%: "<&>"', "optional"]
    results = {
        (suite.name[:8], case.name): [(type(r), r.message, r.type) for r in case.result]
        for suite in suites
        for case in suite
    }
    doubt = "drop of 0.0710, more than 0.0500, but it may be chance"
    ((kind, message, what),) = results.pop(("mAP mono", "tiny mono es map"))
    assert (kind, what) == (Error, "inconclusive") and message.startswith(doubt)
    fall = "drop of 0.1000, more than 0.0500 (p = "
    ((kind, message, what),) = results.pop(("mAP mono", "tiny mono de map"))
    assert (kind, what) == (Failure, "regression") and message.startswith(fall)
    ((kind, message, what),) = results.pop(("mAP mono", "tiny mono fr map"))
    assert (kind, what) == (Skipped, None) and message.startswith("regression (watched): " + fall)
    absent = "neither record has recall@{} where the rule applies"
    assert results == {
        ("mAP mono", "tiny mono en map"): [],
        ("gone, 10", "rule"): [(Error, absent.format(7), "missing")],
        ("optional", "rule"): [(Skipped, absent.format(8), None)],
    }
    assert [(x.tests, x.failures, x.errors, x.skipped) for x in suites] == [
        (4, 1, 1, 1),
        (1, 0, 1, 0),
        (1, 0, 0, 1),
    ]
    whole = JUnitXml.fromfile(str(path))
    assert (whole.tests, whole.failures, whole.errors, whole.skipped) == (6, 1, 2, 2)


def test_annotations_are_as_github_documents(found: Gate) -> None:
    """``::error file={name},line={line},title={title}::{message}``; , and : escaped in values."""
    lines = list(annotate(found, "my,gate.toml"))
    assert [x.split(" ", 1)[0] for x in lines] == ["::error", "::error", "::warning", "::warning"]
    assert lines[0].startswith(
        "::error title=Gate%3A regression%2C tiny mono de,file=my%2Cgate.toml::"
        "mAP 0.5000 -> 0.4000: drop of 0.1000, more than 0.0500 (p = "
    )
    assert lines[1].startswith('::error title=Gate%3A gone%2C 100%25%3A "<&>",file=')
    assert "es" in lines[2] and "fr" in lines[3]
    for line in lines:
        assert re.fullmatch(r"::(error|warning) title=[^,:]+,file=[^,:]+::[^\r\n]+", line)


def test_a_pass_is_a_notice(base: Record, tmp_path: Path) -> None:
    assert list(annotate(gate(base, base, policy(tmp_path)))) == [
        "::notice title=Gate::PASS: 4 of 4 values"
    ]


def test_a_value_that_no_question_has_is_an_error(base: Record, tmp_path: Path) -> None:
    """The exit code is 4, so that a notice is not enough."""
    values = {f"mono/{x}": [math.nan if x == "de" else 0.5] * QUESTIONS for x in LANGUAGES}
    found = gate(with_values(base, values), base, policy(tmp_path))
    assert found.exit_code == 4
    assert list(annotate(found)) == [
        "::error title=Gate%3A missing%2C tiny mono de::mAP - -> -: no question has a value in "
        "both records (rule: mAP mono by language)"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes there")
def test_a_folder_whose_name_is_not_utf_8_is_written_with_escapes(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    new = tmp_path / os.fsdecode(b"\xff")
    folders[1].rename(new)
    flags = ["--baseline", folders[0], "--markdown", tmp_path / "a.md", "--json", tmp_path / "a"]
    assert harness("gate", new, *flags, "--junit", tmp_path / "a.xml").exit_code in (0, 1)
    assert "\\udcff" in (tmp_path / "a.md").read_text()


def test_commands_are_escaped() -> None:
    """The table of escapes is that of the runner: data % CR LF, in properties : and , as well."""
    assert command("error", "50%\r\nof: a, b", title="a:b,c%\n") == (
        "::error title=a%3Ab%2Cc%25%0A::50%25%0D%0Aof: a, b"
    )
    assert command("notice", "x", file=None) == "::notice::x"


def test_more_than_ten_are_summed_up(base: Record, tmp_path: Path) -> None:
    rule = '[[rules]]\nname = "r{}"\nmeasure = "recall@{}"\nmax_drop = 0.1\n'
    many = "".join(rule.format(n, n) for n in range(20, 33))
    lines = list(annotate(gate(base, base, policy(tmp_path, POLICY + many))))
    assert len(lines) == 10
    assert lines[-1].endswith("::4 more; the job's summary has them all")


def test_markdown_puts_regressions_first_and_is_cut_between_rows(found: Gate) -> None:
    whole = to_markdown(found)
    assert whole.startswith("## Gate: REGRESSION in de: 1 of 3 values\n")
    titles = re.findall("^### (.*)$", whole, re.MULTILINE)
    assert titles == ["Regressions", "Inconclusive", "Passed"]
    assert r"gone, 100%: \"" not in whole and "&lt;&amp;&gt;" in whole
    size = len(whole.encode())
    for limit in range(size - 1, 500, -211):
        cut = to_markdown(found, limit=limit, rest="https://example.org/run")
        assert len(cut.encode()) <= limit
        kept, _, note = cut.partition("\n**Cut here: ")
        assert whole.startswith(kept)
        left = int(re.match(r"(\d+) lines? more did not fit; ", note)[1])
        assert left == whole.count("\n") - kept.count("\n")
        assert note.endswith("[the whole report](https://example.org/run).**\n")
    assert to_markdown(found, limit=size) == whole


def test_where_the_rest_is_on_github() -> None:
    here = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "me/it",
        "GITHUB_RUN_ID": "7",
    }
    assert run_url(here) == "https://github.com/me/it/actions/runs/7"
    assert run_url({**here, "GITHUB_ACTIONS": ""}) is None


@pytest.fixture
def folders(base: Record, candidate: Record, tmp_path: Path) -> tuple[Path, Path]:
    written(tmp_path, RULES)
    return saved(base, tmp_path / "base"), saved(candidate, tmp_path / "new")


def test_the_files_of_the_command(folders: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = folders
    out = tmp_path / "out"
    flags = ["--baseline", old, "--policy", tmp_path / "gate.toml", "--markdown", out / "a.md"]
    done = harness("gate", new, *flags, "--json", out / "a.json", "--junit", out / "a.xml")
    assert done.exit_code == 1, done.output
    document = json.loads((out / "a.json").read_text())
    assert (document["verdict"], document["languages"]) == ("regression", ["de"])
    assert (out / "a.md").read_text().startswith("## Gate: REGRESSION")
    assert JUnitXml.fromfile(str(out / "a.xml")).failures == 1
    piped = harness("gate", new, *flags[:4], "--json", "-")
    assert json.loads(piped.stdout) == document and "::" not in piped.stderr


def test_on_github_annotations_and_a_summary_come_by_themselves(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = folders
    flags = ["--baseline", old, "--policy", tmp_path / "gate.toml"]
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    here = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    done = harness("gate", new, *flags, **here)
    assert done.exit_code == 1
    assert len(re.findall("^::error ", done.stdout, re.MULTILINE)) == 2
    assert summary.read_text().startswith("before\n## Gate: REGRESSION in de")
    # Standard output is for what was requested; annotations then go to standard error.
    piped = harness("gate", new, *flags, "--json", "-", **here)
    assert json.loads(piped.stdout) and piped.stderr.startswith("::error ")
    silent = harness("gate", new, *flags, "--no-github", **here)
    assert "::error" not in silent.output


def test_in_a_test_suite(base: Record, candidate: Record, tmp_path: Path) -> None:
    rules = policy(tmp_path)
    assert assert_no_regression(base, base, rules).verdict == "pass"
    with pytest.raises(AssertionError, match="Gate: REGRESSION in de, fr: 2 of 4 values"):
        assert_no_regression(candidate, base, rules)
    doubtful = moved(base, es=DOUBT)
    with pytest.raises(AssertionError, match="INCONCLUSIVE"):
        assert_no_regression(doubtful, base, rules)
    found = assert_no_regression(doubtful, base, rules, allow_inconclusive=True)
    assert found.verdict == "inconclusive"


@pytest.fixture(scope="module")
def own_task(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("own")
    return str(tiny.write_task(folder, questions=60, languages=("en", "de")))


def test_a_model_in_a_test_suite(own_task: str, tmp_path: Path) -> None:
    base = evaluate(tiny.WordBag(), tasks=[own_task], store=False)
    rules = policy(tmp_path)
    given = {"policy": rules, "tasks": [own_task], "store": False}
    found = assert_no_regression(baseline=base, model=tiny.WordBag(), sample=40, **given)
    assert {c.questions for _, c in found.cells()} == {40}
    with pytest.raises(AssertionError, match="Gate: REGRESSION in en, de"):
        assert_no_regression(baseline=base, model=tiny.WordBag(dimensions=2), **given)
    with pytest.raises(NotComparableError, match="no baseline 'none' in leaderboards"):
        assert_no_regression(baseline="none", model=tiny.WordBag(), **given)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "needs either a candidate's record or a model"),
        ({"candidate": "a", "model": "b"}, "needs either a candidate's record or a model"),
        ({"candidate": "a", "sample": 5}, "'sample' is an option of a run, but no model is given"),
    ],
)
def test_wrong_use_in_a_test_suite(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        assert_no_regression(baseline="x", **arguments)


def test_a_baseline_that_is_a_sample_decides_the_sample(own_task: str, tmp_path: Path) -> None:
    base = evaluate(tiny.WordBag(), tasks=[own_task], store=False, sample=35)
    given = {"policy": policy(tmp_path), "tasks": [own_task], "store": False}
    found = assert_no_regression(baseline=base, model=tiny.WordBag(), **given)
    assert found.tasks["tiny"]["sample"]["drawn"] == 35
    with pytest.raises(
        UsageError, match="--sample 40: the baseline is itself a sample of 35 questions"
    ):
        assert_no_regression(baseline=base, model=tiny.WordBag(), sample=40, **given)
    # A whole candidate holds the sample's questions too.
    whole = evaluate(tiny.WordBag(), tasks=[own_task], store=False)
    assert gate(whole, base, policy(tmp_path)).verdict == "pass"


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        ({"limit": 30}, "--sample 20: the baseline has the first 30 questions alone"),
        ({"sample_passages": 61}, "the baseline has the passages that are hard for its own quest"),
    ],
)
def test_a_baseline_that_is_cut_otherwise_is_not_sampled(
    own_task: str, cut: dict[str, int], told: str
) -> None:
    base = evaluate(tiny.WordBag(), tasks=[own_task], store=False, **cut)
    with pytest.raises(UsageError, match=told):
        assert_no_regression(
            baseline=base, model=tiny.WordBag(), tasks=[own_task], store=False, sample=20
        )


def test_an_optional_rule_does_not_miss_in_the_baseline_what_the_gate_itself_measures(
    own_task: str, tmp_path: Path
) -> None:
    """The candidate is scored by the policy's measures, which the baseline need not have."""
    base = evaluate(tiny.WordBag(), tasks=[own_task], store=False, measures=["map"])
    given = {"model": tiny.WordBag(), "tasks": [own_task], "store": False}
    found = assert_no_regression(baseline=base, **given)
    assert [x.left_out for x in found.outcomes] == [True, True, False, False]
    assert found.outcomes[0].note == "the baseline has no ndcg@10 of tiny"
    rule = f'{POLICY}[[rules]]\nmeasure = "ndcg@10"\nmax_drop = 0.01\n'
    with pytest.raises(AssertionError, match="the baseline has no ndcg@10 of tiny"):
        assert_no_regression(baseline=base, policy=policy(tmp_path, rule), **given)
    # What the candidate has lost is missing, optional or not.
    lost = evaluate(tiny.WordBag(), tasks=[own_task], store=False)
    optional = policy(tmp_path, f"{rule}required = false\n")
    assert gate(base, lost, optional).verdict == "missing"


def test_a_model_is_scored_with_the_queries_of_the_baseline(own_task: str, tmp_path: Path) -> None:
    """A baseline of mistyped queries says nothing about a model that reads clean ones."""
    base = evaluate(tiny.WordBag(), tasks=[own_task], store=False, noise="typos@0.3", query_seed=3)
    given = {"model": tiny.WordBag(), "tasks": [own_task], "store": False}
    found = assert_no_regression(baseline=base, policy=policy(tmp_path), **given)
    assert found.candidate.model == base.model == "word-bag + typos 0.3"
    assert all(check.difference == 0 for _, check in found.cells())
    earlier = {k: v for k, v in base.document.items() if k != "run"}
    with pytest.raises(UsageError, match=r"queries are changed \(typos 0.3\), and its record does"):
        assert_no_regression(baseline=Record(earlier, base.tables), **given)


def test_two_tasks_are_distinguished(own_task: str, tmp_path: Path) -> None:
    other = str(tiny.write_task(tmp_path / "b", name="other", questions=60, languages=("en", "de")))
    record = evaluate(tiny.WordBag(), tasks=[own_task, other], store=False)
    found = gate(record, record, policy(tmp_path))
    assert list(found.tasks) == ["tiny", "other"]
    assert "| other mono de |" in to_markdown(found)
    one = gate(record, record, policy(tmp_path, POLICY + 'tasks = ["tiny"]\n'))
    assert {c.task for _, c in one.cells()} == {"tiny"}
    text = POLICY + 'tasks = ["tin"]\n' + POLICY.replace("[[rules]]", '[[rules]]\nname = "b"')
    gone = gate(record, record, policy(tmp_path, text))
    assert gone.outcomes[0].note == "the rule names task 'tin', which was not compared"
