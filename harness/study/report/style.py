"""The style of plots: colours, markers, axes; the same figure gives the same bytes.

Colours are those of Okabe and Ito (2008), distinguishable with any colour vision, and after them of
Paul Tol; markers and dashes differ as well, so nothing is lost in grey. A recipe has the same
colour in every study.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.study.definition import Value
from harness.study.report.layout import Layout, Series, written

_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
            "#882255", "#999933", "#44AA99")  # fmt: skip
_KNOWN = {"mono": 0, "cross": 1, "hybrid": 2}
_MARKERS = "os^DvPX"
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
_GREYS = ("0.45", "0.55", "0.65")
INK = "#767676"
"""Of text and axes: readable on white and on black, as plots have no background of their own."""
DPI = 150
LETTER = 0.075
"""Approximate width of a letter in inches."""
_ATTRIBUTE = re.compile(r'="[^"]*"')
_FONTS = re.compile(r"font-family: 'DejaVu Sans'[^;\"]*")
_STYLE = re.compile(r'style="([^"]*)"')
_IDS = re.compile(r' id="[A-Za-z.0-9]+_[0-9]+"')
"""Matplotlib's names of groups, which nothing refers to."""
_LONG = re.compile(r"-?\d+\.\d{3,}")
RC: dict[str, Any] = {
    "font.size": 9,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
    # Matplotlib's own, and for who has not got it those of like widths.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "study",
}


@dataclass(frozen=True)
class Look:
    """Of a series or a reference."""

    colour: str
    marker: str
    dash: Any


def looks(layout: Layout) -> dict[Series, Look]:
    """Series -> its style: colour and marker by arm, dashes by the fixed values."""
    arms = [arm.name for arm in layout.study.arms]
    free = [i for i in range(len(_PALETTE)) if i not in _KNOWN.values() or not _uses(arms, i)]
    number = {arm: _KNOWN[arm] if arm in _KNOWN else free.pop(0) if free else 0 for arm in arms}
    seen: dict[str, int] = {}
    found = {}
    for series in layout.series:
        nth = seen[series.arm] = seen.get(series.arm, -1) + 1
        at = number[series.arm]
        found[series] = Look(
            _PALETTE[at % len(_PALETTE)],
            _MARKERS[(at + 3 * nth) % len(_MARKERS)],
            _DASHES[nth % len(_DASHES)],
        )
    return found


def _uses(arms: Sequence[str], number: int) -> bool:
    return any(_KNOWN.get(arm) == number for arm in arms)


def reference_look(number: int) -> Look:
    """Of untrained models: grey, with dashes of their own."""
    return Look(_GREYS[number % len(_GREYS)], "", _DASHES[1:][number % 3])


def scaled_x(layout: Layout) -> list[float]:
    """Position of each value of the x axis: its own number, or its index in the list."""
    if layout.numeric:
        return [float(p) for p in layout.points if isinstance(p, int | float)]
    return [float(i) for i in range(len(layout.points))]


def logarithmic(layout: Layout) -> bool:
    """Amounts, which double from one to the next, have a logarithmic axis; 0 has a place on it."""
    values = [p for p in layout.points if isinstance(p, int) and p > 0]
    counted = layout.numeric and all(isinstance(p, int) and p >= 0 for p in layout.points)
    return counted and len(values) > 1 and max(values) >= 4 * min(values)


def set_x(axes: Any, layout: Layout, *, small: bool = False) -> None:
    """Scale, limits and ticks of the x axis."""
    at = scaled_x(layout)
    if logarithmic(layout):
        least = min(x for x in at if x > 0)
        axes.set_xscale("symlog", linthresh=least, linscale=0.6, base=2)
        axes.set_xlim(-0.25 * least if 0 in at else least / 1.35, max(at) * 1.35)
    else:
        span = (at[-1] - at[0]) if len(at) > 1 else 1.0
        margin = 0.06 * span if layout.numeric else 0.5
        axes.set_xlim(at[0] - margin, at[-1] + margin)
    words = [_tick(p, small) for p in layout.points if p is not None]
    widths = [len(x) for x in words]
    if not logarithmic(layout):  # evenly spaced numbers have evenly spaced ticks
        widths = [max(widths)] * len(widths)
    kept = _apart(axes, at, widths) if layout.numeric else range(len(at))
    axes.set_xticks([at[i] for i in kept], [words[i] for i in kept])
    axes.minorticks_off()
    if not layout.numeric and max(map(len, words)) * len(words) > (18 if small else 36):
        axes.tick_params(axis="x", rotation=30)
        for tick in axes.get_xticklabels():
            tick.set_ha("right")
            tick.set_rotation_mode("anchor")


def _apart(axes: Any, at: Sequence[float], letters: Sequence[int]) -> list[int]:
    """Ticks whose numbers do not run into each other, the last before those left of it."""
    columns = axes.get_subplotspec().get_gridspec().ncols
    width = axes.figure.get_figwidth() / columns - 0.7
    places = [
        width * float(axes.transAxes.inverted().transform(axes.transData.transform((x, 0)))[0])
        for x in at
    ]
    kept: list[int] = []
    for i in reversed(range(len(at))):
        room = LETTER * (letters[i] + letters[kept[-1]]) / 2 + 0.05 if kept else 0.0
        if not kept or places[kept[-1]] - places[i] >= room:
            kept.append(i)
    return kept[::-1]


def _tick(point: Value, small: bool) -> str:
    """``4,000``, in a small panel ``4k``."""
    if small and isinstance(point, int) and point >= 1000 and point % 100 == 0:
        return f"{point / 1000:g}k"
    return written(point)


def new_figure(width: float, height: float) -> Any:
    """A figure without a window.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "plots need matplotlib, which is not installed: pip install 'polyglot-harness[train]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def saved(figure: Any, *, png: bool = True) -> dict[str, bytes]:
    """The figure as ``svg`` and, on request, ``png``: the same bytes for the same figure.

    It has no background, so that a page's own shows.
    """
    from PIL import Image

    drawn, pixels, small = io.BytesIO(), io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    files = {"svg": _compact(drawn.getvalue().decode()).encode()}
    if png:
        figure.set_layout_engine("none")  # what it found stays as it is
        figure.savefig(pixels, format="png", dpi=DPI, transparent=True)
        # Few colours are used, and a palette of them is a third of the size.
        image = Image.open(pixels).convert("RGBA")
        method = Image.Quantize.FASTOCTREE  # the one that keeps transparency
        image.quantize(128, method, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        files["png"] = small.getvalue()
    return files


def _compact(text: str) -> str:
    """An SVG without invisible parts: half of its size."""
    # A hundredth of a point is more than anyone sees.
    text = _ATTRIBUTE.sub(lambda found: _LONG.sub(lambda x: f"{float(x[0]):.2f}", found[0]), text)
    # Every text has a dozen font names.
    text = _FONTS.sub("font-family: 'DejaVu Sans', Verdana, sans-serif", text)
    text = _IDS.sub("", text)
    # Many elements share a few styles: each is written once.
    counts = Counter(_STYLE.findall(text))
    names = {x: f"s{i}" for i, (x, n) in enumerate(sorted(counts.items())) if n > 2}
    text = _STYLE.sub(
        lambda found: f'class="{names[found[1]]}"' if found[1] in names else found[0], text
    )
    rules = "\n".join(f".{name}{{{rule}}}" for rule, name in names.items())
    text = text.replace("</style>", f"{rules}\n</style>", 1)
    # Git would complain of spaces at the end of lines; indents are a tenth of what is left.
    return "\n".join(x.strip() for x in text.split("\n"))
