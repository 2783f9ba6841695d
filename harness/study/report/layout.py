"""Where each trial of a study belongs: the line of a plot, the place on it, the order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from harness.study.definition import Arm, Axis, Study, Value, named
from harness.training.settings import made


@dataclass(frozen=True)
class Place:
    """All seeds of one arm at one value of each of its axes."""

    arm: str
    values: tuple[tuple[str, Value], ...] = ()
    """Pairs of axis and value, in the arm's order."""

    @classmethod
    def of(cls, arm: str, values: Mapping[str, Value]) -> Place:
        """The place of a trial."""
        return cls(arm, tuple(values.items()))


@dataclass(frozen=True)
class Series:
    """A line of a plot and a column of a table: an arm, with its axes other than x fixed."""

    arm: str
    other: tuple[tuple[str, Value], ...]
    label: str
    level: bool
    """Whether the arm lacks the x axis: one value, drawn as a level line."""


class Layout:
    """Series and places of a study in file order, the same in all its tables."""

    def __init__(self, study: Study) -> None:
        self.study = study
        x = study.report.x
        self.axis: Axis | None = study.axes[x] if x is not None else None

    @property
    def numeric(self) -> bool:
        """Whether the x axis is numeric."""
        return self.axis is not None and self.axis.numeric

    @property
    def points(self) -> tuple[Value | None, ...]:
        """Values of the x axis, numbers ascending; a single ``None`` without an x axis."""
        if self.axis is None:
            return (None,)
        # A file may list them otherwise: the first is the least, as on the axis of a plot.
        numbers = sorted(x for x in self.axis.values if isinstance(x, int | float))
        return tuple(numbers) if self.numeric else self.axis.values

    @property
    def axis_name(self) -> str:
        """Name of the x axis in the study file; plots and tables use its label."""
        return "" if self.axis is None else self.axis.name

    @property
    def axis_label(self) -> str:
        """Label of the x axis."""
        return "" if self.axis is None else self.axis.label

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """All lines, arm by arm."""
        return tuple(x for arm in self.study.arms for x in self._of_arm(arm))

    def _of_arm(self, arm: Arm) -> Iterable[Series]:
        x = self.study.report.x
        others = [self.study.axes[name] for name in arm.axes if name != x]
        for values in product(*(axis.values for axis in others)):
            other = tuple((axis.name, v) for axis, v in zip(others, values, strict=True))
            marks = [f"{axis} {named(v)}" for axis, v in other]
            yield Series(arm.name, other, ", ".join([arm.name, *marks]), x not in arm.axes)

    def place(self, series: Series, point: Value | None) -> Place:
        """The place of a series at a value of the x axis; a level series has only one."""
        values = dict(series.other)
        if self.axis is not None and not series.level and point is not None:
            values[self.axis.name] = point
        order = self.study.arm(series.arm).axes
        return Place(series.arm, tuple((x, values[x]) for x in order if x in values))

    def points_of(self, series: Series) -> tuple[Value | None, ...]:
        """The values of the x axis that a series has; ``None`` for a level series."""
        return (None,) if series.level else self.points

    def own_value(self, series: Series) -> Value | None:
        """The value of the x axis that a level series is trained at, if it is one of its points.

        An arm without the axis has one value of the option behind it all the same: hybrid batches
        with another freeze, beside an axis of alpha, are trained at the recipe's alpha.
        """
        arm, baseline = (self.study.arm(x) for x in (series.arm, self.study.report.baseline))
        if self.axis is None or not series.level or arm.recipe != baseline.recipe:
            return None
        own = made({**self.study.train, **arm.train, "recipe": arm.recipe})
        for point in self.axis.points:
            options = point.train.items()
            if options and not point.rows and all(getattr(own, k) == v for k, v in options):
                return point.value
        return None

    def at_point(self, point: Value | None) -> str:
        """`` at alpha 0.5`` in words; empty without a value of the x axis."""
        return "" if point is None else f" at {self.axis_name} {self.quoted(point)}"

    def points_against(self, series: Series, baseline: Series) -> tuple[Value | None, ...]:
        """The values of the x axis at which a series is compared with the baseline's."""
        if baseline.level:
            return self.points_of(series)
        own = self.own_value(series)
        return self.points if own is None else (own,)

    def baseline_of(self, series: Series) -> Series | None:
        """The baseline arm's series for ``series``; ``None`` for the baseline itself."""
        baseline = self.study.report.baseline
        if series.arm == baseline:
            return None
        fixed = dict(series.other)
        for found in self.series:
            if found.arm == baseline and all(fixed.get(x, v) == v for x, v in found.other):
                return found
        return None

    def spell(self, point: Value | None) -> str:
        """A value of the x axis as written in tables."""
        return "" if point is None else written(point)

    def quoted(self, point: Value | None) -> str:
        """A value of the x axis as written in sentences: names are quoted."""
        spelled = self.spell(point)
        return spelled if self.numeric or not spelled else f"\u201c{spelled}\u201d"


def written(value: Value) -> str:
    """``4,000``, ``0.1``, ``none``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return named(value)


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
