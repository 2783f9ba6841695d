"""Why a result does not cover the whole task, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.console.numbers import plural

_FEWER_PASSAGES = frozenset({"sample_passages", "sampled_corpus"})


def partial(reasons: Mapping[str, Any]) -> str:
    """Why a result does not cover the whole task, in words."""
    words = []
    for reason, what in reasons.items():
        if reason == "limit":
            words.append(f"the first {plural(what, 'question')} of each language")
        elif reason == "languages":
            words.append(f"only the languages {', '.join(what)}")
        elif reason == "sample":
            factor = math.sqrt(what["of"] / what["drawn"])
            kept = "" if _FEWER_PASSAGES & reasons.keys() else ", all passages kept"
            words.append(
                f"{plural(what['drawn'], 'question')} drawn from {what['of']:,}{kept}: "
                f"a difference must be {factor:.1f} times as large to be detected"
            )
        elif reason == "questions_without_gold":
            verb = "has" if what == 1 else "have"
            words.append(f"without {plural(what, 'question')} that {verb} no relevant passage")
        elif reason == "sampled_corpus":
            words.append(sampled(what))
        elif reason == "sample_passages":
            words.append(sampled_pool(what))
        elif reason == "golds_outside_sample":
            words.append(f"{plural(what, 'relevant passage')} outside the sample, not counted")
        else:
            words.append(f"{reason} {what}")
    return "; ".join(words)


def sampled_pool(what: Mapping[str, Any]) -> str:
    """What ``--sample-passages`` searched, in words."""
    size, most = what["passages"], sum(what["of"].values())
    return (
        f"A SAMPLE OF THE PASSAGES (at most {size:,} of each language, of {most:,} in all: the "
        f"relevant ones and the hardest others by {what['by']}), so no official score"
    )


def sampled(what: Mapping[str, Mapping[str, int]]) -> str:
    """``A SAMPLE OF THE CORPUS (sw 3,611 of 131,924), so no official score``."""
    parts = (f"{x} {n['passages']:,} of {n['whole']:,}" for x, n in what.items())
    return f"A SAMPLE OF THE CORPUS ({', '.join(parts)} passages), so no official score"
