"""The report of a study: its page, tables and plots, all made from the records in its folder."""

from __future__ import annotations

from pathlib import Path

from harness.study.results import Results

PAGE = "index.md"
"""Name of the page."""


def write_report(results: Results, output: str | Path, *, png: bool = True) -> Path:
    """Write page, tables and plots; the same results give the same bytes.

        OUTPUT/index.md          the page
        OUTPUT/NAME.csv          tables, with all digits
        OUTPUT/plots/NAME.svg    plots, also as PNG

    Args:
        results: of a study, finished or not: missing trials are listed on the page.
        output: folder, created if missing.
        png: whether plots are written as PNG too.

    Returns:
        The page.

    Raises:
        StudyError: no trial is finished.
        UsageError: matplotlib is not installed, or no task has one of the measures.
        RecordError: a record lacks a table, or has other data than the other records.
        StoreError: the folder cannot be written.
    """
    from harness.base.files import write_atomically
    from harness.errors import StudyError
    from harness.study.report.findings import find
    from harness.study.report.page import page
    from harness.study.report.plots import draw
    from harness.study.report.sentences import read
    from harness.study.report.tables import csv_files

    if not results.trials:
        raise StudyError(
            f"{results.folder}: no trial of the study is finished; run `harness study run` first"
        )
    folder = Path(output)
    findings = find(results)
    plots = draw(findings, png=png)
    for plot in plots:
        for form, raw in plot.files.items():
            write_atomically(folder / "plots" / f"{plot.name}.{form}", raw)
    for name, raw in csv_files(findings).items():
        write_atomically(folder / name, raw)
    path = folder / PAGE
    write_atomically(path, page(findings, read(findings), plots).encode())
    return path
