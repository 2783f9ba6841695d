from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.base.languages import is_language
from harness.data.task import Setting, default_tasks, find_task, list_tasks, read_task, task_folder
from harness.errors import TaskError
from harness.evaluation.layout import choose_tasks
from harness.metrics import parse_measures

PINNED = "0" * 64
LOCAL = """\
name = "mine"
title = "Mine"
description = "Mine."
reader = "simple"
languages = ["en", "de"]
settings = ["multi", "mono"]
text = "text"
measures = ["map", "recall@10"]
license = "CC0-1.0"

[source]
folder = "./data"
"""
REMOTE = f"""\
name = "far"
title = "Far"
description = "Far."
reader = "lareqa"
languages = ["en", "de"]
settings = ["mono", "cross", "multi"]
text = "sentence"
texts = ["sentence", "sentence-context"]
measures = ["map"]
license = "CC0-1.0"

[source]
folder = "far"
url = "https://example.org/{{revision}}/far/"
revision = "v1"

[source.files]
"en.json" = "{PINNED}"
"de.json" = "{PINNED}"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "task.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(task_folder().glob("*.toml")), ids=lambda path: path.stem)
def test_every_task_file_that_ships_can_be_read(path: Path) -> None:
    spec = read_task(path)
    assert spec.name == path.stem  # find_task looks for the file by the task's name
    assert len(parse_measures(spec.measures)) == len(spec.measures)
    assert spec.license and spec.description.strip() == spec.description


def test_the_tasks_that_ship() -> None:
    found = {spec.name: spec for spec in list_tasks()}
    assert {"demo", "xquad-r", "mlqa-r"} <= set(found)
    # Numbers of settings: mono n, cross n(n-1), multi n.
    assert len(found["xquad-r"].settings()) == 11 + 110 + 11
    assert len(found["demo"].settings()) == 11 + 110 + 11
    assert len(found["mlqa-r"].settings()) == 7 + 42 + 7
    source = found["mlqa-r"].source
    # mlqa-r/ exists only up to this commit of google-research-datasets/lareqa.
    assert source.url is not None
    assert source.url.endswith("/354d67d1cd066854cdfbf5ad0e6105528976141d/mlqa-r/")
    assert set(source.files) == {f"{x}.json" for x in ("ar", "de", "en", "es", "hi", "vi", "zh")}


def test_a_local_task_with_defaults(tmp_path: Path) -> None:
    spec = read_task(write(tmp_path, LOCAL))
    assert spec.languages == ("en", "de")
    assert spec.kinds == ("mono", "multi")  # in the one order, however the file lists them
    assert (spec.texts, spec.size, spec.citation) == (("text",), "small", "")
    assert (spec.source.url, spec.source.revision, dict(spec.source.files)) == (None, None, {})
    assert spec.needed_files(["de"]) == ("queries.de.jsonl", "passages.de.jsonl", "qrels.tsv")
    assert spec.settings(["de"]) == (Setting("mono", "de", "de"), Setting("multi", "de", None))
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "other"


def test_the_revision_is_filled_into_the_url(tmp_path: Path) -> None:
    assert read_task(write(tmp_path, REMOTE)).source.url == "https://example.org/v1/far/"


def test_the_digest_follows_the_bytes(tmp_path: Path) -> None:
    before = read_task(write(tmp_path, LOCAL)).digest
    assert read_task(write(tmp_path, LOCAL)).digest == before
    assert read_task(write(tmp_path, LOCAL + "# a comment\n")).digest != before


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_bytes(b"\xef\xbb\xbf" + LOCAL.replace("\n", "\r\n").encode())
    assert read_task(path).name == "mine"


def test_another_text_option(tmp_path: Path) -> None:
    path = write(tmp_path, REMOTE)
    assert read_task(path).text == "sentence"
    assert read_task(path, text="sentence-context").text == "sentence-context"
    with pytest.raises(TaskError, match=r"not 'sentense'; did you mean 'sentence'\?"):
        read_task(path, text="sentense")


@pytest.mark.parametrize(
    ("base", "old", "new", "message"),
    [
        (LOCAL, 'title = "Mine"', "", "key 'title' is missing"),
        (LOCAL, "[source]", "[origin]", "key 'origin' is unknown"),
        (LOCAL, "languages =", "langauges =", "'langauges' is unknown; did you mean 'languages'?"),
        (LOCAL, '["en", "de"]', '"en"', "key 'languages' must be a list of strings, not 'en'"),
        (LOCAL, '["en", "de"]', "[]", "key 'languages' must name at least one"),
        (LOCAL, '["en", "de"]', '["en", 7]', "key 'languages' must be a list of strings, but"),
        (LOCAL, '["en", "de"]', '["en", "en"]', "key 'languages' names 'en' twice"),
        (LOCAL, '["en", "de"]', '["en", "xx"]', "key 'languages' contains 'xx', which is not a"),
        (LOCAL, '"Mine"', "3", "key 'title' must be a string, not 3"),
        (LOCAL, '"Mine"', '" "', "key 'title' must not be empty"),
        (LOCAL, '"mine"', '"My Task"', "key 'name' must be lower-case"),
        (LOCAL, '"simple"', '"simpel"', "key 'reader' must be one of .* did you mean 'simple'"),
        (LOCAL, '"simple"', '"beir"', "key 'languages' names 2, but reader 'beir' takes one"),
        (LOCAL, '"multi", "mono"', '"bi"', "key 'settings' must be one of mono, cross, multi"),
        (LOCAL, 'text = "text"', 'text = "sentence"', "key 'text' must be one of title-newline"),
        (LOCAL, '"recall@10"', '"recall@0"', "key 'measures' contains 'recall@0'; a measure is"),
        (LOCAL, '"recall@10"', '"Recall@10"', "key 'measures' contains 'Recall@10'"),
        (LOCAL, "license", 'size = "huge"\nlicense', "key 'size' must be one of small, large"),
        (LOCAL, 'folder = "./data"', "", "key 'source.folder' is missing: it must be a string"),
        (LOCAL, "folder", 'revision = "1"\nfolder', "key 'source.revision' belongs to a 'url'"),
        (LOCAL, "folder", 'branch = "1"\nfolder', "key 'source.branch' is unknown"),
        (LOCAL, "[source]\nfolder", "source", "key 'source' must be a table, not './data'"),
        (REMOTE, 'texts = ["sentence",', "texts = [", "key 'text' must be one of sentence-context"),
        (REMOTE, 'revision = "v1"', "", "key 'source.revision' is missing: downloaded files must"),
        (REMOTE, '"v1"', '"a/b"', "key 'source.revision' must be a commit"),
        (REMOTE, "far/", "far", "key 'source.url' must start with https:// and end with '/'"),
        (REMOTE, "https:", "file:", "key 'source.url' must start with https://"),
        (REMOTE, "{revision}", "{commit}", r"key 'source.url' can contain only \{revision\}"),
        (REMOTE, 'folder = "far"', 'folder = "../far"', "key 'source.folder' must be a plain name"),
        (REMOTE, f'"de.json" = "{PINNED}"', "", "key 'source.files.de.json' is missing"),
        (REMOTE, f'n" = "{PINNED}"', 'n" = "abc"', "'source.files.en.json' must be a SHA-256"),
        (REMOTE, "de.json", "dee.json", "'source.files.dee.json' names .* did you mean 'de.json'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_key(
    tmp_path: Path, base: str, old: str, new: str, message: str
) -> None:
    assert old in base
    path = write(tmp_path, base.replace(old, new, 1))
    with pytest.raises(TaskError, match=message.replace("?", r"\?")) as caught:
        read_task(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_toml_errors_name_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, LOCAL.replace('"Mine."', '"Mine.'))
    with pytest.raises(TaskError, match=r"task\.toml: not valid TOML \(.*line 3"):
        read_task(path)
    path.write_bytes(LOCAL.replace("Mine.", "Größe").encode("latin-1"))
    with pytest.raises(TaskError, match=r"task\.toml: line 3 is not UTF-8"):
        read_task(path)


def test_finding_a_task(tmp_path: Path) -> None:
    assert find_task("mlqa-r").title == "MLQA-R"
    assert find_task("xquad-r", text="sentence-context").text == "sentence-context"
    assert find_task(str(write(tmp_path, LOCAL))).name == "mine"
    with pytest.raises(TaskError, match=r"'xquad-s': known are .*; did you mean 'xquad-r'\?"):
        find_task("xquad-s")
    with pytest.raises(TaskError, match=r"gone\.toml: cannot be read \(No such file"):
        find_task(str(tmp_path / "gone.toml"))


@pytest.mark.parametrize("code", ["de", "yue", "zh-Hant", "pt-BR", "es-419", "zh-Hant-TW", "qaa"])
def test_codes_of_languages(code: str) -> None:
    assert is_language(code)


@pytest.mark.parametrize("code", ["xx", "DE", "deutsch", "zh_Hant", "zh-hant", "de-", "", "qza"])
def test_codes_of_no_language(code: str) -> None:
    assert not is_language(code)


def test_some_small_tasks_run_only_where_they_are_named(tmp_path: Path) -> None:
    names = [spec.name for spec in default_tasks()]
    assert {"demo", "xquad-r", "mlqa-r"} <= set(names)
    assert not {"miracl", "xquad"} & set(names)  # one is large, the other asks to be named
    assert [x.name for x in choose_tasks(None, None)] == names
    assert not read_task(write(tmp_path, "default = false\n" + LOCAL)).default
    with pytest.raises(TaskError, match="key 'default' must be true or false, not 'no'"):
        read_task(write(tmp_path, 'default = "no"\n' + LOCAL))


def test_files_that_the_task_file_names(tmp_path: Path) -> None:
    text = LOCAL.replace('"simple"', '"squad"')
    spec = read_task(write(tmp_path, text))
    assert spec.needed_files() == ("en.json", "de.json")
    named = (
        '\n[source.paths]\narticles = "dev/{language}/{code}.json"\n[source.codes]\nde = "ger"\n'
    )
    spec = read_task(write(tmp_path, text + named))
    assert spec.needed_files() == ("dev/en/en.json", "dev/de/ger.json")
    for wrong, message in [
        (named.replace("{code}", "{split}"), "'source.paths.articles' can contain only {language}"),
        (named.replace("dev", "../dev"), "'source.paths.articles' must stay inside the source"),
        (named.replace("articles", "article"), "'source.paths.article' is unknown; did you mean"),
        (named.replace("de =", "fr ="), "'source.codes.fr' is not one of the task's languages"),
        (named.replace("ger", "g r"), "'source.codes.de' must be the language's name in files"),
    ]:
        with pytest.raises(TaskError, match=message.replace("{", r"\{")):
            read_task(write(tmp_path, text + wrong))
    with pytest.raises(TaskError, match=r"key 'source\.paths' is not for reader 'simple'"):
        read_task(write(tmp_path, LOCAL + named))
    with pytest.raises(TaskError, match=r"key 'source\.codes' is not for reader 'simple'"):
        read_task(write(tmp_path, LOCAL + named[named.index("[source.codes]") :]))
