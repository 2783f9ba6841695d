"""`harness gate` and `harness baseline`: how they end, what they write, what they refuse."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import Result
from gated import POLICY, QUESTIONS, base_record, harness, moved, saved, written

from harness.evaluation.record import Record

FALL = [-0.2] * 30 + [0.0] * 30
DOUBT = [-3.0, -3.0] + [0.03] * 58


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return base_record(tmp_path_factory.mktemp("base"))


@pytest.fixture
def base(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The baseline's record; the current directory is empty but for it and a policy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DEBUG", raising=False)
    written(tmp_path, POLICY)
    return saved(record, tmp_path / "base")


def gate(candidate: object, baseline: object, *more: object) -> Result:
    return harness("gate", candidate, "--baseline", baseline, "--policy", "gate.toml", *more)


def fails(result: Result, code: int) -> str:
    """The one sentence of a command that was refused."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert (result.stdout, "Traceback" in result.stderr) == ("", False)
    assert result.stderr.count("Error: ") == 1
    return result.stderr.splitlines()[-1].removeprefix("Error: ")


def test_0_is_a_pass(base: Path) -> None:
    done = gate(base, base)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Gate: PASS: 2 of 2 values\n")


def test_1_is_a_regression_and_names_where(base: Path, record: Record, tmp_path: Path) -> None:
    done = gate(saved(moved(record, de=FALL), tmp_path / "new"), base)
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith("Gate: REGRESSION in de: 1 of 2 values\n")
    # Each failing value once: a row of numbers, and no sentence with the same numbers.
    assert re.search(
        r"^mono de +0\.\d{4} +-0\.1000 .* 0\.0500  0\.0002  regression$", done.stdout, re.M
    )
    assert "drop of" not in done.stdout
    assert "What next\n  questions that changed most: harness compare " in done.stdout
    assert max(map(len, done.stdout.split("\n\n")[1].splitlines())) <= 80
    quiet = gate(tmp_path / "new", base, "-q")
    assert quiet.stdout == "Gate: REGRESSION in de: 1 of 2 values\n".removeprefix("Gate: ")


def test_3_is_inconclusive(base: Path, record: Record, tmp_path: Path) -> None:
    done = gate(saved(moved(record, de=DOUBT), tmp_path / "new"), base)
    assert done.exit_code == 3, done.output
    assert done.stdout.startswith("Gate: INCONCLUSIVE: 1 of 2 values\n")


def test_4_is_a_missing_rule(base: Path, tmp_path: Path) -> None:
    written(tmp_path, POLICY + '[[rules]]\nmeasure = "recall@7"\nmax_drop = 0.1\n')
    done = gate(base, base)
    assert done.exit_code == 4, done.output
    assert "missing: neither record has recall@7 where the rule applies" in done.stdout


def test_4_is_a_baseline_that_is_not_there(base: Path, tmp_path: Path) -> None:
    message = fails(gate(base, "use-m3"), 4)
    assert message == (
        "no baseline 'use-m3' in leaderboards/baselines, which has none; `harness baseline set "
        "RECORD` makes one"
    )
    assert harness("baseline", "set", base, "--name", "use-m3-demo").exit_code == 0
    assert "did you mean 'use-m3-demo'?" in fails(gate(base, "use-m3-dmeo"), 4)
    assert "no baseline at no/such/place" in fails(gate(base, "no/such/place"), 4)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"data_digest": "1" * 64}, "tiny data digest: baseline 111111111111, candidate "),
        ({"text": "sentence"}, "tiny text: baseline sentence, candidate text"),
        ({"languages": ["en"]}, "tiny languages: baseline en, candidate en de"),
        ({"definitions": {"map": "0" * 12}}, "tiny definition of map: baseline 000000000000, c"),
        ({"definitions": {}}, "tiny definition of map: baseline not recorded, candidate "),
        ({"task": "other"}, "the candidate has no task 'other' (it has tiny); score it there too"),
    ],
)
def test_4_is_a_baseline_of_something_else(
    base: Path, record: Record, tmp_path: Path, facts: dict[str, Any], told: str
) -> None:
    other = saved(record, tmp_path / "other")
    document = json.loads((other / "record.json").read_text())
    document["tasks"][0] |= facts
    (other / "record.json").write_text(json.dumps(document))
    assert told in fails(gate(base, other), 4)


def test_2_is_a_record_that_is_newer_damaged_or_none(base: Path, tmp_path: Path) -> None:
    file = base / "record.json"
    whole = file.read_text()
    file.write_text(json.dumps({**json.loads(whole), "schema_version": 99}))
    assert "has schema version 99, this harness reads up to 1" in fails(gate(base, base), 2)
    file.write_text(whole[: len(whole) // 2])
    assert "record.json: not valid JSON" in fails(gate(base, base), 2)
    file.write_text(whole)
    assert "cannot be read (No such file or directory)" in fails(gate(tmp_path / "none", base), 2)
    table = base / "tiny.per-query.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    assert "is not the table its record names" in fails(gate(base, base), 2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("max_drop", "max_dorp"), "key 'rules[1].max_dorp' is unknown; did you mean 'max_drop'?"),
        (("0.05", "inf"), "key 'rules[1].max_drop' must be finite, not inf"),
        (('"map"', '"mpa"'), "key 'rules[1].measure' names no measure: unknown measure 'mpa'"),
    ],
)
def test_2_is_a_wrong_policy(
    base: Path, tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    written(tmp_path, POLICY.replace(*change))
    message = fails(gate(base, base), 2)
    assert message.startswith("gate.toml: ") and told in message


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gate", "--baseline", "x"), "give either the candidate's record or a --model to score"),
        (
            ("gate", "a", "--model", "b", "--baseline", "x"),
            "give either the candidate's record or a --model",
        ),
        (("gate", "a", "--baseline", "x", "--sample", "5"), "--sample only applies to --model"),
        (("gate", "a"), "Missing option '--baseline'"),
        (("gate", "a", "--baseline", "x", "--json", "o", "--junit", "o"), "need different files"),
    ],
)
def test_2_is_wrong_usage(base: Path, arguments: tuple[str, ...], told: str) -> None:
    done = harness(*arguments)
    assert done.exit_code == 2 and told in done.stderr


def test_70_is_a_fault_of_the_harness_and_never_1(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("harness.gate.gate", broken)
    done = gate(base, base)
    assert done.exit_code == 70 and "ZeroDivisionError" in done.stderr


def test_a_baseline_is_set_listed_shown_and_gated_by_name(base: Path) -> None:
    done = harness("baseline", "set", base, "--policy", "gate.toml")
    assert (done.exit_code, done.stdout) == (0, "word-bag-tiny\n"), done.output
    folder = Path("leaderboards/baselines/word-bag-tiny")
    assert {x.name for x in folder.iterdir()} == {
        "record.json",
        "summary.md",
        "tiny.per-query.parquet",
    }
    document = json.loads((folder / "record.json").read_text())
    assert document["tasks"][0]["intervals"] is None
    Path("word-bag-tiny").mkdir()  # what has its name elsewhere is not listed in its place
    listed = harness("baseline", "list").stdout
    # Nor does it hide the baseline where it is named.
    assert gate(base, "word-bag-tiny").exit_code == 0
    Path("word-bag-tiny").rmdir()
    assert "word-bag-tiny" in listed and document["model"]["fingerprint"][:12] in listed
    shown = harness("baseline", "show", "word-bag-tiny")
    assert document["tasks"][0]["data_digest"] in shown.stdout.replace("\n", "")
    assert gate(base, "word-bag-tiny").exit_code == 0


def test_a_baselines_name_is_a_name(base: Path) -> None:
    done = harness("baseline", "set", base, "--name", "../../x")
    assert done.exit_code == 2 and "'../../x' is not a valid baseline name" in done.stderr
    done = harness("baseline", "set", base, "--name", "x", "--measure", "ndgc@10")
    assert (
        done.exit_code == 2 and "has no measure 'ndgc@10'; did you mean 'ndcg@10'?" in done.stderr
    )
    assert not Path("leaderboards").exists()


def test_a_damaged_baseline_is_reported(base: Path) -> None:
    harness("baseline", "set", base, "--name", "b")
    table = Path("leaderboards/baselines/b/tiny.per-query.parquet")
    table.write_bytes(table.read_bytes()[1:])
    done = harness("baseline", "show", "b")
    assert done.exit_code == 2 and "is not the table its record names" in done.stderr


def test_updating_writes_the_candidate_and_ends_with_0(
    base: Path, record: Record, tmp_path: Path
) -> None:
    harness("baseline", "set", base, "--name", "b")
    new = saved(moved(record, de=FALL), tmp_path / "new")
    before = Path("leaderboards/baselines/b/summary.md").read_text()
    done = gate(new, "b", "--update-baseline")
    assert done.exit_code == 0 and "REGRESSION in de" in done.stdout
    assert "wrote leaderboards/baselines/b/record.json" in done.stderr
    assert gate(new, "b").exit_code == 0
    assert gate(base, "b").exit_code == 0  # it got better than that
    assert Path("leaderboards/baselines/b/summary.md").read_text().count("\n") == before.count("\n")


def test_updating_accepts_what_cannot_be_compared_and_makes_what_is_missing(
    base: Path, record: Record, tmp_path: Path
) -> None:
    done = gate(base, "fresh", "--update-baseline")
    assert done.exit_code == 0 and gate(base, "fresh").exit_code == 0
    other = saved(record, tmp_path / "other", data_digest="1" * 64)
    assert gate(other, "fresh").exit_code == 4
    done = gate(other, "fresh", "--update-baseline")
    assert done.exit_code == 0 and "Not compared: the baseline does not measure" in done.stderr
    assert gate(other, "fresh").exit_code == 0


def test_updating_never_replaces_a_record_that_is_no_baseline(base: Path) -> None:
    for named in (base, base / "record.json"):
        before = (base / "record.json").read_bytes()
        message = fails(gate(base, named, "--update-baseline"), 2)
        assert message.startswith(f"{base} is not a tracked baseline, so it is not replaced")
        assert (base / "record.json").read_bytes() == before


def test_2_is_a_table_that_lacks_queries(base: Path, record: Record, tmp_path: Path) -> None:
    table = record.tables["tiny"]
    kept = np.arange(len(table)) % 7 > 0
    columns = ("setting", "question", "relevant", "query_chars")
    less = replace(
        table,
        **{name: getattr(table, name)[kept] for name in columns},
        values={m: x[kept] for m, x in table.values.items()},
    )
    Record(copy.deepcopy(record.document), {"tiny": less}).save(tmp_path / "less")
    assert "though their data is the same; run its model again" in fails(gate("less", base), 2)


def test_a_model_is_scored_as_the_baseline_was(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    task = str(tiny.write_task(tmp_path / "own", questions=QUESTIONS))
    flags = ("--languages", "en,de", "--settings", "mono,multi", "-q")
    made = harness("run", "--model", "python:tiny:factory", "--task", task, *flags)
    assert harness("baseline", "set", made.stdout.strip(), "--name", "b").exit_code == 0
    written(tmp_path, POLICY)
    flags = ("--model", "python:tiny:factory", "--baseline", "b", "--task", task, "--output", "o")
    done = harness("gate", *flags, "--policy", "gate.toml")
    assert done.exit_code == 0, done.output
    (new,) = Path("o").iterdir()
    assert Record.load(new).task("tiny").kinds == ("mono", "multi")
    # A sample of a whole baseline: its questions, and what they scored among all.
    done = harness("gate", *flags, "--sample", "40")
    assert done.exit_code == 0, done.output
    told = "PARTIAL: tiny: only the languages en, de; 40 questions drawn from 60, all passages"
    assert told in " ".join(done.stdout.split())
    refused = harness("gate", *flags, "--sample", "40", "--update-baseline")
    assert refused.exit_code == 2 and "would leave 40 questions" in refused.stderr
    worse = harness("gate", *flags, "--policy", "gate.toml", "--query-prompt", "river salt moon ")
    assert worse.exit_code == 1, worse.output
    assert "prompts: nothing -> query 'river salt moon '" in worse.stdout
