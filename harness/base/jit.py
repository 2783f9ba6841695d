"""numba's compiler as a decorator that type checkers understand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import config, njit
from numba.extending import intrinsic

from harness.base.cache import cache_folder

F = TypeVar("F", bound=Callable[..., Any])


def compiled(**options: bool | str | set[str]) -> Callable[[F], F]:
    """``numba.njit`` with its machine code cached on disk, so that only the first run compiles.

    It is beside the module or in the home folder, as numba does it; where both are read-only, as in
    some containers, in the harness's cache.

    Args:
        options: other options of ``numba.njit``: ``nogil=True``, ``inline="always"``,
            ``fastmath={"reassoc"}`` (sums in any order).
    """

    def compile_(function: F) -> F:
        try:
            return cast(F, njit(cache=True, **options)(function))
        except RuntimeError:  # neither the package's folder nor the home folder can be written
            config.CACHE_DIR = str(cache_folder() / "numba")
        try:
            return cast(F, njit(cache=True, **options)(function))
        except RuntimeError:
            return cast(F, njit(**options)(function))

    return compile_


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """``numba.extending.intrinsic``: what ``function`` generates is compiled where it is called.

    It gets one argument more than its callers give: the context of types.
    """
    return cast(Callable[..., Any], intrinsic(function))
