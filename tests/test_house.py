"""What holds for the project as a whole: what it imports, what it ships, and how it is set up."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
HEAVY = [
    "bm25s",
    "mteb",
    "numba",
    "pandas",
    "pyarrow",
    "pydantic",
    "pytrec_eval",
    "scipy",
    "sentence_transformers",
    "sentencepiece",
    "pydantic",
    "torch",
    "transformers",
]
# What lies in the package next to its rooms.
LOOSE = {"__init__.py", "__main__.py", "errors.py", "testing.py", "py.typed"}
# No room: its documented name stays importable.
ALIASES = {"bridge_mteb"}
# The README's commands, and .ci/run's: to change one is to change what newcomers type.
INSTALL_AND_RUN = "pip install -c constraints.txt -e '.[demo]' && harness run"
INSTALL_AND_TEST = "pip install tox && tox"


def project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def python_files() -> list[Path]:
    folders = ("harness", "tasks", "tests", "benchmarks", "leaderboards", "docs", ".ci")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def loaded_after(code: str, cwd: Path) -> set[str]:
    """The heavy libraries that a fresh interpreter has loaded once it has run ``code``."""
    report = f"\nimport json, sys\nprint(json.dumps([x for x in {HEAVY!r} if x in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def installed_package() -> Path:
    """Folder of the package under test: in an editable install the checkout's own."""
    spec = importlib.util.find_spec("harness")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


@pytest.mark.skipif(
    os.environ.get("HARNESS_TEST_INSTALLED") != "1",
    reason="not the tox environment that installs the wheel",
)
def test_the_tests_run_on_the_installed_wheel() -> None:
    assert installed_package() != ROOT / "harness"
    assert "site-packages" in installed_package().parts


@pytest.mark.parametrize(
    ("source", "target", "patterns"),
    [
        ("tasks", "task_files", ("*.toml", "*/**/*")),
        ("harness", ".", ("py.typed", "**/*.schema.json", "**/*.toml", "**/*.csv", "**/*.py")),
        ("harness/boards/page", "boards/page", ("**/*",)),
    ],
)
def test_what_lies_in_the_checkout_ships_in_the_package(
    source: str, target: str, patterns: tuple[str, ...]
) -> None:
    if installed_package() == ROOT / "harness":
        pytest.skip("an editable install reads the checkout itself; tox tests the wheel")
    here, there = ROOT / source, installed_package() / target
    for pattern in patterns:
        names = {
            path.relative_to(here)
            for path in here.glob(pattern)
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert names, f"nothing in {source}/ matches {pattern}"
        assert {x for x in names if not (there / x).is_file()} == set()


@pytest.mark.parametrize(
    "module",
    ["harness", "harness.cli", "harness.data.task", "harness.errors", "harness.evaluation.run"],
)
def test_importing_the_front_loads_no_heavy_library(module: str, tmp_path: Path) -> None:
    models = {"pydantic"} if module == "harness.evaluation.run" else set()  # of the record's fields
    assert loaded_after(f"import {module}", tmp_path) <= models


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["score", "--help"]])
def test_help_loads_no_heavy_library(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import harness.cli\n"
        f"try:\n    harness.cli.main({arguments!r})\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
    )
    assert loaded_after(code, tmp_path) == set()


def test_nothing_lies_loose_in_the_package() -> None:
    folder = ROOT / "harness"
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert files == LOOSE
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")} - ALIASES
    contracts = project()["tool"]["importlinter"]["contracts"]
    lines = next(x["layers"] for x in contracts if x.get("exhaustive"))
    named = {name for line in lines for name in re.findall(r"\w+", line)}
    assert rooms == named - ALIASES - {Path(x).stem for x in LOOSE}


def imports_of(path: Path, modules: dict[str, Path]) -> set[str]:
    """Which of ``modules`` a file imports anywhere in it, in functions and for types too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules else node.module)
    return found & set(modules)


@pytest.mark.parametrize(("folder", "package"), [("harness", "harness."), ("benchmarks", "")])
def test_no_files_import_each_other(folder: str, package: str) -> None:
    modules = {}
    for path in (ROOT / folder).rglob("*.py"):
        name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
        modules[(package + name).removesuffix(".__init__")] = path
    graph = {name: imports_of(path, modules) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"files import each other: {' -> '.join(circle.args[1])}")


def test_documented_names_of_the_bridge_to_mteb_stay_importable() -> None:
    from harness import bridge_mteb
    from harness.interop import mteb

    assert set(bridge_mteb.__all__) == set(mteb.__all__)
    assert bridge_mteb.write_results is mteb.write_results


def test_the_first_file_to_read_stays_short() -> None:
    path = ROOT / "harness" / "evaluation" / "run.py"
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 150 and "nonlocal" not in text
    functions = [x.name for x in ast.parse(text).body if isinstance(x, ast.FunctionDef)]
    stages = ["run", "load", "lay_out", "evaluate_task", "search", "score", "write"]
    assert [x for x in functions if x in stages] == stages, "one function a stage, in their order"


def test_no_module_is_named_for_nothing() -> None:
    empty_names = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert [x for x in python_files() if {x.stem, x.parent.name} & empty_names] == []


def test_every_package_on_disk_is_declared() -> None:
    on_disk = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "harness").rglob("__init__.py")
    }
    declared = project()["tool"]["setuptools"]["packages"]
    assert set(declared) == on_disk | {"harness.task_files"}


def test_the_command_and_the_import_are_called_harness() -> None:
    installed = distribution("polyglot-harness")
    commands = {x.name: x.value for x in installed.entry_points if x.group == "console_scripts"}
    assert commands == {"harness": "harness.cli:main"}


def test_constraints_pin_everything_required_within_its_bounds() -> None:
    pins: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            assert re.fullmatch(r"\d[\w.]*", version), f"{line!r} is not one public version"
            pins[canonicalize_name(name)] = version
    table = project()["project"]
    wanted = [*table["dependencies"]]
    for extra in table["optional-dependencies"].values():
        wanted += extra
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name == "polyglot-harness":
            continue
        assert name in pins, f"constraints.txt does not pin {name}"
        assert requirement.specifier.contains(pins[name]), f"{name} {pins[name]}: out of bounds"


def test_the_lowest_client_of_the_hub_runs_every_test_that_talks_to_one() -> None:
    lines = (ROOT / ".ci" / "lowest-hub.txt").read_text(encoding="utf-8").splitlines()
    (pin,) = [x for x in lines if x.startswith("huggingface_hub==")]
    assert pin.replace("==", ">=") in project()["project"]["dependencies"]
    tested = set((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    others = {x.partition("==")[0] for x in lines if "==" in x and x not in tested}
    assert others == {"datasets", "huggingface_hub", "transformers"}
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    listed = re.findall(r"tests/\S+\.py", tox.partition("[testenv:hub]")[2].partition("\n[")[0])
    talking = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if "\nfrom loopback_hub import" in path.read_text(encoding="utf-8")
    }
    assert set(listed) == talking


def test_hooks_run_the_pinned_ruff() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    revision = re.search(r"ruff-pre-commit\n\s+rev: v(\S+)", hooks)
    assert revision is not None
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"ruff=={revision[1]}" in pins


def test_readme_gives_the_two_commands_and_the_checks_run_the_second() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert INSTALL_AND_RUN in readme
    assert INSTALL_AND_TEST in readme
    checks = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert INSTALL_AND_TEST in [line.strip() for line in checks]
