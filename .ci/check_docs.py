"""Check the pages: relative links resolve, and the README's commands are those that are checked."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALL_AND_RUN = "pip install -c constraints.txt -e '.[demo]' && harness run"
INSTALL_AND_TEST = "pip install tox && tox"

FENCE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?(?P<target>[^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$", re.MULTILINE)


def pages() -> list[Path]:
    """All Markdown pages of the checkout, hidden and built folders left out."""
    skipped = {"build", "dist", "golden", "node_modules", "results", "venv"}
    found = []
    for page in sorted(ROOT.rglob("*.md")):
        folders = page.relative_to(ROOT).parts[:-1]
        if not any((x.startswith(".") and x != ".github") or x in skipped for x in folders):
            found.append(page)
    return found


def anchors(page: Path) -> set[str]:
    """The fragment names of a page's headings, as GitHub forms them."""
    names: set[str] = set()
    for match in HEADING.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        plain = re.sub(r"[^\w\- ]", "", match["text"].lower()).replace(" ", "-")
        name, copies = plain, 0
        while name in names:
            copies += 1
            name = f"{plain}-{copies}"
        names.add(name)
    return names


def broken_links(page: Path) -> list[str]:
    """One sentence for each relative link of ``page`` that leads nowhere."""
    text = CODE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    problems = []
    for match in LINK.finditer(text):
        target = match["target"]
        if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
            continue
        name, _, fragment = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        where = f"{page.relative_to(ROOT)}: link to {target!r}"
        if not goal.exists() or (goal.is_dir() and not any(x.is_file() for x in goal.rglob("*"))):
            problems.append(f"{where}: there is no such file")
        elif not goal.is_relative_to(ROOT):
            problems.append(f"{where}: it leads out of the repository")
        elif fragment and goal.suffix == ".md" and fragment not in anchors(goal):
            problems.append(f"{where}: the page has no such heading")
    return problems


def wrong_commands() -> list[str]:
    """One sentence for each place that does not give the set-up commands as agreed."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    run = [x.strip() for x in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    problems = [
        f"README.md: no line reads {command!r}"
        for command in (INSTALL_AND_RUN, INSTALL_AND_TEST)
        if command not in readme
    ]
    if INSTALL_AND_TEST not in run:
        problems.append(f".ci/run: no line reads {INSTALL_AND_TEST!r}, the README's second command")
    return problems


def main() -> int:
    """Print every problem; the number of pages read if there is none."""
    found = pages()
    problems = wrong_commands() + [problem for page in found for problem in broken_links(page)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(found)} pages: links and commands hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
