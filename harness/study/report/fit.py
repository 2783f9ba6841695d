"""Does a score saturate? Curves fitted to a few amounts and seeds, against a line and no change.

Four forms, of which the last two level off (h is the amount at which half of the change is done):

    flat          y = a
    linear        y = a + b x
    exponential   y = a - b 2^(-x / h)
    power law     y = a - b (1 + x / c)^(-d),   c = h / (2^(1/d) - 1)

The observations are the means of single seeds. Those of one amount share its questions, so their
errors are not independent: the covariance has the pooled variance between seeds on its diagonal,
and everywhere the jackknife covariance of the amounts over questions. Fits are generalised least
squares under it, and AICc (Hurvich and Tsai 1989) chooses among them, with a parameter counted for
the scale. A form is tried only where there are more amounts than it has parameters. A curve is said
to saturate if one of the last two beats the better of the first two by at least 2, below which
Burnham and Anderson (2002) call models equally supported.

The uncertainty of asymptote and half amount is a parametric bootstrap: the fitted curve with new
errors of both kinds, the seeds' variance drawn as its few degrees of freedom leave it open, and the
same form fitted again. For a and b there is a closed form, and h and d are searched on a grid, so
no start value decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Form = Literal["flat", "linear", "exponential", "power law"]
PARAMETERS: dict[Form, int] = {"flat": 1, "linear": 2, "exponential": 3, "power law": 4}
SATURATING: tuple[Form, ...] = ("exponential", "power law")
CLEAR = 2.0
"""A curve is said to saturate if its AICc is lower by at least this."""
REPLICATES = 1000
_STEPS = 121
_SPAN = 8.0
"""The half amount is searched from the smallest amount divided by this to the largest times
this."""
_EXPONENTS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)


@dataclass(frozen=True)
class Bounded:
    """A number with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """The form of a curve over amounts."""

    form: Form
    """The form with the lowest AICc; one that levels off only if it is clearly better."""
    aicc: dict[Form, float]
    """AICc of every form tried."""
    parameters: tuple[float, ...]
    """a, b, h, d, as far as the form has them."""
    asymptote: Bounded | None
    """The level it approaches; ``None`` if no such form is clearly better."""
    half: Bounded | None
    """The amount at which half of the change from amount 0 is done."""
    half_limits: tuple[float, float]
    """Range of half amounts searched: an interval's end at its edge is open."""
    support: float
    """Share of the replicates in which a form that levels off is clearly better again."""
    amounts: int
    observations: int

    @property
    def saturates(self) -> bool:
        """Whether a form that levels off is clearly better than a line and no change."""
        return self.form in SATURATING

    def at(self, x: Array) -> Array:
        """The curve."""
        return curve(self.form, self.parameters, x)


@dataclass(frozen=True)
class _Family:
    """A form on its grid: N observations, K places on the grid, p columns."""

    form: Form
    grid: tuple[tuple[float, ...], ...]
    bases: Array
    """``(K, N, p)``: orthonormal columns that span the whitened design."""
    solvers: Array
    """``(K, p, N)``: whitened observations to a and b."""

    def rss(self, whitened: Array) -> tuple[Array, Array]:
        """Least residual sum of squares of ``(N, B)`` and where on the grid: both ``(B,)``."""
        total = (whitened**2).sum(axis=0)
        explained = (np.einsum("knp,nb->kpb", self.bases, whitened, optimize=True) ** 2).sum(axis=1)
        best = explained.argmax(axis=0)
        return np.maximum(total - explained[best, np.arange(len(best))], 0.0), best


def curve(form: Form, parameters: Sequence[float], x: Array) -> Array:
    """Values of a form at ``x``."""
    x = np.asarray(x, dtype=np.float64)
    if form == "flat":
        return np.full(x.shape, parameters[0])
    a, b = parameters[:2]
    return a + b * _shape(form, parameters[2:], x)


def _shape(form: Form, inner: Sequence[float], x: Array) -> Array:
    """The factor of ``b``."""
    if form == "linear":
        return x
    if form == "exponential":
        return -np.exp2(-x / inner[0])
    half, exponent = inner
    return -((1 + x * (2 ** (1 / exponent) - 1) / half) ** -exponent)


def fit_curves(
    x: Array,
    values: Sequence[Array],
    influence: Array,
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> Fit | None:
    """Fit all forms to the values of P amounts.

    Args:
        x: the amounts, ``(P,)``, ascending.
        values: per amount one value per seed.
        influence: ``(Q, P)``: per amount the mean less that without each question.
        seed: of numpy's PCG64.
        replicates: of the bootstrap.

    Returns:
        ``None`` with fewer than three amounts, without a second seed anywhere, or where a value is
        undefined.
    """
    x = np.asarray(x, dtype=np.float64)
    sizes = np.array([len(v) for v in values])
    y = np.concatenate([np.asarray(v, dtype=np.float64) for v in values])
    freedom = int((sizes - 1).sum())
    if len(x) < 3 or freedom < 1 or np.isnan(y).any():
        return None
    at = np.repeat(np.arange(len(x)), sizes)
    within = sum(float(((v - np.mean(v)) ** 2).sum()) for v in values) / freedom
    shared = influence.T @ influence
    covariance = shared[np.ix_(at, at)] + within * np.eye(len(y))
    scale = float(np.trace(covariance)) / len(y)
    if scale <= 0 or np.ptp(y) == 0:
        return Fit("flat", {"flat": -np.inf}, (float(y[0]),), None, None, (0.0, 0.0), 0.0,
                   len(x), len(y))  # fmt: skip
    root: Array = np.linalg.cholesky(covariance + 1e-9 * scale * np.eye(len(y)))
    families = _families(x, at, root)
    whitened = np.linalg.solve(root, y)[:, None]
    aicc, best = _judge(families, whitened)
    form = _chosen({name: float(a[0]) for name, a in aicc.items()})
    family = next(f for f in families if f.form == form)
    parameters = _parameters(family, whitened, best[form])[0]
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = _errors(rng, shared, within, freedom, at, replicates)
    drawn += curve(form, parameters, x)[at][:, None]
    again = np.linalg.solve(root, drawn)
    aicc_again, best_again = _judge(families, again)
    support = _support(aicc_again)
    asymptote = half = None
    if form in SATURATING:
        redone = np.array(_parameters(family, again, best_again[form]))
        asymptote = _bounded(parameters[0], redone[:, 0])
        half = _bounded(parameters[2], redone[:, 2])
    limits = _limits(x)
    return Fit(
        form=form,
        aicc={name: float(a[0]) for name, a in aicc.items()},
        parameters=tuple(parameters),
        asymptote=asymptote,
        half=half,
        half_limits=(limits[0], limits[1]),
        support=support,
        amounts=len(x),
        observations=len(y),
    )


def _limits(x: Array) -> tuple[float, float]:
    return float(x[x > 0].min() / _SPAN), float(x.max() * _SPAN)


def _families(x: Array, at: Array, root: Array) -> list[_Family]:
    halves = np.geomspace(*_limits(x), _STEPS).tolist()
    grids: dict[Form, list[tuple[float, ...]]] = {
        "flat": [()],
        "linear": [()],
        "exponential": [(h,) for h in halves],
        "power law": [(h, d) for d in _EXPONENTS for h in halves],
    }
    found = []
    for form, grid in grids.items():
        if len(x) <= PARAMETERS[form]:
            continue
        columns = [
            np.stack([np.ones_like(x), *([] if form == "flat" else [_shape(form, g, x)])], axis=1)
            for g in grid
        ]
        designs = np.linalg.solve(root, np.stack(columns)[:, at])
        bases, upper = np.linalg.qr(designs)
        solvers = np.linalg.pinv(designs)
        # If two columns are nearly equal, the second adds nothing.
        known = np.abs(np.diagonal(upper, axis1=1, axis2=2))
        bases = bases * (known > 1e-9 * known.max(axis=1, keepdims=True))[:, None]
        found.append(_Family(form, tuple(grid), bases, solvers))
    return found


def _judge(
    families: Sequence[_Family], whitened: Array
) -> tuple[dict[Form, Array], dict[Form, Array]]:
    """AICc of each form for each of B columns, and the place on its grid."""
    n = len(whitened)
    aicc, best = {}, {}
    for family in families:
        k = PARAMETERS[family.form] + 1
        if n - k - 1 <= 0:
            continue
        rss, best[family.form] = family.rss(whitened)
        fitted = n * np.log(np.maximum(rss, 1e-300) / n)
        aicc[family.form] = fitted + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    return aicc, best


def _chosen(aicc: dict[Form, float]) -> Form:
    plain = min((f for f in aicc if f not in SATURATING), key=lambda f: aicc[f])
    level = min((f for f in aicc if f in SATURATING), key=lambda f: aicc[f], default=plain)
    return level if aicc[level] <= aicc[plain] - CLEAR else plain


def _support(aicc: dict[Form, Array]) -> float:
    level = [a for f, a in aicc.items() if f in SATURATING]
    if not level:
        return 0.0
    plain = np.min([a for f, a in aicc.items() if f not in SATURATING], axis=0)
    return float((np.min(level, axis=0) <= plain - CLEAR).mean())


def _parameters(family: _Family, whitened: Array, best: Array) -> list[tuple[float, ...]]:
    outer = np.einsum("bpn,nb->bp", family.solvers[best], whitened)
    return [(*map(float, o), *family.grid[g]) for o, g in zip(outer, best.tolist(), strict=True)]


def _errors(
    rng: np.random.Generator,
    shared: Array,
    within: float,
    freedom: int,
    at: Array,
    replicates: int,
) -> Array:
    """New errors ``(N, B)``: of questions, the same for all seeds of an amount, and of seeds."""
    root = np.linalg.cholesky(shared + (1e-12 * np.trace(shared) + 1e-30) * np.eye(len(shared)))
    of_questions = (root @ rng.standard_normal((len(shared), replicates)))[at]
    spread = np.sqrt(within * freedom / rng.chisquare(freedom, replicates))
    return of_questions + spread * rng.standard_normal((len(at), replicates))


def _bounded(value: float, draws: Array) -> Bounded:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Bounded(value, float(low), float(high))
