"""How numbers and names are written, the same in every table."""

from __future__ import annotations

from harness.base.wording import partial as partial
from harness.base.wording import plural as plural
from harness.errors import UsageError

UNDEFINED = "-"


def label(measure: str) -> str:
    """A measure's name as column headers show it: ``mAP``, ``R@10``, ``nDCG@10``.

    A measure of a package that is not installed here keeps its plain name.
    """
    from harness.metrics import parse_measure

    try:
        found = parse_measure(measure).label
    except UsageError:
        return measure
    return found.replace("Recall@", "R@").replace("Precision@", "P@")


def value(measure: str, number: float | None) -> str:
    """Four decimals as papers print them; rank distances count passages and get one."""
    if number is None or number != number:
        return UNDEFINED
    return f"{number:.1f}" if measure == "rank_distance" else f"{number:.4f}"


def count(number: int) -> str:
    """``26104`` -> ``26,104``."""
    return f"{number:,}"


def memory(size: float) -> str:
    """Bytes as ``640 MiB`` or ``1.5 GiB``."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def duration(took: float) -> str:
    """Seconds as a person plans with them: ``45 s``, ``12 min``, ``3.4 h``, ``12.5 days``."""
    if took < 90:
        return f"{took:.0f} s"
    if took < 5400:
        return f"{took / 60:.0f} min"
    return f"{took / 3600:.1f} h" if took < 2 * 86400 else f"{took / 86400:,.1f} days"


def seconds(took: float) -> str:
    """Seconds with one decimal below a minute, none above."""
    return f"{took:.1f} s" if took < 60 else f"{took:.0f} s"
