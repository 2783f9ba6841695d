"""Number formats, the same in every table, page and sentence."""

from __future__ import annotations

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


def decimals(measure: str) -> int:
    """Decimals of a measure: four, as in papers; one for ranks, which count passages."""
    return 1 if measure in ("rank_distance", "max_rank") else 4


def value(measure: str, number: float | None) -> str:
    """A score, ``0.4512``; what rounds to 0 has no sign."""
    if number is None or number != number:
        return UNDEFINED
    places = decimals(measure)
    # Adding 0 after rounding: -0.0 becomes 0.0.
    return f"{round(number, places) + 0.0:.{places}f}"


def signed(measure: str, number: float) -> str:
    """A difference of scores, ``+0.0123``; what rounds to 0 has no sign."""
    return UNDEFINED if number != number else difference(number, decimals(measure))


def difference(number: float, places: int) -> str:
    """``+0.000321``, to ``places`` after the point; what rounds to 0 has no sign."""
    text = f"{number:+.{places}f}"
    return text if text.strip("+-0.") else text[1:]


def interval(
    measure: str, low: float | None, high: float | None, *, differences: bool = False
) -> tuple[str, str] | None:
    """Ends of a score's interval, or (with signs) of a difference's; ``None`` if there is none."""
    if low is None or high is None or low != low:
        return None
    if not differences:
        return value(measure, low), value(measure, high)
    places = decimals(measure)
    first, last = (f"{round(x, places) + 0.0:+.{places}f}" for x in (low, high))
    return first, last


def amount(number: float) -> str:
    """The size of a difference in a sentence: four decimals below 10, else one."""
    if abs(number) < 5e-5:
        return f"{number:.1g}" if number else "0"
    return f"{number:.4f}" if abs(number) < 10 else f"{number:,.1f}"


def p_value(p: float) -> str:
    """A p-value with four decimals; below what they show ``<0.0001``."""
    if p != p:
        return UNDEFINED
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage, ``12.3%``."""
    return UNDEFINED if share is None or share != share else f"{share:.{digits}%}"


def count(number: float) -> str:
    """``26104`` -> ``26,104``."""
    return f"{number:,.0f}"


def plural(number: int, noun: str) -> str:
    """``1 text``, ``2 texts``, ``2 queries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def parameters(number: int) -> str:
    """Weights of a model: ``117,653,760`` as ``117.7M``."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= 0.99995 * size:  # 999.96M is 1.0B
            return f"{number / size:.1f}{unit}"
    return str(number)


def memory(size: float) -> str:
    """Bytes as ``640 MiB`` or ``1.5 GiB``."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def seconds(took: float) -> str:
    """Seconds with one decimal below a minute, none above."""
    return f"{took:.1f} s" if took < 60 else f"{took:.0f} s"


def duration(took: float) -> str:
    """Seconds as a rough duration: ``45 s``, ``12 min``, ``3.4 h``, ``12.5 days``."""
    if took < 90:
        return f"{took:.0f} s"
    if took < 5400:
        return f"{took / 60:.0f} min"
    return f"{took / 3600:.1f} h" if took < 2 * 86400 else f"{took / 86400:,.1f} days"
