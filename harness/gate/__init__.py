"""The regression gate: is a candidate worse than a baseline, where, and is the evidence enough?

>>> from harness.gate import gate
>>> gate("results/candidate", "results/baseline").exit_code
0
"""

from __future__ import annotations

from harness.gate.policy import Policy, Rule, measures_of, read_policy
from harness.gate.regression_check import gate
from harness.gate.result import EXIT_CODES, CheckResult, Gate, Outcome, Party, Verdict

__all__ = [
    "EXIT_CODES",
    "CheckResult",
    "Gate",
    "Outcome",
    "Party",
    "Policy",
    "Rule",
    "Verdict",
    "gate",
    "measures_of",
    "read_policy",
]
