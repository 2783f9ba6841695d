"""The command: what it runs, what it prints where, and how it ends."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import numpy as np
import pytest
import tiny
from click.testing import CliRunner, Result

from harness.cli import main
from harness.cli.help_sections import SectionedCommand
from harness.data.trec import write_run
from harness.evaluation.options import RunOptions
from harness.evaluation.record import Record
from harness.evaluation.reproduction import again
from harness.models.base import ModelOptions

MODEL = "python:tiny:factory"
KINDS = ("mono ", "cross", "multi")


class Unstored:
    """An encoder without a fingerprint, trained on English alone."""

    languages = frozenset({"en"})

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        return tiny.WordBag().encode(texts, role=role, language=language)


class Interrupted:
    """Somebody presses Ctrl-C while this one works."""

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        raise KeyboardInterrupt


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tiny task's file, with the current directory next to it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.delenv("HARNESS_DEBUG", raising=False)
    return str(tiny.write_task(tmp_path / "own"))


def harness(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def fails(result: Result) -> str:
    """The one sentence of a command that ended as it should where the user is wrong."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    return last


def test_run_prints_a_summary_and_writes_a_record(task: str) -> None:
    result = harness("run", "--model", MODEL, "--task", task)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "word-bag"
    assert lines[1].startswith("dense, cosine similarity, fingerprint ")
    # 3 languages, 10 questions, of which one has no relevant passage in zh.
    rows = {line.split()[0]: line.split()[1:3] for line in lines if line[:5] in KINDS}
    assert rows == {"mono": ["3", "29"], "cross": ["6", "58"], "multi": ["3", "30"]}
    assert "mAP" in result.stdout and "nDCG@10" in result.stdout
    # 66 passages, 3 relevant passages: (66 + 1)(3 - 1) / (3 + 1) = 33.5; the question with 2: 67 /
    # 3.
    assert re.search(
        r"^  3 relevant passages: [0-9.]+, best 2, chance 33.5$", result.stdout, re.MULTILINE
    )
    assert re.search(
        r"^  2 relevant passages: [0-9.]+, best 1, chance 22.3$", result.stdout, re.MULTILINE
    )
    # 10 questions and 22 passages in each language; of 12 distractors 6 have a twin.
    assert "96 texts, 78 distinct: 78 encoded" in result.stdout
    assert lines[-1].startswith("record: results/word-bag-")
    folder = Path(lines[-1].removeprefix("record: "))
    document = json.loads((folder / "record.json").read_text())
    assert document["command"] == ["harness", "run", "--model", MODEL, "--task", task]
    assert (folder / "tiny.per-query.parquet").is_file()


def test_a_second_run_encodes_nothing_and_no_store_everything(task: str) -> None:
    harness("run", "--model", MODEL, "--task", task, "-q")
    again = harness("run", "--model", MODEL, "--task", task)
    assert "0 encoded, 78 from the store" in again.stdout
    fresh = harness("run", "--model", MODEL, "--task", task, "--no-store")
    assert "78 encoded" in fresh.stdout and "0 from the store" in fresh.stdout
    assert "vectors not stored: the run was started without the store" in fresh.stdout


def test_quiet_prints_the_path_alone(task: str) -> None:
    result = harness("run", "--model", MODEL, "--task", task, "-q", "--output", "out")
    assert (Path(result.stdout.strip()) / "record.json").is_file()
    assert result.stdout.startswith("out/") and result.stderr == ""


def test_an_encoder_without_a_fingerprint_and_languages_it_does_not_know(task: str) -> None:
    result = harness("run", "--model", "python:test_cli:Unstored", "--task", task)
    assert result.exit_code == 0, result.output
    warning, *others = result.stderr.splitlines()
    assert warning.startswith("Warning: ") and "not trained on de, zh" in warning
    assert others == []
    assert "vectors not stored: the encoder offers no fingerprint" in result.stdout
    assert "The model was not trained on de, zh." in result.stdout


def test_a_part_of_a_task_is_called_partial(task: str) -> None:
    flags = ["--limit", "2", "--languages", "en,de", "--settings", "multi", "--text", "text"]
    result = harness("run", "--model", MODEL, "--task", task, *flags, "--measure", "ndcg@3")
    assert result.exit_code == 0, result.output
    assert "PARTIAL: only the languages en, de; the first 2 questions of each" in result.stdout
    assert "nDCG@3" in result.stdout and "mAP" not in result.stdout
    assert re.search(r"^multi +2 +4 ", result.stdout, re.MULTILINE)
    assert not re.search(r"^(mono|cross)", result.stdout, re.MULTILINE)


def test_dry_run_counts_and_writes_nothing(task: str, tmp_path: Path) -> None:
    result = harness("run", "--model", MODEL, "--task", task, "--dry-run")
    assert result.exit_code == 0, result.output
    row = next(x for x in result.stdout.splitlines() if x.startswith("tiny  "))
    # queries, pool, texts, distinct, in store, to encode
    assert row.split()[-6:] == ["30", "66", "96", "78", "0", "78"]
    assert not (tmp_path / "results").exists()
    twice = harness("run", "--model", MODEL, "--task", task, "--task", task, "--dry-run",
                    "--query-prompt", "", "--query-prompt", "query: ")  # fmt: skip
    assert twice.stdout.count("tiny  ") == 1 and "For the first --query-prompt" in twice.stdout
    other = str(tiny.write_task(tmp_path / "other", languages=("en", "de")))
    refused = harness("run", "--model", MODEL, "--task", task, "--task", other, "--dry-run")
    assert "two different tasks are called tiny" in fails(refused)
    assert re.search(r"^Encoding 78 texts takes about \d+ s here", result.stdout, re.MULTILINE)
    harness("run", "--model", MODEL, "--task", task, "-q")
    result = harness("run", "--model", MODEL, "--task", task, "--dry-run")
    assert "takes about" not in result.stdout
    row = next(x for x in result.stdout.splitlines() if x.startswith("tiny  "))
    assert row.split()[-2:] == ["78", "0"]
    result = harness("run", "--model", "bm25", "--task", task, "--dry-run")
    row = next(x for x in result.stdout.splitlines() if x.startswith("tiny  "))
    assert row.split()[-2:] == ["-", "-"]


def test_a_run_says_what_it_will_do_where_that_takes_a_while(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.evaluation.announcement._WORTH_SAYING", 78)
    told = harness("run", "--model", MODEL, "--task", task)
    assert re.fullmatch(r"78 distinct texts, 78 of them to encode, about \d+ s\n", told.stderr), (
        told.stderr
    )
    assert "78 encoded" in told.stdout  # those that were measured are encoded again
    assert harness("run", "--model", MODEL, "--task", task).stderr == ""
    assert harness("run", "--model", MODEL, "--task", task, "--no-store", "-q").stderr == ""


def test_a_system_has_the_name_it_is_given(task: str) -> None:
    plain = harness("run", "--model", MODEL, "--task", task, "-q")
    done = harness("run", "--model", MODEL, "--task", task, "-q", "--name", "ours, v2")
    assert done.exit_code == 0, done.output
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("ours-v2-") and folder != Path(plain.stdout.strip())
    record = Record.load(folder)
    assert record.model == "ours, v2" and record.contents.model.fingerprint
    assert "--name 'ours, v2'" in again(record.contents.run.options, record.contents.run.tasks, "")
    refused = harness("run", "--model", MODEL, "--task", task, "--name", " ")
    assert refused.exit_code == 2 and "--name needs a name" in refused.stderr


def test_records_of_a_folder_are_listed(task: str) -> None:
    assert "there is no folder results" in fails(harness("records"))
    harness("run", "--model", MODEL, "--task", task, "-q")
    done = harness("run", "--model", MODEL, "--task", task, "-q", "--limit", "3", "--name", "few")
    broken = Path("results/broken")
    broken.mkdir()
    (broken / "record.json").write_text("{")
    listed = harness("records")
    assert listed.exit_code == 0, listed.output
    folder = Path(done.stdout.strip())
    text = " ".join(listed.stdout.split())
    assert folder.name in listed.stdout and "tiny *" in text and "word-bag" in text
    assert "damaged: results/broken/record.json" in text
    means = Record.load(folder).task("tiny").means
    row = next(x for x in listed.stdout.splitlines() if folder.name in x)
    assert row.split()[-3:] == [f"{means[k].macro['map']:.4f}" for k in ("mono", "cross", "multi")]
    found = json.loads(harness("records", "--json").stdout)
    assert {x["folder"] for x in found} >= {str(folder), "results/broken"}
    Path("none").mkdir()
    assert harness("records", "none").stdout.startswith("No records in none")


def test_a_record_is_written_as_csv_latex_and_a_drawing(task: str) -> None:
    record = harness("run", "--model", MODEL, "--task", task, "-q").stdout.strip()
    done = harness("show", record, "--csv", "a.csv", "--latex", "a.tex", "--svg", "a.svg")
    assert done.exit_code == 0 and done.stdout == "", done.output
    entry = Record.load(record).task("tiny")
    rows = Path("a.csv").read_text().splitlines()
    assert len(rows) == 1 + len(entry.settings) and rows[0].startswith("task,")
    tex = Path("a.tex").read_text()
    assert f"{entry.means['mono'].macro['map']:.4f}" in tex and r"\begin{tabular}" in tex
    drawing = ElementTree.parse("a.svg").getroot()
    texts = [x.text for x in drawing.iter("{http://www.w3.org/2000/svg}text")]
    values = [f"{s.scores['map']:.4f}" for s in entry.settings if s.passage_language]
    assert Counter(values) <= Counter(texts) and {"en", "de", "zh"} <= set(texts)
    assert harness("show", record, "--svg", "-", "--measure", "R@10").stdout.startswith("<svg ")
    assert "has no measure" in fails(harness("show", record, "--svg", "-", "--measure", "x"))
    assert "are for --svg" in fails(harness("show", record, "--measure", "map"))


class SeenError(Exception):
    """Carries what the library was called with."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, task: str) -> Any:
    """Run the command and return the arguments of the run instead of running."""

    def run(model: str, tasks: list[str] | None, **named: Any) -> None:
        raise SeenError(model, tasks, named)

    monkeypatch.setattr("harness.evaluation.run.run", run)

    def call(*arguments: str) -> tuple[str, list[str] | None, dict[str, Any]]:
        result = harness("run", *arguments)
        assert isinstance(result.exception, SeenError), result.output
        model, tasks, named = result.exception.args
        return model, tasks, named

    return call


def test_bare_run_is_the_demo_and_a_model_alone_all_small_tasks(called: Any) -> None:
    assert called()[:2] == ("default", ["demo"])
    assert called("--limit", "3")[:2] == ("default", ["demo"])
    assert called("--model", "bm25")[:2] == ("bm25", None)
    assert called("--task", "xquad-r", "--task", "mlqa-r")[1] == ["xquad-r", "mlqa-r"]


def test_every_flag_reaches_the_library(called: Any) -> None:
    flags = """--model m --task t --languages en,de --settings mono,multi --limit 5 --text text
        --measure map --measure ndcg@5 --query-prompt q: --passage-prompt p: --batch-size 8
        --dtype bfloat16 --device cuda:1 --max-length 128 --output o --trec t --trec-depth 0
        --offline --data-dir d --no-store --memory 1.5G --heads 20""".split()
    model, tasks, named = called(*flags)
    assert (model, tasks, named["output"]) == ("m", ["t"], Path("o"))
    assert named["command"] == ["harness", "run", *flags]
    assert named["options"] == RunOptions(
        languages=("en", "de"),
        settings=("mono", "multi"),
        limit=5,
        text="text",
        measures=("map", "ndcg@5"),
        top_k=20,
        memory=3 * 2**29,
        data_dir=Path("d"),
        offline=True,
        store=False,
        trec=Path("t"),
        trec_depth=0,
        model=ModelOptions(
            query_prompt="q:",
            passage_prompt="p:",
            batch_size=8,
            max_length=128,
            dtype="bfloat16",
            device="cuda:1",
            offline=True,
        ),
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--memory", "lots"], ["--memory", "2G or 500M"]),
        (["--memory", "0G"], ["--memory"]),
        (["--memory", f"{'9' * 400}G"], ["--memory", "2G or 500M"]),
        (["--shard", f"0/{'9' * 5000}"], ["--shard", "is not a part"]),
        (["--languages", "en,english"], ["--languages", "'english'", "en,de"]),
        (["--languages", "en de"], ["--languages", "commas"]),
        (["--languages", "en,ru"], ["'ru'", "en, de, zh"]),
        (["--settings", "mono,cros"], ["--settings", "did you mean 'cross'"]),
        (["--settings", ""], ["--settings"]),
        (["--limit", "0"], ["--limit"]),
        (["--batch-size", "many"], ["--batch-size"]),
        (["--dtype", "float8"], ["--dtype", "bfloat16"]),
        (["--measure", "ndgc@10"], ["'ndgc@10'", "did you mean 'ndcg'"]),
        (["--measure", "recall"], ["'recall'", "recall@10"]),
        (["--text", "titles"], ["offers text text", "'titles'"]),
        (["--task", "xquad-s"], ["'xquad-s'", "did you mean 'xquad-r'"]),
        (["--task", "./none.toml"], ["none.toml"]),
        (["--model", "bm52"], ["'bm52'", "did you mean 'bm25'"]),
        (["--model", "python:tiny:factry"], ["did you mean 'factory'"]),
        (["--data-dir", "nowhere"], ["--data-dir", "nowhere"]),
        (["--modle", "x"], ["--modle"]),
        (["unwanted"], ["unwanted"]),
    ],
)
def test_a_wrong_value_is_one_sentence(task: str, arguments: list[str], words: list[str]) -> None:
    given = ["run", "--model", MODEL, "--task", task, "--dry-run", *arguments]
    sentence = fails(harness(*given))
    assert [x for x in words if x not in sentence] == []


def saved(task: str) -> Path:
    return Path(harness("run", "--model", MODEL, "--task", task, "-q").stdout.strip())


@pytest.mark.parametrize(
    ("command", "partner"),
    [
        ("run --rerank-top 5", "--rerank"),
        ("run --into de", "--translate-queries"),
        ("run --query-seed 1", "--code-switch or --noise"),
        ("run --trec-depth 5", "--trec"),
        ("run --sample-by bm25", "--sample-passages"),
        ("run --backend-file onnx/model.onnx", "--backend"),
        ("run --expand-url http://127.0.0.1:9/v1", "--expand-queries"),
        ("run --log-project mine", "--log-to"),
        ("gate a --baseline b --details-url http://127.0.0.1:9", "--markdown"),
        ("card a --pull-request", "--push"),
        ("compare a b --data-dir .", "--flips"),
        ("board --port 8000", "--serve"),
        ("board --format latex", "--task or --sort or --paper or --pair or --changed"),
        ("breakdown a --by script --seen en", "--by seen"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(command: str, partner: str) -> None:
    words = command.split()
    flag = next(x for x in reversed(words) if x.startswith("--"))
    sentence = fails(harness(*words))
    assert f"{flag} has no effect" in sentence and partner in sentence


def test_show_prints_what_run_printed(task: str) -> None:
    ran = harness("run", "--model", MODEL, "--task", task, "-v")
    folder = ran.stdout.splitlines()[-1].removeprefix("record: ")
    for record in (folder, f"{folder}/record.json"):
        shown = harness("show", record, "-v")
        assert shown.exit_code == 0 and shown.stdout == ran.stdout
    assert "queries down, passages across" in shown.stdout
    assert "queries down, passages across" not in harness("show", folder).stdout


def test_show_refuses_what_is_no_record(task: str) -> None:
    file = saved(task) / "record.json"
    whole = file.read_text()
    assert "no.json cannot be read" in fails(harness("show", "no.json"))
    file.write_text(whole[: len(whole) // 2])
    assert "record.json: not valid JSON" in fails(harness("show", str(file)))
    file.write_text(json.dumps(json.loads(whole) | {"schema_version": 99}))
    sentence = fails(harness("show", str(file)))
    assert "schema version 99" in sentence and "newer polyglot-harness" in sentence
    file.write_text(json.dumps(json.loads(whole) | {"tasks": []}))
    assert "is not a valid record: tasks" in fails(harness("show", str(file)))


def test_tasks_and_models_are_listed(task: str) -> None:
    tasks = harness("tasks").stdout
    # 11, 110 and 11 settings; 7, 42 and 7: the counts of the two published tasks.
    assert re.search(r"^xquad-r +11\+110\+11 ", tasks, re.MULTILINE)
    assert re.search(r"^mlqa-r +7\+42\+7 ", tasks, re.MULTILINE)
    models = harness("models").stdout
    assert re.search(r"^bm25 +lexical", models, re.MULTILINE)
    assert "python:package.module:factory" in models


def test_data_is_found_verified_and_missed(task: str, tmp_path: Path) -> None:
    where = harness("data", "where", task)
    assert where.exit_code == 0
    paths = [line.split()[-1] for line in where.stdout.splitlines()]
    assert len(paths) == 7 and all(Path(path).is_file() for path in paths)
    assert harness("data", "where", task, "--languages", "en").stdout.count("\n") == 3
    assert harness("data", "fetch", task).stdout.count("no checksum") == 7
    digest = "0" * 64
    names = [Path(path).name for path in paths]
    files = "".join(f'"{name}" = "{digest}"\n' for name in names)
    Path(task).write_text(f"{Path(task).read_text()}\n[source.files]\n{files}")
    damaged = harness("data", "verify", task)
    assert damaged.exit_code == 2 and damaged.stdout.count("damaged") == 7
    assert "7 of 7 files missing or damaged" in damaged.stderr
    assert f"`harness data fetch {task}`" in damaged.stderr
    sentence = fails(harness("run", "--model", MODEL, "--task", task))
    assert "SHA-256" in sentence and digest in sentence


def test_offline_says_what_is_missing(task: str) -> None:
    sentence = fails(harness("data", "fetch", "mlqa-r", "--offline", "--languages", "de"))
    assert "de.json" in sentence and "harness data fetch mlqa-r" in sentence


def test_ctrl_c_ends_with_130_and_a_word(task: str) -> None:
    result = harness("run", "--model", "python:test_cli:Interrupted", "--task", task)
    assert result.exit_code == 130
    assert result.stderr == "Stopped; run the same command again to resume.\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.run"), "a.run: No space left"),
        (MemoryError(), "out of memory"),
    ],
)
def test_the_machine_s_limits_are_reported_in_a_sentence(
    task: str, monkeypatch: pytest.MonkeyPatch, error: BaseException, sentence: str
) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("harness.evaluation.run.run", run)
    assert sentence in fails(harness("run"))


def test_debug_shows_the_traceback(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DEBUG", "1")
    result = harness("run", "--task", "xquad-s")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr and "TaskError" in result.stderr


def test_a_bug_keeps_its_traceback(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr("harness.evaluation.run.run", run)
    assert isinstance(harness("run").exception, AssertionError)


def test_a_termination_says_what_ctrl_c_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler's SIGTERM: one sentence and its exit code, and the handler is put back."""
    # A library that another test loaded may handle it: then the harness leaves it alone.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def terminated() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr("harness.data.task.list_tasks", terminated)
    result = CliRunner().invoke(main, ["tasks"])
    assert (result.exit_code, result.output) == (
        143, "Stopped; run the same command again to resume.\n",
    )  # fmt: skip
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_full_disk_under_trec_keeps_the_record(tmp_path: Path) -> None:
    """The file is named, and the scores that were computed are saved all the same."""
    task = tiny.write_task(tmp_path, questions=4, distractors=4)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    arguments = ["run", "--task", str(task), "--model", "bm25", "--output", str(tmp_path / "o")]
    written = write_run

    def full(path: Path, *rest: object, **more: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limit[1]))
        try:
            written(path, *rest, **more)  # type: ignore[arg-type]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.evaluation.trec_export.write_run", full)
        result = CliRunner().invoke(main, [*arguments, "--trec", str(tmp_path / "t"), "-q"])
    assert result.exit_code == 2
    assert re.search(r"Error: \S+mono\.en\.run could not be written: File too large", result.output)
    (record,) = (tmp_path / "o").glob("*/record.json")
    assert json.loads(record.read_text())["tasks"][0]["trec"] is None


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.evaluation.run.run", None)
    (tmp_path / "file").write_text("")
    for flag in ("--output", "--trec"):
        given = ["run", "--model", "bm25", "--task", task, flag, str(tmp_path / "file" / "deeper")]
        assert f"{flag} {tmp_path / 'file' / 'deeper'}: {tmp_path / 'file'} cannot" in fails(
            harness(*given)
        )


def commands_of(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands_of(command)


def test_help_has_each_option_and_command_in_a_section() -> None:
    assert "Other commands" not in harness("--help").stdout
    sectioned = [x for x in commands_of(main) if isinstance(x, SectionedCommand)]
    assert {"run", "gate", "train", "plan"} <= {x.name for x in sectioned}
    for command in sectioned:
        text = command.get_help(click.Context(command, max_content_width=80, terminal_width=80))
        assert "Other options" not in text
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden:
                assert text.count(f"\n  {min(param.opts, key=len)}") >= 1, param.name
        assert max(map(len, text.splitlines())) <= 80
